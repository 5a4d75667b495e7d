"""From bytes to text: transport framing, byte order marks, character sets (HL7 v2.5.1 ch.2 §2.14.9.18, table 0211)."""

from __future__ import annotations

import codecs
import re

from bridge.core.errors import Unreadable
from bridge.core.issue import Issue

LARGEST = 16 * 1024 * 1024
"""Bytes of one message; a longer one is refused before anything else looks at it."""

BLANKS = b" \t\r\n\x00"
CHARSETS = {
    "": "ascii",
    "ASCII": "ascii",
    "ISOIR6": "ascii",
    "USASCII": "ascii",
    **{f"8859{part}": f"iso8859_{part}" for part in (*range(1, 12), *range(13, 17))},
    **{f"ISO8859{part}": f"iso8859_{part}" for part in (*range(1, 12), *range(13, 17))},
    "ISOIR100": "iso8859_1",
    "ISOIR101": "iso8859_2",
    "ISOIR109": "iso8859_3",
    "ISOIR110": "iso8859_4",
    "ISOIR144": "iso8859_5",
    "ISOIR127": "iso8859_6",
    "ISOIR126": "iso8859_7",
    "ISOIR138": "iso8859_8",
    "ISOIR148": "iso8859_9",
    "ISOIR13": "shift_jis",
    "ISOIR14": "iso2022_jp_ext",
    "ISOIR87": "iso2022_jp_ext",
    "ISOIR159": "iso2022_jp_ext",
    "GB18030": "gb18030",
    "GB180302000": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
    "TIS620": "tis_620",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODEUTF16": "utf-16",
    "UTF16": "utf-16",
    "UNICODEUTF32": "utf-32",
    "UTF32": "utf-32",
    "WINDOWS1252": "cp1252",
    "CP1252": "cp1252",
}
"""Python codecs by MSH-18 without blanks and punctuation; table 0211 and what feeds write instead."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = tuple(
    ("MSH".encode(charset), charset, size)
    for charset, size in (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4))
)


CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
HEAD = 9
"""MSH, its field separator and up to five marks: a sender may have chosen control characters for them."""


def unreadable(code: str, text: str, hint: str, where: str = "MSH") -> Unreadable:
    """Return the exception for bytes that are no message; neither text nor hint may quote them."""
    return Unreadable(Issue("fatal", code, where, text, hint, "structure"))


def printable(text: str) -> str:
    """The text without control characters that neither HL7 text nor FHIR strings may hold; line ends and tabs stay."""
    return CONTROL.sub("", text) if CONTROL.search(text) else text


def read(body: bytes) -> tuple[str, bool, list[Issue]]:
    """As `_read`, with stray control characters taken out and reported; the marks after MSH are never touched."""
    text, framed, issues = _read(body)
    head, rest = text[:HEAD], text[HEAD:]
    clean = printable(rest)
    if clean is rest:
        return text, framed, issues
    found = Issue("warning", "BRG-H018", "", "control characters in the text were left out", "ask the sender what puts them there", "invalid")
    return head + clean, framed, [*issues, found]


def _read(body: bytes) -> tuple[str, bool, list[Issue]]:
    """Return the text from MSH on, whether it is whole for sure (an MLLP end mark was there), and what was repaired.

    Raises Unreadable when the body is empty, too large, has no MSH or holds more than one MLLP frame.
    """
    if len(body) > LARGEST:
        raise unreadable(
            "BRG-H003",
            f"the message is larger than {LARGEST} bytes",
            "send large documents by reference, or split the file into its messages first",
        )
    if body.startswith(b"MSH") and b"\x1c" not in body:
        text, issues = _decoded(body, "")
        return text, False, issues
    raw, mark = unwrap(body)
    raw, framed = _unframed(raw)
    text, issues = _decoded(raw, mark)
    return text, framed, issues


def unwrap(body: bytes) -> tuple[bytes, str]:
    """Return the body without byte order mark, and the charset that the mark or the width of MSH shows, "" if none."""
    for mark, charset in _MARKS:
        if body.startswith(mark):
            body, wide = body[len(mark) :], charset
            break
    else:
        start = body[:64]
        wide = next((charset for msh, charset, size in _WIDE if msh in start and start.find(msh) % size == 0), "")
    if wide[:6] in ("utf-16", "utf-32"):
        whole = len(body) // (size := int(wide[4:6]) // 8) * size
        return body[:whole].decode(wide, "surrogatepass").encode("utf-8", "surrogatepass"), "utf-8"
    return body, wide


def charset_of(name: str) -> str:
    """Return the Python codec for a value of MSH-18, "" when it is not known."""
    return CHARSETS.get(re.sub(r"[^A-Z0-9]", "", name.upper()), "")


def _unframed(raw: bytes) -> tuple[bytes, bool]:
    """Return the raw bytes from MSH on, without MLLP marks, and whether an end mark was there."""
    start = raw.find(b"MSH")
    if start < 0:
        raise unreadable(
            "BRG-H001",
            "there is no MSH segment" if raw.strip(BLANKS + b"\x0b\x1c") else "the message is empty",
            "an HL7 v2 message begins with MSH and its separators; ask the sender for the whole message",
        )
    if raw[:start].rpartition(b"\x0b")[2].strip(BLANKS + codecs.BOM_UTF8):
        raise unreadable(
            "BRG-H001", "other content stands before MSH", "split the file into its messages first (batch.split)"
        )
    end = raw.find(b"\x1c", start)
    if end < 0:
        return raw[start:], False
    after = raw[end:].strip(BLANKS + b"\x0b\x1c")
    if after.startswith(b"MSH"):
        raise unreadable(
            "BRG-H004", "more than one MLLP frame stands in one message", "split the stream into its frames first"
        )
    return (raw[start:], False) if after else (raw[start:end], True)


def _decoded(raw: bytes, charset: str) -> tuple[str, list[Issue]]:
    """Return the text by the mark, else MSH-18, else what fits; every guess is an issue."""
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii"), []
    declared = _declared(raw)
    codec = charset or charset_of(declared)
    if raw.isascii() and not codec.startswith("iso2022"):
        return raw.decode("ascii"), []
    if codec[:6] in ("utf-16", "utf-32"):
        codec = "utf-8"
    if codec == "iso8859_1" and re.search(b"[\x80-\x9f]", raw):
        codec = "cp1252"
    tried = (codec, "utf-8", "cp1252", "latin-1") if codec not in ("", "ascii") else ("utf-8", "cp1252", "latin-1")
    for used in tried:
        try:
            text = raw.decode(used)
        except UnicodeDecodeError as error:
            if used == "utf-8" and error.end == len(raw) and error.reason == "unexpected end of data":
                return raw[: error.start].decode(used), [_cut()]
            continue
        return text, _guessed(declared, charset or charset_of(declared), used)
    raise AssertionError("latin-1 reads any byte")


def _declared(raw: bytes) -> str:
    """Return the first repetition of MSH-18 as it is written; it can only be ASCII."""
    fields = raw[:4096].partition(b"\r")[0].partition(b"\n")[0].split(raw[3:4] or b"|", 18)
    first = fields[17] if len(fields) > 17 else b""
    return re.split(rb"[^A-Za-z0-9 /_.:-]", first, maxsplit=1)[0].decode("ascii").strip()


def _cut() -> Issue:
    return Issue(
        "warning",
        "BRG-H014",
        "MSH",
        "the message is cut inside a character of several bytes",
        "it was read up to there; ask the sender to send it again",
        "incomplete",
    )


def _guessed(declared: str, expected: str, used: str) -> list[Issue]:
    """Say that another character set was used than MSH-18 declares; nothing when it fitted."""
    if used == expected:
        return []
    known = expected or declared == ""
    what = (
        "declares no character set for its non-ASCII bytes"
        if not declared
        else (
            "declares a character set that its bytes do not fit"
            if known
            else "declares a character set that is not known"
        )
    )
    return [
        Issue(
            "information" if used == "utf-8" else "warning",
            "BRG-H011",
            "MSH-18",
            f"the message {what}; it was read as {used}",
            "set MSH-18 to what the sender writes",
            "invalid",
        )
    ]
