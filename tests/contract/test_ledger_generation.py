"""Laws of the consent generation, for every ledger: every change of what is on file moves it, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.adapters.store.ledger import SqlLedger
from tests.services.ledgers import NOW, ledger, ledger_url, resource  # noqa: F401 (fixtures)


def _generation(ledger: SqlLedger, patient: str = "p1") -> int:
    with ledger.work() as work:
        return work.generation(patient)


def _put(ledger: SqlLedger, patient: str = "p1", status: str = "active", name: str = "c1", **meta: str) -> None:
    with ledger.work() as work:
        work.put(resource("Consent", name, status=status, **({"meta": meta} if meta else {})), patient, "m-1", "")


def test_a_change_of_consent_moves_the_generation(ledger: SqlLedger) -> None:
    """A new Consent and a new version of one move it; the same again, and other resources, do not."""
    assert _generation(ledger) == 0
    _put(ledger)
    assert _generation(ledger) == 1
    _put(ledger)
    with ledger.work() as work:
        work.put(resource("Task", "t1", status="requested"), "p1", "m-1", "")
    assert _generation(ledger) == 1
    _put(ledger, status="inactive")
    _put(ledger, name="c2")
    assert _generation(ledger) == 3
    assert _generation(ledger, "p2") == 0


def test_a_consent_that_moves_to_another_person_moves_both(ledger: SqlLedger) -> None:
    """After a merge neither person's old answers may be used."""
    _put(ledger)
    _put(ledger, "p2", name="c2")
    _put(ledger, "p2")
    assert (_generation(ledger), _generation(ledger, "p2")) == (2, 2)


def test_nothing_may_be_kept_in_the_work_that_changes_a_consent(ledger: SqlLedger) -> None:
    """The number is 0 after a change in the same work, and what it was once that is taken back."""
    _put(ledger)
    with ledger.work() as work:
        with pytest.raises(KeyError), work.savepoint():
            work.put(resource("Consent", "c1", status="inactive"), "p1", "m-1", "")
            assert work.generation("p1") == 0
            raise KeyError
        assert work.generation("p1") == 1
    assert _generation(ledger) == 1


def test_a_consent_keeps_when_its_source_changed_it(ledger: SqlLedger) -> None:
    """meta.lastUpdated of a Consent orders its copies (S7) and is kept; of others it is the ledger's and is not."""
    _put(ledger, lastUpdated="2025-01-01T00:00:00Z")
    with ledger.work() as work:
        work.put(resource("Task", "t1", meta={"lastUpdated": "2025-01-01T00:00:00Z"}), "p1", "m-1", "")
    with ledger.work() as work:
        (consent,) = work.consents("p1")
        task = work.resource("Task/t1")
    assert consent["meta"] == {"lastUpdated": "2025-01-01T00:00:00Z", "versionId": "1"}
    assert task is not None
    assert task["meta"] == {"versionId": "1"}


def test_patients_whose_moment_has_come(ledger: SqlLedger) -> None:
    """`expiring` gives those that are due, longest ago first; a later moment or none replaces the one before."""
    with ledger.work() as work:
        for patient, hours in (("p1", 2), ("p2", 1), ("p3", 9)):
            work.expect(patient, NOW + timedelta(hours=hours))
    assert ledger.expiring(10, NOW) == []
    assert ledger.expiring(10, NOW + timedelta(hours=2)) == ["p2", "p1"]
    assert ledger.expiring(1, NOW + timedelta(hours=2)) == ["p2"]
    _put(ledger, "p2")
    with ledger.work() as work:
        work.expect("p2", None)
        work.expect("p1", NOW + timedelta(hours=5))
    assert ledger.expiring(10, NOW + timedelta(hours=6)) == ["p1"]
    assert _generation(ledger, "p2") == 1
