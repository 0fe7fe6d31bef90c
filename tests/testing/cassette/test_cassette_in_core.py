"""Core's agents, engines and programs run on a replay as they ran on the real LLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import PromptTemplate, SummaryIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCallResult
from llama_index.core.llms import LLM
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_streaming_ext.testing import Turn, text, tool_call
from llama_index_streaming_ext.testing.cassette import Cassette, replay_llm
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.cassette_files import recorder
from tests.support.testing.golden_dumps import DATA, record
from tests.support.testing.real_classes import real

both_dialects = pytest.mark.parametrize("dialect", ["chat", "responses"])


class City(BaseModel):
    """A city."""

    name: str
    rivers: list[str]


PARIS = City(name="Paris", rivers=["Seine"])


CITY = "Describe {what}."


def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"Sunny in {city}."


WEATHER = FunctionTool.from_defaults(get_weather, name="weather")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the cassette is."""
    return tmp_path / "calls.jsonl"


@both_dialects
def test_calls_with_tools_are_replayed(path: Path, dialect: Dialect) -> None:
    """An LLM of another class offers the tools in its own form, and gets the same answer."""
    llm = recorder(
        path, [Turn(text("I", " look."), tool_call("weather", city="Paris", split="char"))], dialect
    )
    wanted = record(llm, lambda: llm.stream_chat_with_tools([WEATHER], "Hi"))
    again = replay_llm(path, speed=0)
    got = record(again, lambda: again.stream_chat_with_tools([WEATHER], "Hi"))
    assert got.chunks == wanted.chunks


@pytest.mark.parametrize("mode", ["json", "tool"])
def test_structured_answers_are_replayed(path: Path, mode: str) -> None:
    """Objects come back, whether the model was asked for JSON or for a tool call."""
    answer = (
        text(PARIS.model_dump_json()) if mode == "json" else tool_call("City", PARIS.model_dump())
    )
    llm = recorder(path, [Turn(answer)])
    if mode == "tool":
        llm.model = "gpt-4-0613"  # which has no JSON schemas  # pyright: ignore[reportAttributeAccessIssue]
    wanted = llm.structured_predict(City, PromptTemplate(CITY), what="Paris")
    again = replay_llm(path, speed=0)
    assert again.structured_predict(City, PromptTemplate(CITY), what="Paris") == wanted == PARIS


@pytest.mark.parametrize("wrapped", [False, True])
async def test_structured_answers_past_the_entry_points(path: Path, wrapped: bool) -> None:
    """`OpenAIResponses.structured_predict` does not call `chat`; it is recorded nevertheless."""
    said = json.loads((DATA / "wire" / "responses.text.json").read_text())
    said["output"][0]["content"][0]["text"] = PARIS.model_dump_json()
    script = [Turn.from_wire(said), Turn.from_wire(said)]
    llm: LLM = recorder(path, script, "responses")
    ask: dict[str, Any] = {"output_cls": City, "prompt": PromptTemplate(CITY), "what": "Paris"}
    assert [llm.structured_predict(**ask), await llm.astructured_predict(**ask)] == [PARIS] * 2
    llm = Cassette(path, speed=0).wrap(real([], "responses")) if wrapped else replay_llm(path)
    assert [llm.structured_predict(**ask), await llm.astructured_predict(**ask)] == [PARIS] * 2


async def test_streamed_structured_answers_are_replayed(path: Path) -> None:
    """Partial objects come back, one for one."""
    llm = recorder(path, [Turn(text(*PARIS.model_dump_json().partition(",")))])
    stream = await llm.astream_structured_predict(City, PromptTemplate(CITY), what="Paris")
    wanted = [obj.model_dump() async for obj in stream]
    again = replay_llm(path, speed=0)
    stream = await again.astream_structured_predict(City, PromptTemplate(CITY), what="Paris")
    assert [obj.model_dump() async for obj in stream] == wanted


async def run_agent(llm: LLM) -> list[Any]:
    """What a FunctionAgent streams."""
    # Untyped, as core's signatures of `run` are in transition.
    agent: Any = FunctionAgent(tools=[WEATHER], llm=llm)
    handler = agent.run(user_msg="How is the weather?")
    seen: list[Any] = []
    async for event in handler.stream_events():
        if isinstance(event, AgentStream):
            seen.append((event.delta, event.response, [c.model_dump() for c in event.tool_calls]))
        elif isinstance(event, ToolCallResult):
            seen.append((event.tool_name, str(event.tool_output)))
    return [*seen, str(await handler)]


@both_dialects
async def test_agents_run_equal_on_a_replay(path: Path, dialect: Dialect) -> None:
    """A FunctionAgent with a tool streams the same, event by event."""
    script = [Turn(tool_call("weather", city="Paris")), Turn(text("It is", " sunny."))]
    wanted = await run_agent(recorder(path, script, dialect))
    assert await run_agent(replay_llm(path, speed=0)) == wanted
    assert wanted[-1] == "It is sunny."


async def test_agents_run_equal_on_the_wrapped_class(path: Path) -> None:
    """A cassette around the real class replays it without a request."""
    script = [Turn(tool_call("weather", city="Paris")), Turn(text("It is", " sunny."))]
    wanted = await run_agent(recorder(path, script))
    assert await run_agent(Cassette(path, speed=0).wrap(real([], "chat"))) == wanted


@pytest.mark.parametrize("mode", ["compact", "tree_summarize", "refine"])
def test_query_engines_run_equal_on_a_replay(path: Path, mode: str) -> None:
    """A streaming query engine gives the same pieces of text."""

    def ask(llm: LLM) -> list[str]:
        nodes = [TextNode(text=f"Fact {i}. " * 50) for i in range(3)]
        # Untyped, as the types of core's signature are loose.
        index: Any = SummaryIndex(nodes)
        engine = index.as_query_engine(llm=llm, streaming=True, response_mode=mode)
        answer: Any = engine.query("What is known?")
        return list(answer.response_gen)

    wanted = ask(recorder(path, [Turn(text("Not", " much."))] * 4))
    assert ask(replay_llm(path, speed=0)) == wanted
    assert "".join(wanted) == "Not much."
