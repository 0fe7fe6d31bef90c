"""The inside of a layout: which order the items of a rank stand in, and in which columns."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

MARGIN = 24.0
GAP = 28.0
SWEEPS = 24


@dataclass
class Item:
    """A box, or the point where a long link passes a rank."""

    left: float
    right: float
    height: float
    rank: int
    real: bool
    up: list[int] = field(default_factory=list[int])
    down: list[int] = field(default_factory=list[int])
    x: float = 0.0


def ordered(items: list[Item]) -> list[list[int]]:
    """Order every rank so that few links cross: barycentre sweeps, the best one kept."""
    order: list[list[int]] = [[] for _ in range(max((i.rank for i in items), default=-1) + 1)]
    for i, item in enumerate(items):
        order[item.rank].append(i)
    best, fewest = order, _crossings(items, order)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        order = _swept(items, order, downward=sweep % 2 == 0)
        crossings = _crossings(items, order)
        if crossings < fewest:
            best, fewest = order, crossings
    return best


def _swept(items: list[Item], order: list[list[int]], *, downward: bool) -> list[list[int]]:
    swept = list(order)
    position = {i: float(n) for rank in order for n, i in enumerate(rank)}

    def barycentre(i: int) -> float:
        near = items[i].up if downward else items[i].down
        return sum(position[j] for j in near) / len(near) if near else position[i]

    for r in range(len(order)) if downward else reversed(range(len(order))):
        swept[r] = sorted(order[r], key=barycentre)
        position.update((i, float(n)) for n, i in enumerate(swept[r]))
    return swept


def _crossings(items: list[Item], order: list[list[int]]) -> int:
    position = {i: n for rank in order for n, i in enumerate(rank)}
    total = 0
    for rank in order:
        seen: list[int] = []
        for i in rank:
            lower = sorted(position[j] for j in items[i].down)
            total += sum(len(seen) - bisect_right(seen, n) for n in lower)
            for n in lower:
                insort(seen, n)
    return total


def set_columns(items: list[Item], order: list[list[int]]) -> None:
    """Move ranks towards their neighbours, down and up in turn, and shift all into view."""
    for rank in order:
        _settle(items, rank, [0.0] * len(rank))
    for sweep in range(SWEEPS):
        both = sweep >= SWEEPS - 4
        for rank in order if sweep % 2 == 0 else reversed(order):
            near = [
                items[i].up + items[i].down
                if both
                else (items[i].up if sweep % 2 == 0 else items[i].down)
                for i in rank
            ]
            wanted = [
                sum(items[j].x for j in js) / len(js) if js else items[i].x
                for i, js in zip(rank, near, strict=True)
            ]
            _settle(items, rank, wanted)
    for _ in range(2):
        _straighten(items, order)
    shift = MARGIN - min((item.x - item.left for item in items), default=0.0)
    for item in items:
        item.x = round(item.x + shift, 1)


def _settle(items: list[Item], rank: list[int], wanted: list[float]) -> None:
    """Put a rank as near to the wanted columns as its order and the gaps allow.

    With the gaps taken out this is an isotonic regression, solved by pooling neighbours.
    """
    offsets = [0.0]
    for a, b in pairwise(rank):
        offsets.append(offsets[-1] + items[a].right + GAP + items[b].left)
    pools: list[tuple[float, float, int]] = []  # weighted sum, weight, members
    for i, want, offset in zip(rank, wanted, offsets, strict=True):
        # Passing points weigh more, so that long links come out straight.
        weight = 1.0 if items[i].real else 3.0
        pool = ((want - offset) * weight, weight, 1)
        while pools and pools[-1][0] / pools[-1][1] > pool[0] / pool[1]:
            last = pools.pop()
            pool = (pool[0] + last[0], pool[1] + last[1], pool[2] + last[2])
        pools.append(pool)
    columns = [total / weight for total, weight, members in pools for _ in range(members)]
    for i, column, offset in zip(rank, columns, offsets, strict=True):
        items[i].x = column + offset


def _straighten(items: list[Item], order: list[list[int]]) -> None:
    """Put runs of items that only follow each other in one column, where there is room."""
    place = {i: (rank, n) for rank in order for n, i in enumerate(rank)}

    def free(i: int) -> tuple[float, float]:
        rank, n = place[i]
        before = items[rank[n - 1]] if n else None
        after = items[rank[n + 1]] if n + 1 < len(rank) else None
        low = before.x + before.right + GAP + items[i].left if before else -inf
        high = after.x - after.left - GAP - items[i].right if after else inf
        # Rounding may leave no room at all; where it stands now there always is.
        return min(low, items[i].x), max(high, items[i].x)

    for run in sorted(_runs(items), key=len, reverse=True):
        while run:
            low, high, count = -inf, inf, 0
            for left, right in map(free, run):
                if max(low, left) > min(high, right):
                    break
                low, high, count = max(low, left), min(high, right), count + 1
            straight, run = run[:count], run[count:]
            mean = sum(items[i].x for i in straight) / count
            for i in straight:
                items[i].x = min(max(mean, low), high)


def _runs(items: list[Item]) -> list[list[int]]:
    """Longest ways along items that have one neighbour above and one below."""

    def follows(upper: int, lower: int) -> bool:
        return len(items[upper].down) == 1 == len(items[lower].up)

    runs: list[list[int]] = []
    for i, item in enumerate(items):
        if len(item.up) == 1 and follows(item.up[0], i):
            continue
        run = [i]
        while len(items[run[-1]].down) == 1 and follows(run[-1], items[run[-1]].down[0]):
            run.append(items[run[-1]].down[0])
        runs.append(run)
    return runs
