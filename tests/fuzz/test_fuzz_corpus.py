"""What fuzzing has found is replayed: each file once broke its target, or shows a kind of input that nearly did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
FOUND = sorted(file for target in TARGETS for file in (HERE / target).glob("*"))


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_was_found_stays_mended(file: Path) -> None:
    """The target reads or refuses the input; what was slow is cut off by the suite's timeout."""
    TARGETS[file.parent.name](file.read_bytes())


def test_every_target_has_a_corpus() -> None:
    """No target is without an example of what it must stand."""
    assert {file.parent.name for file in FOUND} == set(TARGETS)
