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


def human_name(value: Value, sender: Sender) -> dict[str, Any] | list[dict[str, Any]] | None:
    """XPN -> HumanName. A name with neither family nor given part is none; a called-by name (.15) is a second one.

    FN.1 is the whole surname, own-surname prefix included (HL7 v2.5.1 2.A.30). A single component with a comma, as
    senders before 2.3 write it, is split at the comma and kept whole as text.
    """
    parts = value.parts
    if len(parts) == 1:
        return _plain_name(value.text(), sender)
    made = _named(value, parts, 1, 7, (4, 6, 14), sender)
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
    parts = value.parts
    return _named(value, parts, 2, 10, (5, 7, 21), sender) if len(parts) > 1 else None


def address(value: Value, sender: Sender) -> dict[str, Any] | None:
    """XAD (and AD) -> Address. An address with nothing but a use or a type is none."""
    parts = value.parts
    count = len(parts)
    made: dict[str, Any] = {}
    if lines := _lines(value, parts):
        made["line"] = lines
    for place, element in _PLACES:
        if place < count and parts[place] and (said := value.whole(place + 1).strip()):
            made[element] = said
    if not made:
        return None
    if count > 6 and parts[6]:
        kind = value.text(7)
        if use := word(sender, "address-use", kind):
            made["use"] = use
        row = sender.translate("address-type", kind)
        if row and row.target:
            made["type"] = row.target
    if count > 11:
        _dated(made, value, parts, 13, 12, sender)
    return made


def contact_point(value: Value, sender: Sender) -> dict[str, Any] | list[dict[str, Any]] | None:
    """XTN or TN -> ContactPoint. The value is the guide's first of: .4 (mail), .12, "+.5 .6 .7 X.8", .1.

    A number and a mail address in one repetition, as feeds of 2.3 send them, are two contact points. A cellular phone (.3 CP)
    is mobile, whoever it is used for (.2); the parts of a number stand beside it as extensions.
    """
    parts = value.parts
    count = len(parts)
    use = value.text(2) if count > 1 and parts[1] else ""
    equipment = value.text(3) if count > 2 and parts[2] else ""
    mail = value.text(4).strip() if count > 3 and parts[3] else ""
    number = _number(value, parts)
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
        if count > 4 and point["system"] != "email" and (said := _spoken(value, parts)):
            point["extension"] = said
        if count > 12:
            _ranked(point, value, parts, sender)
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


def _named(
    value: Value, parts: list[str], first: int, use: int, suffixes: tuple[int, ...], sender: Sender,
) -> dict[str, Any] | None:
    """A name whose family, given and further given names stand from component `first` on, its prefix four after that.

    `use` and `suffixes` are the components of those. None when there is no family and no given name.
    """
    count = len(parts)
    made: dict[str, Any] = {}
    if parts[first - 1] and (family := value.text(first).strip()):
        made["family"] = family
    given = [said for n in (first + 1, first + 2) if n <= count and parts[n - 1] and (said := value.whole(n).strip())]
    if given:
        made["given"] = given
    if not made:
        return None
    if count > first + 3 and parts[first + 3]:
        made["prefix"] = [value.text(first + 4)]
    if suffix := [said for n in suffixes if n <= count and parts[n - 1] and (said := value.text(n).strip())]:
        made["suffix"] = list(dict.fromkeys(suffix))
    if count >= use and parts[use - 1] and (meant := word(sender, "name-use", value.text(use))):
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


def _lines(value: Value, parts: list[str]) -> list[str]:
    """XAD.1 as street address, or as street name and number when only those are sent; then the rest of the address."""
    found = []
    if parts[0]:
        street = value.text(1, 1)
        named = " ".join(said for said in (value.text(1, 3), value.text(1, 2)) if said)
        if not street:
            street = named
        elif named and named not in street:
            street = f"{street} {named}"
        found.append(street)
    found += [value.text(n) for n in (2, 8, 19) if n <= len(parts) and parts[n - 1]]
    return [line.strip() for line in found if line.strip()]


def _number(value: Value, parts: list[str]) -> str:
    count = len(parts)
    if count > 11 and parts[11] and (said := value.text(12)):
        return said
    if count > 6 and parts[6] and (local := value.text(7)):
        country, area = value.text(5).lstrip("+"), value.text(6)
        extension = value.text(8) if count > 7 else ""
        spoken = (f"+{country}" if country else "", area, local, f"X{extension}" if extension else "")
        return " ".join(part for part in spoken if part)
    return _SPACES.sub(" ", value.text(1)).strip() if parts[0] else ""


_NUMBER_PARTS = ((5, "country"), (6, "area"), (7, "local"), (8, "extension"), (9, "comment"))


def _spoken(value: Value, parts: list[str]) -> list[dict[str, Any]]:
    """XTN.5 to .9 as the extensions that FHIR has for the parts of a number (guide: XTN[ContactPoint], rows 5 to 9)."""
    count = len(parts)
    return [{"url": f"http://hl7.org/fhir/StructureDefinition/contactpoint-{name}", "valueString": said}
            for n, name in _NUMBER_PARTS if n <= count and parts[n - 1] and (said := value.text(n).strip())]


def _ranked(made: dict[str, Any], value: Value, parts: list[str], sender: Sender) -> None:
    """XTN.13 and .14 (from 2.7) as period, XTN.18 as rank."""
    if found := span(value.component(13), value.component(14), sender):
        made["period"] = found
    if len(parts) > 17 and (rank := value.text(18)).isdigit() and int(rank) > 0:
        made["rank"] = int(rank)
