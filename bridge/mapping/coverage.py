"""Which fields are used, which are not, and why not: of one message, and of HL7's segments as a whole. Never a value.

A field that no mapping reads is either left on purpose, with its reason in `left.csv` (columns `field,reason`; a field
as `PV1-18`, several as `PV1-21..35`, a component as `PV1-3.9`, a segment as `UB1`), or open.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path as Folder
from typing import Any

from bridge.core.errors import MappingError
from bridge.core.ids import Ids
from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.language import expr
from bridge.language.scope import Asked
from bridge.language.syntax import Entries, Items, Node, Scalar, items, nearest
from bridge.mapping.explain import explain, fields
from bridge.mapping.program import Program

ENVELOPE = ("MSH-1", "MSH-2", "MSH-9", "MSH-12", "MSH-18")
"""Fields that say how to read a message; the reader uses them."""
SEGMENTS = tuple("MSH EVN PID PD1 NK1 ROL PRT PV1 PV2 DG1 PRB PR1 AL1 OBX IN1 IN2 GT1 ORC OBR RF1 PRD TXA MRG CON ARV NTE ACC".split())
"""The segments whose every field is mapped or left on purpose."""
OPEN = "no mapping row"
LEFT = "left.csv"
_RANGE = re.compile(r"(\w{3}-)(\d+)\.\.(\d+)")
_CONTROLS = ("each", "when", "key", "id")

Left = Mapping[str, str]
"""Reason by field, component or segment."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The filled fields of a message: used ones and unused ones, with how many segments have each, and why not.

    `unused` also names components (`PV1-3.9`) of fields that are used in part; `why` has every name of `unused`.
    """

    used: dict[str, int]
    unused: dict[str, int]
    why: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The part of the filled fields that is used, from 0 to 1."""
        total = len(self.used) + sum("." not in name for name in self.unused)
        return len(self.used) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One field of a segment: the elements that it goes to, as (element, file:line), or the reason why to none."""

    field: str
    name: str
    mapped: tuple[tuple[str, str], ...] = ()
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it is neither mapped nor left."""
        return not self.mapped and not self.reason


def coverage(program: Program, message: Any, sender: Asked, ids: Ids, left: Left | None = None) -> Coverage:
    """What this message holds, as fields (`PV1-3`) or members of a record or resource, and whether it was used."""
    if program.language != "hl7v2":
        return _members(program, message)
    used, why = _used(program, message, sender, ids)
    known = left or {}
    found: dict[str, int] = {}
    unused: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for segment in message.segments:
        for number, raw in enumerate(segment.fields):
            if not number or not raw:
                continue
            name = f"{segment.name}-{number}"
            parts = used.get(name)
            into = unused if parts is None else found
            into[name] = into.get(name, 0) + 1
            if parts is None:
                reasons[name] = why.get(name) or known.get(name) or known.get(segment.name) or OPEN
                continue
            for part in _parts(segment, number) - parts if 0 not in parts else ():
                unused[f"{name}.{part}"] = unused.get(f"{name}.{part}", 0) + 1
                reasons[f"{name}.{part}"] = known.get(f"{name}.{part}") or known.get(name) or OPEN
    return Coverage(found, unused, reasons)


def _members(program: Program, document: Mapping[str, Any]) -> Coverage:
    known = {read.split(".")[0] for read in program.reads} | {"resourceType", "record_type"}
    unused = {name: 1 for name in document if name not in known}
    return Coverage({name: 1 for name in document if name in known}, unused, dict.fromkeys(unused, OPEN))


def _used(program: Program, message: Any, sender: Asked, ids: Ids) -> tuple[dict[str, set[int]], dict[str, str]]:
    """(components used by field, 0 the whole; why the rows of the other fields gave nothing)."""
    used: dict[str, set[int]] = {}
    why: dict[str, str] = {}
    _add(used, ENVELOPE)
    _add(used, program.reads - {read for lines in program.lines.values() for line in lines for read in line.reads})
    absent: dict[str, str] = {}
    made = set()
    for row in explain(program, message, sender, ids):
        if row.resource:
            made.add(row.emit)
        else:
            absent.setdefault(row.emit, f"no {row.element}: {row.why} ({row.place})")
        for source in row.sources:
            if row.given:
                _add(used, [source.path])
            elif source.shape:
                why.setdefault(_field(source.path), f"no {row.element}: {row.why} ({row.place})")
    for name in program.emits:
        if name in made:
            _add(used, (path for path, _ in controls(program, name)))
        for line in program.lines[name] if name in absent and name not in made else ():
            for read in line.reads:
                why.setdefault(_field(read), absent[name])
    return used, why


def _add(used: dict[str, set[int]], reads: Iterable[str]) -> None:
    for read in reads:
        if name := _field(read):
            used.setdefault(name, set()).add(paths.parse(read).component)


def _field(read: str) -> str:
    """`PV1-3` of `PV1[2]-3[1].4.1`; "" of a segment or a name."""
    path = paths.parse(read) if read[:3].isupper() else None
    return f"{path.segment}-{path.field}" if path is not None and path.field else ""


def _parts(segment: Any, number: int) -> set[int]:
    """The components of a field that hold something."""
    return {index for value in segment.values(number) for index, part in enumerate(value.parts, 1) if part}


def controls(program: Program, name: str) -> Iterator[tuple[str, str]]:
    """(path, file:line) of everything that the each, when and key of an emit and of its objects read."""
    node = program.spec.emits.values[name]
    lets = {key.text: value for key, value in program.spec.lets}
    own = node.get("let") if isinstance(node, Entries) else None
    lets |= {key.text: value for key, value in own} if isinstance(own, Entries) else {}
    for scalar in _controls(node):
        for path in fields(expr.parse(scalar), lets):
            yield path, f"{scalar.place.source.name}:{scalar.place.line}"


def _controls(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Items):
        for item in node.items:
            yield from _controls(item)
    elif isinstance(node, Entries):
        for key, value in node:
            if key.text in _CONTROLS:
                yield from (item for item in items(value) if isinstance(item, Scalar) and item.expression is not None)
            else:
                yield from _controls(value)


def named(field: str) -> str:
    """HL7's own name of a field or component: `assigned patient location` for PV1-3; "" when unknown."""
    path = paths.parse(field)
    name = tables.field_name(path.segment, path.field)
    part = tables.component_name(tables.field_type(path.segment, path.field), path.component) if path.component else ""
    return f"{name}: {part}" if part else name


def rows(programs: Iterable[Program], left: Left, segments: Sequence[str] = SEGMENTS) -> list[Row]:
    """Every field of these segments, and of any other that a mapping reads: mapped and where to, left and why, or open."""
    mapped: dict[str, dict[tuple[str, str], None]] = {name: {("the reader", ""): None} for name in ENVELOPE}
    decided: dict[str, dict[tuple[str, str], None]] = {}
    for program in programs:
        if program.language != "hl7v2":
            continue
        for lines in program.lines.values():
            for line in lines:
                for read in line.reads:
                    mapped.setdefault(_field(read), {})[line.element, f"{line.file}:{line.line}"] = None
        for name, emit in program.emits.items():
            for read, place in controls(program, name):
                decided.setdefault(_field(read), {})[f"decides on {emit.face.type} `{name}`", place] = None
    mapped |= {name: places for name, places in decided.items() if name not in mapped}
    further = sorted({name[:3] for name in mapped if name} - set(segments))
    return [_row(segment, number, mapped, left) for segment in (*segments, *further) for number in range(1, tables.segment_fields(segment) + 1)]


def _row(segment: str, number: int, mapped: Mapping[str, Mapping[tuple[str, str], None]], left: Left) -> Row:
    name = f"{segment}-{number}"
    places = tuple(mapped.get(name, ()))
    return Row(name, tables.field_name(segment, number), places, left.get(name) or ("" if places else left.get(segment, "")))


def read_left(folders: Sequence[Folder | Traversable]) -> dict[str, str]:
    """The reasons in `left.csv` of these folders, an earlier folder's first; raises MappingError with file and line."""
    found: dict[str, str] = {}
    for folder in folders:
        file = folder / LEFT
        if file.is_file():
            name = f"{folder.name}/{LEFT}"
            for place, reason in _left(file.read_text(encoding="utf-8"), name):
                found.setdefault(place, reason)
    return found


def _left(text: str, name: str) -> Iterator[tuple[str, str]]:
    lines = [(number, line) for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1)
             if line.strip() and not line.startswith("#")]
    seen: dict[str, int] = {}
    for (number, _), cells in zip(lines, csv.reader(line for _, line in lines), strict=True):
        if number == lines[0][0]:
            if cells != ["field", "reason"]:
                raise MappingError(f"{name}:{number}:1: the columns are field,reason")
            continue
        place = f"{name}:{number}:1"
        if len(cells) != 2 or not cells[1].strip():
            raise MappingError(f"{place}: a row is a field and its reason; quote a reason that holds commas")
        for each in _each(cells[0]):
            _known(each, place)
            if each in seen:
                raise MappingError(f"{place}: {each} is on line {seen[each]} already")
            seen[each] = number
            yield each, cells[1].strip()


def _each(field: str) -> Iterator[str]:
    """`AUT-7..29` field by field; anything else, also a range that runs backwards, as it is."""
    ends = _RANGE.fullmatch(field)
    if ends is None or int(ends[2]) >= int(ends[3]):
        yield field
    else:
        yield from (f"{ends[1]}{number}" for number in range(int(ends[2]), int(ends[3]) + 1))


def _known(field: str, place: str) -> None:
    try:
        path = paths.parse(field)
    except ValueError as error:
        raise MappingError(f"{place}: {str(error).partition(': ')[2]}") from None
    known = tables.segment_fields(path.segment)
    if not known and path.segment[0] != "Z":
        raise MappingError(f"{place}: unknown segment {path.segment}\n      {nearest(path.segment, tables.segments())}")
    if known and path.field > known:
        raise MappingError(f"{place}: unknown field {field}; {path.segment} has {known} fields")
