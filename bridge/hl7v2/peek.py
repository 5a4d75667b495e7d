"""What the inbox needs to know before a message is read in full: who, which, about whom, and seen before?"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from bridge.core.errors import Unreadable
from bridge.hl7v2 import text
from bridge.hl7v2.message import Segment, Value, separators
from bridge.hl7v2.separators import Separators


class Glance(NamedTuple):
    """Facts of the head and the patient's number; `key` and `digest` are for keys only, never for a log.

    `key` is "assigner|number" of the first MR in PID-3, else of its first repetition, else PID-2; "" when none.
    `digest` is the SHA-256 of the message without MSH-7, line ends and frame made alike: a resend has the same.
    """

    sender: tuple[str, str]
    control_id: str
    event: str
    key: str
    digest: str


def peek(body: bytes) -> Glance:
    """Return the facts without reading the message in full; raises Unreadable, and nothing else, if it has no head."""
    content, _, _ = text.read(body)
    if "\n" in content:
        content = content.replace("\r\n", "\r").replace("\n", "\r")
    seps = separators(content)
    line = content.partition("\r")[0]
    # A field's number is one more than its index here: MSH-1 is the separator itself.
    head = [*line.split(seps.field, 10), *[""] * 10]
    start = content.find(f"\rPID{seps.field}")
    patient = ""
    if start >= 0:
        stop = content.find("\r", start + 1)
        pid = content[start + 1 : stop if stop >= 0 else len(content)].split(seps.field, 4)
        patient = _patient([*pid, "", ""], head[3], seps)
    code, trigger = _part(head[8], 1, seps), _part(head[8], 2, seps)
    sender = _part(head[2], 1, seps), _part(head[3], 1, seps)
    event = f"{code}^{trigger}" if trigger else code
    return Glance(sender, _part(head[9], 1, seps), event, patient, _content(line, content, seps))


def header(body: bytes) -> Segment | None:
    """Return the MSH, as far as it goes, of a message that cannot be read, to answer it; None if it has none."""
    start = body.find(b"MSH")
    if start < 0 or len(body) < start + 8:
        return None
    raw = body[start : start + 4096].splitlines()[0]
    try:
        line = raw.decode()
    except UnicodeDecodeError:
        line = raw.decode("latin-1")
    try:
        return Segment("MSH", separators(line), line)
    except Unreadable:
        return None


def _part(raw: str, number: int, seps: Separators) -> str:
    """Return a component of the first repetition, its first subcomponent, without escapes."""
    if not raw or (raw.isalnum() and number == 1):
        return raw
    return Value(raw.partition(seps.repetition)[0] if seps.repetition else raw, seps).text(number)


def _patient(pid: list[str], facility: str, seps: Separators) -> str:
    """Return the key of the patient; a number without an assigner is the sending facility's."""
    values = [Value(raw, seps) for raw in (pid[3].split(seps.repetition) if seps.repetition else [pid[3]])]
    chosen = next((value for value in values if value.text(5) == "MR" and value.text()), None)
    chosen = chosen or next((value for value in values if value.text()), None)
    if chosen is None:
        chosen = Value(pid[2].partition(seps.repetition)[0] if seps.repetition else pid[2], seps)
    number = chosen.text()
    return f"{chosen.text(4) or chosen.text(4, 2) or _part(facility, 1, seps)}|{number}" if number else ""


def _content(line: str, content: str, seps: Separators) -> str:
    """Return the hash of the content; MSH-7 is the seventh field, counting the separator itself as the first."""
    fields = line.split(seps.field, 7)
    if len(fields) > 6:
        fields[6] = ""
    whole = seps.field.join(fields) + content[len(line) :].rstrip("\r")
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
