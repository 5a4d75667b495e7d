"""What an organisation flags about a person: labels on what its record brings and on its referral, marks on the person.

The marks are kept as one R4 Flag for each organisation and person, apart from the Patient that hospitals describe, and are put on the
copy that is about to leave: no later message of a hospital takes them off. A flag is never lowered by a record that comes without it;
the table is `mappings/cbo/flags.csv`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge.core.ids import Ids
from bridge.referral.intake import Answer
from bridge.referral.partner import Partner, owner, reference
from bridge.referral.rows import rows
from bridge.referral.terms import ACT_CODE, CHOSEN, INLINE, MARKS, PARTNER, SENSITIVITY

Resource = dict[str, Any]
FLAGS = "cbo/flags.csv"
PLACE = {"url": INLINE, "valueCoding": {"system": SENSITIVITY, "code": "flag-place"}}
NO_REDISCLOSURE = {"system": ACT_CODE, "code": "NORDSCLCD"}
PART2 = "42CFRPart2"


def given(answer: Answer) -> list[dict[str, str]]:
    """The rows of the table that hold for a record."""
    return [row for row in rows(FLAGS) if _says(answer.get(row["field"]), row["value"])]


def labels(answer: Answer) -> list[Resource]:
    """The labels of what this record brings, as codings of meta.security."""
    codes = dict.fromkeys(row["label"] for row in given(answer) if row["label"])
    made = [{"system": ACT_CODE if code == PART2 else SENSITIVITY, "code": code} for code in codes]
    return [*made, NO_REDISCLOSURE] if PART2 in codes else made


def labelled(resource: Resource, codings: Sequence[Resource]) -> Resource:
    """The resource with these labels besides its own."""
    meta = resource.get("meta", {})
    held = meta.get("security", [])
    fresh = [one for one in codings if one not in held]
    return {**resource, "meta": {**meta, "security": [*held, *fresh]}} if fresh else resource


def flag(answer: Answer, patient: str, partner: Partner, stored: Mapping[str, Any] | None, ids: Ids) -> Resource | None:
    """The Flag of this organisation about the person, with what it flagged before; None when there is nothing to flag."""
    marks = [one["valueCode"] for one in (stored or {}).get("extension", ()) if one["url"] == MARKS]
    marks = sorted({*marks, *(word for row in given(answer) for word in row["marks"].split())})
    name = str(answer.get("preferred_name"))
    before = [one for one in (stored or {}).get("extension", ()) if one["url"] == CHOSEN]
    chosen = [{"url": CHOSEN, "valueHumanName": {"use": "usual", "text": name}}] if name else before
    codings = labelled({"meta": {"security": list((stored or {}).get("code", {}).get("coding", ()))}}, labels(answer))["meta"]["security"]
    if not (marks or chosen or codings):
        return None
    return {
        "resourceType": "Flag", "id": key(patient, partner.id, ids), "status": "active", "subject": {"reference": f"Patient/{patient}"},
        "extension": [*({"url": MARKS, "valueCode": mark} for mark in marks), *chosen],
        "code": {"text": "To be minded with this person", **({"coding": codings} if codings else {})}, "author": reference(partner, ids),
    }


def key(patient: str, partner: str, ids: Ids) -> str:
    """The id of an organisation's Flag about a person."""
    return ids.uuid("Flag", patient, partner)


def minded(resources: Sequence[Resource], flags: Sequence[Resource], recipient: Partner) -> list[Resource]:
    """The copies that may be decided for a recipient: the person's elements marked as flagged, under the name chosen for this
    recipient, and its own referral without the labels that it has put on it itself."""
    return [_seen(one, flags, recipient) for one in resources]


def _seen(resource: Resource, flags: Sequence[Resource], recipient: Partner) -> Resource:
    if resource["resourceType"] == "Patient":
        return _person(resource, flags, recipient) if flags else resource
    own = resource["resourceType"] in ("Task", "ServiceRequest") and recipient.id in _owners(resource)
    security = resource.get("meta", {}).get("security", ()) if own else ()
    kept = [one for one in security if one.get("system") != SENSITIVITY or not str(one.get("code")).startswith("flag-")]
    return {**resource, "meta": {**resource["meta"], "security": kept}} if len(kept) < len(security) else resource


def _person(patient: Resource, flags: Iterable[Resource], recipient: Partner) -> Resource:
    made = dict(patient)
    for flag_ in flags:
        for each in flag_.get("extension", ()):
            if each["url"] == MARKS and each["valueCode"] in made:
                made[each["valueCode"]] = [_marked(one) for one in made[each["valueCode"]]]
            elif each["url"] == CHOSEN and _is(flag_.get("author", {}), recipient):
                made["name"] = [each["valueHumanName"]]
    return made


def _marked(element: Resource) -> Resource:
    held = element.get("extension", [])
    return element if PLACE in held else {**element, "extension": [*held, PLACE]}


def _owners(resource: Resource) -> set[str]:
    if resource["resourceType"] == "Task":
        return {owner(resource)}
    return {one.get("identifier", {}).get("value", "") for one in resource.get("performer", ()) if one.get("identifier", {}).get("system") == PARTNER}


def _is(named: Mapping[str, Any], partner: Partner) -> bool:
    identifier = named.get("identifier", {})
    return identifier.get("system") == PARTNER and identifier.get("value") == partner.id


def _says(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return value is (wanted == "true")
    return wanted in value if isinstance(value, list) else bool(value) and value == wanted
