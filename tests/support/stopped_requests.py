"""Requests whose answers would go on, and a check that a stop, and nothing else, ended them."""

from __future__ import annotations

import time

from llama_index_streaming_ext.testing import ReceivedRequest, gate, text, wait
from llama_index_streaming_ext.testing.script.parts import Part

STORY: list[Part] = [text("word "), wait(0.01)] * 6000
"""An answer that goes on for at least a minute."""
STALLED: list[Part] = [text("word ", "word ", "word "), gate("never")]
"""An answer that stops in the middle, for ever."""

SOON = 30.0
"""Seconds within which the server has to see the client go, on a machine that is busy too.

A client that was told nothing stays for ever, or to the end of its story. How long it takes by
itself is measured by `python tests/bench/stops.py`, and is milliseconds.
"""
SENT_SOON = 900_000
"""Bytes that a story sends in that time: 100 words a second, of less than 300 bytes."""


class BeingAnswered:
    """A request that is being answered when somebody is about to stop that.

    Args:
        request: the request.
    """

    def __init__(self, request: ReceivedRequest) -> None:
        assert request.ended_by is None
        self._request = request
        self._sent = request.bytes_sent
        self._since = time.monotonic()

    def check_closed_soon(self) -> None:
        """The client has closed it, and it was the stop that made it do so."""
        closed = self._request.closed_by_client
        assert closed is not None, self._request
        assert closed - self._since < SOON
        assert self._request.bytes_sent - self._sent < SENT_SOON
