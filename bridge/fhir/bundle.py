"""Makes Bundles of resources whose references are `Type/id`, and knows the rules that R4 has for Bundles as a whole.

The same resources give the same Bundle, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bridge.core.issue import Issue
from bridge.fhir.finding import issue
from bridge.fhir.reference import kind_of, rewrite

Resource = dict[str, Any]

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

ORDER = """MessageHeader Organization Location Practitioner PractitionerRole HealthcareService Endpoint Device Patient

RelatedPerson Group Coverage Encounter QuestionnaireResponse Observation Condition Goal Consent ServiceRequest Task

Procedure Provenance""".split()
"""Referred to before referring, as far as types can say; other types follow by name."""

RANK = {name: rank for rank, name in enumerate(ORDER)}


def ordered(resources: Iterable[Resource]) -> list[Resource]:
    """The resources by type (`ORDER`), then id; the first of several with the same `Type/id` is kept."""
    distinct: dict[tuple[int, str, str], Resource] = {}
    for each in resources:
        kind = each["resourceType"]
        distinct.setdefault((RANK.get(kind, len(RANK)), kind, each["id"]), each)
    return [distinct[key] for key in sorted(distinct)]


def collection(resources: Iterable[Resource], *, base: str = "", timestamp: str = "") -> Resource:
    """A Bundle of type collection.

    With `base` (`https://ehr.example.org/fhir`) the fullUrls are RESTful and references stay `Type/id`; without it they are
    `urn:uuid:` and references inside the Bundle are rewritten to them. Raises ValueError when an id is then no UUID.
    """
    return _bundle("collection", ordered(resources), base, timestamp)


def message(header: Resource, resources: Iterable[Resource], *, base: str = "", timestamp: str = "") -> Resource:
    """A Bundle of type message: the MessageHeader first (R4 bdl-12), then the resources in order."""
    rest = [each for each in ordered(resources) if (each["resourceType"], each["id"]) != (header["resourceType"], header["id"])]
    return _bundle("message", [header, *rest], base, timestamp)


def resources(bundle: Resource) -> list[Resource]:
    """The resources of a Bundle, as they are, in order."""
    return [entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry]


def _bundle(kind: str, listed: Sequence[Resource], base: str, timestamp: str) -> Resource:
    """The Bundle without requests; an empty one has no entry at all, for FHIR knows no empty list."""
    if base:
        root = base.rstrip("/")
        entries = [{"fullUrl": f"{root}/{each['resourceType']}/{each['id']}", "resource": each} for each in listed]
    else:
        names = {f"{each['resourceType']}/{each['id']}": _uuid_url(each) for each in listed}
        entries = [{"fullUrl": url, "resource": rewrite(each, names)} for url, each in zip(names.values(), listed, strict=True)]
    made: Resource = {"resourceType": "Bundle", "type": kind}
    if timestamp:
        made["timestamp"] = timestamp
    return made | ({"entry": entries} if entries else {})


def _uuid_url(resource: Resource) -> str:
    if not UUID.match(resource["id"]):
        raise ValueError(f"a {resource['resourceType']} has an id that is no UUID: a Bundle without base needs UUIDs")
    return f"urn:uuid:{resource['id']}"


def addresses(entries: list[Resource]) -> dict[str, Resource]:
    """The resource by every address that an entry answers to: `Type/id` and its fullUrl."""
    held: dict[str, Resource] = {}
    for entry in entries:
        resource, url = entry.get("resource"), entry.get("fullUrl")
        if isinstance(resource, dict):
            held[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
            if isinstance(url, str):
                held[url] = resource
    return held


def broken_rules(bundle: Resource, entries: list[Resource]) -> Iterator[Issue]:
    """R4 bundle.html: bdl-3, bdl-7, bdl-8, bdl-11, bdl-12, and a fullUrl that agrees with its resource."""
    kind = bundle.get("type") if isinstance(bundle, dict) else None
    requested = kind in ("batch", "transaction", "history")
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        if requested and "request" not in entry:
            yield _broken(index, "", "bdl-3: an entry of a batch, transaction or history has a request")
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if not isinstance(url, str):
            continue
        resource = resource if isinstance(resource, dict) else {}
        meta = resource.get("meta")
        key = url, str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
        if key in seen:
            yield _broken(index, ".fullUrl", "bdl-7: fullUrl is unique, or the versions differ")
        seen.add(key)
        if "/_history/" in url:
            yield _broken(index, ".fullUrl", "bdl-8: fullUrl has no version")
        own = resource.get("id")
        if isinstance(own, str) and url.startswith("http") and not url.endswith(f"/{resource.get('resourceType')}/{own}"):
            yield _broken(index, ".fullUrl", "fullUrl does not end with the Type/id of its resource")
    first = kind_of(entries[0].get("resource")) if entries else ""
    for due, wanted, rule in (("document", "Composition", "bdl-11"), ("message", "MessageHeader", "bdl-12")):
        if kind == due and first != wanted:
            yield issue("BRG-P018", "Bundle.entry", f"{rule}: the first entry of a {due} is a {wanted}")


def _broken(index: int, below: str, says: str) -> Issue:
    return issue("BRG-P018", f"Bundle.entry[{index}]{below}", says)
