"""How long it takes to import the package, and what its first use then imports.

Run it: `python tests/bench/imports.py`. Milliseconds inside of fresh processes, medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 9
STATEMENTS = {
    "nothing": "pass",
    "the package": "import llama_index_streaming_ext",
    "... and Workflow": "from llama_index_streaming_ext import Workflow",
    "... and FunctionAgent": "from llama_index_streaming_ext import FunctionAgent",
    "workflows": "import workflows",
    "core's FunctionAgent": "from llama_index.core.agent.workflow import FunctionAgent",
}
PROGRAM = """
import time
begun = time.perf_counter()
{}
print((time.perf_counter() - begun) * 1e3)
"""


def took(statement: str) -> float:
    """Milliseconds that a statement takes in a fresh process."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print the table."""
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():
            taken[name].append(took(statement))
    base = statistics.median(taken["core's FunctionAgent"])
    print(f"{'import':<24}{'ms':>9}{'ratio':>8}")
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:<24}{median:>9.1f}{median / base:>8.2f}")


if __name__ == "__main__":
    main()
