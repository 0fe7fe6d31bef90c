"""A layered layout: boxes and the links between them become coordinates and SVG paths.

The method is Sugiyama's: break the cycles, rank by the longest path, order each rank by
barycentres, then move every rank as near to its neighbours as its order allows. Links that
span ranks, and the labels of links, take up room of their own, so nothing is drawn over a box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llama_index_streaming_ext.draw.ranks import MARGIN, Item, ordered, set_columns

RANK_GAP = 42.0
LABEL_HEIGHT = 16.0
PORT_GAP = 16.0
LOOP_REACH = 22.0


@dataclass(frozen=True)
class Box:
    """Something to place.

    Attributes:
        id: its name in links; unique.
        width: in pixels.
        height: in pixels.
    """

    id: str
    width: float
    height: float


@dataclass(frozen=True)
class Link:
    """An arrow between two boxes.

    Attributes:
        source: id of the box that it leaves.
        target: id of the box that it enters; the same one is a self-loop.
        label_width: room to keep for its label, in pixels; 0 for none.
    """

    source: str
    target: str
    label_width: float = 0.0


@dataclass(frozen=True)
class Place:
    """The place of a box, in pixels from the top left corner of the picture.

    Attributes:
        x: its centre.
        y: its centre.
        width: as given.
        height: as given.
    """

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """The way of a link.

    Attributes:
        path: the data of an SVG path, from source to target.
        label: the centre of its label.
        back: whether it closes a cycle, and so runs against the ranks.
    """

    path: str
    label: tuple[float, float]
    back: bool


@dataclass(frozen=True)
class Layout:
    """A picture.

    Attributes:
        places: by box id.
        routes: one per link, in the order given.
        width: in pixels.
        height: in pixels.
    """

    places: dict[str, Place]
    routes: list[Route]
    width: float
    height: float


def lay_out(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Place boxes in ranks and route the links between them.

    The result depends on nothing but the arguments: equal input gives an equal picture.

    Args:
        boxes: what to place; the first one is kept at the top and is where cycles begin.
        links: arrows between them; several between the same two boxes are drawn side by side.

    Returns:
        Coordinates of every box and a path for every link.

    Raises:
        KeyError: a link names a box that is not there.
    """
    index = {box.id: i for i, box in enumerate(boxes)}
    ends = [(index[link.source], index[link.target]) for link in links]
    back = _closing_links(len(boxes), ends)
    down = [(b, a) if i in back else (a, b) for i, (a, b) in enumerate(ends)]
    ranks = _ranks(len(boxes), down, [2 if link.label_width else 1 for link in links])
    items = [
        Item(box.width / 2, box.width / 2, box.height, rank, real=True)
        for box, rank in zip(boxes, ranks, strict=True)
    ]
    loops = _reserve_loops(items, links, ends)
    chains = [_chain(items, a, b, link) for (a, b), link in zip(down, links, strict=True)]
    order = ordered(items)
    set_columns(items, order)
    bands = _bands(items, order)
    places = {
        box.id: Place(item.x, sum(bands[item.rank]) / 2, box.width, box.height)
        for box, item in zip(boxes, items, strict=False)
    }
    ports = _ports(items, boxes, chains)
    routes: list[Route] = []
    for i, (link, chain) in enumerate(zip(links, chains, strict=True)):
        if i in loops:
            routes.append(_loop(places[link.source], loops[i], link.label_width))
        else:
            routes.append(_route(items, bands, chain, ports[i], back=i in back))
    width = max((item.x + item.right for item in items), default=MARGIN) + MARGIN
    height = max((bottom for _, bottom in bands), default=MARGIN) + MARGIN
    return Layout(places, routes, width, height)


def _closing_links(count: int, ends: list[tuple[int, int]]) -> set[int]:
    """The links that lead back to a box which a depth-first walk is still inside of."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for i, (a, _) in enumerate(ends):
        leaving[a].append(i)
    seen: set[int] = set()
    closing: set[int] = set()
    for root in range(count):
        if root not in seen:
            _walk(root, leaving, ends, seen, closing)
    return closing


def _walk(
    root: int,
    leaving: list[list[int]],
    ends: list[tuple[int, int]],
    seen: set[int],
    closing: set[int],
) -> None:
    # A stack of iterators instead of recursion: a chain may be longer than Python's stack.
    seen.add(root)
    inside: dict[int, Iterator[int]] = {root: iter(leaving[root])}
    while inside:
        current = next(reversed(inside))
        link = next(inside[current], None)
        if link is None:
            del inside[current]
        elif (target := ends[link][1]) in inside:
            closing.add(link)
        elif target not in seen:
            seen.add(target)
            inside[target] = iter(leaving[target])


def _ranks(count: int, down: list[tuple[int, int]], lengths: list[int]) -> list[int]:
    """The longest way from the top to each box."""
    leaving: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    waiting = [0] * count
    for (a, b), length in zip(down, lengths, strict=True):
        if a != b:
            leaving[a].append((b, length))
            waiting[b] += 1
    tops = [i for i in range(count) if not waiting[i]]
    ranks = [0] * count
    ready = list(tops)
    for a in ready:  # grows while it is read
        for b, length in leaving[a]:
            ranks[b] = max(ranks[b], ranks[a] + length)
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    for a in tops:
        # Another source than the first hangs just above what it feeds, to keep its links short.
        if a and leaving[a]:
            ranks[a] = min(ranks[b] - length for b, length in leaving[a])
    return ranks


def _reserve_loops(
    items: list[Item], links: Sequence[Link], ends: list[tuple[int, int]]
) -> dict[int, float]:
    """Make room beside boxes for their self-loops; gives how far out each one reaches."""
    reach: dict[int, float] = {}
    for i, (a, b) in enumerate(ends):
        if a == b:
            half = items[a].left
            reach[i] = items[a].right - half + LOOP_REACH
            items[a].right = half + reach[i] + links[i].label_width
    return reach


def _chain(items: list[Item], a: int, b: int, link: Link) -> list[int]:
    """The items that a link runs through; adds one per rank in between."""
    if a == b:
        return []
    top, bottom = items[a].rank, items[b].rank
    chain = [a]
    for rank in range(top + 1, bottom):
        wide = link.label_width if rank == top + 1 else 0.0
        passing = Item(wide / 2, wide / 2, LABEL_HEIGHT if wide else 0.0, rank, real=False)
        chain.append(len(items))
        items.append(passing)
    chain.append(b)
    for upper, lower in pairwise(chain):
        items[upper].down.append(lower)
        items[lower].up.append(upper)
    return chain


def _bands(items: list[Item], order: list[list[int]]) -> list[tuple[float, float]]:
    """The top and the bottom of every rank."""
    bands: list[tuple[float, float]] = []
    top = MARGIN
    for rank in order:
        bottom = top + max((items[i].height for i in rank), default=0.0)
        bands.append((top, bottom))
        top = bottom + RANK_GAP
    return bands


def _ports(
    items: list[Item], boxes: Sequence[Box], chains: list[list[int]]
) -> list[tuple[float, float]]:
    """Return the places where links leave and enter boxes: side by side, uncrossed."""
    ports = [[0.0, 0.0] for _ in chains]
    sides: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for n, chain in enumerate(chains):
        if chain:
            sides.setdefault((chain[0], 0), []).append((items[chain[1]].x, n))
            sides.setdefault((chain[-1], 1), []).append((items[chain[-2]].x, n))
    for (i, side), uses in sides.items():
        # Only the straight part of an edge: the ends of a pill are round.
        room = max(0.0, boxes[i].width - boxes[i].height)
        step = min(PORT_GAP, room / max(1, len(uses) - 1))
        first = items[i].x - step * (len(uses) - 1) / 2
        for k, (_, n) in enumerate(sorted(uses)):
            ports[n][side] = first + k * step
    return [(upper, lower) for upper, lower in ports]


def _route(
    items: list[Item],
    bands: list[tuple[float, float]],
    chain: list[int],
    ports: tuple[float, float],
    *,
    back: bool,
) -> Route:
    """Straight down through every rank, and curved only in the free space between ranks."""
    runs = [(items[i].x, *bands[items[i].rank]) for i in chain]
    first, last = items[chain[0]], items[chain[-1]]
    runs[0] = (ports[0], (sum(runs[0][1:]) + first.height) / 2, runs[0][2])
    runs[-1] = (ports[1], runs[-1][1], (sum(runs[-1][1:]) - last.height) / 2)
    label = (runs[1][0], (runs[1][1] + runs[1][2]) / 2)
    if back:
        runs = [(x, bottom, top) for x, top, bottom in reversed(runs)]
    return Route(_path(runs), label, back)


def _path(runs: list[tuple[float, float, float]]) -> str:
    x, y, end = runs[0]
    data = [f"M{x:.1f} {y:.1f}"]
    for n, (x, y, end) in enumerate(runs):
        if n:
            before_x, before_y = runs[n - 1][0], runs[n - 1][2]
            half = (before_y + y) / 2
            data.append(f"C{before_x:.1f} {half:.1f} {x:.1f} {half:.1f} {x:.1f} {y:.1f}")
        if abs(end - y) > 0.05:
            data.append(f"V{end:.1f}")
    return "".join(data)


def _loop(place: Place, reach: float, label_width: float) -> Route:
    edge = place.x + place.width / 2
    far = edge + reach / 0.75  # a cubic curve goes three quarters of the way to its handles
    low, high = place.y + place.height / 4, place.y - place.height / 4
    path = f"M{edge:.1f} {low:.1f}C{far:.1f} {low + 9:.1f} {far:.1f} {high - 9:.1f} "
    return Route(
        f"{path}{edge:.1f} {high:.1f}", (edge + reach + label_width / 2, place.y), back=True
    )
