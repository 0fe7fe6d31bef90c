"""The page of a drawing: HTML with the picture as SVG inside, complete in itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from llama_index_streaming_ext.draw.layout import Box, Layout, Link, Place, Route, lay_out

CHARACTER = 7.7  # the width of a monospaced character in the style's font size, rounded up
SMALL_CHARACTER = 6.5

LEGEND = {
    "start": "start event",
    "step": "step",
    "event": "event",
    "stop": "stop event",
    "external": "outside: a person or another system",
    "resource": "resource",
}
"""The name of each kind of node, in the order of the legend."""

ARROWS = "<defs>{}</defs>".format(
    "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 1L10 5L0 9z"/></marker>'
        for name in ("arrow", "arrow-back")
    )
)
"""The markers at the ends of edges; they are two because a marker cannot take an edge's colour."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b2330; --quiet: #5b6675; --edge: #7a8696; --back: #c2410c;
  --step: #e3edfd; --step-line: #3f73cf; --event: #e6f5ea; --event-line: #3f9b5f;
  --start: #f0e6fc; --start-line: #8a4fd0; --stop: #fde6e1; --stop-line: #cf4b33;
  --external: #fdf3cf; --external-line: #b58a0a; --resource: #e0f3f3; --resource-line: #2b8a8c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f; --ink: #e7ebf1; --quiet: #9aa6b5; --edge: #8090a3; --back: #fb923c;
    --step: #1d3050; --step-line: #6c9cf0; --event: #1b3826; --event-line: #5cbd7d;
    --start: #352350; --start-line: #b287ee; --stop: #4a221c; --stop-line: #f08770;
    --external: #423612; --external-line: #dcb53c; --resource: #143a3b; --resource-line: #4fb9bb;
  }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.5 system-ui; }
header, .legend { padding: 0 24px; }
h1 { font-size: 20px; margin: 20px 0 0; overflow-wrap: anywhere; }
p { margin: 0; color: var(--quiet); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; list-style: none; margin: 12px 0 0; }
.legend li { display: flex; align-items: center; gap: 7px; font-size: 13px; color: var(--quiet); }
.key { width: 24px; height: 13px; border: 1.5px solid; border-radius: 7px; }
.key.step { border-radius: 3px; }
.key.resource { border-radius: 0; border-style: dashed; }
.key.external { border-radius: 7px / 50%; border-width: 1.5px 4px; }
.line { width: 26px; border-top: 2px solid var(--edge); }
.line.back { border-color: var(--back); }
.line.dashed { border-top-style: dashed; }
.step { fill: var(--step); stroke: var(--step-line); }
.event { fill: var(--event); stroke: var(--event-line); }
.start { fill: var(--start); stroke: var(--start-line); }
.stop { fill: var(--stop); stroke: var(--stop-line); }
.external { fill: var(--external); stroke: var(--external-line); }
.resource { fill: var(--resource); stroke: var(--resource-line); }
.key.step { background: var(--step); border-color: var(--step-line); }
.key.event { background: var(--event); border-color: var(--event-line); }
.key.start { background: var(--start); border-color: var(--start-line); }
.key.stop { background: var(--stop); border-color: var(--stop-line); }
.key.external { background: var(--external); border-color: var(--external-line); }
.key.resource { background: var(--resource); border-color: var(--resource-line); }
main { overflow: auto; }
svg { display: block; margin: 0 auto; }
.node { stroke-width: 1.5; }
.node.resource rect, .edge.dashed { stroke-dasharray: 5 4; }
.edge { fill: none; stroke: var(--edge); stroke-width: 1.5; }
.edge.back { stroke: var(--back); }
marker path { fill: var(--edge); }
#arrow-back path { fill: var(--back); }
text {
  fill: var(--ink); stroke: none; text-anchor: middle; dominant-baseline: central;
  font: 12.5px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
text.within, text.on-edge { font-size: 10.5px; fill: var(--quiet); }
text.on-edge { stroke: var(--paper); stroke-width: 4px; paint-order: stroke; }
"""
"""The style sheet of a page."""


@dataclass(frozen=True)
class Node:
    """A step, an event, or something that a step uses.

    Attributes:
        id: unique in the picture.
        label: its name.
        kind: a key of `LEGEND`.
        tip: what its tooltip says.
        within: name of the child workflow that it belongs to; empty for the workflow itself.
    """

    id: str
    label: str
    kind: str
    tip: str
    within: str = ""


@dataclass(frozen=True)
class Edge:
    """An arrow between two nodes.

    Attributes:
        source: id of a node.
        target: id of a node.
        label: what is written on it.
        dashed: whether it is something else than an event on its way through the workflow.
    """

    source: str
    target: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Flows:
    """The content of a picture.

    Attributes:
        name: of the workflow.
        nodes: the first one is kept at the top.
        edges: between these nodes.
    """

    name: str
    nodes: list[Node]
    edges: list[Edge]


def arranged(flows: Flows, limit: int | None) -> Layout:
    """Lay the flows out, with boxes as wide as their labels.

    Args:
        flows: what to show.
        limit: how many characters of a label to show; None or 0 for all.
    """
    boxes = [
        Box(
            node.id,
            max(
                72.0,
                _width(_cut(node.label, limit)) + 36,
                _width(node.within, SMALL_CHARACTER) + 50,
            ),
            48.0 if node.within else 36.0,
        )
        for node in flows.nodes
    ]
    links = [
        Link(edge.source, edge.target, _width(edge.label, SMALL_CHARACTER) if edge.label else 0.0)
        for edge in flows.edges
    ]
    return lay_out(boxes, links)


def _cut(label: str, limit: int | None) -> str:
    return f"{label[: limit - 1]}…" if limit and len(label) > limit else label


def _width(text: str, character: float = CHARACTER) -> float:
    return sum(character * (2 if unicodedata.east_asian_width(c) in "FW" else 1) for c in text)


def page(flows: Flows, layout: Layout, limit: int | None) -> str:
    """The HTML of a drawing.

    Args:
        flows: what to show.
        layout: where, as `arranged` gives it for the same flows and limit.
        limit: how many characters of a label to show; None or 0 for all.
    """
    name = escape(flows.name)
    counts = f"{_count(flows, 'step')}, {_count(flows, 'event', 'start', 'stop')}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{name}: all possible flows</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{name}</h1><p>All possible flows: {counts}.</p></header>
<ul class="legend">{"".join(_legend(flows, layout))}</ul>
<main>
{_svg(flows, layout, limit)}
</main>
</body>
</html>
"""


def _count(flows: Flows, *kinds: str) -> str:
    count = sum(node.kind in kinds for node in flows.nodes)
    return f"{count} {kinds[0]}{'' if count == 1 else 's'}"


def _legend(flows: Flows, layout: Layout) -> Iterable[str]:
    kinds = {node.kind for node in flows.nodes}
    for kind, text in LEGEND.items():
        if kind in kinds:
            yield f'<li><i class="key {kind}"></i>{text}</li>'
    if any(route.back for route in layout.routes):
        yield '<li><i class="line back"></i>closes a loop</li>'
    if any(edge.dashed for edge in flows.edges):
        yield '<li><i class="line dashed"></i>outside the event flow</li>'


def _svg(flows: Flows, layout: Layout, limit: int | None) -> str:
    width, height = f"{layout.width:.0f}", f"{layout.height:.0f}"
    names = {node.id: node.label for node in flows.nodes}
    edges = [
        _edge_svg(edge, route, f"{names[edge.source]} → {names[edge.target]}")
        for edge, route in zip(flows.edges, layout.routes, strict=True)
    ]
    nodes = [_node_svg(node, layout.places[node.id], limit) for node in flows.nodes]
    labels = [_label_svg(*pair) for pair in zip(flows.edges, layout.routes, strict=True)]
    title = escape(f"All possible flows of {flows.name}")
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{title}</title>{ARROWS}\n" + "\n".join([*edges, *nodes, *labels]) + "</svg>"
    )


def _edge_svg(edge: Edge, route: Route, tip: str) -> str:
    style = " back" if route.back else ""
    arrow = "arrow-back" if route.back else "arrow"
    style += " dashed" if edge.dashed else ""
    return (
        f'<path class="edge{style}" d="{route.path}" marker-end="url(#{arrow})">'
        f"<title>{escape(tip)}</title></path>"
    )


def _label_svg(edge: Edge, route: Route) -> str:
    x, y = route.label
    return (
        f'<text class="on-edge" x="{x}" y="{y}">{escape(edge.label)}</text>' if edge.label else ""
    )


def _node_svg(node: Node, place: Place, limit: int | None) -> str:
    second = -8 if node.within else 0
    texts = f'<text x="{place.x}" y="{place.y + second}">{escape(_cut(node.label, limit))}</text>'
    if node.within:
        texts += (
            f'<text class="within" x="{place.x}" y="{place.y + 11}">in {escape(node.within)}</text>'
        )
    tip = escape(f"{LEGEND[node.kind]}: {node.tip}")
    return f'<g class="node {node.kind}"><title>{tip}</title>{_shape(node, place)}{texts}</g>'


def _shape(node: Node, place: Place) -> str:
    left, top = place.x - place.width / 2, place.y - place.height / 2
    if node.kind == "external":
        slant = 14
        right, bottom = left + place.width, top + place.height
        return (
            f'<polygon points="{left},{place.y} {left + slant},{top} {right - slant},{top} '
            f'{right},{place.y} {right - slant},{bottom} {left + slant},{bottom}"/>'
        )
    radius = {"step": 7.0, "resource": 1.0}.get(node.kind, place.height / 2)
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{place.width:.1f}" height="{place.height}" '
        f'rx="{radius}"/>'
    )
