"""The end of an agent's run: what a broken-off turn has shown goes into its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.memory import BaseMemory

from llama_index_streaming_ext.agents.run_memory import use_memory
from llama_index_streaming_ext.agents.turn_history import keep_turn
from llama_index_streaming_ext.run.run import find_run
from llama_index_streaming_ext.stream.outcome import Status

if TYPE_CHECKING:
    from llama_index_streaming_ext.run.handler import StreamingHandler

_REASONS: dict[Status, str] = {"cancelled": "stopped"}


def keep_broken_off_turn(handler: StreamingHandler, memory: BaseMemory | None) -> None:
    """Write what a run has shown into its memory, if the run ends before its turn is complete.

    It is written before the terminal record, so that whoever has seen the end finds it.

    Args:
        handler: the handler of the run.
        memory: the memory that the run was given; None for the one in its store.
    """
    run = find_run(handler.run_id)
    if run is None:
        return
    if memory is not None:
        use_memory(run, memory)
    stream, ctx = run.stream, run.upstream.ctx

    async def keep(status: Status) -> None:
        kept = memory if memory is not None else await ctx.store.get("memory", default=None)
        if isinstance(kept, BaseMemory):
            records = [record async for record in stream.read(follow=False)]
            await keep_turn(kept, records, _REASONS.get(status, status))

    run.before_end = keep
