"""The operators: conditions are two-valued. `a = b` holds when any value of a equals any of b; nothing equals nothing."""

from __future__ import annotations

import operator as signs
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.language import convert
from bridge.language.expr import Call, Listing, Literal, Operation, Tree
from bridge.language.scope import Scope
from bridge.language.syntax import fault
from bridge.language.table import CodeSet
from bridge.language.term import FHIR, MADE, NOTHING, V2, Reads, Term, Truth, boolean, strings

if TYPE_CHECKING:
    from bridge.language.compile import Compiler
    from bridge.language.context import Context

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": signs.lt, ">": signs.gt, "<=": signs.le, ">=": signs.ge}


def build(compiler: Compiler, tree: Operation, context: Context) -> Term:
    """The Term of an operator with its operands."""
    sign = tree.sign
    if sign in ("and", "or", "not"):
        return boolean(_logic(sign, [compiler.truth(operand, context) for operand in tree.operands]))
    if sign == "??":
        terms = compiler.joined([compiler.natural(operand, context) for operand in tree.operands], tree)
        return _first_of(terms)
    if sign == "+":
        return _joined(compiler, tree, context)
    left, right = tree.operands
    if sign == "in":
        return boolean(_member(compiler, left, right, context))
    if sign in _ORDER:
        return boolean(_ordered(compiler, sign, left, right, context))
    equal = _equal(compiler, left, right, context)
    return boolean(equal if sign == "=" else lambda scope: not equal(scope))


def either(reads: Sequence[Reads]) -> Reads:
    """The first that gives anything."""
    if len(reads) == 2:
        one, other = reads
        return lambda scope: one(scope) or other(scope)

    def first(scope: Scope) -> list[Any]:
        for read in reads:
            if found := read(scope):
                return found
        return NOTHING
    return first


def concatenated(terms: list[Term]) -> Term:
    """All values of all terms, which have one type."""
    reads = [term.read for term in terms]
    return Term(lambda scope: [value for read in reads for value in read(scope)], terms[0].kind, terms[0].type, True, terms[0].label)


def _first_of(terms: list[Term]) -> Term:
    """`??`: findings carry the path of the first; each value still comes from its own field."""
    many = any(term.many for term in terms)
    first = terms[0]
    texts = either([term.texts for term in terms if term.texts]) if all(term.texts for term in terms) else None
    return Term(either([term.read for term in terms]), first.kind, first.type, many, first.label, texts=texts)


def _logic(sign: str, truths: list[Truth]) -> Truth:
    if sign == "not":
        inner = truths[0]
        return lambda scope: not inner(scope)
    if len(truths) == 2:
        one, other = truths
        return (lambda scope: one(scope) and other(scope)) if sign == "and" else (lambda scope: one(scope) or other(scope))
    every = all if sign == "and" else any
    return lambda scope: every(truth(scope) for truth in truths)


def _joined(compiler: Compiler, tree: Operation, context: Context) -> Term:
    """`+`: the first text of each part; nothing when every part that is no literal is empty."""
    parts = [(isinstance(operand, Literal), compiler.texts(operand, context)) for operand in tree.operands]

    def join(scope: Scope) -> list[str]:
        said, pieces = False, []
        for fixed, read in parts:
            found = read(scope)
            if found:
                said = said or not fixed
                pieces.append(found[0])
        return ["".join(pieces)] if said or all(fixed for fixed, _ in parts) else NOTHING
    return strings(join, many=False)


def _equal(compiler: Compiler, left: Tree, right: Tree, context: Context) -> Truth:
    a, b = compiler.natural(left, context), _right(compiler, right, context)
    if a.type in convert.NUMERIC or b.type in convert.NUMERIC:
        one, other = convert.numbers(a, left), convert.numbers(b, right)
        return lambda scope: not set(one(scope)).isdisjoint(other(scope))
    if _timed(a) and _timed(b):
        return _meet(convert.moments(compiler, a, left), convert.moments(compiler, b, right))
    read, against = convert.texts(a, left), convert.texts(b, right)
    if isinstance(right, Literal):
        text = "true" if right.kind == "boolean" and right.text == "true" else right.text
        return lambda scope: text in read(scope)
    if isinstance(left, Literal):
        return lambda scope: left.text in against(scope)
    return _meet(read, against)


def _right(compiler: Compiler, tree: Tree, context: Context) -> Term:
    """The right side of a comparison; a bare number there is a number, also inside `where`."""
    return compiler.natural(tree, replace(context, item=None) if isinstance(tree, Literal) else context)


def _timed(term: Term) -> bool:
    return term.type in convert.TEMPORAL and term.type not in ("TM", "time")


def _meet(one: Callable[[Scope], list[Any]], other: Callable[[Scope], list[Any]]) -> Truth:
    def meet(scope: Scope) -> bool:
        found = one(scope)
        return bool(found) and not set(found).isdisjoint(other(scope))
    return meet


def _ordered(compiler: Compiler, sign: str, left: Tree, right: Tree, context: Context) -> Truth:
    a, b = compiler.natural(left, context), _right(compiler, right, context)
    holds = _ORDER[sign]
    one: Callable[[Scope], list[Any]]
    other: Callable[[Scope], list[Any]]
    if a.type in convert.NUMERIC or b.type in convert.NUMERIC:
        one, other = convert.numbers(a, left), convert.numbers(b, right)
    elif a.type in convert.TEMPORAL or b.type in convert.TEMPORAL:
        one, other = convert.moments(compiler, a, left), convert.moments(compiler, b, right)
    else:
        one, other = convert.texts(a, left), convert.texts(b, right)

    def compare(scope: Scope) -> bool:
        first, second = one(scope), other(scope)
        return bool(first) and bool(second) and holds(first[0], second[0])
    return compare


def _member(compiler: Compiler, left: Tree, right: Tree, context: Context) -> Truth:
    term = compiler.natural(left, context)
    if isinstance(right, Call) and right.of is None and right.name == "set":
        if len(right.arguments) != 1:
            raise fault(right.place, "set(name) takes the name of one set")
        return _in_set(term, left, compiler.set(right.arguments[0]))
    if isinstance(right, Listing | Literal):
        items = right.items if isinstance(right, Listing) else (right,)
        if all(isinstance(item, Literal) for item in items):
            fixed = frozenset(item.text for item in items if isinstance(item, Literal))
            read = convert.texts(term, left)
            return lambda scope: not fixed.isdisjoint(read(scope))
        return _meet(convert.texts(term, left), _all_texts(compiler, items, context))
    return _meet(convert.texts(term, left), compiler.texts(right, context))


def _all_texts(compiler: Compiler, items: Sequence[Tree], context: Context) -> Callable[[Scope], list[str]]:
    reads = [compiler.texts(item, context) for item in items]
    return lambda scope: [text for read in reads for text in read(scope)]


def _in_set(term: Term, tree: Tree, codes: CodeSet) -> Truth:
    """A coding is looked up with its system, a bare code by itself."""
    systems = any(system for _, system in codes.codes) or any(system for _, system in codes.prefixes)
    if not systems or term.kind == MADE or (term.kind == V2 and term.type not in convert.CODED) or (
            term.kind == FHIR and term.type not in ("Coding", "CodeableConcept")):
        read, anywhere, starts = convert.texts(term, tree), codes.anywhere, codes.starts

        return lambda scope: any(text in anywhere or text.startswith(starts) for text in read(scope))
    coded = convert.coded(term, tree)
    if term.kind == V2:
        return lambda scope: any(codes.has(code, scope.coding_system(system) if system else "") for code, system, _, _ in coded(scope))
    return lambda scope: any(codes.has(code, system) for code, system, _, _ in coded(scope))
