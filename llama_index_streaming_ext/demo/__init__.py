"""The demo: a workflow and an agent stream, and then say how they ended.

Both run with LlamaIndex's own `OpenAI` class over real HTTP. What answers is a fake provider on
this machine, or, live, the provider itself.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx
from workflows import Context, step

from llama_index_streaming_ext.agents import AgentWorkflow
from llama_index_streaming_ext.demo.screen import Screen
from llama_index_streaming_ext.errors import MissingDependency
from llama_index_streaming_ext.events import (
    AgentStream,
    Event,
    StartEvent,
    StopEvent,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.run.handler import StreamingHandler
from llama_index_streaming_ext.run.workflow import Workflow
from llama_index_streaming_ext.stream.outcome import Outcome
from llama_index_streaming_ext.testing.fake_openai import FakeOpenAI
from llama_index_streaming_ext.testing.script.turns import Turn, text, tool_call, wait, words

if TYPE_CHECKING:
    from llama_index.llms.openai import OpenAI

    from llama_index_streaming_ext.testing.script.parts import Part

# Without it, OpenAI's streams do not say how many tokens they cost.
_WITH_USAGE = {"stream_options": {"include_usage": True}}
_NEEDS = {
    "h11": "h11",
    "llama_index.llms.openai": "llama-index-llms-openai",
    # OpenAI's client imports it with its first call, which would pass for a slow first token.
    "openai.resources": "openai",
}


def run(*, live: bool, fast: bool) -> int:
    """Run the demo.

    Args:
        live: call the provider, with the key and the base URL that the environment has.
        fast: do not pace it for people to watch.

    Returns:
        0 when both runs were completed, else 1.

    Raises:
        MissingDependency: the `cli` extra is not installed.
        KeyboardInterrupt: Ctrl-C was pressed, and all that ran is stopped.
    """
    for module, what in _NEEDS.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise MissingDependency(what, "cli") from error
    code = asyncio.run(_until_interrupted(_demo(live, 0.0 if fast else 1.0)))
    if code is None:
        raise KeyboardInterrupt
    return code


async def _until_interrupted(work: Coroutine[Any, Any, int]) -> int | None:
    """What a task returns; None after Ctrl-C, when it was cancelled and has cleaned up."""
    task, loop = asyncio.create_task(work), asyncio.get_running_loop()

    def stop(*_: object) -> None:
        # asyncio's own handler would tear the cleaning up at a second Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, stop)
    try:
        await asyncio.wait({task})
    finally:
        signal.signal(signal.SIGINT, before)
    return None if task.cancelled() else task.result()


async def _demo(live: bool, pace: float) -> int:
    screen = Screen()
    async with _live_llm() if live else _fake_llm(pace) as llm:
        if live:
            screen.say(f"LlamaIndex's OpenAI class calls {llm.model} at {llm.api_base}.")
        else:
            screen.say(f"No key needed: at {llm.api_base} a fake of OpenAI's API answers,")
            screen.say("which LlamaIndex's own OpenAI class calls over HTTP.")
        ended = [await _workflow(screen, llm), await _agent(screen, llm, pace)]
    screen.title("3. How the runs ended")
    _table(screen, ended)
    return 0 if all(one.outcome.status == "completed" for one in ended) else 1


# What answers

# Seconds: before the first token of an answer, between tokens, and that the tool takes.
_THINKING, _TOKEN, _TOOL = 0.5, 0.05, 2.0

_MOBY_DICK = (
    "Call me Ishmael. Some years ago - never mind how long precisely - having little or no money "
    "in my purse, and nothing particular to interest me on shore, I thought I would sail about a "
    "little and see the watery part of the world. It is a way I have of driving off the spleen, "
    "and regulating the circulation.\nThere now is your insular city of the Manhattoes, belted "
    "round by wharves as Indian isles by coral reefs - commerce surrounds it with her surf."
)
_PLAN = "I will look up the weather."
_WEATHER = (
    "The current weather in San Francisco is partly cloudy with a temperature of 13.9°C (57.0°F). "
    "A light jacket will do; take sunglasses for the hours between the clouds."
)


def _script(pace: float) -> list[Turn]:
    """What the fake provider answers to the calls of the demo, which come one after another."""
    return [
        Turn(*_paced(_MOBY_DICK, pace)),
        Turn(*_paced(_PLAN, pace), tool_call("weather", city="San Francisco")),
        Turn(*_paced(_WEATHER, pace)),
    ]


def _paced(answer: str, pace: float) -> list[Part]:
    parts: list[Part] = [wait(pace * _THINKING)]
    for word in words(answer):
        parts += [text(word), wait(pace * _TOKEN)]
    return parts


@asynccontextmanager
async def _fake_llm(pace: float) -> AsyncGenerator[OpenAI]:
    fake = FakeOpenAI(_script(pace))
    # trust_env: a proxy that the environment names must not get to see calls to this machine.
    async with httpx.AsyncClient(trust_env=False) as client:
        with fake.serve():
            yield fake.llm(async_http_client=client, additional_kwargs=_WITH_USAGE)


@asynccontextmanager
async def _live_llm() -> AsyncGenerator[OpenAI]:
    from llama_index.llms.openai import OpenAI

    async with httpx.AsyncClient() as client:
        yield OpenAI("gpt-4o-mini", async_http_client=client, additional_kwargs=_WITH_USAGE)


# The workflow


class FirstEvent(Event):
    """Step one has ended."""

    first_output: str


class SecondEvent(Event):
    """Step two has ended."""

    second_output: str
    response: str


class ProgressEvent(Event):
    """What a step says while it goes on."""

    msg: str


class TokenEvent(ProgressEvent):
    """A token of the LLM's answer. A class of its own, so that the demo can count them."""


class MyWorkflow(Workflow):
    """The three steps that LlamaIndex's documents explain streaming with."""

    def __init__(self, llm: OpenAI, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.llm = llm

    @step
    async def step_one(self, ctx: Context, ev: StartEvent) -> FirstEvent:
        """Say that it happens."""
        ctx.write_event_to_stream(ProgressEvent(msg="Step one is happening"))
        return FirstEvent(first_output="First step complete.")

    @step
    async def step_two(self, ctx: Context, ev: FirstEvent) -> SecondEvent:
        """Pass the tokens of an LLM on, as they come."""
        generator = await self.llm.astream_complete(
            "Please give me the first paragraphs of Moby Dick, a book in the public domain."
        )
        full_resp = ""
        async for response in generator:
            ctx.write_event_to_stream(TokenEvent(msg=response.delta or ""))
            full_resp += response.delta or ""
        return SecondEvent(second_output="Second step complete.", response=full_resp)

    @step
    async def step_three(self, ctx: Context, ev: SecondEvent) -> StopEvent:
        """Say that it happens."""
        ctx.write_event_to_stream(ProgressEvent(msg="Step three is happening"))
        return StopEvent(result="Workflow complete.")


async def _workflow(screen: Screen, llm: OpenAI) -> Ended:
    screen.title("1. A workflow of three steps streams its progress")
    async with MyWorkflow(llm, timeout=120).run() as handler:
        async for event in handler.stream_events():
            if isinstance(event, TokenEvent):
                screen.stream("token", event.msg)
            elif isinstance(event, ProgressEvent):
                screen.line("progress", event.msg)
        ended = await _ended("workflow", handler)
        screen.line(ended.outcome.status, str(ended.outcome.result or ended.outcome.error))
        return ended


# The agent


async def _agent(screen: Screen, llm: OpenAI, pace: float) -> Ended:
    screen.title("2. An agent uses a slow tool, and its one stream has three readers")

    async def weather(city: str) -> str:
        """The weather in a city."""
        await asyncio.sleep(pace * _TOOL)
        return f"{city}: partly cloudy, 13.9°C (57.0°F)"

    agent = AgentWorkflow.from_tools(
        [weather],
        llm=llm,
        system_prompt="Say in a few words what you are going to do before you use a tool.",
    )
    question = "What is the weather in San Francisco?"
    screen.line("you", question)
    async with agent.run(user_msg=question) as handler:
        tool_works = asyncio.Event()
        beside = asyncio.create_task(_read(handler))
        late = asyncio.create_task(_join_late(screen, handler, tool_works))
        shown = await _show(screen, handler, tool_works)
        joined, late_events = await late
        screen.line("reader A", f"read from the start: {_sum(shown)}, shown above")
        screen.line("reader B", f"read beside it: {_compared(await beside, shown)}")
        screen.line("reader C", f"joined after event {joined}: {_compared(late_events, shown)}")
        return await _ended("agent", handler)


async def _show(
    screen: Screen, handler: StreamingHandler, tool_works: asyncio.Event
) -> list[Event]:
    """Reader A: shows everything as it comes."""
    seen: list[Event] = []
    async for event in handler.stream_events():
        seen.append(event)
        if isinstance(event, AgentStream):
            screen.stream("agent", event.delta)
        elif isinstance(event, ToolCallResult):
            screen.line("result", str(event.tool_output))
        elif isinstance(event, ToolCall):
            screen.line("tool call", _call(event))
            tool_works.set()
    # A model of its own will may not call the tool.
    tool_works.set()
    return seen


def _call(event: ToolCall) -> str:
    kwargs = cast("dict[str, Any]", event.tool_kwargs)  # pyright: ignore[reportUnknownMemberType] # core says dict
    return f"{event.tool_name}({', '.join(f'{name}={value!r}' for name, value in kwargs.items())})"


async def _read(handler: StreamingHandler) -> list[Event]:
    """Reader B: a second one at the same time."""
    return [event async for event in handler.stream_events()]


async def _join_late(
    screen: Screen, handler: StreamingHandler, tool_works: asyncio.Event
) -> tuple[int, list[Event]]:
    """Reader C: joins while the tool works, and reads all from the start all the same."""
    await tool_works.wait()
    seen = [record.event async for record in handler.stream.read(follow=False)]
    screen.line("reader C", f"joins now, {len(seen)} events late")
    return len(seen), await _read(handler)


def _sum(events: list[Event]) -> str:
    characters = sum(len(event.delta) for event in events if isinstance(event, AgentStream))
    return f"{len(events)} events, {characters} characters"


def _compared(events: list[Event], shown: list[Event]) -> str:
    return f"{_sum(events)}, {'the same' if events == shown else 'NOT THE SAME'}"


# How they ended


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and how fast it streamed.

    Attributes:
        name: what it is called in the table.
        outcome: how it ended.
        characters: of the text that was streamed.
        first_token: seconds from its start to the first token; None where there was none.
        rate: tokens per second, while tokens were coming; None where that is not known.
    """

    name: str
    outcome: Outcome
    characters: int
    first_token: float | None
    rate: float | None


async def _ended(name: str, handler: StreamingHandler) -> Ended:
    outcome = await handler.outcome()
    characters, tokens, streaming = 0, 0, 0.0
    first = before = None
    async for record in handler.stream.read():
        delta = _delta(record.event)
        if not delta:
            # The time until the next answer is not the LLM's streaming.
            before = None
            continue
        characters += len(delta)
        first = first or record.ts
        if before is not None:
            tokens += 1
            streaming += record.ts - before
        before = record.ts
    return Ended(
        name,
        outcome,
        characters,
        first - outcome.started if first else None,
        tokens / streaming if streaming else None,
    )


def _delta(event: Event) -> str:
    if isinstance(event, AgentStream):
        return event.delta
    return event.msg if isinstance(event, TokenEvent) else ""


def _table(screen: Screen, ended: list[Ended]) -> None:
    row = "   {:10}{:11}{:>11}{:>14}{:>14}{:>12}"
    screen.say(row.format("run", "status", "characters", "usage in/out", "first token", "tokens/s"))
    for one in ended:
        usage = one.outcome.usage
        spent = f"{usage.input_tokens}/{usage.output_tokens}" if usage else "-"
        first = "-" if one.first_token is None else f"{one.first_token:.2f} s"
        rate = "-" if one.rate is None else f"{one.rate:.1f}"
        screen.say(row.format(one.name, one.outcome.status, one.characters, spent, first, rate))
    for one in ended:
        if one.outcome.error is not None:
            screen.line(one.name, f"{type(one.outcome.error).__name__}: {one.outcome.error}")
