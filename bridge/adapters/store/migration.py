"""The schema's versions: numbered steps, done once each, in order, and never undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, inspect, select

from bridge.adapters.store import chain
from bridge.adapters.store.tables import META, generations, schema
from bridge.adapters.store.tables import chain as heads
from bridge.core.errors import SettingsError

_LOCK = 7_305_801
"""PostgreSQL advisory lock: one process upgrades, the others wait and find nothing to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of an existing schema to `number`; `apply` runs inside the upgrade's transaction."""

    number: int
    title: str
    apply: Callable[[Connection], None]


def _create(connection: Connection) -> None:
    META.create_all(connection)
    chain.begin(connection)


def _told(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE resources ADD COLUMN told TEXT NOT NULL DEFAULT ''")


def _chained(connection: Connection) -> None:
    for table, column in (("decisions", "digest"), ("disclosures", "digest")):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
    for column in ("versions", "redacted", "obligations", "confidentiality"):
        connection.exec_driver_sql(f"ALTER TABLE disclosures ADD COLUMN {column} TEXT NOT NULL DEFAULT '[]'")
    META.create_all(connection, tables=[heads, generations])
    chain.begin(connection)
    # the sweep looks at each of them once and then knows when to look again
    connection.exec_driver_sql("INSERT INTO generations (patient, number, due_us) "
                               "SELECT patient, 1, 0 FROM resources WHERE type = 'Consent' GROUP BY patient")


STEPS: tuple[Step, ...] = (
    Step(1, "create the ledger", _create),
    Step(2, "remember which message each element of a resource is from", _told),
    Step(3, "chain the records of decisions and disclosures; count changes of consent", _chained),
)
"""A new ledger is created whole by step 1; the steps after it are written off as done and change older ones only."""


def current(connection: Connection) -> int:
    """The schema's version; 0 when there is none yet."""
    if not inspect(connection).has_table(schema.name):
        return 0
    return int(connection.execute(select(func.coalesce(func.max(schema.c.version), 0))).scalar_one())


def require(version: int) -> None:
    """Raises SettingsError when the schema is newer than this program."""
    newest = STEPS[-1].number
    if version > newest:
        raise SettingsError(
            f"the ledger's schema is version {version}, this program knows {newest}: run a newer sdoh-bridge"
        )


def upgrade(connection: Connection) -> list[str]:
    """Do the steps that are missing, inside the caller's transaction; returns `number title` of each."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    version = current(connection)
    require(version)
    missing = [step for step in STEPS if step.number > version]
    done = missing[:1] if version == 0 else missing
    for step in done:
        step.apply(connection)
    for step in missing:
        connection.execute(insert(schema).values(version=step.number, title=step.title))
    return [f"{step.number} {step.title}" for step in done]
