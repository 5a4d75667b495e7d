"""Laws of the records that are only ever added to, for every ledger: who changes, moves or takes out a row is found out."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.core.errors import BridgeError
from bridge.core.rows import Disclosure
from tests.services.ledgers import decision, ledger, ledger_url, shared_url  # noqa: F401 (fixtures)

LEFT = Disclosure("d", "2025-03-09T06:30:00+00:00", "cbo-a", "p1", ("Task/1",), "TREAT", ("c1/2",), "referral", (3,), ("Task/1",),
                  ("part2-notice",), ("R",))


def _record(ledger: SqlLedger, count: int = 5) -> None:
    for number in range(count):
        with ledger.work() as work:
            work.decided(decision(f"Task/{number}"))
            work.disclosed(replace(LEFT, delivery_id=f"d{number}"))


def _found(ledger: SqlLedger) -> list[str]:
    return [detail for name, well, detail in ledger.health() if name.startswith("record of") and not well]


def _tamper(ledger: SqlLedger, *statements: str) -> None:
    """Change rows as somebody does who may write to the database and has taken its guards away."""
    with ledger._connections.write() as connection:
        postgres = connection.dialect.name == "postgresql"
        for table in ("decisions", "disclosures"):
            for name in ("no_change",) if postgres else ("no_update", "no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_{name}{f' ON {table}' if postgres else ''}")
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_disclosure_comes_back_whole(ledger: SqlLedger) -> None:
    """Versions, redacted resources and obligations are read back; "" asks for everybody's."""
    with ledger.work() as work:
        work.disclosed(LEFT)
        work.disclosed(replace(LEFT, patient="p2"))
    assert ledger.disclosures("p1") == [LEFT]
    assert ledger.disclosures() == [LEFT, replace(LEFT, patient="p2")]
    with ledger.work() as work:
        assert work.disclosures("p1") == [LEFT]


def test_what_was_only_added_to_is_whole(ledger: SqlLedger) -> None:
    """An untouched ledger verifies, empty or not, also after work that was rolled back."""
    assert _found(ledger) == []
    _record(ledger)
    with pytest.raises(KeyError), ledger.work() as work:
        work.decided(decision("Task/x"))
        raise KeyError
    _record(ledger, 1)
    assert _found(ledger) == []
    details = {name: detail for name, _, detail in ledger.health()}
    assert details["record of decisions"].startswith("6 rows, chain whole, head 6:")


@pytest.mark.parametrize("table", ["decisions", "disclosures"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET patient = 'px' WHERE seq = 3", "DELETE FROM {} WHERE seq = 3", "DELETE FROM {}"])
def test_the_database_refuses_to_change_a_record(ledger: SqlLedger, table: str, statement: str) -> None:
    """UPDATE and DELETE fail and leave everything as it was."""
    _record(ledger)
    with pytest.raises(BridgeError), ledger._connections.write() as connection:
        connection.exec_driver_sql(statement.format(table))
    assert len(ledger.decisions()) == len(ledger.disclosures()) == 5
    assert _found(ledger) == []


@pytest.mark.parametrize("table", ["decisions", "disclosures"])
@pytest.mark.parametrize(("statements", "says"), [
    (("UPDATE {} SET patient = 'px' WHERE seq = 3",), "row 3 changed or moved"),
    (("UPDATE {} SET digest = 'x' WHERE seq = 5",), "row 5 changed or moved, 5 is not where the chain ends"),
    (("DELETE FROM {} WHERE seq = 3",), "row 3 missing"),
    (("DELETE FROM {} WHERE seq IN (2, 3)",), "row 2 to 3 missing"),
    (("DELETE FROM {} WHERE seq = 1",), "row 1 missing"),
    (("DELETE FROM {} WHERE seq >= 4",), "row 4 to 5 missing"),
    (("UPDATE {} SET seq = 99 WHERE seq = 2", "UPDATE {} SET seq = 2 WHERE seq = 3", "UPDATE {} SET seq = 3 WHERE seq = 99"),
     "row 2 changed or moved, 3 changed or moved"),
])
def test_tampering_is_found_and_named_by_its_number(ledger: SqlLedger, table: str, statements: tuple[str, ...], says: str) -> None:
    """A row that was changed, deleted or moved is named, in the table that it is in, and no row before it."""
    _record(ledger)
    _tamper(ledger, *(statement.format(table) for statement in statements))
    (found,) = _found(ledger)
    assert found.startswith(says)


def test_the_chain_goes_on_after_tampering_and_still_tells(ledger: SqlLedger) -> None:
    """Rows that are added later do not hide what was done before."""
    _record(ledger)
    _tamper(ledger, "UPDATE decisions SET recipient = 'nobody' WHERE seq = 2")
    _record(ledger, 2)
    assert _found(ledger) == ["row 2 changed or moved"]


def test_text_that_no_database_holds_is_chained_as_it_is_stored(ledger: SqlLedger) -> None:
    """NUL and broken Unicode are replaced before the digest is taken."""
    with ledger.work() as work:
        work.decided(decision("Task/1", recipient="a\0b\ud800"))
    assert _found(ledger) == []


def test_two_processes_make_one_chain(shared_url: str) -> None:
    """Several writers at once leave one chain without a gap or a fork."""
    one, other = open_ledger(shared_url), open_ledger(shared_url)
    one.upgrade()
    writers = [threading.Thread(target=_record, args=(each, 20)) for each in (one, other, other)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert _found(one) == []
    assert len(one.decisions()) == len(one.disclosures()) == 60
    one.close()
    other.close()


def test_a_backup_and_a_purge_leave_the_chain_whole(tmp_path: Path) -> None:
    """A copy verifies like its original, and purging old messages takes no record out."""
    from datetime import timedelta

    from tests.services.ledgers import NOW, finish, store

    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.upgrade()
    store(ledger, "m", received=NOW - timedelta(days=90))
    finish(ledger, "m-m", "accepted")
    _record(ledger)
    assert ledger.purge(NOW - timedelta(days=60), NOW)["inbox"] == 1
    ledger.backup(tmp_path / "copy.db")
    copy = open_ledger(f"sqlite:///{tmp_path / 'copy.db'}")
    assert _found(ledger) == _found(copy) == []
    assert len(copy.decisions()) == 5
    ledger.close()
    copy.close()
