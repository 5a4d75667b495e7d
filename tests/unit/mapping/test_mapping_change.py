"""Patches of examples: HL7 paths and dotted paths."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.mapping import change

BODY = b"MSH|^~\\&|A|B\rPID|1||1^^^X~2\rDG1|1||a\rDG1|2||b\r"


@pytest.mark.parametrize(("path", "raw", "line"), [
    ("DG1-3", "z", "DG1|1||z\rDG1|2||z\r"), ("DG1[2]-3", "z", "DG1|1||a\rDG1|2||z\r"), ("DG1-3", None, "DG1|1||\rDG1|2||\r"),
    ("DG1[1]", None, "B\rPID|1||1^^^X~2\rDG1|2||b\r"), ("DG1", None, "PID|1||1^^^X~2\r"), ("PID-3[2].4.2", "y", "1^^^X~2^^^&y\r"),
    ("PID-3.1", "9", "9^^^X~9\r"), ("PID-5", "N", "1^^^X~2||N\r"), ("MSH-4", "C", "MSH|^~\\&|A|C\r"), ("PID-3[3]", "3", "1^^^X~2~3\r"),
    ("DG1[2]", "DG1|9", "DG1|1||a\rDG1|9\r"),
])
def test_fields_and_segments_are_replaced(path: str, raw: str | None, line: str) -> None:
    """A path changes every segment of its name, or the one it numbers; None empties or removes."""
    assert line in change.message(BODY, {path: raw}).decode()


def test_segments_are_appended_and_missing_ones_are_an_error() -> None:
    """A patch for a segment that the example does not have would test nothing."""
    assert change.message(BODY, {}, ["ZZZ|1"]).decode().endswith("DG1|2||b\rZZZ|1\r")
    for path in ("OBX-5", "DG1[3]-1"):
        with pytest.raises(ValueError, match="the example has no"):
            change.message(BODY, {path: "x"})


@pytest.mark.parametrize(("path", "raw", "made"), [
    ("a", "x", {"a": "x", "b": [{"c": 1}, {"c": 2}]}), ("b[1].c", 3, {"a": {}, "b": [{"c": 1}, {"c": 3}]}), ("b[0]", None, {"a": {}, "b": [{"c": 2}]}),
    ("a.d.e", "y", {"a": {"d": {"e": "y"}}, "b": [{"c": 1}, {"c": 2}]}), ("b", None, {"a": {}}), ("zz", None, {"a": {}, "b": [{"c": 1}, {"c": 2}]}),
])
def test_members_are_replaced(path: str, raw: Any, made: Any) -> None:
    """Dotted paths with indexes; None removes."""
    assert change.document({"a": {}, "b": [{"c": 1}, {"c": 2}]}, {path: raw}) == made


@pytest.mark.parametrize("path", ["a..b", "a.b.c", "[1]"])
def test_a_path_that_leads_nowhere_is_an_error(path: str) -> None:
    """So is one that goes through a text."""
    with pytest.raises(ValueError, match=r"is no path|no object"):
        change.document({"a": "text"}, {path: 1})
