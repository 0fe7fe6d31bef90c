"""Observers of LLM calls: they get the events and the text that `StreamingLLM` sees."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

from llama_index_streaming_ext.events import Event, LLMCallStarted
from llama_index_streaming_ext.stream.deltas import ToolArguments
from llama_index_streaming_ext.stream.origin import current_origin, running_id

OnIncomplete = Literal["event", "raise"]

TextSink: TypeAlias = Callable[[str, str, str | None, Any], None]
"""The function that gets a call's text: its id, text, thought and the provider's chunk."""

_current: ContextVar[CallObserver | None] = ContextVar(
    "llama_index_streaming_ext.llm.observer", default=None
)


class RunCalls:
    """The LLM calls of a run.

    Attributes:
        open: those that are going on, by their ids: what to write of each that is broken off.
    """

    def __init__(self) -> None:
        self.open: dict[str, Callable[[], Event]] = {}
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Return the number of the next call, from 1."""
        return next(self._numbers)

    def broken_off(self) -> list[Event]:
        """Return the events of the calls that are going on when the run has ended."""
        return [broken_off() for broken_off in list(self.open.values())]


# Calls that belong to no run are told apart all the same.
_alone = RunCalls()


class CallObserver:
    """The observer of the LLM calls that are made at one place, such as a step of a run.

    Args:
        run_id: the run that the calls belong to.
        write: writes an event into its stream, from any thread.
        calls: the calls of the run; None where nobody counts them.
        room: waits until the run's readers are less than so many records behind; None where
            nobody knows them.

    Attributes:
        run_id: as given.
        agent: the agent that asks, None where it is no agent.
        iteration: how many times the agent has asked in this run, from 1.
        on_incomplete: what to do about an answer that is not whole; None for what the LLM is
            set to.
        wants_text: whether it is told the text, too, which the caller gets as well.
        writes_text: whether it writes the text itself; then the caller needs the last chunk only.
        max_lead: how many chunks the LLM may be ahead of the readers; None for any number.
    """

    agent: str | None = None
    iteration: int | None = None
    on_incomplete: OnIncomplete | None = None
    wants_text = False
    writes_text = False
    max_lead: int | None = None

    def __init__(
        self,
        run_id: str,
        write: Callable[[Event], None],
        calls: RunCalls | None = None,
        room: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.run_id = run_id
        self.write = write
        self._room = room
        # Where the run is not ours, several sites of it must not give the same number.
        self.calls = calls or _alone

    def call_id(self) -> str:
        """Return the id of the next call."""
        return f"{self.run_id}-{self.calls.number()}"

    async def on_start(self, started: LLMCallStarted) -> None:
        """A call is going to be made; what comes after this in the log is written after it."""
        self.on_start_sync(started)

    def on_start_sync(self, started: LLMCallStarted) -> None:
        """A call is going to be made, by synchronous code."""
        self.write(started)

    def owns_text(self, call_id: str) -> bool:
        """Return True if it writes the text of a call that has begun itself."""
        return self.writes_text

    def on_open(self, call_id: str) -> None:
        """The LLM has taken a call that streams."""

    def on_text(self, call_id: str, delta: str, thinking: str | None, raw: Any) -> None:
        """A call goes on, where the observer writes or wants the text.

        Args:
            call_id: the call.
            delta: the text that is added.
            thinking: the thought that is added.
            raw: the provider's chunk.
        """
        raise NotImplementedError

    def text_sink(self, call_id: str) -> TextSink:
        """Return what gets the text of a call: `on_text`, or what does the same faster."""
        return self.on_text

    def on_arguments(self, tool_id: str, tool_name: str, index: int, call_id: str) -> ToolArguments:
        """The model begins to write the arguments of a tool call."""
        origin = current_origin()._replace(call_id=call_id, tool_id=tool_id)
        return ToolArguments(tool_id, tool_name, index, origin)

    def on_arguments_delta(self, series: ToolArguments, delta: str) -> None:
        """A tool call's arguments go on."""
        token = series.next(0.0, delta)
        self.write(token.event())

    def has_room(self) -> bool:
        """Return True if the readers are certainly near enough to go on without waiting."""
        return False

    async def wait_for_room(self, lead: int) -> int:
        """Wait until the readers are less than `lead` chunks behind.

        Returns:
            How many more chunks may be read before it has to be asked again.
        """
        if self._room is not None:
            await self._room(lead)
        return 0

    def wait_for_room_sync(self, lead: int) -> None:
        """Do what `wait_for_room` does, in a thread that may block."""


def current_observer() -> CallObserver | None:
    """Return the observer of the LLM call that is made here, None outside of one.

    An observer belongs to its run: a run that is started inside another one's step inherits the
    context of that step, but not its observer.
    """
    site = _current.get()
    return site if site is not None and running_id() == site.run_id else None


def lone_call_id() -> str:
    """Return the id of a call that belongs to no run."""
    return f"call-{_alone.number()}"


@contextmanager
def observed_by(site: CallObserver | None) -> Generator[None, None, None]:
    """Have the LLM calls that are made in this context observed."""
    token = _current.set(site)
    try:
        yield
    finally:
        _current.reset(token)
