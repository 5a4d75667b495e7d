"""Files of many messages."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bridge.core.errors import Unreadable
from bridge.core.issue import Issue
from bridge.hl7v2 import batch
from bridge.hl7v2.message import parse
from bridge.hl7v2.text import LARGEST

ONE = b"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5.1\rEVN|A03\rPID|1||5\rPV1|1|I\r"
TWO = b"MSH*:;!%*A*B***1**ADT:A03*2*P*2.5.1\rEVN*A03\rPID*1**6\rPV1*1*I\r"


def split(body: bytes) -> list[bytes]:
    """All messages of a body."""
    return list(batch.split(body))


@pytest.mark.parametrize(
    "body",
    [
        ONE + TWO,
        b"\r\n\r\n" + ONE + b"\r\r" + TWO + b"\r\r\r",
        b"\xef\xbb\xbf" + ONE + b"\xef\xbb\xbf" + TWO,
        b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r",
        b"\x0b" + ONE + b"\x1c\x0b" + TWO + b"\x1c",
        b"FHS|^~\\&|X\rBHS|^~\\&|Y\r" + ONE + TWO + b"BTS|2\rFTS|1\r",
        b"FHS|^~\\&\r\rBHS|^~\\&\r\r" + ONE + b"BTS|1\rBHS|^~\\&\r" + TWO + b"BTS\rFTS",
        b"# a comment\n// another\n" + ONE + TWO,
        b"  " + ONE + b"  " + TWO,
    ],
)
def test_every_way_to_put_two_messages_together(body: bytes) -> None:
    """Batches, frames, marks, blank lines and comments separate messages and are no part of them."""
    assert split(body) == [ONE, TWO]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_other_line_ends_are_kept(end: bytes) -> None:
    """A message keeps the line ends it came with."""
    one, two = ONE.replace(b"\r", end), TWO.replace(b"\r", end)
    assert split(one + end + two) == [one, two]


@pytest.mark.parametrize(
    "note",
    [b"NTE|1||see MSH|^~\\&|A for more\r", b"NTE|1||x\rMSHX|1\r", b"NTE|1||x\nMSH is a segment\r", b"NTE|1||MSH\r"],
)
def test_msh_inside_a_field_is_no_boundary(note: bytes) -> None:
    """Only MSH at the start of a line, with its separators, begins a message."""
    assert split(ONE + note + TWO) == [ONE + note, TWO]


def test_comments_between_messages() -> None:
    """Comment lines after a blank line belong to no message."""
    one, two = ONE.replace(b"\r", b"\n"), TWO.replace(b"\r", b"\n")
    assert split(one + b"\n\n// *** next\n# one\n" + two) == [one, two]


def test_segments_without_a_head_are_not_lost() -> None:
    """Segments that no MSH precedes come out as they are, so that reading refuses them."""
    assert split(b"PID|1\rPV1|1\r" + ONE) == [b"PID|1\rPV1|1\r", ONE]
    assert split(b"FHS|^~\\&\rPID|1\r" + ONE) == [b"PID|1\r", ONE]
    assert split(b"\x0b" + ONE + b"\x1c\rPID|9\r\x0b" + TWO + b"\x1c\r") == [ONE, b"PID|9\r", TWO]


@pytest.mark.parametrize(
    "body", [b"", b" \r\n\r\n", b"\xef\xbb\xbf", b"FHS|^~\\&\rBHS|^~\\&\rBTS|0\rFTS|0\r", b"\x0b\x1c\r"]
)
def test_nothing_in_nothing_out(body: bytes) -> None:
    """A file without messages gives none."""
    assert split(body) == []


def test_a_file_that_is_no_hl7_comes_out_once() -> None:
    """A body without any MSH is yielded as it is, and reading it says what is wrong."""
    assert split(b"hello\nworld") == [b"hello\nworld"]
    with pytest.raises(Unreadable):
        parse(b"hello\nworld")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_wide_files(codec: str, mark: str) -> None:
    """A UTF-16 file is split at characters, not bytes, and its messages stay UTF-16."""
    parts = split((mark + ONE.decode() + TWO.decode()).encode(codec))
    assert parts == [ONE.decode().encode(codec), TWO.decode().encode(codec)]
    assert [parse(part).control_id for part in parts] == ["1", "2"]


class Trickle(io.RawIOBase):
    """A file that never ends on its own: the same message again and again, some bytes at a time."""

    def __init__(self, times: int) -> None:
        self.left, self.rest, self.most = times, b"", 0

    def read(self, size: int = -1) -> bytes:
        """Give what is asked for, at most."""
        while len(self.rest) < size and self.left:
            self.rest += ONE
            self.left -= 1
        given, self.rest = self.rest[:size], self.rest[size:]
        return given


def test_a_stream_is_read_piece_by_piece() -> None:
    """Whatever the block boundaries cut, every message comes out once and whole."""
    parts = list(batch.split_stream(Trickle(5000)))  # type: ignore[arg-type]
    assert len(parts) == 5000
    assert set(parts) == {ONE}


def test_an_oversized_message_does_not_stop_the_file() -> None:
    """What is larger than the cap comes out cut above it, and the next message is whole."""
    huge = ONE + b"NTE|1||" + b"x" * (LARGEST + 400_000) + b"\r"
    parts = split(huge + TWO)
    assert len(parts) == 2
    assert len(parts[0]) > LARGEST
    assert parts[1] == TWO
    with pytest.raises(Unreadable, match="BRG-H003"):
        parse(parts[0])


def test_corpus_batch(shared: Path) -> None:
    """The batch of the corpus has eighteen messages, each readable."""
    parts = split((shared / "corpus/hl7v2/hapi-18-oru-batch.hl7").read_bytes())
    assert len(parts) == 18
    assert [issue for part in parts for issue in parse(part).repairs] == []


def said(body: bytes) -> list[tuple[str, str]]:
    """(code, place) of what the splitter says of a file."""
    issues: list[Issue] = []
    for _ in batch.split_stream(io.BytesIO(body), issues.append):
        pass
    assert all(issue.severity == "warning" and issue.hint for issue in issues)
    return [(issue.code, issue.where) for issue in issues]


FILE, BATCH = b"FHS|^~\\&\r", b"BHS|^~\\&\r"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FILE + BATCH + ONE + TWO + b"BTS|2\rFTS|1\r", []),
        (FILE + BATCH + ONE + b"BTS|1|all there\rBHS*:;!%\r" + TWO + b"BTS*1\rFTS|2", []),
        (BATCH + ONE + b"BTS||no count\r", []),
        (FILE + ONE + TWO + b"FTS|2\r", []),
        (BATCH + ONE + b"BTS|2\r", [("BRG-H005", "BTS-1")]),
        (BATCH + ONE + TWO + b"BTS|1\r" + BATCH + ONE + b"BTS|1\r", [("BRG-H005", "BTS-1")]),
        (FILE + BATCH + ONE + b"BTS|1\rFTS|3\r", [("BRG-H005", "FTS-1")]),
        (BATCH + ONE, [("BRG-H006", "BTS")]),
        (FILE + ONE, [("BRG-H006", "FTS")]),
        (FILE + BATCH + ONE + b"BTS|1\r", [("BRG-H006", "FTS")]),
        (BATCH + ONE + BATCH + TWO + b"BTS|1\r", [("BRG-H006", "BTS")]),
        (b"BTS|0\rBTS|99999999999999999999\r" + ONE, [("BRG-H005", "BTS-1")]),
    ],
)
def test_counts_of_a_batch(body: bytes, expected: list[tuple[str, str]]) -> None:
    """BTS-1 and FTS-1 that do not fit what was found, and batches without their end, are said; every message still comes."""
    assert said(body) == expected
    assert set(split(body)) <= {ONE, TWO}


def test_batches_in_batches() -> None:
    """A hundred thousand batch heads one in the other cost no more than as many lines."""
    assert split(FILE * 100_000 + BATCH * 100_000 + ONE) == [ONE]


class Endless(io.RawIOBase):
    """A file that says the same for ever; `given` counts what was taken of it."""

    def __init__(self, start: bytes, rest: bytes) -> None:
        self.start, self.rest, self.given = start, rest, 0

    def read(self, size: int = -1) -> bytes:
        """Give exactly what is asked for."""
        found, self.start = self.start[:size], self.start[size:]
        found += (self.rest * (size // len(self.rest) + 1))[: size - len(found)]
        self.given += size
        return found


@pytest.mark.parametrize("rest", [b"\x00", b"x", b"OBX|1|ST|a||b\r", b"\r\n", b" "])
def test_a_file_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    """After so many bytes without a further message the rest of a file is not read, and that is said."""
    monkeypatch.setattr(batch, "MOST_SKIPPED", 1 << 20)
    issues: list[Issue] = []
    file = Endless(ONE, rest)
    (message,) = batch.split_stream(file, issues.append)  # type: ignore[arg-type]
    assert message.startswith(ONE.rstrip())
    assert file.given < LARGEST + (4 << 20)
    assert [issue.code for issue in issues] == ["BRG-H007"]
