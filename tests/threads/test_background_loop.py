"""The background loop: when it begins, what it survives, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context

import pytest

from llama_index_streaming_ext.errors import LoopClosed
from llama_index_streaming_ext.threads.background_loop import (
    LoopThread,
    background,
    on_background_loop,
)
from llama_index_streaming_ext.threads.from_thread import call
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.background_calls import LONG, answer


async def forever() -> None:
    """No result."""
    await asyncio.Event().wait()


def test_there_is_one_per_process() -> None:
    """Whoever asks."""
    seen = list[LoopThread]()
    threads = [threading.Thread(target=lambda: seen.append(background())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [background()] * 8


def test_a_task_gives_its_result() -> None:
    """To whoever asks for it, as often as they like."""
    task = background().submit(answer, copy_context())
    assert task.result(LONG) == 42
    assert task.result() == 42
    assert task.done


def test_a_task_that_is_cancelled_says_so() -> None:
    """Also one that had not begun to run."""
    ended = list[BaseException | None]()
    task = background().submit(forever, copy_context())
    task.on_done(ended.append)
    assert not task.wait(0.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        task.result(LONG)
    assert [type(error) for error in ended] == [asyncio.CancelledError]


def test_a_task_knows_that_it_runs_on_the_loop() -> None:
    """And other threads that they do not."""

    async def here() -> bool:
        return on_background_loop()

    assert background().submit(here, copy_context()).result(LONG)
    assert not on_background_loop()


def test_closing_cancels_what_runs_and_refuses_what_comes() -> None:
    """Nobody waits for a loop that is gone."""
    thread = LoopThread()
    running = thread.submit(forever, copy_context())
    thread.close()
    assert not thread.runs
    with pytest.raises(asyncio.CancelledError):
        running.result(LONG)
    with pytest.raises(LoopClosed):
        thread.submit(answer, copy_context())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_task_cannot_end_the_loop(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """One that somebody else has started on it: it is told of, and what runs there goes on."""
    beside = background().submit(forever, copy_context())

    async def start_it() -> None:
        async def leave() -> None:
            raise error

        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        # Retrieved, or asyncio would tell of it, too, whenever it is collected.
        task.exception()

    background().submit(start_it, copy_context()).wait(LONG)
    assert call(answer, StopSignal()) == 42
    assert "tried to end it" in caplog.text
    assert not beside.done
    beside.cancel()
