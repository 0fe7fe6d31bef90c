"""Who asks a query engine: a person, who gets a live answer, or core, which gets a complete one."""

from __future__ import annotations

import sys
from types import FrameType

# Between the caller and the engine: spans, and what decorates them.
_BETWEEN = ("llama_index_instrumentation", "wrapt", "llama_index_streaming_ext", "functools")
_CORE = ("llama_index.core.", "llama_index.query_engine.", "llama_index.tools.")


def called_by_core(depth: int = 1) -> bool:
    """Whether the function that calls this was called by core's own code.

    Core's engines and tools take the text of what they get at once, with `str(response)`, which an
    async response that is still coming cannot give (U57, U59). Nothing public tells who calls, so
    the stack is looked at; canary: tests/upstream/test_callers.py.

    Args:
        depth: how many callers to skip.
    """
    frame: FrameType | None = sys._getframe(depth + 1)  # pyright: ignore[reportPrivateUsage] # documented by Python
    while frame is not None:
        module: str = frame.f_globals.get("__name__", "")
        if not module.startswith(_BETWEEN):
            return f"{module}.".startswith(_CORE)
        frame = frame.f_back
    return False
