"""The copy of an engine that a query works on: all of its work is seen, and stops with it."""

from __future__ import annotations

from typing import Any

from .copying import copy_of
from .llm import QueryOptions, QuerySite, in_query
from .observing import observe
from .run import QueryRun


class Wrapping:
    """What wraps an engine. Where core's engines hold one, the engine within is at work."""

    engine: Any


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
        site=QuerySite(run, show_calls=show_calls),
        stop=run.stop_signal,
        show_calls=show_calls,
        in_task=is_async,
    )

    def prepare(met: Any) -> Any:
        """An engine that the engine meets only while it works."""
        copy = copy_of(met, lambda llm: in_query(llm, options), replace=_unwrapped)
        observe(copy, run.work, prepare=prepare)
        return copy

    return prepare(engine)


def _unwrapped(part: object) -> object | None:
    """Ours inside of core's: the query that is at work shows what it does, as of any engine."""
    return part.engine if isinstance(part, Wrapping) else None
