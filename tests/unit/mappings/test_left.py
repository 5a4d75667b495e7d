"""What conversion leaves out: listed with a reason, and truly left out."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.mapping.coverage import read_left
from bridge.mapping.library import Library

LEFT = Path(__file__).resolve().parents[3] / "mappings" / "left.csv"
OURS = ("MSH", "EVN", "PID", "PD1", "NK1", "ROL", "PRT", "PV1", "PV2", "DG1", "IN1", "IN2", "GT1", "MRG", "SFT", "UAC", "DB1", "NPU")
"""Segments of ADT of which every field is either mapped or listed."""
READER = {"MSH-1", "MSH-2", "MSH-9", "MSH-12", "MSH-18"}
"""They say how to read a message; the reader uses them."""


def rows() -> list[dict[str, str]]:
    lines = [line for line in LEFT.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def read_by_adt() -> set[str]:
    """Every field that some ADT mapping reads."""
    library = Library.load()
    reads = {read for name in library.programs if name.startswith("adt-") for read in library[name].reads if read[:3].isupper()}
    return {f"{path.segment}-{path.field}" for path in map(paths.parse, reads) if path.field}


def place(field: str) -> tuple[str, int, int]:
    """Segment, first number and component of `UB1`, `PV1-18`, `PV1-21..35` or `PV1-3.9`; 0 for what is not there."""
    segment, _, rest = field.partition("-")
    numbers = re.fullmatch(r"(\d*)(?:\.\.\d+)?(?:\.(\d+))?", rest)
    assert numbers is not None, field
    return segment, int(numbers[1] or 0), int(numbers[2] or 0)


def test_rows_are_sorted_and_each_has_a_reason() -> None:
    """One line per field or range in the order of segment and number; none twice, none without a reason."""
    order = [place(row["field"]) for row in rows()]
    assert order == sorted(set(order))
    assert all(row["reason"].strip() for row in rows())


def test_every_field_of_our_segments_is_mapped_or_listed() -> None:
    """A field that no ADT mapping reads is in left.csv, and one in left.csv is read by none."""
    read, listed = read_by_adt() | READER, read_left([LEFT.parent]).keys()
    every = {f"{segment}-{number}" for segment in OURS for number in range(1, tables.segment_fields(segment) + 1)}
    assert every - read - listed == set()
    assert listed & read & every == set()
