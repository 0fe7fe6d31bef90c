"""What a run has come to: the outcome of an ended one, the snapshot of one that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llama_index_streaming_ext.events.usage import Usage

if TYPE_CHECKING:
    pass

Status = Literal["completed", "failed", "cancelled", "timed_out", "lost"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: `completed`; `failed` (a step raised); `cancelled`; `timed_out`; `lost` (the event
            loop was closed under the run, so nobody knows).
        result: what `await handler` gives; None unless completed.
        error: what `await handler` raises; None if completed.
        text: all deltas that were streamed, joined (L7), but for those that were forwarded from
            inner runs (`record.origin.run_id` is theirs).
        usage: the tokens that the provider counted so far, those of forwarded runs included; None
            where no chunk said any.
        steps: the steps that were active when the run timed out.
        started: Unix seconds.
        ended: Unix seconds.
        finish_reason: why the last LLM call ended (`stop`, `length`, `refusal`, ...), None where
            nobody has said it.
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
        """How long the run took."""
        return self.ended - self.started
