"""Lets: names for expressions. A file's let stands outside every `each`, an emit's in its items; each is read once there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.language import convert
from bridge.language.context import Context, Mixed
from bridge.language.expr import Name, Tree
from bridge.language.flat import flat
from bridge.language.scope import Scope
from bridge.language.syntax import fault
from bridge.language.term import MADE, Reads, Target, Term, boolean

if TYPE_CHECKING:
    from bridge.language.compile import Compiler

Read = Callable[[Scope], Any]


class Lets:
    """The lets of one file, compiled when they are first used."""

    __slots__ = ("_compiled", "_compiler", "_open", "trees")

    def __init__(self, compiler: Compiler, trees: dict[str, Tree]) -> None:
        self._compiler, self.trees = compiler, trees
        self._open: list[str] = []
        self._compiled: dict[tuple[str, ...], Any] = {}

    def give(self, name: Name, tree: Tree, context: Context, target: Target) -> Reads:
        """A let as JSON values of a target; primitives are converted once per message."""
        try:
            term = self.natural(name, tree, context)
        except Mixed:
            inner = self._inside(name, context)
            return self._guarded(name, lambda: self._compiler.give(tree, inner, target))  # type: ignore[no-any-return]
        read = convert.convert(self._compiler, term, target, name)
        if name.text in context.lets or not all(type_ in self._compiler.elements.primitives for type_ in target.types):
            return read
        key = ("given", name.text, *target.types)
        if key not in self._compiled:
            self._compiled[key] = per_message(self._compiler, read)
        found: Reads = self._compiled[key]
        return found

    def natural(self, name: Name, tree: Tree, context: Context) -> Term:
        """A let by its own type; raises Mixed when it has none without a target."""
        local = name.text in context.lets
        key = ("local" if local else "file", name.text)
        known = self._compiled.get(key)
        if known is None or known[0] is not (context.lets if local else None):
            inner = self._inside(name, context).inside()
            term = self._once(self._guarded(name, lambda: self._compiler.natural(tree, inner)), per_item if local else per_message)
            known = self._compiled[key] = (context.lets if local else None, term, inner)
        self._compiler.used.add(("let", name.text))
        context.add(known[2])
        found: Term = known[1]
        return found

    def _inside(self, name: Name, context: Context) -> Context:
        self._compiler.used.add(("let", name.text))
        if name.text in context.lets:
            return Context(context.home, None, context.lets, context.home, context.reads, context.needs, context.inputs)
        return Context(reads=context.reads, needs=context.needs, inputs=context.inputs)

    def _guarded(self, name: Name, act: Callable[[], Any]) -> Any:
        """Compile a let's body; one that needs itself is an error, not a recursion."""
        if name.text in self._open:
            raise fault(name.place, f"`{name.text}` needs itself: {' -> '.join([*self._open, name.text])}")
        self._open.append(name.text)
        try:
            return act()
        finally:
            self._open.pop()

    def _once(self, term: Term, once: Callable[[Compiler, Read], Read]) -> Term:
        """The term with a memory; emits have none: they may not all be there yet."""
        if term.kind == MADE:
            return term
        if term.truth is not None:
            return replace(boolean(once(self._compiler, term.truth)), label=term.label)
        return term.over(once(self._compiler, term.read), texts=once(self._compiler, term.texts) if term.texts else None)


def per_message(compiler: Compiler, read: Read) -> Read:
    """The same, evaluated once per Scope; what read HL7 null or filed something is read again, so that it is noticed again."""
    index = compiler.cache()

    def first(scope: Scope) -> Any:
        found, quiet = noticed(read, scope)
        if quiet:
            scope.cache[index] = found
        return found
    return flat(f"found if (found := scope.cache[{index}]) is not None else {{first}}(scope)", first=first)


def per_item(compiler: Compiler, read: Read) -> Read:
    """The same, evaluated once per item of an emit."""
    index = compiler.cache()

    def first(scope: Scope) -> Any:
        found, quiet = noticed(read, scope)
        if quiet:
            scope.cache[index] = (scope.turn, found)
        return found
    return flat(f"known[1] if (known := scope.cache[{index}]) is not None and known[0] == scope.turn else {{first}}(scope)", first=first)


def noticed(read: Read, scope: Scope) -> tuple[Any, bool]:
    """A value as it is read, and whether nothing was said and no HL7 null seen on the way."""
    null, filed = scope.null, scope.filed
    scope.null = False
    found = read(scope)
    if scope.null:
        return found, False
    scope.null = null
    return found, scope.filed == filed
