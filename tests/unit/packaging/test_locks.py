"""The two lock files say exactly what is installed, and agree with each other and with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)(\[[a-z,-]+\])?==(?P<version>[^ ;]+)(?P<marker> ;[^\\]*)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


@cache
def pins(lock: str) -> dict[str, str]:
    """Package -> version (and marker) of a lock."""
    found = (PIN.match(line) for line in (ROOT / lock).read_text().splitlines())
    return {one["name"]: one["version"] + (one["marker"] or "") for one in found if one}


def normal(requirement: str) -> str:
    """The package's name as locks write it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_or_a_hash(lock: str) -> None:
    """A lock holds pinned versions with at least one hash each and nothing else: no URL, host, option or path."""
    lines = (ROOT / lock).read_text().splitlines()
    assert [line for line in lines if not (PIN.match(line) or HASH.match(line))] == []
    bare = [line for line, after in zip(lines, [*lines[1:], ""], strict=True) if PIN.match(line) and not HASH.match(after)]
    assert bare == []
    assert len(pins(lock)) > 10


def test_the_tests_run_on_the_versions_that_are_shipped() -> None:
    """Every package of the runtime lock stands in the development lock with the same version."""
    shipped, tested = (pins(lock) for lock in LOCKS)
    assert {name: version.partition(" ")[0] for name, version in shipped.items()} == {
        name: tested.get(name, "").partition(" ")[0] for name in shipped}


def test_every_dependency_is_locked() -> None:
    """Each dependency of pyproject.toml, and each development tool, is in its lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {normal(one) for one in project["project"]["dependencies"]}
    tools = {normal(one) for one in project["dependency-groups"]["dev"]}
    assert wanted - pins("requirements.lock").keys() == set()
    assert (wanted | tools) - pins("requirements-dev.lock").keys() == set()
