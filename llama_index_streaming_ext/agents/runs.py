"""Runs of all our agents: checked input, and a memory that stays."""

from __future__ import annotations

from typing import Any

from llama_index.core.memory import BaseMemory
from workflows import Context

from llama_index_streaming_ext.agents.clean_turn import begin_anew
from llama_index_streaming_ext.agents.run_input import AgentInputs
from llama_index_streaming_ext.agents.run_memory import memory_of
from llama_index_streaming_ext.agents.tools.calls import ToolCalls
from llama_index_streaming_ext.agents.turn_end import keep_broken_off_turn
from llama_index_streaming_ext.agents.turns import Turns
from llama_index_streaming_ext.run.handler import StreamingHandler
from llama_index_streaming_ext.run.workflow import StreamingRuns


class AgentRuns(Turns, ToolCalls, StreamingRuns):
    """Makes the runs of a core agent streams. It stands before the agent's class."""

    def run(self, *args: Any, **kwargs: Any) -> StreamingHandler:
        """Run the agent. Takes what core's `run` takes, and `keep_raw`.

        A context that is used again (`ctx=`) remembers the turns before, whatever they ended with,
        and with a message the run is a turn of its own. Without `user_msg` and `chat_history` a
        run that was put away goes on. What a run that is stopped, or that fails, has shown is kept
        in the memory, with a result for each tool call.

        Args:
            *args: as core's, where the order is `user_msg, chat_history, memory, ctx`.
            **kwargs: as core's: `user_msg`, `chat_history`, `memory`, `ctx`, `max_iterations`,
                `early_stopping_method`, `start_event`, `run_id`; others go to the start event.

        Returns:
            A handler that any number of readers can follow.

        Raises:
            MissingInput: there is neither `user_msg` nor `chat_history` to answer.
        """
        inputs = AgentInputs.of(args, kwargs)
        memory = inputs.memory
        if inputs.starts_a_turn:
            inputs.check(type(self))
            if memory is None:
                memory = self._memory_for(inputs.ctx)
                args, kwargs = inputs.with_memory(args, kwargs, memory)
            if inputs.ctx is not None and inputs.has_message:
                begin_anew(self, inputs.ctx)
        handler = super().run(*args, **kwargs)
        keep_broken_off_turn(handler, memory)
        return handler

    def default_memory(self) -> BaseMemory:
        """Return the memory of a run that is given none, as core makes it."""
        raise NotImplementedError

    def _memory_for(self, ctx: Context[Any] | None) -> BaseMemory:
        return (memory_of(ctx) if ctx is not None else None) or self.default_memory()
