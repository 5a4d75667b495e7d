"""Laws of the work list, the answers, the replay plans and the counts, for every ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.adapters.store.ledger import SqlLedger
from bridge.core.rows import HeldItem, Plan
from tests.services.ledgers import (  # noqa: F401 (fixtures)
    NOW,
    finish,
    ledger,
    ledger_url,
    outgoing,
    question,
    referral,
    store,
)


def _ask(ledger: SqlLedger, *items: HeldItem) -> None:
    with ledger.work() as work:
        for item in items:
            work.ask(item)


def _counts(ledger: SqlLedger, state: str = "open") -> list[tuple[str, int]]:
    return [(item.id, item.count) for item in ledger.held(state)]


def test_a_question_comes_back_as_it_was_filed(ledger: SqlLedger) -> None:
    """Everything of an entry is read back, and entries come oldest first."""
    items = [question("h2"), question("h1", kind="message"), question("h3", kind="decision")]
    _ask(ledger, *items)
    assert ledger.held() == items
    assert ledger.held("") == items
    assert ledger.held("released") == []


def test_the_same_open_code_question_of_a_feed_is_counted(ledger: SqlLedger) -> None:
    """Table, system, code and feed make it the same, in one work and across works; anything else is another."""
    _ask(ledger, question("h1"), question("h2"))
    _ask(ledger, question("h3"), question("h4", code="98"), question("h5", feed="lab"), question("h6"))
    assert _counts(ledger) == [("h1", 4), ("h4", 1), ("h5", 1)]


def test_a_filed_question_that_is_no_code_is_not_counted(ledger: SqlLedger) -> None:
    """The same id again is no second entry and no higher count, for a message or a decision that waits."""
    item = question("h1", kind="message")
    _ask(ledger, item, item)
    _ask(ledger, item, question("h2", kind="message"))
    assert _counts(ledger) == [("h1", 1), ("h2", 1)]


def test_a_question_that_was_closed_and_comes_again_is_open_again(ledger: SqlLedger) -> None:
    """The same id is opened again without its old answer; the same code under another id is a new entry."""
    _ask(ledger, question("h1"), question("h2", kind="message"))
    for id_ in ("h1", "h2"):
        ledger.update_held(id_, "answered", "01", "nurse")
    assert _counts(ledger) == []
    _ask(ledger, question("h2", kind="message"), question("h3"))
    (again, fresh) = ledger.held()
    assert (again.id, again.state, again.answer, again.answered_by) == ("h2", "open", "", "")
    assert (fresh.id, fresh.count) == ("h3", 1)
    assert _counts(ledger, "answered") == [("h1", 1)]
    _ask(ledger, question("h1"))
    assert _counts(ledger) == [("h2", 1), ("h3", 2)]


def test_two_questions_cannot_share_an_id(ledger: SqlLedger) -> None:
    """An id that already asks something else is refused at the call, and the rest of the work is kept."""
    with ledger.work() as work:
        work.ask(question("h1"))
        with pytest.raises(ValueError, match="another question"):
            work.ask(question("h1", code="98"))
    with ledger.work() as work:
        with pytest.raises(ValueError, match="another question"):
            work.ask(question("h1", code="98"))
        work.ask(question("h2", code="98"))
    assert _counts(ledger) == [("h1", 1), ("h2", 1)]


def test_an_entry_is_moved_with_its_answer(ledger: SqlLedger) -> None:
    """`update_held` returns the entry as it is now, keeps an answer that is not given anew, and knows its states."""
    _ask(ledger, question("h1"))
    answered = ledger.update_held("h1", "answered", "01", "nurse")
    assert answered == replace(question("h1"), state="answered", answer="01", answered_by="nurse")
    assert ledger.update_held("h1", "released") == replace(answered, state="released")
    assert ledger.held("released") == [replace(answered, state="released")]
    assert ledger.update_held("unknown", "open") is None
    with pytest.raises(ValueError, match="discarded"):
        ledger.update_held("h1", "lost")


def test_two_open_questions_never_ask_the_same(ledger: SqlLedger) -> None:
    """Opening an old code question while a newer one asks the same is refused, and changes nothing."""
    _ask(ledger, question("h1"))
    ledger.update_held("h1", "discarded")
    _ask(ledger, question("h2"))
    with pytest.raises(ValueError, match="another open question"):
        ledger.update_held("h1", "open")
    assert _counts(ledger) == [("h2", 1)]


def test_answers_are_by_feed_table_system_and_code(ledger: SqlLedger) -> None:
    """A saved answer is read back under its four keys; a later one replaces it; an empty target is an answer."""
    ledger.save_answer("epic", "disposition", "", "99", "home", "nurse")
    ledger.save_answer("lab", "disposition", "urn:s", "99", "", "nurse")
    ledger.save_answer("epic", "disposition", "", "99", "snf", "doctor")
    assert ledger.answers() == {("epic", "disposition", "", "99"): "snf", ("lab", "disposition", "urn:s", "99"): ""}


def test_a_plan_is_frozen_and_its_progress_is_not(ledger: SqlLedger) -> None:
    """Saving a plan again moves state, mode, cursor and results; ids, selection and digest stay."""
    plan = Plan("r1", NOW.isoformat(), "feed=epic", ("m-b", "m-a"), "abc")
    ledger.save_plan(plan)
    ledger.save_plan(Plan("r2", NOW.isoformat(), "all", (), "def"))
    moved = replace(plan, state="running", mode="verify", cursor=1, results={"same": 1})
    ledger.save_plan(replace(moved, ids=("m-z",), selection="other", digest="zzz"))
    assert ledger.plan("r1") == moved
    assert [one.id for one in ledger.plans()] == ["r1", "r2"]
    assert (ledger.plan("unknown"), ledger.plan("")) == (None, None)


def test_counts_are_by_state(ledger: SqlLedger) -> None:
    """Every kind of row is counted by its state; an empty ledger counts nothing."""
    assert ledger.counts() == {"disclosures": 0}
    store(ledger, "a", "b", "c")
    finish(ledger, "m-a", "accepted")
    finish(ledger, "m-b", "retry")
    _ask(ledger, question("h1"))
    with ledger.work() as work:
        work.enqueue(outgoing("o1"))
        work.settle("o1", "sent")
        work.enqueue(outgoing("o2"))
        work.refer(referral("t1"))
        work.refer(referral("t2", closed=True))
    assert ledger.counts() == {
        "inbox.accepted": 1, "inbox.retry": 1, "inbox.pending": 1, "outbox.sent": 1, "outbox.waiting": 1, "held.open": 1,
        "referrals.open": 1, "referrals.closed": 1, "disclosures": 0,
    }
