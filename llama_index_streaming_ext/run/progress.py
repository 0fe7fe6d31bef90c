"""Progress of a tool: `emit_progress`, and the tool call that it belongs to."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from llama_index_streaming_ext.events import Event, ToolProgress
from llama_index_streaming_ext.stream.origin import Origin, coming_from, running_id
from llama_index_streaming_ext.threads.loops import running_loop

logger = logging.getLogger("llama_index_streaming_ext")


@dataclass(frozen=True, slots=True, eq=False)
class ToolAtWork:
    """A tool call that is being executed.

    Attributes:
        tool_id: the id of the call.
        tool_name: the tool.
        run_id: the run that it belongs to.
        origin: where what it writes comes from.
        to_stream: writes an event into the run's stream, from any thread.
    """

    tool_id: str
    tool_name: str
    run_id: str
    origin: Origin
    to_stream: Callable[[Event], None]

    def write(self, event: Event) -> None:
        """Write an event that comes from this call, from any thread."""
        # A thread that the user starts has no context: the origin is said anew.
        with coming_from(self.origin):
            self.to_stream(event)


_at_work: ContextVar[ToolAtWork | None] = ContextVar("llama_index_streaming_ext.tool", default=None)
# All in this process: a thread that knows of none may have been started by one of them.
_all_at_work: set[ToolAtWork] = set()


@contextmanager
def working_on(tool: ToolAtWork) -> Generator[None, None, None]:
    """Make a tool call the current one of this context."""
    token = _at_work.set(tool)
    _all_at_work.add(tool)
    try:
        yield
    finally:
        _all_at_work.discard(tool)
        _at_work.reset(token)


def current_tool() -> ToolAtWork | None:
    """Return the tool call that is executed here, None outside of one.

    A call belongs to its run: a run that a tool starts inherits the context of the tool, and yet
    its steps are not at work on that call.
    """
    tool = _at_work.get()
    # Users who set instrument tags of their own inside a tool take the run's away.
    return tool if tool is not None and running_id() in (tool.run_id, "") else None


class ProgressEmitter:
    """Function that reports the progress of one tool call from any thread; see `tool_progress`.

    Args:
        tool: the tool call; None where there is none, so that nothing is written.
    """

    def __init__(self, tool: ToolAtWork | None) -> None:
        self._tool = tool

    def __call__(
        self,
        message: str = "",
        *,
        current: float | None = None,
        total: float | None = None,
        **data: Any,
    ) -> None:
        """Report the progress of the tool; see `emit_progress`."""
        tool = self._tool
        # It is made, and so checked, also where nobody gets to see it.
        event = ToolProgress(
            tool_id=tool.tool_id if tool is not None else "",
            tool_name=tool.tool_name if tool is not None else "",
            message=message,
            current=current,
            total=total,
            data=data,
        )
        if tool is not None:
            tool.write(event)
        else:
            logger.debug("No tool call is at work here; nobody sees %r", event)


def emit_progress(
    message: str = "",
    *,
    current: float | None = None,
    total: float | None = None,
    **data: Any,
) -> None:
    """Report the progress of a tool: write a `ToolProgress` into the stream of its run.

    Call it anywhere inside a tool of this package's agents: in async code, in a sync tool, in
    `asyncio.to_thread`. In a thread that you start yourself, call the function that
    `tool_progress()` returns.

        def crunch(rows: list[int]) -> int:
            for done, row in enumerate(rows):
                emit_progress("crunching", current=done, total=len(rows))

    Outside of such a tool (in a unit test of the function, or in an agent of core's) it only logs
    a line at debug level.

    Args:
        message: the work that the tool is doing.
        current: the amount that is done, in the unit of `total`.
        total: the amount of all the work.
        **data: further values; they are in `ToolProgress.data`.

    Raises:
        ValueError: `message` is no str, or `current` or `total` no number.
        LoopClosed: the event loop of the run is closed.
    """
    tool_progress()(message, current=current, total=total, **data)


def tool_progress() -> ProgressEmitter:
    """Return a function that reports the progress of this tool call from any thread.

    Get it in the tool and call it like `emit_progress`, also in threads of your own:

        def crunch(parts: int) -> str:
            progress = tool_progress()
            threads = [Thread(target=work, args=(part, progress)) for part in range(parts)]

    Outside of a tool of this package's agents the function only logs a line at debug level.
    """
    tool = current_tool()
    if tool is None and _all_at_work and _in_a_bare_thread():
        warnings.warn(
            "This thread does not know which tool call it works for, so nobody sees its progress: "
            "take `progress = tool_progress()` in the tool, and call progress(...) in the thread.",
            RuntimeWarning,
            stacklevel=3,
        )
    return ProgressEmitter(tool)


def _in_a_bare_thread() -> bool:
    """Return True in a thread that runs no event loop and has no context of a run."""
    if threading.current_thread() is threading.main_thread() or running_id():
        return False
    return running_loop() is None
