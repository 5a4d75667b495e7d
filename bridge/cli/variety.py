"""One message as a feed sends it day after day: other people, numbers and times each time, the same staff and places again.

A converter that remembers whole messages would look fast on one that is sent twice; on these it is measured fairly.
"""

from __future__ import annotations

import re

from bridge.hl7v2 import tables

STAFF, PLACES = 12, 40
"""How many people work in the hospital, and how many beds it has."""
PEOPLE, NUMBERS, STAYS = frozenset({"XPN", "XAD", "XTN"}), frozenset({"CX", "EI"}), frozenset({"TS", "DTM", "DT"})
_DIGITS = re.compile(r"\d+")
_FAMILY = re.compile(r"(?<![^~])[A-Z]+")


def varied(body: bytes, number: int) -> bytes:
    """The message in these bytes as the `number`th of a feed; what is no HL7 v2 with `|^~\\&` stays as it is."""
    text = body.decode("utf-8", "surrogateescape")
    if not text.startswith("MSH|^~\\&|"):
        return body
    lines = [_segment(line, number) for line in re.split(r"[\r\n]+", text) if line]
    return ("\r".join(lines) + "\r").encode("utf-8", "surrogateescape")


def _segment(line: str, number: int) -> str:
    fields = line.split("|")
    name = fields[0]
    for index in range(1, len(fields)):
        place = index + (name == "MSH")
        if fields[index]:
            kind = "EI" if (name, place) == ("MSH", 10) else tables.field_type(name, place)
            fields[index] = _field(fields[index], kind, number)
    return "|".join(fields)


def _field(raw: str, kind: str, number: int) -> str:
    if kind in STAYS and raw[:4].isdigit():
        return f"{int(raw[:4]) - number % 50:04d}{raw[4:]}"
    if kind in PEOPLE:
        return _FAMILY.sub(lambda found: found[0] + _letters(number), _last_digits(raw, number, 4))
    if kind in NUMBERS:
        return "~".join(_last_digits(one.partition("^")[0], number, 6) + "".join(one.partition("^")[1:]) for one in raw.split("~"))
    if kind == "XCN":
        return re.sub(r"(?<![^~])\d+(?=\^)", lambda found: str(int(found[0]) + number * 7 % STAFF), raw)
    if kind == "PL":
        ward, *rest = raw.split("^")
        return "^".join([ward, *[_DIGITS.sub(str(100 + number * 11 % PLACES), one, 1) for one in rest[:1]], *rest[1:]])
    return raw


def _last_digits(raw: str, number: int, count: int) -> str:
    """The text with the last digits of its longest number counted up."""
    longest = max(_DIGITS.findall(raw), key=len, default="")
    if not longest:
        return raw
    tail = longest[-count:]
    return raw.replace(longest, longest[:-len(tail)] + f"{(int(tail) + number) % 10 ** len(tail):0{len(tail)}d}")


def _letters(number: int) -> str:
    """Four capital letters that count."""
    return "".join(chr(65 + number // 26 ** power % 26) for power in range(4))
