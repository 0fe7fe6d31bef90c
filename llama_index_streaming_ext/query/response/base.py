"""What a response needs of the query that it shows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol, runtime_checkable

from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.stream.event_stream import EventStream


class Answer(Protocol):
    """A text that is being written, or is written."""

    @property
    def text(self) -> str:
        """The text so far."""
        ...

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What it failed with, or that it was stopped; None if it is whole, and before the end."""
        ...

    def stop(self) -> None:
        """Stop it at once, from any thread. Does nothing after the end."""
        ...


class BlockingAnswer(Answer, Protocol):
    """An answer that threads read."""

    def tokens_sync(self, after: int = 0) -> Generator[str, None, None]:
        """Its deltas, live, in a thread that may block; then raises its error if there is one.

        Args:
            after: how many of them are not wanted.
        """
        ...

    def wait_sync(self) -> None:
        """Wait until it has ended, however much is unread. Never raises its error."""
        ...


class AwaitableAnswer(Answer, Protocol):
    """An answer that tasks read."""

    def tokens(self, after: int = 0) -> AsyncGenerator[str, None]:
        """Its deltas, live; then raises its error if there is one.

        Args:
            after: how many of them are not wanted.
        """
        ...

    async def wait(self) -> None:
        """Wait until it has ended, however much is unread. Never raises its error."""
        ...


@runtime_checkable
class Answering(BlockingAnswer, AwaitableAnswer, Protocol):
    """One query at work."""

    @property
    def stream(self) -> EventStream:
        """Its log."""
        ...

    @property
    def sources(self) -> list[NodeWithScore]:
        """What the answer is drawn from, known before its first token."""
        ...

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the engine says besides."""
        ...

    @property
    def object(self) -> Any:
        """The structured answer, None where there is none."""
        ...

    async def stopped(self) -> None:
        """Wait, after `stop`, until the work has ended."""
        ...

    def stopped_sync(self, timeout: float = ...) -> None:
        """What `stopped` does, in a thread that may block.

        Args:
            timeout: seconds to wait at most.
        """
        ...

    def abandon(self) -> None:
        """Nobody holds the response any more."""
        ...


class Held:
    """A run that somebody can still read.

    The response has it, its iterators, and every reader while it reads. When the last of them is
    collected the run is abandoned. Nothing that the run holds may hold it.

    Args:
        run: the run.
    """

    def __init__(self, run: Answering) -> None:
        self.run = run
        self._gone = False

    def __del__(self) -> None:
        self._gone = True
        self.left()

    def left(self) -> None:
        """A reader has let go of the log. In a cycle this object may be collected before it."""
        if self._gone and not self.run.done:
            self.run.abandon()

    @property
    def text(self) -> str:
        """The text so far."""
        return self.run.text

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self.run.done

    @property
    def error(self) -> BaseException | None:
        """What the run failed with, or that it was stopped."""
        return self.run.error

    def stop(self) -> None:
        """Stop the run."""
        self.run.stop()

    # These are generators of this object, not the run's own, so that who reads holds it. A reader
    # that is collected lets go of the log first, and of this object then: `abandon` looks there.

    def tokens_sync(self, after: int = 0) -> Generator[str, None, None]:
        """The run's deltas, in a thread that may block."""
        try:
            yield from self.run.tokens_sync(after)
        finally:
            self.left()

    async def tokens(self, after: int = 0) -> AsyncGenerator[str, None]:
        """The run's deltas."""
        reading = self.run.tokens(after)
        try:
            async for token in reading:
                yield token
        finally:
            await reading.aclose()
            self.left()

    def wait_sync(self) -> None:
        """Wait until the run has ended, in a thread that may block."""
        self.run.wait_sync()

    async def wait(self) -> None:
        """Wait until the run has ended."""
        await self.run.wait()
