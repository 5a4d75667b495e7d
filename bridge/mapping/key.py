"""Keys: what makes an emitted resource the same one again. Identifiers count with their system, so two hospitals' 1 differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.fhir.convert import CONVERTERS, Converter
from bridge.language import convert, operator
from bridge.language.compile import Compiler
from bridge.language.context import Context
from bridge.language.expr import Literal, Name, Operation, Tree
from bridge.language.let import per_message
from bridge.language.scope import Scope
from bridge.language.term import FHIR, NOTHING, V2, Term

Read = Callable[[Scope], list[str]]
_IDENTIFIERS = frozenset({"CX", "CK", "EI", "XCN", "CN", "CNN", "XON", "PPN", "NDL", "PL"})

_PERSONS = frozenset({"XCN", "CN", "CNN", "NDL"})


def keys(compiler: Compiler, trees: list[Tree], context: Context) -> Callable[[Scope], list[str] | None]:
    """(scope) -> the texts of a key, each part's first; None when a part is empty."""
    reads = [part(compiler, tree, context) for tree in trees]

    def texts(scope: Scope) -> list[str] | None:
        found = []
        for read in reads:
            texts = read(scope)
            if not texts or not texts[0]:
                return None
            found.append(texts[0])
        return found
    return texts


def part(compiler: Compiler, tree: Tree, context: Context) -> Read:
    """(scope) -> texts of one key part: `system|value` for identifiers, the joined components of other HL7 values.

    Behind `??` each operand is read by its own type: an identifier, else a text.
    """
    if isinstance(tree, Literal):
        texts = [tree.text]
        return lambda scope: texts
    if isinstance(tree, Operation) and tree.sign == "??":
        return operator.either([part(compiler, operand, context) for operand in tree.operands])
    term = compiler.natural(tree, context)
    read = _read(term, tree)
    if isinstance(tree, Name) and tree.text in compiler.lets and tree.text not in context.lets:
        return per_message(compiler, read)
    return read


def _read(term: Term, tree: Tree) -> Read:
    if term.kind == V2 and term.type in _IDENTIFIERS and (term.type, "Identifier") in CONVERTERS:
        return _identified(term)
    if term.kind == FHIR and term.type == "Identifier":
        read = term.read
        return lambda scope: [f"{value.get('system', '')}|{value['value']}" for value in read(scope)[:1] if value.get("value")]
    if term.kind == FHIR and term.type in ("Coding", "CodeableConcept"):
        coded = convert.coded(term, tree)
        return lambda scope: [f"{system}|{code}" for code, system, _, _ in coded(scope) if code]
    if term.kind == V2 and not convert.textual(term):
        read = term.read
        return lambda scope: [text for value in read(scope)[:1] if (text := _whole(value))]
    return convert.texts(term, tree)


def _identified(term: Term) -> Read:
    """`system|value`; the Identifier made on the way is kept for the element that will want it. A person without a number
    is the sender's own, known by the name."""
    act, read, label = CONVERTERS[term.type, "Identifier"], term.read, term.label
    lasting, named = term.type in convert.LASTING, term.type in _PERSONS

    def identify(scope: Scope) -> list[str]:
        for value in read(scope):
            if value.is_null:
                continue
            scope.where = label
            made = _made(act, value, scope, lasting)
            if made and made.get("value"):
                return [f"{made.get('system', '')}|{made['value']}"]
            if named and value:
                return [f"{scope.system('', '', '')}|{_whole(value)}"]
        return NOTHING
    return identify


def _made(act: Converter, value: Any, scope: Scope, lasting: bool) -> Any:
    if value.seps is not scope.seps:
        return act(value, scope)
    known = (scope.lasting if lasting else scope.memo).get((act, value.raw))
    if known is None:
        return convert.remember(act, value, scope, lasting).made
    known.repeat(scope)
    return known.made


def _whole(value: Any) -> str:
    """All components of a value, however this message separates them."""
    return "^".join(value.text(number + 1) for number in range(len(value.parts))).rstrip("^")
