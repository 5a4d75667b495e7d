"""Every resource against its profile, every message: a claim that does not hold is dropped, an element that is not R4 too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.core.draft import Draft
from bridge.core.issue import Issue
from bridge.fhir.profile import Profiles
from bridge.fhir.prune import without

Resource = dict[str, Any]
BROKEN = ("error", "fatal")
MOST_LOST = 20
"""Elements that may be left out of one resource; with more it is not worth keeping."""
WHOLE = ("Consent",)
"""Kept whole or not at all: the part left out may be what limits the rest."""


def check(draft: Draft, profiles: Profiles) -> Draft:
    """The draft with only resources that are valid R4, each claiming only profiles that it meets.

    What had to go is in `issues`: a lost claim is a warning, a lost resource an error. Conversion never stops for one.
    """
    kept, issues = [], list[Issue]()
    for resource in draft.resources:
        sound, found = claim(resource, profiles)
        issues += found
        if sound is not None:
            kept.append(sound)
    # A claim that goes may take along that of a resource which refers to it.
    while broken := {place: found for place, found in profiles.among(kept).items() if kept[place].get("meta", {}).get("profile")}:
        for place, found in broken.items():
            kept[place] = unclaimed(kept[place])
            issues += [replace(issue, severity="warning") for issue in found]
    return replace(draft, resources=tuple(kept), issues=(*draft.issues, *issues)) if issues else draft


def claim(resource: Resource, profiles: Profiles) -> tuple[Resource | None, list[Issue]]:
    """(the resource with the claims that hold, or None when it is not even R4; what was found)."""
    found = profiles.made(resource)
    if not found or not any(issue.severity in BROKEN for issue in found):
        return resource, found
    plain = unclaimed(resource)
    broken = [issue for issue in profiles.check(plain) if issue.severity in BROKEN]
    if broken:
        return (None, broken) if resource.get("resourceType") in WHOLE else pruned(resource, broken, profiles)
    return plain, [replace(issue, severity="warning") if issue.severity in BROKEN else issue for issue in found]


def pruned(resource: Resource, broken: list[Issue], profiles: Profiles) -> tuple[Resource | None, list[Issue]]:
    """(the resource without the elements that are not R4, or None when it cannot be saved; what was left out)."""
    first, lost = broken, list[Issue]()
    kept: Resource | None = resource
    while broken and kept is not None and len(lost) < MOST_LOST:
        lost.append(replace(broken[0], severity="warning", text=f"left out: {broken[0].text}"))
        kept = without(kept, broken[0].where)
        broken = [issue for issue in profiles.check(unclaimed(kept)) if issue.severity in BROKEN] if kept else []
    if kept is None or broken:
        return None, first
    kept, more = claim(kept, profiles)
    return kept, [*lost, *more]


def unclaimed(resource: Resource) -> Resource:
    """The resource without meta.profile."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key != "profile"}
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest
