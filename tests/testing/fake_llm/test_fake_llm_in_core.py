"""Core's agents, engines and programs run on the fake as they run on a real LLM."""

from __future__ import annotations

from typing import Any, cast

import pytest
from llama_index.core import PromptTemplate, SummaryIndex
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import CondenseQuestionChatEngine, SimpleChatEngine
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import (
    ResponseMode,
    get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    parallel,
    text,
    tool_call,
    usage,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.real_classes import real

HI = [ChatMessage("hi")]
DIALECTS: list[Dialect] = ["chat", "responses"]


def prompt() -> PromptTemplate:
    """A prompt; a new one each time, as core writes into it."""
    return PromptTemplate("Write an album about {topic}.")


class Album(BaseModel):
    """An album of music."""

    name: str
    songs: list[str]


ALBUM = Album(name="Blue", songs=["All I Want", "My Old Man"])
AS_CALL = Turn(tool_call("Album", ALBUM.model_dump(), split="json"))
AS_TEXT = Turn(*ALBUM.model_dump_json().partition(","))


def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"Sunny in {city}."


def run(agent: Any) -> Any:
    """Asks an agent; untyped, as core's signatures of `run` are in transition."""
    return agent.run(user_msg="How is the weather?")


async def answer(handler: Any) -> str:
    """What an agent answers in the end."""
    return str(await handler)


WEATHER = FunctionTool.from_defaults(get_weather)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_function_agent_runs(dialect: Dialect) -> None:
    """A FunctionAgent calls its tool and streams the deltas of its answer."""
    script = [
        Turn(text("Let me", " check."), tool_call("get_weather", city="Paris")),
        Turn(text("It is", " sunny.")),
    ]
    llm = FakeStreamingLLM(script, dialect=dialect)
    handler = run(FunctionAgent(tools=[WEATHER], llm=llm))
    events = [event async for event in handler.stream_events()]
    streamed = "".join(event.delta for event in events if isinstance(event, AgentStream))
    assert streamed == "Let me check.It is sunny."
    assert [str(e.tool_output) for e in events if isinstance(e, ToolCallResult)] == [
        "Sunny in Paris."
    ]
    assert await answer(handler) == "It is sunny."
    assert [call.closed_by for call in llm.calls] == ["finished", "finished"]
    assert llm.calls[1].messages[-1].content == "Sunny in Paris."
    assert len(llm.calls[0].tools) == 1


async def test_parallel_calls_run() -> None:
    """Parallel calls of a turn are all made; without faithfulness also interleaved ones."""
    one_by_one = Turn(tool_call("get_weather", city="Rome"), tool_call("get_weather", city="Oslo"))
    mixed = Turn(parallel(*one_by_one.tool_calls))
    for turn, faithful in ((one_by_one, True), (mixed, False)):
        llm = FakeStreamingLLM([turn, "Done."], faithful=faithful)
        handler = run(FunctionAgent(tools=[WEATHER], llm=llm))
        events = [event async for event in handler.stream_events()]
        results = {str(e.tool_output) for e in events if isinstance(e, ToolCallResult)}
        assert results == {"Sunny in Rome.", "Sunny in Oslo."}
        assert await answer(handler) == "Done."


@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_react_agent_runs() -> None:
    """A ReActAgent reads its scaffolding from the text of the script."""
    llm = FakeStreamingLLM(
        [
            'Thought: I need a tool.\nAction: get_weather\nAction Input: {"city": "Paris"}\n',
            "Thought: I can answer.\nAnswer: It is sunny.",
        ]
    )
    handler = run(ReActAgent(tools=[WEATHER], llm=llm))
    assert await answer(handler) == "It is sunny."
    assert "Sunny in Paris." in str(llm.calls[1].messages)


async def test_code_act_agent_runs() -> None:
    """A CodeActAgent executes the code of the script."""
    executed: list[str] = []

    def execute(code: str) -> str:
        executed.append(code.strip())
        return "4"

    llm = FakeStreamingLLM([Turn(text("<execute>\n2 + 2\n", "</execute>")), "It is 4."])
    agent = CodeActAgent(code_execute_fn=execute, llm=llm)
    assert await answer(run(agent)) == "It is 4."
    assert executed == ["2 + 2"]


async def test_agents_share_a_fake() -> None:
    """Agents that hand off to each other find their turns by what they were asked."""
    llm = FakeStreamingLLM(
        [
            Turn("It is sunny.", when="You tell the weather."),
            Turn(tool_call("handoff", to_agent="weather", reason="asked"), when="You are a desk."),
        ]
    )
    agents: list[Any] = [
        FunctionAgent(name=name, description=name, system_prompt=said, llm=llm)
        for name, said in (("desk", "You are a desk."), ("weather", "You tell the weather."))
    ]
    handler = run(AgentWorkflow(agents=agents, root_agent="desk"))
    assert await answer(handler) == "It is sunny."


@pytest.mark.parametrize("turn", [AS_CALL, AS_TEXT])
async def test_structured_answers(turn: Turn) -> None:
    """An object is filled in, at once or as it streams, from a tool call or from JSON."""
    llm = FakeStreamingLLM(turn, repeat_last=True)
    assert llm.structured_predict(Album, prompt(), topic="love") == ALBUM
    assert await llm.astructured_predict(Album, prompt(), topic="love") == ALBUM
    partial = list(llm.stream_structured_predict(Album, prompt(), topic="love"))
    assert partial[-1].model_dump() == ALBUM.model_dump()
    stream = await llm.astream_structured_predict(Album, prompt(), topic="love")
    again = [album.model_dump() async for album in stream]
    assert again[-1] == ALBUM.model_dump()
    assert len(again) > 2
    assert {call.messages[-1].content for call in llm.calls} == {"Write an album about love."}


@pytest.mark.parametrize("turn", [AS_CALL, AS_TEXT])
async def test_structured_answers_of_the_responses_api(turn: Turn) -> None:
    """With the Responses API objects stream as core makes the real class stream them."""
    llm, other = FakeStreamingLLM([turn] * 4, dialect="responses"), real([turn] * 2, "responses")
    assert llm.structured_predict(Album, prompt(), topic="love") == ALBUM
    assert await llm.astructured_predict(Album, prompt(), topic="love") == ALBUM
    mine, wanted = (
        [album.model_dump() for album in made.stream_structured_predict(Album, prompt(), topic="x")]
        for made in (llm, other)
    )
    assert mine == wanted
    streams = [
        await made.astream_structured_predict(Album, prompt(), topic="x") for made in (llm, other)
    ]
    mine, wanted = [[album.model_dump() async for album in stream] for stream in streams]
    assert mine == wanted


@pytest.mark.parametrize("turn", [AS_CALL, AS_TEXT])
@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
async def test_structured_llm(turn: Turn) -> None:
    """`as_structured_llm` answers with the object, in all its ways."""
    llm = FakeStreamingLLM(turn, repeat_last=True).as_structured_llm(Album)
    assert llm.chat(HI).raw == ALBUM
    assert (await llm.achat(HI)).raw == ALBUM
    raws = [chunk.raw async for chunk in await llm.astream_chat(HI)]
    assert isinstance(raws[-1], BaseModel)
    assert raws[-1].model_dump() == ALBUM.model_dump()


def test_structured_answer_without_tools() -> None:
    """An LLM that calls no tools is asked for JSON by core's own prompt."""
    llm = FakeStreamingLLM([AS_TEXT], is_function_calling_model=False)
    assert llm.structured_predict(Album, prompt(), topic="love") == ALBUM


async def test_predict_and_stream_answer_a_prompt() -> None:
    """The entry points that take a prompt template give the text of the script."""
    for chats in (True, False):
        llm = FakeStreamingLLM("It is sunny.", repeat_last=True, is_chat_model=chats)
        assert llm.predict(prompt(), topic="sun") == "It is sunny."
        assert await llm.apredict(prompt(), topic="sun") == "It is sunny."
        assert "".join(llm.stream(prompt(), topic="sun")) == "It is sunny."
        tokens = [token async for token in await llm.astream(prompt(), topic="sun")]
        assert "".join(tokens) == "It is sunny."


async def test_predict_and_call_calls_the_tool() -> None:
    """A tool call of the script is made by `predict_and_call`."""
    turn = Turn(tool_call("get_weather", city="Paris"))
    llm = FakeStreamingLLM(turn, repeat_last=True)
    assert llm.predict_and_call([WEATHER], "hi").response == "Sunny in Paris."
    assert (await llm.apredict_and_call([WEATHER], "hi")).response == "Sunny in Paris."


SINGLE = [ResponseMode.COMPACT, ResponseMode.REFINE, ResponseMode.SIMPLE_SUMMARIZE]


@pytest.mark.parametrize("mode", [*SINGLE, ResponseMode.TREE_SUMMARIZE])
@pytest.mark.parametrize("streaming", [False, True])
async def test_synthesizers_answer(mode: ResponseMode, streaming: bool) -> None:
    """Core's response synthesizers give the answer of the script."""
    llm = FakeStreamingLLM("It is sunny.", repeat_last=True)
    synthesizer = get_response_synthesizer(llm=llm, response_mode=mode, streaming=streaming)
    nodes = [NodeWithScore(node=TextNode(text="The sun shines."))]
    assert str(synthesizer.synthesize("How is the weather?", nodes)) == "It is sunny."
    assert llm.calls[-1].closed_by == "finished"


async def test_engines_answer() -> None:
    """Core's query and chat engines stream the answer of the script."""
    llm = FakeStreamingLLM("It is sunny.", repeat_last=True)
    index = SummaryIndex([TextNode(text="The sun shines.")])
    engine = RetrieverQueryEngine.from_args(index.as_retriever(), llm=llm, streaming=True)
    assert str(engine.query("How is the weather?")) == "It is sunny."
    # The default memory leaves a database connection open, which is a warning.
    memory = cast("BaseMemory", ChatMemoryBuffer(token_limit=1000))
    engines: list[Any] = [
        SimpleChatEngine.from_defaults(llm=llm, memory=memory),
        CondenseQuestionChatEngine.from_defaults(engine, llm=llm, memory=memory),
    ]
    for chat in engines:
        assert "".join(chat.stream_chat("hi").response_gen) == "It is sunny."


@pytest.mark.parametrize("dialect", DIALECTS)
def test_token_counters_see_what_they_see_of_the_real_class(dialect: Dialect) -> None:
    """Callbacks fire once for a call, with the counts that the real class leads to."""
    turns = [Turn(text("a", "b"), usage(7, 2))] * 2
    counted: list[list[Any]] = []
    llms: list[FunctionCallingLLM] = [
        FakeStreamingLLM(turns, dialect=dialect),
        real(turns, dialect),
    ]
    for llm in llms:
        counter = TokenCountingHandler(tokenizer=str.split)
        llm.callback_manager = CallbackManager([counter])
        llm.chat(HI)
        list(llm.stream_complete("hi"))
        counts = counter.llm_token_counts
        counted.append([(c.prompt_token_count, c.completion_token_count) for c in counts])
    assert counted[0] == counted[1]
    assert len(counted[0]) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tools_are_offered_as_the_real_class_offers_them(dialect: Dialect) -> None:
    """Tools, their choice and the messages are passed on as the real class passes them."""
    llms = [FakeStreamingLLM(dialect=dialect), real([], dialect)]
    ways: list[dict[str, Any]] = [
        {},
        {"tool_required": True},
        {"tool_choice": "get_weather"},
        {"tool_choice": {"type": "none"}},
        {"allow_parallel_tool_calls": True, "strict": True},
        {"chat_history": [ChatMessage("first")], "temperature": 0},
    ]
    for way in ways:
        for tools in ([WEATHER], []):
            mine, wanted = (prepared(llm, tools, way) for llm in llms)
            assert mine == wanted


def prepared(llm: FunctionCallingLLM, tools: list[FunctionTool], way: dict[str, Any]) -> Any:
    """What an LLM passes on to `chat`."""
    history = list(way.get("chat_history", []))
    kwargs: dict[str, Any] = {**way, "chat_history": history}
    return llm._prepare_chat_with_tools(tools, "hi", **kwargs)  # pyright: ignore[reportPrivateUsage]


def test_no_tool_call_is_an_error_if_one_is_needed() -> None:
    """Reading the calls of an answer that has none fails, unless that may be."""
    llm = FakeStreamingLLM("a", repeat_last=True)
    with pytest.raises(ValueError, match="Expected at least one tool call"):
        llm.get_tool_calls_from_response(llm.chat(HI))
    assert llm.get_tool_calls_from_response(llm.chat(HI), error_on_no_tool_call=False) == []
