"""Events that users' code writes while an LLM streams are in the log, perhaps later.

The LLM is a subclass of a user's; of which class does not matter, so that the fake is enough.
"""

from __future__ import annotations

from typing import Any

from llama_index_streaming_ext import AgentStream, Event, FunctionAgent
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text


class Noted(Event):
    """Event that a user's LLM writes while it streams."""

    n: int


class Noting(FakeStreamingLLM):
    """Writes an event by the context of the run with every chunk that it streams."""

    _ctx: Any = None

    async def astream_chat(self, *args: Any, **kwargs: Any) -> Any:
        """The chunks, each with a note."""
        chunks = await super().astream_chat(*args, **kwargs)

        async def noted() -> Any:
            n = 0
            async for chunk in chunks:
                self._ctx.write_event_to_stream(Noted(n=n))
                n += 1
                yield chunk

        return noted()


class Agent(FunctionAgent):
    """Hands its context to its LLM."""

    async def take_step(self, ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """One step."""
        self.llm._ctx = ctx  # pyright: ignore[reportAttributeAccessIssue] # the LLM above
        return await super().take_step(ctx, *args, **kwargs)


async def test_an_event_of_ones_own_is_not_lost_among_the_tokens() -> None:
    """All are there, in their own order, before the call's output; tokens keep theirs."""
    llm = Noting([Turn(text("a", "b", "c", "d"))])  # pyright: ignore[reportCallIssue] # as the fake
    handler = Agent(llm=llm).run(user_msg="hi")
    seen = [record.event async for record in handler.stream.read()]
    notes = [event.n for event in seen if isinstance(event, Noted)]
    assert len(notes) >= 4
    assert notes == sorted(notes)
    assert "".join(event.delta for event in seen if isinstance(event, AgentStream)) == "abcd"
    first_note = next(n for n, event in enumerate(seen) if isinstance(event, Noted))
    begun = next(n for n, event in enumerate(seen) if type(event).__name__ == "LLMCallStarted")
    output = next(n for n, event in enumerate(seen) if type(event).__name__ == "AgentOutput")
    assert begun < first_note < output
    last_note = max(n for n, event in enumerate(seen) if isinstance(event, Noted))
    assert last_note < output
