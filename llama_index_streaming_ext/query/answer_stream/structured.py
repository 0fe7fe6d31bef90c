"""Synthesizers whose answer is an object: which of their LLM calls gives it, and what cannot work.

Where core streams such an answer, only a field named `answer` comes, and where there is none the
answer is "Empty Response" after the call was paid for (U63). So core is not asked to stream it:
the object comes whole, and what is certain of it is shown before. Which call is the last:

| synthesizer | the last call |
|---|---|
| compact, refine | that for the last of the chunks, which are counted as they are packed |
| tree_summarize | that for what fits into one prompt |
| simple_summarize, generation | the only one (over a StructuredLLM; `output_cls` is nothing to them) |
| accumulate, compact_accumulate | none: `output_cls` gives a text of several objects, a StructuredLLM an error |

Core also keeps errors to itself: a refine step that gives no object is passed over. Where no step
gave one, what the last one failed with is raised here.
"""  # noqa: E501 -- a table

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.base.response.schema import PydanticResponse
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.response_synthesizers.accumulate import Accumulate
from llama_index.core.response_synthesizers.compact_and_refine import CompactAndRefine
from llama_index.core.response_synthesizers.refine import Refine
from llama_index.core.response_synthesizers.tree_summarize import TreeSummarize
from pydantic import BaseModel

from llama_index_streaming_ext.errors import NoStructuredAnswer
from llama_index_streaming_ext.query.engine_copy.method_hooks import (
    Advice,
    MethodHook,
    ObjectProxy,
    hook_method,
)
from llama_index_streaming_ext.query.llms.structured_answer import (
    Synthesis,
    hidden,
    is_hidden,
    making,
)
from llama_index_streaming_ext.upstream.state import state_of
from llama_index_streaming_ext.upstream.synthesizers import (
    AUPDATE,
    COMPACTS,
    LLM,
    PROMPT_HELPERS,
    UPDATE,
    filters_answers,
    llm_of,
    output_cls_of,
)

_BY = "llama_index_streaming_ext.query.answer_stream.structured"
_HIDDEN = f"{_BY}.hidden"
_ASKS = ("predict", "apredict", "structured_predict", "astructured_predict")

_Ask = Callable[..., Any]
_Args = tuple[Any, ...]
_Named = dict[str, Any]


def is_structured(synthesizer: Any) -> bool:
    """Return True if the answer of one of core's synthesizers is an object."""
    if filters_answers(synthesizer):
        return False
    is_asked_for = output_cls_of(synthesizer) is not None
    return is_asked_for or isinstance(llm_of(synthesizer), StructuredLLM)


def check_structure(synthesizer: Any) -> None:
    """See that a synthesizer can give the object that it is to give.

    Raises:
        NoStructuredAnswer: it cannot. Core would ask the LLM for all of it first.
    """
    llm, output_cls = llm_of(synthesizer), output_cls_of(synthesizer)
    if output_cls is not None and not _is_model(output_cls):
        raise NoStructuredAnswer(f"output_cls is to be a class of pydantic's, not {output_cls!r}.")
    if isinstance(synthesizer, Accumulate) and isinstance(llm, StructuredLLM):
        raise NoStructuredAnswer(
            f"{type(synthesizer).__name__} joins several answers, which is no "
            f"{llm.output_cls.__name__}: use another response_mode with a structured LLM, such as "
            "'tree_summarize'."
        )


def show_object(synthesizer: Any) -> None:
    """Have a synthesizer, which is nobody else's, tell which call gives its answer.

    It must not stream. Does nothing for one whose answer is no object.
    """
    if not is_structured(synthesizer) or isinstance(synthesizer, Accumulate):
        return
    making_one = _Making()
    if isinstance(synthesizer, Refine):
        # Private: there is no public hook. Canary: tests/upstream/test_query.py.
        hook_method(synthesizer, UPDATE, making_one.step, by=_BY)
        hook_method(synthesizer, AUPDATE, making_one.step, by=_BY)
        _face(synthesizer, PROMPT_HELPERS, {"repack": making_one.packed})
        for name in COMPACTS if isinstance(synthesizer, CompactAndRefine) else ():
            hook_method(synthesizer, name, making_one.compacted, by=_BY)
    elif isinstance(synthesizer, TreeSummarize):
        _face(synthesizer, PROMPT_HELPERS, {"repack": making_one.summarized})
    else:
        _face(synthesizer, (LLM,), dict.fromkeys(_ASKS, making_one.only))
    hook_method(synthesizer, "synthesize", making_one.synthesize, by=_BY)
    hook_method(synthesizer, "asynthesize", making_one.asynthesize, by=_BY)


def hide_object(synthesizer: Any) -> None:
    """Have a synthesizer show its object no more: its answer is only a part of another one."""
    shown = state_of(synthesizer).get("synthesize")
    if isinstance(shown, MethodHook) and shown.is_by(_BY):
        hook_method(synthesizer, "synthesize", _hiding, by=_HIDDEN)
        hook_method(synthesizer, "asynthesize", _ahiding, by=_HIDDEN)


def _hiding(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
    with hidden():
        return ask(*args, **kwargs)


async def _ahiding(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
    with hidden():
        return await ask(*args, **kwargs)


def _is_model(output_cls: Any) -> bool:
    return isinstance(output_cls, type) and issubclass(output_cls, BaseModel)


def _face(synthesizer: Any, names: tuple[str, ...], hooks: dict[str, Advice]) -> None:
    state = state_of(synthesizer)
    for name in names:
        state[name] = ObjectProxy(state[name], hooks, by=_BY)


class _Making:
    """Advice around the methods of one synthesizer, and of its parts."""

    def __init__(self) -> None:
        self._synthesis = Synthesis()
        self._chunks = 0
        self._stepping = False

    # Which call is the last

    def packed(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """A refiner packs its chunks: all of them first, and each again when its turn has come."""
        chunks = ask(*args, **kwargs)
        # One that has grown too long comes apart, and its parts take its place.
        self._chunks += len(chunks) - 1 if self._stepping else len(chunks)
        return chunks

    def compacted(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """Chunks are put together, before the refiner packs what comes of it."""
        chunks = ask(*args, **kwargs)
        self._chunks = 0
        return chunks

    def step(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """A refiner asks about the next chunk."""
        self._stepping = True
        self._chunks -= 1
        self._synthesis.is_last = self._chunks == 0
        return ask(*args, **kwargs)

    def summarized(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """A summary that fits into one prompt is the last one."""
        chunks = ask(*args, **kwargs)
        self._synthesis.is_last = len(chunks) == 1
        return chunks

    def only(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """There is only one call."""
        self._synthesis.is_last = True
        return ask(*args, **kwargs)

    # What comes of it

    def synthesize(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """The answer is made."""
        if is_hidden():
            return ask(*args, **kwargs)
        synthesis = self._begun(*args, **kwargs)
        with making(synthesis):
            try:
                return _checked(ask(*args, **kwargs), synthesis)
            except Exception as error:
                _raise(synthesis, error)
                raise

    async def asynthesize(self, ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        """The answer is made."""
        if is_hidden():
            return await ask(*args, **kwargs)
        synthesis = self._begun(*args, **kwargs)
        with making(synthesis):
            try:
                return _checked(await ask(*args, **kwargs), synthesis)
            except Exception as error:
                _raise(synthesis, error)
                raise

    def _begun(
        self, query: Any, nodes: Any, additional_source_nodes: Any = None, **_: Any
    ) -> Synthesis:
        self._synthesis = Synthesis(sources=[*nodes, *(additional_source_nodes or ())])
        self._chunks, self._stepping = 0, False
        return self._synthesis


def _checked(response: Any, synthesis: Synthesis) -> Any:
    """The response, unless core has none and says so in other words."""
    if isinstance(response, PydanticResponse) or synthesis.failure is None:
        return response
    raise synthesis.failure


def _raise(synthesis: Synthesis, error: Exception) -> None:
    """Raise what a call has failed with, not what core made of it."""
    if synthesis.failure is not None and synthesis.failure is not error:
        raise synthesis.failure from (synthesis.failure.__cause__ or error)
