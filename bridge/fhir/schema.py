"""JSON Schema (draft 2020-12) of base R4, made from the element tables.

Every datatype, backbone element and resource is one entry of `$defs`. A key `x` in a schema is a note for
`bridge.fhir.finding`: validators ignore it. Contained and entry resources are only asked for their type here;
`bridge.fhir.profile` checks each of them by its own schema.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bridge.fhir.elements import Element, Elements
from bridge.fhir.primitive import primitive

Schema = dict[str, Any]
Systems = Mapping[str, Sequence[str] | None]
"""Codes by code system; None means every code of it."""

ID = "[A-Za-z0-9.-]{1,64}"
MANY = 15
"""Choices of more types than this are checked by counting properties first, because each look-up costs 30 ns."""


def reference(elements: Elements, targets: Sequence[str], profiles: Mapping[str, Sequence[str]] | None = None) -> Schema:
    """The schema of Reference.reference for these target types; none means any. `profiles` are asked of targets, by type.

    R4 references.html: relative (`Type/id`, with or without version), absolute, `urn:uuid:`, `urn:oid:`, or a search
    (transactions). The type of an absolute one is judged when it ends as a RESTful address does. `#id` is not taken here:
    the keyword `targets` judges it, and every other address, where the resources are at hand (`bridge.fhir.target`).
    """
    asked = {"types": list(targets), "profiles": dict(profiles or {})}
    if not targets:
        return {"type": "string", "$ref": "#/$defs/address", "targets": asked, "x": {"targets": []}}
    usual = {"pattern": f"^(?:{'|'.join(targets)})/[A-Za-z0-9.-]+$", "maxLength": min(map(len, targets)) + 65}
    return {"type": "string", "anyOf": [usual, {"pattern": _plain(targets)}, {"$ref": "#/$defs/absolute"}],
            "targets": asked, "x": {"targets": list(targets)}}


def _plain(types: Sequence[str]) -> str:
    """An address whose type is one of these, or that names none."""
    allowed = "|".join(types)
    return f"^(?:(?:https?://\\S+/)?(?:{allowed})/{ID}(?:/_history/{ID})?|urn:(?:uuid|oid):\\S+|(?:{allowed})\\?\\S+)$"


def kind(targets: Sequence[str], known: Collection[str]) -> Schema:
    """The schema of Reference.type: a type of R4 must be one of the targets (R4 references.html#type)."""
    return {"anyOf": [{"enum": list(targets)}, {"not": {"enum": sorted(known)}}], "x": {"type": list(targets)}}


def member(systems: Systems) -> Schema:
    """A Coding that is in a set given as {system: codes}; None for codes means every code of that system."""
    def one(system: str, codes: Sequence[str] | None) -> Schema:
        listed: Schema = {"system": {"const": system}}
        if codes is None:
            return {"properties": listed, "required": ["system", "code"]}
        return {"properties": listed | {"code": {"enum": list(codes)}}, "required": ["system", "code"]}

    unlisted = [system for system, codes in systems.items() if codes is None]
    found = [one(system, codes) for system, codes in systems.items() if codes is not None]
    if unlisted:
        found.append({"properties": {"system": {"enum": unlisted}}, "required": ["system", "code"]})
    return found[0] if len(found) == 1 else {"anyOf": found}


def bound(kind: str, systems: Systems, note: Schema) -> Schema:
    """What a required binding asks of a value of type `kind` (R4 terminologies.html: one coding from the set)."""
    if kind == "CodeableConcept":
        return {"properties": {"coding": {"contains": member(systems)}}, "required": ["coding"], "x": note}
    if kind in ("Coding", "Quantity"):
        return {**member(systems), "x": note}
    codes = list(dict.fromkeys(code for listed in systems.values() if listed is not None for code in listed))
    return {"enum": codes, "x": note} if codes else {}


class R4:
    """Builds the `$defs` that a resource type reaches. `additions` are schemas of ours by type or path (invariants)."""

    def __init__(self, elements: Elements, additions: dict[str, list[Schema]]) -> None:
        self.elements = elements
        self.additions = additions

    def schema(self, resource: str) -> Schema:
        """A complete schema whose root is this resource type."""
        defs: dict[str, Schema] = {}
        waiting = [resource]
        while waiting:
            name = waiting.pop()
            if name in defs:
                continue
            defs[name] = self.definition(name)
            waiting.extend(_refs(defs[name]))
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"#/$defs/{resource}", "$defs": defs}

    def definition(self, name: str) -> Schema:
        """One entry of `$defs`: a closed object."""
        if name == "Resource":
            return {"type": "object", "required": ["resourceType"]}
        if name in ("address", "absolute"):
            known = sorted(self.elements.known)
            absolute = {"pattern": "^https?://\\S+$", "not": {"pattern": f"/(?:{'|'.join(known)})/{ID}(?:/_history/{ID})?$"}}
            return absolute if name == "absolute" else {"anyOf": [{"pattern": _plain(known)}, {"$ref": "#/$defs/absolute"}]}
        children = self.elements.children(name)
        schema: Schema = {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": {}, "x": {"object": name}}
        required, conditions = [], []
        if name in self.elements.resources:
            schema["properties"]["resourceType"] = {"const": name}
            required.append("resourceType")
        for each in children:
            schema["properties"].update(self._properties(each))
        for each in children:
            if each.min and not each.choice:
                if has_shadow(each, self.elements):
                    conditions.append(present([each], self.elements))
                else:
                    required.append(each.name)
        if required:
            schema["required"] = required
        conditions += self._choices(name, children) + self.additions.get(name, [])
        nulls = {each.name: _no_null(each.name) for each in children if each.max is None and each.into == ""}
        singles = dict(_exclusive(children))
        if nulls or singles:
            schema["dependentSchemas"] = nulls | singles
        return schema | ({"allOf": conditions} if conditions else {})

    def _properties(self, each: Element) -> Iterator[tuple[str, Schema]]:
        value = self._value(each)
        if each.max is None and not each.into:
            value = {**value, "type": [value["type"], "null"]}
        yield each.name, {"type": "array", "minItems": 1, "items": value} if each.max is None else value
        if has_shadow(each, self.elements):
            shadow: Schema = {"$ref": "#/$defs/Element"}
            yield "_" + each.name, shadow if each.max == 1 else {"type": "array", "minItems": 1, "items": {"anyOf": [shadow, {"type": "null"}]}}

    def _value(self, each: Element) -> Schema:
        """The schema of one value of an element."""
        systems = self.elements.codes.get(each.binding)
        note = {"binding": each.binding.rpartition("/")[2]}
        if not each.into:
            if systems and (codes := bound(each.types[0], systems, note)):
                return {"type": "string", **codes}
            return primitive(self.elements, each.types[0])
        value: Schema = {"$ref": f"#/$defs/{each.into}"}
        if systems:
            value["allOf"] = [bound(each.types[0], systems, note)]
        if each.into == "Reference":
            value["properties"] = {"reference": reference(self.elements, each.targets)}
            if each.targets:
                value["properties"]["type"] = kind(each.targets, self.elements.known)
        return value

    def _choices(self, name: str, children: Sequence[Element]) -> list[Schema]:
        """Presence of mandatory choices, and at most one type of the choices with very many types."""
        found = []
        for stem, types in by_choice(children).items():
            if name == "Extension":
                found.append(_counted(name, "", types, [e for e in children if e.name == "extension"], children))
            elif len(types) > MANY:
                found.append(_counted(name, stem, types, [], children))
            elif types[0].min:
                found.append(present(types, self.elements))
        return found


def by_choice(children: Sequence[Element]) -> dict[str, list[Element]]:
    """The typed elements of each choice, by stem."""
    found: dict[str, list[Element]] = {}
    for each in children:
        if each.choice:
            found.setdefault(each.choice, []).append(each)
    return found


def has_shadow(each: Element, elements: Elements) -> bool:
    """Whether JSON may hold `_name` beside it: primitives do, but not ids of elements, resource ids and Extension.url."""
    return not each.into and each.name != "id" and each.path != "Extension.url" and each.types[0] in elements.primitives


def present(of: Sequence[Element], elements: Elements) -> Schema:
    """At least one of these is there; a primitive may have only its extensions."""
    names = [each.name for each in of] + ["_" + each.name for each in of if has_shadow(each, elements)]
    label = f"{of[0].choice}[x]" if of[0].choice else of[0].name
    return {"anyOf": [{"required": [name]} for name in names], "x": {"missing": label}}


def _exclusive(children: Sequence[Element]) -> Iterator[tuple[str, Schema]]:
    """At most one type of each choice: where one is, the others are false (R4 formats.html#choice)."""
    for stem, types in by_choice(children).items():
        if len(types) > MANY:
            continue
        for each in types:
            others = [name for other in types if other is not each for name in (other.name, "_" + other.name)]
            yield each.name, {"properties": {name: {"not": {}, "x": {"choice": stem}} for name in others}}


def _counted(name: str, stem: str, types: Sequence[Element], more: Sequence[Element], children: Sequence[Element]) -> Schema:
    """Exactly one (or at most one) of very many; the common case is told by the number of properties alone.

    For Extension the nested extensions are one more alternative (R4 ext-1).
    """
    members = [*types, *more]
    others = [each for each in children if each not in members]
    required = [each.name for each in others if each.min]
    optional = [each.name for each in others if not each.min]
    size = len(required) + 1
    usual: Schema = {"minProperties": size, "maxProperties": size, "not": {"anyOf": [{"required": [n]} for n in optional]}}
    alternatives: list[Schema] = [
        {"anyOf": [{"required": [each.name]}, {"required": ["_" + each.name]}]} if not each.into else {"required": [each.name]}
        for each in members
    ]
    if not types[0].min and name != "Extension":
        alternatives.append({"not": {"anyOf": alternatives.copy()}})
    note = {"extension": True} if name == "Extension" else {"counted": stem}
    return {"anyOf": [usual, {"oneOf": alternatives}], "x": note}


def _no_null(name: str) -> Schema:
    """A null in a list of primitives needs `_name` to say what stands there (R4 json.html#primitive)."""
    without = {"properties": {name: {"not": {"type": "array", "contains": {"type": "null"}}}}}
    return {"anyOf": [{"required": ["_" + name]}, without], "x": {"null": name}}


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.removeprefix("#/$defs/")
            else:
                yield from _refs(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _refs(value)
