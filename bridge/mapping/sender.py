"""Who sent a message, as conversions ask it: the feed's own words first, then ours, and never a bare word as a system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from bridge.hl7v2.dialect import Feed
from bridge.language.table import Row, Table

Answers = Mapping[tuple[str, str, str, str], str]
"""Target code by (feed, table, system, code): what people have answered."""

V2 = "http://terminology.hl7.org/CodeSystem/v2-"
CODING_SYSTEMS = "coding-systems"
_HL7 = re.compile(r"(?:HL7|v2-)(\d{1,4})\Z", re.IGNORECASE)
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_URI = re.compile(r"[a-z][a-z0-9+.\-]*:\S+\Z")
"""A scheme in small letters, as everybody writes it; `CD:123` is a key of the sender's own software."""
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d\Z")
_KEPT = 4096
"""Answers remembered per sender; a sender that invents systems does not grow the process."""


class FeedSender:
    """The Sender of one feed. Immutable once built; build it again when tables or answers change.

    `owner` names whose local words they are; it is the feed, or for the default feed the sending facility, so that two
    unknown hospitals never share a system of record numbers. `clock` is the zone that the message itself names; the feed's
    own comes first.
    """

    __slots__ = ("_answers", "_coding", "_feed", "_found", "_lasting", "_systems", "_tables", "name", "owner", "zone")

    def __init__(self, feed: Feed, tables: Mapping[str, Table], answers: Answers | None = None, owner: str = "",
                 clock: tzinfo | None = None) -> None:
        self._feed, self._tables = feed, tables
        self.name = feed.name
        self.zone = feed.zone or clock
        self.owner = owner or slug(feed.name)
        self._coding: dict[str, str] = dict(feed.coding)
        self._systems: dict[tuple[str, str, str], str] = {}
        self._found: dict[tuple[str, str, str], Row | None] = {}
        self._lasting: dict[str, dict[Any, Any]] = {}
        self._answers = {key[1:]: target for key, target in (answers or {}).items() if key[0] == feed.name}

    def lasting(self, separators: str) -> dict[Any, Any]:
        """What conversions made of codes, places and staff of this sender, for messages with these separators."""
        found = self._lasting.get(separators)
        if found is None:
            if len(self._lasting) >= 8:
                self._lasting.clear()
            found = self._lasting[separators] = {}
        return found

    def system(self, namespace: str, universal: str, kind: str) -> str:
        """The URI of an assigning authority: as the feed says, else by HD.2 and HD.3, else one owned by the sender."""
        key = (namespace, universal, kind)
        found = self._systems.get(key)
        if found is None:
            found = self._authority(namespace, universal, kind.upper())
            if len(self._systems) < _KEPT:
                self._systems[key] = found
        return found

    def _authority(self, namespace: str, universal: str, kind: str) -> str:
        known = self._feed.systems.get(universal) if universal else None
        known = known or (self._feed.systems.get(namespace) if namespace else None)
        if known:
            return known
        if universal:
            if _OID.match(universal) and kind in ("ISO", ""):
                return f"urn:oid:{universal}"
            if _UUID.match(universal):
                return f"urn:uuid:{universal.lower()}"
            if _URI.match(universal):
                return universal
            if kind == "DNS" and re.fullmatch(r"[A-Za-z0-9.\-]+", universal):
                return f"urn:dns:{universal.lower()}"
        return self._own(namespace or universal)

    def coding_system(self, name: str) -> str:
        """The URI of a coding system as CWE.3 names it; one owned by the sender when it is local, blank or unknown."""
        found = self._coding.get(name)
        if found is None:
            found = self._coding_system(name.strip())
            if len(self._coding) < _KEPT:
                self._coding[name] = found
        return found

    def _coding_system(self, name: str) -> str:
        table = self._tables.get(CODING_SYSTEMS)
        row = None if table is None or not name else table.find(name) or table.find(name.upper())
        if row is not None and row.target:
            return row.target
        if number := _HL7.match(name):
            return V2 + number[1].zfill(4)
        if _OID.match(name):
            return f"urn:oid:{name}"
        return name if _URI.match(name) else self._own(f"code-{name}" if name else "code")

    def _own(self, word: str) -> str:
        return f"urn:sdoh-bridge:{self.owner}:{slug(word) or 'local'}"

    def translate(self, table: str, code: str, system: str = "") -> Row | None:
        """The row for a code: the feed's own, else a person's answer, else the table's; None when there is none.

        A feed or an answer gives a target, or the code of the table that the sender's word stands for.
        """
        key = (table, code, system)
        try:
            return self._found[key]
        except KeyError:
            row = self._row(table, code, system)
            if len(self._found) < _KEPT:
                self._found[key] = row
            return row

    def _row(self, name: str, code: str, system: str) -> Row | None:
        table = self._tables.get(name)
        target = self._feed.tables.get(name, {}).get(code)
        if target is None:
            target = self._answers.get((name, system, code))
        if target is None and system:
            target = self._answers.get((name, "", code))
        if target is None:
            if table is None:
                return None
            row = table.find(code, system) or (table.find(code, self.coding_system(system)) if system else None)
            # A word means the same in any letters; a short code may not (m and M of UCUM).
            return row or (table.find(code.upper(), system) if len(code) > 3 and code.isalpha() else None)
        like = table.by_target.get(target) if table is not None and target else None
        if like is None and table is not None and target and (meant := table.find(target)) is not None:
            return replace(meant, source=code, system=system, means=target)
        if like is not None:
            return Row(code, target, like.target_system, like.display, system)
        return Row(code, target, table.target_system if table is not None and target else "", "", system)


class Senders:
    """The senders of all feeds, built when first asked for; a new answer or table makes a new `Senders`."""

    def __init__(self, tables: Mapping[str, Table], answers: Answers | None = None) -> None:
        self._tables, self._answers = tables, answers or {}
        self._built: dict[tuple[str, str, str], FeedSender] = {}

    def of(self, feed: Feed, message: Any = None) -> FeedSender:
        """The sender of a feed; for the default feed one per sending facility of the messages (MSH-4, else MSH-3).

        A feed without a zone takes the offset of MSH-7, which stands for every time of its message that has none of its
        own (HL7 v2.5.1 2.15.9.7).
        """
        owner = offset = ""
        if feed.default:
            application, facility = getattr(message, "sender", ("", ""))
            owner = slug(facility or application)
        if feed.zone is None and message is not None and (said := _OFFSET.search(message.head.text(7))):
            offset = said[0]
        key = (feed.name, owner, offset)
        found = self._built.get(key)
        if found is None:
            clock = datetime.strptime(offset, "%z").tzinfo if offset else None
            found = FeedSender(feed, self._tables, self._answers, owner, clock)
            if len(self._built) < _KEPT:
                self._built[key] = found
        return found


def slug(word: str) -> str:
    """A word as part of a URN: letters, digits, `.` and `-`, lower case, at most 64."""
    return re.sub(r"[^a-z0-9.]+", "-", word.lower()).strip("-")[:64]
