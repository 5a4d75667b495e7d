"""What comes again in other messages of a sender (a hospital, a ward, a doctor's part in a visit, a class, a race): made
once, copied afterwards.

An expression is remembered by the raw fields that it reads, and only when all of them are of RECURRING types, so nothing
that tells one patient from another is kept: no name, number, address, telecom or time, and no text. A reference counts
by what makes the id behind it, and only resources of PUBLIC types may be referred to. The memory hangs on the
sender, who is built anew when tables or answers change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from bridge.core.draft import Question
from bridge.language.copier import copier
from bridge.language.flat import flat
from bridge.language.lift import clone
from bridge.language.scope import Scope

if TYPE_CHECKING:
    from bridge.language.term import Step

PUBLIC = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location"})
RECURRING = frozenset({
    "CE", "CWE", "CNE", "CF", "ID", "IS", "HD", "XON", "XCN", "CN", "CNN", "PL", "SI", "FC", "MSG", "PT", "VID"})
KEPT = 16384
"""Values remembered per sender; when it is full it starts afresh."""
LONGEST = 1000
"""Characters of a field that is remembered; a longer one is no code."""

Input = tuple[str, int, int]
"""What an expression depends on: (FIELD, slot of a segment's fields, number), (ITEM, slot of a repetition, 0),
(a segment's name, 0, 0) for how many there are, or OTHER."""
Key = Callable[[Scope], tuple[Any, ...]]
FIELD, ITEM = "field", "item"
OTHER: Input = ("other", 0, 0)
"""An input that does not come again, or cannot be told beforehand."""


class Known:
    """What was made: the value, and all that was filed and noticed on the way."""

    __slots__ = ("asked", "fresh", "null", "plain", "said", "side")

    def __init__(self, value: Any, said: list[tuple[str, str, str, str, str]], asked: list[Question], null: bool, side: Any) -> None:
        self.fresh = copier(value)
        self.said, self.asked, self.null, self.side = said, asked, null, side
        self.plain = not (said or asked or null or side)

    def repeat(self, scope: Scope) -> None:
        """File and notice again what was filed and noticed when it was made."""
        for where, severity, code, text, hint in self.said:
            scope.file(where, severity, code, text, hint)
        for question in self.asked:
            scope.ask(question)
        if self.null:
            scope.null = True
        if self.side is not None:
            scope.side = clone(self.side)


def key(inputs: Iterable[Input]) -> Key:
    """(scope) -> what these inputs are in the message at hand, for one thing that is remembered by them."""
    read = "".join([_read(*each) + ", " for each in sorted(inputs)])
    return flat(f"({{mark}}, {read})", mark=object())


def _read(kind: str, slot: int, number: int) -> str:
    """One input as Python source; the items of a step are told apart by their positions, which findings carry."""
    if kind == FIELD:
        return f"fields[{number}] if len(fields := scope.slots[{slot}]) > {number} else ''"
    return f"scope.slots[{slot}].raw, scope.slots[{slot + 1}]" if kind == ITEM else f"len(scope.source.all({kind!r}))"


def remembered(give: Callable[[Scope], Any], key: Key, placed: bool) -> Callable[[Scope], Any]:
    """The same, made once for the same inputs.

    `placed`: it stands in the items of a segment, whose numbers findings carry; then only what has none is kept.
    """
    def other(scope: Scope, here: tuple[Any, ...], known: Known | None) -> Any:
        if known is None:
            return keep(give, scope, here, placed)
        known.repeat(scope)
        return known.fresh()
    return flat("known.fresh() if (known := scope.lasting.get(here := {0})) is not None and known.plain else {other}(scope, here, known)",
                key, other=other)


def keep(give: Callable[[Scope], Any], scope: Scope, here: tuple[Any, ...], placed: bool) -> Any:
    """Make a value and remember it with what was filed for it; the one given is the caller's own."""
    said, asked, null = len(scope.said), len(scope.asked), scope.null
    scope.null = False
    value = give(scope)
    if not (placed and (len(scope.said) > said or len(scope.asked) > asked)):
        put(scope, here, Known(value, scope.said[said:], scope.asked[asked:], scope.null, clone(scope.side)))
    scope.null = scope.null or null
    return value


def put(scope: Scope, here: tuple[Any, ...], known: Known) -> None:
    """Remember, unless a field that it was made from is too long to be a code."""
    if all(raw.__class__ is not str or len(raw) <= LONGEST for raw in here):
        if len(scope.lasting) >= KEPT:
            scope.lasting.clear()
        scope.lasting[here] = known


def beyond(inputs: Iterable[Input], steps: Iterable[Step]) -> frozenset[Input]:
    """The inputs as they are outside of these steps: a repetition is part of the field that was walked over."""
    found = set(inputs)
    for step in steps:
        if step.segment and step.field:
            found -= {(ITEM, step.slot, 0)}
        else:
            found.add(OTHER)
    return frozenset(found)
