"""Compiles FHIRPath to closures: what invariants ask of a resource or element, as plain JSON values.

The subset is what the invariants of R4, US Core and SDOH Clinical Care use; a function that is not here is an error when
an expression is compiled, never when it runs. A collection is a list. Types are not carried along: `value.ofType(Quantity)`
looks for `valueQuantity`, which is all that invariants ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from bridge.core.errors import SettingsError
from bridge.fhir.elements import load
from bridge.fhir.fhirpath_syntax import Tree, read
from bridge.fhir.moment import Span, spans

Items = list[Any]
Run = Callable[[Items, Any], Items]
"""(focus, %resource) to the result."""

VARIABLES = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}


def compiled(text: str) -> Callable[[Any], bool]:
    """Whether an expression is true of a value; an empty result is false, as HL7's validator has it.

    Raises SettingsError for an expression outside the subset.
    """
    run = build(read(text))
    return lambda value: truth(run([value], value)) is True


@cache
def stems() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """(JSON name, type) of each choice of R4, by stem: `value` to `valueQuantity` and the like."""
    found: dict[str, dict[str, str]] = {}
    elements = load()
    for each in elements.choices():
        found.setdefault(each.choice, {})[each.name] = each.types[0]
    return {stem: tuple(names.items()) for stem, names in found.items()}


def truth(items: Items) -> bool | None:
    """A collection as true, false or None (N1 singleton evaluation)."""
    if not items:
        return None
    if len(items) > 1:
        raise ValueError("a single value is due")
    return items[0] if isinstance(items[0], bool) else True


def build(tree: Tree) -> Run:
    """The closure of a tree."""
    return BUILD[tree[0]](tree)


def _literal(tree: Tree) -> Run:
    items = [] if tree[1] is None else [tree[1]]
    return lambda focus, root: items


def _variable(tree: Tree) -> Run:
    if tree[1] in ("resource", "context"):
        return lambda focus, root: [root]
    if tree[1] not in VARIABLES:
        raise SettingsError(f"FHIRPath: no variable %{tree[1]}; known: %resource, %{', %'.join(VARIABLES)}")
    items = [VARIABLES[tree[1]]]
    return lambda focus, root: items


def _member(tree: Tree) -> Run:
    name = tree[1]
    typed = tuple(json for json, _ in stems().get(name, ()))
    if name in load().known:
        return lambda focus, root: [each for each in focus if isinstance(each, dict) and each.get("resourceType") == name]
    return lambda focus, root: _below(focus, (name, *typed))


def _below(focus: Items, names: Sequence[str]) -> Items:
    """The children with any of these JSON names."""
    found: Items = []
    for each in focus:
        if isinstance(each, dict):
            for name in names:
                inner = each.get(name)
                if isinstance(inner, list):
                    found += [one for one in inner if one is not None]
                elif inner is not None:
                    found.append(inner)
    return found


def _dot(tree: Tree) -> Run:
    left, right = tree[1], tree[2]
    if right[0] == "call" and right[1] in ("ofType", "is", "as") and len(right[2]) == 1:
        return _type(("type", right[1], left, right[2][0][-1] if right[2][0][0] == "dot" else right[2][0][1]))
    first, then = build(left), build(right)
    return lambda focus, root: then(first(focus, root), root)


def _type(tree: Tree) -> Run:
    """`is`, `as` and `ofType` of a choice, or of a resource."""
    _, word, left, name = tree
    if left[0] == "member":
        parent: Run = lambda focus, root: focus  # noqa: E731 - a closure as the others
        member = left[1]
    elif left[0] == "dot" and left[2][0] == "member":
        parent, member = build(left[1]), left[2][1]
    else:
        parent, member = build(left), ""
    typed = tuple(json for json, kind in stems().get(member, ()) if kind.lower() == name.lower())
    whole = build(left)

    def chosen(focus: Items, root: Any) -> Items:
        if typed:
            return _below(parent(focus, root), typed)
        return [each for each in whole(focus, root) if isinstance(each, dict) and each.get("resourceType") == name]

    if word != "is":
        return chosen
    return lambda focus, root: [bool(chosen(focus, root))] if whole(focus, root) else []


def _index(tree: Tree) -> Run:
    left, inner = build(tree[1]), build(tree[2])

    def at(focus: Items, root: Any) -> Items:
        items, place = left(focus, root), inner(focus, root)
        return items[place[0]:place[0] + 1] if place else []

    return at


def _call(tree: Tree) -> Run:
    _, name, arguments = tree
    if name in LOOPS:
        return LOOPS[name]([build(each) for each in arguments])
    if name not in FUNCTIONS:
        raise SettingsError(f"FHIRPath: no function {name} here; known: {', '.join(sorted([*FUNCTIONS, *LOOPS]))}")
    function, given = FUNCTIONS[name], [build(each) for each in arguments]
    return lambda focus, root: function(focus, *[each(focus, root) for each in given])


def _operator(tree: Tree) -> Run:
    _, word, left, right = tree
    first, second = build(left), build(right)
    if word in LOGIC:
        logic = LOGIC[word]

        def decide(focus: Items, root: Any) -> Items:
            said = logic(truth(first(focus, root)), truth(second(focus, root)))
            return [] if said is None else [said]

        return decide
    if word not in OPERATORS:
        raise SettingsError(f"FHIRPath: no operator {word} here")
    operator = OPERATORS[word]
    return lambda focus, root: operator(first(focus, root), second(focus, root))


BUILD: dict[str, Callable[[Tree], Run]] = {
    "literal": _literal, "variable": _variable, "member": _member, "dot": _dot, "type": _type, "index": _index, "call": _call,
    "operator": _operator, "this": lambda tree: lambda focus, root: focus,
}


def _and(left: bool | None, right: bool | None) -> bool | None:
    return False if left is False or right is False else None if left is None or right is None else True


def _or(left: bool | None, right: bool | None) -> bool | None:
    return True if left or right else None if left is None or right is None else False


LOGIC: dict[str, Callable[[bool | None, bool | None], bool | None]] = {
    "and": _and,
    "or": _or,
    "xor": lambda left, right: None if left is None or right is None else left != right,
    "implies": lambda left, right: _or(None if left is None else not left, right),
}


def same(one: Any, other: Any) -> bool:
    """Equality of two values: 1 is not true."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _equal(left: Items, right: Items) -> Items:
    if not left or not right:
        return []
    return [len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))]


def _distinct(items: Items) -> Items:
    found: Items = []
    for each in items:
        if not any(same(each, other) for other in found):
            found.append(each)
    return found


def _in(left: Items, right: Items) -> Items:
    return [any(same(left[0], each) for each in right)] if left else []


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[Items, Items], Items]:
    """`<` and its kin: numbers, texts, moments, and quantities of one unit; what cannot be compared gives nothing."""
    def compare(left: Items, right: Items) -> Items:
        if not left or not right:
            return []
        one, other = left[0], right[0]
        if isinstance(one, dict) and isinstance(other, dict):
            if (one.get("system"), one.get("code", one.get("unit"))) != (other.get("system"), other.get("code", other.get("unit"))):
                return []
            one, other = one.get("value"), other.get("value")
        elif isinstance(one, str) and isinstance(other, str) and len(one) == len(other) and one[19:] == other[19:]:
            pass  # texts in order are moments in order, where precision and zone are the same
        elif isinstance(one, str) and isinstance(other, str) and (pair := _moments(one, other)):
            if pair[0][0] <= pair[1][1] and pair[1][0] <= pair[0][1] and pair[0] != pair[1]:
                return []  # of different precision, and one within the other: N1 says nothing
            one, other = pair
        kinds = {str if isinstance(each, str) else tuple if isinstance(each, tuple) else float if isinstance(each, int | float) else None
                 for each in (one, other)}
        return [holds(one, other)] if len(kinds) == 1 and None not in kinds else []

    return compare


def _moments(one: str, other: str) -> tuple[Span, Span] | None:
    """Both as (first, last) instant, when both are dates."""
    try:
        return spans(one, other)
    except ValueError:
        return None


def _number(work: Callable[[Any, Any], Any]) -> Callable[[Items, Items], Items]:
    return lambda left, right: [work(left[0], right[0])] if left and right else []


OPERATORS: dict[str, Callable[[Items, Items], Items]] = {
    "=": _equal,
    "!=": lambda left, right: [not said for said in _equal(left, right)],
    "in": _in,
    "contains": lambda left, right: _in(right, left),
    "|": lambda left, right: _distinct([*left, *right]),
    "<": _compared(lambda one, other: one < other),
    "<=": _compared(lambda one, other: one <= other),
    ">": _compared(lambda one, other: one > other),
    ">=": _compared(lambda one, other: one >= other),
    "+": _number(lambda one, other: one + other),
    "-": _number(lambda one, other: one - other),
    "*": _number(lambda one, other: one * other),
    "mod": _number(lambda one, other: one % other),
    "div": _number(lambda one, other: one // other),
    "&": lambda left, right: [(left[0] if left else "") + (right[0] if right else "")],
}


def _where(given: list[Run]) -> Run:
    return lambda focus, root: [each for each in focus if truth(given[0]([each], root))]


def _exists(given: list[Run]) -> Run:
    if not given:
        return lambda focus, root: [bool(focus)]
    return lambda focus, root: [any(truth(given[0]([each], root)) for each in focus)]


def _iif(given: list[Run]) -> Run:
    otherwise = given[2] if len(given) > 2 else lambda focus, root: []
    return lambda focus, root: given[1](focus, root) if truth(given[0](focus, root)) else otherwise(focus, root)


LOOPS: dict[str, Callable[[list[Run]], Run]] = {
    "where": _where,
    "exists": _exists,
    "all": lambda given: lambda focus, root: [all(truth(given[0]([each], root)) for each in focus)],
    "select": lambda given: lambda focus, root: [found for each in focus for found in given[0]([each], root)],
    "iif": _iif,
    "extension": lambda given: lambda focus, root: [
        each for each in _below(focus, ("extension",)) if isinstance(each, dict) and [each.get("url")] == given[0](focus, root)],
}


def _text(work: Callable[..., Any]) -> Callable[..., Items]:
    """A function of a text; of nothing it is nothing."""
    def run(focus: Items, *given: Items) -> Items:
        if not focus or not all(given):
            return []
        return [work(focus[0], *[each[0] for each in given])]

    return run


def _descendants(focus: Items) -> Items:
    """Everything below, at any depth."""
    found: Items = []
    waiting = list(focus)
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            inner = [one for value in each.values() for one in (value if isinstance(value, list) else [value]) if one is not None]
            found += inner
            waiting += inner
    return found


FUNCTIONS: dict[str, Callable[..., Items]] = {
    "empty": lambda focus: [not focus],
    "not": lambda focus: [] if (said := truth(focus)) is None else [not said],
    "hasValue": lambda focus: [len(focus) == 1 and not isinstance(focus[0], dict)],
    "count": lambda focus: [len(focus)],
    "first": lambda focus: focus[:1],
    "last": lambda focus: focus[-1:],
    "descendants": _descendants,
    "distinct": _distinct,
    "isDistinct": lambda focus: [len(_distinct(focus)) == len(focus)],
    "intersect": lambda focus, other: _distinct([each for each in focus if _in([each], other) == [True]]),
    "contains": _text(lambda text, part: part in text),
    "startsWith": _text(lambda text, part: text.startswith(part)),
    "endsWith": _text(lambda text, part: text.endswith(part)),
    "matches": _text(lambda text, form: re.search(form, text) is not None),
    "length": _text(len),
    "substring": _text(lambda text, start, size=None: text[start:] if size is None else text[start:start + size]),
    "toString": _text(lambda value: str(value).lower() if isinstance(value, bool) else str(value)),
    "toInteger": lambda focus: [int(focus[0])] if focus and re.fullmatch("[+-]?[0-9]+", str(focus[0])) else [],
    "trace": lambda focus, name: focus,
}
