"""Queries in a forked child."""

from __future__ import annotations

import os
import signal
import threading
import warnings

import pytest

from llama_index_streaming_ext.query.prepare import in_turn


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_waits_for_nobodys_turn() -> None:
    """A thread that was beginning a query is not there any more to end its turn."""
    holds, over = threading.Event(), threading.Event()

    def begin() -> None:
        with in_turn():
            holds.set()
            over.wait()

    thread = threading.Thread(target=begin)
    thread.start()
    holds.wait()
    with warnings.catch_warnings():
        # Python 3.12 warns of every fork of a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(120)
        with in_turn():
            os._exit(0)
    over.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
