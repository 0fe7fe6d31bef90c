"""An answer of a fake LLM, step by step: what it yields, and what it waits for in between.

The steps are the same for its sync and its async face; only how they wait differs.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, TypeAlias

from llama_index.core.base.llms.types import ChatResponse

from llama_index_streaming_ext.testing.fake_llm.calls import Call
from llama_index_streaming_ext.testing.fake_llm.playback import Playback
from llama_index_streaming_ext.testing.fake_llm.provider_types import (
    no_answer_error,
    reset_error,
    status_error,
)
from llama_index_streaming_ext.testing.history.refusal import refusal_of
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Turn
from llama_index_streaming_ext.testing.wire.encode import before_answer, full_response, wire_items
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Comment,
    Disconnect,
    Done,
    Fail,
    Gate,
    Http,
    Malformed,
    Truncated,
    Wait,
    WireItem,
)

Step: TypeAlias = ChatResponse | Wait | Gate
"""A chunk to yield, or what to wait for."""
_Items: TypeAlias = Callable[[Turn, Request], Iterator[WireItem]]


class Fold(Protocol):
    """The sum of the chunks of one answer."""

    def feed(self, data: dict[str, Any]) -> ChatResponse | None:
        """Read one chunk; None where the real class yields nothing for it."""
        ...


class Player:
    """Plays the answers to one call: more than one where the real class tries again.

    Args:
        playback: the script.
        request: the call.
        call: its record.
        max_retries: how often the provider's SDK tries again.
        strict_history: whether a conversation that OpenAI refuses is refused.
    """

    def __init__(
        self,
        playback: Playback,
        request: Request,
        call: Call,
        max_retries: int,
        *,
        strict_history: bool = True,
    ) -> None:
        self._playback = playback
        self._request = request
        self._call = call
        self._max_retries = max_retries
        self._refusal = refusal_of(request.messages) if strict_history else None

    def stream(self, fold: Fold) -> Iterator[Step]:
        """Play a streamed answer.

        Args:
            fold: adds up its chunks.
        """
        items = yield from self._begin(
            lambda turn, request: wire_items(turn, request, request.dialect)
        )
        for item in items:
            if isinstance(item, Wait | Gate):
                yield item
            elif isinstance(item, Chunk):
                if (answer := fold.feed(item.data)) is not None:
                    yield answer
            elif isinstance(item, Truncated):
                # Raises what the SDK raises where the body ends in the middle of a character.
                for line in item.text.splitlines():
                    line.encode(errors="surrogateescape").decode()
                return
            elif isinstance(item, Done):
                return
            elif not isinstance(item, Comment):
                raise _error(item)

    def full(self, fold: Callable[[dict[str, Any]], ChatResponse]) -> Iterator[Step]:
        """Play an answer that is not streamed.

        Args:
            fold: reads its body.
        """

        def items(turn: Turn, request: Request) -> Iterator[WireItem]:
            yield from before_answer(turn)
            yield Chunk(full_response(turn, request, request.dialect))

        for item in (yield from self._begin(items)):
            if isinstance(item, Chunk):
                yield fold(item.data)
            elif isinstance(item, Fail) and item.provider:
                raise status_error(Http(500, message=item.message))
            else:
                raise _error(item)

    def _begin(self, items_of: _Items) -> Generator[Step, None, Iterator[WireItem]]:
        """Try until an answer begins, and return the rest of it."""
        if self._refusal is not None:
            self._call.requests += 1
            raise status_error(Http(400, message=self._refusal))
        while True:
            self._call.requests += 1
            turn, request = self._playback.take(self._request)
            items = items_of(turn, request)
            for item in items:
                if isinstance(item, Wait | Gate):
                    yield item
                elif not isinstance(item, Http | Disconnect) or not self._again(item):
                    return itertools.chain((_refused(item),), items)
                else:
                    yield Wait(_delay(item))
                    break
            else:
                return items

    def _again(self, item: Http | Disconnect) -> bool:
        """Return True if the real class would try again and the script has an answer to that."""
        retried = _SDK_RETRIES.intersection(_causes(item))
        if not retried or not self._playback.answers(self._request):
            return False
        made, tries = self._call.requests, 1 + self._max_retries
        if made % tries:
            return True
        # Where it does not stream, LlamaIndex tries again what the SDK gave up.
        again = _LLAMA_INDEX_RETRIES.intersection(retried) and not self._request.stream
        return bool(again) and made < tries * self._max_retries


_SDK_RETRIES = frozenset({"connection", "408", "409", "429", "500"})
_LLAMA_INDEX_RETRIES = frozenset({"connection", "429", "500"})


def _causes(item: Http | Disconnect) -> set[str]:
    if isinstance(item, Disconnect):
        return {"connection"}
    return {"500" if item.status >= 500 else str(item.status)}


def _delay(item: Http | Disconnect) -> float:
    return (item.retry_after or 0.0) if isinstance(item, Http) else 0.0


def _refused(item: WireItem) -> WireItem:
    """Before an answer, a broken connection is another error than in the middle of one."""
    return Fail(no_answer_error) if isinstance(item, Disconnect) else item


def _error(item: WireItem) -> BaseException:
    if isinstance(item, Fail):
        return item.make()
    if isinstance(item, Http):
        return status_error(item)
    if isinstance(item, Malformed):
        return _json_error(item.text)
    return reset_error()


def _json_error(text: str) -> Exception:
    try:
        said = json.loads(text)
    except json.JSONDecodeError as error:
        return error
    # JSON, but no object: the real class stumbles.
    return AttributeError(f"{type(said).__name__!r} object has no attribute 'choices'")
