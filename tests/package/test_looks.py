"""Many checks in one test: none hides another, and the failure names them."""

from __future__ import annotations

import pytest

from tests.support.looks import Looks, check_all, check_faces


def test_each_check_that_fails_is_named() -> None:
    """Checks after one that fails are made, and the error has all that failed."""
    looks, made = Looks[int](), list[str]()

    @looks.add
    def it_is_positive(case: int) -> None:  # pyright: ignore[reportUnusedFunction]
        assert case > 0

    @looks.add_where(lambda case: case == 7)
    def it_is_seven(case: int) -> None:  # pyright: ignore[reportUnusedFunction]
        made.append("seven")

    @looks.add
    def it_is_even(case: int) -> None:  # pyright: ignore[reportUnusedFunction]
        made.append("even")
        assert case % 2 == 0

    with pytest.raises(ExceptionGroup, match="2 of 2 looks fail: it_is_positive, it_is_even"):
        looks.check(-1)
    assert made == ["even"]
    looks.check(8)


def test_both_faces_are_checked() -> None:
    """A check of sync and async is made twice."""

    def never_async(name: str, is_async: bool) -> None:
        assert not is_async, name

    with pytest.raises(ExceptionGroup, match=r"1 of 2 looks fail: never_async \(async\)"):
        check_faces(never_async, name="engine")


def test_no_checks_are_a_failure() -> None:
    """A case in which nothing is checked does not pass."""
    with pytest.raises(AssertionError, match="without checks"):
        check_all([])
