"""What compiles but is probably not meant: lets and tables that nothing uses, emits that cannot be, required elements that nothing fills.

What does not compile is found before, by `library.load`; lint repeats those errors as findings of severity error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.errors import MappingError
from bridge.fhir.elements import Element, Elements
from bridge.language.source import into
from bridge.language.syntax import Entries, Items, Node, Place, Scalar
from bridge.mapping.build import CONTROLS, build
from bridge.mapping.program import Program
from bridge.mapping.spec import Spec, extend

if TYPE_CHECKING:
    from bridge.mapping.library import Library


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, where it is and what to do."""

    severity: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.text}"


def lint(library: Library, names: Iterable[str] = ()) -> list[Finding]:
    """Findings for these mappings (all without names), then for tables and sets that no mapping names."""
    wanted = frozenset(names)
    programs = [program for name, program in library.programs.items() if not wanted or name in wanted]
    found = [finding for program in programs for finding in _program(program, library)]
    found += _untested(programs)
    found += _lets(programs, library)
    return list(dict.fromkeys(found))


def spec(one: Spec, library: Library) -> list[Finding]:
    """Findings for a file that may not compile (the editor's view): its errors, else what `lint` would say."""
    try:
        program = build(extend(one, {**library.specs, one.name: one}), library.ground)
    except MappingError as error:
        return [Finding("error", "", text) for text in str(error).split("\n") if text and not text.startswith(" ")]
    return list(_program(program, library))


def _program(program: Program, library: Library) -> Iterator[Finding]:
    elements = library.ground.elements
    for name, emit in program.emits.items():
        node = program.spec.emits.values[name]
        if isinstance(node, Entries):
            yield from _required(node, emit.face.type, emit.face.type, elements, program.spec.emits.keys[name].place, top=True)
            yield from _never(node)
    if not program.emits:
        yield Finding("warning", str(program.spec.key.place), "emits nothing")
    if not program.events:
        yield Finding("warning", str(program.spec.key.place), "reads no event, so it is never chosen")


def _required(node: Entries, type_: str, path: str, elements: Elements, place: Place, top: bool = False) -> Iterator[Finding]:
    """Elements with a minimum that the shape does not provide, here and in its objects; a choice needs one of its names."""
    given = {key.text for key, value in node if not (isinstance(value, Scalar) and value.null)}
    required: dict[str, list[Element]] = {}
    for element in elements.children(type_):
        if element.min:
            required.setdefault(element.choice or element.name, []).append(element)
    for name, choices in required.items():
        if not any(choice.name in given or f"_{choice.name}" in given for choice in choices):
            yield Finding("warning", str(place), f"{path}.{name} is required and nothing gives it")
    for key, value in node:
        if top and key.text in CONTROLS:
            continue
        below = elements.child(type_, key.text)
        if below is not None:
            for entry in value.items if isinstance(value, Items) else [value]:
                if isinstance(entry, Entries) and into(below) not in ("Resource", *elements.primitives):
                    yield from _required(entry, into(below), f"{path}.{key.text}", elements, entry.place)


def _never(node: Node) -> Iterator[Finding]:
    """`when: =false`, wherever it stands."""
    if isinstance(node, Items):
        for item in node.items:
            yield from _never(item)
    elif isinstance(node, Entries):
        when = node.get("when")
        if isinstance(when, Scalar) and (when.expression or "").strip() == "false":
            yield Finding("warning", str(when.place), "never holds")
        for _, value in node:
            yield from _never(value)


def _lets(programs: list[Program], library: Library) -> Iterator[Finding]:
    """Lets that no expression of any mapping that takes them over names."""
    used: dict[str, bool] = {}
    for program in programs:
        for name, key in program.spec.lets.keys.items():
            place = str(key.place)
            used[place] = used.get(place, False) or name == "event_time" or ("let", name) in program.used
    for place, is_used in used.items():
        if not is_used:
            yield Finding("warning", place, "no expression uses this let")


def _untested(programs: list[Program]) -> Iterator[Finding]:
    for program in programs:
        if program.spec.tests is None:
            yield Finding("warning", str(program.spec.key.place), "has no tests")


def unused(library: Library) -> list[Finding]:
    """Tables and sets that no mapping names; conversions use some tables too (names, addresses, telephones)."""
    named = {pair for program in library.programs.values() for pair in program.used}
    return [Finding("information", f"{kind}s/{name}.csv", f"no mapping names this {kind}")
            for kind, known in (("table", library.ground.tables), ("set", library.ground.sets))
            for name in known if (kind, name) not in named]
