"""Runs every benchmark and holds it against its budget: `python -m tests.perf`. Not part of the test suite.

A budget is a ratio to a yardstick of the same run, so that a slow machine does not fail and a fast one does not flatter.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

BUDGETS = Path(__file__).parent / "budgets.toml"


def figure(found: dict[str, object], path: str) -> float:
    """A figure by its dotted path."""
    value: object = found
    for name in path.split("."):
        value = value[name]  # type: ignore[index]  # a wrong path is a mistake in budgets.toml and may be loud
    return float(value)  # type: ignore[arg-type]


def main() -> int:
    """One line per budget; exit 1 when one is missed."""
    missed = 0
    for name, budget in tomllib.loads(BUDGETS.read_text(encoding="utf-8")).items():
        done = subprocess.run([sys.executable, "-m", "bridge", "bench", name, "--json"], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        ratio = figure(found, budget["figure"]) / figure(found, budget["yardstick"])
        kept = ratio <= budget["most"] if "most" in budget else ratio >= budget["least"]
        missed += not kept
        bound = f"<= {budget['most']}" if "most" in budget else f">= {budget['least']}"
        print(f"{name}: {budget['figure']} / {budget['yardstick']} = {ratio:.3f} ({bound}) {'ok' if kept else 'MISSED'}  {found['conditions']}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
