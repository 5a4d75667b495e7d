"""Laws of the inbox, for every ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.adapters.store.ledger import SqlLedger
from bridge.core.issue import Issue
from tests.services.ledgers import NOW, arrival, finish, ledger, ledger_url, store  # noqa: F401 (fixtures)

LATER = NOW + timedelta(hours=1)


def _ids(rows: list) -> list[str]:
    return [row.envelope.id for row in rows]


def test_a_message_comes_back_as_it_was_received(ledger: SqlLedger) -> None:
    """Bytes, headers, offset and keys of a stored message are those that arrived."""
    message = arrival("a", key="MRN|1", body="MSH|^~\\&|\xe9\x00\r")
    assert [(one.id, one.state) for one in ledger.store([message])] == [("m-a", "new")]
    (row,) = ledger.inbox(["m-a"])
    assert row.envelope == message.envelope
    assert row.envelope.received.utcoffset() == timedelta(hours=-5)
    assert (row.source, row.control_id, row.key, row.event) == ("EPIC|GH", "a", "MRN|1", "ADT^A03")
    assert (row.outcome, row.issues, row.attempts, row.due, row.conflict, row.patient) == ("", (), 0, None, False, "")


def test_numbers_follow_the_order_of_arrival(ledger: SqlLedger) -> None:
    """`seq` rises in the order given, within a batch and across batches."""
    store(ledger, "c", "a")
    store(ledger, "b")
    rows = ledger.inbox(["m-a", "m-b", "m-c"])
    assert _ids(sorted(rows, key=lambda row: row.seq)) == ["m-c", "m-a", "m-b"]
    assert _ids(rows) == ["m-a", "m-b", "m-c"]


def test_a_resend_is_answered_from_the_ledger(ledger: SqlLedger) -> None:
    """The same source, control id and hash is no second message, in the batch and after it, whatever its id."""
    first, again = ledger.store([arrival("a"), arrival("a")])
    assert (first.state, again.state, again.id) == ("new", "pending", "m-a")
    issue = Issue("warning", "BRG-M101", "PV1-36", "no row", "add one")
    finish(ledger, "m-a", "rejected", issues=[issue])
    (late,) = ledger.store([arrival("other", control="a", body="a")])
    assert (late.id, late.state, late.outcome, late.issues) == ("m-a", "done", "rejected", (issue,))
    assert len(ledger.find()) == 1


def test_a_message_that_waits_for_another_try_is_pending_to_its_sender(ledger: SqlLedger) -> None:
    """A resend of a message in `retry` is known and not finished."""
    store(ledger, "a")
    finish(ledger, "m-a", "retry", due=LATER)
    assert [one.state for one in ledger.store([arrival("a")])] == ["pending"]


def test_a_reused_control_id_is_kept_and_flagged(ledger: SqlLedger) -> None:
    """Same source and control id with another body is stored as new and marked, in the batch and after it."""
    batch = [arrival("a", control="1"), arrival("b", control="1"), arrival("c", control="1", source="LAB|GH")]
    assert [one.state for one in ledger.store(batch)] == ["new", "conflict", "new"]
    assert [one.state for one in ledger.store([arrival("d", control="1"), arrival("b", control="1")])] == ["conflict", "pending"]
    assert [row.conflict for row in ledger.find()] == [False, True, False, True]


def test_without_a_control_id_the_content_decides(ledger: SqlLedger) -> None:
    """Messages without a control id are the same when source and body are, and never in conflict."""
    batch = [arrival("a", control=""), arrival("b", control=""), arrival("c", control="", body="a"),
             arrival("d", control="", body="a", source="LAB|GH")]
    assert [one.state for one in ledger.store(batch)] == ["new", "new", "pending", "new"]
    assert [one.state for one in ledger.store(batch)] == ["pending"] * 4


def test_a_message_of_a_known_id_is_that_message(ledger: SqlLedger) -> None:
    """The same envelope id under another source is answered, not refused by the database."""
    store(ledger, "a")
    assert [one.state for one in ledger.store([arrival("a", source="LAB|GH")])] == ["pending"]


def test_storing_nothing_is_nothing(ledger: SqlLedger) -> None:
    """An empty batch has an empty answer."""
    assert ledger.store([]) == []
    assert ledger.inbox([]) == []
    ledger.attempt([])


def test_nonsense_from_a_sender_is_stored(ledger: SqlLedger) -> None:
    """NUL, lone surrogates and endless control ids neither fail the batch nor break deduplication."""
    odd = [arrival("a", control="x\0y"), arrival("b", control="\ud800"), arrival("c", control="9" * 9000, key="k\0"),
           arrival("d", control="9" * 9001)]
    assert [one.state for one in ledger.store(odd)] == ["new"] * 4
    assert [one.state for one in ledger.store(odd)] == ["pending"] * 4
    assert len({row.control_id for row in ledger.inbox([f"m-{name}" for name in "abcd"])}) == 4


def test_unknown_messages_are_left_out(ledger: SqlLedger) -> None:
    """`inbox` answers in the order asked, with what there is, as often as asked."""
    store(ledger, "a", "b")
    assert _ids(ledger.inbox(["m-b", "m-x", "m-a", "m-b"])) == ["m-b", "m-a", "m-b"]


def test_pending_is_what_is_not_finished_oldest_first(ledger: SqlLedger) -> None:
    """Accepted, held and rejected messages are not pending; the others come in order, as many as wanted."""
    store(ledger, "a", "b", "c", "d", "e", "f")
    for name, outcome in (("a", "accepted"), ("b", "held"), ("c", "rejected"), ("e", "retry")):
        finish(ledger, f"m-{name}", outcome)
    assert _ids(ledger.pending(10, NOW)) == ["m-d", "m-e", "m-f"]
    assert _ids(ledger.pending(2, NOW)) == ["m-d", "m-e"]


def test_later_messages_of_a_patient_wait_for_the_one_that_is_not_due(ledger: SqlLedger) -> None:
    """A message in `retry` stops its own key until it is due, and no other key, and nothing that came before it."""
    for name, key in (("a1", "A"), ("a2", "A"), ("b1", "B"), ("a3", "A"), ("b2", "B")):
        store(ledger, name, key=key)
    finish(ledger, "m-a2", "retry", due=LATER)
    assert _ids(ledger.pending(10, NOW)) == ["m-a1", "m-b1", "m-b2"]
    assert _ids(ledger.pending(10, LATER)) == ["m-a1", "m-a2", "m-b1", "m-a3", "m-b2"]
    finish(ledger, "m-a2", "accepted")
    assert _ids(ledger.pending(10, NOW)) == ["m-a1", "m-b1", "m-a3", "m-b2"]


def test_messages_without_a_key_wait_for_nobody(ledger: SqlLedger) -> None:
    """An unreadable patient key makes a message independent of every other one without a key."""
    store(ledger, "a", "b")
    finish(ledger, "m-a", "retry", due=LATER)
    assert _ids(ledger.pending(10, NOW)) == ["m-b"]


def test_due_is_an_instant_whatever_its_offset(ledger: SqlLedger) -> None:
    """A due moment is compared and returned as an instant, to the microsecond."""
    store(ledger, "a")
    due = datetime(2025, 3, 9, 7, 0, 0, 1, tzinfo=UTC)
    finish(ledger, "m-a", "retry", due=due)
    assert ledger.inbox(["m-a"])[0].due == due
    assert _ids(ledger.pending(1, due - timedelta(microseconds=1))) == []
    assert _ids(ledger.pending(1, due.astimezone(NOW.tzinfo))) == ["m-a"]


def test_an_attempt_is_counted_before_it_is_made(ledger: SqlLedger) -> None:
    """`attempt` counts by itself; finishing keeps the count, and `retry` is one more."""
    store(ledger, "a", "b")
    ledger.attempt(["m-a", "m-b"])
    ledger.attempt(["m-a", "m-x"])
    finish(ledger, "m-a", "accepted")
    finish(ledger, "m-b", "retry")
    assert [row.attempts for row in ledger.inbox(["m-a", "m-b"])] == [2, 2]


def test_finish_writes_what_became_of_it(ledger: SqlLedger) -> None:
    """Outcome, issues, mapping, version and patient are read back; the last finish of a work counts."""
    store(ledger, "a")
    issues = (Issue("error", "BRG-P002", "Patient.name", "missing", kind="required"), Issue("warning", "BRG-M101", "", "é"))
    with ledger.work() as work:
        work.finish("m-a", "held")
        work.finish("m-a", "accepted", issues=issues, mapping="adt-a03", version="v1", patient="p1")
    (row,) = ledger.inbox(["m-a"])
    assert (row.outcome, row.issues, row.mapping, row.version, row.patient) == ("accepted", issues, "adt-a03", "v1", "p1")


def test_an_outcome_that_is_none_is_refused_where_it_is_said(ledger: SqlLedger) -> None:
    """A wrong outcome or a moment without an offset raises ValueError at the call, not at the commit."""
    with ledger.work() as work:
        with pytest.raises(ValueError, match="accepted, held, retry or rejected"):
            work.finish("m-a", "done")
        with pytest.raises(ValueError, match="without an offset"):
            work.finish("m-a", "retry", due=datetime(2025, 1, 1))  # noqa: DTZ001


def test_find_selects_by_everything_that_is_given(ledger: SqlLedger) -> None:
    """Each filter of `find` narrows, together they intersect, and the oldest come first."""
    for hour, (name, feed, event) in enumerate((("a", "epic", "ADT^A03"), ("b", "epic", "ADT^A01"), ("c", "lab", "ADT^A03"))):
        store(ledger, name, feed=feed, event=event, received=NOW + timedelta(hours=hour))
    finish(ledger, "m-a", "accepted", version="v1", patient="p1", issues=[Issue("warning", "BRG-M101", "", "")])
    finish(ledger, "m-b", "rejected", version="v2", issues=[Issue("warning", "BRG-M1011", "", "")])
    expected = {
        "": "abc", "feed=epic": "ab", "event=ADT^A03": "ac", "feed=epic event=ADT^A03": "a", "outcome=accepted": "a",
        "outcome=pending": "c", "code=BRG-M101": "a", "version=v2": "b", "patient=p1": "a", "patient=px": "", "limit=2": "ab",
        "since=2025-03-09T02:30:00-05:00": "bc", "until=2025-03-09T07:30:00": "a", "since=2025-03-09 until=2025-03-10": "abc",
        "since=2025-03-10": "",
    }
    for words, names in expected.items():
        options: dict = dict(word.split("=") for word in words.split())
        options |= {"limit": int(options["limit"])} if "limit" in options else {}
        assert _ids(ledger.find(**options)) == [f"m-{name}" for name in names], words


def test_a_time_that_is_none_is_refused(ledger: SqlLedger) -> None:
    """`since` and `until` say what they want, without repeating what they got."""
    with pytest.raises(ValueError, match="since is no ISO date") as caught:
        ledger.find(since="Rivera")
    assert "Rivera" not in str(caught.value)


def test_one_message_wakes_all_of_its_patient(ledger: SqlLedger) -> None:
    """`unfinished` gives what is due of these messages and of their patients' others, oldest first, and of nobody else."""
    for name, key in (("a1", "A"), ("b1", "B"), ("a2", "A"), ("x", ""), ("y", ""), ("a3", "A")):
        store(ledger, name, key=key)
    assert _ids(ledger.unfinished(["m-a2", "m-x"], NOW)) == ["m-a1", "m-a2", "m-x", "m-a3"]
    finish(ledger, "m-a1", "accepted")
    finish(ledger, "m-a2", "retry", due=LATER)
    assert _ids(ledger.unfinished(["m-a3"], NOW)) == []
    assert _ids(ledger.unfinished(["m-a1"], LATER)) == ["m-a2", "m-a3"]
    assert ledger.unfinished([], NOW) == ledger.unfinished(["m-unknown"], NOW) == []
