"""Pictures of workflows: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from inspect import getclosurevars, isabstract, isclass, isfunction, unwrap
from pathlib import Path
from typing import TypeGuard

from workflows import Workflow
from workflows.representation import (
    WorkflowEventNode,
    WorkflowGraphEdge,
    WorkflowGraphNode,
    WorkflowResourceConfigNode,
    WorkflowResourceNode,
    WorkflowStepNode,
    get_workflow_representation,
)

from llama_index_streaming_ext.draw.page import LEGEND, Edge, Flows, Node, arranged, page


@dataclass(frozen=True)
class FlowDrawing:
    """A drawing that Jupyter shows when it is the last value of a cell.

    Attributes:
        path: the file that was written.
        html: its content.
        height: of the picture, in pixels.
    """

    path: Path
    html: str
    height: float

    def _repr_html_(self) -> str:
        # A frame keeps the page's style and the notebook's apart.
        height = min(round(self.height) + 150, 900)
        frame = f'width="100%" height="{height}" style="border:0"'
        return f'<iframe {frame} srcdoc="{escape(self.html)}"></iframe>'


def draw_all_possible_flows(
    workflow: Workflow | type[Workflow],
    filename: str | os.PathLike[str] = "workflow_all_flows.html",
    notebook: bool = False,
    max_label_length: int | None = None,
    include_child_workflows: bool = True,
) -> FlowDrawing | None:
    """Draw the steps of a workflow and the events between them into an HTML file.

    The file is complete: it loads nothing, runs no script, and nothing else is written. Agents
    are workflows too.

    Args:
        workflow: a workflow or an agent, or the class of one.
        filename: the file to write; its folder must be there.
        notebook: also return the drawing, for Jupyter to show below the cell.
        max_label_length: cut longer names to so many characters; the whole name is then in the
            tooltip. None or 0 cuts nothing.
        include_child_workflows: also draw the workflow classes that the code of a step names,
            one level deep and once each. They are read, not run: no child is instantiated.
            Workflows that a step only finds in a variable or an attribute are not seen.

    Returns:
        The drawing if `notebook`, else None.

    Raises:
        TypeError: `workflow` is not a workflow.
        OSError: the file cannot be written.

    Example:
        ```python
        draw_all_possible_flows(MyWorkflow, "flows.html")
        ```
    """
    workflow_class: object = workflow if isclass(workflow) else type(workflow)
    if not _is_workflow(workflow_class):
        raise TypeError(
            f"draw_all_possible_flows() needs a Workflow, an agent, or the class of one, "
            f"not {workflow!r}."
        )
    flows = _flows_of(workflow_class)
    if include_child_workflows:
        flows = _with_children(workflow_class, flows)
    layout = arranged(flows, max_label_length)
    html = page(flows, layout, max_label_length)
    path = Path(filename)
    # Encoded before the file is opened: what cannot be written leaves an older file as it was.
    path.write_bytes(html.encode("utf-8"))
    return FlowDrawing(path, html, layout.height) if notebook else None


def _flows_of(workflow_class: type[Workflow], prefix: str = "") -> Flows:
    graph = get_workflow_representation(workflow_class)
    within = graph.name if prefix else ""
    nodes = [
        Node(prefix + node.id, node.label, _kind(node), _tip(node), within) for node in graph.nodes
    ]
    # The layout keeps the first node at the top, and breaks cycles where they return to it.
    nodes.sort(key=lambda node: node.kind != "start")
    kinds = {node.id: node.kind for node in nodes}
    edges = [
        _edge(edge, prefix, kinds)
        for edge in graph.edges
        # Upstream leaves out a StopEvent that a step accepts, but not the edge from it.
        if prefix + edge.source in kinds and prefix + edge.target in kinds
    ]
    return Flows(graph.name, nodes, edges)


def _edge(edge: WorkflowGraphEdge, prefix: str, kinds: dict[str, str]) -> Edge:
    source, target = prefix + edge.source, prefix + edge.target
    dashed = not {"external", "resource"}.isdisjoint((kinds[source], kinds[target]))
    return Edge(source, target, edge.label or "", dashed)


def _kind(node: WorkflowGraphNode) -> str:
    if node.node_type == "resource_config":
        return "resource"
    if node.node_type == "event":
        if node.is_subclass_of("StartEvent"):
            return "start"
        return "stop" if node.is_subclass_of("StopEvent") else "event"
    return node.node_type if node.node_type in LEGEND else "step"


def _tip(node: WorkflowGraphNode) -> str:
    """What there is to know of a node. No paths of source files: pictures are shared."""
    details: list[str | None] = []
    if isinstance(node, WorkflowEventNode):
        fields: dict[str, object] = (node.event_schema or {}).get("properties", {})
        details.append(f"fields: {', '.join(fields)}" if fields else None)
    elif isinstance(node, WorkflowResourceNode):
        details += [f"from: {node.getter_name}()", node.description]
    elif isinstance(node, WorkflowResourceConfigNode):
        details += [f"type: {node.type_name}", node.description]
    elif isinstance(node, WorkflowStepNode):
        details.append(node.description)
    return "\n".join([node.label, *(detail for detail in details if detail)])


def _with_children(workflow_class: type[Workflow], flows: Flows) -> Flows:
    nodes, edges = list(flows.nodes), list(flows.edges)
    drawn: dict[type[Workflow], Flows] = {}
    for step in flows.nodes:
        for child in _children(workflow_class, step) if step.kind == "step" else ():
            if child not in drawn:
                drawn[child] = _flows_of(child, prefix=f"child {len(drawn)}: ")
                nodes += drawn[child].nodes
                edges += drawn[child].edges
            for node in drawn[child].nodes:
                if node.kind == "start":
                    edges.append(Edge(step.id, node.id, "calls", dashed=True))
                elif node.kind == "stop":
                    edges.append(Edge(node.id, step.id, "returns", dashed=True))
    return replace(flows, nodes=nodes, edges=edges)


def _children(workflow_class: type[Workflow], step: Node) -> Iterator[type[Workflow]]:
    method = getattr(workflow_class, step.id, None)
    if method is None:  # a free function, registered with @step(workflow=...), is no attribute
        return
    function = unwrap(method)
    if not isfunction(function):
        return
    try:
        names = getclosurevars(function)
    except ValueError:  # a name of an outer function that has no value yet
        return
    for name, value in sorted({**names.globals, **names.nonlocals}.items()):
        # super() puts the step's own class into its closure.
        if name == "__class__" or value is Workflow or value is workflow_class:
            continue
        if _is_workflow(value) and not isabstract(value):
            yield value


def _is_workflow(value: object) -> TypeGuard[type[Workflow]]:
    return isclass(value) and issubclass(value, Workflow)
