"""Compact and refine, token by token on every core.

Until 0.14.24 they hand out one chunk, when the LLM is done (U51). From 0.14.25 on core does what is
done here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import llama_index.core
from llama_index.core.response_synthesizers.refine import DefaultRefineProgram, Refine

from llama_index_streaming_ext.query.engine_copy.method_hooks import hook_method
from llama_index_streaming_ext.upstream.state import state_of

_BY = "llama_index_streaming_ext.query.answer_stream.refine"

_FIRST_WITH_TOKENS = [0, 14, 25]


def hands_out_tokens(version: str) -> bool:
    """Whether a version of core hands the tokens of a refine step out as they come."""
    return list(map(int, re.findall(r"\d+", version)[:3])) >= _FIRST_WITH_TOKENS


def stream_refine(synthesizer: Refine) -> None:
    """Have a synthesizer, which is nobody else's and streams, hand out tokens as they come."""
    if not hands_out_tokens(llama_index.core.__version__):
        stream_steps(synthesizer)


def stream_steps(synthesizer: Refine) -> None:
    """What `stream_refine` does, whatever the version of core."""
    # Private: there is no public hook. Canary: test_engine_flow.py.
    hook_method(synthesizer, "_update_response", _update, by=_BY)
    hook_method(synthesizer, "_aupdate_response", _aupdate, by=_BY)


def _update(ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    program: Any = args[0]
    if not _streams_text(ask, program):
        return ask(*args, **kwargs)

    def tokens() -> Generator[str]:
        # The LLM is asked at the first next(), as by core.
        yield from program._llm.stream(program._prompt, **args[1], **args[2])

    return tokens()


async def _aupdate(ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    program: Any = args[0]
    if not _streams_text(ask, program):
        return await ask(*args, **kwargs)

    async def tokens() -> AsyncGenerator[str]:
        async for token in await program._llm.astream(program._prompt, **args[1], **args[2]):
            yield token

    return tokens()


def _streams_text(ask: Any, program: Any) -> bool:
    # The flag is looked at each time: it may have been taken back since.
    if type(program) is not DefaultRefineProgram or state_of(program)["_output_cls"] is not None:
        return False
    return bool(state_of(ask.__self__)["_streaming"])
