"""What conversion leaves out: listed with a reason, and truly left out."""

from __future__ import annotations

import csv
import re
from functools import cache

from bridge.mapping import coverage
from bridge.mapping.coverage import Row, read_left
from tests.unit.mappings import packaged

SEGMENTS = (*coverage.SEGMENTS, "SFT", "UAC", "DB1", "NPU")
"""Segments of which every field is mapped or listed: those of `mapping coverage`, and what else ADT brings."""


@cache
def fields() -> list[Row]:
    """Every field of these segments and of any that a mapping reads, with where it goes or why not."""
    return coverage.rows(packaged.library().programs.values(), read_left([packaged.FOLDER]), SEGMENTS)


def place(field: str) -> tuple[str, int, int]:
    """Segment, first number and component of `UB1`, `PV1-18`, `PV1-21..35` or `PV1-3.9`; 0 for what is not there."""
    segment, _, rest = field.partition("-")
    numbers = re.fullmatch(r"(\d*)(?:\.\.\d+)?(?:\.(\d+))?", rest)
    assert numbers is not None, field
    return segment, int(numbers[1] or 0), int(numbers[2] or 0)


def test_rows_are_sorted_and_each_has_a_reason() -> None:
    """One line per field or range in the order of segment and number; none twice, none without a reason."""
    lines = [line for line in (packaged.FOLDER / "left.csv").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    order = [place(row["field"]) for row in rows]
    assert order == sorted(set(order))
    assert all(row["reason"].strip() for row in rows)


def test_every_field_of_our_segments_is_mapped_or_listed() -> None:
    """No field of these segments, or of another that a mapping reads, is undecided: it has a mapping row, or a row with the reason in
    mappings/left.csv."""
    assert {row.field[:3] for row in fields()} >= set(SEGMENTS)
    assert [row.field for row in fields() if row.open] == []


def test_what_is_left_is_not_mapped_as_well() -> None:
    """A reason why a field goes nowhere is taken away when the field goes somewhere."""
    assert [row.field for row in fields() if row.mapped and row.reason] == []
