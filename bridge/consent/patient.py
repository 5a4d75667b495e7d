"""Whose resource it is (S2, X2): the keys of the one patient a resource is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.consent.reference import Key, contained_of, foreign_home, identifiers, named, normalise, type_of
from bridge.consent.terms import load as load_terms


@dataclass(frozen=True, slots=True)
class People:
    """The Patient entries of a Bundle by every key they are referred to with; empty for a single resource."""

    base: str
    by_key: Mapping[Key, frozenset[Key]] = field(default_factory=dict)

    def resolve(self, resource: Mapping[str, Any], home: str = "", full_url: str = "") -> frozenset[Key]:
        """The keys of the resource's patient; empty when there is none or more than one."""
        if resource["resourceType"] == "Patient":
            return self.own(resource, home, full_url)
        found: frozenset[Key] = frozenset()
        for reference in _references(resource):
            keys = self._one(reference, resource, home)
            if not keys:
                continue
            if found and found.isdisjoint(keys):
                return frozenset()  # two patients: nobody's
            found |= keys
        return found

    def own(self, patient: Mapping[str, Any], home: str = "", full_url: str = "") -> frozenset[Key]:
        """The keys of a Patient resource itself."""
        names = {normalise(f"Patient/{patient['id']}", self.base, home)} if patient.get("id") else set()
        url = normalise(full_url, self.base)
        if names and type_of(url) and url not in names:
            return frozenset()  # the entry's address and the resource's id name two people
        return identifiers(patient.get("identifier"))[0] | names | ({url} if url else set())

    def _one(self, reference: Mapping[str, Any], resource: Mapping[str, Any], home: str) -> frozenset[Key]:
        text = reference.get("reference") or ""
        if not self.by_key and len(reference) == 1:  # one of thousands alike: a reference and nothing else
            name = normalise(text, self.base, home)
            if type_of(name) == "Patient":
                return frozenset((name,))
        if text.startswith("#"):
            inner = contained_of(resource).get(text[1:]) or {}
            return identifiers(inner.get("identifier"))[0] if inner.get("resourceType") == "Patient" else frozenset()
        keys = named(reference, self.base, None, home).keys
        linked = frozenset[Key]().union(*(self.by_key.get(key, frozenset()) for key in keys))
        if text and not linked and type_of(normalise(text, self.base, home)) != "Patient":
            return frozenset()  # a group, a device, or a name that nothing here resolves
        if not text and reference.get("type") not in (None, "Patient"):
            return frozenset()
        return keys | linked


def people(bundle: Mapping[str, Any], base: str) -> People:
    """The Patient entries of a Bundle, each under its own fullUrl."""
    alone, found = People(base), dict[Key, frozenset[Key]]()
    for entry in bundle.get("entry") or ():
        resource = entry.get("resource") or {}
        if resource.get("resourceType") != "Patient":
            continue
        full_url = entry.get("fullUrl") or ""
        keys = alone.own(resource, foreign_home(full_url, "Patient", base), full_url)
        for key in keys:
            found[key] = found.get(key, frozenset()) | keys
    return People(base, found)


def _references(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    table = load_terms().elements["patient"]
    for path in table.get(resource["resourceType"], table["default"]):
        value = resource.get(path)
        if isinstance(value, dict):
            yield value
        elif value is not None or "." in path:
            yield from _at(resource, path.split("."))


def _at(value: Any, path: list[str]) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for each in value:
            yield from _at(each, path)
    elif isinstance(value, dict):
        if not path:
            yield value
        elif value.get(path[0]) is not None:
            yield from _at(value[path[0]], path[1:])
