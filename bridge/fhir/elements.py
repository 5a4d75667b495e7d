"""What FHIR R4 4.0.1 says about each element: the facts of `profiles/r4`, as dictionaries that are fast to ask.

Knows the tables and nothing else: no profile, no resource.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any


@dataclass(frozen=True, slots=True)
class Element:
    """One element under its JSON name; a choice such as value[x] is one Element per type.

    `path` is the standard's (`Observation.value[x]`), `name` the JSON name (`valueQuantity`). `max` None means any number,
    so the JSON value is a list. `binding` is the URL of the value set when the binding is required, else "".
    `targets` are the resource types a Reference may name; empty means any. `into` is the parent to ask for the children:
    a datatype, a backbone path, or "" for a primitive. `choice` is the stem of a choice (`value`), else "".
    """

    path: str
    name: str
    types: tuple[str, ...]
    min: int
    max: int | None
    binding: str = ""
    targets: tuple[str, ...] = ()
    into: str = ""
    choice: str = ""


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive type: its JSON type (`string`, `boolean`, `integer`, `number`) and the published expression, or ""."""

    json: str
    regex: str


class Elements:
    """The element tables of the types in use, and the code lists of their required bindings."""

    __slots__ = ("_by_name", "_listed", "codes", "datatypes", "known", "primitives", "resources")

    def __init__(self, tables: Mapping[str, Any], datatypes: Mapping[str, Any], primitives: Mapping[str, Primitive],
                 codes: Mapping[str, Mapping[str, tuple[str, ...]]], known: frozenset[str]) -> None:
        self.primitives = primitives
        self.codes = codes
        """Members of a required value set, {system: codes}, by value set URL; sets too large to list are absent."""
        self.resources = frozenset(tables)
        """Resource types that have a table."""
        self.datatypes = frozenset(datatypes)
        self.known = known
        """Every resource type of R4, with or without a table."""
        self._listed: dict[str, tuple[Element, ...]] = {}
        for table in (*datatypes.values(), *tables.values()):
            self._listed.update(_parents(table, primitives))
        self._by_name = {parent: {each.name: each for each in listed} for parent, listed in self._listed.items()}

    def child(self, parent: str, name: str) -> Element | None:
        """The element with this JSON name; None when there is none.

        `parent` is a resource type, a datatype or a backbone path (`Patient.contact`), also below a content reference
        (`Questionnaire.item.item`).
        """
        named = self._by_name.get(parent)
        if named is None:
            named = self._by_name.get(self._resolve(parent), {})
        return named.get(name)

    def children(self, parent: str) -> tuple[Element, ...]:
        """Every element below `parent` in the order of the standard; empty for a primitive or an unknown name."""
        listed = self._listed.get(parent)
        return self._listed.get(self._resolve(parent), ()) if listed is None else listed

    def choices(self) -> Iterator[Element]:
        """Every typed element of every choice of the types in use."""
        return (each for listed in self._listed.values() for each in listed if each.choice)

    def _resolve(self, parent: str) -> str:
        """The key under which the children of a path are kept; the path may go through datatypes and content references."""
        first, *rest = parent.split(".")
        key = first
        for name in rest:
            found = self._by_name.get(key, {}).get(name)
            if found is None:
                return ""
            key = found.into
        return key


def _parents(table: Mapping[str, Any], primitives: Mapping[str, Primitive]) -> Iterator[tuple[str, tuple[Element, ...]]]:
    """(parent, children) for the type itself and each of its backbone paths."""
    gathered: dict[str, list[Element]] = {table["name"]: []}
    maxima = {fact["path"]: fact for fact in table["elements"]}
    for fact in table["elements"]:
        parent = fact["path"].rpartition(".")[0]
        gathered.setdefault(parent, []).extend(_expand(fact, maxima, primitives))
    for parent, found in gathered.items():
        yield parent, tuple(found)


def _expand(fact: Mapping[str, Any], siblings: Mapping[str, Any], primitives: Mapping[str, Primitive]) -> Iterator[Element]:
    """One Element, or one per type of a choice."""
    path: str = fact["path"]
    name = path.rpartition(".")[2]
    content: str = fact.get("content", "")
    types: list[str] = siblings[content]["types"] if content else fact["types"]
    least, most = fact.get("min", 0), None if fact.get("max") == "*" else int(fact.get("max", 1))
    binding, targets = fact.get("binding", ""), tuple(fact.get("targets", ()))
    if not name.endswith("[x]"):
        inner = content or (path if types[0] in ("BackboneElement", "Element") else "" if types[0] in primitives else types[0])
        yield Element(path, name, tuple(types), least, most, binding, targets, inner)
        return
    stem = name[:-3]
    for each in types:
        named = stem + each[0].upper() + each[1:]
        yield Element(path, named, (each,), least, most, binding, targets if each == "Reference" else (),
                      "" if each in primitives else each, stem)


def _read(folder: Traversable, name: str) -> Any:
    return json.loads(folder.joinpath(name).read_bytes())


def _tables(folder: Traversable) -> dict[str, Any]:
    read = (json.loads(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".json"))
    return {table["name"]: table for table in read}


@cache
def load() -> Elements:
    """The packaged R4 4.0.1 tables; read once per process (about 10 ms)."""
    folder = files("profiles").joinpath("r4")
    primitives = {name: Primitive(fact["json"], fact.get("regex", "")) for name, fact in _read(folder, "primitives.json").items()}
    codes = {
        url: {system: tuple(listed) for system, listed in systems.items()}
        for url, systems in _read(folder, "codes.json").items()
    }
    return Elements(_tables(folder.joinpath("resources")), _tables(folder.joinpath("datatypes")), primitives, codes,
                    frozenset(_read(folder, "types.json")["resources"]))
