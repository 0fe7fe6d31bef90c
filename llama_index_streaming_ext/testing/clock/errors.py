"""Errors of the virtual clock."""

from __future__ import annotations

from llama_index_streaming_ext.errors import StreamingError


class ClockHeld(StreamingError):
    """A virtual clock was held for too long by something that may still be at work."""

    def __init__(self, patience: float, holders: list[str]) -> None:
        at_work = "\n".join(f"  {holder}" for holder in holders)
        super().__init__(
            f"The virtual clock has stood still for {patience:g} real seconds, because this is "
            f"still at work, or waits for what cannot be seen:\n{at_work}\n"
            "Let it end, give it more time (virtual_clock.patience = ...), or do without "
            "virtual_clock in this test."
        )


class ConnectedOnVirtualTime(StreamingError):
    """A socket was connected while the clock is virtual.

    It is no `OSError`, so that no client takes it for a network that is down.
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            f"A connection to {host} was refused, because virtual_clock is active: the answer "
            "would come in real time, and timeouts would fire before it at random. Use a fake in "
            "process (fake_llm, fake_openai without serve), or do without virtual_clock."
        )
