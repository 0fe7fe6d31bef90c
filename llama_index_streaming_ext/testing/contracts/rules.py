"""The check of a contract: rule by rule, each in its own thread, with a time limit."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias

Rule: TypeAlias = Callable[[], None] | Callable[[], Coroutine[Any, Any, None]]
"""One fact that must hold; a coroutine function is run on an event loop of its own."""


class ContractBroken(AssertionError):
    """Something does not keep the contract that it is to keep.

    Attributes:
        subject: what does not keep it.
        rule: the name of the rule.
        expected: what should have been.
        found: what was.
    """

    def __init__(self, subject: str, rule: str, expected: str, found: str) -> None:
        self.subject = subject
        self.rule = rule
        self.expected = expected
        self.found = found
        super().__init__(
            f"{subject} breaks the rule '{rule}'.\n  expected: {expected}\n  found:    {found}"
        )


class Unkept(Exception):
    """Raised by a rule that does not hold."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found if isinstance(found, str) else repr(found)


def expect(holds: object, expected: str, found: object) -> None:
    """Raise `Unkept` unless something holds."""
    if not holds:
        raise Unkept(expected, found)


def check_rules(subject: str, rules: Iterable[tuple[str, Rule]], timeout: float) -> None:
    """Check rules, each in a thread of its own, so that one that hangs is told of like any other.

    Args:
        subject: what is to keep them.
        rules: their names, and the rules.
        timeout: seconds that each may take.

    Raises:
        ContractBroken: the first that does not hold.
    """
    for name, rule in rules:
        unkept = _outcome(rule, timeout)
        if unkept is not None:
            error = ContractBroken(subject, name, unkept.expected, unkept.found)
            raise error from unkept.__cause__


def _outcome(rule: Rule, timeout: float) -> Unkept | None:
    found: list[Unkept | None] = []

    def run() -> None:
        try:
            if inspect.iscoroutinefunction(rule):
                asyncio.run(rule())
            else:
                rule()
        except Unkept as unkept:
            found.append(unkept)
        except Exception as error:
            unkept = Unkept("no exception", error)
            unkept.__cause__ = error
            found.append(unkept)
        else:
            found.append(None)

    thread = threading.Thread(target=run, name="contract", daemon=True)
    thread.start()
    thread.join(timeout)
    return found[0] if found else Unkept(f"an end within {timeout:g} s", "it hangs")
