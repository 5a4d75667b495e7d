"""The reader: what a message says, where it says it, and what was put right on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import Unreadable
from bridge.hl7v2 import batch
from bridge.hl7v2.message import Message, Segment, Value, encode, parse
from bridge.hl7v2.text import LARGEST

HEAD = "MSH|^~\\&|APP^1.2^ISO|FAC|||20240101||ADT^A03|C-1|P|2.5.1^USA\r"
FULL = (
    HEAD
    + "EVN|A03|20240101\rPID|1||5^^^A&1.2&ISO^MR~6^^^SSA^SS||DOE^JO||19700101|F\rPV1|1|I\r"
    + "DG1|1||Z59.0^x\\T\\y^I10\rDG1|2||Z59.1\r"
)


def read(text: str) -> Message:
    """Parse a text as UTF-8."""
    return parse(text.encode())


def codes(message: Message) -> list[str]:
    """The codes of its repairs."""
    return [issue.code for issue in message.repairs]


def test_head() -> None:
    """The head of a message is available by HL7's meaning."""
    message = read(FULL)
    assert (message.code, message.trigger, message.event) == ("ADT", "A03", "ADT^A03")
    assert (message.structure, message.version, message.control_id, message.sender) == (
        "ADT_A03",
        "2.5.1",
        "C-1",
        ("APP", "FAC"),
    )
    assert message.repairs == ()


def test_fields_are_numbered_as_hl7_does() -> None:
    """MSH-1 is the separator, MSH-2 the encoding characters, and every other field has its own number."""
    head = read(FULL).head
    assert [head.field(number) for number in (1, 2, 3, 10)] == ["|", "^~\\&", "APP^1.2^ISO", "C-1"]
    assert [value.raw for value in head.values(2)] == ["^~\\&"]


def test_values_split_lazily_at_three_levels() -> None:
    """Repetitions, components and subcomponents are found by their numbers, and what is absent is empty."""
    pid = read(FULL).first("PID")
    assert pid is not None
    first, second = pid.values(3)
    assert (
        first.text(),
        first.text(4),
        first.text(4, 2),
        first.text(5),
        first.text(9),
        first.text(4, 9),
        first.text(1, 2),
    ) == ("5", "A", "1.2", "MR", "", "", "")
    assert second.text(5) == "SS"
    assert first.component(4).parts == ["A", "1.2", "ISO"]
    assert first.component(4).text(3) == "ISO"
    assert not first.component(20)
    assert pid.values(4) == []
    assert pid.values(99) == []


def test_segments_by_name_keep_their_order() -> None:
    """all() gives every segment of a name, first() the first, and neither fails for a name that is not there."""
    message = read(FULL)
    assert [segment.field(1) for segment in message.all("DG1")] == ["1", "2"]
    assert message.first("ZZZ") is None
    assert message.all("ZZZ") == []


def test_escapes_are_resolved_after_splitting() -> None:
    """An escaped separator is text, with the message's own separators."""
    dg1 = read(FULL).first("DG1")
    assert dg1 is not None
    assert dg1.values(3)[0].text(2) == "x&y"
    odd = parse(b"MSH*:;!%*A*B***1**ADT:A03*1*P*2.5\rPID*1**1!S!2:x!T!y;3**!F!!R!!E!\rPV1*1*I\r")
    pid = odd.first("PID")
    assert pid is not None
    assert pid.text(3) == "1:2"
    assert pid.text(3, 2) == "x%y"
    assert pid.text(5) == "*;!"
    assert len(pid.values(3)) == 2


def test_null_is_told_from_absent() -> None:
    """HL7 null is seen as null, reads as no text, and an empty field is not a null."""
    value = Value('""')
    assert value.is_null
    assert value.text() == ""
    assert bool(value)
    assert Value('a^""').text(2) == ""
    assert Value('a^""').component(2).is_null
    assert not Value("").is_null
    assert not Value("^^&")
    assert Value("^x")


def test_unescaped_subcomponent_separator_can_be_read_as_text() -> None:
    """whole() keeps what a sender forgot to escape."""
    assert Value("AT&T^x").whole() == "AT&T"
    assert Value("AT&T").text() == "AT"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_line_ends(end: str) -> None:
    """CR, LF and CRLF all end a segment."""
    message = read(FULL.replace("\r", end))
    assert [segment.name for segment in message.segments] == ["MSH", "EVN", "PID", "PV1", "DG1", "DG1"]
    assert message.repairs == ()


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\x0b", b" \r\n\t", b"\r\n\x0b", b"noise\x0b", b"\x00"])
@pytest.mark.parametrize("after", [b"", b"\x1c\r", b"\x1c", b"\r\n\r\n", b"\n \n"])
def test_framing(before: bytes, after: bytes) -> None:
    """Byte order mark, MLLP frame and blanks around a message are no part of it, and its body stays as it came."""
    body = before + FULL.encode() + after
    message = parse(body)
    assert len(message.segments) == 6
    assert message.body == body
    assert encode(message) == body
    assert message.repairs == ()


def test_a_line_break_inside_a_field_is_joined_and_reported() -> None:
    """A line that begins no segment belongs to the one before it, blank lines between included."""
    message = read(HEAD + "EVN|A03\nPID|1\nPV1|1\nNTE|1||first\nsecond | not a segment\n\nthird|x\n")
    note = message.first("NTE")
    assert note is not None
    assert note.field(3) == "first\nsecond "
    assert note.raw.endswith("\n\nthird|x")
    assert codes(message) == ["BRG-H012"]
    assert "first" not in str(message.repairs[0])


def test_segment_names_in_small_letters_or_after_blanks() -> None:
    """A known name in small letters or after blanks still begins a segment, and is reported."""
    message = read(HEAD + "EVN|A03\r  PID|1\rpv1|1|I\r")
    assert [segment.name for segment in message.segments] == ["MSH", "EVN", "PID", "PV1"]
    assert set(codes(message)) == {"BRG-H013"}


def test_z_segments_are_kept() -> None:
    """Local segments are read like any other."""
    message = read(FULL + "ZPV|1|a^b\r")
    assert message.all("ZPV")[0].text(2, 2) == "b"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "BRG-H001"),
        (b"   \r\n", "BRG-H001"),
        (b"PID|1\r", "BRG-H001"),
        (b"hello MSH|^~\\&|", "BRG-H001"),
        (b"MSH", "BRG-H002"),
        (b"MSH|", "BRG-H002"),
        (b"MSH||||", "BRG-H002"),
        (b"MSH|^^\\&|A", "BRG-H002"),
        (b"MSH|^~|&|A", ""),
        (b"MSHA^~\\&A", "BRG-H002"),
        (b"MSH|a~\\&|x", "BRG-H002"),
        (b"MSH|^~\\&#+|x", "BRG-H002"),
        (b"MSH|^~\\|&|", ""),
        (HEAD.encode() * 2, "BRG-H004"),
        (b"\x0b" + FULL.encode() + b"\x1c\r\x0bMSH|^~\\&|", "BRG-H004"),
    ],
)
def test_what_cannot_be_read_says_why(body: bytes, code: str) -> None:
    """Bytes that are no message end as Unreadable with a place, a stable code and a remedy."""
    if not code:
        assert parse(body).segments
        return
    with pytest.raises(Unreadable) as caught:
        parse(body)
    issue = caught.value.issue
    assert issue.code == code
    assert issue.where == "MSH"
    assert issue.hint
    assert issue.severity == "fatal"


def test_size_is_capped() -> None:
    """A body above the cap is refused before it is looked at."""
    with pytest.raises(Unreadable, match="BRG-H003"):
        parse(b"MSH|^~\\&|" + b"a" * LARGEST)


def test_doubled_escape_character() -> None:
    r"""MSH-2 written ^~\\& by a string literal that was never undone means ^~\&."""
    message = parse(b"MSH|^~\\\\&|A|B|||1||ADT^A03|1|P|2.3\rPID|1||1&2\rPV1|1\r")
    assert message.seps.sub == "&"
    assert message.seps.wire == "^~\\\\&"


def test_fewer_and_more_encoding_characters() -> None:
    """Two or three encoding characters leave levels out, a fifth is the truncation mark."""
    few = parse(b"MSH|^~|A|B|||1||ADT^A03|1|P|2.3\rPID|1||1\\F\\2&3\rPV1|1\r")
    assert few.first("PID").text(3) == "1\\F\\2&3"  # type: ignore[union-attr]
    five = parse(b"MSH|^~\\&#|A|B|||1||ADT^A03|1|P|2.7\rPID|1||1\\P\\2\rPV1|1\r")
    assert five.seps.truncation == "#"
    assert five.first("PID").text(3) == "1#2"


def test_event_is_found_where_msh_9_does_not_say_it() -> None:
    """Without MSH-9.2 the trigger comes from EVN-1 or MSH-9.3, and that is reported."""
    message = read("MSH|^~\\&|A|B|||1||ADT|1|P|2.2\rEVN|A08\rPID|1\rPV1|1\r")
    assert (message.event, message.structure) == ("ADT^A08", "ADT_A01")
    assert codes(message) == ["BRG-H017"]
    third = read("MSH|^~\\&|A|B|||1||ADT^^ADT_A03|1|P|2.2\rPID|1\rPV1|1\r")
    assert third.event == "ADT^A03"
    assert read("MSH|^~\\&|A|B|||1||ACK|1|P|2.1\rMSA|AA|1\r").event == "ACK"


def test_a_changed_message_is_written_in_its_character_set() -> None:
    """What is written again fits what MSH-18 says, which becomes UTF-8 where it cannot."""
    for charset, codec, expected in (
        ("8859/1", "latin-1", "8859/1"),
        ("", "utf-8", "UNICODE UTF-8"),
        ("UTF-8", "utf-8", "UTF-8"),
    ):
        body = f"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5||||||{charset}\rEVN|A03\rPID|1||5||PEÑA\rPV1|1|I\r".encode(codec)
        message = parse(body)
        again = parse(encode(Message(body, [*message.segments, Segment("ZZZ", message.seps, "ZZZ|1")], changed=True)))
        assert again.all("PID")[0].text(5) == "PEÑA"
        assert again.head.text(18) == expected
        assert again.repairs == ()


def test_a_cut_message_is_read_and_flagged(shared: Path) -> None:
    """A message that stops before its structure is complete is read as far as it goes, with a warning."""
    message = parse((shared / "corpus/hl7v2/own-a03-truncated.hl7").read_bytes())
    assert codes(message) == ["BRG-H014"]
    assert message.repairs[0].severity == "warning"
    assert [segment.name for segment in message.segments] == ["MSH", "EVN", "PID"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "EVN|A03\rPID|1\r", "BRG-H016"),
        (HEAD + "EVN|A03\rPID|1||5", "BRG-H014"),
        (FULL + "OBX|1|ST|a||b||||||F\rOBX|2|ST|c||\\", "BRG-H014"),
        (FULL + "OBX|1|ST|a||b||||||F\rOBX|2|ST|c||x", "BRG-H014"),
        (FULL.rstrip("\r"), ""),
        ("MSH|^~\\&|A|B|||1||ADT^A31|1|P|2.5\rEVN|A31\rPID|1\r", ""),
    ],
)
def test_signs_of_a_cut(text: str, expected: str) -> None:
    """A missing end is told from a missing last line end, which many senders leave out."""
    assert codes(read(text)) == ([expected] if expected else [])


def test_a_frame_with_an_end_is_whole() -> None:
    """Inside an MLLP frame the last line end may be missing without a sign of a cut."""
    body = b"\x0b" + (FULL + "OBX|1|ST|a||b||||||F\rOBX|2|ST|c||x").encode() + b"\x1c\r"
    assert parse(body).repairs == ()


def test_errors_and_representations_hold_no_value() -> None:
    """Nothing a person or a log sees of a message quotes it."""
    message = read(FULL)
    seen = repr(message) + repr(message.segments) + repr(message.segments[2].values(5))
    assert "DOE" not in seen
    assert "JO" not in seen


def test_corpus(shared: Path) -> None:
    """Every message of the corpus is read, its bytes come back, and only the cut or incomplete ones are flagged."""
    flagged = {}
    for file in sorted((shared / "corpus/hl7v2").glob("*.hl7")):
        for body in batch.split(file.read_bytes()):
            message = parse(body)
            assert encode(message) == body
            assert message.event
            if message.repairs:
                flagged[file.name] = codes(message)
    assert flagged == {
        "own-a03-truncated.hl7": ["BRG-H014"],
        "rs-dtm-hour-precision-to-datetime.hl7": ["BRG-H014"],
        "rs-nk1-to-relatedperson.hl7": ["BRG-H016"],
    }
