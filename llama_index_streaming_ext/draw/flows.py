"""The steps of a workflow and the events between them, as the nodes and edges of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import getclosurevars, isabstract, isclass, isfunction, unwrap
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

from llama_index_streaming_ext.draw.page import LEGEND, Edge, Flows, Node


def flows_of(workflow_class: type[Workflow], prefix: str = "") -> Flows:
    """Return the nodes and edges of a workflow class.

    Args:
        workflow_class: the class.
        prefix: put before every id, so that several workflows fit into one picture.
    """
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
    """Return the tooltip of a node. It has no paths of source files: pictures are shared."""
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


def with_children(workflow_class: type[Workflow], flows: Flows) -> Flows:
    """Return the flows together with those of the workflows that the steps' code names."""
    nodes, edges = list(flows.nodes), list(flows.edges)
    drawn: dict[type[Workflow], Flows] = {}
    for step in flows.nodes:
        for child in _children(workflow_class, step) if step.kind == "step" else ():
            if child not in drawn:
                drawn[child] = flows_of(child, prefix=f"child {len(drawn)}: ")
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
        if is_workflow(value) and not isabstract(value):
            yield value


def is_workflow(value: object) -> TypeGuard[type[Workflow]]:
    """Return True if a value is a workflow class."""
    return isclass(value) and issubclass(value, Workflow)
