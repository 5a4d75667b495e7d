"""HL7's own way to name a place: PID-3[2].4.1 is component 4, subcomponent 1, of the second repetition."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.hl7v2.message import Message, Segment, Value


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a message. All numbers start at 1; 0 means that the path does not say."""

    segment: str
    occurrence: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0
    sub: int = 0

    def __str__(self) -> str:
        text = f"{self.segment}[{self.occurrence}]" if self.occurrence else self.segment
        if self.field:
            text += f"-{self.field}" + (f"[{self.repetition}]" if self.repetition else "")
        if self.component:
            text += f".{self.component}" + (f".{self.sub}" if self.sub else "")
        return text


_SHAPE = re.compile(
    r"([A-Z][A-Z0-9]{2})(?:\[(\d{1,6})\])?(?:-(\d{1,4})(?:\[(\d{1,6})\])?(?:\.(\d{1,4})(?:\.(\d{1,4}))?)?)?"
)
_PARTS = ("", "", "occurrence", "field", "repetition", "component", "subcomponent")


def parse(text: str) -> Path:
    """Return the path: `PID`, `PID-3`, `PID-3.4.1`, `PID-3[2].4`, `DG1[2]-3.1`.

    Raises ValueError with the column (from 1) where the text stops to be a path.
    """
    match = _SHAPE.match(text)
    if match is None:
        raise ValueError(
            f"column 1: a path begins with a segment name of three capitals or digits, as PID-3.4; this is {text!r}"
        )
    if match.end() < len(text):
        raise ValueError(
            f"column {match.end() + 1}: expected [repetition], .component or the end after {match[0]!r} in {text!r}"
        )
    for number in range(2, 7):
        if match[number] is not None and int(match[number]) == 0:
            raise ValueError(
                f"column {match.start(number) + 1}: the {_PARTS[number]} in {text!r} is 0; numbers start at 1"
            )
    return Path(match[1], *(int(part or 0) for part in match.groups()[1:]))


def values(path: Path, source: Message | Segment) -> list[Value]:
    """Return what stands at the path, in order: repetitions, or their component when the path names one.

    In a message without an occurrence the first segment of that name is read; empty places are left out. A path that
    names a repetition gives that one alone.
    """
    segment = source if isinstance(source, Segment) else occurrence(path, source)
    if segment is None or not path.field:
        return []
    found = segment.values(path.field)
    if path.repetition:
        found = found[path.repetition - 1 : path.repetition]
    if path.component:
        found = [value.component(path.component) for value in found]
    if path.sub:
        found = [value.component(path.sub) for value in found]
    return [value for value in found if value.raw]


def text(path: Path, source: Message | Segment) -> str:
    """Return the first text at the path without escapes, "" when there is none."""
    found = values(path, source)
    return found[0].text() if found else ""


def occurrence(path: Path, message: Message) -> Segment | None:
    """Return the segment that the path names in the message, None when there are not so many."""
    found = message.all(path.segment)
    index = max(path.occurrence, 1) - 1
    return found[index] if index < len(found) else None
