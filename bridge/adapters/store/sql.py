"""Running SQL that means the same on both databases, without compiling it for every batch.

In a statement `?` is a value, `IN LIST` takes one list of texts and `IN PAIRS` one list of pairs, so that its text (and
its preparation) is the same for any number of values. Many rows travel in one call: row by row inside SQLite, as one
array per column to PostgreSQL, which costs both sides half of what a row at a time does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary

from bridge.adapters.store.codec import dump, plain_rows
from bridge.adapters.store.fault import mapped
from bridge.adapters.store.tables import META

_WORDS = {
    "sqlite": {
        "IN LIST": "IN (SELECT value FROM json_each(?))",
        "IN PAIRS": "IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))",
    },
    "postgresql": {
        "IN LIST": "= ANY(%b::text[])",
        "IN PAIRS": "IN (SELECT * FROM unnest(%b::text[], %b::text[]))",
        "?": "%s",
    },
}


class Bulk(NamedTuple):
    """One change of many rows: `each` has the row's values for SQLite, `all` the columns' arrays for PostgreSQL."""

    each: str
    all: str


class Pairs(NamedTuple):
    """The value of IN PAIRS, as its two columns."""

    left: list[str]
    right: list[str]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Pairs:
        """From pairs, in a fixed order."""
        rows = sorted(pairs)
        return cls([left for left, _ in rows], [right for _, right in rows])


@lru_cache(maxsize=256)
def speak(sql: str, dialect: str) -> str:
    """The statement in the words of `sqlite` or `postgresql`."""
    for word, meaning in _WORDS[dialect].items():
        sql = sql.replace(word, meaning)
    return sql


def run(connection: Connection, sql: str, *values: Any) -> list[Any]:
    """Run one statement; its rows, or none. Raises what fault.mapped raises."""
    dialect = connection.dialect.name
    with mapped():
        if dialect == "sqlite":  # SQLAlchemy's bookkeeping costs four times what the statement does
            driver: Any = connection.connection.driver_connection
            return driver.execute(speak(sql, dialect), _as_json(values)).fetchall()  # type: ignore[no-any-return]
        result = connection.exec_driver_sql(speak(sql, dialect), _as_arrays(values))
        return result.all() if result.returns_rows else []  # type: ignore[return-value]


def run_many(connection: Connection, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a change for these rows of values, made storable; how many rows of the table it changed."""
    if not rows:
        return 0
    rows = plain_rows(rows)
    with mapped():
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(bulk.each, list(rows)).rowcount
        columns = [list(column) for column in zip(*rows, strict=True)]
        return connection.exec_driver_sql(bulk.all, tuple(columns)).rowcount


def insert(table: str, columns: Sequence[str], tail: str = "") -> Bulk:
    """Add rows, in the order given, with what follows (`ON CONFLICT ...`)."""
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    names = _names(columns)
    numbered = META.tables[table].autoincrement_column is not None
    order = f"WITH ORDINALITY AS r({names}, place) ORDER BY place" if numbered else f"AS r({names})"
    return Bulk(
        f"{into} VALUES ({', '.join('?' * len(columns))}) {tail}".rstrip(),
        f"{into} SELECT {names} FROM {_arrays(table, columns)} {order} {tail}".rstrip(),
    )


def update(table: str, columns: Sequence[str], keys: Sequence[str], added: Sequence[str] = ()) -> Bulk:
    """Change rows by their keys; a row of values has the columns, what is `added` to others, and the keys."""
    every = (*columns, *added, *keys)
    first = len(every) - len(keys)
    one = [f"{name} = ?" for name in columns] + [f"{name} = {name} + ?" for name in added]
    many = [f"{name} = r.c{n}" for n, name in enumerate(columns)]
    many += [f"{name} = t.{name} + r.c{n}" for n, name in enumerate(added, len(columns))]
    where = " AND ".join(f"t.{name} = r.c{n}" for n, name in enumerate(keys, first))
    return Bulk(
        f"UPDATE {table} SET {', '.join(one)} WHERE {' AND '.join(f'{name} = ?' for name in keys)}",
        f"UPDATE {table} t SET {', '.join(many)} FROM {_arrays(table, every)} AS r({_names(every)}) WHERE {where}",
    )


def delete(table: str, keys: Sequence[str]) -> Bulk:
    """Delete rows by their keys."""
    return Bulk(
        f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in keys)}",
        f"DELETE FROM {table} WHERE ({', '.join(keys)}) IN (SELECT * FROM {_arrays(table, keys)})",
    )


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f"c{n}" for n in range(len(columns)))


def _arrays(table: str, columns: Sequence[str]) -> str:
    """`unnest` of one binary array per column: psycopg escapes text arrays at ten times the cost."""
    return f"unnest({', '.join(f'%b::{_array(table, name)}' for name in columns)})"


def _array(table: str, column: str) -> str:
    kind = META.tables[table].c[column].type
    if isinstance(kind, Integer | BigInteger):
        return "bigint[]"
    return "bytea[]" if isinstance(kind, LargeBinary) else "text[]"


def _as_json(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([
        dump(value) if isinstance(value, list) else dump(list(zip(*value, strict=True))) if isinstance(value, Pairs) else value
        for value in values
    ])


def _as_arrays(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([one for value in values for one in (value if isinstance(value, Pairs) else (value,))])

