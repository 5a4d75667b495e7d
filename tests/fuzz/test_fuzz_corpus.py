"""What fuzzing has found is replayed: each file once broke its target, or shows a kind of input that nearly did."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, seeds

HERE = Path(__file__).parent
FOUND = sorted(file for target in TARGETS for file in (HERE / target).glob("*"))
SECONDS = 5.0
READY: set[str] = set()
"""Targets that have read their mappings already, which is not what is timed."""


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_was_found_stays_mended(file: Path) -> None:
    """The target reads or refuses the input, in time."""
    target = file.parent.name
    if target not in READY:
        TARGETS[target](seeds(target)[0])
        READY.add(target)
    started = time.process_time()
    TARGETS[target](file.read_bytes())
    assert time.process_time() - started < SECONDS


def test_every_target_has_a_corpus() -> None:
    """No target is without an example of what it must stand."""
    assert {file.parent.name for file in FOUND} == set(TARGETS)
