"""FHIR JSON to FHIR JSON: what may stand where another type is due, without inventing anything.

`LIFTS[(from, to)](value, scope)` gives the JSON value, a list for several, or None when it does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bridge.fhir.convert import text_attachment
from bridge.fhir.elements import Elements

Lift = Callable[[Any, Any], Any]

WORDS = ("string", "code", "uri", "url", "canonical", "id", "markdown", "oid", "uuid")
TIMES = ("date", "dateTime", "instant", "time")
NUMBERS = ("decimal", "integer", "positiveInt", "unsignedInt")
_REFERENCE = re.compile(r"(https?://\S+/)?[A-Z][A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64}(/_history/\S+)?\Z|urn:(uuid|oid):\S+\Z|#\S+\Z")
_LEAST = {"positiveInt": 1, "unsignedInt": 0}


def clone(value: Any) -> Any:
    """A copy of a JSON value that shares nothing with it."""
    kind = value.__class__
    if kind is dict:
        return {name: clone(inner) if inner.__class__ in _NESTED else inner for name, inner in value.items()}
    if kind is list:
        return [clone(inner) if inner.__class__ in _NESTED else inner for inner in value]
    return value


_NESTED = frozenset({dict, list})


def number(text: str, type_: str) -> int | float | None:
    """A JSON number of a FHIR type from its text; None when it is none."""
    try:
        if type_ != "decimal":
            made = int(text)
            return made if made >= _LEAST.get(type_, -2147483648) and made <= 2147483647 else None
        return int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text) if re.fullmatch(r"-?\d{1,17}\.\d{1,15}", text) else None
    except ValueError:
        return None


def from_text(type_: str, elements: Elements) -> Callable[[str], Any]:
    """(text) -> the JSON value of a primitive type, None when the text is no such value."""
    if type_ == "boolean":
        return {"true": True, "false": False}.get
    if type_ in NUMBERS:
        return lambda text: number(text, type_)
    regex = elements.primitives[type_].regex if type_ in elements.primitives else ""
    if type_ == "string" or not regex:
        return lambda text: text if text.strip() else None
    match = re.compile(regex).fullmatch
    return lambda text: text if match(text) else None


def lifts(elements: Elements) -> dict[tuple[str, str], Lift]:
    """The table of every pair that may be lifted."""
    table: dict[tuple[str, str], Lift] = {}
    for target in (*WORDS, *TIMES, *NUMBERS, "boolean", "base64Binary"):
        read = from_text(target, elements)
        others = [*(TIMES if target not in TIMES else ()), *(("boolean",) if target == "string" else ())]
        others += NUMBERS if target in ("string", "markdown", "code") else ()
        for source in (*WORDS, "any", *others):
            table[source, target] = _textual(read)
    for source in NUMBERS:
        for target in NUMBERS:
            table[source, target] = _numeric(target)
        for target in ("Quantity", "Age", "Count", "Duration", "Distance", "SimpleQuantity"):
            table[source, target] = lambda value, scope: {"value": value}
    day, moment = from_text("date", elements), from_text("dateTime", elements)
    for source in ("date", "dateTime", "instant"):
        table[source, "date"] = lambda value, scope: day(value[:10])
        table[source, "dateTime"] = lambda value, scope: moment(value)
        table[source, "instant"] = lambda value, scope: moment(value) if len(value) > 10 else None
    table["time", "time"] = _textual(from_text("time", elements))
    table["boolean", "boolean"] = lambda value, scope: value if value.__class__ is bool else None
    table["any", "any"] = lambda value, scope: value
    for source in (*WORDS, "any"):
        table |= {(source, target): lift for target, lift in _FROM_WORDS.items()}
    return table | _STRUCTURED


def _textual(read: Callable[[str], Any]) -> Lift:
    def lift(value: Any, scope: Any) -> Any:
        if value.__class__ is str:
            return read(value)
        return read(spoken(value)) if value.__class__ in (int, float, bool) else None
    return lift


def _numeric(target: str) -> Lift:
    return lambda value, scope: value if target == "decimal" else number(str(value), target)


def spoken(value: Any) -> str:
    """A JSON scalar as text: `true`, `12.5`."""
    return value if value.__class__ is str else ("true" if value else "false") if value.__class__ is bool else str(value)


def _reference(value: Any, scope: Any) -> Any:
    return {"reference": value} if isinstance(value, str) and _REFERENCE.match(value) else None


def _codings(value: Any, scope: Any) -> Any:
    return [clone(coding) for coding in value.get("coding", ())]


def _concept_text(value: Any, scope: Any) -> Any:
    return value.get("text") or next((coding["display"] for coding in value.get("coding", ()) if coding.get("display")), None)


def _name_text(value: Any, scope: Any) -> Any:
    parts = [*value.get("prefix", ()), *value.get("given", ()), value.get("family", ""), *value.get("suffix", ())]
    return value.get("text") or " ".join(part for part in parts if part) or None


def _identified(value: Any, scope: Any) -> Any:
    return {"identifier": clone(value)}


def _amount(value: Any, scope: Any) -> Any:
    made = number(value, "decimal") if isinstance(value, str) else None
    return None if made is None else {"value": made}


_FROM_WORDS: dict[str, Lift] = {
    "Quantity": _amount,
    "Attachment": lambda value, scope: text_attachment(value) if isinstance(value, str) else None,
    "CodeableConcept": lambda value, scope: {"text": value} if isinstance(value, str) else None,
    "Annotation": lambda value, scope: {"text": value} if isinstance(value, str) else None,
    "HumanName": lambda value, scope: {"text": value} if isinstance(value, str) else None,
    "Address": lambda value, scope: {"text": value} if isinstance(value, str) else None,
    "Reference": _reference,
}
_STRUCTURED: dict[tuple[str, str], Lift] = {
    ("Coding", "CodeableConcept"): lambda value, scope: {"coding": [clone(value)]},
    ("CodeableConcept", "Coding"): _codings,
    ("Coding", "code"): lambda value, scope: value.get("code"),
    ("Coding", "string"): lambda value, scope: value.get("display") or value.get("code"),
    ("CodeableConcept", "code"): lambda value, scope: [coding["code"] for coding in value.get("coding", ()) if coding.get("code")],
    ("CodeableConcept", "string"): _concept_text,
    ("HumanName", "string"): _name_text,
    ("Address", "string"): lambda value, scope: value.get("text"),
    ("Identifier", "string"): lambda value, scope: value.get("value"),
    ("Identifier", "Reference"): _identified,
    ("ContactPoint", "string"): lambda value, scope: value.get("value"),
    ("Annotation", "string"): lambda value, scope: value.get("text"),
    ("Annotation", "markdown"): lambda value, scope: value.get("text"),
    ("Reference", "string"): lambda value, scope: value.get("reference"),
    ("Quantity", "decimal"): lambda value, scope: value.get("value"),
    ("Period", "dateTime"): lambda value, scope: value.get("start"),
}
