"""`Workflow`: upstream's class with runs that are streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from workflows import Workflow as UpstreamWorkflow
from workflows.handler import WorkflowHandler
from workflows.plugins.basic import BasicRuntime
from workflows.runtime.verbose import VerboseDecorator  # pyright: ignore[reportMissingTypeStubs]

from llama_index_streaming_ext.run.handler import StreamingHandler, start
from llama_index_streaming_ext.run.step_guard import guard_steps, guarded
from llama_index_streaming_ext.upstream.workflows import is_step


class StreamingRuns:
    """Mixin that makes the runs of a workflow class streams; it comes before that class."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard_steps(cls)

    @classmethod
    def add_step(cls, func: Callable[..., Any]) -> None:
        """Add a free function as a step, as upstream does.

        Raises:
            WorkflowValidationError: it is not decorated with `@step`, or its name is taken.
        """
        super().add_step(guarded(func) if is_step(func) else func)  # pyright: ignore

    def run(self, *args: Any, keep_raw: bool | None = None, **kwargs: Any) -> StreamingHandler:
        """Run the workflow. Takes what upstream's `run` takes.

        Args:
            *args: as upstream's.
            keep_raw: keep the provider's raw chunk of every token in the log; None for what the
                workflow was made with.
            **kwargs: as upstream's: `ctx`, `start_event`, or the fields of the start event.

        Returns:
            A handler that any number of readers can follow.
        """
        handler = cast("WorkflowHandler", super().run(*args, **kwargs))  # pyright: ignore
        # No annotated attribute: pydantic would make it a field of every agent class.
        keep = getattr(self, "keep_raw", False) if keep_raw is None else keep_raw
        return start(
            handler,
            keep_raw=keep,
            guarded=True,
            # Other runtimes (a server's, say) have readers of their own at upstream's queue.
            direct=type(self.runtime) in (BasicRuntime, VerboseDecorator),  # pyright: ignore
        )


class Workflow(StreamingRuns, UpstreamWorkflow):
    """Workflow whose `run()` returns a `StreamingHandler`.

    Everything else is as in upstream's `Workflow`.

    Args:
        *args: as upstream's.
        keep_raw: keep the provider's raw chunk of every token, not only of the last one of each
            LLM call.
        **kwargs: as upstream's.
    """

    def __init__(self, *args: Any, keep_raw: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if keep_raw:
            self.keep_raw = True
