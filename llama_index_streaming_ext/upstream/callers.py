"""Callers of a query engine: LlamaIndex's own code, or a person's.

LlamaIndex's engines, tools and packs take the text of what they get at once, with
`str(response)`, which an async response that is still coming cannot give (U57, U59). Nothing
public tells who calls, and spans do not: the code of users in tools and custom engines runs inside
core's spans. So the stack is looked at. Canary: `tests/upstream/test_callers.py`.
"""

from __future__ import annotations

import sys
from types import FrameType

# Frames that stand between a caller and an engine: spans, what decorates methods with them, and
# the methods of this package.
_BETWEEN = ("llama_index_instrumentation.", "wrapt.", "llama_index_streaming_ext.", "functools.")


def called_by_core(depth: int = 1) -> bool:
    """Return True if LlamaIndex's own code called the function that calls this one.

    LlamaIndex's own code is every module `llama_index.*`: core, packs and integrations.

    Args:
        depth: the number of callers to skip.
    """
    frame: FrameType | None = sys._getframe(depth + 1)  # pyright: ignore[reportPrivateUsage] # documented by Python
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not f"{module}.".startswith(_BETWEEN):
            return f"{module}.".startswith("llama_index.")
        frame = frame.f_back
    return False
