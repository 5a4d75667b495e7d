"""Messages that go out, and acknowledgements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bridge.core.issue import Issue
from bridge.hl7v2 import build
from bridge.hl7v2.build import NULL
from bridge.hl7v2.message import parse
from bridge.hl7v2.peek import header
from bridge.hl7v2.separators import Separators

NOW = datetime(2024, 6, 12, 15, 0, tzinfo=timezone(timedelta(hours=-5)))
BODY = (
    b"MSH|^~\\&|APP^1.2^ISO|FAC|US|HUB|20240101||ADT^A03^ADT_A03|C-1|T|2.5.1||||||8859/1\rEVN|A03\rPID|1||5\rPV1|1|I\r"
)
FAULT = Issue("error", "BRG-M014", "PID-3[2].4", "no system", "name it in the feed", "required")


def answer(body: bytes, code: str, *issues: Issue) -> list[str]:
    """The segments of an answer to a body."""
    return (
        build.acknowledge(parse(body).head, code, issues, control_id="N-1", time=NOW).decode("latin-1").split("\r")[:-1]
    )


def test_acknowledgement() -> None:
    """An answer swaps sender and receiver, copies processing id, version and character set, and names the message."""
    assert answer(BODY, "AA") == [
        "MSH|^~\\&|US|HUB|APP^1.2^ISO|FAC|20240612150000-0500||ACK^A03^ACK|N-1|T|2.5.1||||||8859/1",
        "MSA|AA|C-1",
    ]


def test_fault_from_25() -> None:
    """From 2.5 each issue is an ERR segment with place, HL7 and own code, severity, hint and text."""
    assert answer(BODY, "AE", FAULT, Issue("warning", "BRG-H011", "MSH-18", "guessed", kind="invalid"))[2:] == [
        "ERR||PID^1^3^2^4|101^^HL70357|E|BRG-M014^^L||name it in the feed|no system",
        "ERR||MSH^1^18^1|102^^HL70357|W|BRG-H011^^L|||guessed",
    ]


@pytest.mark.parametrize(
    ("version", "event"),
    [(b"2.1", "ACK"), (b"2.2", "ACK^A03"), (b"2.3", "ACK^A03"), (b"2.3.1", "ACK^A03^ACK"), (b"2.4", "ACK^A03^ACK")],
)
def test_fault_before_25(version: bytes, event: str) -> None:
    """Before 2.5 there is one ERR whose first field repeats, and older versions say less in MSH-9."""
    segments = answer(BODY.replace(b"2.5.1", version), "AE", FAULT, FAULT)
    assert segments[0].split("|")[8] == event
    assert segments[2:] == ["ERR|PID^1^3^101&&HL70357~PID^1^3^101&&HL70357"]


@pytest.mark.parametrize(
    ("where", "kind", "code"),
    [
        ("MSH-9", "not-supported", "200"),
        ("MSH-9.2", "not-supported", "201"),
        ("MSH-11", "not-supported", "202"),
        ("MSH-12", "not-supported", "203"),
        ("MSH-10", "duplicate", "205"),
        ("PID-8", "code-invalid", "103"),
        ("PID", "structure", "100"),
        ("Patient.name", "processing", "207"),
    ],
)
def test_conditions(where: str, kind: str, code: str) -> None:
    """Each kind of issue has its code of HL7 table 0357."""
    assert build.condition(Issue("error", "X", where, "t", kind=kind)) == code


def test_fatal_is_error_before_26() -> None:
    """Table 0516 knows F from 2.6 only."""
    fatal = Issue("fatal", "BRG-H001", "", "t")
    assert answer(BODY, "AR", fatal)[2].split("|")[4] == "E"
    assert answer(BODY.replace(b"2.5.1", b"2.7"), "AR", fatal)[2].split("|")[4] == "F"


def test_own_separators_and_no_injection() -> None:
    """The answer is written with the sender's separators, and nothing in a control id or text becomes a segment."""
    body = b"MSH*:;!%*A*F*U*H*1**ADT:A03*x!F!!X0D!EVIL!F!*P*2.5.1\rEVN*A03\rPID*1\rPV1*1*I\r"
    read = parse(
        build.acknowledge(parse(body).head, "AE", [Issue("error", "C", "", "a*b\rZZZ*1")], control_id="1", time=NOW)
    )
    assert [segment.name for segment in read.segments] == ["MSH", "MSA", "ERR"]
    assert read.segments[1].text(2) == "x*\rEVIL*"
    assert read.segments[2].text(8) == "a*b\rZZZ*1"


def test_what_the_charset_lacks_is_sent_as_utf_8() -> None:
    """An answer whose text does not fit the message's character set says and uses UTF-8."""
    body = BODY.replace(b"8859/1", b"").replace(b"|FAC|", "|HÔPITAL|".encode())
    raw = build.acknowledge(parse(body).head, "AA", control_id="1", time=NOW)
    assert parse(raw).head.text(6) == "HÔPITAL"
    assert parse(raw).head.text(18) == "UNICODE UTF-8"


def test_answer_to_what_cannot_be_read() -> None:
    """Without a readable head there is still an answer; with one the control id is named."""
    raw = build.acknowledge(None, "AR", [FAULT], control_id="1", time=NOW, sender=("ME", "HERE"))
    assert parse(raw).sender == ("ME", "HERE")
    assert parse(raw).segments[1].text(1) == "AR"
    head = header(b"\x0bMSH|^~\\&|A|B|||1||ADT^A03|C-9|P|2.5\rbroken")
    assert head is not None
    assert b"MSA|AE|C-9\r" in build.acknowledge(head, "AE", control_id="1", time=NOW)
    assert header(b"nothing") is None
    assert header(b"MSH|||||||||") is None


def test_an_answer_is_never_answered() -> None:
    """Acknowledging an ACK, or with a code that is none, is refused."""
    ack = parse(b"MSH|^~\\&|A|B|||1||ACK|1|P|2.5\rMSA|AA|1\r").head
    with pytest.raises(ValueError, match="not acknowledged"):
        build.acknowledge(ack, "AA", control_id="1", time=NOW)
    with pytest.raises(ValueError, match="they are AA, AE"):
        build.acknowledge(parse(BODY).head, "OK", control_id="1", time=NOW)


def test_write_a_result() -> None:
    """Texts, components, subcomponents, repetitions, null and empty fields are written where their index says."""
    raw = build.write(
        [
            build.head(
                sender=("BRIDGE", "HUB"),
                receiver=(("EPIC", "1.2", "ISO"), "GH"),
                time=NOW,
                event=("ORU", "R01", "ORU_R01"),
                control_id="7",
            ),
            [
                "PID",
                "1",
                None,
                [("5", "", "", ("GH", "1.2", "ISO"), "MR"), ("6", None, None, None, "PI")],
                None,
                ("O|NEIL", "MÍA"),
                NULL,
                "",
            ],
            ["OBX", "1", "CWE", ("71802-3", None, "LN"), None, [("A^B", "x\ny")]],
        ]
    )
    assert raw.decode() == (
        "MSH|^~\\&|BRIDGE|HUB|EPIC^1.2^ISO|GH|20240612150000-0500||ORU^R01^ORU_R01|7|P|2.5.1||||||UNICODE UTF-8\r"
        'PID|1||5^^^GH&1.2&ISO^MR~6^^^^PI||O\\F\\NEIL^MÍA|""\r'
        "OBX|1|CWE|71802-3^^LN||A\\S\\B^x\\.br\\y\r"
    )
    assert parse(raw).segments[2].text(5, 2) == "x\ny"
    assert parse(raw).repairs == ()


@pytest.mark.parametrize(
    ("segments", "seps", "error"),
    [
        ([["pid"]], Separators(), "begins with its name"),
        ([[None]], Separators(), "begins with its name"),
        ([["PID|X"]], Separators(), "begins with its name"),
        ([["PID", ["a", "b"]]], Separators(repetition="", wire="^"), "repeats"),
        ([["PID", (("a", "b"),)]], Separators(sub="", wire="^~\\"), "subcomponent"),
        ([["PID", "a|b"]], Separators(escape="", sub="", wire="^~"), "no escape"),
        ([["PID", 5]], Separators(), "holds texts"),
        ([["PID", ((("a",),),)]], Separators(), "holds texts"),
    ],
)
def test_what_cannot_be_written(segments: list, seps: Separators, error: str) -> None:  # type: ignore[type-arg]
    """A name that is none, levels without a separator and values that are no text are refused."""
    with pytest.raises((ValueError, TypeError), match=error):
        build.write(segments, seps)


def test_times_carry_an_offset() -> None:
    """A time without an offset does not go out."""
    assert build.stamp(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)) == "20240102030405+0000"
    with pytest.raises(ValueError, match="offset"):
        build.stamp(NOW.replace(tzinfo=None))
