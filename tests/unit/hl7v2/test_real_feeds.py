r"""Habits of real feeds (reference/hl7v2.md b1) that show in the bytes: ends, frames, marks, character sets, escapes.

Each case is a habit, the message as such a sender writes it, and facts of the Bundle. What a sender does to its fields is
in `tests/golden/facts/feed-*.yaml`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.core.draft import Draft
from bridge.core.envelope import HL7V2, Envelope
from bridge.language.cases import Observe, observer
from bridge.pipeline.check import check
from bridge.pipeline.draft import draft_of
from tests.unit.pipeline.town import whole

TEXT = (
    "MSH|^~\\&|ADT|EASTSIDE|||20260301101500-0500||ADT^A03^ADT_A03|H-1|P|2.5.1\r"
    "EVN|A03|20260301101500-0500\r"
    "PID|1||E1^^^EASTSIDE^MR~E2^^^EASTEPI^PI||NUÑEZ^ANA||19701203|F|||5 A \\T\\ B ST^^DAYTON^OH^45402\r"
    "PV1|1|I|4W^1^A^EASTSIDE||||1922334456^GRAY^LEE^^^^^^EASTSIDE||||||||||||V9^^^EASTSIDE^VN|||||||||||||||||01||||||||20260227|20260301\r"
    "DG1|1||I50.9^Heart failure^I10|||F\r"
)
PLAIN = TEXT.replace("Ñ", "N")
FACTS = {
    "Patient.identifier.value": ["E1", "E2"],
    "Patient.name.family": ["NUNEZ"],
    "Patient.address.line": ["5 A & B ST"],
    "Encounter.status": ["finished"],
    "Encounter.identifier.value": ["V9"],
    "Condition.code.coding.code": ["I50.9"],
}


def read(body: bytes) -> Observe:
    """The draft of a message, through the line's own steps, ready to be asked."""
    made = draft_of(Envelope("", "", datetime(2026, 3, 1, tzinfo=UTC), HL7V2, body), whole())
    assert isinstance(made, Draft), made
    return observer(check(made, whole().profiles))


def said(seen: Observe) -> list[str]:
    """Codes of the reader's issues."""
    return [text.split()[0] for text in seen("issue") if text.startswith("BRG-H0")]


def facts(seen: Observe, expected: dict[str, list[str]]) -> None:
    """Every fact is in the Bundle."""
    assert {path: list(seen(path)) for path in expected} == expected


def ends(text: str, *marks: str) -> bytes:
    """The message with these line ends, one after the other."""
    lines = text.rstrip("\r").split("\r")
    return "".join(line + marks[number % len(marks)] for number, line in enumerate(lines)).encode()


@pytest.mark.parametrize(
    ("habit", "body"),
    [
        ("CR, as the standard says", ends(PLAIN, "\r")),
        ("LF", ends(PLAIN, "\n")),
        ("CRLF", ends(PLAIN, "\r\n")),
        ("mixed", ends(PLAIN, "\r", "\n", "\r\n")),
        ("CR CR LF, a text-mode copy of CRLF", ends(PLAIN, "\r\r\n")),
        ("no end after the last segment", ends(PLAIN, "\r").rstrip(b"\r")),
        ("blank lines between and after", ends(PLAIN, "\r\n\r\n") + b"\r\n \r\n"),
        ("byte order mark", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("byte order mark inside the frame", b"\x0b\xef\xbb\xbf" + PLAIN.encode() + b"\x1c\r"),
        ("MLLP frame", b"\x0b" + PLAIN.encode() + b"\x1c\r"),
        ("MLLP frame, end without CR", b"\x0b" + PLAIN.encode() + b"\x1c"),
        ("MLLP start doubled", b"\x0b\x0b" + PLAIN.encode() + b"\x1c\r"),
        ("blanks before MSH", b" \t\r\n  " + PLAIN.encode()),
        ("NULs around it", b"\0\0" + PLAIN.encode() + b"\0\0"),
        ("trailing separators", PLAIN.replace("\r", "||||\r").replace("E2^^^EASTEPI^PI", "E2^^^EASTEPI^PI^^^^&&").encode()),
        ("UTF-16 with its mark", PLAIN.encode("utf-16")),
        ("UTF-16 without its mark", PLAIN.encode("utf-16-be")),
        ("truncation mark in MSH-2 before 2.7", PLAIN.replace("^~\\&|", "^~\\&#|", 1).encode()),
        ("MSH-12 2.5.1^USA", PLAIN.replace("|2.5.1\r", "|2.5.1^USA\r").encode()),
        ("MSH-12 empty", PLAIN.replace("|2.5.1\r", "|\r").encode()),
        ("MSH-12 2.9", PLAIN.replace("|2.5.1\r", "|2.9\r").encode()),
        ("MSH-12 a word", PLAIN.replace("|2.5.1\r", "|V2\r").encode()),
        ("MSH-9.3 missing", PLAIN.replace("ADT^A03^ADT_A03", "ADT^A03").encode()),
        ("MSH-9.3 wrong", PLAIN.replace("ADT^A03^ADT_A03", "ADT^A03^ADT_A01").encode()),
        ("MSH-7 missing", PLAIN.replace("|20260301101500-0500||ADT", "|||ADT").encode()),
        ("MSH-10 missing", PLAIN.replace("|H-1|", "||").encode()),
        ("MSH-11 missing", PLAIN.replace("|P|", "||").encode()),
        ("MSH-3 missing", PLAIN.replace("|ADT|EASTSIDE|", "||EASTSIDE|").encode()),
        ("MSH-17 and 18 in each other's place", PLAIN.replace("|2.5.1\r", "|2.5.1||||||ASCII|USA\r").encode()),
        ("EVN missing", PLAIN.replace("EVN|A03|20260301101500-0500\r", "").encode()),
        ("fields that the segment does not have", PLAIN.replace("|I10|||F", "|I10|||F" + "|x^y" * 60).encode()),
        ("components that the type does not have", PLAIN.replace("NUNEZ^ANA", "NUNEZ^ANA" + "^" * 30 + "x").encode()),
        ("DG1 before PID", PLAIN.replace("EVN|", "DG1|1||I50.9^Heart failure^I10|||F\rEVN|", 1).rsplit("DG1", 1)[0].encode()),
        ("PV1 before PID", "".join(PLAIN.splitlines(keepends=True)[n] for n in (0, 1, 3, 2, 4)).encode()),
        ("Z segments between", PLAIN.replace("PV1|", "ZPD|1|a^b\rZ01|\rPV1|").encode()),
        ("PID twice", PLAIN.replace("PV1|", "PID|2||X9^^^EASTSIDE^MR||OTHER^ONE\rPV1|", 1).encode()),
        ("other separators", PLAIN.replace(" \\T\\ ", " & ").translate(str.maketrans("|^~\\", "*:;!")).replace(":;!&", ":;!%").encode()),
        ("escape character doubled in MSH-2", PLAIN.replace("^~\\&|", "^~\\\\&|", 1).encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_habits_that_change_nothing(habit: str, body: bytes) -> None:
    """Whatever the ends, frames, marks and heads, the message says the same."""
    facts(read(body), FACTS)


@pytest.mark.parametrize(
    ("habit", "body", "codes"),
    [
        ("a segment name in small letters", PLAIN.replace("PV1|", "pv1|").encode(), ["BRG-H013"]),
        ("blanks before a segment name", PLAIN.replace("\rPV1|", "\r   PV1|").encode(), ["BRG-H013"]),
        ("a line end inside a field", PLAIN.replace("Heart failure", "Heart\nfailure").encode(), ["BRG-H012"]),
        ("a control character in a name", PLAIN.replace("NUNEZ", "NUN\x02EZ").encode(), ["BRG-H018"]),
        ("MSH-9.2 missing", PLAIN.replace("ADT^A03^ADT_A03", "ADT").encode(), ["BRG-H017"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_habits_that_are_put_right_and_said(habit: str, body: bytes, codes: list[str]) -> None:
    """What had to be put right is an issue, and the facts are there all the same."""
    seen = read(body)
    facts(seen, FACTS)
    assert said(seen) == codes


@pytest.mark.parametrize(
    ("charset", "codec", "codes"),
    [
        ("UNICODE UTF-8", "utf-8", []),
        ("8859/1", "latin-1", []),
        ("8859/15", "iso8859_15", []),
        ("8859/1", "cp1252", []),
        ("UNICODE UTF-16", "utf-16", []),
        ("ASCII", "cp1252", ["BRG-H011"]),
        ("ASCII", "utf-8", ["BRG-H011"]),
        ("", "cp1252", ["BRG-H011"]),
        ("UNICODE UTF-8", "cp1252", ["BRG-H011"]),
        ("KLINGON", "utf-8", ["BRG-H011"]),
    ],
)
def test_character_sets(charset: str, codec: str, codes: list[str]) -> None:
    """A name comes out as it was written, in the character set that MSH-18 says or in the one it is in, which is then said."""
    seen = read(TEXT.replace("|2.5.1\r", f"|2.5.1||||||{charset}\r").encode(codec))
    facts(seen, FACTS | {"Patient.name.family": ["NUÑEZ"]})
    assert said(seen) == codes


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("one\\.br\\two", "one\ntwo"),
        ("one\\.BR\\two", "one\ntwo"),
        ("one\\X0D0A\\two", "one\ntwo"),
        ("one\\X0A\\two", "one\ntwo"),
        ("caf\\XC3A9\\", "café"),
        ("caf\\XE9\\", "café"),
        ("\\H\\high\\N\\ and plain", "high and plain"),
        ("one\\.sp\\two", "one\ntwo"),
        ("one\\.in+4\\two", "onetwo"),
        ("\\M2442\\;3ED\\C2842\\", "山田"),
        ("\\Zlocal\\ stays", "\\Zlocal\\ stays"),
        ("c:\\temp", "c:\\temp"),
        ("\\E\\F\\E\\", "\\F\\"),
    ],
)
def test_escapes(written: str, read_as: str) -> None:
    """Escapes become what they stand for, once, in the message's own separators; unknown ones stay as they are."""
    note = f"OBX|1|TX|N1^Note^L||{written}||||||F\r"
    facts(read((PLAIN + note).encode()), FACTS | {"Observation.valueString": [read_as]})


def test_escapes_with_other_separators() -> None:
    """A message whose separators are not the usual ones means its own by \\F\\, \\S\\, \\R\\, \\T\\ and \\E\\."""
    odd = str.maketrans("|^~\\&", "*:;!%")
    note = "OBX|1|TX|N1^Note^L||\\F\\\\S\\\\R\\\\T\\\\E\\||||||F\r"
    seen = read((PLAIN.replace(" \\T\\ ", " x ") + note).translate(odd).encode())
    assert list(seen("Observation.valueString")) == ["*:;%!"]


def test_several_habits_at_once() -> None:
    """Several habits at once do not hide each other."""
    body = b"\x0b\xef\xbb\xbf" + ends(TEXT.replace("|2.5.1\r", "|2.5.1^USA||||||ASCII\r"), "\n").replace("Ñ".encode(), b"\xd1") + b"\x1c\r"
    seen = read(body)
    facts(seen, FACTS | {"Patient.name.family": ["NUÑEZ"]})
    assert said(seen) == ["BRG-H011"]
