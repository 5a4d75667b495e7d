"""Paths: HL7's own way to name a place."""

from __future__ import annotations

import pytest

from bridge.hl7v2 import path
from bridge.hl7v2.message import parse
from bridge.hl7v2.path import Path

MESSAGE = parse(
    b"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5.1\rEVN|A03\rPID|1||5^^^A&1.2^MR~~6^^^B^SS\rPV1|1|I\rDG1|1||X^a\rDG1|2||Y^b\r"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID", Path("PID")),
        ("PID-3", Path("PID", field=3)),
        ("PID-3.4", Path("PID", field=3, component=4)),
        ("PID-3[2].4.1", Path("PID", 0, 3, 2, 4, 1)),
        ("DG1[2]-3.1", Path("DG1", 2, 3, 0, 1)),
        ("ZP1-10", Path("ZP1", field=10)),
    ],
)
def test_parse(text: str, expected: Path) -> None:
    """A path is read into its numbers, and written back as it was."""
    assert path.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("pid-3", 1),
        ("PI-3", 1),
        ("PID-", 4),
        ("PID-0", 5),
        ("PID-3[0]", 7),
        ("PID-3.", 6),
        ("PID-3.0", 7),
        ("PID-3.1.2.3", 10),
        ("PID-3 ", 6),
        ("PID.3", 4),
        ("PID-3[1", 6),
        ("PID-3.4[2]", 8),
    ],
)
def test_errors_have_a_column(text: str, column: int) -> None:
    """A path that is none says at which column it stops to be one."""
    with pytest.raises(ValueError, match=f"^column {column}:"):
        path.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID-3", ["5", "6"]),
        ("PID-3.4", ["A", "B"]),
        ("PID-3[1].4.2", ["1.2"]),
        ("PID-3[2]", []),
        ("PID-3[3].5", ["SS"]),
        ("DG1-3.2", ["a"]),
        ("DG1[2]-3.2", ["b"]),
        ("DG1[3]-3", []),
        ("ZZZ-1", []),
        ("PID", []),
        ("PID-99.9", []),
        ("MSH-9.2", ["A03"]),
    ],
)
def test_values(text: str, expected: list[str]) -> None:
    """A path reads the first segment of its name, all repetitions unless it names one, and nothing that is empty."""
    assert [value.text() for value in path.values(path.parse(text), MESSAGE)] == expected
    assert path.text(path.parse(text), MESSAGE) == (expected[0] if expected else "")


def test_values_of_one_segment() -> None:
    """Within a loop the current segment is read, whatever the path's occurrence."""
    assert path.text(path.parse("DG1-3"), MESSAGE.all("DG1")[1]) == "Y"
