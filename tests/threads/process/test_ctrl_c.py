"""Ctrl-C while a thread waits."""

from __future__ import annotations

import signal
import threading

import pytest

from llama_index_streaming_ext.threads.from_thread import iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.query.bridge_streams import LONG, Source


def test_ctrl_c_ends_a_wait_and_closes_the_stream() -> None:
    """The main thread waits where a signal is heard."""
    source = Source(0)

    def interrupt() -> None:
        source.stalled.wait(LONG)
        signal.raise_signal(signal.SIGINT) if not hasattr(signal, "pthread_kill") else (
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        )

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        next(iterate(source, StopSignal()))
    assert source.closed.wait(LONG)
