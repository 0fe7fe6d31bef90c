"""`AgentWorkflow`: core's class with runs that are streams; it builds our agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from llama_index.core import Settings
from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow
from llama_index.core.agent.workflow import BaseWorkflowAgent
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.tools import BaseTool
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from pydantic import BaseModel

from llama_index_streaming_ext.agents.run_memory import fresh_memory
from llama_index_streaming_ext.agents.runs import AgentRuns
from llama_index_streaming_ext.agents.single import FunctionAgent, ReActAgent
from llama_index_streaming_ext.agents.take_step import AgentSteps

# Options that each agent has for itself.
_OF_AGENTS = frozenset(AgentSteps.model_fields) - frozenset(BaseWorkflowAgent.model_fields)


class AgentWorkflow(AgentRuns, CoreAgentWorkflow):
    """Workflow of several agents; its `run()` returns a `StreamingHandler`.

    Its agents may be core's or those of this package. Core's `AgentWorkflow` runs the agents of
    this package too, but its `run()` returns upstream's handler (make it streaming with
    `stream_run`), and its steps are not guarded.

    Args:
        *args: as core's.
        keep_raw: keep the provider's raw chunk of every token, not only of the last one of each
            LLM call. It is also kept where one of the agents asks for it.
        **kwargs: as core's.
    """

    def __init__(self, *args: Any, keep_raw: bool = False, **kwargs: Any) -> None:
        misplaced = sorted(_OF_AGENTS & kwargs.keys())
        if misplaced:
            raise TypeError(f"{', '.join(misplaced)}: give it to each agent, not to the workflow.")
        super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType] # core's
        if keep_raw or any(getattr(agent, "keep_raw", False) for agent in self.agents.values()):
            self.keep_raw = True

    def default_memory(self) -> BaseMemory:
        """Return the memory of a run that is given none, as core makes it."""
        return fresh_memory(self.agents[self.root_agent].llm)

    @classmethod
    def from_tools_or_functions(  # pyright: ignore[reportIncompatibleMethodOverride] # a list of core's is one of ours
        cls,
        tools_or_functions: Sequence[BaseTool | Callable[..., Any] | BaseToolSpec],
        llm: LLM | None = None,
        system_prompt: str | None = None,
        state_prompt: str | BasePromptTemplate | None = None,
        initial_state: dict[str, Any] | None = None,
        output_cls: type[BaseModel] | None = None,
        structured_output_fn: Callable[[list[ChatMessage]], dict[str, Any]] | None = None,
        timeout: float | None = None,
        verbose: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Build a workflow of one agent with these tools.

        The agent is a `FunctionAgent` of this package if the LLM calls functions, else a
        `ReActAgent` of this package.

        Args:
            tools_or_functions: tools, functions, and whole ToolSpecs.
            llm: the agent's LLM; `Settings.llm` by default.
            system_prompt: the agent's system prompt.
            state_prompt: as core's.
            initial_state: as core's.
            output_cls: as core's.
            structured_output_fn: as core's.
            timeout: seconds after which a run times out; None for never.
            verbose: as core's.
            **kwargs: further arguments of the workflow.
        """
        llm = llm or Settings.llm
        agent_class = FunctionAgent if llm.metadata.is_function_calling_model else ReActAgent
        agent = agent_class(
            name="Agent",
            description="A single agent that uses the provided tools or functions.",
            tools=list(tools_or_functions),  # pyright: ignore[reportArgumentType] # ToolSpecs are expanded
            llm=llm,
            system_prompt=system_prompt,
        )
        return cls(
            agents=[agent],
            output_cls=output_cls,
            structured_output_fn=structured_output_fn,
            state_prompt=state_prompt,
            initial_state=initial_state,
            timeout=timeout,
            verbose=verbose,
            **kwargs,
        )

    @classmethod
    def from_tools(
        cls,
        tools: Sequence[BaseTool | Callable[..., Any] | BaseToolSpec],
        *args: Any,
        **kwargs: Any,
    ) -> Self:
        """Build a workflow as `from_tools_or_functions` does; LlamaIndex's pages use this name."""
        return cls.from_tools_or_functions(tools, *args, **kwargs)
