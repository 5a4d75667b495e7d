"""The operators: conditions are two-valued. `a = b` holds when any value of a equals any of b; nothing equals nothing."""

from __future__ import annotations

import operator as signs
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.language import convert
from bridge.language.expr import Call, Listing, Literal, Operation, Tree
from bridge.language.flat import flat
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
    return boolean(equal if sign == "=" else flat("not {0}", equal))


def either(reads: Sequence[Reads]) -> Reads:
    """The first that gives anything."""
    return flat(" or ".join(f"{{{number}}}" for number in range(len(reads))), *reads)


def concatenated(terms: list[Term]) -> Term:
    """All values of all terms, which have one type."""
    reads = [term.read for term in terms]
    return Term(together(reads), terms[0].kind, terms[0].type, True, terms[0].label)


def together(reads: Sequence[Reads]) -> Reads:
    """All values of all of them."""
    return flat("[" + ", ".join(f"*{{{number}}}" for number in range(len(reads))) + "]", *reads)


def _first_of(terms: list[Term]) -> Term:
    """`??`: findings carry the path of the first; each value still comes from its own field."""
    many = any(term.many for term in terms)
    first = terms[0]
    texts = either([term.texts for term in terms if term.texts]) if all(term.texts for term in terms) else None
    return Term(either([term.read for term in terms]), first.kind, first.type, many, first.label, texts=texts)


def _logic(sign: str, truths: list[Truth]) -> Truth:
    if sign == "not":
        return flat("not {0}", truths[0])
    return flat(f" {sign} ".join(f"{{{number}}}" for number in range(len(truths))), *truths)


def _joined(compiler: Compiler, tree: Operation, context: Context) -> Term:
    """`+`: the first text of each part; nothing when every part that is no literal is empty."""
    fixed = [isinstance(operand, Literal) for operand in tree.operands]
    needless = all(fixed)

    def join(found: Sequence[list[str]]) -> list[str]:
        said, pieces = needless, []
        for texts, literal in zip(found, fixed, strict=True):
            if texts:
                said = said or not literal
                pieces.append(texts[0])
        return ["".join(pieces)] if said else NOTHING
    reads = [compiler.texts(operand, context) for operand in tree.operands]
    return strings(flat("{join}((" + ", ".join(f"{{{number}}}" for number in range(len(reads))) + "))", *reads, join=join), many=False)


def _equal(compiler: Compiler, left: Tree, right: Tree, context: Context) -> Truth:
    a, b = compiler.natural(left, context), _right(compiler, right, context)
    if a.type in convert.NUMERIC or b.type in convert.NUMERIC:
        one, other = convert.numbers(a, left), convert.numbers(b, right)
        return flat("not set({0}).isdisjoint({1})", one, other)
    if _timed(a) and _timed(b):
        return _meet(convert.moments(compiler, a, left), convert.moments(compiler, b, right))
    read, against = convert.texts(a, left), convert.texts(b, right)
    if isinstance(right, Literal):
        text = "true" if right.kind == "boolean" and right.text == "true" else right.text
        return flat("{text} in {0}", read, text=text)
    if isinstance(left, Literal):
        return flat("{text} in {0}", against, text=left.text)
    return _meet(read, against)


def _right(compiler: Compiler, tree: Tree, context: Context) -> Term:
    """The right side of a comparison; a bare number there is a number, also inside `where`."""
    return compiler.natural(tree, replace(context, item=None) if isinstance(tree, Literal) else context)


def _timed(term: Term) -> bool:
    return term.type in convert.TEMPORAL and term.type not in ("TM", "time")


def _meet(one: Callable[[Scope], list[Any]], other: Callable[[Scope], list[Any]]) -> Truth:
    return flat("not set(found).isdisjoint({1}) if (found := {0}) else False", one, other)


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

    def compare(first: list[Any], second: list[Any]) -> bool:
        return bool(first) and bool(second) and holds(first[0], second[0])
    return flat("{compare}({0}, {1})", one, other, compare=compare)


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
            return flat("not {apart}({0})", read, apart=fixed.isdisjoint)
        return _meet(convert.texts(term, left), _all_texts(compiler, items, context))
    return _meet(convert.texts(term, left), compiler.texts(right, context))


def _all_texts(compiler: Compiler, items: Sequence[Tree], context: Context) -> Callable[[Scope], list[str]]:
    reads = [compiler.texts(item, context) for item in items]
    return together(reads)


def _in_set(term: Term, tree: Tree, codes: CodeSet) -> Truth:
    """A coding is looked up with its system, a bare code by itself."""
    systems = any(system for _, system in codes.codes) or any(system for _, system in codes.prefixes)
    if not systems or term.kind == MADE or (term.kind == V2 and term.type not in convert.CODED) or (
            term.kind == FHIR and term.type not in ("Coding", "CodeableConcept")):
        read, anywhere, starts = convert.texts(term, tree), codes.anywhere, codes.starts

        def within(texts: list[str]) -> bool:
            return any([text in anywhere or text.startswith(starts) for text in texts])
        return flat("{within}({0})", read, within=within)
    coded = convert.coded(term, tree)
    if term.kind == V2:
        return lambda scope: any(codes.has(code, scope.coding_system(system) if system else "") for code, system, _, _ in coded(scope))
    return lambda scope: any(codes.has(code, system) for code, system, _, _ in coded(scope))
