"""Which fields of a message a mapping reads, and which it passes over. Paths and counts only, never a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.hl7v2 import path as paths
from bridge.hl7v2 import tables
from bridge.mapping.program import Program

ENVELOPE = frozenset({("MSH", 1), ("MSH", 2), ("MSH", 9), ("MSH", 12), ("MSH", 18)})
"""Fields that say how to read a message; the reader uses them."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The fields that hold something: read by the mapping or not, each with how many segments have it."""

    used: dict[str, int]
    unused: dict[str, int]

    @property
    def share(self) -> float:
        """The part of the filled fields that is read, from 0 to 1."""
        total = len(self.used) + len(self.unused)
        return len(self.used) / total if total else 1.0


def coverage(program: Program, messages: Iterable[Any]) -> Coverage:
    """What these messages hold and the mapping reads: HL7 fields (`PV1-3`), or members of a record or resource."""
    used: dict[str, int] = {}
    unused: dict[str, int] = {}
    known = _fields(program) if program.language == "hl7v2" else frozenset(read.split(".")[0] for read in program.reads)
    for message in messages:
        for name in _hl7(message) if program.language == "hl7v2" else message:
            read = name in known
            found = used if read else unused
            found[name] = found.get(name, 0) + 1
    return Coverage(dict(sorted(used.items())), dict(sorted(unused.items())))


def named(field: str) -> str:
    """HL7's own name of a field: `assigned patient location` for PV1-3; "" when unknown."""
    path = paths.parse(field)
    return tables.field_name(path.segment, path.field)


def _fields(program: Program) -> frozenset[str]:
    found = {f"{segment}-{field}" for segment, field in ENVELOPE}
    for read in program.reads:
        path = paths.parse(read) if read[:3].isupper() else None
        if path is not None and path.field:
            found.add(f"{path.segment}-{path.field}")
    return frozenset(found)


def _hl7(message: Any) -> list[str]:
    return [f"{segment.name}-{number}" for segment in message.segments
            for number, raw in enumerate(segment.fields) if number and raw]
