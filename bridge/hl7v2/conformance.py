"""A slow, thorough look at one message with hl7apy's reference tables: for people, never on the way of a message.

hl7apy sees one field at a time and no groups: with groups it silently loses the segments its structure does not list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hl7apy import load_library
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException, MaxChildLimitReached, MaxLengthReached
from hl7apy.parser import parse_field
from hl7apy.validation import Validator

from bridge.core.issue import Issue
from bridge.hl7v2.message import NULL, Message, Segment
from bridge.hl7v2.separators import Separators

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
ANY_NUMBER = -1


def check(message: Message) -> list[Issue]:
    """Return what the message's own HL7 version forbids, segment by segment; never raises and never quotes a value.

    Structure and cardinality are errors, data types and lengths too, codes outside an HL7 table (type ID) warnings.
    """
    version = _version(message.version)
    issues = list(_structure(message, version))
    seen: Counter[str] = Counter()
    for segment in message.segments:
        seen[segment.name] += 1
        place = segment.name if seen[segment.name] == 1 else f"{segment.name}[{seen[segment.name]}]"
        issues.extend(_segment(segment, place, version))
    return issues


def _version(sent: str) -> str:
    """Return the version that hl7apy knows: the one sent, 2.5.1 when none is, the newest for a newer one."""
    if not sent:
        return "2.5.1"
    return sent if sent in VERSIONS else VERSIONS[-1] if sent > VERSIONS[-1] else "2.5.1"


def _structure(message: Message, version: str) -> Iterator[Issue]:
    """Say which segments the structure misses and which it does not list."""
    reference = _find(message.structure, "Message", version)
    if reference is None:
        yield Issue(
            "warning",
            "BRG-H040",
            "MSH-9",
            f"HL7 {version} has no message structure of this name",
            "check MSH-9.3",
            "not-supported",
        )
        return
    needed, listed = _names(reference)
    present = [segment.name for segment in message.segments]
    for name in needed:
        if name not in present:
            yield Issue(
                "error", "BRG-H041", name, f"the structure requires {name} and the message has none", "", "required"
            )
    for name in dict.fromkeys(present):
        if name not in listed and not name.startswith("Z"):
            yield Issue(
                "information",
                "BRG-H042",
                name,
                f"the structure does not list {name}",
                "it is read all the same",
                "structure",
            )


def _names(reference: Any, required: bool = True) -> tuple[list[str], set[str]]:
    """Return the required and the listed segment names of a structure, groups opened."""
    needed: list[str] = []
    listed: set[str] = set()
    for name, child, (least, _), kind in reference[1]:
        if kind == "SEG":
            listed.add(name)
            needed.extend([name] if least and required else [])
        else:
            inner_needed, inner = _names(child, required and bool(least))
            needed.extend(inner_needed)
            listed |= inner
    return needed, listed


def _segment(segment: Segment, place: str, version: str) -> Iterator[Issue]:
    reference = _find(segment.name, "Segment", version)
    if reference is None:
        if not segment.name.startswith("Z"):
            yield Issue(
                "warning", "BRG-H043", place, f"HL7 {version} has no segment {segment.name}", "", "not-supported"
            )
        return
    for name, (kind, _, type_, _, table, *_), (least, most), _ in reference[1]:
        number = int(name.rsplit("_", 1)[1])
        where = f"{place}-{number}"
        values = [value.raw for value in segment.values(number)]
        if least and not any(values):
            yield Issue("error", "BRG-H044", where, f"HL7 {version} requires this field", "", "required")
        if most not in (ANY_NUMBER, 0) and len(values) > most:
            yield Issue(
                "error",
                "BRG-H045",
                where,
                f"HL7 {version} allows {most} repetition(s) here, {len(values)} were sent",
                "",
                "structure",
            )
        if segment.name == "MSH" and number < 3:
            continue
        for index, raw in enumerate(values, 1):
            spot = where if len(values) == 1 else f"{where}[{index}]"
            yield from _value(raw, name, spot, version, segment.seps, "" if kind == "leaf" else type_)
            if kind == "leaf" and type_ == "ID" and raw and raw != NULL and not _in_table(raw, table, version):
                yield Issue(
                    "warning",
                    "BRG-H047",
                    spot,
                    f"the code is not in HL7 table {table.removeprefix('HL7')} of version {version}",
                    "translate it in the feed's file",
                    "code-invalid",
                )


def _value(raw: str, name: str, where: str, version: str, seps: Separators, complex_: str) -> Iterator[Issue]:
    """Say when one repetition does not have the data type of its field."""
    if not raw or raw == NULL:
        return
    marks = {
        "FIELD": seps.field,
        "COMPONENT": seps.component,
        "REPETITION": seps.repetition or "~",
        "ESCAPE": seps.escape or "\\",
        "SUBCOMPONENT": seps.sub or "&",
        "SEGMENT": "\r",
        "GROUP": "\r",
    }
    try:
        field = parse_field(
            raw, name=name, version=version, encoding_chars=marks, validation_level=VALIDATION_LEVEL.STRICT
        )
        if complex_:
            Validator.validate(field)
    except MaxLengthReached:
        yield Issue("error", "BRG-H046", where, f"a part is longer than HL7 {version} allows", "", "too-long")
    except MaxChildLimitReached:
        yield Issue(
            "error",
            "BRG-H048",
            where,
            f"it has more parts than its type has in HL7 {version}",
            "the sender may write a newer version than MSH-12 says",
            "structure",
        )
    except (HL7apyException, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        # hl7apy's texts quote values, so only the kind of the fault is said; the last four are faults of its own.
        yield Issue(
            "error",
            "BRG-H049",
            where,
            f"the content is none of type {complex_ or 'that HL7 asks for'} ({type(error).__name__})",
            "compare it with HL7's definition of the type",
            "value",
        )


def _in_table(code: str, table: str | None, version: str) -> bool:
    reference = _find(table, "Table", version) if table else None
    return reference is None or not reference[1] or code in reference[1]


def _find(name: str | None, kind: str, version: str) -> Any:
    """Return hl7apy's reference, None when it has none of this name."""
    try:
        return load_library(version).get(name, kind)
    except (HL7apyException, KeyError, AttributeError, TypeError):
        return None
