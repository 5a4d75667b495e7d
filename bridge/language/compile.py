"""Expression trees + the type of the source + the type of the target -> closures over a Scope.

`natural` gives what an expression is by itself; `give` gives JSON values of a target type and pushes the target through
`??`, `if` and lists, so that each branch is converted from its own type. What cannot be converted stops here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from bridge.fhir.elements import Elements
from bridge.hl7v2 import tables
from bridge.language import convert, functions, memory, operator
from bridge.language.context import POLICIES, Context, Face, Mixed
from bridge.language.expr import Call, FieldPath, Listing, Literal, Member, Name, Operation, Tree, parse
from bridge.language.flat import flat
from bridge.language.let import Lets
from bridge.language.memory import OTHER, Input, Key
from bridge.language.presence import ALWAYS, Clauses, Presence
from bridge.language.scope import Scope
from bridge.language.segment import MessageSource, component, owned, related
from bridge.language.shape import Body, Part
from bridge.language.source import Source, into, walk
from bridge.language.syntax import Scalar, fault, nearest
from bridge.language.table import CodeSet, Table
from bridge.language.term import FHIR, MADE, NOTHING, V2, Reads, Step, Target, Term, Truth, constant

__all__ = ["Compiler", "Context", "Face", "Mixed"]

Push = Callable[["Compiler", Any, Context, Target], "Reads | None"]

BUDGET = 100_000
"""Steps of compiling one file; a file that needs more writes the same thing again and again."""


class Compiler:
    """Compiles the expressions of one file; counts the slots and caches that a Scope must have."""

    def __init__(self, source: Source, elements: Elements, tables: Mapping[str, Table] | None = None,
                 sets: Mapping[str, CodeSet] | None = None, lets: Mapping[str, Tree] | None = None) -> None:
        self.source, self.elements = source, elements
        self.tables, self.sets = tables or {}, sets or {}
        self.lets: dict[str, Tree] = dict(lets or {})
        self.faces: dict[str, Face] = {}
        self.slots = 0
        self.caches = 0
        source.reserve = self.slot
        self.bodies: list[Body] = []
        self.made_of: dict[str, frozenset[Input]] = {}
        """The inputs of an emit's ids, for those that are known already."""
        self.emit_needs: dict[str, Clauses] = {}
        """What an emit cannot be there without, for those that are known already."""
        self.presence = Presence(self.lets, lambda name: self.emit_needs.get(name, ALWAYS) if name in self.faces else None,
                                 isinstance(source, MessageSource))
        self.used: set[tuple[str, str]] = set()
        """(`let`, `table`, `set` or `emit`, name) that some expression names."""
        self._lets = Lets(self, self.lets)
        self._work = 0
        self._steps: dict[tuple[str, ...], tuple[Step, Any]] = {}

    def natural(self, tree: Tree, context: Context) -> Term:
        """The expression by its own type; raises MappingError."""
        self._count(tree)
        made: Term = _NATURAL[type(tree)](self, tree, context)
        return made

    def give(self, tree: Tree, context: Context, target: Target) -> Reads:
        """JSON values of one of the target's types; raises MappingError when there is no way there."""
        if isinstance(tree, Name) and (let := self._let(tree, context)) is not None:
            return self._lets.give(tree, let, context, target)
        self._count(tree)
        pushed: Push | None = _PUSHED.get(type(tree))
        if pushed is not None and (made := pushed(self, tree, context, target)) is not None:
            return made
        return convert.convert(self, self.natural(tree, context), target, tree)

    def _count(self, tree: Tree) -> None:
        self._work += 1
        if self._work > BUDGET:
            raise fault(tree.place, "this file takes too long to compile", hint="lets that name each other twice and twice again")

    def one(self, tree: Tree, context: Context, target: Target, every: Callable[[Scope], Any]) -> Callable[[Scope], Any]:
        """(scope) -> the one value of an element: a shorter way than `every` for a plain path or an emit's name."""
        if not isinstance(tree, FieldPath | Name) or (isinstance(tree, Name) and self._let(tree, context) is not None):
            return every
        return convert.single(self, self.natural(tree, context), target, every) or every

    def texts(self, tree: Tree, context: Context) -> Callable[[Scope], list[str]]:
        """The expression as texts: codes of codings, the first component of HL7 values."""
        return convert.texts(self.natural(tree, context), tree)

    def truth(self, tree: Tree, context: Context) -> Truth:
        """The expression as a condition: a boolean by its value, anything else by whether there is one."""
        term = self.natural(tree, context)
        if term.truth is not None:
            return term.truth
        read = term.texts or term.read
        if term.kind == FHIR and term.type == "boolean":
            return flat("{0}[:1] == {yes}", read, yes=[True])
        return flat("not not {0}", read)

    def expression(self, scalar: Scalar) -> Tree:
        """The tree of a scalar with `=`, or its literal as a tree."""
        if scalar.expression is None:
            return Literal(scalar.place, "text", scalar.literal)
        return parse(scalar)

    def slot(self, count: int = 1) -> int:
        """Reserve places in Scope.slots."""
        self.slots += count
        return self.slots - count

    def body(self, parts: list[Part]) -> Body:
        """Number an object's parts for Scope.plan."""
        made = Body(len(self.bodies), parts)
        self.bodies.append(made)
        return made

    def memory(self, inputs: Iterable[Input]) -> Key | None:
        """What tells whether one thing with these inputs comes again; None when it does not."""
        named = frozenset(inputs)
        return None if OTHER in named or not isinstance(self.source, MessageSource) else memory.key(named)

    def cache(self) -> int:
        """Reserve a place in Scope.cache."""
        self.caches += 1
        return self.caches - 1

    def each(self, tree: Tree, context: Context) -> tuple[Context, Callable[[Scope], Iterable[Any]], Face | None]:
        """Enter an `each`: the context inside, (scope) -> items, and the emit when it walks over one."""
        if isinstance(tree, Name) and tree.text in self.faces:
            face = self.faces[tree.text]
            self.used.add(("emit", face.name))
            context.needs.add(("id", face.name))
            context.inputs.add(OTHER)
            aligned = self.aligned(face, context)
            return replace(context, steps=_merge(context.steps, face.steps)), aligned, face
        term = self.natural(tree, context)
        if term.kind == MADE or not term.path:
            raise fault(tree.place, "`each` takes a segment, a field, a list or an emit", hint="filter with `when:`")
        chain = (*(step.key for step in context.steps), term.path)
        if chain not in self._steps:
            self._steps[chain] = self._step(tree, term, context)
        step, items = self._steps[chain]
        return replace(context, steps=(*context.steps, step)), items, None

    def _step(self, tree: Tree, term: Term, context: Context) -> tuple[Step, Any]:
        step, items = self.source.step(tree, term, self.slot(3))
        for outer in reversed(context.steps):
            if not step.field and (inner := owned(outer, step.segment)) is not None:
                return step, inner
        return step, items

    def aligned(self, face: Face, context: Context) -> Reads:
        """The items of an emit that belong to the current ones: those with the same place in every `each` they share, or
        those of the same segment, of the one it belongs to, and of those that belong to it."""
        number = face.number
        shared = 0
        for mine, theirs in zip(context.steps, face.steps, strict=False):
            if mine.slot != theirs.slot:
                break
            shared += 1
        places = [step.slot + 1 for step in face.steps[:shared]]
        if not shared and face.steps and (near := related(face.steps[0], context.steps)) is not None:
            return lambda scope: [made for index, made in scope.made[number].items() if near(scope, index[0])]
        if not face.steps or not shared:
            return lambda scope: list(scope.made[number].values())
        if shared == len(face.steps) == 1:
            only = places[0]
            return lambda scope: [made] if (made := scope.made[number].get((scope.slots[only],))) is not None else NOTHING

        def select(scope: Scope) -> list[Any]:
            here = tuple([scope.slots[place] for place in places])
            return [made for index, made in scope.made[number].items() if index[:shared] == here]
        return select

    def table(self, tree: Tree) -> Table:
        """The code table that a name names; raises MappingError with the nearest ones."""
        found: Table = self._named(tree, "table", self.tables)
        return found

    def set(self, tree: Tree) -> CodeSet:
        """The code set that a name names; raises MappingError with the nearest ones."""
        found: CodeSet = self._named(tree, "set", self.sets)
        return found

    def _named(self, tree: Tree, kind: str, known: Mapping[str, Any]) -> Any:
        name = tree.text if isinstance(tree, Name | Literal) else ""
        if name not in known:
            raise fault(tree.place, f"no {kind} `{name}`", name, known, hint="" if known else f"mappings/{kind}s/{name}.csv is not there")
        self.used.add((kind, name))
        return known[name]

    def _let(self, name: Name, context: Context) -> Tree | None:
        if name.text in context.lets:
            return context.lets[name.text]
        if context.item is not None and self._below(context.item, name.text) is not None:
            return None
        return self.lets.get(name.text)

    def of_literal(self, tree: Literal, context: Context) -> Term:
        """A written text, number or truth value; inside `where` a bare number is a component."""
        item = context.item
        if tree.kind == "number" and item is not None and item.kind == V2:
            return self.part(_current(item), tree.text, tree)
        if tree.kind == "boolean":
            value = tree.text == "true"
            return Term(flat("[{value}]", value=value), FHIR, "boolean", False, truth=flat("{value}", value=value))
        if tree.kind == "number":
            return constant([float(tree.text) if "." in tree.text else int(tree.text)], "decimal" if "." in tree.text else "integer")
        texts = flat("{texts}", texts=[tree.text] if tree.text else NOTHING)
        return Term(texts, FHIR, "string", False, texts=texts)

    def part(self, term: Term, number: str, tree: Tree) -> Term:
        """A component (`4`, `4.1`) of HL7 values."""
        if term.kind != V2:
            raise fault(tree.place, f"{term.shown()} has no numbered components", hint="name an element")
        first, _, rest = number.partition(".")
        type_ = component(term.type, max(int(first), 0), tree)
        if rest:
            type_ = component(type_, int(rest), tree)
        return convert.component(term, int(first), int(rest or 0), type_)

    def of_path(self, tree: FieldPath, context: Context) -> Term:
        """An HL7 path."""
        context.reads.append(tree.text)
        found = self.source.path(tree, context.steps)
        context.inputs.add(self.source.input(tree, context.steps))
        return found

    def of_name(self, tree: Name, context: Context) -> Term:
        """A let, an emit, a current item or a name of the source."""
        text = tree.text
        if (let := self._let(tree, context)) is not None:
            return self._lets.natural(tree, let, context)
        if context.item is not None:
            if text == "this":
                return _current(context.item)
            if (below := self._below(context.item, text)) is not None:
                return self._walk(_current(context.item), text, below)
        if text in self.faces:
            return self._face(self.faces[text], context)
        if (step := _step_of(text, context.steps)) is not None:
            context.reads.append(text)
            context.inputs.add(OTHER)
            return _current(step)
        term = self.source.lookup(tree, context.steps)
        if term is None:
            raise fault(tree.place, f"unknown name `{text}` in {self.source.name}", hint=self._names_near(text, context))
        context.reads.append(text)
        context.inputs.add(self.source.input(tree, context.steps))
        return term

    def _names_near(self, text: str, context: Context) -> str:
        own = [*self.lets, *context.lets, *self.faces, *(self._children(context.item.type) if context.item else ())]
        if re.fullmatch(r"[a-z][a-z0-9]{2}(-\d+)?", text) and tables.segment_fields(text[:3].upper()):
            return f"HL7 writes it in capitals: {text.upper()}"
        if text in self.tables or text in self.sets:
            return "a table is named in .map(table), a set in set(name)"
        if any(text.isalnum() and text == name.lower() for name in own):
            return nearest(text, own)
        return nearest(text, [*own, *self.source.names()])

    def _face(self, face: Face, context: Context) -> Term:
        self.used.add(("emit", face.name))
        context.needs.add(("id", face.name))
        context.inputs.update(self.made_of.get(face.name, (OTHER,)))
        shared = sum(1 for mine, theirs in zip(context.steps, face.steps, strict=False) if mine.slot == theirs.slot)
        many = shared < len(face.steps)
        return Term(self.aligned(face, context), MADE, face.type, many, face.name, face.name,
                    single=None if many else _one_made(face.number, tuple(step.slot + 1 for step in face.steps)))

    def _below(self, step: Step, name: str) -> tuple[str, bool] | None:
        return None if step.kind == V2 else self.child(step.type, name)

    def child(self, type_: str, name: str) -> tuple[str, bool] | None:
        """(type, whether many) of an element, record field or fact below a type; None when there is none."""
        found = self.source.child(type_, name)
        if found is not None:
            return found
        element = self.elements.child(type_, name)
        return (into(element), element.max != 1) if element else None

    def _children(self, type_: str) -> list[str]:
        return [*self.source.children(type_), *(element.name for element in self.elements.children(type_))]

    def _walk(self, term: Term, name: str, below: tuple[str, bool]) -> Term:
        path = f"{term.path}.{name}" if term.path else ""
        return Term(walk(term.read, name), FHIR, below[0], term.many or below[1], path or name, path)

    def of_member(self, tree: Member, context: Context) -> Term:
        """An element of what stands before the dot."""
        if tree.name in POLICIES:
            return self.of_call(Call(tree.place, tree.of, tree.name, ()), context)
        dotted = _dotted(tree)
        if dotted and (step := _step_of(dotted, context.steps)) is not None and not self._is_let(dotted, context):
            context.reads.append(dotted)
            context.inputs.add(OTHER)
            return _current(step)
        term = self.natural(tree.of, context)
        if dotted and context.reads and context.reads[-1] == dotted.rpartition(".")[0]:
            context.reads[-1] = dotted
        if term.kind == V2:
            self._no_member(term, tree)
        below = None if term.kind == "segment" else self.child(term.type, tree.name)
        if below is None:
            names = self._children(term.type)
            hint = "" if names else f"{term.shown()} has no elements"
            raise fault(tree.place, f"{term.shown()} has no element `{tree.name}`", tree.name, names, hint)
        if term.kind == MADE:
            context.needs.add(("body", term.label))
            context.inputs.add(OTHER)
            read = term.read
            term = term.over(lambda scope: [made.body for made in read(scope) if made.body is not None])
        return self._walk(term, tree.name, below)

    def _is_let(self, dotted: str, context: Context) -> bool:
        first = dotted.partition(".")[0]
        return first in context.lets or first in self.lets

    def _no_member(self, term: Term, tree: Member) -> NoReturn:
        names = [name for name in functions.METHODS if name not in POLICIES]
        if tree.name in names:
            raise fault(tree.place, f"`{tree.name}` is a function", hint=f"write .{tree.name}()")
        word = tree.name.lower()
        part = next((n for n in range(1, tables.components(term.type) + 1) if word in tables.component_name(term.type, n).split()), 0)
        hint = f"its {tables.component_name(term.type, part)} is component {part}" if part else "write a component, .4, or a function, .first()"
        raise fault(tree.place, f"{term.shown()} is an HL7 type without names", hint=hint)

    def of_call(self, tree: Call, context: Context) -> Term:
        """A function or method."""
        return functions.build(self, tree, context)

    def of_listing(self, tree: Listing, context: Context) -> Term:
        """Several values of one type."""
        terms = [self.natural(item, context) for item in tree.items]
        return operator.concatenated(self.joined(terms, tree))

    def joined(self, terms: list[Term], tree: Tree) -> list[Term]:
        """The terms under one type: their own when it is the same, else texts; raises Mixed."""
        first = terms[0]
        if all((term.kind, term.type) == (first.kind, first.type) for term in terms):
            return terms
        if all(convert.textual(term) for term in terms):
            return [convert.as_string(term, tree) for term in terms]
        kinds = ", ".join(dict.fromkeys(term.shown() for term in terms))
        raise Mixed(str(fault(tree.place, f"gives {kinds}, which have no type in common here", hint="name a component or an element")))

    def of_operation(self, tree: Operation, context: Context) -> Term:
        """An operator."""
        return operator.build(self, tree, context)


def _one_made(number: int, places: tuple[int, ...]) -> Callable[[Scope], Any]:
    if not places:
        return lambda scope: scope.made[number].get(())
    if len(places) == 1:
        place = places[0]
        return lambda scope: scope.made[number].get((scope.slots[place],))
    return lambda scope: scope.made[number].get(tuple([scope.slots[place] for place in places]))


def _current(step: Step) -> Term:
    slot = step.slot
    label = f"{step.segment}-{step.field}" if step.field else step.key
    return Term(flat(f"[scope.slots[{slot}]]"), step.kind, step.type, False, label, step.key, varies=step.varies)


def _step_of(key: str, steps: Iterable[Step]) -> Step | None:
    return next((step for step in steps if step.key == key and step.kind == FHIR), None)


def _merge(outer: tuple[Step, ...], inner: tuple[Step, ...]) -> tuple[Step, ...]:
    return (*outer, *(step for step in inner if all(step.slot != other.slot for other in outer)))


def _dotted(tree: Tree) -> str:
    if isinstance(tree, Name):
        return tree.text
    if isinstance(tree, Member) and (left := _dotted(tree.of)):
        return f"{left}.{tree.name}"
    return ""


def _push_operation(compiler: Compiler, tree: Operation, context: Context, target: Target) -> Reads | None:
    if tree.sign != "??":
        return None
    return operator.either([compiler.give(operand, context, target) for operand in tree.operands])


def _push_listing(compiler: Compiler, tree: Listing, context: Context, target: Target) -> Reads:
    reads = [compiler.give(item, context, target) for item in tree.items]
    return operator.together(reads)


def _push_literal(compiler: Compiler, tree: Literal, context: Context, target: Target) -> Reads:
    return flat("{values}", values=convert.literal(compiler.elements, tree.text, target, tree.place))


def _push_call(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads | None:
    return functions.push(compiler, tree, context, target)


def _push_member(compiler: Compiler, tree: Member, context: Context, target: Target) -> Reads | None:
    if tree.name not in POLICIES:
        return None
    return _push_call(compiler, Call(tree.place, tree.of, tree.name, ()), context, target)


_NATURAL: dict[type, Any] = {
    Literal: Compiler.of_literal, FieldPath: Compiler.of_path, Name: Compiler.of_name, Member: Compiler.of_member,
    Call: Compiler.of_call, Listing: Compiler.of_listing, Operation: Compiler.of_operation,
}
_PUSHED: dict[type, Any] = {
    Operation: _push_operation, Listing: _push_listing, Literal: _push_literal, Call: _push_call, Member: _push_member,
}
