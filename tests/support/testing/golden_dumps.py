"""Chunks and answers as plain data, in the form in which `tests/data/golden` keeps them."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, cast

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from pydantic import BaseModel

from tests.support.paths import DATA

Dump = dict[str, Any]

Answer = ChatResponse | CompletionResponse


def golden(name: str) -> Dump:
    """What the real classes yielded for a body."""
    return json.loads((DATA / "golden" / f"{name}.json").read_text())


def wire(name: str) -> bytes:
    """The body of a provider's answer."""
    return (DATA / "wire" / name).read_bytes()


def expected(dumps: Dump, entry: str) -> Dump:
    """One entry of a golden file, where it may refer to another."""
    found = dumps[entry]
    return expected(dumps, found["same_as"]) if "same_as" in found else found


def plain(value: Any) -> Any:
    """A value as JSON would have it; of objects only the fields that were set."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, warnings=False)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    return copy.deepcopy(value)


def dump(answer: Answer, llm: FunctionCallingLLM) -> Dump:
    """One chunk or answer."""
    extra = cast("Dump", answer.additional_kwargs)  # pyright: ignore[reportUnknownMemberType]
    dumped: Dump = {
        "delta": answer.delta,
        "additional_kwargs": plain(extra),
        "raw_type": type(answer.raw).__name__,
        "logprobs": plain(answer.logprobs),
    }
    if isinstance(answer, CompletionResponse):
        return dumped | {"text": answer.text}
    message = answer.message
    return dumped | {
        "role": message.role.value,
        "content": message.content,
        "blocks": [_block(block) for block in message.blocks],
        "message.additional_kwargs": plain(message.additional_kwargs),
        "raw": plain(answer.raw),
        "tool_selections": _selections(answer, llm),
    }


def _selections(answer: ChatResponse, llm: FunctionCallingLLM) -> Any:
    try:
        calls = llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
    except (AttributeError, ValueError) as error:  # the real class does so for odd calls
        return str(error)
    return [call.model_dump() for call in calls]


def _block(block: BaseModel) -> Dump:
    dumped = block.model_dump(mode="json")
    empty = {k for k, v in dumped.items() if v is None or (v == {} and k != "tool_kwargs")}
    return {k: v for k, v in dumped.items() if k not in empty}


class Recording:
    """What a stream yielded, and how it ended."""

    def __init__(self, llm: FunctionCallingLLM) -> None:
        self._llm = llm
        self._kept: list[Answer] = []
        self.chunks: list[Dump] = []
        self.error: Dump | None = None

    @property
    def mutated_later(self) -> list[int]:
        """Which chunks a reader that keeps them sees change."""
        now = [dump(chunk, self._llm) for chunk in self._kept]
        return [
            i for i, (then, chunk) in enumerate(zip(self.chunks, now, strict=True)) if then != chunk
        ]

    def add(self, chunk: Answer) -> None:
        """Keeps a chunk."""
        self._kept.append(chunk)
        self.chunks.append(dump(chunk, self._llm))

    def failed(self, error: Exception) -> None:
        """Keeps the error that it ended with."""
        cls = type(error)
        kind = f"{cls.__module__}.{cls.__qualname__}"
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        self.error = {"type": kind, "str": str(error), "cause": cause}


def record(llm: FunctionCallingLLM, stream: Callable[[], Iterable[Answer]]) -> Recording:
    """Reads a stream to its end."""
    recording = Recording(llm)
    try:
        for chunk in stream():
            recording.add(chunk)
    except Exception as error:  # what it raises is part of what it does
        recording.failed(error)
    return recording


async def arecord(
    llm: FunctionCallingLLM, stream: Callable[[], Awaitable[AsyncIterable[Answer]]]
) -> Recording:
    """Reads a stream to its end."""
    recording = Recording(llm)
    try:
        async for chunk in await stream():
            recording.add(chunk)
    except Exception as error:  # what it raises is part of what it does
        recording.failed(error)
    return recording
