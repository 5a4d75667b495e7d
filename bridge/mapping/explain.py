"""Where each element of a result comes from, and why one is not there: element <- field <- the value's shape. Never a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.core.ids import Ids
from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.hl7v2.path import Path
from bridge.language import expr
from bridge.language.expr import Call, FieldPath, Listing, Member, Name, Operation, Tree
from bridge.language.scope import Asked, Scope
from bridge.language.shape import Guard, Line
from bridge.language.syntax import Entries, Node, Scalar, items
from bridge.mapping.emit import Emit, Made
from bridge.mapping.program import Program

EMPTY = "empty"
"""How a reason ends that is nothing but absence."""
_REASONS = {"if": "the condition of its if() does not hold", "as": "its value is of another type", "where": "none fits its where()"}


@dataclass(frozen=True, slots=True)
class Source:
    """One source path with the shape of what the message has there, "" when it has nothing."""

    path: str
    shape: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One element of one resource, or one resource that did not come about: from what it was given, or `why` it was not.

    `element` is the resource type alone where the whole resource is missing. `place` is file:line.
    """

    resource: str
    emit: str
    element: str
    given: bool
    expression: str
    place: str
    sources: tuple[Source, ...]
    why: str = ""

    @property
    def bare(self) -> bool:
        """Whether it is not there simply because the message says nothing of the kind."""
        return not self.given and not any(source.shape for source in self.sources)


def explain(program: Program, message: Any, sender: Asked, ids: Ids) -> list[Explanation]:
    """Every element that the mapping could give for this message, given or not, in the order of the file."""
    scope, _ = program.execute(message, sender, ids)
    asked = _Asked(program, message, scope)
    return [one for name in program.emits for one in (*asked.present(name), *asked.missing(name))]


class _Asked:
    """One message under one program, asked line by line again."""

    def __init__(self, program: Program, message: Any, scope: Scope) -> None:
        self.program, self.message, self.scope = program, message, scope

    def present(self, name: str) -> Iterator[Explanation]:
        """The lines of every resource that an emit gave."""
        emit = self.program.emits[name]
        for made in list(self.scope.made[emit.face.number].values()):
            for line in self.program.lines[name]:
                self._enter(made)
                for steps, given, why in self._guarded(line, line.guards, emit.face.steps):
                    yield self._one(line, made.ref, name, steps, given, why)

    def missing(self, name: str) -> Iterator[Explanation]:
        """The resources that an emit could have given and did not."""
        emit = self.program.emits[name]
        found = self.scope.made[emit.face.number]
        items_ = 0
        for index in self._walk(emit, 0):
            items_ += 1
            if index not in found:
                yield self._absent(emit, self._unmade(emit))
        if not items_:
            yield self._absent(emit, f"there is no {self._written(emit, 'each')[0]}", "each")

    def _enter(self, made: Made) -> None:
        made.enter(self.scope) if made.steps else setattr(self.scope, "step", None)

    def _fresh(self) -> None:
        """Forget what was read and said, so that it is read and said again."""
        scope = self.scope
        scope.cache = [None] * len(scope.cache)
        scope.turn += 1
        scope.said, scope.questions, scope.null, scope.side = [], [], False, None

    def _guarded(self, line: Line, guards: tuple[Guard, ...], steps: Any) -> Iterator[tuple[Any, bool, str]]:
        """(steps, whether it was given, why not) for each item of the objects around a line."""
        if not guards:
            yield (steps, *self._read(line, steps))
            return
        guard, inner = guards[0], guards[1:]
        if guard.walk is None:
            yield from self._when(line, guard, inner, steps)
            return
        walked = False
        for item in list(guard.walk(self.scope)):
            walked = True
            self._step(guard, item)
            yield from self._when(line, guard, inner, guard.steps)
        if not walked:
            yield steps, False, f"there is no {guard.each_text}"

    def _step(self, guard: Guard, item: Any) -> None:
        if item.__class__ is tuple:
            step = guard.steps[-1]
            self.scope.slots[step.slot:step.slot + 3] = item
            self.scope.step, self.scope.position = step, item[1]
        else:
            self._enter(item)

    def _when(self, line: Line, guard: Guard, inner: tuple[Guard, ...], steps: Any) -> Iterator[tuple[Any, bool, str]]:
        self._fresh()
        if guard.when is not None and not guard.when(self.scope):
            yield steps, False, f"its when: does not hold ({guard.when_place})"
        else:
            yield from self._guarded(line, inner, steps)

    def _read(self, line: Line, steps: Any) -> tuple[bool, str]:
        self._fresh()
        if line.read is None or line.read(self.scope):
            return True, ""
        return False, self._reason(line, steps)

    def _reason(self, line: Line, steps: Any) -> str:
        """Why an expression gave nothing: what it said, else what is empty, else what was not emitted."""
        scope = self.scope
        if scope.questions:
            return f"a code of {scope.questions[0].where or 'the message'} has no row in table {scope.questions[0].table}"
        if scope.null:
            return 'the sender says that it is deleted ("")'
        if scope.said:
            return f"{scope.said[0][1]} {scope.said[0][2]}"
        empty = [read for read in line.reads if not shape(self.program, read, self.message, scope, steps)]
        if line.reads and len(empty) == len(line.reads):
            return f"{listed(empty)} {'is' if len(empty) == 1 else 'are'} {EMPTY}"
        tree = expr.parse_text(line.text.removeprefix("="), self.program.spec.key)
        for part in walk(tree):
            emit = self.program.emits.get(part.text) if isinstance(part, Name) else None
            if emit is not None and not scope.made[emit.face.number]:
                return f"there is no `{emit.name}`"
        called = {part.name for part in walk(tree) if isinstance(part, Call)}
        return next((why for name, why in _REASONS.items() if name in called), "nothing comes of what is there")

    def _one(self, line: Line, ref: str, name: str, steps: Any, given: bool, why: str) -> Explanation:
        sources = tuple(Source(read, shape(self.program, read, self.message, self.scope, steps)) for read in line.reads)
        return Explanation(ref, name, line.element, given, line.text, f"{line.file}:{line.line}", sources, why)

    def _walk(self, emit: Emit, depth: int) -> Iterator[tuple[Any, ...]]:
        """Enter every item that an emit walks over, and name it as the emit does."""
        scope = self.scope
        if depth == len(emit.walks):
            if not emit.walks:
                scope.step = None
            yield tuple(scope.slots[step.slot + 1] for step in emit.face.steps)
            return
        step, walk = emit.walks[depth]
        for item in list(walk(scope)):
            if step is None:
                self._enter(item)
            else:
                scope.slots[step.slot:step.slot + 3] = item
                scope.step, scope.position = step, item[1]
            yield from self._walk(emit, depth + 1)

    def _unmade(self, emit: Emit) -> str:
        self._fresh()
        if emit.when is not None and not emit.when(self.scope):
            return "when"
        return "key"

    def _absent(self, emit: Emit, why: str, control: str = "") -> Explanation:
        control = control or why
        text, place = self._written(emit, control)
        told = {"when": "its when: does not hold", "key": "its key is empty"}.get(why, why)
        node = self.program.spec.emits.values[emit.name]
        reads = _paths(node, control, self.program) if isinstance(node, Entries) else ()
        sources = tuple(Source(read, shape(self.program, read, self.message, self.scope, emit.face.steps)) for read in reads)
        return Explanation("", emit.name, emit.face.type, False, text, place, sources, told)

    def _written(self, emit: Emit, control: str) -> tuple[str, str]:
        """(text, file:line) of an emit's each, when or key; of the emit where that is not written."""
        node = self.program.spec.emits.values[emit.name]
        found = node.get(control) or node.get("id") if isinstance(node, Entries) else None
        place = (found or self.program.spec.emits.keys[emit.name]).place
        text = ", ".join(item.text for item in items(found) if isinstance(item, Scalar))
        return text, f"{place.source.name}:{place.line}"


def _paths(node: Entries, control: str, program: Program) -> tuple[str, ...]:
    """The source paths that an emit's each, when or key names, those of its lets included."""
    lets = {key.text: value for key, value in program.spec.lets}
    own = node.get("let")
    lets |= {key.text: value for key, value in own} if isinstance(own, Entries) else {}
    trees = [expr.parse(item) for item in items(node.get(control)) if isinstance(item, Scalar) and item.expression is not None]
    return tuple(dict.fromkeys(path for tree in trees for path in fields(tree, lets)))


def fields(tree: Tree, lets: dict[str, Node], _open: frozenset[str] = frozenset()) -> Iterator[str]:
    """The HL7 paths that an expression names, also through lets."""
    for part in walk(tree):
        if isinstance(part, FieldPath):
            yield part.text
        elif isinstance(part, Name) and part.text in lets and part.text not in _open:
            let = lets[part.text]
            if isinstance(let, Scalar) and let.expression is not None:
                yield from fields(expr.parse(let), lets, _open | {part.text})


def walk(tree: Tree) -> Iterator[Tree]:
    """An expression's tree and everything in it."""
    yield tree
    below: Iterable[Tree] = ()
    if isinstance(tree, Member):
        below = (tree.of,)
    elif isinstance(tree, Call):
        below = (*((tree.of,) if tree.of is not None else ()), *tree.arguments)
    elif isinstance(tree, Operation):
        below = tree.operands
    elif isinstance(tree, Listing):
        below = tree.items
    for part in below:
        yield from walk(part)


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    first = list(words)
    return " and ".join([", ".join(first[:-1]), first[-1]]) if len(first) > 1 else "".join(first)


def shape(program: Program, read: str, message: Any, scope: Scope, steps: Any) -> str:
    """What the message has at a source path, in words without its value; "" when it has nothing."""
    if program.language != "hl7v2":
        return described(_json(message, read.split(".")))
    try:
        path = paths.parse(read)
    except ValueError:
        return ""
    if not path.field:
        count = len(message.all(path.segment))
        return f"{count} segment{'s' * (count != 1)}" if count else ""
    return " ~ ".join(hl7_shape(value.raw, _type(path)) for value in _values(path, message, scope, steps))


def _type(path: Path) -> str:
    type_ = tables.field_type(path.segment, path.field)
    for number in (path.component, path.sub):
        type_ = tables.component_type(type_, number) if number else type_
    return type_


def _values(path: Path, message: Any, scope: Scope, steps: Any) -> list[Any]:
    """The values that the expression saw: those of the current segment or repetition inside an `each`."""
    source = message
    for step in steps:
        if step.segment != path.segment or path.occurrence:
            continue
        item = scope.slots[step.slot]
        if not step.field:
            source = item
        elif step.field == path.field:
            return [item.component(path.component) if path.component else item]
    return paths.values(path, source)


def _json(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, dict) and step in item), None)
        value = value.get(step) if isinstance(value, dict) else None
    return value


def hl7_shape(raw: str, type_: str = "") -> str:
    """`9 digits`, `4 letters`, `CX with 3 components A4^^A2`; letters are A, digits N with their number, other signs dots."""
    if raw == '""':
        return 'deleted ("")'
    masked = re.sub(r"[^\W\d_]+|\d+", _run, re.sub(r"[^\w^&~\-+.:/ ]", ".", raw))
    if one := re.fullmatch(r"([AN])(\d+)", masked):
        noun = "digit" if one[1] == "N" else "letter"
        return f"{one[2]} {noun}{'s' * (one[2] != '1')}"
    parts = masked.split("^")
    filled = sum(bool(part) for part in parts)
    return masked if len(parts) == 1 else f"{type_ or 'value'} with {filled} component{'s' * (filled != 1)} {masked}"


def _run(run: re.Match[str]) -> str:
    return f"{'N' if run[0][0].isdigit() else 'A'}{len(run[0])}"


def described(value: Any) -> str:
    """The kind and size of a JSON value: `text of 12`, `list of 2`, `true or false`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"text of {len(value)}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return f"object of {len(value)}" if isinstance(value, dict) else "number"
