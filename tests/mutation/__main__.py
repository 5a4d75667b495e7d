"""Mutation testing of the consent filter: every small wrong done to it must fail a test.

    python -m tests.mutation [--minutes N] [MODULE...]

MODULE is a file name of bridge/consent without .py; all of them when none is given. Each mutant is run in a process of its
own, first against the unit tests, then against the properties with a fixed seed. Prints the survivors with file and line;
ends with 1 when one of them has no reason in reasons.yaml, or when a reason there is of no survivor (of a module run whole).
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import yaml

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bridge" / "consent"
STAGES = (
    ["tests/unit/consent", "--deselect", "tests/unit/consent/test_consent_rows.py"],
    ["tests/property/test_consent_literal.py", "tests/property/test_consent_laws.py", "tests/property/test_consent_look.py", "--hypothesis-seed=0"],
)
"""What pytest is asked after the rows, which are quicker without it; the first failure ends it."""
SECONDS = 120
"""A mutant that runs longer has made a loop, which a test would notice."""


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree."""

    def __init__(self, name: str, mutant: Mutant, path: Path) -> None:
        self.name, self.mutant, self.path = name, mutant, path

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self, origin=str(self.path)) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.mutant.tree(), str(self.path), "exec"), vars(module))


def survives(module: str, mutant: Mutant) -> bool:
    """Whether every test passes with this mutant."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    signal.alarm(SECONDS)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        sys.meta_path.insert(0, Planted(f"bridge.consent.{module}", mutant, PACKAGE / f"{module}.py"))
        code = 1
        with contextlib.suppress(BaseException):
            code = int(_a_row_fails() or any(_fails(stage) for stage in STAGES))
        os._exit(code)


def _a_row_fails() -> bool:
    from tests.unit.consent.test_consent_rows import KNOWN, ROWS, said

    return any(said(named) != (expect, KNOWN[name]) for name, expect, named in ROWS)


def _fails(stage: list[str]) -> bool:
    import pytest

    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *stage]) != 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Small wrongs done to bridge/consent; each must fail a test.")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long; mutants are then taken at random (default: all of them)")
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    asked = parser.parse_args()
    os.chdir(ROOT)
    _warm()
    names = asked.modules or sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
    planned = [(name, mutant) for name in names for mutant in mutants((PACKAGE / f"{name}.py").read_text("utf-8"))]
    if not survives("", Mutant("", 0, "", 0, ast.Pass())):
        sys.exit("the tests fail without any mutant")
    if asked.minutes:
        random.Random(0).shuffle(planned)
    reasons = {(each["module"], each["mutant"]) for each in yaml.safe_load((Path(__file__).parent / "reasons.yaml").read_text("utf-8")) or ()}
    started, run, unexplained, used = time.monotonic(), Counter[str](), 0, set[tuple[str, str]]()
    for name, mutant in planned:
        if asked.minutes and time.monotonic() - started > asked.minutes * 60:
            break
        run[name] += 1
        if survives(name, mutant):
            run["survived"] += 1
            known = (name, mutant.name) in reasons
            used |= {(name, mutant.name)} if known else set()
            unexplained += not known
            print(f"{'known   ' if known else 'SURVIVED'} bridge/consent/{name}.py:{mutant.line} {mutant.name}", flush=True)
    survived, count = run.pop("survived", 0), run.total()
    stale = [] if asked.minutes else [each for each in reasons - used if each[0] in names]
    for name, text in stale:
        print(f"STALE    bridge/consent/{name}.py {text}")
    print(f"{count} of {len(planned)} mutants, {count - survived} killed, {survived} survived, {unexplained} without a reason, "
          f"{time.monotonic() - started:.0f} s; {', '.join(f'{name} {number}' for name, number in sorted(run.items()))}")
    return int(bool(unexplained or stale))


def _warm() -> None:
    """What every child would import for itself; nothing of the filter."""
    import zoneinfo

    import click
    import hypothesis.strategies
    import orjson
    import pytest

    import bridge.core.decision
    import bridge.fhir.elements

    _ = (click, hypothesis, orjson, pytest, zoneinfo, bridge)


if __name__ == "__main__":
    sys.exit(main())
