"""What is on file and what a message says, put together: event time decides, late facts are added, nothing moves back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.core.draft import Draft
from bridge.core.ports import Work
from bridge.referral.state import instant

PROGRESS = {"unknown": 0, "planned": 1, "arrived": 2, "triaged": 3, "in-progress": 4, "onleave": 4, "finished": 5, "cancelled": 5}
"""Encounter.status by how far a visit is; without an undoing event it never becomes smaller (hl7v2.md a10)."""

UNDOES = {
    "ADT^A11": {"Encounter": ("period",)},
    "ADT^A13": {"Encounter": ("period.end", "hospitalization.dischargeDisposition")},
}
"""Elements that an undoing event takes back: a cancelled discharge has no end and no disposition."""

GROWING = {"identifier": ("system", "value")}
"""Lists in which every fact ever sent stays, told apart by these members; all others are replaced whole."""

WHOLE = frozenset({"Consent", "QuestionnaireResponse", "MessageHeader", "Provenance"})


def merge(new: Mapping[str, Any], stored: Mapping[str, Any] | None, *, event: str, newer: bool,
          cleared: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the resource to keep.

    `newer` says that the message's event time is not before that of `stored`. An older message only adds elements
    that are missing. `cleared` are elements the sender deleted with HL7 null. Source: reference/hl7v2.md b1 (order).
    """
    if stored is None:
        return dict(new)
    if not newer:
        return {**new, **stored}
    undone = UNDOES.get(event, {}).get(new["resourceType"], ())
    kept = {key: value for key, value in stored.items() if key not in cleared}
    for path in undone:
        kept = _without(kept, path.split("."))
    merged = {**kept, **new}
    for element, members in GROWING.items():
        if element in new and element in kept:
            merged[element] = _union(new[element], kept[element], members)
    if new["resourceType"] == "Encounter":
        _settle_visit(merged, new, stored, undoing=bool(undone))
    return merged


def on_file(draft: Draft, work: Work) -> tuple[Draft, bool]:
    """The draft with each resource as it is to be kept, and whether its visit is known from a later event already.

    Resources that change once only (a Consent, a filled form) are taken as they are.
    """
    merged, stale = [], False
    for resource in draft.resources:
        ref = f"{resource['resourceType']}/{resource['id']}"
        stored = None if resource["resourceType"] in WHOLE else work.resource(ref)
        newer = stored is None or is_newer(draft.event_time, work.event_time(ref))
        stale = stale or (resource["resourceType"] == "Encounter" and not newer)
        merged.append(merge(resource, stored, event=draft.event, newer=newer, cleared=draft.cleared.get(ref, ())))
    return replace(draft, resources=tuple(merged)), stale


def is_newer(time: str, stored_time: str) -> bool:
    """True unless `time` is known to be before `stored_time`; both FHIR dateTimes of any precision, "" counts as unknown."""
    if not time or not stored_time:
        return True
    try:
        return instant(time) >= instant(stored_time)
    except ValueError:  # a leap second, which FHIR allows and Python's clock does not have
        return True


def _settle_visit(merged: dict[str, Any], new: Mapping[str, Any], stored: Mapping[str, Any], *, undoing: bool) -> None:
    """Keep the furthest status, and keep parts of period and hospitalization that this message left out."""
    if not undoing:
        if PROGRESS.get(new.get("status", ""), 0) < PROGRESS.get(stored.get("status", ""), 0):
            merged["status"] = stored["status"]
        for element in ("period", "hospitalization"):
            if isinstance(new.get(element), dict) and isinstance(stored.get(element), dict):
                merged[element] = {**stored[element], **new[element]}


def _without(resource: dict[str, Any], path: list[str]) -> dict[str, Any]:
    head, *rest = path
    if head not in resource:
        return resource
    if not rest:
        return {key: value for key, value in resource.items() if key != head}
    inner = _without(dict(resource[head]), rest)
    return {**resource, head: inner} if inner else {key: value for key, value in resource.items() if key != head}


def _union(new: list[dict[str, Any]], stored: list[dict[str, Any]], members: tuple[str, ...]) -> list[dict[str, Any]]:
    seen = {tuple(entry.get(member) for member in members) for entry in new}
    return new + [entry for entry in stored if tuple(entry.get(member) for member in members) not in seen]
