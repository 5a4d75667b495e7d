"""Labels put on a resource, and labels kept: a label once known may be raised by a copy, never lowered.

Source: reference/consent.md 2.2 (one confidentiality code, n sensitivities) and section 6 (label stripping by a partner).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.consent import terms as vocabulary
from bridge.consent.terms import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE

Coding = Mapping[str, Any]
Resource = dict[str, Any]

REDACTED = {"system": OBSERVATION_VALUE, "code": "REDACTED"}
INLINED = "PROCESSINLINELABEL"
"""Of v3-ActCode. Says that labels stand on elements; a label that both copies do not put there covers the whole resource again."""


def is_redacted(resource: Mapping[str, Any]) -> bool:
    """Whether a copy says of itself that something was taken out: it is no source to update an original from."""
    security = (resource.get("meta") or {}).get("security") or ()
    return any(each.get("code") == "REDACTED" and each.get("system") in (OBSERVATION_VALUE, None) for each in security)


def codings(labels: Iterable[str]) -> list[dict[str, str]]:
    """Sensitivities and 42CFRPart2 as codings of meta.security; a local one under the system that holds it."""
    local = {code: system for system, code in vocabulary.load().canonical if system not in ("", ACT_CODE)}
    return [{"system": local.get(label, ACT_CODE), "code": label} for label in labels]


def raised(resource: Resource, labels: Iterable[str]) -> Resource:
    """A copy that carries these sensitivities too, and R at least (L2); the same object when it does already."""
    own = (resource.get("meta") or {}).get("security") or []
    restricted = {"system": CONFIDENTIALITY, "code": "R"}
    return _with(resource, joined(own, [restricted, *codings(labels)]))


def carrying(resource: Resource, security: Iterable[Coding]) -> Resource:
    """A copy that carries these codings of meta.security too; the same object when it does already."""
    own = [dict(each) for each in (resource.get("meta") or {}).get("security") or ()]
    held = {_key(each) for each in own}
    return _with(resource, _one_level([*own, *(dict(each) for each in security if _key(each) not in held)]))


def remembered(new: Resource, stored: Mapping[str, Any] | None) -> Resource:
    """The new copy of a resource with every label that the stored one has (the same object when nothing is missing)."""
    known = (stored or {}).get("meta", {}).get("security") if stored else None
    if not known:
        return new
    known = [each for each in known if each.get("code") != "REDACTED"]
    own = (new.get("meta") or {}).get("security") or []
    return new if own == known else _with(new, joined(known, own))


def joined(known: Iterable[Coding], told: Iterable[Coding]) -> list[dict[str, Any]]:
    """The high-water mark of two lists of labels, in an order that does not depend on which came first.

    One confidentiality code, the higher. Purposes narrow: a purpose counts while both allow it; when they share none, those
    that were known stay. PROCESSINLINELABEL stays only where both have it, for it lifts what covers the whole.
    """
    before, after = [dict(each) for each in known], [dict(each) for each in told]
    if not before or not after:
        return _one_level(before or after)
    purposes = {_key(each) for each in before if _is_purpose(each)}, {_key(each) for each in after if _is_purpose(each)}
    left = (purposes[0] & purposes[1] or purposes[0]) if all(purposes) else purposes[0] | purposes[1]
    inlined = all(any(each.get("code") == INLINED for each in one) for one in (before, after))
    every = {_key(each): each for each in (*after, *before)}
    kept = [each for key, each in every.items()
            if (key in left if _is_purpose(each) else inlined if each.get("code") == INLINED else True)]
    return _one_level(sorted(kept, key=_key))


def _one_level(labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The labels with the highest of their confidentiality codes alone, first."""
    ranks = vocabulary.load().ranks
    levels = [each for each in labels if each.get("system") == CONFIDENTIALITY and each.get("code") in ranks]
    if len(levels) < 2:
        return [*levels, *(each for each in labels if each not in levels)]
    highest = max(levels, key=lambda each: ranks[each["code"]])
    return [highest, *(each for each in labels if each not in levels)]


def _key(label: Coding) -> tuple[str, str]:
    return vocabulary.load().system(label.get("system") or ""), label.get("code") or ""


def _is_purpose(label: Coding) -> bool:
    system, code = _key(label)
    return system == ACT_REASON or (not system and code in vocabulary.load().purposes)


def _with(resource: Resource, security: list[dict[str, Any]]) -> Resource:
    meta = resource.get("meta") or {}
    return resource if meta.get("security") == security else {**resource, "meta": {**meta, "security": security}}
