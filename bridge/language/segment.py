"""HL7 v2 as a source: paths become readers with the type that the v2 tables say, inside and outside of an `each`.

Outside an `each` a path reads the first segment of its name. Inside `each: IN1` a path to a segment that depends on IN1
(IN2, IN3) reads the one that follows this IN1, and a path to its owner (ORC of an OBR) the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.hl7v2.message import Value
from bridge.hl7v2.path import Path
from bridge.language.expr import FieldPath, Name, Tree
from bridge.language.flat import flat
from bridge.language.memory import FIELD, ITEM, OTHER, RECURRING, Input
from bridge.language.scope import Scope
from bridge.language.syntax import fault
from bridge.language.term import NOTHING, SEGMENT, V2, Reads, Step, Term

FOLLOWS: dict[str, tuple[str, ...]] = {
    "IN1": ("IN2", "IN3"), "OBX": ("NTE", "PRT"), "PR1": ("ROL", "PRT"), "OBR": ("OBX", "NTE", "TQ1", "SPM", "DG1", "CTI", "PRT"),
    "ORC": ("OBR", "TQ1", "TQ2", "NTE", "PRT", "RXA", "RXO", "RXE", "RXD"),
    "PRD": ("CTD",), "PRB": ("VAR", "ROL", "NTE"), "GOL": ("VAR", "ROL", "NTE"),
    "PID": ("PD1", "MRG", "PV1", "PV2", "ARV", "NTE", "ORC", "OBR", "OBX", "SPM"), "PV1": ("PV2", "ROL", "PRT", "ARV", "NTE"),
    "IAM": ("IAR", "NTE"), "SPM": ("NTE",),
    "RXO": ("RXR", "RXC", "RXE", "NTE"), "RXE": ("RXR", "RXC", "TQ1", "NTE"), "RXD": ("RXR", "RXC", "NTE"),
    "RXA": ("RXR", "OBX", "NTE"), "SCH": ("NTE",),
}
"""Segments that belong to the one before them (HL7 v2.5.1 ch.3, 4, 7, 11, 12: groups of the message structures)."""

OWNERS: dict[str, tuple[str, ...]] = {
    name: tuple(owner for owner, owned in FOLLOWS.items() if name in owned) for name in {n for owned in FOLLOWS.values() for n in owned}
}
_SAME = {"CE": "CWE", "IS": "CWE", "CNE": "CWE"}
"""Types that later versions of v2 widened; their further components are read by the wider type (v2.7 ch.2A)."""

read_path = lru_cache(maxsize=4096)(paths.parse)
"""The Path of a text; the same few hundred are read again and again while a mapping is compiled."""

SegmentReader = Callable[[Scope], Any]


def located(node: FieldPath | Name) -> Path:
    """The Path that a node of an expression names; raises MappingError at its place when a number in it is 0."""
    try:
        return read_path(node.text)
    except ValueError as error:
        raise fault(node.place, str(error).partition(": ")[2]) from None


class MessageSource:
    """Names and paths of an HL7 v2 message."""

    name = "an HL7 v2 message"
    __slots__ = ("firsts", "reserve")

    def __init__(self) -> None:
        self.firsts: dict[str, int] = {}
        """Slot of the fields of the first segment of a name; a run fills them before anything is read."""
        self.reserve: Callable[[int], int] = lambda count: 0

    def path(self, node: FieldPath, steps: Sequence[Step]) -> Term:
        """The reader of a field path; raises MappingError for a segment, field or component that HL7 does not know."""
        path = located(node)
        type_ = _type(path, node)
        step = _bound(path, steps)
        varies = step.varies if step else None
        if step is not None and path.component == 0:
            return Term(_item(step.slot), V2, type_, False, _label(path), node.text, varies=varies)
        if step is not None:
            return Term(_part(step.slot, path), V2, type_, False, _label(path), node.text, _part_texts(step.slot, path))
        slot = self._fields(path, steps)
        segment = _segment(path.segment, path.occurrence, steps)
        if type_ == "varies":
            varies = _value_type(segment, slot)
        if slot is None or (path.segment in ("MSH", "FHS", "BHS") and path.field == 2):
            return Term(_values(segment, path), V2, type_, path.repetition == 0, _label(path), node.text, _texts(segment, path),
                        varies=varies)
        whole = None if path.repetition or path.sub else (slot, path.field, path.component)
        return Term(_quick_values(slot, path), V2, type_, path.repetition == 0, _label(path), node.text, _quick_texts(slot, path),
                    varies=varies, quick=whole)

    def _fields(self, path: Path, steps: Sequence[Step]) -> int | None:
        """The slot with the fields that a path reads: of the current segment, or of the first one; None when it must be searched."""
        if path.occurrence:
            return None
        for step in reversed(steps):
            if step.kind != SEGMENT:
                continue
            if step.segment == path.segment:
                return step.slot + 2
            if path.segment in FOLLOWS.get(step.segment, ()) or path.segment in OWNERS.get(step.segment, ()):
                return None
        if path.segment not in self.firsts:
            self.firsts[path.segment] = self.reserve(1)
        return self.firsts[path.segment]

    def lookup(self, node: Name, steps: Sequence[Step]) -> Term | None:
        """A segment by its bare name (`IN1`), for `exists()` and `count()`; None for any other name."""
        text = node.text
        name = text[:3]
        if not (text.isupper() and (len(text) == 3 or text[3:4] == "[") and _known(name)):
            return None
        path = located(node)
        if path.occurrence == 0 and not any(step.segment == name for step in steps) and not _near(name, steps):
            return Term(lambda scope: scope.source.all(name), SEGMENT, name, True, name, name)
        segment = _segment(name, path.occurrence, steps)
        return Term(lambda scope: [found] if (found := segment(scope)) is not None else NOTHING, SEGMENT, name, False, name, text)

    def input(self, node: FieldPath | Name, steps: Sequence[Step]) -> Input:
        """The field, repetition or number of segments that a path depends on; OTHER when that does not come again."""
        path = read_path(node.text)
        if path.occurrence:
            return OTHER
        if not path.field:
            plain = not any(step.segment == path.segment for step in steps) and not _near(path.segment, steps)
            return (path.segment, 0, 0) if plain else OTHER
        if tables.field_type(path.segment, path.field) not in RECURRING:
            return OTHER
        if (step := _bound(path, steps)) is not None:
            return ITEM, step.slot, 0
        slot = self._fields(path, steps)
        return OTHER if slot is None else (FIELD, slot, path.field)

    def names(self) -> Iterable[str]:
        """What may stand where a name stands, for hints."""
        return tables.segments()

    def child(self, type_: str, name: str) -> tuple[str, bool] | None:
        """Segments have no named children."""
        return None

    def children(self, type_: str) -> Iterable[str]:
        """None either."""
        return ()

    def step(self, tree: Tree, term: Term, slot: int) -> tuple[Step, Callable[[Scope], list[tuple[Any, ...]]]]:
        """How `each` walks over what `term` gives: the Step, and (scope) -> what to put into the slots per item."""
        if term.kind == SEGMENT:
            name = term.type
            return Step(term.path, slot, SEGMENT, name, name), _segments(name, term)
        path = read_path(term.path) if term.path else None
        read = term.read
        step = Step(term.path, slot, V2, term.type, path.segment if path else "", path.field if path else 0, term.varies)
        return step, lambda scope: [(value, index, NOTHING) for index, value in enumerate(read(scope))]


def _known(segment: str) -> bool:
    return segment[0] == "Z" or tables.segment_fields(segment) > 0


def _label(path: Path) -> str:
    return str(path)


def _type(path: Path, node: FieldPath) -> str:
    name = path.segment
    if not _known(name):
        raise fault(node.place, f"unknown segment {name}", name, tables.segments())
    if name[0] == "Z" and not tables.segment_fields(name):
        return "ST"
    known = tables.segment_fields(name)
    if path.field > known:
        raise fault(node.place, f"unknown field {name}-{path.field}",
                    hint=f"{name} has {known} fields, the last is {name}-{known} ({tables.field_name(name, known)})")
    type_ = tables.field_type(name, path.field) or "ST"
    for number in (path.component, path.sub):
        if number:
            type_ = component(type_, number, node)
    return type_


def component(type_: str, number: int, node: Tree) -> str:
    """The type of a component; a primitive is its own first component. Raises MappingError when there is none."""
    found = tables.component_type(type_, number) or tables.component_type(_SAME.get(type_, type_), number)
    if found:
        return type_ if number == 1 and type_ in ("ID", "IS") else found
    if type_ == "varies" or (number == 1 and not tables.components(type_)):
        return "ST" if type_ == "varies" else type_
    names = ", ".join(f".{n} {tables.component_name(type_, n)}" for n in range(1, tables.components(type_) + 1))
    hint = f"{type_} has {names}" if names else f"{type_} has no components; write the field alone"
    raise fault(node.place, f"{type_} has no component {number}", hint=hint)


def _bound(path: Path, steps: Sequence[Step]) -> Step | None:
    """The innermost step over this very field."""
    if path.occurrence or path.repetition:
        return None
    for step in reversed(steps):
        if step.kind == V2 and step.field == path.field and step.segment == path.segment:
            return step
        if step.kind == SEGMENT and step.segment == path.segment:
            return None
    return None


def _near(name: str, steps: Sequence[Step]) -> bool:
    return any(step.kind == SEGMENT and (name in FOLLOWS.get(step.segment, ()) or name in OWNERS.get(step.segment, ())) for step in steps)


def _segment(name: str, occurrence: int, steps: Sequence[Step]) -> SegmentReader:
    """(scope) -> the segment that a path reads here, or None."""
    if occurrence:
        def numbered(scope: Scope) -> Any:
            found = scope.source.all(name)
            return found[occurrence - 1] if occurrence <= len(found) else None
        return numbered
    for step in reversed(steps):
        if step.kind != SEGMENT:
            continue
        slot = step.slot
        if step.segment == name:
            return lambda scope: scope.slots[slot]
        if name in FOLLOWS.get(step.segment, ()):
            return lambda scope: next(iter(belonging(scope.source.segments, scope.slots[slot + 1], name)), (None,))[0]
        if name in OWNERS.get(step.segment, ()):
            return lambda scope: _at(scope.source.segments, before(scope.source.segments, scope.slots[slot + 1], name))
    return lambda scope: scope.source.first(name)


def following(segments: Sequence[Any], position: int, name: str) -> Iterable[tuple[Any, int, list[str]]]:
    """The segments `name` that belong to the one at `position`: up to its next peer or owner, or another that has its own `name`."""
    leader = segments[position].name
    stops = {leader, *OWNERS.get(leader, ()), *(owner for owner in OWNERS.get(name, ()) if owner != name)}
    for index in range(position + 1, len(segments)):
        found = segments[index].name
        if found in stops:
            return
        if found == name:
            yield segments[index], index, segments[index].fields


def belonging(segments: Sequence[Any], position: int, name: str) -> Iterable[tuple[Any, int, list[str]]]:
    """The segments `name` of the one at `position`: those that its ORC brings before it (TQ1, NTE), then those that follow."""
    if segments[position].name == "OBR" and name in FOLLOWS["ORC"]:
        order = before(segments, position, "ORC")
        if order is not None:
            yield from following(segments, order, name)
    yield from following(segments, position, name)


def before(segments: Sequence[Any], position: int, name: str) -> int | None:
    """The position of the segment `name` that the one at `position` belongs to: back to where another group begins."""
    stops = OWNERS.get(name, ())
    for index in range(position - 1, -1, -1):
        found = segments[index].name
        if found == name:
            return index
        if found in stops:
            return None
    return None


def _at(segments: Sequence[Any], position: int | None) -> Any:
    return None if position is None else segments[position]


def _segments(name: str, term: Term) -> Callable[[Scope], list[tuple[Any, ...]]]:
    """All segments of a name with their positions; inside an owner's `each`, those that follow it."""
    if not term.many or term.path != name:
        read = term.read
        return lambda scope: [(found, scope.source.segments.index(found), found.fields) for found in read(scope)]
    return lambda scope: [(found, index, found.fields) for index, found in enumerate(scope.source.segments) if found.name == name]


def owned(step: Step, name: str) -> Callable[[Scope], list[tuple[Any, ...]]] | None:
    """Items of `each: [step, name]`: the segments that follow the current one, or the one before that it belongs to."""
    slot = step.slot
    if step.kind != SEGMENT:
        return None
    if name in FOLLOWS.get(step.segment, ()):
        return lambda scope: list(belonging(scope.source.segments, scope.slots[slot + 1], name))
    if name not in OWNERS.get(step.segment, ()):
        return None

    def owner(scope: Scope) -> list[tuple[Any, ...]]:
        segments = scope.source.segments
        index = before(segments, scope.slots[slot + 1], name)
        return [] if index is None else [(segments[index], index, segments[index].fields)]
    return owner


def related(step: Step, steps: Sequence[Step]) -> Callable[[Scope, int], bool] | None:
    """(scope, position) -> whether the item of `step` at that position is the current one, its owner or its own; None when
    the current items have nothing to do with such a step."""
    name = step.segment
    for outer in reversed(steps):
        if step.kind != SEGMENT or outer.kind != SEGMENT:
            continue
        place, leader = outer.slot + 1, outer.segment
        if leader == name:
            return lambda scope, position: position == scope.slots[place]
        if name in OWNERS.get(leader, ()):
            return lambda scope, position: position == before(scope.source.segments, scope.slots[place], name)
        if name in FOLLOWS.get(leader, ()):
            return lambda scope, position: before(scope.source.segments, position, leader) == scope.slots[place]
    return None


def _item(slot: int) -> Reads:
    return flat(f"[scope.slots[{slot}]]")


def _part(slot: int, path: Path) -> Reads:
    component, sub = path.component, path.sub

    def read(item: Value) -> list[Any]:
        value = item.component(component)
        if sub:
            value = value.component(sub)
        return [value] if value.raw else NOTHING
    return flat(f"{{read}}(scope.slots[{slot}])", read=read)


def _part_texts(slot: int, path: Path) -> Callable[[Scope], list[str]]:
    return flat(f"[text] if (text := scope.slots[{slot}].text({path.component}, {path.sub or 1})) else {{nothing}}", nothing=NOTHING)


def _quick_values(slot: int, path: Path) -> Reads:
    """The values at a path over fields that are split already."""
    repetition, component, sub = path.repetition, path.component, path.sub
    index = component - 1

    def whole(raw: str, scope: Scope) -> list[Any]:
        seps = scope.seps
        if scope.repeat in raw:
            return [Value(one, seps) for one in raw.split(scope.repeat) if one]
        return [Value(raw, seps)]

    def parts(raw: str, scope: Scope) -> list[Any]:
        found = raw.split(scope.repeat) if scope.repeat in raw else (raw,)
        if repetition:
            found = found[repetition - 1:repetition]
        if not component:
            return [Value(one, scope.seps) for one in found if one]
        values = []
        for one in found:
            pieces = one.split(scope.split)
            if index < len(pieces) and (piece := pieces[index]):
                values.append(Value(piece, scope.inner))
        if sub:
            values = [inner for value in values if (inner := value.component(sub)).raw]
        return values
    return _raw(slot, path.field, parts if repetition or component else whole)


def _raw(slot: int, field: int, act: Callable[[str, Scope], Any]) -> Reads:
    """What `act` makes of a field as it was sent; nothing for one that is absent."""
    return flat(f"{{act}}(raw, scope) if len(fields := scope.slots[{slot}]) > {field} and (raw := fields[{field}]) else {{nothing}}",
                act=act, nothing=NOTHING)


def _quick_texts(slot: int, path: Path) -> Callable[[Scope], list[str]]:
    """The texts at a path over fields that are split already; letters and digits hold no separator and no escape."""
    repetition, component, sub = path.repetition, path.component or 1, path.sub or 1
    index = component - 1

    first = [component, sub, repetition or 1] == [1, 1, 1]

    def texts(raw: str, scope: Scope) -> list[str]:
        if raw.isalnum():
            return [raw] if first else NOTHING
        seps = scope.seps
        if repetition or scope.repeat in raw:
            found = raw.split(scope.repeat)
            if repetition:
                found = found[repetition - 1:repetition]
            return [text for one in found if (text := Value(one, seps).text(component, sub))]
        parts = raw.split(scope.split)
        if index >= len(parts) or not (part := parts[index]):
            return NOTHING
        if sub == 1 and part.isalnum():
            return [part]
        text = Value(raw, seps).text(component, sub)
        return [text] if text else NOTHING
    return _raw(slot, path.field, texts)


def survey(message: Any, firsts: dict[str, int], slots: list[Any]) -> dict[str, int]:
    """Put the fields of first segments into their slots; returns which fields are there, a byte each, by segment name."""
    masks: dict[str, int] = {}
    for segment in message.segments:
        name, fields = segment.name, segment.fields
        mask = int.from_bytes(bytes(map(bool, fields)), "little")
        known = masks.get(name)
        if known is None:
            masks[name] = mask
            if name in firsts:
                slots[firsts[name]] = fields
        elif known | mask != known:
            masks[name] = known | mask
    return masks


def _values(segment: SegmentReader, path: Path) -> Reads:
    field, repetition, component, sub = path.field, path.repetition, path.component, path.sub

    def whole(scope: Scope) -> list[Any]:
        found = segment(scope)
        if found is None:
            return NOTHING
        values = found.values(field)
        return [value for value in values if value.raw] if len(values) > 1 else values

    def parts(scope: Scope) -> list[Any]:
        found = segment(scope)
        if found is None:
            return NOTHING
        values = found.values(field)
        if repetition:
            values = values[repetition - 1:repetition]
        if component:
            values = [value.component(component) for value in values]
        if sub:
            values = [value.component(sub) for value in values]
        return [value for value in values if value.raw]
    return parts if repetition or component else whole


def _texts(segment: SegmentReader, path: Path) -> Callable[[Scope], list[str]]:
    field, repetition, component, sub = path.field, path.repetition, path.component or 1, path.sub or 1

    def texts(scope: Scope) -> list[str]:
        found = segment(scope)
        if found is None:
            return NOTHING
        values = found.values(field)
        if repetition:
            values = values[repetition - 1:repetition]
        return [text for value in values if (text := value.text(component, sub))]
    return texts


def _value_type(segment: SegmentReader, slot: int | None) -> Callable[[Scope], str]:
    """OBX-2 of the segment that an OBX-5 is read from; from its fields in `slot` when they are split already."""
    def read(scope: Scope) -> str:
        found = segment(scope)
        return found.text(2) if found is not None else ""
    if slot is None:
        return read
    return flat(f"said if len(fields := scope.slots[{slot}]) > 2 and (said := fields[2]).isalnum() else {{read}}(scope)", read=read)
