"""The social needs that a draft holds, each with the resources that say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.core.draft import Draft
from bridge.referral.terms import CLINICAL, INTERPRETATION, NEED, TEMPORARY, VERIFICATION, coded

CATEGORIES = frozenset({
    "sdoh-category-unspecified", "food-insecurity", "housing-instability", "homelessness",
    "inadequate-housing", "transportation-insecurity", "financial-insecurity", "material-hardship",
    "educational-attainment", "employment-status", "veteran-status", "stress", "social-connection",
    "intimate-partner-violence", "elder-abuse", "personal-health-literacy",
    "health-insurance-coverage-status", "medical-cost-burden", "digital-literacy", "digital-access",
    "utility-insecurity", "incarceration-status", "language-access", "protective-factor",
})
"""SDOHCC category codes of 3.0.0 (reference/gravity.md 0.1)."""


@dataclass(frozen=True, slots=True)
class Need:
    """An SDOHCC category and the `Type/id` of the Conditions and Observations behind it, Conditions first."""

    category: str
    reasons: tuple[str, ...]


def needs(resources: Iterable[Mapping[str, Any]]) -> list[Need]:
    """The needs in the order in which they appear, one per category.

    A Condition counts unless it is over, refuted or an error. A positive Observation (POS) counts by the need it names,
    else by its only category; a protective factor is no need.
    """
    found: dict[str, list[str]] = {}
    said = [one for one in resources if one["resourceType"] in ("Condition", "Observation")]
    for one in sorted(said, key=lambda one: one["resourceType"]):
        for category in _said(one):
            found.setdefault(category, []).append(f"{one['resourceType']}/{one['id']}")
    return [Need(category, tuple(dict.fromkeys(refs))) for category, refs in found.items()]


def occasion(draft: Draft, message_id: str) -> str:
    """What a referral belongs to: the visit, else the screening response, else the message."""
    for type_ in ("Encounter", "QuestionnaireResponse"):
        for one in draft.of_type(type_):
            return str(one["id"])
    return message_id


def _said(one: Mapping[str, Any]) -> list[str]:
    if one["resourceType"] == "Condition":
        over = coded(one.get("clinicalStatus"), CLINICAL) in ("inactive", "remission", "resolved")
        wrong = coded(one.get("verificationStatus"), VERIFICATION) in ("refuted", "entered-in-error")
        return [] if over or wrong else _categories(one)
    if one.get("status") == "entered-in-error":
        return []
    if not any(coded(concept, INTERPRETATION) == "POS" for concept in one.get("interpretation", ())):
        return []
    named = [item["valueCode"] for item in one.get("extension", ()) if item["url"] == NEED]
    if named:
        return [code for code in named if code in CATEGORIES]
    only = _categories(one)
    return only if len(only) == 1 and only != ["sdoh-category-unspecified"] else []


def _categories(one: Mapping[str, Any]) -> list[str]:
    codes = [coded(category, TEMPORARY) for category in one.get("category", ())]
    return [code for code in codes if code in CATEGORIES and code != "protective-factor"]
