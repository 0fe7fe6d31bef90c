"""One call of an LLM: what its chunks add up to, how it ended, and the events that say so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from llama_index_streaming_ext.errors import (
    ContentFiltered,
    IncompleteResponse,
    LengthLimit,
    ModelRefused,
    ProviderFailed,
    StreamTruncated,
)
from llama_index_streaming_ext.events import (
    Event,
    Incomplete,
    LLMCallFinished,
    LLMCallStarted,
    NotStreamed,
)
from llama_index_streaming_ext.events.usage import Usage, says_the_end, usage_of
from llama_index_streaming_ext.llm.chunks.reader import Fragment
from llama_index_streaming_ext.llm.chunks.reader import reader_for as chunk_reader_for
from llama_index_streaming_ext.llm.error_translation import translated
from llama_index_streaming_ext.llm.finish.reader import reader_for as finish_reader_for
from llama_index_streaming_ext.llm.observer import (
    CallObserver,
    OnIncomplete,
    TextSink,
    current_observer,
    lone_call_id,
)
from llama_index_streaming_ext.llm.options import Options
from llama_index_streaming_ext.stream.deltas import ToolArguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
    from llama_index.core.llms import LLM

logger = logging.getLogger("llama_index_streaming_ext")

_INCOMPLETE: dict[str, type[IncompleteResponse]] = {
    "length": LengthLimit,
    "refusal": ModelRefused,
    "content_filter": ContentFiltered,
    "truncated": StreamTruncated,
    # A Responses API that gives no reason, or was told to stop, and a call of Gemini's or Bedrock's
    # that cannot be read.
    "incomplete": IncompleteResponse,
    "cancelled": IncompleteResponse,
    "malformed_function_call": IncompleteResponse,
    "malformed_tool_use": IncompleteResponse,
}
# Ends that are not the LLM's own doing.
_BROKEN_OFF = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)


class LLMCall:
    """One call of an LLM.

    Args:
        llm: the LLM that is asked.
        options: how its wrapper is set.

    Attributes:
        id: the id of the call.
        site: where it is made, None where that is no place that events can be written to.
        last: the newest chunk.
        has_room: whether the readers are certainly near enough, so that `room` need not be asked.
        takes_text: whether the site writes the text, so that the caller needs the last chunk only.
        finish_reason: why it ended, None as long as that is not known.
        reader: what its chunks add up to.
    """

    def __init__(self, llm: LLM, options: Options) -> None:
        self.site = site = options.site or current_observer()
        self.id = site.call_id() if site is not None else lone_call_id()
        self.reader = chunk_reader_for(llm)
        self.last: Any = None
        self.takes_text = False
        self.has_room: Callable[[], bool] = _nobody_reads
        self._tell: TextSink | None = None
        self.finish_reason: str | None = None
        self._llm = llm
        self._options = options
        self._finishing = finish_reader_for(llm)
        self._usage: Usage | None = None
        self._pending_raw: Any = None
        self._begun = time.monotonic()
        self._ttft: float | None = None
        self._arguments: dict[int, ToolArguments] = {}
        self._whole = False
        self._over = False

    @property
    def max_lead(self) -> int | None:
        """The number of chunks that the LLM may be ahead of the readers."""
        of_site = self.site.max_lead if self.site is not None else None
        return of_site if of_site is not None else self._options.max_lead

    async def room(self, lead: int) -> int:
        """Wait until the readers of the run are less than `lead` chunks behind.

        Returns:
            How many more chunks may be read before it has to be asked again.
        """
        return await self.site.wait_for_room(lead) if self.site is not None else lead

    def room_sync(self, lead: int) -> None:
        """Wait for room, in a thread that may block."""
        if self.site is not None:
            self.site.wait_for_room_sync(lead)

    # It is a context: an error that leaves it is raised as what it means, and the call is over.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is not None and (said := self.failed(error)) is not error:
                raise said from error
        finally:
            self.over()

    # The beginning

    async def begin(self) -> None:
        """The LLM is going to be asked."""
        self._begun = time.monotonic()
        if self.site is not None:
            await self.site.on_start(self._started())
            self._told_by(self.site)

    def begin_sync(self) -> None:
        """The LLM is going to be asked, by synchronous code."""
        self._begun = time.monotonic()
        if self.site is not None:
            self.site.on_start_sync(self._started())
            self._told_by(self.site)

    def _told_by(self, site: CallObserver) -> None:
        site.calls.open[self.id] = self.broken_off
        self.takes_text = site.owns_text(self.id)
        self.has_room = site.has_room
        self._tell = site.text_sink(self.id) if self.takes_text or site.wants_text else None

    def opened(self) -> None:
        """The LLM has taken the call: it can stream, as far as it says."""
        if self.site is not None:
            self.site.on_open(self.id)

    def _started(self) -> LLMCallStarted:
        agent, iteration = (
            (None, None) if self.site is None else (self.site.agent, self.site.iteration)
        )
        model = self._llm.metadata.model_name
        return LLMCallStarted(call_id=self.id, agent=agent, iteration=iteration, model=model)

    # The chunks

    def take(self, chunk: Any) -> Any:
        """Take in a chunk.

        Returns:
            What the caller is to get; None where it needs the last chunk only.
        """
        delta, thinking, fragments = self.reader.read(chunk)
        self._hear(chunk, delta, thinking)
        if fragments:
            self._take_fragments(fragments)
        if self.takes_text:
            return None
        return self.reader.repaired(chunk) if self._options.repairs else chunk

    def take_completion(self, chunk: Any) -> Any:
        """Take in a chunk of a completion, and return what `take` returns."""
        self._hear(chunk, chunk.delta, None)
        return None if self.takes_text else chunk

    def _hear(self, chunk: Any, delta: str | None, thinking: str | None) -> None:
        self.last = chunk
        if delta or thinking:
            if self._ttft is None:
                self._ttft = time.monotonic() - self._begun
            self._pending_raw = chunk.raw
            if self._tell is not None:
                self._tell(self.id, delta or "", thinking, chunk.raw)
        else:
            # Only chunks without text say how it ended, but for the last one (see `end`).
            self._look_at(chunk.raw)

    def take_whole(self, response: Any) -> Any:
        """Take in the answer of a call that is not streamed.

        Returns:
            What the caller is to get.
        """
        self.last = response
        self._look_at(response.raw)
        if getattr(response, "message", None) is None:
            return response
        shown = response.model_copy(update={"delta": None}) if response.delta else response
        self._take_fragments(self.reader.read(shown).fragments)
        self._take_fragments(self.reader.end())
        return self.reader.repaired(response) if self._options.repairs else response

    def not_streamed(self) -> None:
        """The LLM cannot stream (U33)."""
        self._write(NotStreamed(call_id=self.id, model=self._llm.metadata.model_name))

    def _take_fragments(self, fragments: Sequence[Fragment]) -> None:
        if fragments and self._ttft is None:
            self._ttft = time.monotonic() - self._begun
        site = self.site
        if site is None:
            return
        for tool_id, tool_name, index, delta in fragments:
            series = self._arguments.get(index)
            if series is None:
                series = self._arguments[index] = site.on_arguments(
                    tool_id, tool_name, index, self.id
                )
            site.on_arguments_delta(series, delta)

    def _look_at(self, raw: Any) -> None:
        if raw is None:
            return
        self._finishing.see(raw)
        self._count(raw)

    def _count(self, raw: Any) -> None:
        used = usage_of(raw)
        if used is not None:
            self._usage = used if self._usage is None else self._usage.grown_to(used)

    # The end

    def end(self) -> ChatResponse | None:
        """The LLM has said all.

        Returns:
            The last chunk, where the caller has got none so far.

        Raises:
            IncompleteResponse: the answer is not whole, and that is to be raised.
            ProviderFailed: the provider says that it has failed.
        """
        self._look_at(self._pending_raw)
        self._take_fragments(self.reader.end())
        self._judge()
        self._whole = True
        if not self.takes_text or self.last is None:
            return None
        last = self.reader.repaired(self.last) if self._options.repairs else self.last
        return _whole(last, self.text)

    def end_completion(self) -> CompletionResponse | None:
        """Judge a completion that is at its end; return and raise what `end` does."""
        self._look_at(self._pending_raw)
        self._judge()
        self._whole = True
        if not self.takes_text or self.last is None:
            return None
        last: CompletionResponse = self.last
        return last.model_copy(update={"delta": last.text})

    def end_whole(self) -> None:
        """Judge an answer that is not streamed; raise what `end` raises."""
        self._judge()

    def failed(self, error: BaseException) -> BaseException:
        """Return the error to raise for one that came out of the stream."""
        said = translated(error, self.text, self.id) if isinstance(error, Exception) else error
        if isinstance(said, ProviderFailed) and self._on_incomplete == "event":
            self._write(Incomplete(call_id=self.id, reason="failed", text=self.text))
        self.over(error)
        return said

    def over(self, error: BaseException | None = None) -> None:
        """Write once that the call is over."""
        if self._over:
            return
        self._over = True
        if self._whole:
            # All is there; it is the caller who does not want the last chunk.
            error = None
        broken_off = isinstance(error, _BROKEN_OFF)
        if broken_off:
            self.finish_reason = "cancelled"
        elif error is not None and self.finish_reason not in _INCOMPLETE:
            self.finish_reason = "failed"
        if error is not None and self._pending_raw is not None:
            # Some providers count up with every chunk.
            self._count(self._pending_raw)
        partial = self._is_partial(broken_off=broken_off, failed=error is not None)
        self._write(self._finished(partial))

    def broken_off(self) -> LLMCallFinished:
        """Return what is to be written when the run ends in the middle of the call."""
        self._over = True
        if self._pending_raw is not None:
            self._count(self._pending_raw)
        self.finish_reason = "cancelled"
        return self._finished(partial=True)

    def _finished(self, partial: bool) -> LLMCallFinished:
        if self.site is not None:
            self.site.calls.open.pop(self.id, None)
        return LLMCallFinished(
            call_id=self.id,
            finish_reason=self.finish_reason,
            usage=self._usage,
            ttft=self._ttft,
            seconds=time.monotonic() - self._begun,
            partial=partial,
        )

    def _is_partial(self, *, broken_off: bool, failed: bool) -> bool:
        if broken_off or self.finish_reason == "truncated":
            return True
        return failed and self._usage is None

    @property
    def text(self) -> str:
        """The text so far."""
        last = self.last
        if last is None:
            return ""
        return self.reader.text or getattr(last, "text", None) or _content(last)

    def _judge(self) -> None:
        """Say how the call ended, by an event or an error where it is not whole."""
        finish = self._finishing.finish
        if finish is not None and finish.reason == "failed":
            self.finish_reason = "failed"
            raise ProviderFailed(
                finish.text or "it gives no reason", finish.code, self.text, self.id
            )
        self.finish_reason = finish.reason if finish is not None else None
        if finish is None and self._finishing.says_its_end and not self._ended_with_usage():
            self.finish_reason = "truncated"
        error = _INCOMPLETE.get(self.finish_reason or "")
        if error is None:
            return
        text = self._finishing.refusal or self.text
        if self._on_incomplete == "raise":
            raise error(text, self.id, self.finish_reason)
        if self.site is None:
            logger.warning("LLM call %s is not whole: %s", self.id, self.finish_reason)
        self._write(Incomplete(call_id=self.id, reason=self.finish_reason or "", text=text))

    def _ended_with_usage(self) -> bool:
        """U71: where the class has dropped the chunk that said why, the usage is still the end."""
        return self.last is not None and says_the_end(self.last.raw)

    @property
    def _on_incomplete(self) -> OnIncomplete:
        of_site = self.site.on_incomplete if self.site is not None else None
        return of_site or self._options.on_incomplete

    def _write(self, event: Event) -> None:
        if self.site is not None:
            self.site.write(event)


def _nobody_reads() -> bool:
    """A call that is made nowhere has no readers to wait for."""
    return True


def _content(response: Any) -> str:
    message = getattr(response, "message", None)
    return (message.content or "") if message is not None else ""


def _whole(chunk: ChatResponse, text: str) -> ChatResponse:
    """The last chunk, for a caller to whom it is the only one."""
    said = cast("dict[str, Any]", chunk.additional_kwargs)  # pyright: ignore[reportUnknownMemberType] # core says dict
    kwargs = {name: value for name, value in said.items() if name != "thinking_delta"}
    return chunk.model_copy(update={"delta": text, "additional_kwargs": kwargs})


def incomplete_error(event: Incomplete) -> IncompleteResponse:
    """The error that says what an `Incomplete` says."""
    error = _INCOMPLETE.get(event.reason, IncompleteResponse)
    return error(event.text, event.call_id, event.reason)
