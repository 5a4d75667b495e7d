"""One process at a time for a role, such as sending to a partner: the others stand by and take over when it is gone."""

from __future__ import annotations

import fcntl
import zlib
from contextlib import suppress
from typing import IO

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bridge.adapters.store.connection import Connections
from bridge.adapters.store.fault import mapped
from bridge.adapters.store.sql import run

_TRY = "SELECT pg_try_advisory_lock(7305803, ?)"


class Leases:
    """Leases on the ledger's database: a file lock beside a SQLite file, a session's advisory lock on PostgreSQL.

    Both end with the process, however it ends. A ledger in memory has one process and every lease.
    """

    __slots__ = ("_connections", "_files", "_held", "_session")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._files: dict[str, IO[bytes]] = {}
        self._held: set[str] = set()
        self._session: Connection | None = None

    def hold(self, name: str) -> bool:
        """Whether this process has the lease, taking it if nobody does. Raises StoreUnavailable when nobody can tell."""
        if self._connections.memory:
            return True
        return self._on_server(name) if self._connections.postgres else self._on_file(name)

    def _on_file(self, name: str) -> bool:
        if name in self._files:
            return True
        file = open(f"{self._connections.path}.{name}.lease", "ab")  # noqa: SIM115, PTH123 - open for as long as the lease
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._files[name] = file
        return True

    def _on_server(self, name: str) -> bool:
        """The lock lives in one session of its own: when that is lost, so is every lease, and it is asked for again."""
        with mapped():
            if self._session is None:
                self._session, self._held = self._connections.session(), set()
            try:
                if name not in self._held and run(self._session, _TRY, zlib.crc32(name.encode()) - 2**31)[0][0]:
                    self._held.add(name)
                run(self._session, "SELECT 1")
            except BaseException:
                self.close()
                raise
        return name in self._held

    def close(self) -> None:
        """Let every lease go."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._held.clear()
        if self._session is not None:
            with suppress(DBAPIError):  # a session that is broken has let go already
                self._session.close()
            self._session = None
