"""What compiles but is probably not meant: lines that nothing reaches, names that nothing uses, required elements that nothing
fills, codes that a value set does not have.

What does not compile is found before, by `library.load`; `spec` repeats those errors as findings of severity error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.core.errors import MappingError
from bridge.fhir.elements import Element, Elements
from bridge.hl7v2 import tables
from bridge.language import cases, expr
from bridge.language.expr import Call, Operation
from bridge.language.source import into
from bridge.language.syntax import Entries, Items, Node, Place, Scalar, nearest
from bridge.mapping import codes
from bridge.mapping.build import CONTROLS, build
from bridge.mapping.explain import walk
from bridge.mapping.finding import Finding, errors
from bridge.mapping.program import Program
from bridge.mapping.spec import Spec, extend, lineage, over
from bridge.mapping.verdict import filled, verdict

if TYPE_CHECKING:
    from bridge.mapping.library import Library

CONVERSIONS = frozenset({"address-type", "address-use", "coding-systems", "hl7-codes", "identifier-type", "identifier-use", "media-type",
                         "name-use", "telecom-system", "telecom-use", "units"})
"""Tables that data type conversions read, whatever a mapping names (bridge/fhir/convert*.py, bridge/mapping/sender.py)."""


_PATH = re.compile(r"[A-Z][A-Z0-9]{2}-\d+(\.\d+)*\Z")


def lint(library: Library, names: Iterable[str] = ()) -> list[Finding]:
    """Findings for these mappings (all without names), as feeds override them too."""
    wanted = frozenset(names)
    programs = [library.programs[name] for name in library.programs if not wanted or name in wanted]
    variants = list(library.variants(wanted))
    found = [finding for program in (*programs, *variants) for finding in _program(program, library)]
    found += _everywhere([*programs, *variants], library)
    found += _nulls(programs, library)
    found += _shadowed(programs, library)
    found += _untested(programs)
    found += _lets([*programs, *variants])
    return list(dict.fromkeys(found))


def spec(one: Spec, library: Library) -> list[Finding]:
    """Findings for a file that may not compile (the editor's view): its errors, else what `lint` would say."""
    try:
        program = build(extend(one, {**library.specs, one.name: one}), library.ground)
    except MappingError as error:
        return errors(error)
    return list(_program(program, library))


def _program(program: Program, library: Library) -> Iterator[Finding]:
    elements = library.ground.elements
    for name, emit in program.emits.items():
        node = program.spec.emits.values[name]
        if isinstance(node, Entries):
            yield from _required(node, emit.face.type, emit.face.type, elements, program.spec.emits.keys[name].place, top=True)
            yield from codes.bound(node, emit.face.type, library.ground)
    if not program.emits:
        yield Finding("warning", str(program.spec.key.place), "emits nothing")
    if not program.events:
        yield Finding("warning", str(program.spec.key.place), "reads no event, so it is never chosen")


def _everywhere(programs: list[Program], library: Library) -> Iterator[Finding]:
    """Lines that nothing reaches in any mapping that takes them over: one that only some settle is there for the others."""
    files = {name: {one.file for one in lineage(library.specs[name], library.specs)} for name in library.programs}
    said = {name: dict.fromkeys(_settled(spec)) for name, spec in library.programs.whole.items()}
    for program in programs:
        for finding in _settled(program.spec):
            file = finding.place.rsplit(":", 2)[0]
            if all(finding in said[name] for name, known in files.items() if file in known):
                yield finding


def _settled(spec: Spec) -> Iterator[Finding]:
    lets = {key.text: node for key, node in spec.lets}
    for _, node in spec.emits:
        if isinstance(node, Entries):
            yield from _reached(node, lets | _own_lets(node))
    if spec.when is not None:
        yield from _condition(spec.when, lets)


def _own_lets(node: Entries) -> dict[str, Node]:
    own = node.get("let")
    return {key.text: value for key, value in own} if isinstance(own, Entries) else {}


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


def _reached(node: Node, lets: Mapping[str, Node]) -> Iterator[Finding]:
    """Conditions that always or never hold, and alternatives behind one that always has a value, wherever they stand."""
    if isinstance(node, Items):
        for item in node.items:
            yield from _reached(item, lets)
    elif isinstance(node, Entries):
        for key, value in node:
            if key.text == "when":
                yield from _condition(value, lets)
            if key.text != "each":
                yield from _reached(value, lets)
    elif node.expression is not None:
        yield from _alternatives(node, lets)
    elif node.plain and _PATH.match(node.text) and tables.segment_fields(node.text[:3]):
        yield Finding("warning", str(node.place), f"a text that looks like a path; did you mean `={node.text}`?")


def _condition(when: Node, lets: Mapping[str, Node]) -> Iterator[Finding]:
    if isinstance(when, Scalar) and when.expression is not None and (holds := verdict(expr.parse(when), lets)) is not None:
        told = "always holds; leave it out" if holds else "never holds, so nothing below it is ever reached"
        yield Finding("warning", str(when.place), f"this when: {told}")


def _alternatives(scalar: Scalar, lets: Mapping[str, Node]) -> Iterator[Finding]:
    """`a ?? 'text' ?? b`: b is never asked. `if(false, a, b)`: a is never given."""
    for part in walk(expr.parse(scalar)):
        if (isinstance(part, Operation) and part.sign == "??") or (isinstance(part, Call) and part.name == "coalesce" and part.of is None):
            listed = part.operands if isinstance(part, Operation) else part.arguments
            full = next((index for index, each in enumerate(listed[:-1]) if filled(each, lets)), None)
            if full is not None:
                yield Finding("warning", str(listed[full + 1].place), "never reached: what stands before it always has a value")
        elif isinstance(part, Call) and part.name == "if" and (holds := verdict(part.arguments[0], lets)) is not None:
            yield Finding("warning", str(part.arguments[0].place), f"this condition {'always' if holds else 'never'} holds")


def _nulls(programs: list[Program], library: Library) -> Iterator[Finding]:
    """A null that removes nothing: probably a name that is written otherwise in what is extended."""
    for program in programs:
        chain = lineage(library.specs[program.name], library.specs)
        merged = chain[0]
        for child in chain[1:]:
            for above, below in ((child.lets, merged.lets), (child.emits, merged.emits)):
                yield from _removed(above, below, merged.name)
            merged = over(merged, child)
        for own in library.overrides.values():
            for name, one in own.items():
                if name in [each.name for each in chain]:
                    yield from _removed(one.lets, merged.lets, name)
                    yield from _removed(one.emits, merged.emits, name)


def _removed(above: Entries, below: Entries, name: str) -> Iterator[Finding]:
    for key, node in above:
        under = below.values.get(key.text)
        if isinstance(node, Scalar) and node.null and under is None:
            said = f"null removes nothing: `{name}` has no `{key.text}` here; {nearest(key.text, below.keys)}"
            yield Finding("warning", str(key.place), said.removesuffix("; "))
        elif isinstance(node, Entries) and isinstance(under, Entries):
            yield from _removed(node, under, name)


def _shadowed(programs: list[Program], library: Library) -> Iterator[Finding]:
    """Mappings that another one always wins over, for every event that they read."""
    for program in programs:
        winners = [library.before(program, event) for event in program.events]
        if winners and all(winners):
            names = ", ".join(dict.fromkeys(f"`{winner.name}` ({winner.file})" for winner in winners if winner))
            yield Finding("information", str(program.spec.key.place), f"is never chosen: {names} reads the same and comes first")


def _lets(programs: list[Program]) -> Iterator[Finding]:
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
            continue
        try:
            cases.read(program.spec.tests)
        except MappingError as error:
            yield from errors(error)


def unused(library: Library) -> list[Finding]:
    """Tables and sets that no mapping names and no conversion reads."""
    named = {pair for program in (*library.programs.values(), *library.variants()) for pair in program.used}
    named |= {("table", name) for name in CONVERSIONS}
    return [Finding("information", f"{kind}s/{name}.csv", f"no mapping names this {kind}")
            for kind, known in (("table", library.ground.tables), ("set", library.ground.sets))
            for name in known if (kind, name) not in named]
