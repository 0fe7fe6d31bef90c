"""One bench in two checkouts, run in pairs one after the other: how the figures compare.

Run it: `python -m tests.bench.compare OLD NEW [BENCH ...] [--pairs 7]`. Each pair runs the bench in
both checkouts, in turns first. A figure is compared with its own of the same pair, so that what the
machine does meanwhile concerns both. OLD beside OLD gives the spread that the machine makes.

It prints, for each bench, the median ratio NEW / OLD of the pairs, the least and the greatest, and
the figures whose median is the greatest.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")

FIGURES: dict[str, str] = {
    # Of each line that is found: the label is the first group, the figures are in the second one.
    "agent": r"^ *([\d,]+  ours, .*?) {2,}([\d.]+) +[\d.]+ +[\d.]+$",
    "arguments": r"^ *([\d,]+) +[\d.]+ +[\d.]+ +([\d.]+ +[\d.]+) +[\d.]+ +[\d.]+$",
    "query_tokens": r"^((?:a?sync) +\d+) +[\d.]+ +([\d.]+) ",
    "fanout": r"^(log, (?:AgentStream|other event)|tokens of one call|other events) +([\d., ]+)$",
    # The median delay, which is what a reader sees.
    "latency": r"^(ours) +([\d.]+) .*$",
    "stops": r"^\| ([^|]+\| [^|]+)\| ([\d.]+), [\d.]+ ms, \d+ B \|",
    "memory": r"^(ours, \w+) +([\d., ]+)$",
}
"""The lines of each bench that say what this package costs."""


def run(checkout: Path, bench: str) -> dict[str, float]:
    """Run a bench in a checkout, and return its figures by their labels."""
    tests = checkout / "tests"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), str(tests)])}
    command = [sys.executable, str(tests / "bench" / f"{bench}.py")]
    done = subprocess.run(
        command, cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{bench} fails in {checkout}:\n{done.stderr}")
    found = dict(figures(bench, done.stdout))
    if not found:
        raise SystemExit(f"no figures of {bench} in:\n{done.stdout}")
    return found


def figures(bench: str, printed: str) -> Iterator[tuple[str, float]]:
    """Yield the figures that a bench has printed, each with its label."""
    for label, numbers in re.findall(FIGURES[bench], printed, re.MULTILINE):
        for column, number in enumerate(NUMBER.findall(numbers)):
            yield f"{' '.join(label.split())} [{column}]", float(number.replace(",", ""))


def pairs(old: Path, new: Path, bench: str, count: int) -> dict[str, list[float]]:
    """Return the ratios new / old of each figure, one for each pair of runs."""
    ratios: dict[str, list[float]] = {}
    for number in range(count):
        if number % 2:
            before, after = run(old, bench), run(new, bench)
        else:
            after, before = run(new, bench), run(old, bench)
        for label in before.keys() & after.keys():
            if before[label]:
                ratios.setdefault(label, []).append(after[label] / before[label])
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return ratios


def show(bench: str, ratios: dict[str, list[float]]) -> None:
    """Print how the figures of a bench compare."""
    rows = zip(*(ratios[label] for label in sorted(ratios)), strict=False)
    of_pairs = [statistics.geometric_mean(row) for row in rows if all(row)]
    middle, least, most = statistics.median(of_pairs), min(of_pairs), max(of_pairs)
    print(f"{bench:<14}{middle:>7.3f}   {least:.3f} to {most:.3f}   ({len(of_pairs)} pairs)")
    medians = {label: statistics.median(values) for label, values in ratios.items()}
    for label in sorted(medians, key=lambda name: -medians[name])[:4]:
        values = ratios[label]
        print(f"    {medians[label]:>7.3f}   {min(values):.3f} to {max(values):.3f}   {label}")


def main() -> None:
    """Compare the benches that are named, or all that can be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("benches", nargs="*", metavar="bench", default=[])
    parser.add_argument("--pairs", type=int, default=7)
    args = parser.parse_args()
    unknown = set(args.benches) - FIGURES.keys()
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    print(f"{'new / old':<14}{'median':>7}   least to greatest")
    for bench in args.benches or FIGURES:
        show(bench, pairs(args.old.resolve(), args.new.resolve(), bench, args.pairs))


if __name__ == "__main__":
    main()
