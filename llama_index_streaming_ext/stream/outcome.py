"""Outcome of a run that has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llama_index_streaming_ext.events.usage import Usage

if TYPE_CHECKING:
    pass

Status = Literal["completed", "failed", "cancelled", "timed_out", "lost"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Status, result, text and usage of a run that has ended.

    Attributes:
        status: `completed`; `failed` (a step raised); `cancelled`; `timed_out`; `lost` (the event
            loop was closed under the run, so its end is unknown).
        result: the result that `await handler` gives; None unless completed.
        error: the error that `await handler` raises; None if completed.
        text: all streamed deltas, joined, without those that were forwarded from inner runs
            (their records have an `origin.run_id`).
        usage: the tokens that the provider counted, those of forwarded runs included; None if no
            chunk had a count.
        steps: the steps that were active when the run timed out.
        started: the time of the start, Unix seconds.
        ended: the time of the last record, Unix seconds.
        finish_reason: the reason for the end of the last LLM call (`stop`, `length`, `refusal`,
            ...), None if the provider gave none.
    """

    status: Status
    result: Any
    error: BaseException | None
    text: str
    usage: Usage | None
    steps: tuple[str, ...]
    started: float
    ended: float
    finish_reason: str | None = None

    @property
    def seconds(self) -> float:
        """Duration of the run, seconds."""
        return self.ended - self.started
