"""The guard around each step of a workflow: it can be stopped, and cannot hang its run."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from llama_index_streaming_ext.errors import StepCancelled
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.llm.open_streams import open_streams
from llama_index_streaming_ext.run.run import current_run
from llama_index_streaming_ext.upstream.workflows import is_step

F = TypeVar("F", bound=Callable[..., Any])

_GUARDED = "__streaming_ext_guarded__"
_FORWARDS_TO = "__streaming_ext_forwards_to__"


def guarded(step: F) -> F:
    """Return a step that can be stopped, and that cannot hang its run.

    - Its task is known to its run, which cancels it when the run has ended (U5: upstream lets the
      step of a hard-cancelled run go on).
    - A CancelledError that it raises while nobody has cancelled it is a failure (U5: upstream
      waits for such a step for ever).
    """
    if hasattr(step, _GUARDED):
        return step
    guard = _guard_async(step) if inspect.iscoroutinefunction(step) else _guard_sync(step)
    setattr(guard, _GUARDED, True)
    return cast("F", guard)


def guard_steps(cls: type) -> None:
    """Guard every step of a class, its own and those that it inherits.

    An inherited one is replaced by a step that calls it by `super()`, so that the order in which
    classes override each other stays what it is.
    """
    for name in {
        name for base in cls.__mro__ for name, step in vars(base).items() if is_step(step)
    }:
        current = inspect.getattr_static(cls, name)
        if not is_step(current):
            continue
        original = _original(cls, name)
        if hasattr(original, _GUARDED) and current is original:
            continue
        if name in vars(cls) and current is original:
            setattr(cls, name, guarded(original))
        elif getattr(current, _FORWARDS_TO, current) is not original or current is original:
            setattr(cls, name, _forwarder(cls, name, original))


def _original(cls: type, name: str) -> Callable[..., Any]:
    """Return the step of a class with a name, past the steps that only forward to others."""
    found = (vars(base)[name] for base in cls.__mro__ if name in vars(base))
    return next(step for step in found if not hasattr(step, _FORWARDS_TO))


def _forwarder(cls: type, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a guarded step of `cls` that calls the one that it inherits."""
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def forward_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await getattr(super(cls, self), name)(*args, **kwargs)  # pyright: ignore[reportUnknownArgumentType]

        forward: Callable[..., Any] = forward_async
    else:

        @functools.wraps(original)
        def forward_sync(self: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(super(cls, self), name)(*args, **kwargs)  # pyright: ignore[reportUnknownArgumentType]

        forward = forward_sync
    # wraps() copies the marks of a step that is guarded itself.
    vars(forward).pop(_GUARDED, None)
    forward = guarded(forward)
    setattr(forward, _FORWARDS_TO, original)
    return forward


def _guard_async(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    async def run_step(*args: Any, **kwargs: Any) -> Any:
        run = current_run()
        if run is None:
            return await step(*args, **kwargs)
        attempt = run.attempts.of(step.__name__, _input_of(args, kwargs))
        with attempt, run.working(), open_streams() as streams:
            try:
                return await step(*args, **kwargs)
            except BaseException as error:
                await streams.aclose()
                if not isinstance(error, asyncio.CancelledError) or _is_being_cancelled():
                    raise
                raise StepCancelled(step.__name__) from error

    return run_step


def _guard_sync(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def run_step(*args: Any, **kwargs: Any) -> Any:
        run = current_run()
        try:
            if run is None:
                return step(*args, **kwargs)
            with run.attempts.of(step.__name__, _input_of(args, kwargs)), run.writing():
                return step(*args, **kwargs)
        except asyncio.CancelledError as error:
            # It runs in an executor thread, where nobody can cancel it.
            raise StepCancelled(step.__name__) from error
        except StopIteration as error:
            # asyncio cannot hand it over, and the run would wait for ever.
            raise RuntimeError(f"Step '{step.__name__}' raised StopIteration") from error

    return run_step


def _input_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Event | None:
    """Return the event that a step is called with."""
    return next((value for value in (*args, *kwargs.values()) if isinstance(value, Event)), None)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
