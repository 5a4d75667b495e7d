"""The outbox: what must be sent to whom, in which order, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from bridge.adapters.store.codec import dump, micros, moment, texts
from bridge.adapters.store.sql import insert, run, run_many, update
from bridge.adapters.store.tables import outbox
from bridge.core.rows import Outgoing

STATES = frozenset(("waiting", "sent", "withheld", "refused"))

_ROW = ("seq", "id", "recipient", "kind", "patient", "refs", "message_id", "shard", "referral", "state", "why",
        "attempts", "due_us")
_COLUMNS = ", ".join(f"o.{name}" for name in _ROW)
_WAITING = f"""
SELECT {_COLUMNS} FROM outbox o
WHERE o.state = 'waiting' AND o.recipient IN LIST AND (o.due_us IS NULL OR o.due_us <= ?)
  AND (o.patient = '' OR NOT EXISTS (
      SELECT 1 FROM outbox b
      WHERE b.state = 'waiting' AND b.recipient = o.recipient AND b.patient = o.patient AND b.seq < o.seq))
"""
_OF_SHARDS = "AND CAST(o.shard AS TEXT) IN LIST\n"
_OLDEST = "ORDER BY o.seq LIMIT ?"
_INSERT = insert("outbox", _ROW[1:], "ON CONFLICT (id) DO NOTHING")
_SETTLE = update("outbox", ("state", "why", "due_us"), ("id",), added=("attempts",))


def waiting(
    connection: Connection, recipients: Sequence[str], limit: int, now: datetime, shards: Sequence[int] | None,
) -> list[Outgoing]:
    """Due rows, oldest first; of one (recipient, patient) only the oldest that has not left, and nothing before it is due.

    So no receipt of a later row can overtake an earlier one, even when the two would be sent in one call.
    """
    values: list[Any] = [list(recipients), micros(now)]
    if shards is not None:
        values.append([str(shard) for shard in shards])
    sql = _WAITING + (_OF_SHARDS if shards is not None else "") + _OLDEST
    return [_outgoing(*row) for row in run(connection, sql, *values, limit)]


def select_outgoing(connection: Connection, message_id: str, recipient: str, patient: str) -> list[Outgoing]:
    """Outbox rows in every state, in order, that agree with each of these that is not empty."""
    query = select(*(outbox.c[name] for name in _ROW)).order_by(outbox.c.seq)
    wanted = ((outbox.c.message_id, message_id), (outbox.c.recipient, recipient), (outbox.c.patient, patient))
    for column, value in wanted:
        if value:
            query = query.where(column == value)
    return [_outgoing(*row) for row in connection.execute(query)]


def overlaid(
    stored: Iterable[Outgoing], patient: str, queued: Iterable[tuple[Any, ...]], settled: Mapping[str, tuple[Any, ...]],
) -> list[Outgoing]:
    """A patient's stored rows and those that `row` made since, each in the state it was settled to since."""
    rows = list(stored)
    known = {one.id for one in rows}
    rows += [one for one in (_outgoing(0, *each) for each in queued) if one.patient == patient and one.id not in known]
    found = []
    for one in rows:
        state, why, due_us, tried, _ = settled.get(one.id, (one.state, one.why, 0, 0, ""))
        due = one.due if one.id not in settled else None if due_us is None else moment(due_us)
        found.append(replace(one, state=state, why=why, due=due, attempts=one.attempts + tried))
    return found


def row(out: Outgoing) -> tuple[Any, ...]:
    """The columns of a new row. Raises ValueError for a state or moment that is none."""
    if out.state not in STATES:
        raise ValueError(f"an outbox row is {', '.join(sorted(STATES))}")
    due = None if out.due is None else micros(out.due)
    return (
        out.id, out.recipient, out.kind, out.patient, dump(out.refs), out.message_id, out.shard, out.referral,
        out.state, out.why, out.attempts, due,
    )


def settlement(id_: str, state: str, why: str, due: datetime | None) -> tuple[str, str, int | None, int, str]:
    """The columns of a change; sending, refusing and waiting for another try count as an attempt."""
    if state not in STATES:
        raise ValueError(f"an outbox row is {', '.join(sorted(STATES))}")
    tried = state in ("sent", "refused") or (state == "waiting" and due is not None)
    return state, why, None if due is None else micros(due), int(tried), id_


def flush(
    connection: Connection, rows: Iterable[tuple[Any, ...]], settlements: Iterable[tuple[Any, ...]],
) -> None:
    """Add the rows that are new, in order, then move those that are settled."""
    run_many(connection, _INSERT, list(rows))
    run_many(connection, _SETTLE, sorted(settlements, key=lambda one: str(one[-1])))


def _outgoing(
    seq: int, id_: str, recipient: str, kind: str, patient: str, refs: str, message_id: str, shard: int,
    referral: str, state: str, why: str, attempts: int, due_us: int | None,
) -> Outgoing:
    due = None if due_us is None else moment(due_us)
    return Outgoing(
        id_, recipient, kind, patient, texts(refs), message_id, shard, referral, seq, state, attempts, due, why
    )
