"""The private mark that tells the steps of a workflow from its other methods."""

from __future__ import annotations

_STEP_MARK = "_step_config"  # canary: tests/upstream/test_steps.py


def is_step(member: object) -> bool:
    """Return True if a member of a class is a step, that is, was decorated with `@step`."""
    return callable(member) and hasattr(member, _STEP_MARK)
