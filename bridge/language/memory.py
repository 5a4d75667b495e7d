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
from bridge.language.lift import clone
from bridge.language.scope import Scope

if TYPE_CHECKING:
    from bridge.language.term import Step

PUBLIC = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location"})
RECURRING = frozenset({
    "CE", "CWE", "CNE", "CF", "ID", "IS", "HD", "XON", "XCN", "CN", "CNN", "PL", "SI", "FC", "MSG", "PT", "VID"})
KEPT = 2048
"""Different inputs remembered per sender; when it is full it starts afresh."""
LONGEST = 1000
"""Characters of a field that is remembered; a longer one is no code."""

Input = tuple[str, int, int]
"""What an expression depends on: (FIELD, slot of a segment's fields, number), (ITEM, slot of a repetition, 0),
(a segment's name, 0, 0) for how many there are, or OTHER."""
FIELD, ITEM = "field", "item"
OTHER: Input = ("other", 0, 0)
"""An input that does not come again, or cannot be told beforehand."""


class Known:
    """What was made: the value, and all that was filed and noticed on the way."""

    __slots__ = ("asked", "fresh", "null", "plain", "said", "side")

    def __init__(self, value: Any, said: list[tuple[str, str, str, str, str]], asked: list[Question], null: bool, side: Any) -> None:
        self.fresh = fresh(clone(value))
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


class Inputs:
    """A set of inputs: finds, for the message at hand, what was made of the same ones before."""

    __slots__ = ("_fields", "_index", "_items", "_segments")

    def __init__(self, inputs: Iterable[Input], index: int | None) -> None:
        """`index` is the place in Scope.cache for inputs that stay the same throughout a message, None for others."""
        listed = sorted(inputs)
        self._fields = [(slot, number) for kind, slot, number in listed if kind == FIELD]
        self._items = [slot for kind, slot, _ in listed if kind == ITEM]
        self._segments = [kind for kind, _, _ in listed if kind.isupper()]
        self._index = index

    def shelf(self, scope: Scope) -> dict[Any, Known]:
        """Known values by what made them, for the inputs as they are now."""
        index = self._index
        if index is not None:
            found: dict[Any, Known] | None = scope.cache[index]
            if found is None:
                found = scope.cache[index] = self._find(scope)
            return found
        return self._find(scope)

    def _find(self, scope: Scope) -> dict[Any, Known]:
        slots = scope.slots
        key: list[Any] = [fields[number] if number < len(fields := slots[slot]) else "" for slot, number in self._fields]
        key += [slots[slot].raw for slot in self._items]
        if sum(map(len, key)) > LONGEST:
            return {}
        key += [slots[slot + 1] for slot in self._items]
        key += [len(scope.source.all(name)) for name in self._segments]
        key.append(self)
        memory, named = scope.lasting, tuple(key)
        found: dict[Any, Known] | None = memory.get(named)
        if found is None:
            if len(memory) >= KEPT:
                memory.clear()
            found = memory[named] = {}
        return found


def remembered(give: Callable[[Scope], Any], inputs: Inputs, placed: bool) -> Callable[[Scope], Any]:
    """The same, made once for the same inputs.

    `placed`: it stands in the items of a segment, whose numbers findings carry; then only what has none is kept.
    """
    shelf, mark = inputs.shelf, object()

    def recall(scope: Scope) -> Any:
        here = shelf(scope)
        known = here.get(mark)
        if known is None:
            return keep(give, scope, here, mark, placed)
        if not known.plain:
            known.repeat(scope)
        return known.fresh()
    return recall


def keep(give: Callable[[Scope], Any], scope: Scope, shelf: dict[Any, Known], mark: Any, placed: bool) -> Any:
    """Make a value and put it, with what was filed for it, on the shelf; the one given is the caller's own."""
    said, asked, null = len(scope.said), len(scope.asked), scope.null
    scope.null = False
    value = give(scope)
    if not (placed and (len(scope.said) > said or len(scope.asked) > asked)):
        shelf[mark] = Known(value, scope.said[said:], scope.asked[asked:], scope.null, clone(scope.side))
    scope.null = scope.null or null
    return value


def beyond(inputs: Iterable[Input], steps: Iterable[Step]) -> frozenset[Input]:
    """The inputs as they are outside of these steps: a repetition is part of the field that was walked over."""
    found = set(inputs)
    for step in steps:
        if step.segment and step.field:
            found -= {(ITEM, step.slot, 0)}
        else:
            found.add(OTHER)
    return frozenset(found)


def fresh(value: Any) -> Callable[[], Any]:
    """A function that copies one JSON value whose shape is known now."""
    if value.__class__ is dict:
        return copier(value)
    if value.__class__ is list and all(item.__class__ not in (dict, list) for item in value):
        copied: Callable[[], Any] = value.copy
        return copied
    if value.__class__ is list:
        items = [fresh(item) for item in value]
        return lambda: [item() for item in items]
    return lambda: value


def copier(constants: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A function that gives the constants as a dict of one's own; only what is nested costs more than a copy."""
    nested = [(name, fresh(value)) for name, value in constants.items() if value.__class__ in (dict, list)]
    if not nested:
        return constants.copy

    def copy() -> dict[str, Any]:
        made = constants.copy()
        for name, each in nested:
            made[name] = each()
        return made
    return copy
