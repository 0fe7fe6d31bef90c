"""The hooks of the engine, and what is wrong with each."""

from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from workflows import Context, Workflow
from workflows.errors import WorkflowRuntimeError
from workflows.handler import WorkflowHandler
from workflows.plugins import basic_runtime
from workflows.plugins.basic import BasicRuntime
from workflows.representation import get_workflow_representation
from workflows.runtime.runtime_decorators import (  # pyright: ignore[reportMissingTypeStubs] -- a namespace package, so py.typed is not found
    BaseExternalRunAdapterDecorator,
    BaseRuntimeDecorator,
)
from workflows.runtime.types.plugin import (  # pyright: ignore[reportMissingTypeStubs] -- as above
    ExternalRunAdapter,
)

from tests.support.upstream.flows import Notes, names, read, soon
from tests.support.upstream.llms import ScriptLLM


class Decorated(BaseRuntimeDecorator):
    """A runtime decorator that adds nothing but an adapter that adds nothing."""

    def run_workflow(self, *args: Any, **kwargs: Any) -> ExternalRunAdapter:
        """Wrap what the runtime hands out."""
        return BaseExternalRunAdapterDecorator(super().run_workflow(*args, **kwargs))


def test_u10_another_class_can_register_as_a_handler() -> None:
    """U10: `WorkflowHandler.register(Other)` makes `isinstance` true of an unrelated class."""

    class Other:
        pass

    handler_class: Any = WorkflowHandler  # its metaclass, ABCMeta, is invisible to type checkers
    handler_class.register(Other)
    assert isinstance(Other(), WorkflowHandler)
    assert issubclass(Other, WorkflowHandler)


def test_u11_registering_is_forwarded_to_the_inner_runtime() -> None:
    """U11: a workflow made inside `decorator.registering()` runs on the undecorated runtime."""
    inner = BasicRuntime()
    with Decorated(inner).registering():
        assert Notes().runtime is inner


def test_u11_an_agent_ignores_its_runtime() -> None:
    """U11: `FunctionAgent(runtime=...)` takes the argument and ignores it."""
    agent = FunctionAgent(llm=ScriptLLM(), runtime=Decorated(BasicRuntime()))
    assert agent.runtime is basic_runtime


async def test_u11_a_decorated_adapter_still_streams() -> None:
    """U11: a run behind a decorated adapter streams and ends as any other."""
    handler = Notes(runtime=Decorated(BasicRuntime())).run()
    assert names(await read(handler.stream_events()))[-1] == "StopEvent"
    assert await soon(handler) == "done"


@pytest.mark.filterwarnings("ignore:WorkflowHandler.cancel:DeprecationWarning")
async def test_u11_a_decorated_adapter_cannot_be_cancelled_hard() -> None:
    """U11: wrapping the external adapter loses the shim of `handler.cancel()`."""
    handler = Notes(runtime=Decorated(BasicRuntime())).run()
    with pytest.raises(NotImplementedError, match="Hard cancel is not supported"):
        handler.cancel()
    await soon(handler)


async def test_u11_a_decorated_adapter_cannot_be_saved() -> None:
    """U11: wrapping the external adapter loses the snapshots: `ctx.to_dict()` raises."""
    handler = Notes(runtime=Decorated(BasicRuntime())).run()
    await soon(handler)
    with pytest.raises(WorkflowRuntimeError, match="not snapshottable"):
        handler.ctx.to_dict()


async def test_u11_a_decorated_adapter_makes_a_context_run_for_ever() -> None:
    """U11: wrapping the external adapter leaves `ctx.is_running` true after the end."""
    plain, decorated = Notes().run(), Notes(runtime=Decorated(BasicRuntime())).run()
    await soon(plain)
    await soon(decorated)
    assert not plain.ctx.is_running
    assert decorated.ctx.is_running


def test_u13_the_graph_of_a_workflow_is_public() -> None:
    """U13: `get_workflow_representation` gives steps and events as nodes and edges."""
    graph = get_workflow_representation(Notes())
    ids = {node.id for node in graph.nodes}
    assert {"write", "StartEvent", "StopEvent"} <= ids
    assert {("StartEvent", "write"), ("write", "StopEvent")} <= {
        (edge.source, edge.target) for edge in graph.edges
    }


def test_u16_a_context_takes_attributes() -> None:
    """U16: Context objects have a `__dict__`, so that an attribute can shadow a method."""
    workflow: Workflow = Notes()
    assert vars(Context(workflow))
