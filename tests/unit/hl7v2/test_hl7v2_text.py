"""Bytes to text: every character set a feed declares, and those it does not."""

from __future__ import annotations

import pytest

from bridge.hl7v2.message import Message, parse
from bridge.hl7v2.separators import DEFAULT, LONGEST_RUN, Separators, declared, escape, unescape

NAME = "PEÑA"


def named(charset: str, codec: str, name: str = NAME) -> Message:
    """A message that declares a character set and is written in a codec."""
    text = f"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5.1||||||{charset}\rEVN|A03\rPID|1||1||{name}^JO\rPV1|1|I\r"
    return parse(text.encode(codec))


def family(message: Message) -> str:
    """PID-5.1."""
    return message.all("PID")[0].text(5)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("8859/1", "latin-1"),
        ("8859/15", "iso8859_15"),
        ("ISO IR100", "latin-1"),
        ("UNICODE UTF-16", "utf-16"),
        ("UNICODE UTF-16", "utf-16-le"),
        ("UNICODE UTF-16", "utf-16-be"),
        ("UNICODE UTF-32", "utf-32"),
        ("", "utf-16"),
        ("UNICODE UTF-8~8859/1", "utf-8"),
        ("", "utf-8-sig"),
    ],
)
def test_declared_charsets(charset: str, codec: str) -> None:
    """A message is read in the character set it declares, or that its byte order mark or width shows, silently."""
    message = named(charset, codec)
    assert family(message) == NAME
    assert message.repairs == ()


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        ("GB 18030-2000", "gb18030", "王"),
        ("BIG-5", "big5", "王"),
        ("KS X 1001", "euc_kr", "김"),
        ("ISO IR87", "iso2022_jp", "山田"),
        ("8859/2", "iso8859_2", "Ł"),
        ("8859/5", "iso8859_5", "Ж"),
        ("8859/7", "iso8859_7", "Ω"),
    ],
)
def test_charsets_of_table_0211(charset: str, codec: str, name: str) -> None:
    """The character sets of HL7 table 0211 that Python knows are decoded before anything is split."""
    message = named(charset, codec, name)
    assert family(message) == name
    assert message.repairs == ()


@pytest.mark.parametrize(
    ("charset", "codec", "severity"),
    [
        ("", "utf-8", "information"),
        ("ASCII", "utf-8", "information"),
        ("", "cp1252", "warning"),
        ("ASCII", "cp1252", "warning"),
        ("UNICODE UTF-8", "cp1252", "warning"),
        ("UNICODE UTF-16", "utf-8", "information"),
        ("KLINGON", "cp1252", "warning"),
        ("KLINGON", "utf-8", "information"),
    ],
)
def test_what_was_guessed_is_said(charset: str, codec: str, severity: str) -> None:
    """Bytes that do not fit the declaration are read as UTF-8, else Windows-1252, never replaced, always reported."""
    message = named(charset, codec)
    assert family(message) == NAME
    assert [(issue.code, issue.where, issue.severity) for issue in message.repairs] == [
        ("BRG-H011", "MSH-18", severity)
    ]


def test_windows_characters_in_a_latin_1_message() -> None:
    """Typographic quotes in a message declared 8859/1 are Windows-1252, and bytes that even that lacks are kept."""
    assert family(named("8859/1", "cp1252", "O’NEIL")) == "O’NEIL"
    raw = b"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5.1\rEVN|A03\rPID|1||1||\x81\xff\rPV1|1|I\r"
    assert family(parse(raw)) == "\x81\xff"


def test_a_character_cut_in_two() -> None:
    """A UTF-8 message that ends inside a character is read up to there and flagged as cut."""
    message = parse("MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5.1\rEVN|A03\rPV1|1|I\rPID|1||1||PEÑ".encode()[:-1])
    assert family(message) == "PE"
    assert message.repairs[0].code == "BRG-H014"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("a\\.br\\b", "a\nb"),
        ("a\\.BR\\b", "a\nb"),
        ("a\\.sp2\\b", "a\n\nb"),
        ("a\\.sk3\\b", "a   b"),
        ("a\\.in+4\\b\\.fi\\c", "abc"),
        ("a\\.ce\\b", "a\nb"),
        ("a\\X0D0A\\b", "a\nb"),
        ("a\\X0D\\\\X0A\\b", "a\r\nb"),
        ("a\\XC3A9\\b", "aéb"),
        ("a\\XE9\\b", "aéb"),
        ("a\\X81\\", "a\x81"),
        ("\\H\\bold\\N\\", "bold"),
        ("a\\P\\b", "a#b"),
        ("\\Zlocal\\", "\\Zlocal\\"),
        ("c:\\dir\\file", "c:\\dir\\file"),
        ("5\\6 \\T\\ 7", "5\\6 & 7"),
        ("\\X0\\", "\\X0\\"),
        ("end\\", "end\\"),
        ("\\.zz\\", "\\.zz\\"),
        ("\\E\\F\\E\\", "\\F\\"),
    ],
)
def test_unescape(raw: str, text: str) -> None:
    """Defined escapes become what they stand for, once; others and stray marks stay as they are."""
    assert unescape(raw, DEFAULT) == text


def test_iso_2022_switches() -> None:
    """\\M..\\ and \\C..\\ switch to a character set of ISO 2022 and back; what fits none stays as it is."""
    raw = "\\M2442\\;3ED\\C2842\\^x"
    assert unescape(raw.partition("^")[0], DEFAULT) == "山田"
    assert unescape("\\M2442\\é", DEFAULT) == "\\M2442\\é"


def test_a_run_is_bounded() -> None:
    """A formatting command cannot make a text grow without bound."""
    assert len(unescape("\\.sp999999\\", DEFAULT)) == LONGEST_RUN
    assert unescape("\\.sp9999999\\", DEFAULT) == "\\.sp9999999\\"


def test_escape_never_writes_a_separator() -> None:
    """Separators, line ends and control characters are escaped, and two quotes alone are not HL7 null."""
    written = escape("a|b^c~d\\e&f\rg\nh\x0b\x1c", DEFAULT)
    assert not set("|^~&\r\n\x0b\x1c") & set(written)
    assert escape('""', DEFAULT) != '""'
    assert unescape(escape('""', DEFAULT), DEFAULT) == '""'


def test_without_an_escape_character_nothing_can_be_escaped() -> None:
    """A text that needs an escape is refused where the message declares none."""
    seps = Separators(escape="", sub="", wire="^~")
    assert escape("plain", seps) == "plain"
    assert unescape("a\\F\\", seps) == "a\\F\\"
    with pytest.raises(ValueError, match="no escape"):
        escape("a|b", seps)


@pytest.mark.parametrize(
    ("field", "wire"),
    [("|", ""), ("|", "^~\\^"), ("^", "^~\\&"), ("A", "^~\\&"), (" ", "^~\\&"), ("|", "^~\\&#!"), ("|", "^\t\\&")],
)
def test_separators_that_cannot_separate(field: str, wire: str) -> None:
    """Missing, equal, alphanumeric or blank separators are refused."""
    assert declared(field, wire) is None
