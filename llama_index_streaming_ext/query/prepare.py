"""The copy of an engine that a query works on: all of its work is seen, and stops with it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal, get_args

from llama_index_streaming_ext.llm.observer import OnIncomplete
from llama_index_streaming_ext.query.context.options import QueryOptions
from llama_index_streaming_ext.query.engine_copy.copy import copy_of
from llama_index_streaming_ext.query.execution.query_run import QueryRun
from llama_index_streaming_ext.query.llms.query_llm import QueryCallObserver, in_query
from llama_index_streaming_ext.query.tracing.parts import observe


class _Turns:
    """Whose turn it is to begin a query."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        # Threads are not inherited, and one of them may have held it.
        self.lock = threading.RLock()


_turns = _Turns()


@contextmanager
def in_turn() -> Generator[None]:
    """Begin a query in a thread when nobody else does.

    Twenty that begin at once would fight for the interpreter, and what streams beside them would
    wait for all of them (`tests/bench/query_threads.py`).
    """
    with _turns.lock:
        yield


Show = Literal["answer", "calls"]
"""The parts of a query that are shown: the answer, or the text of every inner LLM call, too."""


class Wrapping:
    """A wrapper of an engine. Where core's engines hold a wrapper, its inner engine is asked."""

    engine: Any


def check_options(show: str, max_lead: int, on_incomplete: str) -> None:
    """See that an engine is set to what there is.

    Raises:
        ValueError: it is not; the message says what there is.
    """
    if show not in get_args(Show):
        raise ValueError(f"show is 'answer' or 'calls', not {show!r}")
    if on_incomplete not in get_args(OnIncomplete):
        raise ValueError(f"on_incomplete is 'event' or 'raise', not {on_incomplete!r}")
    if not isinstance(max_lead, int) or max_lead < 1:  # pyright: ignore[reportUnnecessaryIsInstance] # users may err
        raise ValueError(f"max_lead is a number of records from 1, not {max_lead!r}")


def prepared(engine: Any, run: QueryRun, *, show_calls: bool, strict: bool, is_async: bool) -> Any:
    """A copy of an engine for one query.

    Args:
        engine: the user's engine, which is not changed.
        run: the query.
        show_calls: whether to write what the inner calls say.
        strict: raise NotImplementedError where the LLM cannot stream.
        is_async: whether it is going to be asked in a task, which is cancelled with the query.
    """
    options = QueryOptions(
        on_incomplete="event",
        strict=strict,
        site=QueryCallObserver(run, show_calls=show_calls, strict=strict),
        stop=run.stop_signal,
        show_calls=show_calls,
        loop=asyncio.get_running_loop() if is_async else None,
    )
    run.work.options = options

    def prepare(met: Any) -> Any:
        """An engine that the engine meets only while it works."""
        copy = copy_of(met, lambda llm: in_query(llm, options), unwrap=_unwrapped)
        observe(copy, run.work, prepare=prepare)
        return copy

    return prepare(engine)


def _unwrapped(part: object) -> object | None:
    """Ours inside of core's: the query that is at work shows what it does, as of any engine."""
    return part.engine if isinstance(part, Wrapping) else None
