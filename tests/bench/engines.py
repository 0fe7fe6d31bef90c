"""What a reader gets of every kind of query engine, and when: ours beside upstream's.

Run it with `python tests/bench/engines.py`. It prints a table in markdown, in which every
cell says `ours / upstream's`. Time is counted in tokens of the LLM, so the table is the same
everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from llama_index.core import Settings
from llama_index.core.base.response.schema import AsyncStreamingResponse

from llama_index_streaming_ext.events import AnswerDelta, LLMCallDelta
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from tests.support.query import engines as kinds
from tests.support.query.scripted import ScriptedLLM

RUNS = 3

PACE = 0.003
"""Seconds that a token takes, so that a reader in another thread keeps up."""

LEGEND = """\
Every cell: ours (`StreamingQueryEngine(engine, show="calls")`) / upstream's (built to stream).
deltas: in how many pieces the answer can be read. LLM calls, calls streamed: what the LLM was
asked. first answer token: how many tokens all LLM calls had said when the reader got the first
piece of the answer. first token seen: the same, of the first piece of anything that an LLM says; of
upstream's engines, nothing is seen but the answer.
"""


class Row(NamedTuple):
    """What is measured of one query.

    Attributes:
        deltas: in how many pieces the answer was read; an error's name where there was none.
        calls: how many LLM calls were made.
        streamed: how many of them were streamed.
        first: how many tokens the LLM had said when the first piece of the answer was read.
        seen: how many, when the first piece of anything was read.
    """

    deltas: int | str
    calls: int
    streamed: int
    first: int | None
    seen: int | None


class NoResponse(TypeError):
    """What an engine gave is no response."""


Measure = Callable[[Any, ScriptedLLM, str], Row]


class Reader:
    """A reader of an answer, who looks at the LLM when the first piece comes."""

    def __init__(self, llm: ScriptedLLM) -> None:
        self._llm = llm
        self.deltas = 0
        self.first: int | None = None

    def got(self, delta: str) -> None:
        """A piece was read."""
        if not delta:
            return
        self.deltas += 1
        if self.first is None:
            self.first = self._llm.produced


def upstream_sync(engine: Any, llm: ScriptedLLM, question: str) -> Row:
    """Upstream's engine, by `query`."""
    response = kinds.query(engine, question)
    reader = Reader(llm)
    for delta in _pieces(response):
        reader.got(delta)
    return _row(reader, llm, reader.first)


def upstream_async(engine: Any, llm: ScriptedLLM, question: str) -> Row:
    """Upstream's engine, by `aquery`."""

    async def measure() -> Row:
        response = await engine.aquery(question)
        reader = Reader(llm)
        if isinstance(response, AsyncStreamingResponse):
            live: AsyncIterator[str] = response.async_response_gen()
            async for delta in live:
                reader.got(delta)
        else:
            for delta in _pieces(response):
                reader.got(delta)
        return _row(reader, llm, reader.first)

    return asyncio.run(measure())


def _pieces(response: Any) -> Iterator[str]:
    live = getattr(response, "response_gen", None)
    if live is not None:
        yield from live
    elif hasattr(response, "response"):
        yield str(response) if response.response else ""
    else:
        raise NoResponse(f"This is no response, but a {type(response).__name__}.")


def ours_sync(engine: Any, llm: ScriptedLLM, question: str) -> Row:
    """Our adapter, by `query`."""
    # So that the LLM is no further than the reader.
    response = StreamingQueryEngine(engine, show="calls", max_lead=1).query(question)
    reader = Reader(llm)
    for delta in response.read():
        reader.got(delta)
    return _row(reader, llm, None)


def ours_async(engine: Any, llm: ScriptedLLM, question: str) -> Row:
    """Our adapter, by `aquery`."""

    async def measure() -> Row:
        adapter = StreamingQueryEngine(engine, show="calls", max_lead=1)
        response = await adapter.aquery(question)
        reader = Reader(llm)
        async for delta in response.read():
            reader.got(delta)
        return _row(reader, llm, None)

    return asyncio.run(measure())


def seen_sync(engine: Any, llm: ScriptedLLM, question: str) -> int | None:
    """When the first piece of anything is seen, by `stream_query` in a thread."""
    response: Any = stream_query(engine, question, show="calls", max_lead=1)
    found: int | None = None
    for event in response.events((LLMCallDelta, AnswerDelta)):
        if found is None and getattr(event, "delta", ""):
            found = llm.produced
    return found


def seen_async(engine: Any, llm: ScriptedLLM, question: str) -> int | None:
    """When the first piece of anything is seen, by `stream_query` in an event loop."""

    async def measure() -> int | None:
        response: Any = stream_query(engine, question, show="calls", max_lead=1)
        found: int | None = None
        async for event in response.events((LLMCallDelta, AnswerDelta)):
            if found is None and getattr(event, "delta", ""):
                found = llm.produced
        return found

    return asyncio.run(measure())


def _row(reader: Reader, llm: ScriptedLLM, seen: int | None) -> Row:
    return Row(reader.deltas, len(llm.calls), llm.streamed, reader.first, seen)


def measured(name: str, measure: Callable[[Any, ScriptedLLM, str], Any]) -> Any:
    """What is measured of a kind of engine that is built to stream."""
    engine, llm, question = kinds.build(name, streaming=kinds.KINDS[name].both, pace=PACE)
    Settings.llm = llm
    try:
        return measure(engine, llm, question)
    except Exception as error:
        return Row(type(error).__name__, len(llm.calls), llm.streamed, None, None)


def of_ours(name: str, ask: Measure, see: Callable[[Any, ScriptedLLM, str], int | None]) -> Row:
    """What is measured of ours, the soonest of some runs: its threads go on while one looks."""
    rows: list[Row] = [measured(name, ask) for _ in range(RUNS)]
    seen = [found for _ in range(RUNS) if isinstance(found := measured(name, see), int)]
    firsts = [row.first for row in rows if row.first is not None]
    return rows[0]._replace(first=min(firsts, default=None), seen=min(seen, default=None))


def lines() -> Iterator[str]:
    """The table."""
    yield "| engine | asked by | deltas | LLM calls | calls streamed | first answer token "
    yield "| first token seen |\n|---|---|---|---|---|---|---|\n"
    for name in kinds.KINDS:
        sync = _cells(of_ours(name, ours_sync, seen_sync), measured(name, upstream_sync))
        both = _cells(of_ours(name, ours_async, seen_async), measured(name, upstream_async))
        if sync == both:
            yield f"| {name} | both | {sync} |\n"
        else:
            yield f"| {name} | query | {sync} |\n| {name} | aquery | {both} |\n"


def _cells(ours: Row, upstream: Row) -> str:
    pairs = zip(ours, upstream, strict=True)
    return " | ".join(f"{_cell(our)} / {_cell(their)}" for our, their in pairs)


def _cell(value: int | str | None) -> str:
    return "-" if value is None else str(value)


def main() -> None:
    """Print the table."""
    # Core logs a traceback for a sub-question that fails.
    logging.disable(logging.WARNING)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        table = "".join(lines())
        Settings.llm = None  # pyright: ignore[reportAttributeAccessIssue] # as core documents
    print(LEGEND)
    print(table, end="")


if __name__ == "__main__":
    main()
