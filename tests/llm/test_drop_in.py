"""`StreamingLLM` in core: whatever core does with an LLM goes on working."""

# Core marks its own `run(user_msg=...)` as deprecated, and many of its functions are half typed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import copy
import pickle
from collections.abc import Generator
from typing import Any

import pytest
from llama_index.core import Document, PromptTemplate, Settings, SummaryIndex
from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.query_engine import CustomQueryEngine, RouterQueryEngine
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel

from llama_index_streaming_ext import FunctionAgent, LengthLimit, StreamingLLM
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Request,
    Turn,
    finish,
    text,
    tool_call,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.provider_llms import DIALECTS, real


class Song(BaseModel):
    """A song."""

    title: str


SONG = Song(title="Hey")
AS_JSON = Turn(text('{"title":', ' "Hey"}'))
AS_CALL = Turn(tool_call("Song", title="Hey"))
TOPIC = PromptTemplate("A song about {topic}")


def scripted(*script: Turn, **kwargs: Any) -> Any:
    """A fake, wrapped."""
    return StreamingLLM(FakeStreamingLLM(list(script), **kwargs))


# Asking


def test_predict() -> None:
    """The whole answer."""
    assert scripted(Turn(text("a", "b"))).predict(TOPIC, topic="x") == "ab"


async def test_apredict() -> None:
    """The same, asynchronously."""
    assert await scripted(Turn(text("a", "b"))).apredict(TOPIC, topic="x") == "ab"


def test_stream() -> None:
    """Piece by piece, none twice."""
    assert "".join(scripted(Turn(text("a", "b"))).stream(TOPIC, topic="x")) == "ab"


async def test_astream() -> None:
    """The same, asynchronously."""
    deltas = await scripted(Turn(text("a", "b"))).astream(TOPIC, topic="x")
    assert "".join([delta async for delta in deltas]) == "ab"


def test_stream_says_how_it_ended() -> None:
    """Core's helpers let the error through, after the text."""
    deltas = scripted(Turn(text("a"), finish("length"))).stream(TOPIC, topic="x")
    assert next(deltas) is not None
    with pytest.raises(LengthLimit):
        list(deltas)


async def test_predict_and_call() -> None:
    """Core's way to call one tool."""
    tool = FunctionTool.from_defaults(sing)
    for way in ("predict_and_call", "apredict_and_call"):
        llm = scripted(Turn(tool_call("sing", title="Hey")))
        called = getattr(llm, way)([tool], "sing")
        answer = await called if way.startswith("a") else called
        assert str(answer) == "la Hey"


def sing(title: str) -> str:
    """Sings."""
    return f"la {title}"


# Structured output


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_structured_predict_is_the_provider_s(dialect: Dialect) -> None:
    """The same request as without the wrapper, sync and async, and the same object."""
    asked: list[list[Any]] = []
    streamed: list[list[Any]] = []
    for wraps in (False, True):
        fake = FakeOpenAI(structured_turn)
        with fake.mock():
            llm: Any = real(fake, dialect)
            # The chunk with the usage would show the object once more.
            llm = StreamingLLM(llm, usage=False) if wraps else llm
            assert llm.structured_predict(Song, TOPIC, topic="x") == SONG
            assert await llm.astructured_predict(Song, TOPIC, topic="x") == SONG
            parts = await llm.astream_structured_predict(Song, TOPIC, topic="x")
            streamed.append(
                [
                    *llm.stream_structured_predict(Song, TOPIC, topic="x"),
                    *[part async for part in parts],
                ]
            )
        asked.append([without_usage(request.json) for request in fake.requests])
    assert asked[0] == asked[1]
    assert repr(streamed[0]) == repr(streamed[1])


def structured_turn(request: Request) -> Turn:
    """JSON where that is asked for, else a call."""
    return AS_CALL if request.tools else AS_JSON


def without_usage(body: Any) -> Any:
    """What was asked, but for what only the wrapper asks."""
    return {name: value for name, value in body.items() if name != "stream_options"}


def test_a_function_calling_program() -> None:
    """It asks whether the LLM calls functions."""
    program: Any = FunctionCallingProgram.from_defaults(
        output_cls=Song, prompt=TOPIC, llm=scripted(AS_CALL, AS_CALL)
    )
    assert program(topic="x") == SONG
    assert list(program.stream_call(topic="x"))[-1] == SONG


async def test_an_async_function_calling_program() -> None:
    """The same, asynchronously."""
    program: Any = FunctionCallingProgram.from_defaults(
        output_cls=Song, prompt=TOPIC, llm=scripted(AS_CALL, AS_CALL)
    )
    assert await program.acall(topic="x") == SONG
    streamed: Any = await program.astream_call(topic="x")
    assert [one async for one in streamed][-1] == SONG


async def test_a_text_completion_program() -> None:
    """It completes, and parses."""
    program: Any = LLMTextCompletionProgram.from_defaults(
        output_cls=Song, prompt=TOPIC, llm=scripted(AS_JSON, AS_JSON)
    )
    assert program(topic="x") == SONG
    assert await program.acall(topic="x") == SONG


@pytest.mark.parametrize(
    ("mode", "turn"),
    [(PydanticProgramMode.FUNCTION, AS_CALL), (PydanticProgramMode.LLM, AS_JSON)],
)
async def test_as_structured_llm(mode: PydanticProgramMode, turn: Turn) -> None:
    """`as_structured_llm` gives core's StructuredLLM, around the wrapper."""
    llm = scripted(turn, turn, pydantic_program_mode=mode)
    structured = llm.as_structured_llm(Song)
    assert isinstance(structured, StructuredLLM)
    assert structured.chat([ChatMessage("x")]).raw == SONG
    assert (await structured.achat([ChatMessage("x")])).raw == SONG


# Engines


class Echo(CustomQueryEngine):
    """Says its name."""

    name: str

    def custom_query(self, query_str: str) -> str:
        """Says it."""
        return self.name


PICKED = '[{"choice": 2, "reason": "b"}]'
ONE = tool_call("SingleSelection", index=2, reason="b")
MANY = tool_call("MultiSelection", selections=[{"index": 2, "reason": "b"}])


@pytest.mark.parametrize(
    ("selector", "turn"),
    [
        (LLMSingleSelector.from_defaults, Turn(text(PICKED))),
        (LLMMultiSelector.from_defaults, Turn(text(PICKED))),
        (PydanticSingleSelector.from_defaults, Turn(ONE)),
        (PydanticMultiSelector.from_defaults, Turn(MANY)),
    ],
)
async def test_a_router_selects(selector: Any, turn: Turn) -> None:
    """With each of core's selectors, sync and async."""
    llm = scripted(turn, turn)
    tools = [
        QueryEngineTool.from_defaults(Echo(name=name), name=name, description=name)
        for name in ("a", "b")
    ]
    router = RouterQueryEngine(selector(llm=llm), tools, llm=llm)
    assert str(router.query("?")) == "b"
    assert str(await router.aquery("?")) == "b"


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize"])
async def test_a_query_engine_streams(mode: Any) -> None:
    """With `llm=StreamingLLM(...)`: what it streams is what the LLM says, once."""
    llm = scripted(*[Turn(text("It is", " sunny."))] * 3)
    index: Any = SummaryIndex.from_documents([Document(text="weather")])
    engine = index.as_query_engine(llm=llm, streaming=True, response_mode=mode, use_async=True)
    answer: Any = engine.query("?")
    assert "".join(answer.response_gen) == "It is sunny."
    aanswer: Any = await engine.aquery("?")
    assert "".join([delta async for delta in aanswer.async_response_gen()]) == "It is sunny."
    plain = index.as_query_engine(llm=llm, response_mode=mode)
    assert str(plain.query("?")) == "It is sunny."


async def test_a_chat_engine_streams() -> None:
    """And remembers what was said."""
    llm = scripted(Turn(text("a", "b")), Turn(text("c", "d")))
    # Core's own default leaves a database open.
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    engine: Any = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    assert "".join(engine.stream_chat("hi").response_gen) == "ab"
    answer = await engine.astream_chat("hi")
    assert "".join([delta async for delta in answer.async_response_gen()]) == "cd"
    assert [message.content for message in engine.chat_history] == ["hi", "ab", "hi", "cd"]


# Settings and callbacks


@pytest.fixture
def settings() -> Generator[Any]:
    """Core's settings, which are put back."""
    before = Settings._llm, Settings._callback_manager  # pyright: ignore[reportPrivateUsage]
    yield Settings
    Settings._llm, Settings._callback_manager = before  # pyright: ignore[reportPrivateUsage]


async def test_settings_take_it(settings: Any) -> None:
    """`Settings.llm` is the wrapper, and what takes its LLM from there gets it."""
    llm = scripted(Turn(text("ab")), Turn(text("cd")))
    settings.llm = llm
    assert settings.llm is llm
    index: Any = SummaryIndex.from_documents([Document(text="weather")])
    assert str(index.as_query_engine().query("?")) == "ab"
    assert str(await FunctionAgent().run(user_msg="hi")) == "cd"


async def counted(llm: Any, counter: TokenCountingHandler) -> list[int]:
    """What is counted when an LLM is asked in every way."""
    ask = [ChatMessage("Hi")]
    for way in ("chat", "stream_chat", "achat", "astream_chat"):
        answer = getattr(llm, way)(ask)
        if way.startswith("a"):
            answer = await answer
        if way == "stream_chat":
            list(answer)
        elif way == "astream_chat":
            async for _ in answer:
                pass
    return [event.total_token_count for event in counter.llm_token_counts]


@pytest.mark.parametrize("later", [True, False])
async def test_tokens_are_counted_once(later: bool) -> None:
    """As without the wrapper, by a handler that is set before or after wrapping."""
    counts: list[list[int]] = []
    for wraps in (True, False):
        counter = TokenCountingHandler(tokenizer=str.split)
        llm: Any = FakeStreamingLLM([Turn(text("one two", " three"))], repeat_last=True)
        if not later:
            llm.callback_manager = CallbackManager([counter])
        if wraps:
            llm = StreamingLLM(llm, usage=False)
        if later:
            llm.callback_manager = CallbackManager([counter])
        counts.append(await counted(llm, counter))
    assert counts[0] == counts[1]
    assert len(counts[0]) == 4


async def test_tokens_of_agents_are_counted() -> None:
    """Though core's agent sees the last chunk only."""
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = FakeStreamingLLM([Turn(text("one two", " three"))])
    llm.callback_manager = CallbackManager([counter])
    await FunctionAgent(llm=llm).run(user_msg="hi")
    assert len(counter.llm_token_counts) == 1


# What it still is


def test_it_says_what_the_llm_can_do() -> None:
    """Metadata and class name are the inner's."""
    inner = FakeStreamingLLM([], model="m-1", context_window=99)
    llm = StreamingLLM(inner)
    assert isinstance(llm.metadata, LLMMetadata)
    assert (llm.metadata.model_name, llm.metadata.context_window) == ("m-1", 99)
    assert llm.class_name() == inner.class_name()
    assert llm.to_dict() == inner.to_dict()


def pickled(llm: Any) -> Any:
    """Through bytes and back."""
    return pickle.loads(pickle.dumps(llm))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
async def test_copies_stream(again: Any) -> None:
    """They are wrapped as the original is."""
    llm: Any = again(scripted(Turn(text("a", "b"), finish("length"))))
    assert isinstance(llm, StreamingLLM)
    with pytest.raises(LengthLimit):
        await llm.acomplete("Hi")


def test_it_is_accepted_as_a_field() -> None:
    """Pydantic models with an LLM take it as it is."""

    class Holds(BaseModel):
        llm: LLM

    llm = scripted()
    assert Holds(llm=llm).llm is llm
