"""A copy of an engine that asks other LLMs, beside the engine that the user goes on using."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM

from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of
from llama_index_streaming_ext.query.engine_copy.discovery import Replace, Survey, shape_for

_T = TypeVar("_T")


def copy_of(engine: _T, wrap: Callable[[LLM], LLM], *, replace: Replace | None = None) -> _T:
    """A shallow copy of an engine and of its parts, in which every LLM is `wrap(llm)`.

    Copied are the engine, its parts that hold an LLM at whatever remove, with the containers,
    functions, bound methods and objects of the user's on the way to it, and the parts that a query
    writes to (engines, synthesizers, query transforms: U60), so that two copies can be used at
    once. All else is shared: indices, stores, nodes, embeddings, memories, callback managers.
    What is one object in the engine is one object in the copy. No code of the classes is run: no
    `__init__`, no `__copy__`, no property, no setter, and no finalizer of the copies.

    It is as deep as a query needs, and no deeper:

    - a memory is the user's own, since the conversation is written to it;
    - what an engine sets on itself during a query stays on its copy;
    - an LLM that holds LLMs is wrapped as one; only a `StructuredLLM` is opened, so that the LLM
      in it is the one to be wrapped;
    - what a function finds among its module's globals, and what is kept in an index, in a node or
      behind a weak reference, is out of reach;
    - so is `Settings.llm`, which core looks up *during* a query in `RetrySourceQueryEngine`, on its
      second try; in `RetryGuidelineQueryEngine`, to put the question anew from its second retry on;
      in `ComposableGraphQueryEngine`, for a sub-index without an engine of its own; in
      `AutoPrevNextNodePostprocessor` without an `llm`; and in the context builder of the SQL
      indices, `OnDemandLoaderTool` and `LoadAndSearchToolSpec`, which query an index of their own.
      Calls of such LLMs are told by core's instrumentation (`tracing/other_llm_calls.py`).

    Args:
        engine: a query engine, a chat engine, or another part: a synthesizer, a retriever, a tool.
        wrap: gives the LLM to be asked instead of one of the engine's; called once for each.
        replace: called with each part but the engine itself, once, before it is copied. It may
            return an object to stand in for the part wherever that is held, or None. The stand-in
            is copied like a part. It may hold the part, which is in the copy that part's copy.

    Raises:
        TypeError: there is nothing to copy: `engine` is an index, a memory, an LLM or plain data.

    Example:
        >>> from llama_index.core import MockEmbedding, SummaryIndex
        >>> from llama_index.core.llms import MockLLM
        >>> llm = MockLLM()
        >>> engine = SummaryIndex([], embed_model=MockEmbedding(2)).as_query_engine(llm=llm)
        >>> copy = copy_of(engine, lambda llm: MockLLM(max_tokens=5))
        >>> [llm.max_tokens for llm in (*llms_of(engine), *llms_of(copy))]
        [None, 5]
    """
    _check(engine)
    return cast(_T, _Copies(Survey(engine, replace), wrap).whole(engine))


def llms_of(engine: object) -> list[LLM]:
    """The LLMs that a copy of the engine would wrap, each once, the nearest first.

    Raises:
        TypeError: there is nothing to look into: `engine` is an index, a memory or plain data.
    """
    if isinstance(engine, LLM) and copy_rule_of(type(engine)) is CopyRule.LLM:
        return [engine]
    _check(engine)
    return Survey(engine).llms


class _Copies:
    """The copies of what a survey has found, each made when it is first asked for."""

    def __init__(self, survey: Survey, wrap: Callable[[LLM], LLM]) -> None:
        self._survey = survey
        self._wrap = wrap
        self._made: dict[int, Any] = {}
        self._unfilled: deque[tuple[Any, Any]] = deque()
        self._sets: deque[tuple[Any, Any]] = deque()

    def whole(self, obj: Any) -> Any:
        """The copy of `obj`, or `obj` itself if it need not be copied, whole."""
        copy = self.copied(obj)
        # Sets come last: what is put in one may be hashed by its attributes.
        while todo := self._unfilled or self._sets:
            new, old = todo.popleft()
            shape_for(old).fill(new, old, _Holder(self, old))
        return copy

    def held_by(self, holder: Any, held: Any) -> Any:
        """What the copy of `holder` holds instead of `held`."""
        stand_in = self._survey.stand_in_of(held, holder)
        return self.copied(held if stand_in is None else stand_in)

    def copied(self, obj: object) -> Any:
        """The copy of `obj`, which may not be filled yet, or `obj` itself."""
        if id(obj) not in self._survey.copied:
            return obj
        if id(obj) not in self._made:
            self._made[id(obj)] = self._begun(obj)
        return self._made[id(obj)]

    def _begun(self, obj: object) -> Any:
        if isinstance(obj, LLM) and copy_rule_of(type(obj)) is CopyRule.LLM:
            return self._wrap(obj)
        new = shape_for(obj).shell(obj, _Holder(self, obj))
        (self._sets if isinstance(obj, set) else self._unfilled).append((new, cast(Any, obj)))
        return new


class _Holder:
    """What one object asks for what its copy is to hold: `Twins`."""

    def __init__(self, copies: _Copies, holder: Any) -> None:
        self._copies = copies
        self._holder = holder

    def of(self, held: Any) -> Any:
        """What stands for `held`."""
        return self._copies.held_by(self._holder, held)

    def plain(self, held: Any) -> Any:
        """What stands for `held`, past any stand-in."""
        return self._copies.copied(held)


def _check(engine: object) -> None:
    name, role = type(engine).__name__, copy_rule_of(type(engine))
    if isinstance(engine, BaseIndex):
        hint = "an index holds data: pass index.as_query_engine() or as_chat_engine()"
    elif role is CopyRule.LLM:
        hint = "it is an LLM, not something that holds one: wrap it yourself"
    else:
        hint = "pass a query engine, a chat engine or a part of one, such as a retriever"
    if role in (CopyRule.LEFT, CopyRule.LLM):
        raise TypeError(f"this {name} has no parts to copy: {hint}")
