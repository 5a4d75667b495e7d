"""Profile rules, written as facts in YAML, become JSON Schemas that only say what the profile adds.

The vocabulary is described in `profiles/README.md`. A derived profile is its parent's schema and its own, side by side:
FHIR lets a child only restrict, so conjunction is exact and no snapshot has to be merged.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.core.errors import SettingsError
from bridge.fhir.elements import Element, Elements
from bridge.fhir.fhirpath import compiled
from bridge.fhir.schema import bound, has_shadow, kind, present, reference

Schema = dict[str, Any]
Rule = Mapping[str, Any]

KEYS = frozenset(["card", "types", "targets", "fixed", "pattern", "coding", "codes", "regex", "slices", "invariants", "says"])
SLICE_KEYS = KEYS | {"match", "url", "elements"}
LOGIC = frozenset(["any", "all", "one", "not"])
INVARIANT_KEYS = LOGIC | {"key", "says", "when", "then", "fhirpath"}


class Rules:
    """Compiles the rules of one folder; `sets` are its code sets by name, {system: codes or "any"}, `profiles` (type, URL) by name."""

    def __init__(self, elements: Elements, sets: Mapping[str, Mapping[str, Any]], where: str = "",
                 profiles: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.elements = elements
        self.sets = sets
        self.profiles = profiles or {}
        self.where = where

    def overlay(self, parent: str, rules: Mapping[str, Rule | str | None], *, asking: bool = False) -> Schema:
        """What `rules` (by element path below `parent`) demand of an object.

        `asking` makes a condition of them: each named element must be there, and of a list one item must fit.
        Raises SettingsError for an element that R4 does not have, or a word that the vocabulary does not have.
        """
        grouped: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        for path, rule in rules.items():
            name, _, below = path.partition(".")
            own, deeper = grouped.setdefault(name, ({}, {}))
            if below:
                deeper[below] = rule
            else:
                own.update(self._rule(rule, KEYS, path))
        parts = [self._element(parent, name, own, deeper, asking) for name, (own, deeper) in grouped.items()]
        return both(*parts)

    def condition(self, parent: str, what: Any) -> Schema:
        """A yes-or-no question about an object: a name (is it there), any, all, one, not, or element rules."""
        if isinstance(what, str):
            return self.overlay(parent, {what: None}, asking=True)
        if not set(what) & LOGIC:
            return self.overlay(parent, what, asking=True)
        parts: list[Schema] = []
        for word, inner in what.items():
            if word == "not":
                parts.append({"not": self.condition(parent, inner)})
            elif word in LOGIC:
                key = {"any": "anyOf", "all": "allOf", "one": "oneOf"}[word]
                parts.append({key: [self.condition(parent, each) for each in inner]})
            else:
                raise SettingsError(f"{self.where}: {word} beside any, all, one or not")
        return both(*parts)

    def invariant(self, parent: str, fact: Mapping[str, Any]) -> Schema:
        """One invariant: `when` with `then` or `fhirpath`, or any, all, one, not; `key` and `says` go into the message."""
        note = {"invariant": fact["key"], "says": fact["says"]}
        if strange := fact.keys() - INVARIANT_KEYS:
            raise SettingsError(f"{self.where}: {fact['key']}: unknown word {', '.join(sorted(strange))}")
        if "fhirpath" in fact:
            compiled(fact["fhirpath"])  # refused here, with the file, rather than at the first resource
            then: Schema = {"fhirpath": fact["fhirpath"]}
        elif "then" in fact:
            then = self.condition(parent, fact["then"])
        else:
            then = self.condition(parent, {word: fact[word] for word in LOGIC if word in fact})
        if "when" in fact:
            return {"if": self.condition(parent, fact["when"]), "then": then, "x": note}
        return {"allOf": [then], "x": note}

    def _rule(self, rule: Rule | str | None, keys: frozenset[str], path: str) -> dict[str, Any]:
        """A rule in its long form; a bare text is its cardinality."""
        found = {"card": rule} if isinstance(rule, str) else dict(rule or {})
        if strange := found.keys() - keys:
            raise SettingsError(f"{self.where}: {path}: unknown word {', '.join(sorted(strange))}; known: {', '.join(sorted(keys))}")
        return found

    def _named(self, parent: str, name: str) -> list[Element]:
        """The element, or the typed elements of a choice written `value[x]`."""
        children = self.elements.children(parent)
        if name.endswith("[x]"):
            found = [each for each in children if each.choice == name[:-3]]
        else:
            found = [each for each in children if each.name == name]
        if not found:
            names = sorted({f"{each.choice}[x]" if each.choice else each.name for each in children})
            near = difflib.get_close_matches(name, names, 3, 0.0)
            raise SettingsError(f"{self.where}: {parent} has no element {name}; nearest: {', '.join(near)}")
        return found

    def _element(self, parent: str, name: str, rule: Rule, deeper: Mapping[str, Any], asking: bool) -> Schema:
        """Rules about one element (or choice) of an object."""
        found = self._named(parent, name)
        low, high = card(rule["card"]) if "card" in rule else (1 if asking else 0, None)
        types = rule.get("types")
        allowed = [each for each in found if (types is None or each.types[0] in types) and high != 0]
        if types and (strange := set(types) - {each.types[0] for each in found}):
            raise SettingsError(f"{self.where}: {parent}.{name} cannot be {', '.join(sorted(strange))}")
        schema: Schema = {"properties": {}}
        for each in found:
            if each not in allowed:
                note = {"forbidden": name, "types": list(types or ())}
                schema["properties"] |= {label: {"not": {}, "x": note} for label in (each.name, "_" + each.name)}
            elif value := self._property(each, rule, deeper, (low, high), asking):
                schema["properties"][each.name] = value
        if low:
            single = len(allowed) == 1 and not has_shadow(allowed[0], self.elements)
            schema |= {"required": [allowed[0].name]} if single else {"allOf": [present(allowed, self.elements)]}
        return schema if schema["properties"] else {k: v for k, v in schema.items() if k != "properties"}

    def _property(self, each: Element, rule: Rule, deeper: Mapping[str, Any], counts: tuple[int, int | None], asking: bool) -> Schema:
        """Rules about the JSON value of one element: the value itself, or a list of such."""
        value = self._value(each, rule, deeper, asking)
        if each.max is not None:
            return value
        low, high = counts
        parts: list[Schema] = []
        if value and asking:
            parts.append({"contains": value})
        elif value:
            parts.append({"items": value})
        if low > 1:
            parts.append({"minItems": low})
        if high is not None:
            parts.append({"maxItems": high})
        for name, piece in rule.get("slices", {}).items():
            parts += self._slice(each, name, piece)
        return both(*parts)

    def _value(self, each: Element, rule: Rule, deeper: Mapping[str, Any], asking: bool) -> Schema:
        """Rules about one value."""
        kind, parts = each.types[0], []
        if "fixed" in rule:
            parts.append({"const": rule["fixed"], "x": {"fixed": True}})
        if "pattern" in rule:
            parts.append({**pattern(rule["pattern"]), "x": {"fixed": True}})
        if "coding" in rule and kind in ("CodeableConcept", "Coding"):
            system, _, code = rule["coding"].rpartition("#")
            coding = {"system": system, "code": code}
            parts.append({**pattern({"coding": [coding]} if kind == "CodeableConcept" else coding), "x": {"fixed": True}})
        if "codes" in rule and (kind in ("CodeableConcept", "Coding", "Quantity") or not each.into):
            parts.append(self._codes(kind, rule["codes"]))
        if "regex" in rule:
            parts.append({"pattern": rule["regex"], "x": {"regex": True}})
        if "targets" in rule and kind == "Reference":
            parts.append(self._targets(rule["targets"]))
        if deeper:
            parts.append(self.overlay(each.into, deeper, asking=asking))
        parts += [self.invariant(each.into, fact) for fact in rule.get("invariants", ())]
        return both(*parts)

    def _targets(self, named: Sequence[str]) -> Schema:
        """A Reference to these types; a profile's name asks that a target at hand conforms to it."""
        profiles: dict[str, list[str]] = {}
        types = []
        for name in named:
            kind_, url = self.profiles.get(name, (name, ""))
            if kind_ not in self.elements.known:
                raise SettingsError(f"{self.where}: {name} is neither a resource type nor the name of a profile")
            types.append(kind_)
            profiles.setdefault(kind_, []).append(url)
        asked = {type_: urls for type_, urls in profiles.items() if "" not in urls}
        types = list(dict.fromkeys(types))
        return {"properties": {"reference": reference(self.elements, types, asked), "type": kind(types, self.elements.known)}}

    def _codes(self, kind: str, named: str | Sequence[str]) -> Schema:
        """A required binding: a set of the folder, a value set of R4, or the codes themselves (of a code)."""
        if not isinstance(named, str):
            return {"enum": list(named), "x": {"binding": "the codes listed in the profile"}}
        systems = self.sets.get(named) or self.elements.codes.get("http://hl7.org/fhir/ValueSet/" + named)
        if not systems:
            raise SettingsError(f"{self.where}: no code set {named}; known: {', '.join(sorted(self.sets))}")
        return bound(kind, {system: None if codes == "any" else codes for system, codes in systems.items()}, {"binding": named})

    def _slice(self, each: Element, name: str, fact: Rule | str) -> list[Schema]:
        """How many items may match, and what those that match must be."""
        piece = self._rule(fact, SLICE_KEYS, f"{each.path}:{name}")
        match = dict(piece.get("match", {}))
        inner = dict(match.pop("elements", {}))
        if "url" in piece:
            inner["url"] = {"fixed": piece["url"]}
        if not match and not inner:
            return []
        matching = self._value(each, match, inner, True)
        low, high = card(piece.get("card", "0..*"))
        note = {"slice": name, "path": each.path, "card": piece.get("card", "")}
        found: list[Schema] = []
        if low or high is not None:
            count = {"contains": matching, "minContains": low, "x": note}
            found.append(count if high is None else count | {"maxContains": high})
        demands = self._value(each, {k: v for k, v in piece.items() if k in KEYS}, piece.get("elements", {}), False)
        if demands:
            found.append({"items": {"if": matching, "then": demands}})
        return found


def card(text: str) -> tuple[int, int | None]:
    """`1..*` as (1, None)."""
    low, _, high = text.partition("..")
    return int(low), None if high == "*" else int(high)


def pattern(value: Any) -> Schema:
    """The FHIR meaning of pattern[x]: what is given must be there, more may be (R4 elementdefinition.html)."""
    if isinstance(value, dict):
        return {"properties": {name: pattern(inner) for name, inner in value.items()}, "required": list(value)}
    if isinstance(value, list):
        return both(*({"contains": pattern(inner)} for inner in value))
    return {"const": value}


def both(*parts: Schema) -> Schema:
    """All of these; plain properties are put side by side, which is what validators are fastest at."""
    properties: dict[str, Any] = {}
    required: dict[str, None] = {}
    rest: list[Schema] = []
    for part in parts:
        if part.keys() <= {"properties", "required", "allOf"} and not properties.keys() & part.get("properties", {}).keys():
            properties |= part.get("properties", {})
            required |= dict.fromkeys(part.get("required", ()))
            rest += part.get("allOf", ())
        else:
            rest.append(part)
    if not properties and not required and len(rest) == 1:
        return rest[0]
    merged: Schema = {"properties": properties} if properties else {}
    merged |= {"required": list(required)} if required else {}
    return merged | ({"allOf": rest} if rest else {})
