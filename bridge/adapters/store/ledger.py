"""The ledger on a SQL database: implements core.ports.Ledger; each method is one transaction or one read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.adapters.store import hold, inbox, migration, outbox, plan, record, shelf, upkeep
from bridge.adapters.store.connection import Connections
from bridge.adapters.store.fault import mapped
from bridge.adapters.store.lease import Leases
from bridge.adapters.store.sql import run
from bridge.adapters.store.work import SqlWork
from bridge.core.rows import Arrival, DecisionRow, Disclosure, HeldItem, InboxRow, Outgoing, Plan, Stored

_TOGETHER, _ALONE = "SELECT pg_advisory_xact_lock_shared(7305804)", "SELECT pg_advisory_xact_lock(7305804)"


def open_ledger(url: str) -> SqlLedger:
    """The ledger at `sqlite:///path`, `sqlite://` (in memory, gone when closed) or `postgresql://user@host/name`.

    Connects and looks at the schema, but does not change it: call `upgrade()` for that. Raises SettingsError for a URL
    or file that cannot be one and for a schema newer than this program, StoreUnavailable when nobody answers.
    """
    connections = Connections(url)
    try:
        with connections.read() as connection:
            migration.require(migration.current(connection))
    except BaseException:
        connections.close()
        raise
    return SqlLedger(connections)


class SqlLedger:
    """core.ports.Ledger. Safe to share between threads; several processes may open the same database."""

    __slots__ = ("_connections", "_leases")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._leases = Leases(connections)

    def store(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        if not arrivals:
            return []
        with self._connections.write() as connection:
            return inbox.store(connection, arrivals)

    @contextmanager
    def work(self, *, alone: bool = False) -> Iterator[SqlWork]:
        with self._connections.write() as connection:
            if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                run(connection, _ALONE if alone else _TOGETHER)
            work = SqlWork(connection)
            yield work
            work.flush()

    def pending(self, limit: int, now: datetime) -> list[InboxRow]:
        with self._connections.read() as connection:
            return inbox.pending(connection, limit, now)

    def inbox(self, ids: Sequence[str]) -> list[InboxRow]:
        with self._connections.read() as connection:
            return inbox.fetch(connection, ids)

    def unfinished(self, ids: Sequence[str], now: datetime) -> list[InboxRow]:
        with self._connections.read() as connection:
            return inbox.unfinished(connection, ids, now)

    def outputs(self, message_id: str) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any] | None]]:
        with self._connections.read() as connection:
            found = {}
            for ref, number in inbox.outputs(connection, message_id):
                stored = shelf.version(connection, ref, number)
                if stored is not None:
                    found[stored["resourceType"], stored["id"]] = (stored, shelf.version(connection, ref, number - 1))
            return found

    def attempt(self, ids: Sequence[str]) -> None:
        with self._connections.write() as connection:
            inbox.attempt(connection, ids)

    def find(self, *, since: str = "", until: str = "", feed: str = "", event: str = "", outcome: str = "",
             code: str = "", version: str = "", patient: str = "", limit: int = 10_000) -> list[InboxRow]:
        selection = {"since": since, "until": until, "feed": feed, "event": event, "outcome": outcome, "code": code,
                     "version": version, "patient": patient}
        with self._connections.read() as connection:
            return inbox.find(connection, selection, limit)

    def waiting(self, recipients: Sequence[str], limit: int, now: datetime, shards: Sequence[int] | None = None) -> list[Outgoing]:
        with self._connections.read() as connection:
            return outbox.waiting(connection, recipients, limit, now, shards)

    def outgoing(self, *, message_id: str = "", recipient: str = "", patient: str = "") -> list[Outgoing]:
        with self._connections.read() as connection:
            return outbox.select_outgoing(connection, message_id, recipient, patient)

    def decisions(self, patient: str = "", message_id: str = "") -> list[DecisionRow]:
        with self._connections.read() as connection:
            return record.select_decisions(connection, patient, message_id)

    def disclosures(self, patient: str = "") -> list[Disclosure]:
        with self._connections.read() as connection:
            return record.select_disclosures(connection, patient)

    def generations(self, patients: Iterable[str]) -> dict[str, int]:
        with self._connections.read() as connection:
            return shelf.generations(connection, patients)

    def expiring(self, limit: int, now: datetime) -> list[str]:
        with self._connections.read() as connection:
            return shelf.expiring(connection, limit, now)

    def held(self, state: str = "open") -> list[HeldItem]:
        with self._connections.read() as connection:
            return hold.select_held(connection, state)

    def update_held(self, id_: str, state: str, answer: str = "", by: str = "") -> HeldItem | None:
        with self._connections.write() as connection:
            return hold.move(connection, id_, state, answer, by)

    def save_answer(self, feed: str, table: str, system: str, code: str, target: str, by: str) -> None:
        with self._connections.write() as connection:
            hold.save_answer(connection, feed, table, system, code, target, by)

    def answers(self) -> dict[tuple[str, str, str, str], str]:
        with self._connections.read() as connection:
            return hold.select_answers(connection)

    def save_plan(self, plan_: Plan) -> None:
        with self._connections.write() as connection:
            plan.save(connection, plan_)

    def plan(self, id_: str) -> Plan | None:
        with self._connections.read() as connection:
            return next(iter(plan.select_plans(connection, id_)), None) if id_ else None

    def plans(self) -> list[Plan]:
        with self._connections.read() as connection:
            return plan.select_plans(connection)

    def counts(self) -> dict[str, int]:
        with self._connections.read() as connection:
            return record.counts(connection)

    def upgrade(self) -> list[str]:
        with self._connections.write() as connection:
            return migration.upgrade(connection)

    def backup(self, path: Path) -> None:
        """Copy a SQLite ledger to a new file while it is in use. Raises SettingsError, see upkeep.backup."""
        with mapped():
            upkeep.backup(self._connections.path, path)

    def purge(self, before: datetime, now: datetime) -> dict[str, int]:
        """Delete finished messages received before; rows deleted by table. Raises ValueError inside the retention."""
        with self._connections.write() as connection:
            return upkeep.purge(connection, before, now)

    def health(self) -> list[tuple[str, bool, str]]:
        """Facts for `doctor`: (name, well, detail)."""
        with self._connections.read() as connection:
            return upkeep.health(connection)

    def lease(self, name: str) -> bool:
        return self._leases.hold(name)

    def close(self) -> None:
        self._leases.close()
        self._connections.close()
