"""Generator tools: what they yield is streamed, and what they give is all of it, or the last."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from typing import Any, TypeAlias, TypeVar, cast

from llama_index.core.tools import AsyncBaseTool, FunctionTool

from llama_index_streaming_ext.events import ToolOutputDelta
from llama_index_streaming_ext.run.progress import ToolAtWork
from llama_index_streaming_ext.upstream.agents import TOOL_FUNCTION

T = TypeVar("T", bound=AsyncBaseTool)

_Generator: TypeAlias = Generator[Any, None, Any]

# How many items a generator's thread may be ahead of the event loop.
_LEAD = 64
# How often a thread that waits for the loop looks whether it is to stop, seconds.
_LOOK = 0.25


def streaming_tool(tool: T, call: ToolAtWork) -> T:
    """A tool that, for one call, streams what its function yields.

    Tools whose function is no generator work as they do in core. The user's tool is not changed.

    Args:
        tool: the tool.
        call: the call that it is going to be called for.
    """
    # A subclass may keep something of its calls in the tool itself: it is copied only if it must.
    if type(tool) is not FunctionTool and not _has_generator(tool):
        return tool
    streaming = copy.copy(cast("Any", tool))
    # Core calls the private attribute, not the property (U27).
    TOOL_FUNCTION.set(streaming, _streaming(streaming.async_fn, call))
    return streaming


def _has_generator(tool: AsyncBaseTool) -> bool:
    """Return True if a tool's function is a generator by its definition."""
    if not isinstance(tool, FunctionTool):
        return False
    return any(_is_generator(function) for function in (tool.real_fn, tool.async_fn))


def _is_generator(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    called = function if inspect.isroutine(function) else type(function).__call__
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


def _streaming(function: Callable[..., Any], call: ToolAtWork) -> Callable[..., Awaitable[Any]]:
    """A function that gives what a function gives, and all that it yields if it is a generator."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        given: Any = function(*args, **kwargs)
        if inspect.isawaitable(given):
            given = await given
        if isinstance(given, AsyncGenerator):
            return await _drain_async(cast("AsyncGenerator[Any, None]", given), Yielded(call))
        if isinstance(given, Generator):
            return await _drain_in_a_thread(cast("_Generator", given), Yielded(call))
        return given

    return run


class Yielded:
    """Items that a generator tool has yielded.

    Args:
        call: the tool call, into whose stream it goes.
    """

    def __init__(self, call: ToolAtWork) -> None:
        self._call = call
        self._texts: list[str] | None = []
        self._last: Any = None

    def add(self, item: Any) -> None:
        """Stream the next item."""
        call, self._last = self._call, item
        if isinstance(item, str):
            if self._texts is not None:
                self._texts.append(item)
            event = ToolOutputDelta(tool_id=call.tool_id, tool_name=call.tool_name, delta=item)
        else:
            self._texts = None
            event = ToolOutputDelta(
                tool_id=call.tool_id, tool_name=call.tool_name, delta=str(item), value=item
            )
        call.write(event)

    @property
    def value(self) -> Any:
        """Return the output of the tool: its texts, joined; the last item if not all are texts."""
        return "".join(self._texts) if self._texts is not None else self._last


async def _drain_async(items: AsyncGenerator[Any, None], yielded: Yielded) -> Any:
    async with aclosing(items):
        async for item in items:
            yielded.add(item)
    return yielded.value


async def _drain_in_a_thread(items: _Generator, yielded: Yielded) -> Any:
    """Drain a sync generator in one thread, from its first line to its last.

    The thread waits for the loop, which could otherwise do nothing but write what it is given.
    """
    stopped = threading.Event()
    room = threading.Semaphore(_LEAD)
    loop = asyncio.get_running_loop()

    def drain() -> Any:
        with closing(items):
            while not stopped.is_set():
                try:
                    item = next(items)
                except StopIteration as end:
                    return end.value if end.value is not None else yielded.value
                yielded.add(item)
                # Behind what was just written.
                loop.call_soon_threadsafe(room.release)
                while not (stopped.is_set() or room.acquire(timeout=_LOOK)):
                    pass
            return None  # nobody waits any more

    try:
        return await asyncio.to_thread(drain)
    finally:
        # Cancelled, nobody can interrupt the thread: it closes the generator at its next item.
        stopped.set()
