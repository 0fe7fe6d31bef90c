"""A copy of an engine that asks other LLMs, beside the engine that the user goes on using."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM

from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of, is_part
from llama_index_streaming_ext.query.engine_copy.shapes import shape_of

_T = TypeVar("_T")

_MANY = 1000
"""The number of containers that are searched in all: rows of data in an engine are no parts."""


def copy_of(
    engine: _T,
    wrap: Callable[[LLM], LLM],
    *,
    unwrap: Callable[[object], object | None] | None = None,
) -> _T:
    """Copy an engine and its parts, shallowly, with `wrap(llm)` in place of every LLM.

    Parts are the objects of LlamaIndex's classes, and of classes that users derive from those.
    Copied are the engine, its parts that hold an LLM at whatever remove, with the lists, tuples and
    dicts on the way to it, and the parts that a query writes to (engines, synthesizers, query
    transforms: U60), so that two copies can be used at once. All else is shared: indices, stores,
    nodes, embeddings, memories, callback managers, functions, and objects of the user's own
    classes. What is one object in the engine is one object in the copy. No code of the classes is
    run: no `__init__`, no `__copy__`, no property, no setter, and no finalizer of the copies.

    So LLMs that are fields of a user's engine, retriever, postprocessor or synthesizer are wrapped.
    Those that are deeper in the user's own objects, in functions, indices or memories are not, nor
    is `Settings.llm`, which core looks up *during* a query in `RetrySourceQueryEngine`, on its
    second try; in `RetryGuidelineQueryEngine`, to put the question anew from its second retry on;
    in `ComposableGraphQueryEngine`, for a sub-index without an engine of its own; in
    `AutoPrevNextNodePostprocessor` without an `llm`; and in the context builder of the SQL indices,
    `OnDemandLoaderTool` and `LoadAndSearchToolSpec`, which query an index of their own. Calls of
    all these are told by core's instrumentation (`tracing/other_llm_calls.py`). Of a
    `StructuredLLM` the LLM in it is wrapped.

    Args:
        engine: a query engine, a chat engine, or another part: a synthesizer, a retriever, a tool.
        wrap: gives the LLM to be asked instead of one of the engine's; called once for each.
        unwrap: called with each part but the engine itself. It may return a part that is held
            in its place, or None. It must always return the same for the same part.

    Raises:
        TypeError: there is nothing to copy: `engine` is an index, a memory, an LLM or plain data.

    Example:
        >>> from llama_index.core import MockEmbedding, SummaryIndex
        >>> from llama_index.core.llms import MockLLM
        >>> index = SummaryIndex([], embed_model=MockEmbedding(2))
        >>> engine = index.as_query_engine(llm=MockLLM())
        >>> found = []
        >>> copy = copy_of(engine, lambda llm: found.append(llm) or MockLLM(max_tokens=5))
        >>> copy is engine, len(found)
        (False, 1)
    """
    _check(engine)
    return cast(_T, _Copies(Survey(engine, unwrap), wrap).whole(engine))


class Survey:
    """The parts, containers and LLMs within reach of an engine, and which of them must be copied.

    Args:
        root: the engine.
        unwrap: as for `copy_of`.

    Attributes:
        met: the objects, by their ids.
        copied: the ids of those that must be copied.
    """

    def __init__(
        self, root: object, unwrap: Callable[[object], object | None] | None = None
    ) -> None:
        self.met: dict[int, object] = {}
        self._unwrap = unwrap
        self._holders: dict[int, list[int]] = {}
        self._sources = [id(root)]
        self._todo: deque[object] = deque()
        self._left = _MANY
        self._meet(root)
        while self._todo:
            self._look_into(self._todo.popleft())
        self.copied = self._within_reach_of_sources()

    def instead_of(self, held: Any) -> Any:
        """Return what is copied for an object that a part holds: what it wraps, or itself."""
        inner = self._unwrap(held) if self._unwrap is not None else None
        return held if inner is None else inner

    def _look_into(self, holder: object) -> None:
        for held in _worth_following(shape_of(holder).held(holder)):
            obj = self.instead_of(held)
            if id(obj) not in self.met:
                self._meet(obj)
            self._holders.setdefault(id(obj), []).append(id(holder))
            if obj is not held:
                self._sources.append(id(holder))

    def _meet(self, obj: object) -> None:
        # Their ids are keys here: they must live as long.
        self.met[id(obj)] = obj
        rule = copy_rule_of(type(obj))
        if rule in (CopyRule.LLM, CopyRule.WRITTEN):
            self._sources.append(id(obj))
        if rule is CopyRule.CONTAINER:
            self._left -= 1
        if is_part(rule) or (rule is CopyRule.CONTAINER and self._left >= 0):
            self._todo.append(obj)

    def _within_reach_of_sources(self) -> set[int]:
        """Return the sources and all that holds one of them, at whatever remove."""
        found: set[int] = set()
        todo = self._sources
        while todo:
            key = todo.pop()
            if key not in found:
                found.add(key)
                todo += self._holders.get(key, ())
        return found


def _worth_following(held: Sequence[object]) -> Sequence[object]:
    """Leave out what is left alone: a list of a thousand nodes costs one look at their class."""
    every: set[type] = set(map(type, held))
    classes = {cls for cls in every if copy_rule_of(cls) is not CopyRule.LEFT}
    return [obj for obj in held if type(obj) in classes] if classes else ()


class _Copies:
    """The copies of what a survey has found, each made when it is first asked for."""

    def __init__(self, survey: Survey, wrap: Callable[[LLM], LLM]) -> None:
        self._survey = survey
        self._wrap = wrap
        self._made: dict[int, Any] = {}
        self._unfilled: deque[tuple[Any, Any]] = deque()

    def whole(self, obj: Any) -> Any:
        """Return the copy of `obj`, or `obj` itself if it need not be copied, whole."""
        copy = self._copied(obj)
        while self._unfilled:
            new, old = self._unfilled.popleft()
            shape_of(old).fill(new, old, self._held)
        return copy

    def _held(self, held: Any) -> Any:
        """Return what a copy holds in place of what its original holds."""
        return self._copied(self._survey.instead_of(held))

    def _copied(self, obj: Any) -> Any:
        key = id(obj)
        if key not in self._survey.copied:
            return obj
        if key not in self._made:
            self._made[key] = self._begun(obj)
        return self._made[key]

    def _begun(self, obj: Any) -> Any:
        if isinstance(obj, LLM) and copy_rule_of(type(obj)) is CopyRule.LLM:
            return self._wrap(obj)
        new = shape_of(obj).new(obj, self._held)
        self._unfilled.append((new, obj))
        return new


def _check(engine: object) -> None:
    cls: type = type(engine)
    name, rule = cls.__name__, copy_rule_of(cls)
    if isinstance(engine, BaseIndex):
        hint = "an index holds data: pass index.as_query_engine() or as_chat_engine()"
    elif rule is CopyRule.LLM:
        hint = "it is an LLM, not something that holds one: wrap it yourself"
    else:
        hint = "pass a query engine, a chat engine or a part of one, such as a retriever"
    if not is_part(rule):
        raise TypeError(f"this {name} has no parts to copy: {hint}")
