"""The delimiters a message declares in MSH-1 and MSH-2, and the escapes made of them (HL7 v2.5.1 ch.2 §2.5.4, §2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

LONGEST_RUN = 200
"""A formatting command such as .sp is followed by a count; more than this is read as this, so a text stays bounded."""


@dataclass(frozen=True, slots=True)
class Separators:
    """One character each, "" where the message declares none."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"
    truncation: str = ""
    wire: str = "^~\\&"
    """MSH-2 as it was sent."""

    def inner(self) -> Separators:
        """Return the delimiters one level down: what separates subcomponents now separates components."""
        return _inner(self)


DEFAULT = Separators()


@lru_cache(maxsize=256)
def declared(field: str, wire: str) -> Separators | None:
    """Return the separators that MSH-1 and MSH-2 declare, or None when they clash or cannot separate anything.

    A doubled escape character, as in `^~\\\\&` (a string literal that was never undone), counts once.
    """
    marks = wire
    if len(wire) == 5 and wire[2] == wire[3]:
        marks = wire[:3] + wire[4:]
    used = field + marks
    clash = len(set(used)) != len(used) or len(marks) > 5 or not marks
    if clash or any(mark.isalnum() or mark.isspace() or not mark.isprintable() for mark in used):
        return None
    component, repetition, escape_, sub, truncation = (*marks, *[""] * (5 - len(marks)))
    return Separators(field, component, repetition, escape_, sub, truncation, wire)


@lru_cache(maxsize=256)
def _inner(seps: Separators) -> Separators:
    return Separators(seps.field, seps.sub, seps.repetition, seps.escape, "", seps.truncation, seps.wire)


def unescape(text: str, seps: Separators) -> str:
    """Return the text with its escape sequences resolved; sequences that HL7 does not define stay as they are.

    \\H\\ and \\N\\ (highlighting) vanish, formatting commands become line breaks and blanks, \\Xdd..\\ what it spells
    (UTF-8, else Windows-1252), \\Cxxyy\\ and \\Mxxyyzz\\ switch the character set by ISO 2022 until the next switch.
    """
    if not seps.escape or seps.escape not in text:
        return text
    pattern, replace, switch = _reader(seps)
    if switch.search(text):
        text = _switched(text, switch)
    return pattern.sub(replace, text)


def escape(text: str, seps: Separators) -> str:
    """Return the text so written that no reader can take any of it for a separator, a line end or HL7 null.

    Raises ValueError when the text needs an escape and the message declares no escape character.
    """
    pattern, replace = _writer(seps)
    if text == '""':
        text, mark = '"', _need(seps) + "X22" + seps.escape
        return mark + text
    return pattern.sub(replace, text)


def _need(seps: Separators) -> str:
    if not seps.escape:
        raise ValueError("the text holds a separator and the message declares no escape character")
    return seps.escape


Replace = Callable[[re.Match[str]], str]


@lru_cache(maxsize=256)
def _reader(seps: Separators) -> tuple[re.Pattern[str], Replace, re.Pattern[str]]:
    mark = re.escape(seps.escape)
    known = r"[FSTREPHN]|[Xx](?:[0-9A-Fa-f]{2})+|\.[A-Za-z]{2}(?:[+-]?\d{1,6})?"
    letters = {
        "F": seps.field,
        "S": seps.component,
        "T": seps.sub or "&",
        "R": seps.repetition or "~",
        "E": seps.escape,
        "P": seps.truncation or "#",
        "H": "",
        "N": "",
    }

    def replace(match: re.Match[str]) -> str:
        body = match[1]
        if body in letters:
            return letters[body]
        if body[0] == ".":
            written = _formatted(body[1:3].lower(), body[3:])
            return match[0] if written is None else written
        return _spelled(bytes.fromhex(body[1:]))

    switch = re.compile(mark + r"(C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?)" + mark)
    return re.compile(f"{mark}({known}){mark}"), replace, switch


@lru_cache(maxsize=256)
def _writer(seps: Separators) -> tuple[re.Pattern[str], Replace]:
    letters = {
        seps.field: "F",
        seps.component: "S",
        seps.sub: "T",
        seps.repetition: "R",
        seps.escape: "E",
        seps.truncation: "P",
    }
    letters.pop("", None)
    line_end = "X0A" if "." in letters else ".br"
    pattern = re.compile("[\x00-\x08\n-\x1f\x7f\x85\u2028\u2029" + re.escape("".join(letters)) + "]")

    def replace(match: re.Match[str]) -> str:
        char, mark = match[0], _need(seps)
        if char == "\n":
            return mark + line_end + mark
        return mark + (letters.get(char) or "X" + char.encode().hex().upper()) + mark

    return pattern, replace


def _formatted(command: str, count: str) -> str | None:
    """Return what a formatting command of FT text stands for (HL7 v2.5.1 ch.2 §2.7.6); None when it is not one."""
    times = min(int(count.lstrip("+-") or "1"), LONGEST_RUN)
    return {"br": "\n", "ce": "\n", "sp": "\n" * times, "sk": " " * times, "in": "", "ti": "", "fi": "", "nf": ""}.get(
        command
    )


def _spelled(raw: bytes) -> str:
    """Return the characters that \\Xdd..\\ spells; a carriage return with its line feed is one line break."""
    for charset in ("utf-8", "cp1252"):
        try:
            return raw.decode(charset).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _switched(text: str, switch: re.Pattern[str]) -> str:
    """Return the text with ISO 2022 switches carried out; unchanged if the bytes do not fit any such character set."""
    try:
        raw = switch.sub(lambda match: "\x1b" + bytes.fromhex(match[1][1:]).decode("latin-1"), text).encode("latin-1")
    except UnicodeEncodeError:
        return text
    for charset in ("iso2022_jp_ext", "iso2022_jp_2", "iso2022_kr"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return text
