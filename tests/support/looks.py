"""Many checks of one case in one test: each is made, and the test names those that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

_C = TypeVar("_C")


class Looks(Generic[_C]):
    """A list of checks, each of them a function that takes a case.

    Example:
        >>> looks = Looks[str]()
        >>> @looks.add
        ... def it_is_short(case: str) -> None:
        ...     assert len(case) < 80
        >>> looks.check("a case")
    """

    def __init__(self) -> None:
        self._all: list[tuple[Callable[[_C], None], Callable[[_C], bool]]] = []

    def add(self, check: Callable[[_C], None]) -> Callable[[_C], None]:
        """Add a check that holds for every case."""
        self._all.append((check, lambda _: True))
        return check

    def add_where(
        self, holds: Callable[[_C], bool]
    ) -> Callable[[Callable[[_C], None]], Callable[[_C], None]]:
        """Return a decorator that adds a check of those cases for which `holds` is true."""

        def add(check: Callable[[_C], None]) -> Callable[[_C], None]:
            self._all.append((check, holds))
            return check

        return add

    def check(self, case: _C) -> None:
        """Make every check of a case.

        Raises:
            ExceptionGroup: if checks failed; its message names them.
        """
        check_all(self.of(case))

    def of(self, case: _C) -> list[tuple[str, Callable[[], None]]]:
        """Return the checks of a case, each of them a name and a function."""
        return [(c.__name__, partial(c, case)) for c, holds in self._all if holds(case)]


def check_all(checks: Sequence[tuple[str, Callable[[], None]]]) -> None:
    """Make all checks, each of them a name and a function.

    Raises:
        ExceptionGroup: if checks failed; its message names them.
    """
    assert checks, "a case without checks"
    failed: dict[str, Exception] = {}
    for name, check in checks:
        try:
            check()
        except Exception as error:
            error.add_note(f"in the look {name!r}")
            failed[name] = error
    if failed:
        told = ", ".join(failed)
        raise ExceptionGroup(
            f"{len(failed)} of {len(checks)} looks fail: {told}", [*failed.values()]
        )


def check_faces(*checks: Callable[..., None], name: str) -> None:
    """Make checks that take a name, and `is_async`, in both faces: sync and async."""
    check_all(
        [
            (
                f"{check.__name__} ({'async' if is_async else 'sync'})",
                partial(check, name, is_async),
            )
            for check in checks
            for is_async in (False, True)
        ]
    )
