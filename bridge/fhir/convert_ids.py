"""HL7 v2 identifiers, authorities, places and organisations to FHIR.

An identifier is a value in a system; without a system it identifies nothing outside the sender. So each gets one: the
assigner's URI, a national one, or one owned by the sender. Guide: HL7 v2-to-FHIR 1.0.0, CX, EI, HD, XON, XCN, PL.
"""

from __future__ import annotations

from typing import Any

from bridge.fhir.convert_times import span
from bridge.fhir.convert_value import Sender, Value

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
NPI, SSN = "http://hl7.org/fhir/sid/us-npi", "http://hl7.org/fhir/sid/us-ssn"
UNTYPED, CHECK_DIGIT = "BRG-M212", "BRG-M213"

_NATIONAL = {
    "2.16.840.1.113883.4.6": NPI, "NPI": NPI, "2.16.840.1.113883.4.1": SSN, "SSA": SSN, "USSSA": SSN,
    "2.16.840.1.113883.4.572": "http://hl7.org/fhir/sid/us-medicare",
    "2.16.840.1.113883.4.927": "http://hl7.org/fhir/sid/us-mbi", NPI: NPI, SSN: SSN,
}
"""Authorities that FHIR names itself (FHIR R4, identifier registry): by OID, and by the words US feeds use."""
_NATIONAL_TYPES = {"NPI": NPI, "SS": SSN}


def identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """CX -> Identifier: value, system, type (0203), assigner's name, period, use."""
    parts = value.parts
    if not parts[0] or not (text := value.text(1).strip()):
        return None
    count = len(parts)
    kind = _word(value.text(5)) if count > 4 and parts[4] else ""
    authority = 4 if count > 3 and parts[3] else 0
    made = _identified(value, text, kind, authority, sender)
    if not authority and count > 5 and parts[5] and (assigner := value.text(6)):
        made["assigner"] = {"display": assigner}
    if count > 6 and any(parts[6:8]) and (found := span(value.component(7), value.component(8), sender)):
        made["period"] = found
    return made


def staff_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """XCN (and CN) -> Identifier of the person: .1 the number, .9 who assigned it, .13 what kind."""
    parts = value.parts
    if not parts[0] or not (text := value.text(1).strip()):
        return None
    count = len(parts)
    kind = _word(value.text(13)) if count > 12 and parts[12] else ""
    authority = 9 if count > 8 and parts[8] else 0
    if not authority and count > 7 and value.text(8).upper() == "NPI":
        kind = kind or "NPI"
    return _identified(value, text, kind, authority, sender)


def entity_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """EI -> Identifier: EI.2 to EI.4 are the authority."""
    text = value.text(1).strip()
    if not text:
        return None
    made: dict[str, Any] = {"system": _system(value.text(2), value.text(3), value.text(4), "", sender), "value": text}
    if assigner := value.text(2):
        made["assigner"] = {"display": assigner}
    return made


def organization_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """XON -> Identifier: .10 (from 2.5), else .3; .6 the authority, .7 the kind."""
    text = value.text(10) or value.text(3)
    if not text:
        return None
    return _identified(value, text, _word(value.text(7)), 6 if value.text(6, 1) or value.text(6, 2) else 0, sender)


def organization_name(value: Value, _sender: Sender) -> str | None:
    """XON -> string: the organisation's name; without one, its number, which is what the sender calls it."""
    return value.whole(1) or value.text(10) or value.text(3) or None


def plain_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """ST, IS, ID or NM -> Identifier in a system owned by the sender."""
    text = value.text().strip()
    return {"system": sender.system("", "", ""), "value": text} if text else None


def authority(value: Value, sender: Sender) -> str | None:
    """HD -> uri, url: `urn:oid:` and the like by HD.3, one owned by the sender for a bare word."""
    namespace, universal, kind = value.text(1), value.text(2), value.text(3)
    return sender.system(namespace, universal, kind) if namespace or universal else None


def authority_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """HD -> Identifier of the one it names: its URI, since that is what identifies it (FHIR R4, Identifier.system)."""
    uri = authority(value, sender)
    return {"system": "urn:ietf:rfc:3986", "value": uri} if uri else None


def entity_uri(value: Value, sender: Sender) -> str | None:
    """EI -> uri of what assigned it; one owned by the sender when nothing is named."""
    return sender.system(value.text(2), value.text(3), value.text(4))


def authority_name(value: Value, _sender: Sender) -> str | None:
    """HD -> string: the namespace word, else the universal id."""
    return value.text(1) or value.text(2) or None


def place_name(value: Value, _sender: Sender) -> str | None:
    """PL -> string: PL.9 when the sender describes the place, else its parts from the largest to the bed."""
    described = value.text(9)
    if described:
        return described
    return ", ".join(said for n in (4, 7, 8, 1, 2, 3) if (said := value.text(n))) or None


def place_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """PL -> Identifier: PL.10 when sent, else facility and parts joined, which name the place within the sender."""
    if sent := value.text(10, 1):
        inner = value.component(10)
        return {"system": _system(inner.text(2), inner.text(3), inner.text(4), "", sender), "value": sent}
    spot = ".".join(value.text(n) for n in (4, 7, 8, 1, 2, 3)).strip(".")
    return {"system": sender.system("", "", ""), "value": spot} if spot else None


def _identified(value: Value, text: str, kind: str, authority: int, sender: Sender) -> dict[str, Any]:
    namespace = value.text(authority, 1) if authority else ""
    universal = value.text(authority, 2) if authority else ""
    system = _system(namespace, universal, value.text(authority, 3) if universal else "", kind, sender)
    if system is NPI and not _is_npi(text):
        sender.report("warning", CHECK_DIGIT, "not a National Provider Identifier (form or check digit); "
                      "kept as the sender's own number", "check the number at the source")
        system = sender.system(namespace or kind, "", "")
    made: dict[str, Any] = {"system": system, "value": text}
    if kind:
        _typed(made, kind, sender)
    if namespace:
        made["assigner"] = {"display": namespace}
    return made


def _system(namespace: str, universal: str, universal_kind: str, kind: str, sender: Sender) -> str:
    """A national kind or authority, else the sender's own answer.

    Without any authority the kind stands for one, so that two numbers of different kinds never meet in one system.
    """
    if found := _NATIONAL_TYPES.get(kind) or _NATIONAL.get(universal or namespace):
        return found
    if not namespace and not universal:
        return sender.system(kind, "", "")
    return sender.system(namespace, universal, universal_kind)


def _typed(made: dict[str, Any], kind: str, sender: Sender) -> None:
    row = sender.translate("identifier-type", kind)
    if row is None:
        sender.report("information", UNTYPED, "code not in table identifier-type; kept as the sender's own code",
                      "add a row to the feed or to mappings/tables/identifier-type.csv")
        made["type"] = {"coding": [{"system": sender.coding_system(""), "code": kind}], "text": kind}
    elif row.target:
        made["type"] = {"coding": [{"system": row.target_system or TYPES, "code": row.target}]}
        if row.target != kind:
            made["type"]["text"] = kind
        use = sender.translate("identifier-use", row.target)
        if use and use.target:
            made["use"] = use.target
    else:
        made["type"] = {"text": kind}


def _word(text: str) -> str:
    """A code without outer and double blanks (FHIR R4 code)."""
    return " ".join(text.split())


def _is_npi(text: str) -> bool:
    """Ten digits with the Luhn check digit over 80840 and themselves (45 CFR 162.406)."""
    if len(text) != 10 or not (text.isascii() and text.isdigit()):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(text))]
    return (24 + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0
