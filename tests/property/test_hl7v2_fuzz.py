"""Thousands of damaged messages, and messages of a size and shape that nobody should send."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from random import Random

import pytest
from hl7apy.parser import parse_message

from bridge.core.errors import Unreadable
from bridge.core.issue import Issue
from bridge.hl7v2 import batch, dialect
from bridge.hl7v2.message import Message, encode, parse
from bridge.hl7v2.peek import peek
from bridge.hl7v2.separators import DEFAULT, unescape
from bridge.hl7v2.text import LARGEST

ROUNDS = 10_000
HEAD = b"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5\rEVN|A03\r"
SPICE = [
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\x00",
    b"\x0b",
    b"\x1c\r",
    b"\xff",
    b"\xc3",
    b"MSH|^~\\&|",
    b'""',
    b"\\X0D0A\\",
    b"\xef\xbb\xbf",
    b"PID|",
    b" ",
]


def mutated(body: bytes, random: Random) -> bytes:
    """Cut, double, swap, overwrite or season the bytes in one to four places."""
    raw = bytearray(body)
    for _ in range(random.randint(1, 4)):
        place, length = random.randrange(len(raw) + 1), random.randint(0, 40)
        what = random.randrange(5)
        if what == 0:
            del raw[place : place + length]
        elif what == 1:
            raw[place:place] = raw[place : place + length]
        elif what == 2:
            raw[place : place + 1] = bytes([random.randrange(256)])
        elif what == 3:
            raw[place:place] = random.choice(SPICE)
        else:
            del raw[place:]
    return bytes(raw)


def read_all(message: Message) -> None:
    """Ask for every field, repetition and component."""
    for segment in message.segments:
        for number in range(1, len(segment.fields)):
            for value in segment.values(number):
                for component in range(1, len(value.parts) + 1):
                    value.text(component)


def test_damaged_messages(shared: Path) -> None:
    """Ten thousand damaged messages are read or refused, never fail otherwise, and always give their bytes back."""
    random = Random(20240612)
    bodies = [
        part for file in sorted((shared / "corpus/hl7v2").glob("*.hl7")) for part in batch.split(file.read_bytes())
    ]
    bodies = [body[:2500] for body in bodies]
    feeds = list(dialect.load(Path(__file__).resolve().parents[2] / "mappings" / "feeds"))
    refused: list[Issue] = []
    for turn in range(ROUNDS):
        body = mutated(random.choice(bodies), random)
        try:
            message = feeds[turn % len(feeds)].read(body)
        except Unreadable as error:
            refused.append(error.issue)
            continue
        assert message.body == body
        assert message.changed or encode(message) == body
        peek(body)
        if turn % 10 == 0:
            read_all(message)
            assert list(batch.split(body))
    assert 0 < len(refused) < ROUNDS / 2
    assert all(issue.hint and issue.code.startswith("BRG-H00") for issue in refused)


def test_every_cut_of_a_message_is_read_or_refused(shared: Path) -> None:
    """A message cut at any byte is read, and flagged once its structure is short of a segment."""
    body = (shared / "corpus/hl7v2/own-a03-basic.hl7").read_bytes()
    for length in range(body.index(b"\r"), len(body)):
        message = parse(body[:length])
        if not message.first("PV1"):
            assert any(issue.code in ("BRG-H014", "BRG-H016") for issue in message.repairs)


@pytest.mark.parametrize(
    "tail",
    [
        b"NTE|1||" + b"x" * 4_000_000,
        b"PID|1||" + b"~" * 90_000,
        b"PID|" + b"|" * 900_000,
        b"PID|1||" + b"^" * 2_000_000,
        b"PID|1||" + b"&" * 2_000_000,
        b"NTE|1||" + b"\\" * 2_000_000,
        b"NTE|1||" + b"\\E" * 1_000_000,
        b"NTE|1||" + b"\\X" + b"0A" * 1_000_000,
        b"NTE|1||" + b"\\X0A\\" * 400_000,
        b"NTE|1||" + b"\\M2442\\" * 300_000,
        b"NTE|1||" + b"\n" * 45_000,
        b"NTE|1||" + b"a\n" * 45_000,
        b" " * 2_000_000,
        b"\x01\x02\x03" * 700_000,
        b"NTE|1||" + b"\xff" * 2_000_000,
        b"NTE|1||" + "é".encode() * 1_000_000 + b"\xff",
        b"OBX|1\r" * 45_000,
        b"\\.sp200\\" * 1000,
    ],
    ids=lambda tail: f"{tail[:9]!r}x{len(tail)}",
)
def test_size_costs_in_proportion(tail: bytes) -> None:
    """Long fields, a million repetitions, runs of escapes and control characters are read in linear time and memory."""
    tracemalloc.start()
    message = parse(HEAD + tail)
    for segment in message.segments[-3:]:
        for value in segment.values(3)[:10]:
            value.text()
    peek(HEAD + tail)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200 * len(tail) + 1_000_000


@pytest.mark.parametrize(
    "tail", [b"OBX|1\r" * 51_000, b"PID|" + b"|" * 1_100_000, b"PID|1||" + b"1~" * 1_000_000, b"x" * LARGEST]
)
def test_what_would_not_fit_is_refused(tail: bytes) -> None:
    """More parts than any message needs are refused with a remedy instead of filling the memory."""
    with pytest.raises(Unreadable, match="BRG-H003"):
        parse(HEAD + tail)


def test_long_files_of_boundaries_are_split_in_linear_time() -> None:
    """A file of nothing but boundaries, or of line ends, is split without going over it again and again."""
    assert len(list(batch.split(b"MSH|^~\\&|\r" * 100_000))) == 100_000
    assert list(batch.split(b"\r\n" * 1_000_000)) == []
    assert len(list(batch.split(HEAD + b"\n   " * 500_000))) == 1


def test_unescape_of_a_megabyte() -> None:
    """A megabyte of escapes is resolved in one go."""
    assert unescape("\\F\\" * 300_000, DEFAULT) == "|" * 300_000


def test_hl7apy_reads_the_same(shared: Path) -> None:
    """hl7apy, where it can read a message, has the same segments and the same repetitions of fields."""
    for name in (
        "own-a03-basic.hl7",
        "own-seqs2-a03.hl7",
        "own-seqs6-a40.hl7",
        "own-a03-odd-delims.hl7",
        "lfh-a01-multi-dg1-reason.hl7",
    ):
        message = parse((shared / "corpus/hl7v2" / name).read_bytes())
        theirs = parse_message("\r".join(segment.raw for segment in message.segments), find_groups=False)
        assert [child.name for child in theirs.children] == [segment.name for segment in message.segments]
        for child, segment in zip(theirs.children, message.segments, strict=True):
            for field in child.children if segment.name != "MSH" else ():
                number = int(field.name.rsplit("_", 1)[1])
                # hl7apy escapes a second time what is escaped already, and leaves out empty components at the end.
                ours = [value.raw.rstrip(value.seps.component) for value in segment.values(number)]
                assert "\\" in segment.field(number) or field.to_er7() in ours
