"""Every field of the segments that the bridge promises to read goes somewhere, or is left for a written reason."""

from __future__ import annotations

from importlib.resources import files

from bridge.mapping.coverage import SEGMENTS, read_left, rows
from bridge.mapping.library import Library


def test_every_field_is_mapped_or_left_with_a_reason() -> None:
    """No field of a segment that a mapping reads is undecided: add a mapping row, or a row with the reason to mappings/left.csv."""
    found = rows(Library.load().programs.values(), read_left([files("mappings")]))
    assert {row.field[:3] for row in found} >= set(SEGMENTS)
    assert [row.field for row in found if row.open] == []


def test_what_is_left_is_not_mapped_as_well() -> None:
    """A reason why a field goes nowhere is taken away when the field goes somewhere."""
    found = rows(Library.load().programs.values(), read_left([files("mappings")]))
    assert [row.field for row in found if row.mapped and row.reason] == []
