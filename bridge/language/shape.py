"""A YAML tree in the shape of a FHIR element -> one closure that builds it.

An object vanishes when it holds expressions and all of them are empty; one of literals alone stays. Literal parts are
built once and copied when emitted. An element that repeats is always a list; two values for a single one are a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bridge.core.errors import MappingError
from bridge.fhir.elements import Element
from bridge.language import convert
from bridge.language.copier import copier
from bridge.language.expr import Literal, Name, Tree, parse
from bridge.language.flat import flat
from bridge.language.memory import OTHER, Input, beyond, remembered
from bridge.language.presence import ALWAYS, Clauses, either, every, met
from bridge.language.scope import Scope
from bridge.language.source import into
from bridge.language.syntax import Entries, Items, Node, Scalar, fault
from bridge.language.term import SEGMENT, Reads, Step, Target

if TYPE_CHECKING:
    from bridge.language.compile import Compiler
    from bridge.language.context import Context

SEVERAL = "BRG-L103"
CONTROLS = ("each", "when")
MOST_INPUTS = 4
"""Inputs of a remembered part: with more of them the same combination hardly comes again."""
SELECTIONS = 256
"""Different selections of one object's parts that are kept."""

Give = Callable[[Scope], Any]
"""(scope) -> JSON value of the element (a list when it repeats), or None."""
Live = tuple[tuple[tuple[str, Give], ...], tuple[tuple[str, Give], ...]]
"""(name, give) of plain parts, and of those that may leave a source code beside them."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands around a line: the `each` (with its steps) and the `when` of an object, and where they are written."""

    walk: Callable[[Scope], Any] | None
    steps: tuple[Step, ...]
    when: Callable[[Scope], bool] | None
    each_text: str
    when_place: str


@dataclass(frozen=True, slots=True)
class Line:
    """Where one element comes from: its path, the source paths it reads, and the place in the file.

    `read` gives its values and `guards` are the objects around it, outermost first: explain asks both again.
    """

    element: str
    reads: tuple[str, ...]
    file: str
    line: int
    text: str
    read: Reads | None = field(default=None, compare=False, repr=False)
    guards: tuple[Guard, ...] = field(default=(), compare=False, repr=False)


@dataclass(slots=True)
class Part:
    """A part of an object or list: a constant (`give` None) or a closure. `needs` are the fields it cannot do without.

    `short` is a shorter way to the same for an element that does not repeat. `inputs` are what it depends on; `slight`: it is
    not worth remembering.
    """

    constant: Any = None
    give: Give | None = None
    coded: bool = False
    needs: Clauses = ALWAYS
    name: str = ""
    short: Give | None = None
    inputs: frozenset[Input] = frozenset()
    slight: bool = False


@dataclass(slots=True)
class Body:
    """The parts of an object or list that are built at run time; `number` is its place in Scope.plan."""

    number: int
    parts: list[Part]
    seen: dict[tuple[bool, ...], Live] = field(default_factory=dict)
    """Selections that some message shape needed; shapes share them."""

    def live(self, masks: Mapping[str, int] | None) -> Live:
        """The parts that a message with these fields can fill; all of them for None."""
        chosen = tuple([masks is None or met(part.needs, masks) for part in self.parts])
        known = self.seen.get(chosen)
        if known is None:
            parts = [part for part, wanted in zip(self.parts, chosen, strict=True) if wanted]
            made = [tuple((part.name, part.give or _fixed(part.constant)) for part in parts if part.coded is coded)
                    for coded in (False, True)]
            if len(self.seen) >= SELECTIONS:
                self.seen.clear()
            known = self.seen[chosen] = (made[0], made[1])
        return known


@dataclass(slots=True)
class Shaper:
    """Builds the shapes of one resource; gathers every error and every Line instead of stopping at the first."""

    compiler: Compiler
    lines: list[Line] = field(default_factory=list)
    errors: list[MappingError] = field(default_factory=list)
    guards: tuple[Guard, ...] = ()

    def object(self, entries: Iterable[tuple[Scalar, Node]], type_: str, path: str, context: Context) -> tuple[dict[str, Any], Body]:
        """(constants, the rest) of an object of this type."""
        constants: dict[str, Any] = {}
        parts: list[Part] = []
        for key, node in entries:
            if key.text == "resourceType" and type_ in self.compiler.elements.resources:
                constants["resourceType"] = type_
                continue
            try:
                part = self._element(key, node, type_, f"{path}.{key.text}", context)
            except MappingError as error:
                self.errors.append(error)
                continue
            if part is not None and part.give is None:
                constants[key.text] = part.constant
            elif part is not None:
                part.name = key.text
                parts.append(part)
        return constants, self.compiler.body(parts)

    def _element(self, key: Scalar, node: Node, parent: str, path: str, context: Context) -> Part | None:
        if isinstance(node, Scalar) and node.null:
            return None
        element = self._find(key, parent, path)
        if isinstance(node, Items):
            if element.max == 1:
                raise fault(node.place, f"{path} is a single element, not a list")
            return self._items([self._one(item, element, path, context) for item in node.items], context)
        part = self._one(node, element, path, context)
        if element.max == 1:
            return part if part.give is None else replace(part, give=part.short or _single(part.give, path))
        if part.give is None:
            return Part([part.constant])
        return _quiet(replace(part, give=_listed(part.give)))

    def _find(self, key: Scalar, parent: str, path: str) -> Element:
        elements, name = self.compiler.elements, key.text
        element = elements.child(parent, name.removeprefix("_"))
        if element is None:
            choices = [each.name for each in elements.children(parent) if each.choice == name]
            names = [each.name for each in elements.children(parent)]
            raise fault(key.place, f"unknown element {path}", name, names, hint=f"one of {', '.join(choices)}" if choices else "")
        return replace(element, types=("Element",), into="Element") if name.startswith("_") else element

    def _one(self, node: Node, element: Element, path: str, context: Context) -> Part:
        if isinstance(node, Items):
            raise fault(node.place, f"{path}: a list inside a list")
        if isinstance(node, Entries):
            return self._object(node, element, path, context)
        target = Target(element.types, path, element.targets)
        if node.expression is None:
            if node.null:
                raise fault(node.place, f"{path}: nothing in a list")
            return Part(convert.literal(self.compiler.elements, node.literal, target, node.place)[0])
        inner = context.inside()
        tree = parse(node)
        read = self.compiler.give(tree, inner, target)
        short = self.compiler.one(tree, inner, target, _single(read, path)) if element.max == 1 else None
        context.needs.update(inner.needs)
        self.lines.append(Line(path, tuple(dict.fromkeys(inner.reads)), node.place.source.name, node.place.line, node.text,
                               read, self.guards))
        if isinstance(tree, Literal):
            return Part(read(_NOWHERE)[0])
        return Part(give=read, coded="code" in element.types, needs=self.compiler.presence.value(tree, context.lets), short=short,
                    inputs=frozenset(inner.inputs), slight=isinstance(tree, Name) and tree.text in self.compiler.faces)

    def _items(self, parts: list[Part], context: Context) -> Part:
        if all(part.give is None for part in parts):
            return Part([part.constant for part in parts])
        body = self.compiler.body([_quiet(part) if part.give else part for part in parts])
        number = body.number
        inputs = self._together(body.parts, frozenset(), context)

        def several(scope: Scope) -> Any:
            found: list[Any] = []
            for _, give in scope.plan[number][0]:
                if made := give(scope):
                    found += made
            return found or None
        return Part(give=several, needs=either([part.needs for part in parts]), inputs=inputs)

    def _object(self, node: Entries, element: Element, path: str, context: Context) -> Part:
        type_ = self._inner_type(node, element, path)
        controls = {name: node.values[name] for name in CONTROLS if name in node.keys and self.compiler.elements.child(type_, name) is None}
        walk, when, needs = None, None, list[Clauses]()
        inner = context.inside()
        if "each" in controls:
            tree = _walkable(controls["each"])
            needs.append(self.compiler.presence.value(tree, context.lets))
            inner, walk, _ = self.compiler.each(tree, inner)
        if "when" in controls:
            tree = condition(controls["when"])
            needs.append(self.compiler.presence.truth(tree, context.lets))
            when = self.compiler.truth(tree, inner)
        entries = [(key, value) for key, value in node if key.text not in controls]
        around = self.guards
        if walk is not None or when is not None:
            self.guards = (*around, Guard(walk, inner.steps, when, _text(controls.get("each")), _place(controls.get("when"))))
        constants, body = self.object(entries, type_, path, inner)
        self.guards = around
        context.reads.extend(inner.reads)
        context.needs.update(inner.needs)
        if not body.parts and walk is None and when is None:
            return Part(constants)
        if body.parts:
            needs.append(either([part.needs for part in body.parts]))
        inputs = beyond(self._together(body.parts, inner.inputs, inner), inner.steps[len(context.steps):])
        build = assembled(constants, body.number, optional=bool(body.parts))
        if walk is not None:
            return Part(give=_walked(walk, inner.steps, when, build), needs=every(needs), inputs=inputs)
        one = build if when is None else flat("{0} if {1} else None", build, when)
        return Part(give=flat("[made] if (made := {0}) is not None else None", one), needs=every(needs), short=one, inputs=inputs)

    def _together(self, parts: list[Part], more: Iterable[Input], context: Context) -> frozenset[Input]:
        """What an object or list depends on; when all of it does not come again, each part that does is remembered by itself."""
        inputs = frozenset(more).union(*[part.inputs for part in parts])
        if OTHER not in inputs and len(inputs) <= MOST_INPUTS:
            return inputs
        self.remember(parts, context)
        return inputs | {OTHER}

    def remember(self, parts: list[Part], context: Context) -> None:
        """Give a memory to each part that comes again in other messages."""
        for part in parts:
            memory = None if part.give is None or part.slight else self.compiler.memory(part.inputs)
            if memory is not None and part.give is not None:
                part.give = remembered(part.give, memory, placed(context))

    def _inner_type(self, node: Entries, element: Element, path: str) -> str:
        type_ = into(element)
        if type_ != "Resource":
            if type_ in self.compiler.elements.primitives:
                raise fault(node.place, f"{path} is a {type_}, not an object")
            return type_
        named = node.get("resourceType")
        if not isinstance(named, Scalar) or named.literal not in self.compiler.elements.resources:
            raise fault(node.place, f"{path} needs its resourceType")
        return named.literal


def _text(node: Node | None) -> str:
    return (node.expression or node.text) if isinstance(node, Scalar) else ""


def _place(node: Node | None) -> str:
    return f"{node.place.source.name}:{node.place.line}" if node is not None else ""


def placed(context: Context) -> bool:
    """Whether an expression stands in the items of a segment, so that findings carry its number."""
    return any(step.kind == SEGMENT for step in context.steps)


def condition(node: Node) -> Tree:
    """The tree of a `when:`; raises MappingError for anything but an expression."""
    if not isinstance(node, Scalar) or node.expression is None:
        raise fault(node.place, "when: takes an expression", hint="when: =PV1-2 = 'I'")
    return parse(node)


def _walkable(node: Node) -> Tree:
    if not isinstance(node, Scalar):
        raise fault(node.place, "each: takes one path", hint="nest objects to walk over two")
    return parse(node)


def _fixed(constant: Any) -> Give:
    made = copier(constant)
    return lambda scope: [made()]


def _listed(read: Reads) -> Give:
    """A list that is the element's own: what expressions give may be shared."""
    return flat("list(found) if (found := {0}) else None", read)


def _single(read: Give, path: str) -> Give:
    def first(found: list[Any], scope: Scope) -> Any:
        if any(value != found[0] for value in found):
            scope.report("warning", SEVERAL, f"{len(found)} values for {path}; the first was taken",
                         "choose with .first(), .last() or .where()")
        return found[0]
    return flat("None if not (found := {0}) else found[0] if len(found) == 1 else {first}(found, scope)", read, first=first)


def _quiet(part: Part) -> Part:
    """An element that repeats cannot say which of its codes stayed out, so the source codes are not kept beside it."""
    give = part.give
    if give is None or not part.coded:
        return part

    def quiet(scope: Scope) -> Any:
        found = give(scope)
        scope.side = None
        return found
    return replace(part, give=quiet, coded=False)


def assembled(constants: dict[str, Any], number: int, optional: bool) -> Callable[[Scope], dict[str, Any] | None]:
    """(scope) -> the object; None when it is `optional` and nothing but constants came."""
    copy = copier(constants)

    def build(scope: Scope) -> dict[str, Any] | None:
        made = None if optional else copy()
        parts, coded = scope.plan[number]
        for name, give in parts:
            value = give(scope)
            if value is not None:
                if made is None:
                    made = copy()
                made[name] = value
        for name, give in coded:
            value = give(scope)
            if value is not None or scope.side is not None:
                if made is None:
                    made = copy()
                beside(made, name, value, scope)
        return made
    return build


def beside(made: dict[str, Any], name: str, value: Any, scope: Scope) -> None:
    """Put a code, or what stands beside an absent one."""
    if value is not None:
        made[name] = value
    elif scope.side is not None:
        made[f"_{name}"] = scope.side
    scope.side = None


def _walked(walk: Callable[[Scope], Any], steps: Sequence[Step], when: Callable[[Scope], bool] | None,
            build: Callable[[Scope], Any]) -> Give:
    """One object per item of a nested `each`; the items of an emit bring their own places."""
    step = steps[-1] if steps else None
    slot = step.slot if step else 0

    def every_item(scope: Scope) -> Any:
        found, slots = [], scope.slots
        outer = scope.step, scope.position
        for item in walk(scope):
            if item.__class__ is tuple:
                slots[slot:slot + 3] = item
                scope.step, scope.position = step, item[1]
            else:
                item.enter(scope)
            if when is not None and not when(scope):
                continue
            made = build(scope)
            if made is not None:
                found.append(made)
        scope.step, scope.position = outer
        return found or None
    return every_item


_NOWHERE: Any = None
"""A literal looks at no Scope."""
