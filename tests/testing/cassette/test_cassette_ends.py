"""How calls end, and when their chunks are due."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import LLM

from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    ProviderError,
    Turn,
    fail,
    http,
    text,
    usage,
    wait,
)
from llama_index_streaming_ext.testing.cassette import (
    CassetteEnded,
    ReplayedError,
    record_llm,
    replay_llm,
)
from tests.support.testing.cassette_files import ASK, handmade, in_virtual_time, lines, recorder
from tests.support.testing.golden_dumps import record

GREETING = Turn(text("Hel", "lo", "!"), usage(3, 4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the cassette is."""
    return tmp_path / "calls.jsonl"


def test_offsets_are_seconds_since_the_request(path: Path) -> None:
    """The time between the call and the first `next()` does not count: nothing was sent yet."""
    llm = record_llm(FakeStreamingLLM([Turn(text("a"), wait(0.5), text("b"))]), path)

    async def ask() -> None:
        stream = await llm.astream_chat(ASK)
        await asyncio.sleep(3)
        assert [chunk.delta async for chunk in stream] == ["", "a", "b", ""]

    in_virtual_time(ask())
    offsets = [line["at"] for line in lines(path) if "chunk" in line]
    assert offsets == [0.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize("speed", [1.0, 2.0, 0.5])
def test_replays_wait_until_each_chunk_is_due(path: Path, speed: float) -> None:
    """`speed` divides the offsets; a slow reader is not made slower."""
    handmade(path, [16.0, 64.0, 128.0], end={"at": 256.0, "end": "finished"})
    due: list[float] = []

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async for _ in await replay_llm(path, speed=speed).astream_chat(ASK):
            due.append(loop.time() - began)
            await asyncio.sleep(8 / speed)
        due.append(loop.time() - began)

    in_virtual_time(ask())
    assert due == [16 / speed, 64 / speed, 128 / speed, 256 / speed]


@pytest.mark.parametrize("speed", [0, float("inf")])
def test_no_waits_if_asked(path: Path, speed: float) -> None:
    """With speed 0 or infinity an hour passes at once."""
    handmade(path, [3600.0], end={"at": 7200.0, "end": "finished"})
    assert len(list(replay_llm(path, speed=speed).stream_chat(ASK))) == 1


@pytest.mark.parametrize("speed", [-1, float("nan")])
def test_speeds_that_make_no_sense(path: Path, speed: float) -> None:
    """A negative speed is refused."""
    with pytest.raises(ValueError, match="speed= is 0 or more"):
        replay_llm(path, speed=speed)


def test_a_closed_reader_is_recorded(path: Path) -> None:
    """A reader that closes at the same place sees the same; one that goes on is told why not."""
    stream = recorder(path, [GREETING]).stream_chat(ASK)
    wanted = [next(stream).delta, next(stream).delta]
    stream.close()
    again = replay_llm(path, speed=0).stream_chat(ASK)
    assert [next(again).delta, next(again).delta] == wanted
    with pytest.raises(CassetteEnded, match="after 2 chunks: its reader closed the stream there"):
        next(again)


async def test_a_cancelled_reader_is_recorded(path: Path) -> None:
    """The recording of a cancelled task ends with the chunks that it saw."""
    fake = FakeStreamingLLM([Turn(text("Hel"), wait(3600))])
    llm = record_llm(fake, path)
    seen: list[Any] = []
    arrived = asyncio.Event()

    async def read() -> None:
        async for chunk in await llm.astream_chat(ASK):
            seen.append(chunk.delta)
            if chunk.delta:
                arrived.set()

    task = asyncio.create_task(read())
    await arrived.wait()
    task.cancel()
    await asyncio.wait([task])
    assert lines(path)[-1]["end"] == "cancelled"
    assert fake.calls[0].closed_by == "CancelledError"
    again = record(llm, lambda: replay_llm(path, speed=0).stream_chat(ASK))
    assert [chunk["delta"] for chunk in again.chunks] == seen


def test_closing_the_recording_closes_the_source(path: Path) -> None:
    """Once its reader has closed it, the LLM's own stream is closed, too."""
    fake = FakeStreamingLLM([GREETING])
    stream = record_llm(fake, path).stream_chat(ASK)
    next(stream)
    stream.close()
    assert fake.calls[0].closed_by == "GeneratorExit"


async def test_closing_the_async_recording_closes_the_source(path: Path) -> None:
    """So it is for async streams: the real class's own generator is closed."""
    fake = FakeStreamingLLM([GREETING])
    stream: Any = await record_llm(fake, path).astream_chat(ASK)
    await anext(stream)
    await stream.aclose()
    assert lines(path)[-1]["end"] == "closed"


def test_a_stream_that_nobody_reads_is_not_recorded(path: Path) -> None:
    """The request is made at the first `next()` (U76), so before it there is nothing to record."""
    recorder(path, [GREETING]).stream_chat(ASK)
    assert len(lines(path)) == 1


def test_an_unfinished_recording_is_replayed_as_far_as_it_goes(path: Path) -> None:
    """Where the recording process died, the replay says so."""
    handmade(path, [0.0, 0.1], end=None)
    stream = replay_llm(path, speed=0).stream_chat(ASK)
    assert [next(stream).delta, next(stream).delta] == ["0", "1"]
    with pytest.raises(CassetteEnded, match="the process that recorded it stopped there"):
        next(stream)


def test_errors_of_the_call_itself_are_raised_by_the_call(path: Path) -> None:
    """An LLM that cannot stream says so at the call, recorded and replayed."""
    llm = record_llm(FakeStreamingLLM([], streaming=False), path)
    with pytest.raises(NotImplementedError):
        llm.stream_chat(ASK)
    with pytest.raises(NotImplementedError):
        replay_llm(path, speed=0).stream_chat(ASK)


def test_errors_of_unknown_types_are_named(path: Path) -> None:
    """An error of a class that is not made from files is a ReplayedError with its name."""

    class OddError(Exception):
        pass

    llm = record_llm(FakeStreamingLLM([Turn(text("a"), fail(OddError("odd")))]), path)
    with pytest.raises(OddError):
        list(llm.stream_chat(ASK))
    with pytest.raises(ReplayedError, match="OddError: odd"):
        list(replay_llm(path, speed=0).stream_chat(ASK))


def test_status_errors_keep_what_the_provider_said(path: Path) -> None:
    """A rate limit comes back with its status, its body and how long to wait."""
    llm = recorder(path, [Turn(http(429, retry_after=2.0, message="Slow down."))] * 3)
    wanted = raised(llm)
    again = raised(replay_llm(path, speed=0))
    assert type(again) is type(wanted)
    assert (again.status_code, again.body) == (429, wanted.body)
    assert again.response.headers["retry-after"] == wanted.response.headers["retry-after"]


def raised(llm: LLM) -> Any:
    """The error of a stream."""
    with pytest.raises(Exception, match="Slow down") as error:
        list(llm.stream_chat(ASK))
    return error.value


def test_errors_of_a_provider_without_its_package(path: Path) -> None:
    """What was recorded as a ProviderError is one again."""
    error = ProviderError("Slow down.", status_code=429, body={"message": "Slow down."})
    llm = record_llm(FakeStreamingLLM([Turn(fail(lambda: error))]), path)
    with pytest.raises(ProviderError):
        list(llm.stream_chat(ASK))
    with pytest.raises(ProviderError, match=r"Slow down\.") as again:
        list(replay_llm(path, speed=0).stream_chat(ASK))
    assert (again.value.status_code, again.value.body) == (429, error.body)
