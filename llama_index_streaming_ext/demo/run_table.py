"""The last scene: a table of how the runs ended and how fast they streamed."""

from __future__ import annotations

from dataclasses import dataclass

from llama_index_streaming_ext.demo.events import TokenEvent
from llama_index_streaming_ext.demo.screen import Screen
from llama_index_streaming_ext.events import AgentStream, Event
from llama_index_streaming_ext.run.handler import StreamingHandler
from llama_index_streaming_ext.stream.outcome import Outcome


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


async def ended_run(name: str, handler: StreamingHandler) -> Ended:
    """Wait for the end of a run, and measure how fast it streamed.

    Args:
        name: the name of the run in the table.
        handler: the run.
    """
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


def show_table(screen: Screen, ended: list[Ended]) -> None:
    """Show how runs ended, a row for each, and then the errors."""
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
