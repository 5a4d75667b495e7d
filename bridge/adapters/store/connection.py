"""Connections to the ledger's database: one place that knows SQLite from PostgreSQL.

Transactions are spoken aloud (BEGIN, COMMIT, ROLLBACK on autocommitting connections), the same words for both.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from bridge.adapters.store.fault import mapped
from bridge.core.errors import SettingsError, StoreUnavailable

PATIENCE = 30.0
"""Seconds to wait for another writer before the store says that it is unavailable."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",  # a commit survives a power cut: it comes before the acknowledgement
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -32768",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA temp_store = MEMORY",
)


class Connections:
    """A pool for one URL; `path` is the SQLite file, None otherwise; `memory` keeps one connection for everybody."""

    __slots__ = ("_begin", "_engine", "_only", "_turn", "_writing", "memory", "path", "postgres")

    def __init__(self, url: str) -> None:
        address = _address(url)
        self.postgres = address.get_backend_name() == "postgresql"
        self.memory = not self.postgres and address.database in (None, "", ":memory:")
        self.path = None if self.postgres or self.memory else Path(address.database or "")
        self._begin = "BEGIN" if self.postgres else "BEGIN IMMEDIATE"
        self._turn, self._writing = RLock(), False
        if self.path is not None:
            _create(self.path)
        self._engine = _postgres(address) if self.postgres else _sqlite(address, self.memory)
        self._only = self._engine.connect() if self.memory else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection on which every statement sees what is committed at that moment."""
        with mapped():
            if self._only is None:
                with self._engine.connect() as connection:
                    yield connection
            else:
                with self._turn:
                    yield self._only

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed durably when the block ends, rolled back when it raises.

        One writer at a time on SQLite (other processes wait at BEGIN IMMEDIATE, threads of this one at a lock, which
        is fairer than SQLite's polling). Raises StoreUnavailable when no turn comes within PATIENCE.
        """
        with mapped(), self._alone():
            if self._only is None:
                with self._engine.connect() as connection:
                    yield from self._transaction(connection)
            else:
                yield from self._transaction(self._only)

    def _transaction(self, connection: Connection) -> Iterator[Connection]:
        connection.exec_driver_sql(self._begin)
        try:
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.postgres:
            yield
            return
        if not self._turn.acquire(timeout=PATIENCE):
            raise StoreUnavailable("another thread keeps the ledger's write turn", after=1.0)
        try:
            if self._writing:
                raise RuntimeError("a unit of work is open in this thread: finish it before the next write")
            self._writing = True
            try:
                yield
            finally:
                self._writing = False
        finally:
            self._turn.release()

    def session(self) -> Connection:
        """A connection of one's own, for a lock that lives as long as it does."""
        with mapped():
            return self._engine.connect()

    def close(self) -> None:
        """Give back every connection; a file's write-ahead log is merged into it."""
        with mapped():
            if self._only is not None:
                self._only.close()
            self._engine.dispose()


def _roll_back(connection: Connection) -> None:
    """End the transaction; a connection that cannot even do that is thrown away, which ends it too."""
    try:
        connection.exec_driver_sql("ROLLBACK")
    except DBAPIError as error:
        # SQLite has already rolled back after some faults (disk full) and then says that nothing is open.
        if not isinstance(error.orig, sqlite3.OperationalError):
            connection.invalidate()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise SettingsError("the ledger's URL is none: write sqlite:///path or postgresql://host/name") from None
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "postgresql+psycopg"):
        raise SettingsError(f"no ledger on {address.drivername}: write sqlite:///path or postgresql://host/name")
    return address


def _create(path: Path) -> None:
    """Make the file before SQLite does, so that nobody but us can read it; its log files inherit that."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise SettingsError(f"the ledger's file {path} cannot be made: {error.strerror}") from None


def _sqlite(address: URL, memory: bool) -> Engine:
    single: dict[str, Any] = {"poolclass": StaticPool, "pool_reset_on_return": None} if memory else {}
    engine = create_engine(
        address, hide_parameters=True, connect_args={"timeout": PATIENCE, "check_same_thread": False}, **single,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        if not memory:
            connection.execute("PRAGMA journal_mode = WAL")
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    return engine


def _postgres(address: URL) -> Engine:
    engine = create_engine(
        address, hide_parameters=True, isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5, "application_name": "sdoh-bridge"},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # A frozen worker must not keep its locks for ever; its transaction is repeated by whoever comes next.
        connection.execute(f"SET lock_timeout = '{int(PATIENCE)}s'")
        connection.execute("SET idle_in_transaction_session_timeout = '120s'")

    return engine
