"""Agents of every kind with tools of every kind, to be stopped anywhere.

Annotations are no strings here: core cannot resolve those of a tool that takes a Context.
"""

# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hypothesis import strategies as st
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llama_index_streaming_ext import (
    AgentWorkflow,
    CodeActAgent,
    Context,
    Event,
    FunctionAgent,
    ReActAgent,
    StreamingHandler,
    StreamingLLM,
    StreamingQueryEngine,
    StreamingQueryEngineTool,
    forward,
)
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    disconnect,
    fail,
    gate,
    parallel,
    text,
    thinking,
    tool_call,
)
from llama_index_streaming_ext.testing.script.parts import Part
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.laws.stopped import PIECES, Ledger

WORDS = ["word "] * 12


class Note(Event):
    """What a tool writes while it works."""

    n: int


class Facts(BaseRetriever):
    """A retriever that finds a fact."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="a fact"))]


class Tools:
    """Tools that do all that tools may do; what they open is in the ledger.

    Args:
        ledger: where it is noted.
        llm: what they ask.
    """

    def __init__(self, ledger: Ledger, llm: FakeStreamingLLM | None = None) -> None:
        self._ledger = ledger
        asked = llm or FakeStreamingLLM([Turn(text(*WORDS))], repeat_last=True)
        self._inner = ledger.asks(asked)
        # A thread goes on while the loop is told that it is to stop.
        in_thread = llm or FakeStreamingLLM([Turn(text(*WORDS))], repeat_last=True)
        self._in_thread = ledger.asks(in_thread, in_thread=True)

    def all(self) -> dict[str, Any]:
        """The tools, by name."""
        functions: list[Callable[..., Any]] = [
            self.notes,
            self.breaks,
            self.words,
            self.lines,
            self.tells,
            self.asks,
            self.reads,
            self.forwards,
        ]
        tools: dict[str, Any] = {function.__name__: function for function in functions}
        tools["library"] = self._library(is_async=True)
        tools["archive"] = self._library(is_async=False)
        return tools

    async def notes(self, ctx: Context) -> str:
        """Take notes."""
        for n in range(4):
            ctx.write_event_to_stream(Note(n=n))
            await asyncio.sleep(0)
        return "noted"

    async def breaks(self) -> str:
        """Fall over."""
        raise ValueError("no")

    async def words(self) -> AsyncIterator[str]:
        """Yield words."""
        with self._ledger.at_work():
            for word in WORDS:
                yield word
                await asyncio.sleep(0)

    def lines(self) -> Iterator[str]:
        """Yield lines, in a thread."""
        with self._ledger.at_work():
            yield from WORDS

    async def tells(self) -> str:
        """Ask an LLM."""
        chunks = await StreamingLLM(self._inner).astream_complete("a story")
        return "".join([chunk.delta or "" async for chunk in chunks])

    async def asks(self) -> str:
        """Ask another agent."""
        answer: Any = await cast("Any", self._agent())
        return str(answer)

    async def reads(self) -> str:
        """Read what another agent says."""
        return "".join([delta async for delta in self._agent().text_stream()])

    async def forwards(self) -> str:
        """Ask another agent, and show what it does."""
        return str(await forward(self._agent()))

    def _agent(self) -> StreamingHandler:
        handler = FunctionAgent(name="inner", llm=self._inner).run(user_msg="a story")
        self._ledger.streams.append(handler.stream)
        return handler

    def _library(self, is_async: bool) -> StreamingQueryEngineTool:
        llm = self._inner if is_async else self._in_thread
        engine = StreamingQueryEngine(RetrieverQueryEngine.from_args(Facts(), llm=llm))
        name = "library" if is_async else "archive"
        tool: Any = StreamingQueryEngineTool
        return tool.from_defaults(engine, name=name, description="Facts.", use_async=is_async)


NAMES = list(Tools(Ledger()).all())


def _arguments(name: str) -> dict[str, str]:
    return {"input": "why"} if name in ("library", "archive") else {}


# What an LLM says


@dataclass(frozen=True)
class Said:
    """One turn, for an agent of any kind.

    Attributes:
        before: the deltas of what it says first.
        thought: the deltas of what it thinks first.
        calls: the tools that it calls; none if it answers.
        together: whether several are called in one.
    """

    before: list[str]
    thought: list[str]
    calls: list[str]
    together: bool


SAID = st.builds(
    Said,
    before=PIECES,
    thought=st.just([]) | PIECES,
    calls=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
    together=st.booleans(),
)
ENDS: st.SearchStrategy[list[Part]] = st.sampled_from(
    [[], [], [fail("The provider broke.")], [disconnect()], [gate("never")]]
)


@dataclass(frozen=True)
class Story:
    """All that an LLM says in a run.

    Attributes:
        turns: its turns that call tools.
        answer: the deltas of the last one.
        end: how that ends.
        dialect: whose chunks it yields.
    """

    turns: list[Said]
    answer: list[str]
    end: list[Part]
    dialect: Dialect

    def llm(self, write: Callable[[Said], Sequence[Part]], head: str = "") -> FakeStreamingLLM:
        """An LLM that says it, each turn in the form that its agent reads."""
        written = [Turn(*write(said)) for said in self.turns]
        answer = Turn(text(head, *self.answer), *self.end)
        return FakeStreamingLLM([*written, answer], dialect=self.dialect)


STORIES = st.builds(
    Story,
    turns=st.lists(SAID, max_size=2),
    answer=PIECES.map(lambda pieces: [*pieces, *WORDS]),
    end=ENDS,
    dialect=st.sampled_from(["chat", "responses"]),
)


def _as_calls(said: Said) -> list[Part]:
    calls = [tool_call(name, _arguments(name)) for name in said.calls]
    called: list[Part] = [parallel(*calls)] if said.together else [*calls]
    thought = [thinking(*said.thought)] if said.thought else []
    return [*thought, text(*said.before), *called]


def _as_action(said: Said) -> list[Part]:
    name = said.calls[0]
    arguments = json.dumps(_arguments(name))
    said_first = ["Thought: ", *said.before, "so\n"]
    return [text(*said_first, "Action: ", name, "\nAction", " Input: ", arguments, "\n")]


def _as_code(said: Said) -> list[Part]:
    return [text(*said.before, "<exe", "cute>\n", said.calls[0], "\n</execute>")]


# Who is asked


def function_agent(story: Story, ledger: Ledger, tools: dict[str, Any]) -> Any:
    """A FunctionAgent."""
    llm = ledger.asks(story.llm(_as_calls))
    return FunctionAgent(name="outer", llm=llm, tools=list(tools.values()))


def with_a_lead(story: Story, ledger: Ledger, tools: dict[str, Any]) -> Any:
    """A FunctionAgent whose LLM waits for the readers."""
    llm = ledger.asks(story.llm(_as_calls))
    return FunctionAgent(name="outer", llm=llm, tools=list(tools.values()), max_lead=2)


def unwrapped(story: Story, ledger: Ledger, tools: dict[str, Any]) -> Any:
    """A FunctionAgent whose LLM is read as core reads it."""
    llm = ledger.asks(story.llm(_as_calls))
    return FunctionAgent(name="outer", llm=llm, tools=list(tools.values()), streaming_llm=False)


def team(story: Story, ledger: Ledger, tools: dict[str, Any]) -> Any:
    """An AgentWorkflow."""
    return AgentWorkflow(agents=[function_agent(story, ledger, tools)])


def react_agent(story: Story, ledger: Ledger, tools: dict[str, Any]) -> Any:
    """A ReActAgent."""
    llm = ledger.asks(story.llm(_as_action, "Thought: so\nAnswer: "))
    return ReActAgent(name="outer", llm=llm, tools=list(tools.values()))


def codeact_agent(story: Story, ledger: Ledger, tools: dict[str, Any]) -> Any:
    """A CodeActAgent, whose code is the name of a tool."""

    async def execute(code: str) -> Any:
        name = code.strip()
        if name in ("library", "archive"):
            return (await tools[name].acall(input="why")).content
        given: Any = tools["breaks" if name == "notes" else name]()
        return given if hasattr(given, "__next__") or hasattr(given, "__anext__") else await given

    llm = ledger.asks(story.llm(_as_code))
    return CodeActAgent(name="outer", llm=llm, code_execute_fn=execute)


AGENTS: list[Callable[[Story, Ledger, dict[str, Any]], Any]] = [
    function_agent,
    with_a_lead,
    unwrapped,
    team,
    react_agent,
    codeact_agent,
]
"""Every kind of agent."""
