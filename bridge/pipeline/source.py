"""Labels from the source: what a message reveals by where it comes from and whom it names (reference/consent.md 2.1, 2.2).

The mappings put what the message itself says (ARV, PD1-12, PV2-22, DG1-18); here is what the site's registry knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bridge.consent import mark, project, registry
from bridge.consent.labels import INLINE
from bridge.consent.registry import NONE, Registry, identified, names
from bridge.consent.terms import ACT_CODE, CONFIDENTIALITY
from bridge.consent.terms import load as load_terms
from bridge.core.draft import Draft
from bridge.pipeline.bridge import Bridge
from bridge.referral.partner import Partner
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
ByRef = Mapping[str, Resource]
ASKED = {"ServiceRequest": ("performer",), "Task": ("owner",)}
"""Where a resource names who is asked to do it."""


def from_source(draft: Draft, feed: str, bridge: Bridge) -> Draft:
    """The draft with the labels of its sender, its facility, its visits' units and its numbers' authorities.

    `feed` is the feed, or the partner whose record it is. What comes from a registered source carries its labels whole, a
    visit there with all that names the visit.
    """
    draft = _of_message(draft)
    known = registry.load(*bridge.labels)
    every = _of_sender(feed, known, bridge)
    if not known and not every:
        return draft
    by_ref = {_ref(one): one for one in draft.resources}
    every |= known.of("facility", _senders(draft, by_ref)) | _first_authority(draft, known)
    visits = {ref: found for ref, one in by_ref.items() if one["resourceType"] == "Encounter" and (found := _of_visit(one, by_ref, known))}
    resources = tuple(_numbered(_marked(one, every | _within(one, visits)), known) for one in draft.resources)
    return draft if resources == draft.resources else replace(draft, resources=resources)


def from_form(draft: Draft, form: Mapping[str, Any]) -> Draft:
    """The draft of a form with the labels that the form carries: what was read off it is not less sensitive (R4).

    The form itself keeps them as they are; that something was taken out, or stands on its items, is said of it alone.
    """
    own = (form.get("meta") or {}).get("security") or ()
    if not own:
        return draft
    shared = [each for each in own if each.get("code") not in ("REDACTED", mark.INLINED)]
    return replace(draft, resources=tuple(
        mark.carrying(one, own if one["resourceType"] == form["resourceType"] else shared) if _about_a_person(one) else one
        for one in draft.resources))


def from_performers(draft: Draft, bridge: Bridge) -> Draft:
    """The draft with each order and referral labelled by whom it asks: being referred there is the disclosure."""
    if not draft.of_type(*ASKED):
        return draft
    by_ref = {_ref(one): one for one in draft.resources}
    known = registry.load(*bridge.labels)
    resources = tuple(
        _marked(one, _of_performers(one, by_ref, known, bridge)) if one["resourceType"] in ASKED else one for one in draft.resources)
    return draft if resources == draft.resources else replace(draft, resources=resources)


def _of_message(draft: Draft) -> Draft:
    """The draft with what MSH-8 or MSH-26 restricts: both are about the message, so about all that it tells (HL7 table 0177)."""
    terms = load_terms()
    said = [each for header in draft.of_type("MessageHeader") for each in (header.get("meta") or {}).get("security") or ()
            if (each.get("system"), each.get("code")) in terms.canonical
            or (each.get("system") == CONFIDENTIALITY and terms.ranks.get(each.get("code"), 0) > terms.ranks["N"])]
    if not said:
        return draft
    levels = [] if any(each.get("system") == CONFIDENTIALITY for each in said) else [{"system": CONFIDENTIALITY, "code": "R"}]
    return replace(draft, resources=tuple(mark.carrying(one, [*levels, *said]) if _about_a_person(one) else one for one in draft.resources))


def _of_sender(feed: str, known: Registry, bridge: Bridge) -> frozenset[str]:
    partner = bridge.partners.get(feed)
    return known.of("sender", [feed]) | (_of_partner(partner, known) if partner else NONE)


def _of_partner(partner: Partner, known: Registry) -> frozenset[str]:
    """What a partner reveals by its row as a provider, and by its kind."""
    own = [each for system, value in partner.identifiers for each in identified({"system": system, "value": value})]
    return known.of("provider", [partner.id, *own]) | project.load(partner.kind).labels


def _of_performers(resource: Resource, by_ref: ByRef, known: Registry, bridge: Bridge) -> frozenset[str]:
    found = set[str]()
    for element in ASKED[resource["resourceType"]]:
        given = resource.get(element)
        for reference in given if isinstance(given, list) else [given] if given else []:
            identifier = reference.get("identifier") or {}
            partner = bridge.partners.get(identifier.get("value", "")) if identifier.get("system") == PARTNER else None
            target = by_ref.get(reference.get("reference", ""), {})
            found |= _of_partner(partner, known) if partner else known.of("provider", [*identified(identifier), *names(target)])
    return frozenset(found)


def _senders(draft: Draft, by_ref: ByRef) -> Iterator[str]:
    """The names of the organisations that a message says it comes from."""
    for header in draft.of_type("MessageHeader"):
        for element in ("sender", "responsible"):
            yield from names(by_ref.get((header.get(element) or {}).get("reference", ""), {}))


def _first_authority(draft: Draft, known: Registry) -> frozenset[str]:
    people = [one for one in draft.of_type("Patient") if one["id"] == draft.patient]
    return frozenset().union(*(known.of("authority", _assigned(one["identifier"][0])) for one in people if one.get("identifier")), NONE)


def _assigned(identifier: Mapping[str, Any]) -> Iterator[str]:
    yield str(identifier.get("system") or "")
    yield str((identifier.get("assigner") or {}).get("display") or "")


def _of_visit(visit: Resource, by_ref: ByRef, known: Registry) -> frozenset[str]:
    """What the places, the service and the number of a visit reveal."""
    found = known.of("authority", [each for number in visit.get("identifier") or () for each in _assigned(number)])
    services = [coding.get("code", "") for coding in (visit.get("serviceType") or {}).get("coding") or ()]
    found |= known.of("unit", services)
    for place in visit.get("location") or ():
        for called in _places((place.get("location") or {}).get("reference", ""), by_ref):
            found |= known.of("unit", [called]) | known.of("facility", [called])
    return found


def _places(ref: str, by_ref: ByRef) -> Iterator[str]:
    """The names of a place and of what it is part of."""
    passed = set[str]()
    while ref in by_ref and ref not in passed:
        passed.add(ref)
        yield from names(by_ref[ref])
        ref = (by_ref[ref].get("partOf") or {}).get("reference", "")


def _within(resource: Resource, visits: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The labels of the visit that a resource is, or belongs to."""
    if not visits:
        return NONE
    named = [resource.get("encounter"), resource.get("context")]
    refs = [_ref(resource), *(each.get("reference", "") for each in named if isinstance(each, dict))]
    return frozenset().union(*(visits.get(ref, NONE) for ref in refs))


def _numbered(resource: Resource, known: Registry) -> Resource:
    """A Patient whose further numbers name their authority: each is labelled by itself."""
    numbers = resource.get("identifier") or ()
    if resource["resourceType"] != "Patient" or len(numbers) < 2:
        return resource
    found = {place: labels for place, one in enumerate(numbers) if place and (labels := known.of("authority", _assigned(one)))}
    if not found:
        return resource
    labelled = [_inline(one, found[place]) if place in found else one for place, one in enumerate(numbers)]
    return mark.carrying({**resource, "identifier": labelled}, [{"system": ACT_CODE, "code": mark.INLINED}])


def _inline(element: Resource, labels: frozenset[str]) -> Resource:
    """An element with these labels of its own (DS4P inline labels)."""
    added = [{"url": INLINE, "valueCoding": coding} for coding in mark.codings(sorted(labels))]
    return {**element, "extension": [*element.get("extension", ()), *added]}


def _marked(resource: Resource, labels: frozenset[str]) -> Resource:
    return mark.raised(resource, sorted(labels)) if labels and _about_a_person(resource) else resource


def _about_a_person(resource: Resource) -> bool:
    """Whether a resource says something of a person; directories and the head of a message do not."""
    return resource["resourceType"] not in (*load_terms().elements["non_patient"], "MessageHeader", "Device")


def _ref(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
