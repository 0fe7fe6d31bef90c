"""Where our query and chat engines do otherwise than core's with intent, so core's tests differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Tests that do not apply to ours.

    Attributes:
        why: what ours does, and why.
        says: what the failures say, as a regular expression: a failure that does not say this is
            one of ours.
        tests: their ids, without `tests/` and parameters.
    """

    why: str
    says: str
    tests: frozenset[str]


DIFFERENCES: tuple[Difference, ...] = ()
