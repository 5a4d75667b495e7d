"""The shape of a Consent (FHIR R4 4.0.1): which of the elements that the filter reads are lists, objects or texts.

A rule whose actors are a text, null or an empty list would say less than its author meant, and a permit that says less
permits more. So a Consent of another shape is not read at all, and the decision is a deny for a person to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CODING = {"system": str, "code": str}
_CONCEPT = {"coding": [_CODING]}
_IDENTIFIER = {"system": str, "value": str}
_REFERENCE = {"reference": str, "identifier": _IDENTIFIER}
_PERIOD = {"start": str, "end": str}
_PROVISION: dict[str, Any] = {
    "type": str,
    "period": _PERIOD,
    "actor": [{"role": _CONCEPT, "reference": _REFERENCE}],
    "action": [_CONCEPT],
    "securityLabel": [_CODING],
    "purpose": [_CODING],
    "class": [_CODING],
    "code": [_CONCEPT],
    "dataPeriod": _PERIOD,
    "data": [{"meaning": str, "reference": _REFERENCE}],
}
_RULES = [_PROVISION]
_PROVISION["provision"] = _RULES
_CONSENT: dict[str, Any] = {
    "identifier": [_IDENTIFIER],
    "status": str,
    "scope": _CONCEPT,
    "category": [_CONCEPT],
    "patient": _REFERENCE,
    "dateTime": str,
    "performer": [_REFERENCE],
    "organization": [_REFERENCE],
    "policyRule": _CONCEPT,
    "verification": [{"verified": bool}],
    "provision": _PROVISION,
}


def check(consent: Mapping[str, Any]) -> None:
    """Raises ValueError when an element that the filter reads is of another shape, null or empty (but `provision`).

    The text of the error holds nothing of the Consent.
    """
    waiting: list[tuple[Any, Any]] = [(consent, _CONSENT)]
    while waiting:
        value, shape = waiting.pop()
        kind: Any = shape if isinstance(shape, type) else type(shape)
        empty = value in ("", [], {}) and shape is not _PROVISION and shape is not _RULES
        undated = shape is _PERIOD and isinstance(value, dict) and _PERIOD.keys().isdisjoint(value)  # somebody meant a time
        if empty or undated or not isinstance(value, kind):
            raise ValueError("an element of the Consent is not of its R4 shape")
        if kind is list:
            waiting += [(each, shape[0]) for each in value]
        elif kind is dict:
            waiting += [(value[name], inner) for name, inner in shape.items() if name in value]
