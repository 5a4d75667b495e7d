"""The inbox: every message as it came, stored before anything else, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from bridge.adapters.store.codec import bound, dump, keyed, load, load_issues, micros, moment, plain
from bridge.adapters.store.sql import Pairs, insert, run, run_many
from bridge.adapters.store.tables import envelopes, inbox
from bridge.core.envelope import Envelope
from bridge.core.rows import Arrival, InboxRow, Stored

_LOCK = "SELECT pg_advisory_xact_lock(7305802)"
"""PostgreSQL: one `store` at a time, so that numbers are committed in order (a reader never misses an earlier one that
commits later) and two copies of a message cannot both find nothing."""

_KNOWN = """
SELECT id, source, control_id, body_hash, outcome, issues FROM inbox WHERE id IN LIST
UNION SELECT id, source, control_id, body_hash, outcome, issues FROM inbox WHERE (control_id, source) IN PAIRS
UNION SELECT id, source, control_id, body_hash, outcome, issues FROM inbox
      WHERE control_id = '' AND (source, body_hash) IN PAIRS
"""
_LAST = "SELECT coalesce(max(seq), 0) FROM inbox"
_INBOX = insert("inbox", ("seq", "id", "source", "control_id", "body_hash", "key", "event", "feed", "received",
                          "received_us", "conflict"))
_ENVELOPE = insert("envelopes", ("seq", "content_type", "headers", "body"))
_ATTEMPT = "UPDATE inbox SET attempts = attempts + 1 WHERE id IN LIST"

_ROW = ("seq", "id", "feed", "received", "content_type", "headers", "body", "source", "control_id", "key", "event",
        "outcome", "issues", "mapping", "version", "attempts", "due_us", "conflict", "patient")
_COLUMNS = ", ".join(f"{'e' if name in ('content_type', 'headers', 'body') else 'i'}.{name}" for name in _ROW)
_BY_ID = f"SELECT {_COLUMNS} FROM inbox i JOIN envelopes e ON e.seq = i.seq WHERE i.id IN LIST"
_PENDING = f"""
SELECT {_COLUMNS} FROM inbox i JOIN envelopes e ON e.seq = i.seq
WHERE i.outcome IN ('', 'retry') AND (i.due_us IS NULL OR i.due_us <= ?)
  AND (i.key = '' OR NOT EXISTS (
      SELECT 1 FROM inbox b WHERE b.key = i.key AND b.seq < i.seq AND b.outcome = 'retry' AND b.due_us > ?))
ORDER BY i.seq LIMIT ?
"""
_UNFINISHED = ("", "retry")
_Triple = tuple[str, str, str]
_UNFINISHED_OF = f"""
SELECT {_COLUMNS} FROM inbox i JOIN envelopes e ON e.seq = i.seq
WHERE i.outcome IN ('', 'retry') AND (i.due_us IS NULL OR i.due_us <= ?)
  AND (i.id IN LIST OR (i.key <> '' AND i.key IN (SELECT key FROM inbox WHERE id IN LIST)))
  AND (i.key = '' OR NOT EXISTS (
      SELECT 1 FROM inbox b WHERE b.key = i.key AND b.seq < i.seq AND b.outcome = 'retry' AND b.due_us > ?))
ORDER BY i.seq
"""
_OUTPUTS = "SELECT outputs FROM inbox WHERE id = ?"


def store(connection: Connection, arrivals: Sequence[Arrival]) -> list[Stored]:
    """Write the envelopes that are new; one answer per arrival, in order.

    A message is known when its id is, or (source, control id, body hash) is; without a control id (source, body hash)
    decide, because two organisations may send the same few bytes. The same control id with another hash is stored and
    flagged, never dropped: senders do reuse control ids.
    """
    if connection.dialect.name == "postgresql":
        run(connection, _LOCK)
    keys = [_triple(arrival) for arrival in arrivals]
    known = _Known(_look_up(connection, [arrival.envelope.id for arrival in arrivals], keys))
    seq: int = run(connection, _LAST)[0][0]
    answers, rows, bodies = [], [], []
    for arrival, key in zip(arrivals, keys, strict=True):
        answer = known.find(arrival.envelope.id, key)
        if answer is None:
            seq += 1
            answer = known.add(arrival.envelope.id, key)
            rows.append(_row(seq, arrival, key, answer))
            bodies.append(_envelope(seq, arrival.envelope))
        answers.append(answer)
    run_many(connection, _INBOX, rows)
    run_many(connection, _ENVELOPE, bodies)
    return answers


def _look_up(connection: Connection, ids: list[str], keys: list[_Triple]) -> list[Any]:
    pairs = {(control, source) for source, control, _ in keys if control}
    bare = {(source, hash_) for source, control, hash_ in keys if not control}
    return run(connection, _KNOWN, ids, Pairs.of(pairs), Pairs.of(bare))


def _triple(arrival: Arrival) -> _Triple:
    """What tells one message from another: source, control id, hash."""
    return keyed(arrival.source), keyed(arrival.control_id), arrival.body_hash


class _Known:
    """What the ledger and the earlier part of the batch already have."""

    __slots__ = ("_by_id", "_by_key", "_controls")

    def __init__(self, rows: Iterable[Any]) -> None:
        self._by_id: dict[str, Stored] = {}
        self._by_key: dict[_Triple, Stored] = {}
        self._controls: set[tuple[str, str]] = set()
        for id_, source, control, hash_, outcome, issues in rows:
            state = "pending" if outcome in _UNFINISHED else "done"
            answer = Stored(id_, state, outcome if state == "done" else "", load_issues(issues))
            self._remember(answer, (source, control, hash_))

    def _remember(self, answer: Stored, key: _Triple) -> None:
        self._by_id[answer.id] = self._by_key[key] = answer
        self._controls.add(key[:2])

    def find(self, id_: str, key: _Triple) -> Stored | None:
        return self._by_id.get(id_) or self._by_key.get(key)

    def add(self, id_: str, key: _Triple) -> Stored:
        """Take a new message in; a second copy in the same batch will find it pending."""
        reused = bool(key[1]) and key[:2] in self._controls
        self._remember(Stored(id_, "pending"), key)
        return Stored(id_, "conflict" if reused else "new")


def _row(seq: int, arrival: Arrival, key: _Triple, answer: Stored) -> tuple[Any, ...]:
    envelope = arrival.envelope
    return (
        seq, envelope.id, *key, keyed(arrival.key), keyed(arrival.event), keyed(envelope.feed),
        envelope.received.isoformat(), micros(envelope.received), int(answer.state == "conflict"),
    )


def _envelope(seq: int, envelope: Envelope) -> tuple[Any, ...]:
    headers = {plain(name): plain(value) for name, value in envelope.headers.items()}
    return seq, plain(envelope.content_type), dump(headers), envelope.body


def attempt(connection: Connection, ids: Sequence[str]) -> None:
    """Count one more attempt of each."""
    run(connection, _ATTEMPT, list(ids))


def pending(connection: Connection, limit: int, now: datetime) -> list[InboxRow]:
    """Unfinished and due, oldest first; a key whose earlier message is not due yet is left out whole."""
    instant = micros(now)
    return [_inbox_row(*row) for row in run(connection, _PENDING, instant, instant, limit)]


def unfinished(connection: Connection, ids: Sequence[str], now: datetime) -> list[InboxRow]:
    """What is due of these messages and of all others of their patients, oldest first: one that waits wakes the rest."""
    instant, wanted = micros(now), list(ids)
    return [_inbox_row(*row) for row in run(connection, _UNFINISHED_OF, instant, wanted, wanted, instant)]


def outputs(connection: Connection, id_: str) -> list[tuple[str, int]]:
    """(`Type/id`, version) of what a message stored."""
    rows = run(connection, _OUTPUTS, id_)
    return [(ref, version) for ref, version in load(rows[0][0])] if rows else []


def fetch(connection: Connection, ids: Sequence[str]) -> list[InboxRow]:
    """These messages in the order asked; an unknown id is left out."""
    found = {row[1]: row for row in run(connection, _BY_ID, sorted(set(ids)))}
    return [_inbox_row(*found[id_]) for id_ in ids if id_ in found]


def find(connection: Connection, selection: dict[str, str], limit: int) -> list[InboxRow]:
    """Messages by selection, oldest first; `since` is included, `until` is not, outcome `pending` means not finished.

    Raises ValueError for a time that is none.
    """
    columns = {"feed": inbox.c.feed, "event": inbox.c.event, "version": inbox.c.version, "patient": inbox.c.patient}
    tables = {"i": inbox, "e": envelopes}
    wanted = [tables["e" if name in envelopes.c and name != "seq" else "i"].c[name] for name in _ROW]
    query: Select[Any] = select(*wanted).join(envelopes, envelopes.c.seq == inbox.c.seq)
    for name, column in columns.items():
        if selection[name]:
            query = query.where(column == selection[name])
    if selection["since"]:
        query = query.where(inbox.c.received_us >= bound("since", selection["since"]))
    if selection["until"]:
        query = query.where(inbox.c.received_us < bound("until", selection["until"]))
    if selection["outcome"]:
        query = query.where(inbox.c.outcome == ("" if selection["outcome"] == "pending" else selection["outcome"]))
    if selection["code"]:
        place = func.instr if connection.dialect.name == "sqlite" else func.strpos
        query = query.where(place(inbox.c.issues, dump(selection["code"])) > 0)
    rows = connection.execute(query.order_by(inbox.c.seq).limit(limit))
    return [_inbox_row(*row) for row in rows]


def _inbox_row(
    seq: int, id_: str, feed: str, received: str, content_type: str, headers: str, body: bytes, source: str,
    control_id: str, key: str, event: str, outcome: str, issues: str, mapping: str, version: str, attempts: int,
    due_us: int | None, conflict: int, patient: str,
) -> InboxRow:
    envelope = Envelope(
        id_, feed, datetime.fromisoformat(received), content_type, bytes(body), {} if headers == "{}" else load(headers)
    )
    due = None if due_us is None else moment(due_us)
    return InboxRow(
        seq, envelope, source, control_id, key, event, outcome, load_issues(issues), mapping, version, attempts, due,
        bool(conflict), patient,
    )
