"""The thorough check for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.hl7v2 import batch
from bridge.hl7v2.conformance import check
from bridge.hl7v2.message import parse

HEAD = "MSH|^~\\&|A|B|||20240101||ADT^A03^ADT_A03|1|P|2.5.1\rEVN||20240101\r"
GOOD = HEAD + "PID|1||5^^^A^MR||DOE^JO\rPV1|1|I\r"


def found(text: str) -> set[tuple[str, str]]:
    """Code and place of every issue."""
    return {(issue.code, issue.where) for issue in check(parse(text.encode()))}


def test_a_good_message_has_no_issue() -> None:
    """A message that keeps to its version is not complained about."""
    assert found(GOOD) == set()


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        (GOOD.replace("ADT_A03", "ADT_X99"), ("BRG-H040", "MSH-9")),
        (HEAD + "PID|1||5||DOE\r", ("BRG-H041", "PV1")),
        (GOOD + "PRB|AD\r", ("BRG-H042", "PRB")),
        (GOOD + "XYZ|1\r", ("BRG-H043", "XYZ")),
        (GOOD.replace("DOE^JO", ""), ("BRG-H044", "PID-5")),
        (GOOD.replace("|I\r", "|I~O\r"), ("BRG-H045", "PV1-2")),
        (GOOD.replace("PID|1|", "PID|one|"), ("BRG-H049", "PID-1")),
        (GOOD.replace("DOE^JO", "DOE^JO||19701399"), ("BRG-H049", "PID-7")),
        (GOOD.replace("|I\r", "|I^x\r"), ("BRG-H048", "PV1-2")),
        (GOOD + "DG1|1||X||1|F\rDG1|2||X||1|F" + "|" * 9 + "77\r", ("BRG-H047", "DG1[2]-15")),
        (GOOD.replace("|I\r", "|" + "I" * 30 + "\r"), ("BRG-H046", "PV1-2")),
    ],
)
def test_findings(text: str, issue: tuple[str, str]) -> None:
    """Each kind of breach is found at its place."""
    assert issue in found(text)


@pytest.mark.parametrize("version", ["", "2.9", "2.1", "9.9", "2.5.1^USA", "x"])
def test_any_version_is_checked(version: str) -> None:
    """A missing, newer or unknown version is checked by the nearest one that is known."""
    assert isinstance(found(GOOD.replace("2.5.1", version)), set)


def test_corpus_never_raises_and_never_quotes(shared: Path) -> None:
    """No message of the corpus makes the check fail, and no finding quotes a patient's name, number or date."""
    for file in (shared / "corpus/hl7v2").glob("*.hl7"):
        for body in list(batch.split(file.read_bytes()))[:3]:
            message = parse(body)
            said = " ".join(map(str, check(message)))
            pid = message.first("PID")
            values = {pid.text(3), pid.text(5), pid.text(5, 2), pid.text(7)} if pid else set()
            assert not {value for value in values if len(value) > 4} & set(said.replace(":", " ").split())
