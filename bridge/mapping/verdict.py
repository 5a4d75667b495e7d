"""What can be said of a condition without a message: that it always holds, that it never does, or neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.language import expr
from bridge.language.expr import Call, FieldPath, Listing, Literal, Name, Operation, Tree
from bridge.language.syntax import Node, Scalar

DEEP = 12
"""Lets within lets that are followed."""


@dataclass(slots=True)
class _Field:
    """What the parts of an `and` ask of one field; `allowed` None: any value."""

    allowed: frozenset[str] | None = None
    refused: set[str] = field(default_factory=set)
    there: bool = False
    empty: bool = False

    @property
    def impossible(self) -> bool:
        wanted = self.allowed is not None
        return (self.empty and (self.there or wanted)) or (self.allowed is not None and not self.allowed - self.refused)


def verdict(tree: Tree, lets: Mapping[str, Node], depth: int = DEEP) -> bool | None:
    """True: it always holds. False: it never does. None: that depends on the message."""
    tree = resolved(tree, lets, depth)
    if isinstance(tree, Literal):
        return None if tree.kind == "number" else tree.text == "true" if tree.kind == "boolean" else bool(tree.text)
    if not isinstance(tree, Operation):
        return None
    if tree.sign == "not":
        inner = verdict(tree.operands[0], lets, depth - 1)
        return None if inner is None else not inner
    if tree.sign in ("and", "or"):
        found = [verdict(part, lets, depth - 1) for part in tree.operands]
        settled = tree.sign == "or"
        if settled in found:
            return settled
        if all(each is not None for each in found):
            return not settled
        return False if tree.sign == "and" and _contradicts(tree, lets, depth) else None
    texts = [_text(part) for part in tree.operands]
    if tree.sign in ("=", "!=") and None not in texts:
        return (texts[0] == texts[1]) is (tree.sign == "=")
    return None


def resolved(tree: Tree, lets: Mapping[str, Node], depth: int = DEEP) -> Tree:
    """The expression that a let stands for; the tree itself when it is no let."""
    while isinstance(tree, Name) and depth > 0 and isinstance(let := lets.get(tree.text), Scalar):
        tree = expr.parse(let) if let.expression is not None else Literal(let.place, "text", let.literal)
        depth -= 1
    return tree


def _contradicts(tree: Operation, lets: Mapping[str, Node], depth: int) -> bool:
    """Whether two parts of an `and` ask one field for what it cannot be at once."""
    fields: dict[str, _Field] = {}
    for part in _parts(tree, lets, depth):
        _note(part, fields, lets, holds=True)
    return any(each.impossible for each in fields.values())


def _parts(tree: Tree, lets: Mapping[str, Node], depth: int) -> Iterator[Tree]:
    tree = resolved(tree, lets, depth)
    if isinstance(tree, Operation) and tree.sign == "and" and depth > 0:
        for part in tree.operands:
            yield from _parts(part, lets, depth - 1)
    else:
        yield tree


def _note(tree: Tree, fields: dict[str, _Field], lets: Mapping[str, Node], *, holds: bool) -> None:
    """Add what one condition says of one field that cannot repeat."""
    if isinstance(tree, Operation) and tree.sign == "not":
        _note(resolved(tree.operands[0], lets), fields, lets, holds=not holds)
    elif isinstance(tree, Call) and tree.name in ("exists", "empty") and tree.of is not None and not tree.arguments:
        if (found := _single(resolved(tree.of, lets), fields)) is not None:
            there = (tree.name == "exists") is holds
            found.there, found.empty = found.there or there, found.empty or not there
    elif isinstance(tree, Operation) and tree.sign in ("=", "!=", "in"):
        values = _values(tree.operands[1])
        found = _single(resolved(tree.operands[0], lets), fields) if values else None
        if found is None:
            return
        if holds is (tree.sign != "!="):
            found.allowed = values if found.allowed is None else found.allowed & values
        else:
            found.refused |= values


def _single(tree: Tree, fields: dict[str, _Field]) -> _Field | None:
    if not isinstance(tree, FieldPath):
        return None
    path = paths.parse(tree.text)
    return None if tables.repeats(path.segment, path.field) and not path.repetition else fields.setdefault(tree.text, _Field())


def _values(tree: Tree) -> frozenset[str]:
    listed = tree.items if isinstance(tree, Listing) else (tree,)
    texts = [_text(each) for each in listed]
    return frozenset(text for text in texts if text is not None) if None not in texts else frozenset()


def _text(tree: Tree) -> str | None:
    return tree.text if isinstance(tree, Literal) and tree.kind == "text" else None


def filled(tree: Tree, lets: Mapping[str, Node]) -> bool:
    """Whether an expression has a value whatever the message says."""
    tree = resolved(tree, lets)
    if isinstance(tree, Literal):
        return bool(tree.text)
    if isinstance(tree, Call) and tree.name == "or_default":
        return True
    if isinstance(tree, Call) and tree.name == "if" and len(tree.arguments) == 3:
        return all(filled(each, lets) for each in tree.arguments[1:])
    return isinstance(tree, Operation) and tree.sign == "??" and filled(tree.operands[-1], lets)
