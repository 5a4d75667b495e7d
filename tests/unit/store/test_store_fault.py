"""Every fault of a database is one of ours, and quotes no value."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import exc

from bridge.adapters.store.fault import mapped, translate
from bridge.adapters.store.ledger import open_ledger
from bridge.core.errors import BridgeError, Refused, SettingsError, StoreUnavailable
from tests.services.ledgers import arrival, outgoing, patient


def _sqlite(kind: type[sqlite3.Error], name: str) -> sqlite3.Error:
    error = kind("Rivera")
    error.sqlite_errorname = name
    return error


CASES = [
    (exc.OperationalError("s", {}, _sqlite(sqlite3.OperationalError, "SQLITE_BUSY")), StoreUnavailable),
    (exc.OperationalError("s", {}, _sqlite(sqlite3.OperationalError, "SQLITE_FULL")), StoreUnavailable),
    (exc.OperationalError("s", {}, _sqlite(sqlite3.OperationalError, "SQLITE_IOERR_WRITE")), StoreUnavailable),
    (exc.DatabaseError("s", {}, _sqlite(sqlite3.DatabaseError, "SQLITE_CORRUPT")), StoreUnavailable),
    (exc.OperationalError("s", {}, _sqlite(sqlite3.OperationalError, "SQLITE_CANTOPEN")), SettingsError),
    (exc.OperationalError("s", {}, _sqlite(sqlite3.OperationalError, "SQLITE_READONLY_DIRECTORY")), SettingsError),
    (exc.DatabaseError("s", {}, _sqlite(sqlite3.DatabaseError, "SQLITE_NOTADB")), SettingsError),
    (exc.OperationalError("s", {}, sqlite3.OperationalError("no such table: inbox")), SettingsError),
    (exc.OperationalError("s", {}, psycopg.OperationalError("Rivera")), StoreUnavailable),
    (exc.OperationalError("s", {}, psycopg.errors.DeadlockDetected("Rivera")), StoreUnavailable),
    (exc.OperationalError("s", {}, psycopg.errors.LockNotAvailable("Rivera")), StoreUnavailable),
    (exc.IntegrityError("s", {}, psycopg.errors.UniqueViolation("Rivera")), StoreUnavailable),
    (exc.InterfaceError("s", {}, psycopg.InterfaceError("Rivera")), StoreUnavailable),
    (exc.InternalError("s", {}, psycopg.errors.InFailedSqlTransaction("Rivera")), StoreUnavailable),
    (exc.ProgrammingError("s", {}, psycopg.errors.UndefinedTable("Rivera")), SettingsError),
    (exc.ProgrammingError("s", {}, psycopg.errors.InsufficientPrivilege("Rivera")), SettingsError),
    (exc.OperationalError("s", {}, psycopg.errors.InvalidPassword("Rivera")), SettingsError),
    (exc.DataError("s", {}, psycopg.DataError("Rivera")), Refused),
    (exc.TimeoutError("pool"), StoreUnavailable),
    (exc.ResourceClosedError("closed"), StoreUnavailable),
    (_sqlite(sqlite3.OperationalError, "SQLITE_BUSY"), StoreUnavailable),
]


@pytest.mark.parametrize(("error", "kind"), CASES)
def test_each_fault_has_its_error(error: Exception, kind: type[BridgeError]) -> None:
    """Locks, disconnections and races pass by themselves, settings need a person, values are refused; none is quoted."""
    with pytest.raises(kind) as caught, mapped():
        raise error
    shown = f"{caught.value} {caught.value.__context__} {getattr(error, 'orig', '')}"
    assert type(caught.value) is kind
    assert "Rivera" not in shown


def test_other_exceptions_pass_unchanged() -> None:
    """What is no database fault is not the store's to change."""
    with pytest.raises(ValueError, match="mine"), mapped():
        raise ValueError("mine")


def test_a_passing_fault_says_when_to_come_back() -> None:
    """A race may run again at once, an outage later."""
    race = translate(exc.IntegrityError("s", {}, sqlite3.IntegrityError("x")))
    outage = translate(exc.OperationalError("s", {}, sqlite3.OperationalError("x")))
    assert isinstance(race, StoreUnavailable)
    assert isinstance(outage, StoreUnavailable)
    assert race.after < outage.after


def test_a_locked_file_is_a_passing_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process keeps the write lock beyond our patience, store and work raise StoreUnavailable."""
    monkeypatch.setattr("bridge.adapters.store.connection.PATIENCE", 0.05)
    path = tmp_path / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.upgrade()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        ledger.store([arrival("a")])
    with pytest.raises(StoreUnavailable), ledger.work():
        pass
    other.execute("ROLLBACK")
    assert ledger.store([arrival("a")])[0].state == "new"
    ledger.close()
    other.close()


def test_no_value_reaches_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Even with SQL logging on, parameters stay out of it."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
    try:
        ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        ledger.upgrade()
        ledger.store([arrival("canary-Rivera")])
        with ledger.work() as work:
            work.put(patient("canary-Rivera"), "canary-Rivera", "m-1", "")
            work.enqueue(outgoing("canary-Rivera"))
            work.people("canary-Rivera", "canary-Rivera")
        ledger.find(patient="canary-Rivera")
        ledger.close()
    finally:
        logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    assert "INSERT INTO" in caplog.text
    assert "canary" not in caplog.text
