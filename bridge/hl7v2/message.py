"""One message, split only where somebody looks (HL7 v2.5.1 ch.2 §2.5 to §2.7); the bytes received are kept."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from bridge.core.issue import Issue
from bridge.hl7v2 import tables, text
from bridge.hl7v2.lines import arrange
from bridge.hl7v2.separators import DEFAULT, Separators, declared, unescape

NULL = '""'
"""HL7 null: the sender deletes what we know; an empty field says nothing (HL7 v2.5.1 ch.2 §2.7.5)."""


class Value:
    """One repetition of a field, or one component of it; split when a part is asked for. False if it has no content."""

    __slots__ = ("_parts", "raw", "seps")

    def __init__(self, raw: str, seps: Separators = DEFAULT) -> None:
        self.raw = raw
        self.seps = seps
        self._parts: list[str] | None = None

    @property
    def parts(self) -> list[str]:
        """The components as they were sent, still escaped."""
        if self._parts is None:
            mark = self.seps.component
            self._parts = self.raw.split(mark) if mark else [self.raw]
        return self._parts

    @property
    def is_null(self) -> bool:
        """Whether the sender deletes this value with HL7 null."""
        return self.raw == NULL

    def text(self, component: int = 1, sub: int = 1) -> str:
        """Return a subcomponent without escapes; "" when absent, empty or HL7 null. Numbers start at 1."""
        parts = self._parts or self.parts
        if component > len(parts):
            return ""
        raw = parts[component - 1]
        if sub == 1 and (not raw or raw.isalnum()):
            return raw
        seps = self.seps
        if seps.sub and (sub > 1 or seps.sub in raw):
            subs = raw.split(seps.sub)
            raw = subs[sub - 1] if sub <= len(subs) else ""
        elif sub > 1:
            return ""
        if raw == NULL:
            return ""
        return text.printable(unescape(raw, seps)) if seps.escape and seps.escape in raw else raw

    def whole(self, component: int = 1) -> str:
        """Return a component without escapes, a separator that the sender forgot to escape (`AT&T`) kept as text."""
        parts = self._parts or self.parts
        raw = parts[component - 1] if component <= len(parts) else ""
        if not self.seps.escape or self.seps.escape not in raw:
            return "" if raw == NULL else raw
        return "" if raw == NULL else text.printable(unescape(raw, self.seps))

    @property
    def texts(self) -> list[str]:
        """`text` of every component; never change it."""
        raw, seps, parts = self.raw, self.seps, self.parts
        if (seps.sub and seps.sub in raw) or (seps.escape and seps.escape in raw) or NULL in raw:
            return [self.text(number) for number in range(1, len(parts) + 1)]
        return parts

    @property
    def wholes(self) -> list[str]:
        """`whole` of every component; never change it."""
        raw, mark, parts = self.raw, self.seps.escape, self.parts
        if (mark and mark in raw) or NULL in raw:
            return [self.whole(number) for number in range(1, len(parts) + 1)]
        return parts

    def component(self, number: int) -> Value:
        """Return a component as a value whose components are its subcomponents; without content when absent."""
        parts = self.parts
        return Value(parts[number - 1] if number <= len(parts) else "", self.seps.inner())

    def __bool__(self) -> bool:
        seps = self.seps
        return bool(self.raw.strip(seps.component + seps.sub + " "))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and (self.raw, self.seps) == (other.raw, other.seps)

    def __hash__(self) -> int:
        return hash((self.raw, self.seps))

    def __repr__(self) -> str:
        return f"<Value of {len(self.raw)} characters>"


class Segment:
    """One segment; fields are numbered as HL7 numbers them, so MSH-1 is the field separator itself."""

    __slots__ = ("_fields", "name", "raw", "seps")

    def __init__(self, name: str, seps: Separators, raw: str) -> None:
        self.name = name
        self.seps = seps
        self.raw = raw
        self._fields: list[str] | None = None

    @property
    def fields(self) -> list[str]:
        """Every field as it was sent; index 0 is the segment's name."""
        if self._fields is None:
            found = self.raw.split(self.seps.field)
            if self.name in ("MSH", "FHS", "BHS"):
                found.insert(1, self.seps.field)
            self._fields = found
        return self._fields

    def field(self, number: int) -> str:
        """Return a field as it was sent, "" when absent."""
        fields = self.fields
        return fields[number] if number < len(fields) else ""

    def values(self, number: int) -> list[Value]:
        """Return the repetitions of a field, empty ones between others included; [] when the field is empty."""
        raw, seps = self.field(number), self.seps
        if not raw:
            return []
        mark = seps.repetition
        if not mark or mark not in raw or (number == 2 and self.name == "MSH"):
            return [Value(raw, seps)]
        return [Value(one, seps) for one in raw.split(mark)]

    def text(self, number: int, component: int = 1, sub: int = 1) -> str:
        """Return a part of the field's first repetition without escapes, "" when absent."""
        raw, mark = self.field(number), self.seps.repetition
        if raw.isalnum():  # no separator and no escape
            return raw if component == sub == 1 else ""
        return Value(raw.split(mark, 1)[0] if mark else raw, self.seps).text(component, sub) if raw else ""

    def replaced(self, changes: dict[int, str]) -> Segment:
        """Return the segment with these fields (still escaped) in place of its own."""
        fields = list(self.fields)
        fields.extend([""] * (max(changes) + 1 - len(fields)))
        for number, raw in changes.items():
            fields[number] = raw
        if self.name in ("MSH", "FHS", "BHS"):
            del fields[1]
        return Segment(self.name, self.seps, self.seps.field.join(fields))

    def __repr__(self) -> str:
        return f"<{self.name} of {len(self.fields) - 1} fields>"


class Message:
    """A message as the sender meant it. `body` is what was received, to the byte; `repairs` says what was put right."""

    __slots__ = ("_by_name", "_event", "body", "changed", "head", "repairs", "segments", "seps")

    def __init__(
        self, body: bytes, segments: list[Segment], repairs: tuple[Issue, ...] = (), changed: bool = False
    ) -> None:
        self.body = body
        self.segments = segments
        self.head = segments[0]
        self.seps = self.head.seps
        self.repairs = repairs
        self.changed = changed
        self._event = ""
        self._by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            self._by_name.setdefault(segment.name, []).append(segment)

    def all(self, name: str) -> list[Segment]:
        """Return the segments of this name, in order."""
        return self._by_name.get(name, [])

    @property
    def names(self) -> Collection[str]:
        """The names of its segments."""
        return self._by_name.keys()

    def first(self, name: str) -> Segment | None:
        """Return the first segment of this name, None when there is none."""
        found = self._by_name.get(name)
        return found[0] if found else None

    @property
    def code(self) -> str:
        """MSH-9.1, for example ADT."""
        return self.head.text(9)

    @property
    def trigger(self) -> str:
        """MSH-9.2, else what EVN-1 or MSH-9.3 says."""
        found = self.head.text(9, 2)
        if found or self.code == "ACK":
            return found
        event = self.first("EVN")
        return (event.text(1) if event else "") or self.head.text(9, 3).partition("_")[2]

    @property
    def event(self) -> str:
        """Code and trigger, for example ADT^A03; the code alone when there is no trigger."""
        if not self._event:
            self._event = f"{self.code}^{trigger}" if (trigger := self.trigger) else self.code
        return self._event

    @property
    def structure(self) -> str:
        """MSH-9.3, else by HL7's table of events, for example ADT_A03."""
        return self.head.text(9, 3) or tables.structure(self.code, self.trigger)

    @property
    def version(self) -> str:
        """MSH-12.1, for example 2.5.1; "" when the sender does not say."""
        return self.head.text(12).strip()

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.head.text(10)

    @property
    def sender(self) -> tuple[str, str]:
        """The namespaces of MSH-3 and MSH-4."""
        return self.head.text(3), self.head.text(4)

    def __repr__(self) -> str:
        return f"<Message {self.event} of {len(self.segments)} segments>"


def parse(body: bytes) -> Message:
    """Return the message in these bytes; what had to be put right is in its `repairs`.

    Raises Unreadable when there is no MSH, its separators clash, two messages stand together or the size exceeds
    `text.LARGEST`. Time and memory are linear in the size.
    """
    content, whole, issues = text.read(body)
    seps = separators(content)
    lines, found = arrange(content, seps, whole)
    segments = [Segment(line[:3], seps, line) for line in lines]
    message = Message(body, segments, (*issues, *found) if issues or found else ())
    if not message.head.text(9, 2):
        message.repairs += _event_guess(message)
    return message


def separators(content: str) -> Separators:
    """Return what MSH-1 and MSH-2 declare; raises Unreadable when they cannot separate anything."""
    mark = content[3:4]
    end = content.find(mark, 4, 16) if mark else -1
    wire = content[4:end] if end > 0 else _LINE.split(content[4:16], maxsplit=1)[0]
    found = declared(mark, wire) if mark else None
    if found is None:
        raise text.unreadable(
            "BRG-H002",
            "the separators in MSH-1 and MSH-2 are missing or clash",
            "MSH must begin with a field separator and four different marks, usually MSH|^~\\& and |",
        )
    return found


def encode(message: Message) -> bytes:
    """Return the message as bytes: those received if nothing changed it, else its segments, CR after each.

    A changed message is written in the character set that it declares; one that does not fit that declares UTF-8.
    """
    if not message.changed:
        return message.body
    later = "".join(f"{segment.raw}\r" for segment in message.segments[1:])
    codec = text.charset_of(message.head.text(18)) or "ascii"
    try:
        return f"{message.head.raw}\r{later}".encode("ascii" if codec[:6] in ("utf-16", "utf-32") else codec)
    except UnicodeEncodeError:
        return f"{message.head.replaced({18: 'UNICODE UTF-8'}).raw}\r{later}".encode()


_LINE = re.compile("[\r\n]")


@lru_cache(maxsize=1)
def _unsaid() -> Issue:
    return Issue(
        "warning",
        "BRG-H017",
        "MSH-9",
        "the message does not say its event in MSH-9.2",
        "it was taken from EVN-1 or MSH-9.3 where those say it; ask the sender to fill MSH-9",
        "required",
    )


def _event_guess(message: Message) -> tuple[Issue, ...]:
    return () if message.code == "ACK" else (_unsaid(),)
