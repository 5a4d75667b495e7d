"""HL7 v2 names, addresses and telecom numbers to FHIR.

Guide: HL7 v2-to-FHIR 1.0.0, XPN[HumanName], XCN[Practitioner], XAD[Address], XTN[ContactPoint]; our choices beyond it
are said where they are made. Words with a code (use, type, system) come from tables, so a feed can speak its own.
"""

from __future__ import annotations

import re
from typing import Any

from bridge.fhir.convert_times import period, span
from bridge.fhir.convert_value import Sender, Value, word

COMMA = "BRG-M211"

_SPACES = re.compile(r"\s+")
_NET = {"Internet", "INTERNET", "X.400", "NET"}
_XPN_SUFFIXES, _XCN_SUFFIXES = (4, 6, 14), (5, 7, 21)
"""Components of a suffix, a degree and a professional suffix."""


def human_name(value: Value, sender: Sender) -> dict[str, Any] | list[dict[str, Any]] | None:
    """XPN -> HumanName. A name with neither family nor given part is none; a called-by name (.15) is a second one.

    FN.1 is the whole surname, own-surname prefix included (HL7 v2.5.1 2.A.30). A single component with a comma, as
    senders before 2.3 write it, is split at the comma and kept whole as text.
    """
    parts = value.parts
    if len(parts) == 1:
        return _plain_name(value.text(), sender)
    made = _named(value, 1, 7, _XPN_SUFFIXES, sender)
    if made is None:
        return None
    count = len(parts)
    if count > 9:
        _dated(made, value, parts, 12, 10, sender)
    if count > 14 and parts[14] and (called := value.text(15).strip()):
        return [made, {"use": "nickname", "given": [called]}]
    return made


def staff_name(value: Value, sender: Sender) -> dict[str, Any] | None:
    """XCN (and CN, PPN) -> HumanName of the person."""
    return _named(value, 2, 10, _XCN_SUFFIXES, sender) if len(value.parts) > 1 else None


def address(value: Value, sender: Sender) -> dict[str, Any] | None:
    """XAD (and AD) -> Address. An address with nothing but a use or a type is none."""
    texts, wholes = value.texts, value.wholes
    count = len(texts)
    made: dict[str, Any] = {}
    if lines := _lines(value, texts):
        made["line"] = lines
    for place, element in _PLACES:
        if place < count and wholes[place] and (said := wholes[place].strip()):
            made[element] = said
    if not made:
        return None
    if count > 6 and (kind := texts[6]):
        if use := word(sender, "address-use", kind):
            made["use"] = use
        row = sender.translate("address-type", kind)
        if row and row.target:
            made["type"] = row.target
    if count > 11:
        _dated(made, value, value.parts, 13, 12, sender)
    return made


def contact_point(value: Value, sender: Sender) -> dict[str, Any] | list[dict[str, Any]] | None:
    """XTN or TN -> ContactPoint. The value is the guide's first of: .4 (mail), .12, "+.5 .6 .7 X.8", .1.

    A number and a mail address in one repetition, as feeds of 2.3 send them, are two contact points. A cellular phone (.3 CP)
    is mobile, whoever it is used for (.2).
    """
    texts = value.texts
    count = len(texts)
    use = texts[1] if count > 1 else ""
    equipment = texts[2] if count > 2 else ""
    mail = texts[3].strip() if count > 3 else ""
    number = _number(texts)
    if mail and (use == "NET" or equipment in _NET):
        number = ""
    made = []
    if number:
        default = "email" if "@" in number and not equipment else "phone"
        made.append({"system": word(sender, "telecom-system", equipment) or default, "value": number})
    if mail and mail != number:
        made.append({"system": "email", "value": mail})
    for point in made:
        if equipment == "CP":
            point["use"] = "mobile"
        elif use and (meant := word(sender, "telecom-use", use)):
            point["use"] = meant
        if count > 12:
            _ranked(point, value, texts, sender)
    return (made[0] if len(made) == 1 else made) or None


def _plain_name(text: str, sender: Sender) -> dict[str, Any] | None:
    if not text:
        return None
    family, comma, given = text.partition(",")
    if not comma or not family.strip() or not given.strip():
        return {"family": text.strip(" ,")} if text.strip(" ,") else None
    sender.report("information", COMMA, "a whole name in one component; split at its comma and kept as text",
                  "the sender should use the components of XPN")
    return {"text": text, "family": family.strip(), "given": given.replace(",", " ").split()}


def _named(value: Value, first: int, use: int, suffixes: tuple[int, ...], sender: Sender) -> dict[str, Any] | None:
    """A name whose family, given and further given names stand from component `first` on, its prefix four after that.

    `use` and `suffixes` are the components of those. None when there is no family and no given name.
    """
    texts, wholes = value.texts, value.wholes
    count = len(texts)
    made: dict[str, Any] = {}
    if family := texts[first - 1].strip():
        made["family"] = family
    if given := [name for said in wholes[first:first + 2] if (name := said.strip())]:
        made["given"] = given
    if not made:
        return None
    if count > first + 3 and texts[first + 3]:
        made["prefix"] = [texts[first + 3]]
    if suffix := [said for place in suffixes if place <= count and (said := texts[place - 1].strip())]:
        made["suffix"] = list(dict.fromkeys(suffix))
    if count >= use and texts[use - 1] and (meant := word(sender, "name-use", texts[use - 1])):
        made["use"] = meant
    return made


def _dated(made: dict[str, Any], value: Value, parts: list[str], start: int, whole: int, sender: Sender) -> None:
    """Effective and expiration date (`start`, `start` + 1), or before 2.5 one range (`whole`)."""
    count = len(parts)
    if any(place < count and parts[place] for place in (start - 1, start)):
        found = span(value.component(start), value.component(start + 1), sender)
    elif count >= whole and parts[whole - 1]:
        found = period(value.component(whole), sender)
    else:
        return
    if found:
        made["period"] = found


_PLACES = ((2, "city"), (3, "state"), (4, "postalCode"), (5, "country"), (8, "district"))
_LINES = (1, 7, 18)


def _lines(value: Value, texts: list[str]) -> list[str]:
    """XAD.1 as street address, or as street name and number when only those are sent; then the rest of the address."""
    street, count = texts[0], len(texts)
    if texts is not value.parts and (named := " ".join(said for said in (value.text(1, 3), value.text(1, 2)) if said)):
        street = f"{street} {named}" if street and named not in street else street or named
    said = [street, *[texts[place] for place in _LINES if place < count]]
    return [line for each in said if (line := each.strip())]


def _number(texts: list[str]) -> str:
    count = len(texts)
    if count > 11 and texts[11]:
        return texts[11]
    if count > 6 and (local := texts[6]):
        country, area = texts[4].lstrip("+"), texts[5]
        extension = texts[7] if count > 7 else ""
        spoken = (f"+{country}" if country else "", area, local, f"X{extension}" if extension else "")
        return " ".join([part for part in spoken if part])
    return _SPACES.sub(" ", texts[0]).strip()


def _ranked(made: dict[str, Any], value: Value, texts: list[str], sender: Sender) -> None:
    """XTN.13 and .14 (from 2.7) as period, XTN.18 as rank."""
    if found := span(value.component(13), value.component(14), sender):
        made["period"] = found
    if len(texts) > 17 and (rank := texts[17]).isdigit() and int(rank) > 0:
        made["rank"] = int(rank)
