"""A resource taken apart into what is decided on its own: the core, and each ancillary element (R1, L3).

Knows where R4 keeps things (`profiles/consent/elements.yaml`); decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from bridge.consent import moment
from bridge.consent.labels import INLINE, Code, Labels
from bridge.consent.moment import Span
from bridge.consent.once import Once
from bridge.consent.reference import NOBODY, Key, contained_of, identifiers, named, normalise
from bridge.consent.request import Policy
from bridge.consent.terms import bare_code
from bridge.consent.terms import load as load_terms

NOT_UNITS = frozenset({"resourceType", "id", "implicitRules", "language", "text", "contained", "meta"})


PLAIN_REFERENCE = frozenset({"reference", "display", "type"})
"""An object of these alone holds no code and no label; most of a resource's objects are such."""


class Found:
    """What lies in one element and below: codings, inline labels, extension URLs."""

    __slots__ = ("codes", "inline", "links", "urls")

    def __init__(self) -> None:
        self.codes: list[Code] = []
        self.inline: list[Mapping[str, Any]] = []
        self.links: list[str] = []
        self.urls: list[str] = []

    def walk(self, value: Any, skip: str = "") -> None:
        """Collect; an inline label is no content of the element that carries it, and `skip` is not gone into."""
        if isinstance(value, list):
            for each in value:
                self.walk(each, skip)
            return
        if not isinstance(value, dict):
            return
        url = value.get("url")
        if url == INLINE:
            self.inline.append(value.get("valueCoding") or {})
            return
        if isinstance(url, str):
            self.urls.append(url)
        code = value.get("code")
        if isinstance(code, str):
            self.codes.append((value.get("system") or "", code))
        for name, child in value.items():
            if child.__class__ is str or name == skip:
                continue
            if isinstance(child, dict):
                self.walk(child, skip)
            elif isinstance(child, list):
                for each in child:
                    self.walk(each, skip)


class Subject:
    """The resource that a unit belongs to, with what the criteria ask about it; worked out on first use."""

    def __init__(self, resource: Mapping[str, Any], policy: Policy, home: str = "", parent: Subject | None = None) -> None:
        self.resource = resource
        self.policy = policy
        self.home = home
        self.parent = parent
        self.type: str = resource["resourceType"]
        self.meta: Mapping[str, Any] = resource.get("meta") or {}

    @Once
    def profiles(self) -> frozenset[str]:
        """meta.profile without versions (M6)."""
        return frozenset(profile.partition("|")[0] for profile in self.meta.get("profile") or ())

    @Once
    def tags(self) -> frozenset[Code]:
        """Every label of meta.security as it stands."""
        system = load_terms().system
        return frozenset((system(each.get("system") or ""), each.get("code") or "") for each in self.meta.get("security") or ())

    @Once
    def primary(self) -> tuple[Code, ...]:
        """Codings of the primary concept (M7)."""
        for group in _primary_groups(self.type):
            codes = clean(code for name in self.resource if named_in(name, group) for code in self.codings(name))
            if codes:
                return codes
        return ()

    def codings(self, name: str) -> list[Code]:
        """Codings of one element, and of the contained resource it refers to."""
        found = Found()
        value = self.resource.get(name)
        found.walk(value)
        inner = self.contained_target(value)
        if inner is not None:
            found.walk(inner.get("code"))
        return found.codes

    def contained_target(self, value: Any) -> Mapping[str, Any] | None:
        """The contained resource that a Reference element names."""
        reference = value.get("reference") if isinstance(value, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        target: Mapping[str, Any] | None = contained_of(self.resource).get(reference[1:])
        return target

    @Once
    def times(self) -> tuple[tuple[Span, ...], ...]:
        """The data's times by group, best first (M8); a contained resource without any has its container's."""
        groups: dict[int, list[Span]] = {}
        for name, value in self.resource.items():
            for place, holder in time_groups(self.type, name):
                held = value.get(holder) if holder else value
                groups.setdefault(place, []).extend(_times(held, self.policy))
        own = tuple(_joined(groups[place]) for place in sorted(groups) if groups[place])
        return own or (self.parent.times if self.parent else ())

    @Once
    def keys(self) -> frozenset[Key]:
        """The names of the resource itself (M9 instance); what is contained is a part of its container."""
        own, _ = identifiers(self.resource.get("identifier"))
        if self.parent:
            return own | self.parent.keys
        reference = f"{self.type}/{self.resource.get('id', '')}"
        return own | {normalise(reference, self.policy.fhir_base, self.home)}

    @Once
    def references(self) -> frozenset[Key]:
        """Everything the resource refers to, without what is contained (M9 related)."""
        own = (_references(value, self) for name, value in self.resource.items() if name != "contained")
        return frozenset().union(*own, self.parent.references if self.parent else NOBODY)

    @Once
    def authors(self) -> frozenset[Key]:
        """Who authored, performed, recorded, asserted or requested it (M9 authoredby)."""
        names = load_terms().elements["authors"]
        return frozenset().union(*(_references(self.resource.get(name), self) for name in names), NOBODY)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is decided on its own. `path` is "" for the core. `codes` are its codings with folded systems."""

    path: str
    subject: Subject
    labels: Labels
    codes: tuple[Code, ...]


_TIMED = frozenset({"DateTime", "Date", "Instant", "Period", "Timing"})


def _times(value: Any, policy: Policy) -> Iterator[Span]:
    """Spans of a date, Period or Timing; another type of the choice (Age, Range, string) says no time."""
    if isinstance(value, str):
        yield moment.span(value, policy.zone)
    elif isinstance(value, dict):
        if "start" in value or "end" in value:
            yield moment.period(value, policy.zone)
        for event in value.get("event") or ():
            yield moment.span(event, policy.zone)
        bounds = (value.get("repeat") or {}).get("boundsPeriod")
        if bounds:
            yield moment.period(bounds, policy.zone)


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Times that belong together (onset and abatement) are one stretch."""
    return ((min(first for first, _ in spans), max(last for _, last in spans)),)


def _references(value: Any, subject: Subject) -> set[Key]:
    found = set[Key]()
    if isinstance(value, list):
        for each in value:
            found |= _references(each, subject)
    elif isinstance(value, dict):
        if "reference" in value or "identifier" in value:
            found |= (
                named(value, subject.policy.fhir_base, None, subject.home).keys if isinstance(value.get("reference", ""), str) else set()
            )
        for child in value.values():
            if isinstance(child, (dict, list)):
                found |= _references(child, subject)
    return found


def named_in(name: str, listed: Iterable[str]) -> bool:
    """Whether a JSON name is listed, `value[x]` standing for every type of a choice."""
    return any(
        name == each or (each.endswith("[x]") and name.startswith(each[:-3]) and name[len(each) - 3 : len(each) - 2].isupper())
        for each in listed
    )


@lru_cache(4096)
def time_groups(type_: str, name: str) -> tuple[tuple[int, str], ...]:
    """Which groups of times an element belongs to, and the element below it that holds the time, if any (M8)."""
    table = load_terms().elements["times"]
    found: list[tuple[int, str]] = []
    for place, group in enumerate(table.get(type_, table["default"])):
        for path in group:
            first, _, inner = path.partition(".")
            stem = first.removesuffix("[x]")
            if name == stem or (stem != first and name.startswith(stem) and name[len(stem) :] in _TIMED):
                found.append((place, inner))
    return tuple(found)


@cache
def _primary_groups(type_: str) -> tuple[tuple[str, ...], ...]:
    """The element groups that can be the primary concept of this type."""
    elements = load_terms().elements
    only = elements["primary_of_type"]
    return tuple(tuple(name for name in group if type_ in only.get(name, (type_,))) for group in elements["primary"])


@lru_cache(4096)
def is_core(type_: str, name: str) -> bool:
    """Whether an element belongs to the core of its resource (R1)."""
    return named_in(name, load_terms().elements["core"]) or any(named_in(name, group) for group in _primary_groups(type_))


def clean(codes: Iterable[Code]) -> tuple[Code, ...]:
    """Codings with folded systems and ICD-10 codes without dots."""
    system = load_terms().system
    return tuple((folded := system(name), bare_code(folded, code)) for name, code in codes)
