"""Resources that come again in other messages of a sender (hospital, ward, doctor): made once, copied afterwards.

Only for what is not the patient's: types PUBLIC, from fields of SEGMENTS that hold no identifier or time. What is kept is
keyed by the raw fields an emit reads, so another field, another reference or another set of ids makes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bridge.core.draft import Question
from bridge.core.ids import Ids
from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.language.compile import Compiler
from bridge.language.context import Face
from bridge.language.scope import Scope
from bridge.language.shape import copier
from bridge.language.term import SEGMENT

PUBLIC = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location"})
SEGMENTS = frozenset({"MSH", "PV1", "PD1"})
PRIVATE = frozenset({"CX", "TS", "DTM", "DT", "XPN", "XAD", "XTN"})
KEPT = 2048
"""Items per sender; when it is full it starts afresh."""


class Known:
    """What an item was: its id ("" when it was left out), its resource by the references in it, and what was said."""

    __slots__ = ("_bodies", "asked", "id", "said")

    def __init__(self, id_: str, said: list[tuple[str, str, str, str, str]], asked: list[Question]) -> None:
        self.id, self.said, self.asked = id_, said, asked
        self._bodies: dict[tuple[str, ...], tuple[Callable[[], dict[str, Any]], Known]] = {}

    def repeat(self, scope: Scope) -> None:
        """File again what was filed when it was made."""
        for where, severity, code, text, hint in self.said:
            scope.file(where, severity, code, text, hint)
        for question in self.asked:
            scope.ask(question)

    def body(self, refs: tuple[str, ...], scope: Scope) -> dict[str, Any] | None:
        """A copy of the resource with these references in it, None when there is none yet."""
        found = self._bodies.get(refs)
        if found is None:
            return None
        found[1].repeat(scope)
        return found[0]()

    def keep(self, refs: tuple[str, ...], body: dict[str, Any], said: Known) -> None:
        """Remember a resource as it was built; the one given stays the caller's."""
        if len(self._bodies) >= 16:
            self._bodies.clear()
        self._bodies[refs] = copier(copier(body)()), said


class Recall:
    """How an emit's items are recognised: the slots of the fields it reads, and the emits it refers to."""

    __slots__ = ("_fields", "_items", "_needs")

    def __init__(self, fields: tuple[tuple[int, int], ...], items: tuple[int, ...], needs: tuple[int, ...]) -> None:
        self._fields, self._items, self._needs = fields, items, needs

    def key(self, scope: Scope, ids: Ids) -> tuple[Any, ...]:
        """The raw fields and repetitions (with their places, for findings) that an item is made of."""
        slots = scope.slots
        raws = [fields[number] if number < len(fields := slots[slot]) else "" for slot, number in self._fields]
        return self, ids, *raws, *[(slots[slot].raw, slots[slot + 1]) for slot in self._items]

    def refs(self, scope: Scope) -> tuple[str, ...]:
        """The references that its resource may hold."""
        return tuple([made.ref if (made := scope.made[number].get(())) is not None else "" for number in self._needs])


def recall(face: Face, reads: Iterable[str], needs: Iterable[tuple[str, str]], compiler: Compiler, firsts: dict[str, int]) -> Recall | None:
    """How to recognise an emit's items; None when it is the patient's, or depends on more than fields and single emits."""
    if face.type not in PUBLIC:
        return None
    numbers = []
    for kind, name in sorted(needs):
        other = compiler.faces[name]
        if kind != "id" or other.steps:
            return None
        numbers.append(other.number)
    fields: dict[tuple[int, int], None] = {}
    items: dict[int, None] = {}
    for read in reads:
        try:
            path = paths.parse(read)
        except ValueError:
            return None
        if path.segment not in SEGMENTS or not path.field or path.occurrence or tables.field_type(path.segment, path.field) in PRIVATE:
            return None
        bound = [step for step in face.steps if step.segment == path.segment and step.field == path.field and not path.repetition]
        if any(step.kind == SEGMENT for step in face.steps) or (path.segment not in firsts and not bound):
            return None
        if bound:
            items[bound[-1].slot] = None
        else:
            fields[firsts[path.segment], path.field] = None
    return Recall(tuple(fields), tuple(items), tuple(numbers))
