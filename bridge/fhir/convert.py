"""Which HL7 v2 datatype becomes which FHIR R4 datatype, and by which function.

`CONVERTERS[v2 type, FHIR type](value, sender)` takes one repetition and gives the JSON value of that FHIR type, or None
when there is nothing to say. A conversion never raises for what a message holds: it reports and stays out.
The functions are grouped by what they convert; this module only says what exists, so that a mapping that asks for
another pair stops when it is compiled.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from bridge.fhir import convert_codes as codes
from bridge.fhir import convert_ids as ids
from bridge.fhir import convert_names as names
from bridge.fhir import convert_numbers as numbers
from bridge.fhir import convert_times as times
from bridge.fhir.convert_value import Row, Sender, Value, word

__all__ = ["CONVERTERS", "Converter", "Row", "Sender", "Value", "converter"]

Converter = Callable[[Value, Sender], Any]

ATTACHMENT_LIMIT = 1_000_000
"""Characters of encoded content that a resource may carry; what is larger belongs into a document store."""
TOO_LARGE, UNREADABLE, NOT_YES_NO = "BRG-M214", "BRG-M215", "BRG-M216"

_MEDIA = frozenset({"application", "audio", "image", "model", "text", "video", "multipart"})
_YES_NO = {"Y": True, "YES": True, "1": True, "TRUE": True, "N": False, "NO": False, "0": False, "FALSE": False}


def text(value: Value, _sender: Sender) -> str | None:
    """The first component as text, without the control characters that FHIR's string excludes."""
    said = value.whole()
    if not said.isprintable():
        said = "".join(sign for sign in said if sign >= " " or sign in "\t\r\n")
    return said.strip() or None


def words(value: Value, _sender: Sender) -> str | None:
    """CE, CWE -> string: the original text (.9), else the words of a triplet, else its code."""
    return value.whole(9) or value.whole(2) or value.whole(5) or value.text(1) or None


def boolean(value: Value, sender: Sender) -> bool | None:
    """ID Y/N (table 0136) -> boolean; anything else is reported and stays out."""
    said = value.text().strip().upper()
    if not said:
        return None
    if (meant := _YES_NO.get(said)) is None:
        sender.report("warning", NOT_YES_NO, "neither Y nor N; the element stays out")
    return meant


def name_text(value: Value, sender: Sender) -> str | None:
    """XPN -> string: the name as one would write it."""
    made = names.human_name(value, sender)
    return _spoken(made[0] if isinstance(made, list) else made)


def staff_name_text(value: Value, sender: Sender) -> str | None:
    """XCN -> string: the person's name as one would write it."""
    return _spoken(names.staff_name(value, sender))


def attachment(value: Value, sender: Sender) -> dict[str, Any] | None:
    """ED -> Attachment: ED.2 and .3 the media type, ED.4 the encoding, ED.5 the content, bounded and checked.

    Content that stays out is said in the title: that there was a document is a fact.
    """
    body, encoding = value.text(5), value.text(4).upper()
    if not body:
        return None
    made = {"contentType": kind} if (kind := _media_type(value.text(2), value.text(3), sender)) else {}
    if len(body) > ATTACHMENT_LIMIT:
        sender.report("warning", TOO_LARGE, "embedded document too large for a resource; it stays out")
        return {**made, "title": "the content is too large"}
    try:
        if encoding == "BASE64":
            made["data"] = base64.b64encode(base64.b64decode("".join(body.split()), validate=True)).decode()
        elif encoding == "HEX":
            made["data"] = base64.b64encode(bytes.fromhex(body)).decode()
        else:
            made["data"] = base64.b64encode(body.encode()).decode()
    except (binascii.Error, ValueError):
        sender.report("warning", UNREADABLE, "the embedded document is not in the encoding it names; it stays out")
        return {**made, "title": "the content is not in the encoding it names"}
    return made


def attachment_type(value: Value, sender: Sender) -> str | None:
    """ED -> code: the media type of its content."""
    return (attachment(value, sender) or {}).get("contentType")


def attachment_content(value: Value, sender: Sender) -> str | None:
    """ED -> base64Binary: its content."""
    return (attachment(value, sender) or {}).get("data")


def plain_content(value: Value, sender: Sender) -> str | None:
    """ST, TX, FT -> base64Binary: the text in UTF-8."""
    return (plain_text(value, sender) or {}).get("data")


def plain_text(value: Value, sender: Sender) -> dict[str, Any] | None:
    """ST, TX, FT -> Attachment: the text as text/plain."""
    body = text(value, sender)
    return None if body is None else text_attachment(body)


def text_attachment(body: str) -> dict[str, Any]:
    """A text as an Attachment, in UTF-8."""
    return {"contentType": "text/plain", "data": base64.b64encode(body.encode()).decode()}


def pointer(value: Value, sender: Sender) -> dict[str, Any] | None:
    """RP -> Attachment: the pointer as its url, or as its title when it means something to the sender alone."""
    said = value.text(1).strip()
    if not said:
        return None
    made = {"contentType": kind} if (kind := _media_type(value.text(3), value.text(4), sender)) else {}
    return {**made, "url" if "://" in said and not any(sign.isspace() for sign in said) else "title": said}


def money(value: Value, sender: Sender) -> dict[str, Any] | None:
    """MO, CP -> Money."""
    inner = value.component(1)
    amount = numbers.number(inner.text(1), sender)
    currency = inner.text(2) or value.text(2)
    return None if amount is None else {"value": amount, **({"currency": currency} if currency else {})}


def location_person(value: Value, sender: Sender) -> dict[str, Any] | None:
    """NDL -> HumanName: its first component is a CNN, staff number first; before 2.3 the whole field is a CN."""
    return names.staff_name(_staff(value), sender)


def location_person_text(value: Value, sender: Sender) -> str | None:
    """NDL -> string: that person's name as one would write it."""
    return _spoken(location_person(value, sender))


def location_person_identifier(value: Value, sender: Sender) -> dict[str, Any] | None:
    """NDL -> Identifier of that person."""
    return ids.staff_identifier(_staff(value), sender)


def _staff(value: Value) -> Value:
    inner, second = value.component(1), value.text(2).strip()
    return value if len(inner.parts) == 1 and second and not second[0].isdigit() else inner


def place_of_discharge(value: Value, _sender: Sender) -> str | None:
    """DLD -> string: the location code or words of DLD.1."""
    return value.text(1, 2) or value.text(1, 1) or None


def class_of_finance(value: Value, sender: Sender) -> dict[str, Any] | None:
    """FC -> CodeableConcept: the financial class (FC.1), itself coded from 2.8."""
    return codes.concept(value.component(1), sender)


def converter(source: str, target: str) -> Converter | None:
    """The conversion for a pair of types, or None when there is none."""
    return CONVERTERS.get((source, target))


def _spoken(name: dict[str, Any] | None) -> str | None:
    if not name:
        return None
    parts = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", ""), *name.get("suffix", ())]
    return name.get("text") or " ".join(part for part in parts if part)


def _media_type(kind: str, subtype: str, sender: Sender) -> str:
    if "/" in subtype:
        return subtype
    if kind.lower() in _MEDIA and subtype and sender.translate("media-type", subtype) is None:
        return f"{kind.lower()}/{subtype.lower()}"
    return word(sender, "media-type", subtype or kind) if subtype or kind else ""


def _table(rows: dict[str, dict[str, Converter]]) -> dict[tuple[str, str], Converter]:
    """`{"CX EI": {"Identifier": f}}` -> `{("CX", "Identifier"): f, ("EI", "Identifier"): f}`."""
    return {(source, target): function
            for sources, targets in rows.items() for source in sources.split()
            for names_, function in targets.items() for target in names_.split()}


_STRINGS = "string markdown"
CONVERTERS: dict[tuple[str, str], Converter] = _table({
    "ST TX FT GTS": {
        _STRINGS: text, "Attachment": plain_text, "base64Binary": plain_content,
        "code id": codes.code, "uri url canonical oid": text, "boolean": boolean,
        "CodeableConcept": codes.text_concept, "Identifier": ids.plain_identifier, "HumanName": names.human_name,
        "ContactPoint": names.contact_point, "decimal": numbers.decimal, "integer": numbers.integer,
        "positiveInt": numbers.positive, "unsignedInt": numbers.unsigned,
        "Quantity Age Count Distance Duration": numbers.quantity,
        "dateTime": times.date_time, "date": times.day, "instant": times.instant, "time": times.time},
    "ID IS": {_STRINGS: text, "code id": codes.code, "CodeableConcept": codes.local_concept, "Coding": codes.coding,
              "Identifier": ids.plain_identifier, "boolean": boolean, "uri": text, "HumanName": names.human_name},
    "CE CWE CNE CF": {"CodeableConcept": codes.concept, "Coding": codes.one_or_more, "code": codes.code, _STRINGS: words,
                      "boolean": boolean, "Quantity": numbers.unit},
    "SPS": {"CodeableConcept": codes.specimen_source},
    "CX CK": {"Identifier": ids.identifier, _STRINGS: text, "code": codes.code},
    "EI": {"Identifier": ids.entity_identifier, _STRINGS: text, "uri": ids.entity_uri, "code": codes.code},
    "HD": {"uri url": ids.authority, "Identifier": ids.authority_identifier, _STRINGS: ids.authority_name},
    "XPN PN": {"HumanName": names.human_name, _STRINGS: name_text},
    "XCN CN CNN PPN": {"HumanName": names.staff_name, "Identifier": ids.staff_identifier,
                       _STRINGS: staff_name_text},
    "NDL": {"HumanName": location_person, "Identifier": location_person_identifier, _STRINGS: location_person_text},
    "XON": {"Identifier": ids.organization_identifier, _STRINGS: ids.organization_name},
    "XAD AD": {"Address": names.address, _STRINGS: text},
    "SAD": {_STRINGS: text},
    "XTN TN": {"ContactPoint": names.contact_point, _STRINGS: text},
    "TS DTM": {"dateTime": times.date_time, "date": times.day, "instant": times.instant, "time": times.time,
               _STRINGS: text},
    "DT": {"dateTime": times.date_time, "date": times.day, "instant": times.instant, _STRINGS: text},
    "TM": {"time": times.time, _STRINGS: text},
    "DR": {"Period": times.period},
    "NM": {"decimal": numbers.decimal, "code": numbers.comparator, "integer": numbers.integer,
           "positiveInt": numbers.positive,
           "unsignedInt": numbers.unsigned, "Quantity Age Count Distance Duration SimpleQuantity": numbers.quantity,
           _STRINGS: text, "Identifier": ids.plain_identifier, "boolean": boolean},
    "SI": {"positiveInt": numbers.positive, "unsignedInt": numbers.unsigned, "integer": numbers.integer,
           _STRINGS: text},
    "SN": {"Quantity": numbers.structured_quantity, "Range": numbers.structured_range,
           "Ratio": numbers.structured_ratio, _STRINGS: numbers.structured_text,
           "decimal": numbers.structured_decimal, "code": numbers.structured_comparator},
    "NR": {"Range": numbers.numeric_range},
    "NA MA": {"SampledData": numbers.series},
    "VR": {_STRINGS: numbers.value_range},
    "CQ": {"Quantity SimpleQuantity": numbers.composite_quantity, "decimal": numbers.decimal},
    "MO CP": {"Money": money, "decimal": numbers.decimal},
    "PL": {"Identifier": ids.place_identifier, _STRINGS: ids.place_name},
    "DLD": {_STRINGS: place_of_discharge},
    "FC": {"CodeableConcept": class_of_finance, "code": codes.code, _STRINGS: text},
    "ED": {"Attachment": attachment, "code": attachment_type, "base64Binary": attachment_content},
    "RP": {"Attachment": pointer, "url": text},
    "MSG": {"code": codes.code, _STRINGS: text},
    "PT VID JCC DIN DLN FN": {"code": codes.code, _STRINGS: text},
})
