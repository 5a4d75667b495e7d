"""What the ledger keeps when processes die, race or are too old, for every ledger that survives a process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import traceback
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection

from bridge.adapters.store import migration
from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.core.errors import BridgeError, SettingsError, StoreUnavailable
from bridge.core.rows import Disclosure
from tests.services.ledgers import (  # noqa: F401 (fixtures)
    NOW,
    arrival,
    decision,
    finish,
    ledger,
    ledger_url,
    outgoing,
    patient,
    question,
    referral,
    resource,
    shared_url,
    store,
)

ROOT = Path(__file__).resolve().parents[2]
NEXT = migration.STEPS[-1].number + 1
PRELUDE = """
import os, sys
from bridge.adapters.store.ledger import open_ledger
from tests.services.ledgers import *
ledger = open_ledger(sys.argv[1])
"""


def _child(code: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), url], cwd=ROOT, text=True, stderr=subprocess.PIPE
    )


def _run(code: str, url: str) -> int:
    child = _child(code, url)
    _, errors = child.communicate(timeout=60)
    assert not errors, errors
    return child.returncode


@pytest.fixture
def shared(shared_url: str):
    """A ledger that other processes can open too, and its URL."""
    opened = open_ledger(shared_url)
    opened.upgrade()
    yield opened, shared_url
    opened.close()


def test_a_process_that_dies_inside_a_work_leaves_nothing_of_it(shared: tuple[SqlLedger, str]) -> None:
    """What was stored before stays, what the dead process had written and even flushed is gone, and work goes on."""
    ledger, url = shared
    code = """
        store(ledger, "a")
        with ledger.work() as work:
            work.put(patient("p1"), "p1", "m-a", "")
            work.refer(referral("t1")); work.enqueue(outgoing("o1")); work.finish("m-a", "accepted")
            work.flush()
            os._exit(9)
    """
    assert _run(code, url) == 9
    assert [(row.envelope.id, row.outcome) for row in ledger.pending(10, NOW)] == [("m-a", "")]
    assert ledger.outgoing() == []
    with ledger.work() as work:
        assert work.resource("Patient/p1") is None
        assert work.referrals("p1") == []


def test_what_store_answered_survives_the_process(shared: tuple[SqlLedger, str]) -> None:
    """A process that dies right after `store` or `attempt` has stored and counted."""
    ledger, url = shared
    assert _run("store(ledger, 'a', 'b'); ledger.attempt(['m-a']); os._exit(9)", url) == 9
    assert [(row.envelope.id, row.attempts) for row in ledger.pending(10, NOW)] == [("m-a", 1), ("m-b", 0)]


def test_two_processes_share_one_ledger(shared: tuple[SqlLedger, str]) -> None:
    """Two writers at once lose nothing, and a message both bring is stored once."""
    ledger, url = shared
    code = """
        for n in range(12):
            ids = store(ledger, f"{n}", f"{os.getpid()}-{n}")
            with ledger.work() as work:
                for id_ in ids:
                    work.put(patient(id_), id_, id_, "")
                    work.enqueue(outgoing(f"o-{id_}", message_id=id_))
                    work.finish(id_, "accepted")
    """
    children = [_child(code, url) for _ in range(2)]
    for child in children:
        _, errors = child.communicate(timeout=60)
        # PostgreSQL lets both work on the same message: the slower one is told to run again, and does not here.
        assert not errors or "StoreUnavailable" in errors, errors
    done = [child for child in children if child.returncode == 0]
    assert done
    if len(done) == 2:
        assert ledger.counts()["inbox.accepted"] == ledger.counts()["outbox.waiting"] == 36
    rows = ledger.find()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len({row.envelope.id for row in rows}) == len(rows)


def test_threads_share_one_ledger(ledger: SqlLedger) -> None:
    """Threads may use one ledger: writers wait for each other, readers see whole commits only."""
    wrong: list[object] = []

    def write(name: str) -> None:
        for n in range(10):
            store(ledger, f"{name}-{n}-1", f"{name}-{n}-2")

    def read() -> None:
        wrong.extend(count for _ in range(20) if (count := len(ledger.find())) % 2)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(ledger.find()) == 40


def test_a_reader_does_not_see_an_open_work(ledger: SqlLedger) -> None:
    """Reads of the ledger while a work is open in the same thread see what was committed before it."""
    store(ledger, "a")
    with ledger.work() as work:
        work.finish("m-a", "accepted")
        assert ledger.counts()["inbox.pending"] == 1
    assert ledger.counts()["inbox.accepted"] == 1


def test_an_update_is_never_lost(shared: tuple[SqlLedger, str]) -> None:
    """Of two works that read the same version and change it, the second is told to run again, and both changes stay."""
    ledger, url = shared
    if url.startswith("sqlite"):
        pytest.skip("SQLite has one writer: the second work starts after the first")
    for race in (_race_resource, _race_referral):
        other = open_ledger(url)
        with pytest.raises(StoreUnavailable) as caught:
            race(ledger, other)
        assert "Rivera" not in "".join(traceback.format_exception(caught.value))
        assert "Rivera" not in _chain(caught.value)
        other.close()
    with ledger.work() as work:
        assert work.resource("Task/t")["note"] == "theirs"
        assert work.put(resource("Task", "t", note="ours"), "", "m-2", "") == 2
        assert [one.id for one in work.referrals("Rivera")] == ["theirs"]


def _chain(error: BaseException | None) -> str:
    """Every text that hangs on an exception, also what Python does not print."""
    return "" if error is None else f"{error!r} {error} {_chain(error.__cause__)} {_chain(error.__context__)}"


def _race_resource(one: SqlLedger, two: SqlLedger) -> None:
    with one.work() as ours:
        ours.put(resource("Task", "t", note="ours"), "", "m-1", "")
        with two.work() as theirs:
            theirs.put(resource("Task", "t", note="theirs"), "", "m-1", "")


def _race_referral(one: SqlLedger, two: SqlLedger) -> None:
    with one.work() as ours:
        ours.refer(referral("ours", patient="Rivera"))
        with two.work() as theirs:
            theirs.refer(referral("theirs", patient="Rivera"))


def test_a_work_inside_a_work_is_a_mistake_that_is_named(ledger_url: str) -> None:
    """On one-writer databases a second write in the same thread raises at once instead of waiting for itself."""
    if not ledger_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has many writers")
    ledger = open_ledger(ledger_url)
    ledger.upgrade()
    with ledger.work() as work:
        with pytest.raises(RuntimeError, match="a unit of work is open"):
            store(ledger, "a")
        work.put(resource("Task", "t"), "p1", "m-1", "")
    with ledger.work() as work:
        assert work.resource("Task/t")
    ledger.close()


def test_a_server_that_goes_away_is_a_passing_fault(shared: tuple[SqlLedger, str]) -> None:
    """A connection that is cut, in a work and at rest, raises StoreUnavailable; the next use connects again."""
    ledger, url = shared
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    store(ledger, "a")
    with pytest.raises(StoreUnavailable), ledger.work() as work:
        work.finish("m-a", "accepted")
        _cut_connections(url)
    assert ledger.pending(10, NOW)
    _cut_connections(url)
    with pytest.raises(StoreUnavailable):
        ledger.counts()
    assert ledger.counts()["inbox.pending"] == 1


def _cut_connections(url: str) -> None:
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE application_name = 'sdoh-bridge'")


def test_a_fault_inside_a_savepoint_never_commits_half(shared: tuple[SqlLedger, str]) -> None:
    """After a fault of the database the rest of the work cannot be committed, even when the fault was caught."""
    ledger, url = shared
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    store(ledger, "a")
    with pytest.raises(BridgeError), ledger.work() as work:
        work.put(resource("Task", "t"), "p1", "m-a", "")
        with pytest.raises(StoreUnavailable), work.savepoint():
            _cut_connections(url)
            work.referrals("p1")
        work.finish("m-a", "accepted")
    assert ledger.inbox(["m-a"])[0].outcome == ""


def test_upgrading_twice_does_nothing_the_second_time(ledger_url: str) -> None:
    """`upgrade` says what it did, is idempotent, keeps what is there, and is needed before use."""
    ledger = open_ledger(ledger_url)
    with pytest.raises(SettingsError, match="db upgrade"):
        ledger.counts()
    with pytest.raises(SettingsError, match="db upgrade"):
        store(ledger, "a")
    assert ledger.upgrade() == ["1 create the ledger"]
    store(ledger, "a")
    assert ledger.upgrade() == []
    assert len(ledger.find()) == 1
    ledger.close()


def test_an_older_schema_is_brought_up_step_by_step(shared: tuple[SqlLedger, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing steps run once, in order; one that fails leaves the version before it; a new ledger runs none of them."""
    ledger, _ = shared
    store(ledger, "a")
    steps = [migration.Step(number, f"step {number}", _column(number)) for number in (NEXT, NEXT + 1)]
    broken = migration.Step(NEXT + 2, "broken", lambda connection: connection.exec_driver_sql("ALTER TABLE nowhere ADD COLUMN x TEXT"))
    monkeypatch.setattr(migration, "STEPS", (*migration.STEPS, *steps, broken))
    with pytest.raises(BridgeError):
        ledger.upgrade()
    monkeypatch.setattr(migration, "STEPS", migration.STEPS[:-1])
    assert ledger.upgrade() == [f"{number} step {number}" for number in (NEXT, NEXT + 1)]
    assert (ledger.upgrade(), len(ledger.find())) == ([], 1)


def test_a_ledger_without_the_origin_of_its_elements_is_brought_up(shared: tuple[SqlLedger, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of the first schema keeps what it has: resources without a memory of who told them, records that are chained
    from now on, and a sweep that looks at every consent once."""
    ledger, _ = shared
    with ledger.work() as work:
        work.put(patient("p1"), "p1", "m-a", "")
        work.put(resource("Consent", "c1"), "p1", "m-a", "")
        work.decided(decision("Task/t1"))
        work.disclosed(Disclosure("d", "", "cbo-a", "p1", ("Task/t1",), "TREAT", (), "referral"))
    records = ledger.decisions(), ledger.disclosures()
    with ledger._connections.write() as connection:
        first_schema(connection)
    assert [step.split()[0] for step in ledger.upgrade()] == ["2", "3"]
    assert (ledger.decisions(), ledger.disclosures()) == records
    assert ledger.expiring(10, NOW) == ["p1"]
    assert all(well for name, well, _ in ledger.health() if name.startswith("record of"))
    with ledger.work() as work:
        assert work.resource("Patient/p1") is not None
        assert work.told("Patient/p1") == ""


def first_schema(connection: Connection) -> None:
    """Take a ledger back to the first schema, with its rows."""
    postgres = connection.dialect.name == "postgresql"
    for table, columns in (("decisions", ("digest",)), ("disclosures", ("digest", "versions", "redacted", "obligations", "confidentiality"))):
        for name in ("no_change", "no_truncate") if postgres else ("no_update", "no_delete"):
            connection.exec_driver_sql(f"DROP TRIGGER {table}_{name}{f' ON {table}' if postgres else ''}")
        if postgres:
            connection.exec_driver_sql(f"DROP FUNCTION {table}_fixed()")
        for column in columns:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
    for table in ("chain", "generations"):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql("ALTER TABLE resources DROP COLUMN told")
    connection.exec_driver_sql("DELETE FROM schema_version WHERE version > 1")


def _column(number: int):
    return lambda connection: connection.exec_driver_sql(f"ALTER TABLE inbox ADD COLUMN extra{number} TEXT")


def test_a_newer_schema_is_refused(shared: tuple[SqlLedger, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that a newer program has upgraded is not opened by an older one, nor upgraded."""
    ledger, url = shared
    with monkeypatch.context() as newer:
        newer.setattr(migration, "STEPS", (*migration.STEPS, migration.Step(NEXT, "step", _column(NEXT))))
        ledger.upgrade()
    with pytest.raises(SettingsError, match=f"version {NEXT}, this program knows {NEXT - 1}"):
        open_ledger(url)
    with pytest.raises(SettingsError, match="newer sdoh-bridge"):
        ledger.upgrade()


def test_old_finished_messages_are_purged_and_nothing_else(ledger: SqlLedger) -> None:
    """Purging deletes finished old messages with their outbox rows and closed questions; what waits or is new stays."""
    old = NOW - timedelta(days=60)
    store(ledger, "a", "b", "c", "d", "e", received=old)
    store(ledger, "f")
    with ledger.work() as work:
        for name in "abcdf":
            work.finish(f"m-{name}", "accepted")
        for name, state in (("a", "sent"), ("b", "waiting")):
            work.enqueue(outgoing(f"o-{name}", message_id=f"m-{name}", patient=name))
            work.settle(f"o-{name}", state)
        work.put(patient("p1"), "p1", "m-a", "")
        work.refer(referral("t1"))
        work.ask(question("h1", kind="decision", message_id="m-c"))
        work.ask(question("h2", kind="decision", message_id="m-a"))
    ledger.update_held("h2", "released")
    assert ledger.purge(NOW - timedelta(days=45), NOW) == {"outbox": 1, "held": 1, "envelopes": 2, "inbox": 2}
    assert [row.envelope.id for row in ledger.find()] == ["m-b", "m-c", "m-e", "m-f"]
    assert ([row.id for row in ledger.outgoing()], [item.id for item in ledger.held("")]) == (["o-b"], ["h1"])
    with ledger.work() as work:
        assert work.resource("Patient/p1")
        assert work.referrals("p1")
    assert [one.state for one in ledger.store([arrival("a"), arrival("b")])] == ["new", "done"]


def test_the_retention_cannot_be_cut_short(ledger: SqlLedger) -> None:
    """Purging what a late resend may still need is refused."""
    with pytest.raises(ValueError, match="30 days"):
        ledger.purge(NOW - timedelta(days=29), NOW)


def test_a_healthy_ledger_says_so(ledger: SqlLedger) -> None:
    """Every fact that `doctor` asks of a fresh ledger is well, and each has a detail."""
    facts = ledger.health()
    assert {name for name, _, _ in facts} >= {"schema", "sync", "engine"}
    assert [fact for fact in facts if not fact[1] or not fact[2]] == []
