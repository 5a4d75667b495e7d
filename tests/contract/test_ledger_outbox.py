"""Laws of the outbox, the decisions and the disclosures, for every ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bridge.adapters.store.ledger import SqlLedger
from bridge.core.rows import Disclosure, Outgoing
from tests.services.ledgers import NOW, decision, ledger, ledger_url, outgoing  # noqa: F401 (fixtures)

LATER = NOW + timedelta(minutes=5)


def _enqueue(ledger: SqlLedger, *rows: Outgoing) -> None:
    with ledger.work() as work:
        for row in rows:
            work.enqueue(row)


def _settle(ledger: SqlLedger, id_: str, state: str, why: str = "", due: datetime | None = None) -> None:
    with ledger.work() as work:
        work.settle(id_, state, why, due)


def _waiting(ledger: SqlLedger, *recipients: str, now: datetime = NOW, limit: int = 10, shards: list[int] | None = None) -> list[str]:
    return [row.id for row in ledger.waiting(recipients or ("cbo-a", "cbo-b"), limit, now, shards)]


def test_a_row_comes_back_as_it_was_queued(ledger: SqlLedger) -> None:
    """What was enqueued is read back whole, with its number."""
    row = replace(outgoing("o1"), due=NOW, why="first", attempts=2)
    _enqueue(ledger, row)
    (read,) = ledger.outgoing()
    assert read == replace(row, seq=read.seq)
    assert read.seq > 0


def test_the_same_id_is_no_second_row(ledger: SqlLedger) -> None:
    """Enqueueing an id again, in the same work or later, changes nothing, whatever became of the row."""
    _enqueue(ledger, outgoing("o1"), replace(outgoing("o1"), kind="update"))
    _settle(ledger, "o1", "sent")
    _enqueue(ledger, outgoing("o1"))
    assert [(row.id, row.kind, row.state) for row in ledger.outgoing()] == [("o1", "referral", "sent")]


def test_waiting_gives_due_rows_oldest_first(ledger: SqlLedger) -> None:
    """Rows come in the order queued, for the recipients and shards asked, no more than wanted."""
    _enqueue(ledger, outgoing("o2", patient="p2"), outgoing("o1", patient="p1", shard=4), outgoing("o3", patient="p3"),
             outgoing("o4", patient="p3", recipient="cbo-b"))
    assert _waiting(ledger) == ["o2", "o1", "o3", "o4"]
    assert _waiting(ledger, limit=2) == ["o2", "o1"]
    assert _waiting(ledger, "cbo-b") == ["o4"]
    assert _waiting(ledger, shards=[4]) == ["o1"]
    assert _waiting(ledger, shards=[3, 4]) == ["o2", "o1", "o3", "o4"]
    assert _waiting(ledger, shards=[]) == []
    assert ledger.waiting([], 10, NOW) == []


def test_a_patients_rows_leave_one_after_the_other(ledger: SqlLedger) -> None:
    """Per recipient and patient a row is given only when every earlier one has left, by sending, withholding or refusal."""
    _enqueue(ledger, *(outgoing(f"o{n}") for n in range(4)), outgoing("b", recipient="cbo-b"), outgoing("q", patient="p2"))
    for head, state in (("o0", "sent"), ("o1", "withheld"), ("o2", "refused")):
        assert _waiting(ledger) == [head, "b", "q"]
        _settle(ledger, head, state)
    assert _waiting(ledger) == ["o3", "b", "q"]


def test_a_row_that_is_not_due_stops_only_its_own_patient_and_recipient(ledger: SqlLedger) -> None:
    """Waiting again from a later moment blocks the later rows of that patient at that recipient until then."""
    _enqueue(ledger, outgoing("o1"), outgoing("o2"), outgoing("b", recipient="cbo-b"), outgoing("q", patient="p2"))
    _settle(ledger, "o1", "waiting", "timeout", LATER)
    assert _waiting(ledger) == ["b", "q"]
    assert _waiting(ledger, now=LATER) == ["o1", "b", "q"]


def test_rows_about_nobody_wait_for_nobody(ledger: SqlLedger) -> None:
    """Rows without a patient are independent of each other."""
    _enqueue(ledger, outgoing("o1", patient=""), outgoing("o2", patient=""))
    _settle(ledger, "o1", "waiting", "timeout", LATER)
    assert _waiting(ledger) == ["o2"]


def test_settling_says_why_and_counts_tries(ledger: SqlLedger) -> None:
    """Sent, refused and waiting for another try count as an attempt; withheld and queued again do not."""
    steps = (("waiting", "timeout", LATER, 1), ("waiting", "again", None, 1), ("withheld", "revoked", None, 1),
             ("refused", "gone", None, 2), ("sent", "", None, 3))
    _enqueue(ledger, outgoing("o1"))
    for state, why, due, attempts in steps:
        _settle(ledger, "o1", state, why, due)
        (row,) = ledger.outgoing()
        assert (row.state, row.why, row.due, row.attempts) == (state, why, due, attempts)


def test_settling_in_the_work_that_queued_or_settled_it(ledger: SqlLedger) -> None:
    """A row can be queued and settled in one work; the last state counts and every try is counted."""
    with ledger.work() as work:
        work.enqueue(outgoing("o1"))
        work.settle("o1", "waiting", "timeout", LATER)
        work.settle("o1", "sent")
        work.settle("unknown", "sent")
        with pytest.raises(ValueError, match="sent"):
            work.settle("o1", "lost")
        with pytest.raises(ValueError, match="sent"):
            work.enqueue(replace(outgoing("o2"), state="lost"))
    (row,) = ledger.outgoing()
    assert (row.state, row.attempts, row.due) == ("sent", 2, None)


def test_outgoing_selects_by_everything_given(ledger: SqlLedger) -> None:
    """Filters of `outgoing` intersect, and rows of every state are shown in order."""
    _enqueue(ledger, outgoing("o1"), outgoing("o2", message_id="m-2"), outgoing("o3", recipient="cbo-b"), outgoing("o4", patient="p2"))
    _settle(ledger, "o1", "sent")
    found = [[row.id for row in ledger.outgoing(**options)] for options in (
        {}, {"message_id": "m-1"}, {"recipient": "cbo-a"}, {"patient": "p1"}, {"message_id": "m-1", "patient": "p1", "recipient": "cbo-b"})]
    assert found == [["o1", "o2", "o3", "o4"], ["o1", "o3", "o4"], ["o1", "o2", "o4"], ["o1", "o2", "o3"], ["o3"]]


def test_decisions_come_back_as_they_were_taken(ledger: SqlLedger) -> None:
    """Decisions are read by patient, message, both or all, complete and in order, however releases interleave."""
    rows = [
        decision("Task/1"), decision("Task/2", effect="redact"), decision("Task/1", recipient="cbo-b", effect="deny"),
        decision("Task/3"), decision("Task/1", stage="send"), decision("Task/9", message_id="m-2", patient="p2"),
        decision("Task/9", message_id="m-2"),
    ]
    with ledger.work() as work:
        for row in rows[:4]:
            work.decided(row)
    with ledger.work() as work:
        for row in rows[4:]:
            work.decided(row)
    assert ledger.decisions() == rows
    assert ledger.decisions(patient="p2") == rows[5:6]
    assert ledger.decisions(message_id="m-2") == rows[5:]
    assert ledger.decisions(patient="p1", message_id="m-2") == rows[6:]
    assert ledger.decisions(patient="px") == []


def test_disclosures_are_all_kept(ledger: SqlLedger) -> None:
    """Each thing that left is listed for its patient in order, also the same delivery twice."""
    row = Disclosure("d1", NOW.isoformat(), "cbo-a", "p1", ("Task/1", "Patient/p1"), "TREAT", ("Consent/c1/2",), "referral")
    with ledger.work() as work:
        for one in (row, replace(row, delivery_id="d2", patient="p2"), replace(row, kind="cancel"), row):
            work.disclosed(one)
    assert ledger.disclosures("p1") == [row, replace(row, kind="cancel"), row]
    assert ledger.disclosures("px") == []
