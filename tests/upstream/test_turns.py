"""What our agents' turns build on: core's state, its results, how classes ask for objects."""

import asyncio
import weakref
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.agent.workflow.multi_agent_workflow import handoff
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel
from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_none

from tests.support.upstream.flows import read, soon
from tests.support.upstream.llms import Call, ScriptLLM, Turn, calls, chat, says


async def direct() -> str:
    """Give the answer."""
    return "the answer"


async def look_up() -> str:
    """Look it up."""
    return "found"


TOOLS: list[Any] = [FunctionTool.from_defaults(async_fn=direct, return_direct=True), look_up]


class Attempted(Workflow):
    """A step that fails once, then waits, and keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Event] = []

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Keep the input, so that its id is not used again."""
        self.inputs.append(ev)
        if len(self.inputs) == 1:
            raise ValueError
        await ctx.wait_for_event(HumanResponseEvent, InputRequiredEvent(), waiter_id="only")
        return StopEvent(result=ctx.retry_info().retry_number)


async def test_u7_each_attempt_gets_the_same_event_object() -> None:
    """U7: after an error and after a wait the input is the very same object, not a copy."""
    workflow = Attempted()
    handler = workflow.run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            await handler.send_event(HumanResponseEvent())
    await soon(handler)
    assert len(workflow.inputs) == 3
    assert len({id(event) for event in workflow.inputs}) == 1


async def test_u7_a_wait_forgets_the_retries() -> None:
    """U7: `retry_info` begins at 0 again after a wait, so it cannot tell all attempts apart."""
    handler = Attempted().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            await handler.send_event(HumanResponseEvent())
    assert await soon(handler) == 0


class Half(Event):
    """One of two."""

    n: int


class Pair(Workflow):
    """A step that collects two events, and counts how often it is begun with each."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []
        self.both = asyncio.Event()

    @step
    async def start(self, ctx: Context, ev: StartEvent) -> Half | None:
        """Send two."""
        for n in (1, 2):
            ctx.send_event(Half(n=n))

    @step(num_workers=2)
    async def collect(self, ctx: Context, ev: Half) -> StopEvent | None:
        """Wait for both."""
        self.begun.append(ev.n)
        if len(self.begun) == 2:
            self.both.set()
        await self.both.wait()
        both = ctx.collect_events(ev, [Half] * 2)
        return StopEvent() if both else None


async def test_u7_a_step_that_collects_may_be_begun_again_although_it_returned() -> None:
    """U7: two that collect side by side: the second is begun again, with what the first has."""
    workflow = Pair()
    await soon(workflow.run())
    assert workflow.begun in ([1, 2, 1], [1, 2, 2])


async def test_u26_siblings_of_a_direct_answer_are_forgotten() -> None:
    """U26: the results behind the first direct one are not in the history of the next turn."""
    llm = ScriptLLM(calls("direct", "look_up"), says("hello"))
    agent = FunctionAgent(llm=llm, tools=TOOLS)
    memory: Any = ChatMemoryBuffer.from_defaults(llm=llm)  # pyright: ignore[reportUnknownMemberType] # core's
    for said in ("hi", "and now?"):
        await read(chat(agent, said, memory=memory).stream_events())
    given = [m.additional_kwargs["tool_call_id"] for m in llm.prompts[1] if m.role == "tool"]
    assert given == ["call-1"]


async def test_u26_a_hand_off_is_known_by_its_name() -> None:
    """U26: core tells the hand-off by the name of its function, which it reserves."""
    assert handoff.__name__ == "handoff"
    with pytest.raises(ValueError, match="'handoff' is a reserved tool name"):
        FunctionAgent(llm=ScriptLLM(), tools=[handoff])


async def test_u26_a_hand_off_changes_the_current_agent_in_the_store() -> None:
    """U26: the store's `current_agent_name` and `current_tool_calls` say who handed over, and why.

    Core changes the name when it has all results of the turn.
    """
    kwargs = {"to_agent": "b", "reason": "because"}
    first = Turn(calls=(Call("handoff", "call-1", kwargs),))
    team = AgentWorkflow(
        [
            FunctionAgent(name="a", description="a", llm=ScriptLLM(first)),
            FunctionAgent(name="b", description="b", llm=ScriptLLM(says("hello"))),
        ],
        root_agent="a",
    )
    handler = chat(team)
    async for event in handler.stream_events():
        if getattr(event, "current_agent_name", None) == "b":
            break
    store = handler.ctx.store
    assert await store.get("current_agent_name") == "b"
    assert [call.tool_kwargs for call in await store.get("current_tool_calls")] == [kwargs]
    await soon(handler)


@pytest.mark.parametrize("team", [False, True])
async def test_u35_the_iterations_are_counted_in_the_store(team: bool) -> None:
    """U35: `num_iterations` and `max_iterations` are in the store, and so is the method."""
    agent = FunctionAgent(llm=ScriptLLM(calls("look_up"), says("it")), tools=TOOLS)
    handler = chat(AgentWorkflow([agent]) if team else agent, max_iterations=3)
    await read(handler.stream_events())
    store = handler.ctx.store
    assert await store.get("num_iterations") == 2
    assert await store.get("max_iterations") == 3
    assert await store.get("early_stopping_method") == "force"


def test_u28_core_has_the_method_that_reads_the_last_word() -> None:
    """U28: `_get_llm_response` of core reads the answer of early stopping."""
    for cls in (FunctionAgent, AgentWorkflow):
        method = next(vars(base)["_get_llm_response"] for base in cls.__mro__ if _has(base))
        assert method.__module__.startswith("llama_index.core.")


def _has(cls: type) -> bool:
    return "_get_llm_response" in vars(cls)


class City(BaseModel):
    """An object."""

    name: str


class Asked(Exception):
    """A chat method was called."""


class ByChat(OpenAI):
    """Says which chat method it is asked by."""

    async def achat(self, messages: Any, **kwargs: Any) -> Any:
        """A plain chat."""
        raise Asked("achat")

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
        """A chat with tools."""
        raise Asked("achat_with_tools")


@pytest.mark.parametrize(
    ("model", "method"), [("gpt-4o-mini", "achat"), ("gpt-3.5-turbo", "achat_with_tools")]
)
async def test_u40_openai_asks_for_objects_by_its_chat_methods(model: str, method: str) -> None:
    """U40: so that a subclass can stream what it is asked; which one depends on the model."""
    llm = ByChat(model=model, api_key="none")
    prompt: Any = PromptTemplate("hi")
    with pytest.raises(Asked, match=f"^{method}$"):
        await llm.astructured_predict(City, prompt)


def test_u40_responses_asks_for_objects_by_another_way() -> None:
    """U40: `OpenAIResponses` has an `astructured_predict` of its own, known by its module."""
    assert OpenAIResponses.astructured_predict.__module__ == "llama_index.llms.openai.responses"


async def test_u40_responses_does_not_ask_by_its_chat_methods() -> None:
    """U40: it calls `responses.parse` of the client."""
    asked: list[dict[str, Any]] = []

    class Client:
        """A client of which only `responses.parse` is used."""

        class responses:  # noqa: N801 # as the SDK names it
            """The endpoint."""

            @staticmethod
            async def parse(**kwargs: Any) -> Any:
                """Answers."""
                asked.append(kwargs)
                raise Asked("parse")

    llm = OpenAIResponses(model="gpt-4o-mini", api_key="none")
    llm._aclient = Client()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] # where it asks
    prompt: Any = PromptTemplate("hi")
    with pytest.raises(Asked, match="parse"):
        await llm.astructured_predict(City, prompt)
    assert asked[0]["text_format"] is City
    assert asked[0]["tool_choice"] == "none"


async def test_u40_core_asks_for_objects_by_astructured_predict() -> None:
    """U40: `output_cls` of an agent goes to `astructured_predict` of its LLM."""
    seen: list[type] = []

    class Structured(ScriptLLM):
        """Answers with an object."""

        async def astructured_predict(
            self, output_cls: Any, prompt: Any, *_: Any, **__: Any
        ) -> Any:
            """The object."""
            seen.append(output_cls)
            return output_cls(name="Paris")

    llm: Any = Structured(says("it"))  # pyright: ignore[reportCallIssue] # ScriptLLM's arguments
    handler = chat(FunctionAgent(llm=llm, output_cls=City))
    await read(handler.stream_events())
    output: Any = await soon(handler)
    assert seen == [City]
    assert output.structured_response == {"name": "Paris"}


def test_u7_events_can_be_referred_to_weakly() -> None:
    """U7: attempts are counted by input for as long as it is there."""
    event = StartEvent()
    assert weakref.ref(event)() is event
