"""A file or stream of many messages: batch segments, MLLP frames, blank lines, comments (HL7 v2.5.1 ch.2 §2.10.3)."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from bridge.hl7v2 import tables
from bridge.hl7v2.text import BLANKS, LARGEST

BLOCK = 1 << 16

_START = re.compile(
    rb"(?<=[\r\n\x0b\x1c])[ \t\x00]{0,16}(?:\xef\xbb\xbf)?"
    rb"(?:(?:MSH|FHS|BHS)([^\w\s])(?=[^\w\s])|(?:BTS|FTS)(?=[^\w\s]|[\r\n]|\Z))"
)
"""A message or batch segment begins at the start of a line, with its separators: MSH inside a field is no boundary."""

_SEGMENT = re.compile(rb"(?:\A|(?<=[\r\n\x0b]))[ \t]*([A-Z][A-Z0-9]{2})[^\w\s]")
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


def split_stream(file: BinaryIO) -> Iterator[bytes]:
    """Yield the messages of a file as `split` does, holding one message and one block at a time.

    A message larger than `text.LARGEST` is yielded cut just above that size, so that the reader refuses it.
    """
    start = file.read(BLOCK)
    wide = next((charset for mark, charset in _WIDE.items() if start.startswith(mark)), "")
    if wide:
        blocks = _narrowed(file, start, wide)
        yield from (part.decode("utf-8", "surrogatepass").encode(wide, "surrogatepass") for part in _messages(blocks))
    else:
        yield from _messages(_blocks(file, start))


def _blocks(file: BinaryIO, block: bytes) -> Iterator[bytes]:
    while block:
        yield block
        block = file.read(BLOCK)


def _narrowed(file: BinaryIO, block: bytes, wide: str) -> Iterator[bytes]:
    """Yield a UTF-16 file as UTF-8 blocks, byte order mark left out; half a character at the end is left out too."""
    decoder = codecs.getincrementaldecoder(wide)("surrogatepass")
    text = decoder.decode(block).removeprefix("\ufeff")
    while block:
        yield text.encode("utf-8", "surrogatepass")
        block = file.read(BLOCK)
        text = decoder.decode(block)


def _messages(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield every message; when there is none, the first of what there is, unless it is blank."""
    first, found = b"", False
    for chunk in _chunks(blocks):
        first = first or chunk
        for message in _parts(chunk):
            found = True
            yield message
    rest = first.strip(BLANKS + b"\x0b\x1c\xef\xbb\xbf")
    if rest and not found and rest[:3] not in (b"FHS", b"BHS", b"BTS", b"FTS"):
        yield first[1:]


def _chunks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes from each boundary to the next; the first stands before the first boundary, after a line end."""
    buffer, searched = bytearray(b"\n"), 0
    for block in blocks:
        buffer += block
        while (match := _START.search(buffer, searched)) and match.end() + 2 <= len(buffer):
            yield bytes(buffer[: match.start()])
            del buffer[: match.start()]
            searched = match.end() - match.start()
        searched = max(searched, len(buffer) - _OVERLAP)
        if len(buffer) > LARGEST + BLOCK:
            del buffer[LARGEST + 1 : -_OVERLAP]
            searched = LARGEST + 1
    while match := _START.search(buffer, searched):
        yield bytes(buffer[: match.start()])
        del buffer[: match.start()]
        searched = match.end() - match.start()
    yield bytes(buffer)


def _parts(chunk: bytes) -> Iterator[bytes]:
    """Yield the message at the start of the chunk, and segments without a head that stand around it."""
    bare = chunk.lstrip(BLANKS + b"\x0b\x1c").removeprefix(codecs.BOM_UTF8)
    rest = bare
    if bare.startswith(b"MSH"):
        message, mark, rest = bare.partition(b"\x1c\r")
        yield _trimmed(_uncommented(message) + mark)
    elif bare[:3] in (b"FHS", b"BHS", b"BTS", b"FTS"):
        end = _LINE_END.search(bare)
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
