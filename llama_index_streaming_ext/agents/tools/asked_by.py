"""Which LLM call has asked for each tool call of a run."""

from __future__ import annotations

import weakref

from llama_index.core.agent.workflow.workflow_events import AgentOutput

from llama_index_streaming_ext.run.run import Run, current_run
from llama_index_streaming_ext.stream.origin import Origin

# The ids of the LLM calls, by the ids of the tool calls that they asked for.
_asked: weakref.WeakKeyDictionary[Run, dict[str, str]] = weakref.WeakKeyDictionary()


def remember_who_asked(output: AgentOutput, origin: Origin) -> None:
    """An LLM call of the current run has asked for the tools in an agent's output.

    Args:
        output: what the agent made of the LLM's answer.
        origin: where the answer comes from.
    """
    run = current_run()
    if run is not None and origin.call_id is not None:
        # Some models give the same id again later: the last one who asked is the one.
        asked = _asked.setdefault(run, {})
        asked.update((tool.tool_id, origin.call_id) for tool in output.tool_calls)


def who_asked(tool_id: str) -> str | None:
    """The LLM call of the current run that has asked for a tool call, None if it is not known."""
    run = current_run()
    return _asked.get(run, {}).get(tool_id) if run is not None else None
