"""Messages that go out: everything is escaped on the way, so that no value can become a field or a segment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from bridge.core.issue import Issue
from bridge.hl7v2 import path, text
from bridge.hl7v2.message import Segment
from bridge.hl7v2.separators import DEFAULT, Separators, escape


class Null:
    """HL7 null: tells the receiver to delete what it has (HL7 v2.5.1 ch.2 §2.7.5)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL"


NULL: Final = Null()

Part = str | Null | None | tuple["str | Null | None", ...]
Content = str | Null | None | tuple[Part, ...]
Field = Content | list[Content]
"""A text; a tuple of components, each a text or a tuple of subcomponents; a list of repetitions of these."""

CONDITIONS = {
    "structure": "100",
    "required": "101",
    "incomplete": "101",
    "invalid": "102",
    "value": "102",
    "code-invalid": "103",
    "too-long": "104",
    "not-supported": "200",
    "not-found": "204",
    "duplicate": "205",
    "lock-error": "206",
}
"""HL7 table 0357 by the kind of an issue; anything else is 207, a fault of the application."""

UNSUPPORTED = {"MSH-9.1": "200", "MSH-9.2": "201", "MSH-9": "200", "MSH-11": "202", "MSH-12": "203"}

_NAME = re.compile("[A-Z][A-Z0-9]{2}")


def write(segments: Iterable[Sequence[Field]], seps: Separators = DEFAULT, charset: str = "utf-8") -> bytes:
    """Return the message: each segment is its name and its fields, so that index n is field n; CR after each.

    In MSH the places of MSH-1 and MSH-2 (index 1 and 2) are filled from `seps`, whatever stands there. Raises
    ValueError for a segment name that is none, a separator where none is declared, or a character that `charset` lacks.
    """
    return "".join(f"{_segment(segment, seps)}\r" for segment in segments).encode(charset)


def head(
    *,
    sender: Content,
    receiver: Content,
    time: datetime,
    event: tuple[str, ...],
    control_id: str,
    processing: str = "P",
    version: str = "2.5.1",
    charset: str = "UNICODE UTF-8",
) -> list[Field]:
    """Return an MSH for `write`.

    `sender` and `receiver` are (application, facility), each a text or the parts of an HD;
    `event` is MSH-9, as ("ORU", "R01", "ORU_R01"); `time` carries an offset."""
    mine, theirs = _pair(sender), _pair(receiver)
    return [
        "MSH",
        None,
        None,
        *mine,
        *theirs,
        stamp(time),
        None,
        event,
        control_id,
        processing,
        version,
        None,
        None,
        None,
        None,
        None,
        charset,
    ]


def stamp(time: datetime) -> str:
    """Return the time as HL7 writes it, to the second, with its offset. Raises ValueError when it has none."""
    if time.tzinfo is None:
        raise ValueError("a time that goes out must carry an offset")
    return time.strftime("%Y%m%d%H%M%S%z")[:19]


def acknowledge(
    header: Segment | None,
    code: str,
    issues: Iterable[Issue] = (),
    *,
    control_id: str,
    time: datetime,
    sender: tuple[str, str] = ("SDOHBRIDGE", ""),
) -> bytes:
    """Return the answer to a message: MSH with sender and receiver swapped, MSA, and one ERR per issue.

    `code` is one of AA AE AR CA CE CR (HL7 table 0008). `header` is the MSH answered; None when it could not be read,
    then `sender` is who we are. Separators, version, processing id and character set are those of the message. Raises
    ValueError for an unknown code and for a message that is an answer itself: an answer is never answered.
    """
    if code not in ("AA", "AE", "AR", "CA", "CE", "CR"):
        raise ValueError(f"'{code}' is no acknowledgement code; they are AA, AE, AR, CA, CE, CR")
    if header is None:
        msh = head(sender=sender, receiver=("", ""), time=time, event=("ACK",), control_id=control_id)
        return write([msh, ["MSA", code, ""], *_faults(issues, "2.5.1")])
    if header.text(9) == "ACK":
        raise ValueError("an acknowledgement is not acknowledged")
    seps, version = header.seps, header.text(12).strip()
    msh = [
        "MSH",
        None,
        None,
        *(_copied(header, field) for field in (5, 6, 3, 4)),
        stamp(time),
        None,
        _event(header.text(9, 2), version),
        control_id,
        _copied(header, 11),
        _copied(header, 12),
        None,
        None,
        None,
        None,
        None,
        _copied(header, 18),
    ]
    written: list[list[Field]] = [msh, ["MSA", code, header.text(10)], *_faults(issues, version)]
    charset = text.charset_of(header.text(18)) or "ascii"
    try:
        return write(written, seps, "utf-8" if charset[:6] in ("utf-16", "utf-32") else charset)
    except UnicodeEncodeError:
        msh[18] = "UNICODE UTF-8"
        return write(written, seps)


def location(where: str) -> tuple[str, ...]:
    """Return a field path as ERR-2 has it: segment, its number, field, repetition and so on; () when it is no path."""
    try:
        found = path.parse(where)
    except ValueError:
        return ()
    numbers = (
        found.occurrence or 1,
        found.field,
        found.repetition or (1 if found.field else 0),
        found.component,
        found.sub,
    )
    return (found.segment, *(str(number) if number else "" for number in numbers))


def condition(issue: Issue) -> str:
    """Return the code of HL7 table 0357 for an issue."""
    if issue.kind == "not-supported":
        return UNSUPPORTED.get(issue.where, "200")
    return CONDITIONS.get(issue.kind, "207")


def _faults(issues: Iterable[Issue], version: str) -> list[list[Field]]:
    """Return ERR segments: one per issue from 2.5 on, before that one with a repetition of ERR-1 per issue."""
    listed = list(issues)
    if not listed:
        return []
    if _older(version, (2, 5)):
        return [["ERR", [_before_25(issue) for issue in listed]]]
    return [
        [
            "ERR",
            None,
            location(issue.where),
            (condition(issue), None, "HL70357"),
            _severity(issue, version),
            (issue.code, None, "L"),
            None,
            issue.hint,
            issue.text,
        ]
        for issue in listed
    ]


def _before_25(issue: Issue) -> Content:
    place = location(issue.where)
    return (*(place[:3] or ("", "", "")), (condition(issue), None, "HL70357"))


def _severity(issue: Issue, version: str) -> str:
    letter = {"fatal": "F", "error": "E", "warning": "W"}.get(issue.severity, "I")
    return "E" if letter == "F" and _older(version, (2, 6)) else letter


def _event(trigger: str, version: str) -> tuple[str, ...]:
    """Return MSH-9 of an answer: 2.1 knows the code alone, structures come with 2.3.1."""
    if not trigger or (version and _older(version, (2, 2))):
        return ("ACK",)
    return ("ACK", trigger) if version and _older(version, (2, 3, 1)) else ("ACK", trigger, "ACK")


def _older(version: str, than: tuple[int, ...]) -> bool:
    """Say whether a version such as 2.3.1 comes before another; what says nothing is taken for 2.5.1."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    return bool(numbers) and numbers < than


def _copied(header: Segment, field: int) -> Content:
    """Return a field of the message answered with all its parts, its first repetition only."""
    values = header.values(field)
    if not values:
        return None
    value = values[0]
    return tuple(
        tuple(part.text(sub) for sub in range(1, len(part.parts) + 1))
        for part in (value.component(number) for number in range(1, len(value.parts) + 1))
    )


def _pair(content: Content) -> tuple[Content, Content]:
    if not isinstance(content, tuple) or len(content) != 2:
        raise ValueError("sender and receiver are (application, facility)")
    return content[0], content[1]


def _segment(segment: Sequence[Field], seps: Separators) -> str:
    name = segment[0]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("a segment begins with its name, three capitals or digits")
    fields = [_field(field, seps) for field in segment[1:]]
    if name in ("MSH", "FHS", "BHS"):
        fields[:2] = [seps.wire]
    while fields and not fields[-1]:
        fields.pop()
    return seps.field.join((name, *fields))


def _field(content: Field, seps: Separators) -> str:
    if isinstance(content, list):
        if len(content) > 1 and not seps.repetition:
            raise ValueError("a field repeats and the message declares no repetition separator")
        return seps.repetition.join(_joined(one, seps, (seps.component, seps.sub)) for one in content)
    return _joined(content, seps, (seps.component, seps.sub))


def _joined(content: Content, seps: Separators, marks: tuple[str, ...]) -> str:
    """Return a text escaped, or a tuple joined by the first of the marks and its members by the next."""
    if content is None:
        return ""
    if isinstance(content, Null):
        return '""'
    if isinstance(content, str):
        return escape(content, seps)
    if not isinstance(content, tuple) or not marks:
        raise TypeError("a field holds texts, tuples of components with subcomponents, or a list of these")
    parts = [_joined(part, seps, marks[1:]) for part in content]
    while parts and not parts[-1]:
        parts.pop()
    if len(parts) > 1 and not marks[0]:
        raise ValueError("a component has parts and the message declares no subcomponent separator")
    return marks[0].join(parts)
