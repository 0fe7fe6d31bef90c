"""The cutting of an answer's bytes: networks cut anywhere, also inside a character."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

Split: TypeAlias = str | Sequence[int] | None
"""`"byte"`, `"random:<seed>"`, sizes in bytes that are gone through again and again, or None: a
piece for each server-sent event."""

_T = TypeVar("_T")
_LARGEST = 512


def sizes(split: Split) -> Callable[[], Iterator[int]] | None:
    """Read a `split` argument.

    Returns:
        What makes the endless sizes, in bytes, of the pieces of one answer; None: do not cut.

    Raises:
        ValueError: it is none of the forms that there are.
    """
    if split is None:
        return None
    if split == "byte":
        return lambda: itertools.repeat(1)
    if isinstance(split, str):
        return _random(split)
    given = tuple(split)
    if not given or min(given) < 1:
        raise ValueError(f"split={list(given)!r}: sizes are in bytes, at least one of at least 1")
    return lambda: itertools.cycle(given)


def _random(split: str) -> Callable[[], Iterator[int]]:
    kind, _, seed = split.partition(":")
    if kind != "random" or not seed:
        raise ValueError(f"split={split!r}: use 'byte', 'random:<seed>' or a list of sizes")
    return lambda: _random_sizes(random.Random(seed))


def _random_sizes(source: random.Random) -> Iterator[int]:
    while True:
        # Short pieces and pieces of several events, equally often.
        yield source.randint(1, source.choice((4, 32, _LARGEST)))


def cut(steps: Iterable[bytes | _T], piece_sizes: Iterator[int]) -> Iterator[bytes | _T]:
    """Join runs of bytes and cut them anew; other steps stay where they are.

    Example:
        >>> list(cut([b"abc", b"de", "wait", b"f"], itertools.repeat(2)))
        [b'ab', b'cd', b'e', 'wait', b'f']
    """
    pending = b""
    size = next(piece_sizes)
    for step in steps:
        if not isinstance(step, bytes):
            if pending:
                yield pending
                pending, size = b"", next(piece_sizes)
            yield step
            continue
        pending += step
        while len(pending) >= size:
            yield pending[:size]
            pending, size = pending[size:], next(piece_sizes)
    if pending:
        yield pending


def with_last(steps: Iterable[_T]) -> Iterator[tuple[_T, bool]]:
    """Each step, and whether it is the last, known before the step is taken."""
    iterator = iter(steps)
    for step in iterator:
        for following in iterator:
            yield step, False
            step = following
        yield step, True
