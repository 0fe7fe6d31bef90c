"""Ways to stop a run, at random points."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from llama_index_streaming_ext import StreamingHandler
from tests.support.laws.laws import turns

# A gate may hold a run, so that it never has as many records as are waited for.
_TURNS_AT_MOST = 300


@dataclass(frozen=True)
class When:
    """A point in a run: after so many turns of the loop, or when it has so many records."""

    turns: int
    records: int

    async def comes(self, handler: StreamingHandler) -> None:
        """Wait for it."""
        await turns(self.turns)
        for _ in range(_TURNS_AT_MOST):
            if handler.stream.last_seq >= self.records or handler.stream.done:
                return
            await asyncio.sleep(0)


WHEN = st.builds(When, turns=st.integers(0, 80), records=st.just(0)) | st.builds(
    When, turns=st.just(0), records=st.integers(0, 25)
)


async def let_be(handler: StreamingHandler, when: When) -> None:
    """Let it go on."""
    await when.comes(handler)


async def cancel_run(handler: StreamingHandler, when: When) -> None:
    """Cancel it as users should."""
    await when.comes(handler)
    await handler.cancel_run()


async def cancel_hard(handler: StreamingHandler, when: When) -> None:
    """Cancel it in the deprecated way."""
    await when.comes(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        handler.cancel()


async def wait_for(handler: StreamingHandler, when: When) -> None:
    """Wait for it no longer than a moment."""
    await when.comes(handler)
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await asyncio.wait_for(handler, 0.001)


async def cancel_who_awaits(handler: StreamingHandler, when: When) -> None:
    """Cancel the task that awaits it."""

    async def waits() -> None:
        await handler

    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0)
    await when.comes(handler)
    waiting.cancel()
    await asyncio.wait([waiting])
    if not waiting.cancelled():
        waiting.exception()


async def leave(handler: StreamingHandler, when: When) -> None:
    """Leave the block that owns it."""
    async with handler:
        await when.comes(handler)


async def leave_by_error(handler: StreamingHandler, when: When) -> None:
    """Leave the block that owns it because of an error in the block."""
    with contextlib.suppress(ZeroDivisionError):
        async with handler:
            await when.comes(handler)
            raise ZeroDivisionError


async def leave_by_cancel(handler: StreamingHandler, when: When) -> None:
    """Cancel the task that is in the block that owns it."""

    async def owns() -> None:
        async with handler:
            await asyncio.Event().wait()

    owning = asyncio.create_task(owns())
    await asyncio.sleep(0)
    await when.comes(handler)
    owning.cancel()
    await asyncio.wait([owning])


async def stop_twice(handler: StreamingHandler, when: When) -> None:
    """Cancel it in two ways at once."""
    await when.comes(handler)
    cancelling = asyncio.create_task(handler.cancel_run())
    await asyncio.sleep(0)
    await cancel_hard(handler, When(0, 0))
    await cancelling


Stop = Callable[[StreamingHandler, When], Awaitable[None]]
STOPS: list[Stop] = [
    let_be,
    cancel_run,
    cancel_hard,
    wait_for,
    cancel_who_awaits,
    leave,
    leave_by_error,
    leave_by_cancel,
    stop_twice,
]
