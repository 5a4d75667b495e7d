"""What HL7 says a field is: names, types, cardinality, and which structure an event has. Facts from tables.json."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

NAME, TYPE, TABLE, LEAST, MOST = range(5)

EVENTS: dict[str, dict[str, str]] = {
    "ADT_A01": {"ADT": "A01 A04 A08 A13"},
    "ADT_A05": {"ADT": "A05 A14 A28 A31"},
    "ADT_A06": {"ADT": "A06 A07"},
    "ADT_A09": {"ADT": "A09 A10 A11"},
    "ADT_A21": {"ADT": "A21 A22 A23 A25 A26 A27 A29 A32 A33"},
    "ADT_A30": {"ADT": "A30 A34 A35 A36 A46 A47 A48 A49"},
    "ADT_A39": {"ADT": "A39 A40 A41 A42"},
    "ADT_A43": {"ADT": "A43 A44"},
    "ADT_A50": {"ADT": "A50 A51"},
    "ADT_A52": {"ADT": "A52 A53 A55"},
    "ADT_A61": {"ADT": "A61 A62"},
    "MDM_T01": {"MDM": "T01 T03 T05 T07 T09 T11"},
    "MDM_T02": {"MDM": "T02 T04 T06 T08 T10"},
    "PPR_PC1": {"PPR": "PC1 PC2 PC3"},
    "PGL_PC6": {"PGL": "PC6 PC7 PC8"},
    "REF_I12": {"REF": "I12 I13 I14 I15"},
    "RRI_I12": {"RRI": "I12 I13 I14 I15"},
    "SIU_S12": {"SIU": "S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26"},
    "SRM_S01": {"SRM": "S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11"},
}
"""Events that share a structure; every other event has the one of its own name (HL7 v2.5.1 ch.2 table 0354)."""


def field_type(segment: str, field: int) -> str:
    """Return the data type of a field, `field_type("PID", 3) == "CX"`; "" when HL7 does not know it (Z segments)."""
    return str(_cell("segments", segment, field, TYPE))


def field_name(segment: str, field: int) -> str:
    """Return HL7's name of a field in lower case, "" when unknown."""
    return str(_cell("segments", segment, field, NAME))


def required(segment: str, field: int) -> bool:
    """Say whether HL7 requires the field."""
    return bool(_cell("segments", segment, field, LEAST))


def repeats(segment: str, field: int) -> bool:
    """Say whether HL7 lets the field hold more than one value; so for a field that it does not know."""
    return str(_cell("segments", segment, field, MOST)) != "1"


def segment_fields(segment: str) -> int:
    """Return how many fields the segment has, 0 when HL7 does not know it."""
    return len(_load()["segments"].get(segment, ()))


def segments() -> tuple[str, ...]:
    """Return the names of all segments that HL7 knows, sorted."""
    return tuple(_load()["segments"])


def component_type(type_: str, component: int) -> str:
    """Return the type of a component, `component_type("CX", 4) == "HD"`; "" when the type has no such component."""
    return str(_cell("types", type_, component, TYPE))


def component_name(type_: str, component: int) -> str:
    """Return HL7's name of a component in lower case, "" when unknown."""
    return str(_cell("types", type_, component, NAME))


def components(type_: str) -> int:
    """Return how many components the type has; 0 for a primitive or unknown one."""
    return len(_load()["types"].get(type_, ()))


def structure(code: str, trigger: str) -> str:
    """Return the message structure of an event, `structure("ADT", "A04") == "ADT_A01"`; without trigger the code."""
    if code == "ACK":
        return "ACK"
    return _structures().get((code, trigger)) or (f"{code}_{trigger}" if code and trigger else code)


def required_segments(structure_: str) -> tuple[str, ...]:
    """Return the segments that every message of this structure has, in order; () when HL7 does not know it."""
    return tuple(_load()["required"].get(structure_, ()))


@cache
def _load() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(files("bridge.hl7v2").joinpath("tables.json").read_bytes())
    return tables


@cache
def _structures() -> dict[tuple[str, str], str]:
    return {
        (code, trigger): name
        for name, events in EVENTS.items()
        for code, triggers in events.items()
        for trigger in triggers.split()
    }


def _cell(block: str, name: str, position: int, column: int) -> Any:
    rows = _load()[block].get(name, ())
    return rows[position - 1][column] if 0 < position <= len(rows) else ""
