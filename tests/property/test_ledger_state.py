"""Random sequences of operations: memory and file agree, and a work shows before its commit what is there after it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.core.rows import Disclosure
from tests.services.ledgers import NOW, arrival, decision, outgoing, patient, question, referral, resource

NAMES = st.sampled_from(("1", "2", "3"))
TIMES = st.sampled_from(("", "2025-03-01T08:00:00-05:00", "2025-03-01T13:30:00Z"))
STATUS = st.sampled_from(("requested", "accepted", "completed"))
DUE = st.sampled_from((None, NOW, NOW + timedelta(hours=1)))
WRITES = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(("Task", "Consent", "Observation")), NAMES, STATUS, NAMES, TIMES),
    st.tuples(st.just("patient"), NAMES, st.sampled_from(("Núñez", "nunez", "Smith"))),
    st.tuples(st.just("link"), NAMES, NAMES),
    st.tuples(st.just("refer"), NAMES, NAMES, st.sampled_from(("food", "housing")), STATUS),
    st.tuples(st.just("enqueue"), NAMES, NAMES),
    st.tuples(st.just("settle"), NAMES, st.sampled_from(("sent", "waiting", "withheld", "refused")), DUE),
    st.tuples(st.just("ask"), NAMES, st.sampled_from(("code", "message")), st.sampled_from(("98", "99"))),
    st.tuples(st.just("decide"), NAMES, NAMES),
    st.tuples(st.just("disclose"), NAMES),
    st.tuples(st.just("finish"), NAMES, st.sampled_from(("accepted", "held", "retry", "rejected")), DUE),
)
BLOCK = st.tuples(st.sampled_from(("keep", "undo")), st.lists(WRITES, max_size=4))
WORK = st.tuples(st.just("work"), st.sampled_from(("commit", "raise")), st.lists(BLOCK, max_size=4))
STORE = st.tuples(st.just("store"), st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=4))
HELD = st.tuples(st.just("held"), NAMES, st.sampled_from(("open", "answered", "discarded")))
STEPS = st.lists(st.one_of(WORK, WORK, STORE, HELD), max_size=6)


class _Undone(Exception):
    """Raised by the test to leave a work or a savepoint."""


def _write(work: Any, name: str, *args: Any) -> object:
    """Do one operation; what it answered, or that it was refused."""
    operations: dict[str, Callable[..., object]] = {
        "put": lambda type_, id_, status, of, time: work.put(resource(type_, id_, status=status), of, "m-1", time),
        "patient": lambda id_, family: work.put(patient(id_, family), id_, "m-1", ""),
        "link": lambda value, of: work.link(("urn:mrn", value), of),
        "refer": lambda id_, of, need, status: work.refer(
            referral(id_, patient=of, need=need, status=status, closed=status == "completed")),
        "enqueue": lambda id_, of: work.enqueue(outgoing(id_, patient=of)),
        "settle": lambda id_, state, due: work.settle(id_, state, state, due),
        "ask": lambda id_, kind, code: work.ask(question(id_, kind=kind, code=code)),
        "decide": lambda name, of: work.decided(decision(f"Task/{name}", patient=of)),
        "disclose": lambda of: work.disclosed(Disclosure("d", "", "cbo-a", of, ("Task/1",), "TREAT", (), "referral")),
        "finish": lambda id_, outcome, due: work.finish(f"m-{id_}", outcome, patient=id_, due=due),
    }
    try:
        return operations[name](*args)
    except ValueError as error:
        return str(error)


def _seen(work: Any) -> list[Any]:
    """Everything that a work can read."""
    refs = [f"{type_}/{id_}" for type_ in ("Task", "Consent", "Observation", "Patient") for id_ in "123"]
    return [
        [(work.resource(ref), work.event_time(ref)) for ref in refs],
        [(work.of_patient(id_), work.of_patient(id_, "Task", "Consent"), work.consents(id_)) for id_ in "123"],
        [(work.referrals(id_), work.referral(id_), work.referral(f"S-{id_}")) for id_ in "123"],
        work.persons([("urn:mrn", id_) for id_ in "123"]),
        [work.people("1980-02-29", family) for family in ("NUÑEZ", "smith")],
    ]


def _run(ledger: SqlLedger, step: tuple[Any, ...]) -> list[Any]:
    """Do one step; everything that anybody can see of it, during and after."""
    seen: list[Any] = []
    if step[0] == "store":
        batch = [arrival(name, control=control, key=key) for name, control, key in step[1]]
        seen.append(ledger.store(batch))
    elif step[0] == "held":
        try:
            seen.append(ledger.update_held(step[1], step[2], "01", "nurse"))
        except ValueError as error:
            seen.append(str(error))
    else:
        seen.extend(_run_work(ledger, step[1], step[2]))
    return [*seen, _visible(ledger)]


def _run_work(ledger: SqlLedger, end: str, blocks: list[Any]) -> list[Any]:
    seen: list[Any] = []
    with ledger.work() as work:
        before = _seen(work)
    try:
        with ledger.work() as work:
            for verb, writes in blocks:
                try:
                    with work.savepoint():
                        inside = _seen(work)
                        seen.append([_write(work, *write) for write in writes])
                        if verb == "undo":
                            raise _Undone
                except _Undone:
                    assert _seen(work) == inside
            before = _seen(work) if end == "commit" else before
            if end == "raise":
                raise _Undone
    except _Undone:
        pass
    with ledger.work() as work:
        assert _seen(work) == before
    return [*seen, before]


def _visible(ledger: SqlLedger) -> list[Any]:
    return [
        ledger.find(), ledger.pending(10, NOW), ledger.outgoing(), ledger.waiting(["cbo-a"], 10, NOW), ledger.decisions(),
        [ledger.disclosures(id_) for id_ in "123"], ledger.held(""), ledger.counts(),
    ]




@given(STEPS)
@settings(max_examples=12, deadline=None)
def test_memory_and_file_show_the_same(steps: list[tuple[Any, ...]]) -> None:
    """After any sequence of operations every read of both ledgers agrees, and a work is what its commit left."""
    with tempfile.TemporaryDirectory() as folder:
        ledgers = [open_ledger("sqlite://"), open_ledger(f"sqlite:///{Path(folder) / 'ledger.db'}")]
        for ledger in ledgers:
            ledger.upgrade()
        for step in steps:
            memory, file = (_run(ledger, step) for ledger in ledgers)
            assert memory == file
        for ledger in ledgers:
            ledger.close()


@given(st.lists(st.tuples(NAMES, st.sampled_from(("accepted", "retry", "later"))), max_size=12))
@settings(max_examples=20, deadline=None)
def test_a_patients_messages_are_never_given_out_of_order(history: list[tuple[str, str]]) -> None:
    """However finishing and retrying interleave, no key's message is pending while an earlier one is not due."""
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    ledger.store([arrival(f"{key}{n}", key=key) for n in range(4) for key in "123"])
    for key, outcome in history:
        mine = [row for row in ledger.pending(100, NOW) if row.key == key]
        if mine:
            due = NOW + timedelta(hours=1) if outcome == "later" else None
            with ledger.work() as work:
                work.finish(mine[0].envelope.id, "retry" if outcome == "later" else outcome, due=due)
        rows = ledger.pending(100, NOW)
        assert [row.seq for row in rows] == sorted(row.seq for row in rows)
        blocked = {row.key: row.seq for row in reversed(ledger.find()) if row.outcome == "retry" and row.due}
        assert all(row.seq < blocked.get(row.key, row.seq + 1) for row in rows)
    ledger.close()
