"""The options of an LLM within a query, and the signals that stop its calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from llama_index_streaming_ext.llm.options import Options
from llama_index_streaming_ext.threads.stop_signal import StopSignal


class Stop(NamedTuple):
    """The signals that stop the calls of a query."""

    signal: StopSignal | None
    """Stops them; None for calls that go on."""
    loop: asyncio.AbstractEventLoop | None = None
    """The loop on which the calls are cancelled with the query's own task, None if there is none.

    Cancelled twice, a task would break off its own cleaning up, and leave connections open.
    """


@dataclass(frozen=True, slots=True)
class QueryOptions(Options):
    """The options of an LLM within a query.

    Attributes:
        stop: stops its calls.
        show_calls: whether calls that are not streamed are streamed all the same, to show them.
        loop: the loop that the engine works on, in a task that is cancelled with the query; None
            where it works in a thread.
    """

    stop: StopSignal | None = None
    show_calls: bool = False
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def stops_tasks(self) -> Stop:
        """The signal that stops async calls."""
        return Stop(self.stop, self.loop)
