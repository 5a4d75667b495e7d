"""A Spec with tables, sets and the element tables -> a Program. Everything that can be wrong in a file is found here."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.core.errors import MappingError
from bridge.fhir.elements import Elements
from bridge.language import expr, syntax
from bridge.language.compile import Compiler
from bridge.language.context import Context, Face
from bridge.language.copier import copier
from bridge.language.expr import Name, Tree
from bridge.language.memory import PUBLIC, beyond
from bridge.language.presence import ALWAYS, Clauses, every
from bridge.language.segment import MessageSource
from bridge.language.shape import Line, Shaper, condition, placed
from bridge.language.source import Fields, RecordSource, ResourceSource, Source
from bridge.language.syntax import Entries, Node, Scalar, fault
from bridge.language.table import CodeSet, Table
from bridge.language.term import Target
from bridge.mapping import key as keys
from bridge.mapping.emit import Emit, schedule
from bridge.mapping.program import Program
from bridge.mapping.spec import Spec, version

CONTROLS = frozenset({"resource", "each", "when", "key", "id", "profile", "let"})
PROFILES = {
    "sdohcc:": "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/",
    "us-core:": "http://hl7.org/fhir/us/core/StructureDefinition/",
}
TIMES = {
    "hl7v2": ("EVN-6 ?? EVN-2 ?? MSH-7",),
    "record": ("event_at", "updated_at"),
    "fhir": ("authored", "issued", "authoredOn", "recordedDate", "date", "recorded"),
}
MOST_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Ground:
    """What every mapping stands on."""

    elements: Elements
    tables: Mapping[str, Table] = field(default_factory=dict)
    sets: Mapping[str, CodeSet] = field(default_factory=dict)
    fields: Fields = field(default_factory=dict)


def build(spec: Spec, ground: Ground) -> Program:
    """Compile a (fully extended) spec; raises one MappingError that lists every error found.

    What is made here stays: searching it for cycles meanwhile would take as long again, so the collector waits.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _Build(spec, ground).program()
    finally:
        if collecting:
            gc.enable()


class _Build:
    """One file while it is compiled."""

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self.spec, self.ground = spec, ground
        self.compiler = Compiler(_source(spec, ground), ground.elements, ground.tables, ground.sets)
        self.errors: list[MappingError] = []
        self.faces: dict[str, tuple[Entries, Context, list[Any]]] = {}
        self.lines: dict[str, tuple[Line, ...]] = {}
        self.reads: set[str] = set()
        self._open: list[str] = []

    def program(self) -> Program:
        for name, node in self.spec.lets:
            self._try(self._let, name, node)
        for name, _ in self.spec.emits:
            self._try(self._face, name.text, name)
        self.compiler.emit_needs.update({name: self._try(self._needs, name, True) or ALWAYS for name in self.faces})
        emits: dict[str, Emit] = {name: emit for name in self.faces if (emit := self._try(self._emit, name)) is not None}
        when = self._try(self._when)
        time = self._try(self._time)
        order = self._try(self._order, emits)
        self._raise()
        firsts = self.compiler.source.firsts if isinstance(self.compiler.source, MessageSource) else {}
        face = self.compiler.faces.get("patient")
        patient = face.number if face is not None and face.type == "Patient" else None
        ordered = {name.text: emits[name.text] for name, _ in self.spec.emits}
        used = frozenset(self.compiler.used)
        return Program(
            self.spec.name, self._version(used), self.spec.language, self.spec.events, self.spec, ordered, tuple(order or ()),
            firsts, self.compiler.slots, self.compiler.caches, tuple(self.compiler.bodies), time, when, patient, self.lines,
            frozenset(self.reads), used)

    def _version(self, used: frozenset[tuple[str, str]]) -> str:
        facts = [f"{kind} {name} {(self.ground.tables if kind == 'table' else self.ground.sets)[name].digest}"
                 for kind, name in sorted(used) if kind in ("table", "set")]
        if self.spec.language == "hl7v2":  # conversions of names, addresses and numbers read tables that no mapping names
            facts += [f"table {name} {table.digest}" for name, table in sorted(self.ground.tables.items())]
        return version((*self.spec.digests, *facts))

    def _try(self, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return act(*arguments)
        except MappingError as error:
            self.errors.append(error)
            return None

    def _raise(self) -> None:
        if not self.errors:
            return
        texts = list(dict.fromkeys(str(error) for error in self.errors))
        more = f"\n... and {len(texts) - MOST_ERRORS} more" if len(texts) > MOST_ERRORS else ""
        raise MappingError("\n".join(texts[:MOST_ERRORS]) + more)

    def _let(self, name: Scalar, node: Node) -> None:
        if not isinstance(node, Scalar):
            raise fault(node.place, f"the let `{name.text}` is one expression")
        if not name.text.replace("-", "_").isidentifier() or name.text in ("and", "or", "not", "in", "true", "false", "this"):
            raise fault(name.place, f"`{name.text}` cannot be a name", hint="letters, digits, _ and -, beginning with a letter")
        self.compiler.lets[name.text] = self.compiler.expression(node)

    def _face(self, name: str, place: Scalar) -> Face:
        """The emit's face, after that of the emit it walks over."""
        if name in self.compiler.faces:
            return self.compiler.faces[name]
        if name in self._open:
            raise fault(place.place, f"`{name}` walks over itself: {' -> '.join([*self._open, name])}")
        entries = syntax.entries(self.spec.emits.values[name], f"emit {name}")
        type_ = self._type(entries, place)
        self._check_name(name, place)
        context, walks = Context(), []
        self._open.append(name)
        try:
            for node in syntax.items(entries.get("each")):
                tree = self._each(node)
                context, walk, over = self.compiler.each(tree, context)
                walks.append((None if over else context.steps[-1], walk))
        finally:
            self._open.pop()
        face = Face(name, type_, len(self.compiler.faces), context.steps)
        self.compiler.faces[name] = face
        self.faces[name] = (entries, context, walks)
        return face

    def _type(self, entries: Entries, place: Scalar) -> str:
        node = entries.get("resource")
        known = self.ground.elements.resources
        if node is None:
            raise fault(place.place, f"`{place.text}` does not say its resource", hint="resource: Patient")
        type_ = syntax.word(node, "resource:")
        if type_ not in known:
            raise fault(node.place, f"unknown resource {type_}", type_, known)
        return type_

    def _check_name(self, name: str, place: Scalar) -> None:
        if name in self.compiler.lets:
            raise fault(place.place, f"`{name}` is a let already")
        if not name.replace("-", "_").isidentifier():
            raise fault(place.place, f"`{name}` cannot be a name")
        if self.compiler.source.lookup(Name(place.place, name), ()) is not None:
            raise fault(place.place, f"`{name}` is a name of {self.compiler.source.name} already",
                        hint=f"call the emit {name}_made, for example")

    def _each(self, node: Node) -> Tree:
        if not isinstance(node, Scalar):
            raise fault(node.place, "each: takes a path, the name of an emit, or a list of them")
        tree = expr.parse(node)
        if isinstance(tree, Name) and tree.text in self.spec.emits.keys and tree.text not in self.compiler.faces:
            self._face(tree.text, self.spec.emits.keys[tree.text])
        return tree

    def _emit(self, name: str) -> Emit:
        entries, context, walks = self.faces[name]
        face = self.compiler.faces[name]
        first = replace(context, lets=self._lets(entries), home=context.steps, reads=[], needs=set(context.needs), inputs=set())
        emit = Emit(name, face, None, walks, needs=self._needs(name, keyed=False))
        if (when := entries.get("when")) is not None:
            emit.when = self.compiler.truth(condition(when), first)
        self._key(emit, entries, first, walks)
        emit.id_needs = set(first.needs)
        if face.type in PUBLIC:
            self.compiler.made_of[name] = beyond(context.inputs | first.inputs, face.steps)
        body = replace(first, reads=[], needs=set(), inputs=set(first.inputs))
        self._body(emit, entries, body, first)
        emit.body_needs = set(body.needs)
        self.reads.update(first.reads)
        return emit

    def _needs(self, name: str, keyed: bool) -> Clauses:
        """What the emit cannot be there without: fields of its each, its when and, `keyed`, its key."""
        entries = self.faces[name][0]
        lets, presence = self._lets(entries), self.compiler.presence
        found = [presence.value(expr.parse(node), {}) for node in syntax.items(entries.get("each")) if isinstance(node, Scalar)]
        if (when := entries.get("when")) is not None:
            found.append(presence.truth(condition(when), lets))
        if keyed:
            keyed_by = [*syntax.items(entries.get("key")), *syntax.items(entries.get("id"))]
            found += [presence.value(self.compiler.expression(node), lets) for node in keyed_by if isinstance(node, Scalar)]
        return every(found)

    def _lets(self, entries: Entries) -> dict[str, Tree]:
        lets: dict[str, Tree] = {}
        for key, node in syntax.entries(entries.get("let") or Entries(entries.place), "let:"):
            if not isinstance(node, Scalar):
                raise fault(node.place, f"the let `{key.text}` is one expression")
            lets[key.text] = self.compiler.expression(node)
        return lets

    def _expression(self, node: Node, what: str) -> Tree:
        if not isinstance(node, Scalar) or node.expression is None:
            raise fault(node.place, f"{what} takes an expression", hint="expressions begin with =")
        return expr.parse(node)

    def _key(self, emit: Emit, entries: Entries, context: Context, walks: list[Any]) -> None:
        given, nodes = entries.get("id"), syntax.items(entries.get("key"))
        if given is not None:
            if nodes:
                raise fault(given.place, "an emit has a key or an id, not both")
            emit.given_id = self.compiler.texts(self._expression(given, "id:"), context)
            return
        trees: list[Tree] = []
        for node in nodes:
            if not isinstance(node, Scalar):
                raise fault(node.place, "a key is one expression or a list of them")
            trees.append(self.compiler.expression(node))
        each = syntax.items(entries.get("each"))
        if not trees and len(walks) == 1 and walks[0][0] is None:
            trees = [expr.parse(node) for node in each if isinstance(node, Scalar)]
        if not trees:
            raise fault(entries.place, f"`{emit.name}` has no key", hint="key: says what makes it the same resource again, as =PV1-19")
        emit.keys = keys.keys(self.compiler, trees, context)

    def _body(self, emit: Emit, entries: Entries, context: Context, first: Context) -> None:
        type_ = emit.face.type
        shaper = Shaper(self.compiler)
        profiles = self._profiles(entries.get("profile"))
        listed = ((key, node) for key, node in entries if key.text not in CONTROLS)
        constants, parts = shaper.object(listed, type_, type_, context)
        self.errors += shaper.errors
        self.lines[emit.name] = tuple(shaper.lines)
        self.reads.update(path for line in shaper.lines for path in line.reads)
        head: dict[str, Any] = {"resourceType": type_, "id": ""}
        meta = constants.pop("meta", {})
        if profiles and "profile" not in meta:
            meta = {**meta, "profile": profiles}
        if meta:
            head["meta"] = meta
        head |= constants
        emit.head, emit.body = copier(head), parts.number
        whole = context.inputs.union(*[part.inputs for part in parts.parts])
        identity, resource = self.compiler.memory(first.inputs), self.compiler.memory(whole)
        if type_ in PUBLIC and identity is not None and resource is not None:
            emit.memory, emit.placed = (identity, resource), placed(context)
        else:
            shaper.remember(parts.parts, context)

    def _profiles(self, node: Node | None) -> list[str]:
        found = []
        for item in syntax.items(node):
            word = syntax.word(item, "profile:")
            prefix = next((prefix for prefix in PROFILES if word.startswith(prefix)), None)
            if prefix is None and "://" not in word:
                raise fault(item.place, f"`{word}` is no profile", word, PROFILES, hint="sdohcc:Name, us-core:name or a full URL")
            found.append(PROFILES[prefix] + word[len(prefix):] if prefix else word)
        return found

    def _when(self) -> Any:
        node = self.spec.when
        if node is None:
            return None
        context = Context()
        truth = self.compiler.truth(condition(node), context)
        if context.needs:
            raise fault(node.place, "the file's when: is asked before anything is emitted")
        self.reads.update(context.reads)
        return truth

    def _time(self) -> Any:
        target, context = Target(("instant",), "event_time"), Context()
        if "event_time" in self.compiler.lets:
            read = self.compiler.give(Name(self.spec.lets.keys["event_time"].place, "event_time"), context, target)
            self.reads.update(context.reads)
            return read
        place = self.spec.key
        for text in TIMES.get(self.spec.language, ()):
            tree = expr.parse_text(text, place)
            if isinstance(tree, Name) and self.compiler.source.lookup(tree, ()) is None:
                continue
            read = self.compiler.give(tree, context, target)
            self.reads.update(context.reads)
            return read
        return None

    def _order(self, emits: dict[str, Emit]) -> list[tuple[str, str]]:
        if self.errors:
            return []
        try:
            return schedule(emits)
        except ValueError as circle:
            first = str(circle).split(", ")[0]
            raise fault(self.spec.emits.keys[first].place, f"these look into each other: {circle}",
                        hint="a when, key or walk needs the other's content first") from None


def _source(spec: Spec, ground: Ground) -> Source:
    if spec.language == "record":
        return RecordSource(ground.fields)
    if spec.language == "fhir":
        if len(spec.events) != 1 or spec.events[0] not in ground.elements.resources:
            raise fault(spec.key.place, "from: fhir takes one resource type",
                        spec.events[0] if spec.events else "", ground.elements.resources)
        return ResourceSource(spec.events[0], ground.elements)
    if spec.language != "hl7v2":
        raise fault(spec.key.place, "`from:` is missing", hint="from: hl7v2 ADT^A03")
    return MessageSource()
