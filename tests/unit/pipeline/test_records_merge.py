"""Two records of one person: A40 retires one, what hangs on it goes on under the other, A37 takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.envelope import FHIR
from bridge.core.outcome import Accepted, Held
from tests.unit.pipeline.merging import a40
from tests.unit.pipeline.town import MRN, Town, adt, consent, screening


def record(town: Town, number: str) -> str:
    """The id of the record that a number was first given to."""
    with town.bridge.ledger.work() as work:
        return work.persons([(MRN, number)])[MRN, number]


def held(town: Town, person: str, *types: str) -> list[dict[str, Any]]:
    with town.bridge.ledger.work() as work:
        return work.of_patient(person, *types)


def referrals(town: Town, person: str) -> list[tuple[str, str]]:
    with town.bridge.ledger.work() as work:
        return [(one.programme, one.status) for one in work.referrals(person)]


def about(town: Town, person: str) -> set[str]:
    """The types of what is filed under a person and refers to them."""
    return {one["resourceType"] for one in held(town, person) if f"'Patient/{person}'" in str(one)} - {"Provenance", "MessageHeader"}


def test_a_merge_retires_one_record_and_links_both(town: Town) -> None:
    """The retired Patient is inactive and replaced by the survivor, which replaces it and keeps its number as an old one."""
    town.take(adt(), adt("A08", mrn="GH9", control="C-2", visit="V9"), a40())
    old, new = town.resource(f"Patient/{record(town, 'GH1001')}"), town.resource(f"Patient/{record(town, 'GH9')}")
    assert old is not None
    assert new is not None
    assert (old["active"], new["active"]) == (False, True)
    assert old["link"] == [{"other": {"reference": f"Patient/{new['id']}"}, "type": "replaced-by"}]
    assert new["link"] == [{"other": {"reference": f"Patient/{old['id']}"}, "type": "replaces"}]
    assert [one["use"] for one in new["identifier"] if one["value"] == "GH1001"] == ["old"]


def test_what_hangs_on_the_retired_record_moves(town: Town) -> None:
    """Visit, diagnoses, referral and consent go on under the survivor; nothing but its history stays behind."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    old = record(town, "GH1001")
    before = about(town, old)
    town.take(a40())
    new = record(town, "GH9")
    assert {"Encounter", "Condition", "Task", "ServiceRequest", "Consent"} <= before
    assert about(town, new) >= before
    assert about(town, old) == set()
    assert (referrals(town, old), referrals(town, new)) == ([], [("evctp", "requested")])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 1, 0), (1, 1, 0, 2, 2)])
def test_a_number_that_was_retired_lands_on_the_survivor(town: Town, order: tuple[int, ...]) -> None:
    """Messages under the retired number, before, after or around the merge, are about the survivor, and open one referral."""
    messages = [adt(), a40(), adt("A08", control="C-3", at="20261123090000")]
    for one in order:
        town.take(messages[one])
    new = record(town, "GH9")
    assert {one["subject"]["reference"] for one in held(town, new, "Encounter", "Task") if "subject" in one} == {f"Patient/{new}"}
    assert referrals(town, new) == [("evctp", "requested")]
    assert about(town, record(town, "GH1001")) == set()


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 1, 0, 3), (3, 0, 2, 1)])
def test_merges_make_chains(town: Town, order: tuple[int, ...]) -> None:
    """A record that was merged into one that is merged into a third goes on under the third, in whatever order it is told."""
    messages = [adt(mrn="A"), a40("B", "A", "M-1"), a40("C", "B", "M-2", "20261122100000"), adt("A08", mrn="B", control="C-4", visit="V2")]
    for one in order:
        town.take(messages[one])
    assert {one["subject"]["reference"] for one in held(town, record(town, "C"), "Encounter")} == {f"Patient/{record(town, 'C')}"}
    assert len(held(town, record(town, "C"), "Encounter")) == 2
    assert referrals(town, record(town, "C")) == [("evctp", "requested")]


def test_a_message_with_both_numbers_is_about_one_person(town: Town) -> None:
    """Two numbers in PID-3 that are two people's are asked about; after the merge they are one person's."""
    town.take(adt("A08"), adt("A08", mrn="GH9", control="C-2", visit="V9"))
    (before,) = town.take(adt("A08", mrn="GH9", control="C-3", visit="V9", numbers="~GH1001^^^EXGENERALMRN^MRN"))
    assert isinstance(before, Held)
    town.take(a40())
    (after,) = town.take(adt("A08", mrn="GH9", control="C-4", visit="V9", numbers="~GH1001^^^EXGENERALMRN^MRN"))
    assert isinstance(after, Accepted)
    assert after.draft.patient == record(town, "GH9")


def test_what_waits_for_a_recipient_leaves_under_the_survivor(town: Town) -> None:
    """A referral that was queued before the merge is decided by the consents of both and names the survivor."""
    town.take(adt())
    town.take(consent("GH9", "valley-elders"), kind=FHIR)
    town.send()
    assert [one.state for one in town.outbox()] == ["withheld"]
    town.take(a40())
    town.send()
    assert [one.state for one in town.outbox()] == ["sent"]
    new = record(town, "GH9")
    assert [one.recipient for one in town.bridge.ledger.disclosures(new)] == ["valley-elders"]


def test_the_stricter_of_two_consents_counts(town: Town) -> None:
    """A refusal that was given under one number stops what the other allows."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), consent("GH9", "valley-elders", effect="deny", name="c2"), kind=FHIR)
    town.take(a40())
    town.send()
    assert [one.state for one in town.outbox()] == ["withheld"]


def test_two_referrals_for_the_same_become_one(town: Town) -> None:
    """Two records with an open referral each leave one open; the other is called off as a duplicate and its recipient told."""
    town.take(adt(), adt(mrn="GH9", control="C-2", visit="V9"), a40())
    new = record(town, "GH9")
    assert sorted(status for _, status in referrals(town, new)) == ["cancelled", "requested"]
    assert [one.kind for one in town.outbox()] == ["referral", "referral", "cancel"]


def test_of_two_referrals_the_one_that_has_begun_goes_on(town: Town) -> None:
    """Work that was begun under either number is never called off by a merge."""
    town.take(adt(), adt(mrn="GH9", control="C-2", visit="V9"))
    (first,) = [one for one in town.referrals() if one.patient == record(town, "GH1001")]
    town.answer(first, status="accepted")
    town.take(a40())
    new = record(town, "GH9")
    assert sorted(status for _, status in referrals(town, new)) == ["accepted", "cancelled"]
    town.answer(first, 2, at="2026-11-23T10:00:00-05:00", status="in-progress")
    assert ("evctp", "in-progress") in referrals(town, new)


def test_a_merge_is_taken_back(town: Town) -> None:
    """A37 parts the records: each resource is again about the record it was told about, and the retired one is active."""
    town.take(adt(), adt("A08", mrn="GH9", control="C-2", visit="V9"))
    old, new = record(town, "GH1001"), record(town, "GH9")
    before = about(town, old), about(town, new)
    town.take(a40())
    town.take(a40(event="A37", control="M-2", at="20261122120000"))
    assert (about(town, old), about(town, new)) == before
    assert (referrals(town, old), referrals(town, new)) == ([("evctp", "requested")], [])
    patient = town.resource(f"Patient/{old}")
    assert patient is not None
    assert (patient["active"], "link" in patient) == (True, False)


def test_a_merge_that_was_taken_back_before_it_came_does_nothing(town: Town) -> None:
    """A late A40 does not overrule the A37 that undid it."""
    town.take(adt(), a40(event="A37", control="M-2", at="20261122120000"), a40())
    assert referrals(town, record(town, "GH1001")) == [("evctp", "requested")]
    assert referrals(town, record(town, "GH9")) == []


def test_a_form_about_a_retired_number_is_the_survivors(town: Town) -> None:
    """A screening under the retired number opens its referral for the survivor, who is the one that is known."""
    town.take(adt("A08"), adt("A08", mrn="GH9", control="C-2", visit="V9"), a40())
    town.take(screening("GH1001"), kind=FHIR)
    assert referrals(town, record(town, "GH9")) == [("need-to-food-pantry", "requested")]


def test_a_merge_of_two_numbers_of_one_record_changes_nobody(town: Town) -> None:
    """When both numbers were known as one person's, there is nobody to retire."""
    town.take(adt(numbers="~GH9^^^EXGENERALMRN^MRN"), a40())
    assert record(town, "GH9") == record(town, "GH1001")
    patient = town.resource(f"Patient/{record(town, 'GH9')}")
    assert patient is not None
    assert "link" not in patient
    assert patient.get("active") is not False


def test_the_record_of_a_merge_says_what_it_moved(town: Town) -> None:
    """The outputs of the merge name what it put, each with the version before it."""
    town.take(adt(), a40())
    outputs = town.bridge.ledger.outputs(town.messages()[1].envelope.id)
    assert {"Patient", "Encounter", "Task", "ServiceRequest"} <= {kind for kind, _ in outputs}
    then, before = next(pair for (kind, _), pair in outputs.items() if kind == "Encounter")
    assert before is not None
    assert then["subject"] != before["subject"]
