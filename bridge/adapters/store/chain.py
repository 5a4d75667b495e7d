"""Append-only rows: each carries a digest over itself and the one before, so that none can be changed, moved or taken out.

The digest is SHA-256 without a key: it shows what somebody did who can write to the database but did not make every later
row anew. Whoever keeps the head of a chain elsewhere (`doctor` names it) can tell that too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from bridge.adapters.store.codec import dump, plain_rows
from bridge.adapters.store.sql import insert, run, run_many

COLUMNS = {
    "decisions": ("message_id", "stage", "at", "recipient", "patient", "purpose", "entries"),
    "disclosures": ("delivery_id", "at", "recipient", "patient", "resources", "purpose", "consents", "kind", "versions",
                    "redacted", "obligations", "confidentiality"),
}
"""What a digest covers, in this order for ever, besides the row's number and the digest before."""

_INSERT = {name: insert(name, ("seq", *columns, "digest")) for name, columns in COLUMNS.items()}
_HEAD = "SELECT number, digest FROM chain WHERE name = ?"
_MOVE = "UPDATE chain SET number = ?, digest = ? WHERE name = ?"
_PAGE = 5_000
_SHOWN = 5


def append(connection: Connection, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows of COLUMNS to the end of a chain; until the transaction ends no other process can add to it."""
    if not rows:
        return
    number, digest = _head(connection, name, lock=True)
    linked = []
    for row in plain_rows(rows):
        number += 1
        digest = link(digest, number, row)
        linked.append((number, *row, digest))
    run_many(connection, _INSERT[name], linked)
    run(connection, _MOVE, number, digest, name)


def link(before: str, number: int, row: Sequence[Any]) -> str:
    """The digest of a row that follows `before` ("" for the first)."""
    return hashlib.sha256(f"{before}{dump([number, *row])}".encode()).hexdigest()


def verify(connection: Connection, name: str) -> tuple[int, str, list[str]]:
    """(number of the last row, digest of it, what is wrong by row number; empty when the chain is whole)."""
    last, before, wrong = 0, "", list[str]()
    for number, *row, digest in _rows(connection, name):
        if link(before, number, row) != digest:
            gone = f"{last + 1} to {number - 1}" if number > last + 2 else str(last + 1)
            wrong.append(f"{gone} missing" if number > last + 1 else f"{number} changed or moved")
        last, before = number, digest
    number, digest = _head(connection, name, lock=False)
    if (number, digest) != (last, before):
        wrong.append(f"{last + 1} to {number} missing" if number > last else f"{last} is not where the chain ends")
    return last, before, wrong


def facts(connection: Connection) -> list[tuple[str, bool, str]]:
    """For `doctor`: whether each chain is whole, with its head or the first rows that are wrong."""
    found = []
    for name in COLUMNS:
        last, digest, wrong = verify(connection, name)
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        whole = f"{last} rows, chain whole, head {last}:{digest[:16]}" if last else "no rows yet"
        found.append((f"record of {name}", not wrong, whole if not wrong else f"row {', '.join(wrong[:_SHOWN])}{more}"))
    return found


def begin(connection: Connection) -> None:
    """Start the chains over what is on file, then refuse every change of it in the database itself."""
    for name in COLUMNS:
        last, digest = 0, ""
        for number, *row, _ in list(_rows(connection, name)):
            last, digest = number, link(digest, number, row)
            run(connection, f"UPDATE {name} SET digest = ? WHERE seq = ?", digest, number)
        run(connection, "INSERT INTO chain (name, number, digest) VALUES (?, ?, ?)", name, last, digest)
        for statement in _guards(name, connection.dialect.name):
            connection.exec_driver_sql(statement)


def _head(connection: Connection, name: str, *, lock: bool) -> tuple[int, str]:
    """SQLite has one writer at a time anyway."""
    tail = " FOR UPDATE" if lock and connection.dialect.name == "postgresql" else ""
    ((number, digest),) = run(connection, _HEAD + tail, name)
    return number, digest


def _rows(connection: Connection, name: str) -> Iterator[Any]:
    sql = f"SELECT seq, {', '.join(COLUMNS[name])}, digest FROM {name} WHERE seq > ? ORDER BY seq LIMIT {_PAGE}"
    after = 0
    while page := run(connection, sql, after):
        yield from page
        after = page[-1][0]


def _guards(name: str, dialect: str) -> Iterator[str]:
    if dialect == "sqlite":
        for change in ("UPDATE", "DELETE"):
            yield (f"CREATE TRIGGER {name}_no_{change.lower()} BEFORE {change} ON {name} "
                   f"BEGIN SELECT RAISE(ABORT, '{name} are append-only'); END")
        return
    yield (f"CREATE FUNCTION {name}_fixed() RETURNS trigger LANGUAGE plpgsql AS "
           f"$$ BEGIN RAISE EXCEPTION '{name} are append-only'; END $$")
    yield f"CREATE TRIGGER {name}_no_change BEFORE UPDATE OR DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_fixed()"
    yield f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION {name}_fixed()"
