"""From bytes to messages: what a file or a body holds, and what the ledger needs to know before anything else."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import orjson

from bridge.core import json
from bridge.core.envelope import FHIR, HL7V2, RECORD, Envelope
from bridge.core.errors import Unreadable
from bridge.core.ids import Ids
from bridge.core.rows import Arrival
from bridge.hl7v2 import batch, peek
from bridge.hl7v2.dialect import Feeds
from bridge.referral.intake import FIELDS
from bridge.referral.rows import by

CHANNEL = "channel"
"""Envelope header: the partner whose queue or login a message came by."""
UNREADABLE = "unreadable"
"""Event of a message that says nothing about itself; it is stored all the same."""
OTHER = "other"
"""Event of a message that calls itself something nobody knows: the word may be anything, so it names no log or metric."""
_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}(\^[A-Z][A-Z0-9]{2})?")
"""Message code and trigger event (HL7 v2.5.1 tables 0076 and 0003, Z codes included)."""
TAKEN = ("QuestionnaireResponse", "Consent", "Bundle")
"""FHIR resources that are taken in; a Bundle is one Consent with what it refers to, or the deletion of one."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """Where messages enter: the feeds that know their senders, and the site's keyed ids."""

    feeds: Feeds
    ids: Ids


def content_type(body: bytes) -> str:
    """HL7v2, FHIR or record, by the first bytes: JSON begins with a brace or bracket, HL7v2 with a segment."""
    start = body[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] not in (b"{", b"["):
        return HL7V2
    return FHIR if b'"resourceType"' in body[:65536] else RECORD


def messages(body: bytes) -> Iterator[tuple[str, bytes]]:
    """(content type, bytes) of every message in a body: an HL7v2 batch, a JSON array or one document a line."""
    return stream(io.BytesIO(body))


def stream(file: BinaryIO, note: batch.Note | None = None) -> Iterator[tuple[str, bytes]]:
    """As `messages`, of a file that is read piece by piece: one message is held at a time, or one JSON array.

    `note` takes what there is to say of the file itself (a batch whose counts are wrong, a file without end). JSON that is
    larger than `json.LIMIT`, whole or on one line, comes out cut above it, so that it is refused by size.
    """
    pieces = batch.blocks(file)
    start = next(pieces, b"")
    kind = content_type(start)
    pieces = chain((start,), pieces)
    if kind == HL7V2:
        yield from ((HL7V2, part) for part in batch.split_blocks(pieces, note))
        return
    lines = _lines(pieces)
    first = next(lines, b"")
    if first.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") and _whole(first):
        yield kind, first
        yield from ((kind, line) for line in lines)
        return
    body = bytearray(first)
    for line in lines:
        body += b"\n" + line
        if len(body) > json.LIMIT:
            break
    for document in _documents(bytes(body)):
        if isinstance(document, bytes):
            yield kind, document
        else:
            whole = orjson.dumps(document)
            yield content_type(whole), whole


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that are not blank, without their ends; one longer than a document may be comes out in pieces."""
    rest = bytearray()
    for piece in pieces:
        head, end, tail = piece.rpartition(b"\n")
        if end:
            yield from (bytes(line) for line in (rest + head).splitlines() if line.strip())
            rest.clear()
        rest += tail
        if len(rest) > json.LIMIT:
            yield bytes(rest)
            rest.clear()
    if rest.strip():
        yield bytes(rest)


def _whole(line: bytes) -> bool:
    try:
        json.read(line)
    except Unreadable:
        return False
    return True


def _documents(body: bytes) -> Iterator[Any]:
    """JSON values of a body; one that cannot be read is handed on as it is, to be refused by name later."""
    try:
        value = json.read(body)
    except Unreadable:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
            yield body
            return
        yield from lines
        return
    if isinstance(value, list):
        yield from value
    else:
        yield body


class Incoming(NamedTuple):
    """One message as a channel hands it over. `feed` names the sender when the channel knows it (a CBO's queue, `--feed`);
    else the message's MSH-3/4 decide. `channel` is the partner whose channel it came by, "" for one of our own."""

    kind: str
    body: bytes
    feed: str = ""
    channel: str = ""


def arrive(incoming: Incoming, received: datetime, inbound: Inbound) -> Arrival:
    """Wrap one message for the ledger; never raises, because even garbage is kept."""
    kind, body, feed, channel = incoming
    source, control_id, event, key, digest = UNREADABLE, "", UNREADABLE, "", hashlib.sha256(body).hexdigest()
    try:
        if kind == HL7V2:
            facts = peek.peek(body)
            source, control_id, event, key, digest = (
                "|".join(facts.sender), facts.control_id, facts.event if _EVENT.fullmatch(facts.event) else OTHER, facts.key, facts.digest)
            feed = feed or inbound.feeds.of(facts.sender).name
        else:
            document = json.read(body)
            if isinstance(document, dict):
                source, control_id, event, key = _read_off(document, feed)
    except Unreadable:
        pass  # stored as unreadable; receive() reads it again and rejects it with the place and the remedy
    headers = {CHANNEL: channel} if channel else {}
    envelope = Envelope(inbound.ids.uuid("message", source, control_id, digest), feed, received, kind, body, headers)
    return Arrival(envelope, source, control_id, digest, key, event)


def _read_off(document: dict[str, Any], feed: str) -> tuple[str, str, str, str]:
    """Source, control id, event and patient key of a FHIR resource or a CBO's record."""
    if "resourceType" in document:
        subject = document.get("subject") or document.get("patient") or {}
        identifier = subject.get("identifier") if isinstance(subject, dict) else None
        key = f"{identifier.get('system', '')}|{identifier.get('value', '')}" if isinstance(identifier, dict) else ""
        kind = document["resourceType"]
        return feed or "fhir", "", kind if kind in TAKEN else OTHER, key
    reference = document.get("bridge_referral_id") or document.get("client_mrn") or document.get("client_local_id")
    key = f"{feed}|{reference}" if isinstance(reference, str) else ""
    source = f"{feed}|{document.get('source_system', '')}"
    kind = document.get("record_type", "")
    known = kind in by(FIELDS, "field")["record_type"]["values"].split()
    return source, str(document.get("record_id", ""))[:200], f"record/{kind if known else OTHER}", key
