"""Sources whose values are JSON: a FHIR resource, a record with a field list, resources by type with named facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from bridge.fhir.elements import Element, Elements
from bridge.language.expr import FieldPath, Name, Tree
from bridge.language.memory import OTHER, Input
from bridge.language.scope import Scope
from bridge.language.syntax import fault
from bridge.language.term import FHIR, NOTHING, Step, Term

Fields = Mapping[str, "str | Fields"]
"""Field name -> FHIR type (`string`, `date`, `Coding`, `any`; a trailing `*` repeats), or the fields of an object
(`name*` in the name makes a list of objects)."""


class Source(Protocol):
    """What a mapping reads: how its names and paths become Terms."""

    @property
    def name(self) -> str:
        """What it is, for messages: `a record`."""

    reserve: Callable[[int], int]
    """Set by the compiler: reserves places in Scope.slots."""

    def path(self, node: FieldPath, steps: Sequence[Step]) -> Term:
        """The reader of an HL7 path; raises MappingError."""

    def lookup(self, node: Name, steps: Sequence[Step]) -> Term | None:
        """The reader of a bare name, None when the source does not know it."""

    def input(self, node: FieldPath | Name, steps: Sequence[Step]) -> Input:
        """What the reader of a path or name depends on."""

    def names(self) -> Iterable[str]:
        """Names for hints."""

    def child(self, type_: str, name: str) -> tuple[str, bool] | None:
        """(type, whether many) below a type of this source's own; None when it has none of this name."""

    def children(self, type_: str) -> Iterable[str]:
        """Names for hints."""

    def step(self, tree: Tree, term: Term, slot: int) -> tuple[Step, Callable[[Scope], list[tuple[Any, ...]]]]:
        """How `each` walks over `term`."""


class _Json:
    """What the JSON sources share."""

    name = "JSON"
    __slots__ = ("fields", "prefix", "reserve")

    def __init__(self, fields: Fields, prefix: str) -> None:
        self.fields = fields
        self.prefix = prefix
        self.reserve: Callable[[int], int] = lambda count: 0

    def path(self, node: FieldPath, steps: Sequence[Step]) -> Term:
        """HL7 paths have no meaning here."""
        raise fault(node.place, f"{node.text} is an HL7 path; this reads {self.name}")

    def input(self, node: FieldPath | Name, steps: Sequence[Step]) -> Input:
        """JSON is not remembered."""
        return OTHER

    def child(self, type_: str, name: str) -> tuple[str, bool] | None:
        """A field of an object field."""
        if not type_.startswith(self.prefix):
            return ("any", True) if type_ == "any" else None
        return field_type(self.fields, type_[len(self.prefix):], name, self.prefix)

    def children(self, type_: str) -> Iterable[str]:
        """The fields of an object field."""
        return field_names(self.fields, type_[len(self.prefix):]) if type_.startswith(self.prefix) else ()

    def step(self, tree: Tree, term: Term, slot: int) -> tuple[Step, Callable[[Scope], list[tuple[Any, ...]]]]:
        """One item per value."""
        read = term.read
        return Step(term.path, slot, term.kind, term.type), lambda scope: [(item, index, NOTHING) for index, item in enumerate(read(scope))]


class RecordSource(_Json):
    """A partner's JSON record: the names are its fields; `record.field` says so where another name is the same."""

    name = "a record"
    __slots__ = ()

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields, "record:")

    def lookup(self, node: Name, steps: Sequence[Step]) -> Term | None:
        """A field, or `record` for the whole."""
        if node.text == "record":
            return Term(lambda scope: [scope.source], FHIR, "record:", False, "", "record")
        return member_of(self.fields, self.prefix, node.text, lambda scope: scope.source)

    def names(self) -> Iterable[str]:
        """The record's fields."""
        return field_names(self.fields, "")


class ResourceSource(_Json):
    """One FHIR resource: the names are its elements."""

    __slots__ = ("elements", "type")

    def __init__(self, type_: str, elements: Elements) -> None:
        super().__init__({}, "fact:")
        self.type = type_
        self.elements = elements

    @property
    def name(self) -> str:  # type: ignore[override]
        """`a QuestionnaireResponse`."""
        return f"a {self.type}"

    def lookup(self, node: Name, steps: Sequence[Step]) -> Term | None:
        """An element of the resource, or the resource by its type's name."""
        if node.text == self.type:
            return Term(lambda scope: [scope.source], FHIR, self.type, False, self.type, self.type)
        element = self.elements.child(self.type, node.text)
        if element is None:
            return None
        return Term(reader(lambda scope: scope.source, node.text), FHIR, into(element), element.max != 1, node.text, node.text)

    def names(self) -> Iterable[str]:
        """The resource's elements."""
        return [element.name for element in self.elements.children(self.type)]


class DraftSource(_Json):
    """Resources by type, as a draft or a bundle holds them, and named facts beside them.

    At run time `scope.source` is {type: [resource]} and `scope.facts` a dict in the shape of `fields`.
    """

    name = "a draft"
    __slots__ = ("elements",)

    def __init__(self, elements: Elements, fields: Fields | None = None) -> None:
        super().__init__(fields or {}, "fact:")
        self.elements = elements

    def lookup(self, node: Name, steps: Sequence[Step]) -> Term | None:
        """A named fact, or every resource of a type."""
        text = node.text
        found = member_of(self.fields, self.prefix, text, lambda scope: scope.facts or {})
        if found is not None or text not in self.elements.resources:
            return found
        return Term(lambda scope: scope.source.get(text, NOTHING), FHIR, text, True, text, text)

    def names(self) -> Iterable[str]:
        """The facts and the resource types."""
        return [*field_names(self.fields, ""), *self.elements.resources]


def into(element: Element) -> str:
    """The type of an element's values: what to ask for its children, or the primitive's name."""
    return element.into or element.types[0]


def field_type(fields: Fields, path: str, name: str, prefix: str) -> tuple[str, bool] | None:
    """(type, whether many) of a field below a dotted path; objects have the type `prefix` + path."""
    at = _at(fields, path)
    for key in (name, f"{name}*"):
        if key in at:
            found = at[key]
            if isinstance(found, str):
                return found.removesuffix("*"), found.endswith("*") or key.endswith("*")
            return f"{prefix}{path}.{key}" if path else f"{prefix}{key}", key.endswith("*")
    return None


def field_names(fields: Fields, path: str) -> list[str]:
    """The field names below a dotted path."""
    return [name.removesuffix("*") for name in _at(fields, path)]


def _at(fields: Fields, path: str) -> Fields:
    for name in path.split(".") if path else ():
        inner = fields.get(name, {})
        fields = inner if not isinstance(inner, str) else {}
    return fields


def member_of(fields: Fields, prefix: str, name: str, whole: Callable[[Scope], Any]) -> Term | None:
    """A Term for a top field, None when there is none."""
    found = field_type(fields, "", name, prefix)
    return Term(reader(whole, name), FHIR, found[0], found[1], name, name) if found else None


def reader(whole: Callable[[Scope], Any], name: str) -> Callable[[Scope], list[Any]]:
    """(scope) -> the values under a name of a dict; a list is its members, an empty text or null is nothing."""
    def read(scope: Scope) -> list[Any]:
        value = whole(scope).get(name)
        if value is None or value == "":
            return NOTHING
        return value if value.__class__ is list else [value]
    return read


def walk(read: Callable[[Scope], list[Any]], name: str) -> Callable[[Scope], list[Any]]:
    """(scope) -> the values under a name in each of the dicts that `read` gives."""
    def step(scope: Scope) -> list[Any]:
        found: list[Any] = []
        for item in read(scope):
            if item.__class__ is not dict:
                continue
            value = item.get(name)
            if value is None or value == "":
                continue
            if value.__class__ is list:
                found += value
            else:
                found.append(value)
        return found
    return step


_TYPES = {"boolean": "boolean", "integer": "integer", "number": "decimal", "string": "string"}
_FORMATS = {"date": "date", "date-time": "dateTime", "time": "time", "uri": "uri"}


def schema_fields(schema: Mapping[str, Any]) -> Fields:
    """The field list of a JSON Schema (object, `properties`): its types as FHIR types; an enum is a code."""
    made: dict[str, str | Fields] = {}
    for name, facts in schema.get("properties", {}).items():
        many = _json_type(facts) == "array"
        inner = facts.get("items", {}) if many else facts
        type_ = _json_type(inner)
        if type_ == "object" and inner.get("properties"):
            made[f"{name}*" if many else name] = schema_fields(inner)
            continue
        given = "code" if "enum" in inner else _FORMATS.get(inner.get("format", ""), "") or _TYPES.get(type_, "any")
        made[name] = f"{given}*" if many else given
    return made


def _json_type(facts: Mapping[str, Any]) -> str:
    found = facts.get("type", "string" if "enum" in facts else "")
    if isinstance(found, list):
        found = next((each for each in found if each != "null"), "")
    return str(found)
