"""From what an expression gives to what is due: converters of HL7 types, lifts of FHIR types, references, literals, texts.

Every pair is looked up when a mapping is compiled; at run time only the function found is called. A value that does not
convert is left out and reported; it never stops a message.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bridge.fhir.convert import CONVERTERS
from bridge.fhir.elements import Elements
from bridge.hl7v2.message import Value
from bridge.language.expr import Tree
from bridge.language.flat import flat
from bridge.language.lift import TIMES, WORDS, Lift, clone, from_text, lifts, spoken
from bridge.language.memory import KEPT, LONGEST
from bridge.language.scope import Scope
from bridge.language.syntax import Place, fault
from bridge.language.term import FHIR, MADE, NOTHING, SEGMENT, V2, Reads, Target, Term

if TYPE_CHECKING:
    from bridge.language.compile import Compiler

BROKEN, MISFIT = "BRG-L101", "BRG-L102"
TEMPORAL = frozenset({"TS", "DTM", "DT", *TIMES})
NUMERIC = frozenset({"NM", "SI", "decimal", "integer", "positiveInt", "unsignedInt"})
CODED = frozenset({"CE", "CWE", "CNE", "CF"})
LASTING = frozenset({"CE", "CWE", "CNE", "CF", "HD", "XON", "XCN", "CN", "CNN", "PL"})
"""HL7 types that say nothing of the patient by themselves and come again in other messages of a sender."""
AGAIN = frozenset({"CX"})
"""HL7 types whose values stand in several places of one message and take longer to convert than to look up."""
_NESTED = frozenset({dict, list})
_NULL = '""'
_PLAIN = frozenset({"ST", "TX", "FT", "ID", "IS", "NM", "SI", "TS", "DTM", "DT", "TM", "GTS", "FN"})
_FIRST = frozenset({"string", "code", "id", "uri", "markdown"})
_TROUBLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


@lru_cache(maxsize=4)
def _lifts(elements: Elements) -> dict[tuple[str, str], Lift]:
    return lifts(elements)


def convert(compiler: Compiler, term: Term, target: Target, tree: Tree) -> Reads:
    """(scope) -> JSON values of one of the target's types; raises MappingError when no conversion is known."""
    if term.kind == MADE:
        return _references(compiler, term, target, tree)
    if term.kind == SEGMENT:
        raise fault(tree.place, f"{target.path}: a whole segment is no {target.shown()}", hint=f"name a field, {term.type}-1")
    if term.type == "varies":
        return _varying(term, target)
    for type_ in target.types:
        if term.kind == V2:
            if (act := _converter(compiler.elements, term.type, type_)) is not None:
                return _converted(term, act)
        elif term.type == type_ and type_ not in compiler.elements.primitives:
            return _copied(term)
        elif (lift := _lifts(compiler.elements).get((term.type, type_))) is not None:
            return _lifted(term, lift, f"{target.path}: not a {type_}")
    raise fault(tree.place, f"{target.path}: no conversion {term.shown()} -> {target.shown()}", hint=_ways(compiler.elements, term, target))


def _converter(elements: Elements, source: str, type_: str) -> Callable[[Any, Any], Any] | None:
    found = CONVERTERS.get((source, type_))
    if found is not None or source not in _PLAIN or type_ not in elements.primitives:
        return found
    read = from_text(type_, elements)
    return lambda value, sender: read(value.text())


def _ways(elements: Elements, term: Term, target: Target) -> str:
    if term.kind == V2:
        to = sorted(to for source, to in CONVERTERS if source == term.type)
        by = sorted(source for source, to in CONVERTERS if to in target.types)
    else:
        to = sorted(to for source, to in _lifts(elements) if source == term.type)
        by = []
    said = f"{term.shown()} becomes {', '.join(to[:8])}" if to else f"name an element or a component of {term.shown()}"
    return f"{said}; {target.shown()} is made from {', '.join(by[:12])}" if by else said


def _converted(term: Term, act: Callable[[Any, Any], Any]) -> Reads:
    label, convert_one = term.label, _remembering(term.type, act)

    def convert(values: list[Any], scope: Scope) -> list[Any]:
        scope.where = label
        found: list[Any] = []
        for value in values:
            if value.raw == _NULL:
                scope.null = True
                continue
            try:
                made = convert_one(value, scope)
            except _TROUBLE:
                _broken(scope)
                continue
            if made.__class__ is list:
                found += made
            elif made is not None:
                found.append(made)
        return found
    return flat("{convert}(values, scope) if (values := {0}) else {nothing}", term.read, convert=convert, nothing=NOTHING)


def single(compiler: Compiler, term: Term, target: Target, every: Callable[[Scope], Any]) -> Callable[[Scope], Any] | None:
    """(scope) -> the one JSON value of an element, the short way: for a whole field or a component of it, and for a
    reference; `every` is the way for everything else that can be in a field. None when there is no short way."""
    if term.kind == MADE and term.single is not None and "Reference" in target.types:
        find = term.single
        return lambda scope: {"reference": made.ref} if (made := find(scope)) is not None else None
    if term.quick is None or term.type == "varies":
        return None
    act = next((found for type_ in target.types if (found := _converter(compiler.elements, term.type, type_)) is not None), None)
    if act is None:
        return None
    slot, field, component = term.quick
    label, convert_one, index = term.label, _remembering(term.type, act), component - 1

    def one(scope: Scope) -> Any:
        fields = scope.slots[slot]
        if field >= len(fields) or not (raw := fields[field]):
            return None
        if scope.repeat in raw:
            return every(scope)
        if component:
            parts = raw.split(scope.split)
            if index >= len(parts) or not (raw := parts[index]):
                return None
        if raw == _NULL:
            scope.null = True
            return None
        scope.where = label
        try:
            made = convert_one(Value(raw, scope.inner if component else scope.seps), scope)
        except _TROUBLE:
            _broken(scope)
            return None
        return (made[0] if made else None) if made.__class__ is list else made
    return one


def _remembering(type_: str, act: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The conversion with a memory, for types whose values come again in a message or in the next."""
    if type_ not in LASTING and type_ not in AGAIN:
        return act
    lasting = type_ in LASTING

    def convert(value: Any, scope: Scope) -> Any:
        if value.seps is not scope.seps:
            return act(value, scope)
        known = (scope.lasting if lasting else scope.memo).get((act, value.raw))
        if known is None:
            known = remember(act, value, scope, lasting)
        elif known.said:
            known.repeat(scope)
        made = known.made
        if made.__class__ not in _NESTED:
            return made
        if known.free:
            known.free = False
            return made
        return clone(made)
    return convert


class Memory:
    """What a conversion gave and said; `free` while nobody has taken the value itself."""

    __slots__ = ("free", "made", "said")

    def __init__(self, made: Any, said: list[tuple[str, str, str, str, str]], free: bool) -> None:
        self.made, self.said, self.free = made, said, free

    def repeat(self, scope: Scope) -> None:
        """File again what was said, at the path that is being read."""
        for _, severity, code, text, hint in self.said:
            scope.report(severity, code, text, hint)


def remember(act: Callable[[Any, Any], Any], value: Any, scope: Scope, lasting: bool) -> Memory:
    """Convert a repetition and keep what came of it for this message.

    `lasting`: also for later messages of this sender. Only for codes, places, organisations and staff: what is the
    patient's is forgotten with the message.
    """
    memo = scope.lasting if lasting else scope.memo
    before = len(scope.said)
    made = act(value, scope)
    known = Memory(made, scope.said[before:], not lasting)
    if len(value.raw) <= LONGEST:
        if len(memo) >= KEPT:
            memo.clear()
        memo[act, value.raw] = known
    return known


def _broken(scope: Scope) -> None:
    scope.report("warning", BROKEN, "cannot be converted; the element stays out", "look at the field as it was sent")


def _lifted(term: Term, lift: Lift, text: str) -> Reads:
    read, label = term.read, term.label

    def convert(scope: Scope) -> list[Any]:
        values = read(scope)
        if not values:
            return NOTHING
        found: list[Any] = []
        for value in values:
            try:
                made = lift(value, scope)
            except _TROUBLE:
                made = None
            if made is None:
                scope.where = label
                scope.report("warning", MISFIT, f"{text}; the element stays out", "look at the value as it was sent")
            elif made.__class__ is list:
                found += made
            else:
                found.append(made)
        return found
    return convert


def _copied(term: Term) -> Reads:
    read = term.read
    return lambda scope: [clone(value) for value in read(scope)]


def _varying(term: Term, target: Target) -> Reads:
    """OBX-5: the converter is chosen by OBX-2 at run time; a type that has no way to the target gives nothing."""
    ways = {source: _converted(Term(term.read, V2, source, term.many, term.label), act)
            for name in reversed(target.types) for (source, to), act in CONVERTERS.items() if to == name}
    varies = term.varies or (lambda scope: "")
    return flat("{ways}.get({0}, {nothing})(scope)", varies, ways=ways, nothing=flat("{nothing}", nothing=NOTHING))


def _references(compiler: Compiler, term: Term, target: Target, tree: Tree) -> Reads:
    read = term.read
    if "Reference" in target.types:
        if target.targets and term.type not in target.targets and "Resource" not in target.targets:
            raise fault(tree.place, f"{target.path}: a reference to {' or '.join(target.targets)}, not to {term.type}",
                        hint=f"`{term.label}` is a {term.type}")
        return lambda scope: [{"reference": made.ref} for made in read(scope)]
    if any(type_ in WORDS for type_ in target.types):
        return flat("{refs}({0})", read, refs=_refs)
    raise fault(tree.place, f"{target.path}: `{term.label}` is a resource and {target.shown()} is no Reference",
                hint=f"name an element: {term.label}.id")


def _refs(found: list[Any]) -> list[str]:
    return [made.ref for made in found]


def textual(term: Term) -> bool:
    """Whether the values have one obvious text."""
    if term.kind == V2:
        return term.type in _PLAIN
    return term.kind == FHIR and term.type in (*WORDS, *TIMES, "any", "boolean", "decimal", "integer", "positiveInt", "unsignedInt")


def as_string(term: Term, tree: Tree) -> Term:
    """The same values as texts."""
    read = texts(term, tree)
    return Term(read, FHIR, "string", term.many, term.label, texts=read)


def texts(term: Term, tree: Tree) -> Callable[[Scope], list[str]]:
    """(scope) -> texts: first components, codes of codings, `Type/id` of emitted items; raises MappingError."""
    if term.texts is not None:
        return term.texts
    read = term.read
    if term.kind == V2:
        return flat("{texts}({0})", read, texts=lambda values: [text for value in values if (text := value.text())])
    if term.kind == MADE:
        return flat("{refs}({0})", read, refs=_refs)
    if term.kind == SEGMENT:
        return lambda scope: [segment.name for segment in read(scope)]
    if term.type in WORDS or term.type in TIMES:
        return read
    if textual(term):
        return lambda scope: [spoken(value) for value in read(scope) if value.__class__ not in (dict, list)]
    key = {"Coding": "code", "Identifier": "value", "Reference": "reference", "Quantity": "value", "ContactPoint": "value"}.get(term.type)
    if key is not None:
        return lambda scope: [spoken(value[key]) for value in read(scope) if key in value]
    if term.type == "CodeableConcept":
        return lambda scope: [coding["code"] for value in read(scope) for coding in value.get("coding", ()) if "code" in coding]
    raise fault(tree.place, f"{term.shown()} has no single text", hint="name an element of it")


def component(term: Term, number: int, sub: int, type_: str) -> Term:
    """A component of HL7 values as a Term."""
    read, at = term.read, sub or 1

    def parts(scope: Scope) -> list[Any]:
        values = [value.component(number) for value in read(scope)]
        if sub:
            values = [value.component(sub) for value in values]
        return [value for value in values if value.raw]

    label = f"{term.label}.{number}" + (f".{sub}" if sub else "") if term.label else ""
    return term.over(parts, type=type_, label=label, path="", varies=None,
                     texts=flat("{texts}({0})", read, texts=lambda values: [text for value in values if (text := value.text(number, at))]))


def literal(elements: Elements, text: str, target: Target, place: Place) -> list[Any]:
    """A written text as values of the target's type; raises MappingError when it is no such value."""
    for type_ in target.types:
        if type_ in elements.primitives:
            made = from_text(type_, elements)(text)
            if made is not None:
                return [made]
        elif (lift := _lifts(elements).get(("string", type_))) is not None and (made := lift(text, None)) is not None:
            return [made]
    hints = {"CodeableConcept": "write =code('system', 'code') or {coding: [...]}", "Coding": "write =code('system', 'code')",
             "Reference": "write =name of an emit", "boolean": "true or false"}
    expression = "" if not text[:1].isupper() else f"or did you mean `={text}`?"
    raise fault(place, f"{target.path}: a literal `{text[:40]}` is no {target.shown()}", hint=hints.get(target.types[0], expression))


def moments(compiler: Compiler, term: Term, tree: Tree) -> Callable[[Scope], list[datetime.datetime]]:
    """(scope) -> points in time to compare; a date counts from its first moment; raises MappingError for other types."""
    if term.type not in TEMPORAL and term.type not in ("string", "any", "varies"):
        raise fault(tree.place, f"{term.shown()} is no date or time")
    read = convert(compiler, term, Target(("dateTime",), "comparison"), tree)
    return flat("{moments}({0})", read, moments=lambda texts: [moment for text in texts if (moment := parsed(text)) is not None])


def parsed(text: str) -> datetime.datetime | None:
    """An R4 date or dateTime as a point in time; without offset it is taken as UTC."""
    padded = text + "-01-01"[len(text) - 4:] if len(text) in (4, 7) else text
    try:
        moment = datetime.datetime.fromisoformat(padded)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def numbers(term: Term, tree: Tree) -> Callable[[Scope], list[float]]:
    """(scope) -> numbers to compare; what is none is left out."""
    if term.kind == FHIR and term.type in NUMERIC:
        return term.read
    read = texts(term, tree)
    return flat("{numbers}({0})", read, numbers=lambda texts: [number for text in texts if (number := _float(text)) is not None])


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def coded(term: Term, tree: Tree) -> Callable[[Scope], list[tuple[str, str, str, Any]]]:
    """(scope) -> (code, system as sent, words, value) per value, for tables and sets; raises MappingError."""
    read = term.read
    if term.kind == V2 and (term.type in CODED or term.type in ("IS", "ID", "varies")):
        return _coded_v2(read)
    if term.kind == FHIR and term.type == "Coding":
        return lambda scope: [(value.get("code", ""), value.get("system", ""), value.get("display", ""), value) for value in read(scope)]
    if term.kind == FHIR and term.type == "CodeableConcept":
        return lambda scope: [(coding.get("code", ""), coding.get("system", ""), value.get("text") or coding.get("display", ""), coding)
                              for value in read(scope) for coding in value.get("coding", ())]
    simple = texts(term, tree)
    return lambda scope: [(text, "", "", None) for text in simple(scope)]


def _coded_v2(read: Reads) -> Callable[[Scope], list[tuple[str, str, str, Any]]]:
    def coded(scope: Scope) -> list[tuple[str, str, str, Any]]:
        found = []
        for value in read(scope):
            raw = value.raw
            if raw == _NULL:
                scope.null = True
            elif raw.isalnum():
                found.append((raw, "", "", value))
            else:
                count = len(value.parts)
                words = (count > 8 and value.text(9)) or (count > 1 and value.text(2)) or ""
                # A code has single blanks between its words and none around them (R4 datatypes, code).
                found.append((" ".join(value.text().split()), value.text(3) if count > 2 else "", words, value))
        return found
    return coded
