"""Looking after the ledger: backup, retention, and the facts that `doctor` shows."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text

from bridge.adapters.store import chain
from bridge.adapters.store.codec import micros
from bridge.adapters.store.migration import STEPS, current
from bridge.core.errors import SettingsError

RETENTION = timedelta(days=30)
"""The inbox must outlive every redelivery: retries, held and parked messages, the broker's backlog and replays."""

Fact = tuple[str, bool, str]

_FINISHED = """
FROM inbox WHERE received_us < :before AND outcome IN ('accepted', 'rejected')
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_id = inbox.id AND o.state = 'waiting')
  AND NOT EXISTS (SELECT 1 FROM held h WHERE h.message_id = inbox.id AND h.state = 'open')
"""
_PURGE = {
    "outbox": f"DELETE FROM outbox WHERE state <> 'waiting' AND message_id IN (SELECT id {_FINISHED})",
    "held": f"DELETE FROM held WHERE state <> 'open' AND message_id IN (SELECT id {_FINISHED})",
    "envelopes": f"DELETE FROM envelopes WHERE seq IN (SELECT seq {_FINISHED})",
    "inbox": f"DELETE {_FINISHED}",
}


def backup(source: Path | None, target: Path) -> None:
    """Copy a SQLite ledger, while it is in use, to a new file that only we can read.

    Raises SettingsError when the ledger is no file, or the target exists: a backup never writes over another one.
    """
    if source is None:
        raise SettingsError("only a SQLite file is backed up from here: use pg_dump for PostgreSQL")
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise SettingsError(f"the backup {target} cannot be made: {error.strerror}") from None
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
        other.execute("PRAGMA journal_mode = DELETE")


def purge(connection: Connection, before: datetime, now: datetime) -> dict[str, int]:
    """Delete finished messages received before that moment, with their outbox rows and closed questions.

    Kept for ever here: resources and their history, referrals, decisions, disclosures, answers, plans, and whatever
    still waits for someone. Raises ValueError when it would cut into RETENTION.
    """
    if before > now - RETENTION:
        raise ValueError(f"messages are kept for {RETENTION.days} days, so that a late resend is still known")
    return {
        name: connection.execute(text(statement), {"before": micros(before)}).rowcount
        for name, statement in _PURGE.items()
    }


def health(connection: Connection) -> list[Fact]:
    """(name, well, detail) of what must be true of the database for the ledger to keep its word."""
    version, newest = current(connection), STEPS[-1].number
    facts = [("schema", version == newest, f"version {version}, this program knows {newest}")]
    facts += _sqlite(connection) if connection.dialect.name == "sqlite" else _postgres(connection)
    return facts + (chain.facts(connection) if version == newest else [])


def _ask(connection: Connection, statement: str) -> str:
    return str(connection.exec_driver_sql(statement).scalar_one())


def _sqlite(connection: Connection) -> list[Fact]:
    mode, sync = _ask(connection, "PRAGMA journal_mode"), _ask(connection, "PRAGMA synchronous")
    check = _ask(connection, "PRAGMA quick_check(1)")
    return [
        ("journal", mode in ("wal", "memory"), f"journal_mode {mode}"),
        ("sync", sync in ("2", "3"), f"synchronous {sync} (2 is FULL)"),
        ("integrity", check == "ok", "quick_check passed" if check == "ok" else "quick_check found damage"),
        ("engine", sqlite3.sqlite_version_info >= (3, 37), f"SQLite {sqlite3.sqlite_version}"),
    ]


def _postgres(connection: Connection) -> list[Fact]:
    encoding = _ask(connection, "SHOW server_encoding")
    sync, fsync = _ask(connection, "SHOW synchronous_commit"), _ask(connection, "SHOW fsync")
    replica = _ask(connection, "SELECT pg_is_in_recovery()")
    return [
        ("encoding", encoding == "UTF8", f"server_encoding {encoding}"),
        ("sync", sync != "off" and fsync == "on", f"synchronous_commit {sync}, fsync {fsync}"),
        ("writable", replica == "False", "primary" if replica == "False" else "a standby takes no writes"),
        ("engine", True, f"PostgreSQL {_ask(connection, 'SHOW server_version')}"),
    ]
