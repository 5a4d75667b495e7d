"""The record of what was decided and what left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, func, select

from bridge.adapters.store import chain
from bridge.adapters.store.codec import dump, load, texts
from bridge.adapters.store.tables import decisions, disclosures, held, inbox, outbox, referrals
from bridge.core.rows import DecisionRow, Disclosure

_RELEASE = ("message_id", "stage", "at", "recipient", "patient", "purpose")


def decision(row: DecisionRow) -> tuple[tuple[Any, ...], str]:
    """What the decisions of one release have alike, and this one's own part as JSON text."""
    alike = row.message_id, row.stage, row.at, row.recipient, row.patient, row.purpose
    own = row.resource, row.version, row.effect, row.rules, row.consents, row.redact_paths, row.review, row.obligations
    return alike, dump(own)


def disclosure(row: Disclosure) -> tuple[Any, ...]:
    """The columns of a disclosure."""
    return (
        row.delivery_id, row.at, row.recipient, row.patient, dump(row.resources), row.purpose, dump(row.consents),
        row.kind, dump(row.versions), dump(row.redacted), dump(row.obligations), dump(row.confidentiality),
    )


def flush(
    connection: Connection, decided: Iterable[tuple[tuple[Any, ...], str]], disclosed: Sequence[tuple[Any, ...]],
) -> None:
    """Write both in the order given; neighbouring decisions of one release share one row, a tenth of the writing."""
    packed = [
        (*alike, f"[{','.join(own for _, own in group)}]") for alike, group in groupby(decided, key=itemgetter(0))
    ]
    chain.append(connection, "decisions", packed)
    chain.append(connection, "disclosures", disclosed)


def select_decisions(connection: Connection, patient: str, message_id: str) -> list[DecisionRow]:
    """Decisions about this patient, of this message, of both or all; in the order they were taken."""
    columns = decisions.c
    query = select(*(columns[name] for name in _RELEASE), columns.entries).order_by(columns.seq)
    if patient:
        query = query.where(columns.patient == patient)
    if message_id:
        query = query.where(columns.message_id == message_id)
    rows: Any = connection.execute(query)
    return [
        DecisionRow(message, stage, at, recipient, person, resource, version, purpose, effect, tuple(rules),
                    tuple(consents), tuple(paths), tuple(review), tuple(*obligations))
        for message, stage, at, recipient, person, purpose, entries in rows
        for resource, version, effect, rules, consents, paths, review, *obligations in load(entries)
    ]


def select_disclosures(connection: Connection, patient: str) -> list[Disclosure]:
    """What left about this patient ("" for everybody), in order."""
    columns = disclosures.c
    query = select(*(columns[name] for name in chain.COLUMNS["disclosures"])).order_by(columns.seq)
    rows: Any = connection.execute(query.where(columns.patient == patient) if patient else query)
    return [disclosed(*row) for row in rows]


def disclosed(
    delivery: str, at: str, recipient: str, patient: str, resources: str, purpose: str, consents: str, kind: str, versions: str,
    redacted: str, obligations: str, confidentiality: str,
) -> Disclosure:
    """The disclosure of these columns."""
    return Disclosure(delivery, at, recipient, patient, texts(resources), purpose, texts(consents), kind, tuple(load(versions)),
                      texts(redacted), texts(obligations), texts(confidentiality))


def counts(connection: Connection) -> dict[str, int]:
    """How many rows there are by state; a message that is not finished counts as `inbox.pending`."""
    found: dict[str, int] = {}
    for name, column in (("inbox", inbox.c.outcome), ("outbox", outbox.c.state), ("held", held.c.state)):
        for state, number in connection.execute(select(column, func.count()).group_by(column)):
            found[f"{name}.{state or 'pending'}"] = number
    closed = select(referrals.c.closed, func.count()).group_by(referrals.c.closed)
    for flag, number in connection.execute(closed):
        found["referrals.closed" if flag else "referrals.open"] = number
    found["disclosures"] = connection.execute(select(func.count()).select_from(disclosures)).scalar_one()
    return found
