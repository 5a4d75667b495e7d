"""Minimum necessary (P1): per kind of recipient, the elements it may have; whatever is not listed is dropped.

The lists are data in `profiles/recipients/*.yaml`; reference/consent.md 2.3 is their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from bridge.consent.reference import identifiers, type_of
from bridge.consent.request import Request
from bridge.consent.terms import load as load_terms
from bridge.consent.unit import named_in
from bridge.core.errors import SettingsError

ALWAYS = frozenset({"resourceType", "id", "meta"})
META = frozenset({"versionId", "lastUpdated", "profile", "security"})
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ALL = "all"
NAMES = 512
"""Element names whose rule a shape remembers; no resource type has as many, but a name may come from outside."""

Keep = Mapping[str, Any]
"""JSON name (`occurrence[x]` for a choice) -> `all`, or a filter: {targets: [types]}, {codes: [codes]}, {marked: url},
{only: [names]}, or `issued` (identifiers that the recipient itself assigned)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one kind of recipient may have of one resource type.

    `keep` None keeps everything but `drop`. `categories`: only resources whose category has one of these codes. `never`: names
    that are dropped wherever they stand.
    """

    keep: Keep | None
    drop: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def fits(self, resource: Mapping[str, Any]) -> bool:
        """Whether this resource is of the domain that the recipient serves."""
        if not self.categories:
            return True
        listed = resource.get("category") or ()
        codes = {each for each in listed if isinstance(each, str)}
        codes |= {coding.get("code") for each in listed if isinstance(each, dict) for coding in each.get("coding") or ()}
        return not codes.isdisjoint(self.categories)

    def allows(self, name: str) -> Any:
        """`all`, a filter, or None when the element is dropped."""
        if name in self._known:
            return self._known[name]
        rule = self._rule(name)
        if len(self._known) < NAMES:
            self._known[name] = rule
        return rule

    def _rule(self, name: str) -> Any:
        if name in ALWAYS:
            return ALL
        element = name.removeprefix("_")
        if element in self.never:
            return None
        if self.keep is None:
            return None if element in self.drop else ALL
        return next((rule for listed, rule in self.keep.items() if named_in(element, (listed,))), None)


@dataclass(frozen=True, slots=True)
class Projection:
    """The allow-list of one kind of recipient; `shapes` by resource type. `whole` kinds get everything that is
    permitted. `labels` is what being referred to one reveals."""

    kind: str
    whole: bool
    shapes: Mapping[str, Shape]
    labels: frozenset[str] = frozenset()

    def shape(self, resource: Mapping[str, Any]) -> Shape | None:
        """The shape for this resource; None when the recipient may not have it at all."""
        found = self.shapes.get(resource["resourceType"])
        return found if found is not None and found.fits(resource) else None

    def dropped(self, resource: Mapping[str, Any], request: Request | None) -> tuple[str, ...] | None:
        """Top-level paths that this kind does not get; None when it does not get the resource.

        A resource with a modifierExtension that would be dropped is not sent: without it, it says something else.
        """
        if self.whole or resource["resourceType"] in load_terms().elements["non_patient"]:
            return ()
        shape = self.shape(resource)
        if shape is None or (resource.get("modifierExtension") and shape.allows("modifierExtension") is None):
            return None
        paths: list[str] = []
        for name, value in resource.items():
            rule = shape.allows(name)
            element = name.removeprefix("_")
            if rule is None:
                paths.append(element)
            elif rule != ALL and isinstance(value, list):
                gone = [place for place, each in enumerate(value) if not _passes(each, rule, request)]
                paths += [f"{element}[{place}]" for place in gone] if len(gone) < len(value) else [element]
        return tuple(dict.fromkeys(paths))

    def project(self, resource: Mapping[str, Any], request: Request | None = None) -> dict[str, Any] | None:
        """A copy with only what this kind may have, element by element; None when it may not have the resource.

        Below the listed elements extensions are dropped (but the reason why an element is absent), references lose
        their
        identifiers, meta its tags and source.
        """
        if self.whole or resource["resourceType"] in load_terms().elements["non_patient"]:
            return dict(resource)
        shape = self.shape(resource)
        if shape is None or self.dropped(resource, request) is None:
            return None
        kept: dict[str, Any] = {}
        for name, value in resource.items():
            rule = shape.allows(name)
            if name == "meta":
                kept[name] = {part: each for part, each in value.items() if part in META}
            elif rule is not None:
                filtered = _filtered(value, rule, request)
                marked = rule.get("marked") if isinstance(rule, dict) else None
                cut = filtered if shape.keep is None else _plain(filtered, frozenset((ABSENT, marked)), shape.never)
                if cut not in (None, [], {}):
                    kept[name] = cut
        return kept


def _filtered(value: Any, rule: Any, request: Request | None) -> Any:
    if rule == ALL:
        return value
    only = rule.get("only") if isinstance(rule, dict) else None
    if only is not None:
        listed = value if isinstance(value, list) else [value]
        cut = [{name: part for name, part in each.items() if name in only} for each in listed]
        return cut if isinstance(value, list) else cut[0]
    return [each for each in value if _passes(each, rule, request)]


def _passes(each: Any, rule: Any, request: Request | None) -> bool:
    """Whether one repetition passes its filter."""
    if rule == "issued":
        return request is not None and request.recipient is not None and _issued(each, request)
    if "only" in rule:
        return True
    if "targets" in rule:
        return type_of(each.get("reference") or "") in rule["targets"]
    if "codes" in rule:
        return any(coding.get("code") in rule["codes"] for coding in each.get("coding") or ())
    return any(part.get("url") == rule["marked"] and part.get("valueBoolean") is True for part in each.get("extension") or ())


def _issued(identifier: Mapping[str, Any], request: Request) -> bool:
    """Whether the recipient assigned this identifier itself (Identifier.assigner)."""
    assigner = identifier.get("assigner") or {}
    keys = identifiers(assigner.get("identifier"))[0] | ({assigner["reference"]} if assigner.get("reference") else set())
    return request.recipient is not None and not keys.isdisjoint(request.recipient.own)


def _plain(value: Any, urls: frozenset[Any], never: frozenset[str]) -> Any:
    """Without extensions but these, without identifiers of what is referred to, and without these names."""
    if isinstance(value, list):
        return [_plain(each, urls, never) for each in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name, child in value.items():
        if name.removeprefix("_") in never or (name == "identifier" and "reference" in value):
            continue
        extension = name in ("extension", "modifierExtension")
        cut = [each for each in child if each.get("url") in urls] if extension else _plain(child, urls, never)
        if cut not in ([], {}):
            kept[name] = cut
    return kept


@cache
def load(kind: str) -> Projection:
    """The projection of a kind of recipient, or of one of its other names; raises SettingsError when there is none."""
    listed = _files()
    if kind not in listed:
        raise SettingsError(f"no such recipient kind in profiles/recipients; there are: {', '.join(sorted(listed))}")
    return _read(listed[kind], listed)


@cache
def _files() -> dict[str, Mapping[str, Any]]:
    """The recipient files by kind and by their other names."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted(files("profiles").joinpath("recipients").iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            content = yaml.safe_load(file.read_text("utf-8"))
            for name in (content["kind"], *content.get("also", ())):
                if name in found:
                    raise SettingsError(f"profiles/recipients/{file.name}: {name} is defined twice")
                found[name] = content
    return found


def _read(content: Mapping[str, Any], listed: Mapping[str, Mapping[str, Any]]) -> Projection:
    shapes: dict[str, Shape] = {}
    never = frozenset(content.get("never", ()))
    if content.get("extends"):
        shapes.update(_read(listed[content["extends"]], listed).shapes)
        never = never.union(*(shape.never for shape in shapes.values()))
    for type_, said in (content.get("resources") or {}).items():
        inherited = shapes.get(type_, Shape({}))
        keep = None if "drop" in said else {**(inherited.keep or {}), **_keep(said.get("keep") or ())}
        shapes[type_] = Shape(keep, frozenset(said.get("drop", ())), frozenset(said.get("categories", ())), never)
    return Projection(content["kind"], bool(content.get("whole")), shapes, frozenset(content.get("labels", ())))


def _keep(said: Any) -> dict[str, Any]:
    """A list of names and of {name: filter}."""
    found: dict[str, Any] = {}
    for each in said:
        found.update({each: ALL} if isinstance(each, str) else each)
    return found
