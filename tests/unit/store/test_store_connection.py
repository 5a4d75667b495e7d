"""Opening a ledger: addresses, files, and how SQLite is told to keep its word."""

from __future__ import annotations

import os
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.adapters.store import upkeep
from bridge.adapters.store.ledger import open_ledger
from bridge.core.errors import SettingsError, StoreUnavailable
from tests.services.ledgers import NOW, arrival, store


@pytest.mark.parametrize("url", ["", "ledger.db", "mysql://h/n", "postgresql+psycopg2://h/n", "sqlite+aiosqlite:///x"])
def test_an_address_that_is_none_is_a_setting_to_repair(url: str) -> None:
    """Only SQLite and PostgreSQL through psycopg are ledgers; the text says how to write one, without a password."""
    with pytest.raises(SettingsError, match="write sqlite:///path or postgresql://"):
        open_ledger(url)


def test_a_server_that_is_not_there_is_a_passing_fault() -> None:
    """Nobody answering is no mistake in the settings, and the password is not repeated."""
    with pytest.raises(StoreUnavailable) as caught:
        open_ledger("postgresql://bridge:canary@127.0.0.1:1/ledger")
    assert "canary" not in str(caught.value)


def test_a_file_is_made_for_us_alone(tmp_path: Path) -> None:
    """The file, its logs and the folder made for it cannot be read by other users."""
    path = tmp_path / "new" / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.upgrade()
    store(ledger, "a")
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    ledger.close()
    assert [one.name for one in path.parent.iterdir()] == ["ledger.db"]


def test_a_path_that_cannot_be_a_ledger_is_a_setting_to_repair(tmp_path: Path) -> None:
    """A folder in place of the file, a file in place of the folder, and a file of something else are named."""
    (tmp_path / "text.txt").write_text("this is no database " * 100)
    for path in (tmp_path, tmp_path / "text.txt" / "ledger.db", tmp_path / "text.txt"):
        with pytest.raises(SettingsError):
            open_ledger(f"sqlite:///{path}")


def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    """Every connection writes ahead, syncs fully and keeps foreign keys."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.upgrade()
    with ledger._connections.read() as one, ledger._connections.read() as two:
        for connection in (one, two):
            asked = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
            assert asked == ["wal", 2, 1]
    ledger.close()


def test_every_table_is_strict(tmp_path: Path) -> None:
    """SQLite refuses a wrong type as PostgreSQL does."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.upgrade()
    with ledger._connections.read() as connection:
        tables = connection.exec_driver_sql("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").all()
    assert {name for name, strict in tables if not strict} == {"sqlite_schema", "sqlite_sequence"} & {name for name, _ in tables}
    ledger.close()


def test_a_memory_ledger_ends_with_it() -> None:
    """Two memory ledgers share nothing, and a closed one is gone."""
    one, two = open_ledger("sqlite://"), open_ledger("sqlite://")
    one.upgrade()
    two.upgrade()
    store(one, "a")
    assert (len(one.find()), len(two.find())) == (1, 0)
    one.close()
    two.close()


def test_a_backup_is_a_whole_ledger(tmp_path: Path) -> None:
    """A copy taken during a work opens by itself, holds what was committed, and is ours alone."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.upgrade()
    store(ledger, "a")
    with ledger.work() as work:
        work.finish("m-a", "accepted")
        ledger.backup(tmp_path / "copy.db")
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith("copy")) == ["copy.db"]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    copy = open_ledger(f"sqlite:///{tmp_path / 'copy.db'}")
    assert (copy.upgrade(), [row.outcome for row in copy.find()], [row.outcome for row in ledger.find()]) == ([], [""], ["accepted"])
    assert [one.state for one in copy.store([arrival("a"), arrival("b")])] == ["pending", "new"]
    for one in (ledger, copy):
        one.close()


def test_a_backup_writes_over_nothing(tmp_path: Path) -> None:
    """An existing target, a missing folder and a ledger that is no file are refused."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.upgrade()
    (tmp_path / "copy.db").write_text("precious")
    for target in (tmp_path / "copy.db", tmp_path / "none" / "copy.db"):
        with pytest.raises(SettingsError, match="cannot be made"):
            ledger.backup(target)
    assert (tmp_path / "copy.db").read_text() == "precious"
    memory = open_ledger("sqlite://")
    with pytest.raises(SettingsError, match="pg_dump"):
        memory.backup(tmp_path / "other.db")
    ledger.close()
    memory.close()


def test_damage_is_seen_by_the_doctor(tmp_path: Path) -> None:
    """A damaged index makes the integrity fact unwell, without quoting a row."""
    path = tmp_path / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.upgrade()
    store(ledger, *(f"canary{n}" for n in range(50)))
    with ledger._connections.read() as connection:
        root = connection.exec_driver_sql("SELECT rootpage FROM sqlite_schema WHERE name = 'inbox_duplicate'").scalar()
    ledger.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096 + 8)
        file.write(os.urandom(600))
    ledger = open_ledger(f"sqlite:///{path}")
    facts = {name: (well, detail) for name, well, detail in ledger.health()}
    assert facts["integrity"][0] is False
    assert "canary" not in facts["integrity"][1]
    ledger.close()


def test_retention_outlives_the_longest_redelivery() -> None:
    """Thirty days at least (reference: NServiceBus and our own retry, hold and replay windows)."""
    assert upkeep.RETENTION >= timedelta(days=30)
    assert sqlite3.sqlite_version_info >= (3, 37)
    assert NOW.tzinfo is not None
