"""Writes tables.json from hl7apy's reference tables: `python -m bridge.hl7v2.tables_from_hl7apy`.

2.5.1 comes first, 2.8.2 adds the segments, fields and components that 2.5.1 lacks (ARV, PRT, PID-40), 2.3 the retired
ones. Only facts are taken: names, numbers, types, cardinality. hl7apy is not needed at run time.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

VERSIONS = ("2_5_1", "2_8_2", "2_3")
TARGET = Path(__file__).with_name("tables.json")
LATER: dict[str, list[tuple[int, list[Any]]]] = {
    "MSH": [(26, ["security classification tag", "CWE", "0952", 0, 1]), (27, ["security handling instructions", "CWE", "", 0, -1]),
            (28, ["special access restriction instructions", "ST", "", 0, -1])],
    "PRT": [(23, ["preferred method of contact", "CWE", "0185", 0, 1]), (24, ["contact identifiers", "PLN", "", 0, -1])],
}
"""Fields of 2.9, which hl7apy does not have."""
OPTIONAL_IN_PRACTICE = {"ADT_A05": {"PV1"}}
"""A28 and A31 are about a person, not a visit: feeds leave PV1 out although the structure asks for it."""

Row = list[Any]


def generate() -> dict[str, Any]:
    """Return the tables: segments, types and required segments by structure."""
    segments: dict[str, list[Row]] = {}
    types: dict[str, list[Row]] = {}
    for version in VERSIONS:
        _extend(segments, _reference(version, "segments", "SEGMENTS"))
        _extend(types, _reference(version, "datatypes", "DATATYPES_STRUCTS"))
    for segment, fields in LATER.items():
        _extend(segments, {segment: [(f"{segment}_{number}", row) for number, row in fields]})
    messages = import_module("hl7apy.v2_5_1.messages").MESSAGES
    types = _referred(segments, types)
    required = {name: _required(name, reference) for name, reference in messages.items() if name != "ACK"}
    return {
        "segments": dict(sorted(segments.items())),
        "types": dict(sorted(types.items())),
        "required": {name: found for name, found in sorted(required.items()) if found},
    }


def text(tables: dict[str, Any]) -> str:
    """Return the tables as JSON with one line per entry, so that a change shows as a line."""
    blocks = []
    for name, entries in tables.items():
        lines = [f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in entries.items()]
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _reference(version: str, module: str, name: str) -> dict[str, list[tuple[str, Row]]]:
    """Return (child name, row) lists by parent, as this version has them."""
    source = getattr(import_module(f"hl7apy.v{version}.{module}"), name)
    found: dict[str, list[tuple[str, Row]]] = {}
    for parent, reference in source.items():
        children = reference if module == "datatypes" else reference[1]
        if parent.startswith("ANY") or any(not isinstance(child[1], tuple | list) for child in children):
            continue
        found[parent] = [(child[0], _row(child)) for child in children]
    return found


def _row(child: Any) -> Row:
    _, _, type_, name, table, *_ = child[1]
    least, most = child[2]
    withdrawn = type_ in (None, "WD")
    type_ = "" if withdrawn else type_.removesuffix("_SIMPLE")
    return [name.lower().replace("_", " "), type_, (table or "").removeprefix("HL7"), least, most]


def _extend(known: dict[str, list[Row]], more: dict[str, list[tuple[str, Row]]]) -> None:
    """Add parents that are not known, and positions beyond or empty in those that are."""
    for parent, children in more.items():
        if parent.endswith("_SIMPLE"):
            continue
        rows = known.setdefault(parent, [])
        for child, row in children:
            position = int(child.rsplit("_", 1)[1])
            while len(rows) < position:
                rows.append(["", "", "", 0, 1])
            if not rows[position - 1][1]:
                rows[position - 1] = row


def _referred(segments: dict[str, list[Row]], types: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Return the types that a field, or a component of such a type, has; and what OBX-5 may hold."""
    kept: dict[str, list[Row]] = {}
    open_ = {row[1] for rows in segments.values() for row in rows} | {"CF", "NR", "RP", "AD"}
    while open_:
        name = open_.pop()
        if name in types and name not in kept:
            kept[name] = types[name]
            open_ |= {row[1] for row in types[name]}
    return kept


def _required(structure: str, reference: Any) -> list[str]:
    """Return the segments that every instance of the structure has, in order."""
    names: list[str] = []
    for name, child, (least, _), kind in reference[1]:
        if least and kind == "SEG" and isinstance(child, tuple | list):
            names.append(name)
        elif least and kind == "GRP":
            names.extend(_required(structure, child))
    left_out = OPTIONAL_IN_PRACTICE.get(structure, set())
    return [name for name in names if len(name) == 3 and name not in left_out]


if __name__ == "__main__":
    TARGET.write_text(text(generate()), encoding="utf-8")
