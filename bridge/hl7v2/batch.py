"""A file or stream of many messages: batch segments, MLLP frames, blank lines, comments (HL7 v2.5.1 ch.2 §2.10.3)."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from bridge.core.issue import Issue
from bridge.hl7v2 import tables
from bridge.hl7v2.text import BLANKS, LARGEST

BLOCK = 1 << 16
MOST_SKIPPED = 16 * LARGEST
"""Bytes that are passed over in search of the next message; a file that goes on for longer without one is left there."""

Note = Callable[[Issue], None]
"""Takes what there is to say of the file itself, not of one message: called before the message after it is yielded."""

_START = re.compile(
    rb"(?<=[\r\n\x0b\x1c\x00])[ \t]{0,16}(?:\xef\xbb\xbf)?"
    rb"(?:(?:MSH|FHS|BHS)([^\w\s])(?=[^\w\s])|(?:BTS|FTS)(?=[^\w\s]|[\r\n]|\Z))"
)
"""A message or batch segment begins at the start of a line, or after the NULs that pad a block, with its separators: MSH
inside a field is no boundary."""

_SEGMENT = re.compile(rb"(?:\A|(?<=[\r\n\x0b]))[ \t]*([A-Z][A-Z0-9]{2})[^\w\s]")
_ENVELOPE = {b"FHS": "FHS", b"BHS": "BHS", b"BTS": "BTS", b"FTS": "FTS"}
_LINE_END = re.compile(rb"[\r\n\x1c]")
_OVERLAP = 64
"""Bytes at the end of a block that are searched again with the next one; longer than any boundary."""
_ENDS = b"\r\n\x0b\x1c\x00"
_WIDE = {
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"M\0S\0": "utf-16-le",
    b"\0M\0S": "utf-16-be",
}


def split(body: bytes) -> Iterator[bytes]:
    """Yield the messages in these bytes, as they stand there without frame, byte order mark or blank lines.

    Segments that no MSH precedes are yielded too, so that they are refused and not lost. Left out are the batch
    segments FHS, BHS, BTS, FTS and comments before a message. A body without any MSH is yielded as it is.
    """
    return split_stream(io.BytesIO(body))


def split_stream(file: BinaryIO, note: Note | None = None) -> Iterator[bytes]:
    """Yield the messages of a file as `split` does, holding one message and one block at a time.

    A message larger than `text.LARGEST` is yielded cut just above that size, so that the reader refuses it.
    """
    return split_blocks(blocks(file), note)


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file piece by piece."""
    while block := file.read(BLOCK):
        yield block


def split_blocks(pieces: Iterator[bytes], note: Note | None = None) -> Iterator[bytes]:
    """Yield the messages of a file that comes in pieces, as `split_stream` does."""
    start = next(pieces, b"")
    wide = next((charset for mark, charset in _WIDE.items() if start.startswith(mark)), "")
    whole = chain((start,), pieces)
    counts = _Counts(note or (lambda issue: None))
    if wide:
        parts = _messages(_narrowed(whole, wide), counts)
        yield from (part.decode("utf-8", "surrogatepass").encode(wide, "surrogatepass") for part in parts)
    else:
        yield from _messages(whole, counts)


class _Counts:
    """What the batch segments of a file claim, against what was found: messages of a batch, batches of the file."""

    def __init__(self, note: Note) -> None:
        self.note = note
        self.found = {"BTS": 0, "FTS": 0}
        self.open: list[str] = []

    def message(self) -> None:
        self.found["BTS"] += 1

    def segment(self, name: str, line: bytes) -> None:
        """A batch segment: FHS and BHS open, BTS-1 counts messages, FTS-1 batches (HL7 v2.5.1 ch.2 §2.15.2, §2.15.7)."""
        if name in ("FHS", "BHS"):
            if name in self.open:
                self.unended()
            self.open.append(name)
            self.found["BTS"] = 0
            self.found["FTS"] += name == "BHS"
            return
        said = line[4:].split(line[3:4], 1)[0].strip()[:9] if line[3:4] else b""
        if said.isdigit() and int(said) != self.found[name] and (name == "BTS" or self.found["FTS"]):
            unit = "messages" if name == "BTS" else "batches"
            self.say("BRG-H005", f"{name}-1", f"counts {int(said)} {unit}, {self.found[name]} were found")
        while self.open and self.open.pop() != ("BHS" if name == "BTS" else "FHS"):
            pass
        self.found["BTS"] = 0

    def unended(self) -> None:
        """The file ends, or the next begins, before what is open has its trailer."""
        missing = "BTS" if self.open.pop() == "BHS" else "FTS"
        self.open.clear()
        self.say("BRG-H006", missing, f"the batch or file has no {missing}: its end may be missing")

    def say(self, code: str, where: str, text: str) -> None:
        self.note(Issue("warning", code, where, text, "compare it with the sender's copy, or ask for it again", "incomplete"))


def _narrowed(pieces: Iterator[bytes], wide: str) -> Iterator[bytes]:
    """Yield a UTF-16 file as UTF-8 blocks, byte order mark left out; half a character at the end is left out too."""
    decoder = codecs.getincrementaldecoder(wide)("surrogatepass")
    mark = "\ufeff"
    for block in pieces:
        yield decoder.decode(block).removeprefix(mark).encode("utf-8", "surrogatepass")
        mark = ""


def _messages(pieces: Iterator[bytes], counts: _Counts) -> Iterator[bytes]:
    """Yield every message; when there is none, the first of what there is, unless it is blank."""
    first, found = b"", False
    for chunk in _chunks(pieces, counts):
        first = first or chunk
        for message in _parts(chunk, counts):
            found = True
            yield message
    if counts.open:
        counts.unended()
    rest = first.strip(BLANKS + b"\x0b\x1c\xef\xbb\xbf")
    if rest and not found and rest[:3] not in _ENVELOPE:
        yield first[1:]


def _chunks(pieces: Iterator[bytes], counts: _Counts) -> Iterator[bytes]:
    """Yield the bytes from each boundary to the next; the first stands before the first boundary, after a line end."""
    buffer, searched, skipped = bytearray(b"\n"), 0, 0
    for block in pieces:
        buffer += block
        while (match := _START.search(buffer, searched)) and match.end() + 2 <= len(buffer):
            yield bytes(buffer[: match.start()])
            del buffer[: match.start()]
            searched, skipped = match.end() - match.start(), 0
        searched = max(searched, len(buffer) - _OVERLAP)
        if len(buffer) > LARGEST + BLOCK:
            skipped += len(buffer) - LARGEST - 1 - _OVERLAP
            del buffer[LARGEST + 1 : -_OVERLAP]
            searched = LARGEST + 1
        if skipped > MOST_SKIPPED:
            counts.say("BRG-H007", "MSH", f"no further message in {MOST_SKIPPED} bytes; the rest of the file was not read")
            break
    while match := _START.search(buffer, searched):
        yield bytes(buffer[: match.start()])
        del buffer[: match.start()]
        searched = match.end() - match.start()
    yield bytes(buffer)


def _parts(chunk: bytes, counts: _Counts) -> Iterator[bytes]:
    """Yield the message at the start of the chunk, and segments without a head that stand around it."""
    bare = chunk.lstrip(BLANKS + b"\x0b\x1c").removeprefix(codecs.BOM_UTF8)
    rest = bare
    if bare.startswith(b"MSH"):
        message, mark, rest = bare.partition(b"\x1c\r")
        counts.message()
        yield _trimmed(_uncommented(message) + mark)
    elif bare[:3] in _ENVELOPE:
        end = _LINE_END.search(bare)
        counts.segment(_ENVELOPE[bare[:3]], bare[: end.start()] if end else bare)
        rest = bare[end.end() :] if end else b""
    if any(tables.segment_fields(match[1].decode()) for match in _SEGMENT.finditer(rest)):
        yield _trimmed(rest.lstrip(BLANKS + b"\x0b\x1c"))


def _uncommented(message: bytes) -> bytes:
    """Return the message without comments (lines that begin with // /* * #) that follow its last blank line."""
    bare = message.rstrip(BLANKS)
    if bare[bare.rfind(b"\n") + 1 :].lstrip()[:1] not in (b"/", b"*", b"#"):
        return message
    start = max(bare.rfind(b"\n\n"), bare.rfind(b"\n\r\n"))
    comments = bare[start:].split(b"\n") if start >= 0 else [b"?"]
    return bare[: start + 1] if all(line.lstrip()[:1] in (b"/", b"*", b"#", b"") for line in comments) else message


def _trimmed(message: bytes) -> bytes:
    """Return the message with the one line end that is its own; the end of a frame is kept where it stands for that."""
    bare = message.rstrip(_ENDS)
    rest = message[len(bare) :]
    return bare + (b"\r\n" if rest.startswith(b"\r\n") else rest[:1].strip(b"\x0b\x00"))
