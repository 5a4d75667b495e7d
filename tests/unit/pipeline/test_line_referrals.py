"""From discharge to referral and back: opened once, taken back, waiting for answers, moved by the recipient."""

from __future__ import annotations

import json

import pytest

from bridge.core.envelope import FHIR
from bridge.core.outcome import Accepted, Held, Rejected
from tests.unit.pipeline.town import Town, adt, consent, screening


def states(town: Town, **chosen: str) -> list[tuple[str, str, str]]:
    return [(row.recipient, row.kind, row.state) for row in town.outbox(**chosen)]


def test_a_discharge_opens_one_referral_for_each_programme_that_fits(town: Town) -> None:
    """A discharge home at 78 with a food need opens a care transition and a pantry referral, due by the programme's clock."""
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    assert sorted((one.programme, one.need, one.recipient, one.status) for one in town.referrals()) == [
        ("evctp", "", "valley-elders", "requested"), ("need-to-food-pantry", "food-insecurity", "harbor-pantry", "requested")]
    assert {one.due for one in town.referrals()} == {"2026-11-23T09:25:00-05:00", "2026-11-24T09:25:00-05:00"}


def test_the_same_discharge_again_opens_nothing_new(town: Town) -> None:
    """A second A03 of the same visit, under its own control id, adds no referral and no delivery."""
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    before = (town.referrals(), states(town))
    (outcome,) = town.take(adt(control="C-2", at="20261121094000", diagnoses=("I50.9", "Z59.41")))
    assert isinstance(outcome, Accepted)
    assert (town.referrals(), states(town)) == before


def test_a_cancelled_discharge_takes_back_what_it_opened(town: Town) -> None:
    """A13 cancels the Task, revokes the ServiceRequest and tells the recipient in the same queue, after the referral."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()
    town.take(adt("A13", control="C-2", at="20261121103000"))
    town.send()
    (referral,) = town.referrals()
    task, request = town.resource(f"Task/{referral.id}"), town.resource(f"ServiceRequest/{referral.request}")
    assert task is not None
    assert request is not None
    assert (task["status"], request["status"], referral.closed) == ("cancelled", "revoked", True)
    assert [one.kind for one in town.mail("valley-elders").got] == ["referral", "cancel"]
    told = json.loads(town.mail("valley-elders").got[1].body)
    assert {entry["resource"]["status"] for entry in told["entry"] if entry["resource"]["resourceType"] == "Task"} == {"cancelled"}


def test_the_discharge_after_a_cancelled_one_opens_anew(town: Town) -> None:
    """A03, A13, A03 of one visit leave exactly one open referral, another than the one that was taken back."""
    town.take(adt())
    town.take(adt("A13", control="C-2", at="20261121103000"))
    town.take(adt(control="C-3", at="20261121110000"))
    first, second = town.referrals()
    assert (first.status, second.status) == ("cancelled", "requested")
    assert first.id != second.id
    town.take(adt(control="C-4", at="20261121111000"))
    assert len(town.referrals()) == 2


def test_work_that_has_begun_is_not_called_off(town: Town) -> None:
    """A13 after the recipient has accepted leaves the Task as it is and sends a note."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()
    town.answer(town.referrals()[0], status="accepted")
    town.take(adt("A13", control="C-2", at="20261121140000"))
    town.send()
    (referral,) = town.referrals()
    assert (referral.status, referral.closed) == ("accepted", False)
    assert [one.kind for one in town.mail("valley-elders").got] == ["referral", "note"]


def test_a_late_cancellation_takes_nothing_back(town: Town) -> None:
    """An A13 whose event is before the newest discharge of the visit changes no referral."""
    town.take(adt(at="20261121110000", end="20261121105500-0500"))
    town.take(adt("A13", control="C-2", at="20261121103000"))
    assert [one.status for one in town.referrals()] == ["requested"]


def test_a_test_message_opens_nothing(town: Town) -> None:
    """MSH-11 T is mapped and stored, but refers nobody."""
    (outcome,) = town.take(adt().replace(b"|P|2.5.1", b"|T|2.5.1"))
    assert isinstance(outcome, Accepted)
    assert "BRG-R020" in {issue.code for issue in outcome.draft.issues}
    assert town.referrals() == []


def test_without_consent_a_referral_is_withheld_with_its_reason(town: Town) -> None:
    """Nobody who is not permitted gets anything; the outbox row says which rule withheld it."""
    town.take(adt())
    town.send()
    (row,) = town.outbox()
    assert (row.state, row.why) == ("withheld", "consent: Task denied by D1")
    assert town.mail("valley-elders").got == []
    decided = town.bridge.ledger.decisions(message_id=row.message_id)
    assert {one.effect for one in decided if not one.resource.startswith("Organization/")} == {"deny"}


def test_a_consent_that_denies_withholds(town: Town) -> None:
    """A signed refusal withholds at once, and the decision names the consent."""
    town.take(adt())
    town.take(consent(effect="deny"), kind=FHIR)
    town.send()
    (row,) = town.outbox()
    assert row.state == "withheld"
    assert row.why.startswith("consent: Task denied by")
    (task,) = [one for one in town.bridge.ledger.decisions(patient=row.patient) if one.stage == "consent" and one.resource == row.refs[0]]
    assert task.consents


def test_a_later_consent_releases_what_waited(town: Town) -> None:
    """What was withheld leaves when a consent that permits arrives, with a disclosure that names it."""
    town.take(adt())
    town.send()
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()
    assert states(town) == [("valley-elders", "referral", "sent")]
    (disclosure,) = town.bridge.ledger.disclosures(town.patient())
    assert disclosure.recipient == "valley-elders"
    assert len(disclosure.consents) == 1


def test_a_consent_for_one_recipient_releases_to_that_one_alone(town: Town) -> None:
    """Permission for the agency is no permission for the pantry."""
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()
    assert {(row.recipient, row.state) for row in town.outbox()} == {("valley-elders", "sent"), ("harbor-pantry", "withheld")}


def test_a_consent_revoked_while_a_message_waits_stops_it(town: Town) -> None:
    """The decision is taken again at delivery: a revocation that arrives in between withholds."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    assert states(town) == [("valley-elders", "referral", "waiting")]
    town.later(minutes=5)
    town.take(consent("GH1001", "valley-elders", status="inactive", dated="2026-11-21T12:01:00-05:00"), kind=FHIR)
    town.send()
    assert states(town) == [("valley-elders", "referral", "withheld")]
    assert town.mail("valley-elders").got == []


def test_a_consent_that_ends_while_a_message_waits_stops_it(town: Town) -> None:
    """A consent is judged at the moment of delivery: one that has run out lets nothing go."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.later(days=700)
    town.send()
    assert states(town) == [("valley-elders", "referral", "withheld")]


def test_an_unknown_disposition_makes_the_decision_wait_for_its_answer(town: Town) -> None:
    """The message is accepted and stored, its referral waits; answer and release open it, and later messages need no answer."""
    from bridge.pipeline import hold

    (outcome,) = town.take(adt(leaves="GOHOME2"))
    assert isinstance(outcome, Accepted)
    assert outcome.waiting
    assert town.referrals() == []
    (item,) = town.bridge.ledger.held()
    assert (item.kind, item.table, item.code) == ("decision", "discharge-disposition", "GOHOME2")
    answered = hold.answer(item.id, "home", "ada", town.bridge)
    ((_, released),) = hold.release([answered], town.bridge)
    assert isinstance(released, Accepted)
    assert [(one.programme, one.recipient) for one in town.referrals()] == [("evctp", "valley-elders")]
    assert town.bridge.ledger.held() == []
    town.take(adt(mrn="GH7", control="C-7", visit="V7", leaves="GOHOME2"))
    assert len(town.referrals()) == 2


def test_one_answer_releases_every_decision_that_waited_for_the_code(town: Town) -> None:
    """Two patients wait for one code: answering it once opens both referrals."""
    from bridge.pipeline import hold

    town.take(adt(leaves="GOHOME2"), adt(mrn="GH2", control="C-2", visit="V2", leaves="GOHOME2"))
    items = town.bridge.ledger.held()
    assert len(items) == 2
    hold.release([hold.answer(items[0].id, "home", "ada", town.bridge)], town.bridge)
    assert len(town.referrals()) == 2
    assert town.bridge.ledger.held() == town.bridge.ledger.held("answered") == []


def test_an_answer_of_the_recipient_moves_its_task_and_goes_home(town: Town) -> None:
    """Accepted, service and completed records move the Task and reach the hospital in both of its formats."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()
    (referral,) = town.referrals()
    assert isinstance(town.answer(referral, 1, status="accepted"), Accepted)
    assert isinstance(town.answer(referral, 2, "2026-11-21T14:00:00-05:00", record_type="service", units=1, unit_type="visit"), Accepted)
    assert isinstance(town.answer(referral, 3, "2026-11-21T15:00:00-05:00", record_type="outcome", status="completed",
                                  outcome_code="need-met"), Accepted)
    town.send()
    assert [one.status for one in town.referrals()] == ["completed"]
    assert [one.kind for one in town.mail("example-general").got] == ["outcome", "oru"] * 3


def test_the_same_answer_again_changes_nothing(town: Town) -> None:
    """A record that was applied already queues nothing for the hospital."""
    town.take(adt())
    (referral,) = town.referrals()
    town.answer(referral, status="accepted")
    before = states(town)
    town.answer(referral, status="accepted", worker_name="someone else wrote it down")
    assert states(town) == before


@pytest.mark.parametrize(("changes", "code"), [
    ({"cbo_org_id": "harbor-pantry"}, "BRG-R312"), ({"record_type": "capacity", "capacity_status": "capacity",
                                                     "capacity_as_of": "2026-11-21T13:00:00-05:00"}, "BRG-R310"),
    ({"status": "rejected"}, "BRG-R303"), ({"status": "requested"}, "BRG-R102"),
])
def test_an_answer_that_cannot_be_is_rejected_and_changes_nothing(town: Town, changes: dict[str, str], code: str) -> None:
    """A record that speaks for another, about nothing, or against the state machine is rejected by code."""
    town.take(adt())
    (referral,) = town.referrals()
    town.answer(referral, 9, status="accepted")
    outcome = town.answer(referral, **{"status": "accepted", **changes})
    assert isinstance(outcome, Rejected)
    assert code in {issue.code for issue in outcome.issues}
    assert town.referrals()[0].status == "accepted"


def test_another_organisation_cannot_answer(town: Town) -> None:
    """Who really sent the record must own the Task; otherwise it is rejected."""
    from bridge.core.envelope import RECORD
    from tests.unit.pipeline.town import record

    town.take(adt())
    (referral,) = town.referrals()
    (outcome,) = town.take(record(referral, status="accepted"), feed="harbor-pantry", kind=RECORD)
    assert isinstance(outcome, Rejected)
    assert outcome.issues[0].code == "BRG-R311"


def test_a_record_about_an_unknown_referral_is_held(town: Town) -> None:
    """A reference that is on no referral of ours waits for a person."""
    from dataclasses import replace

    town.take(adt())
    stranger = replace(town.referrals()[0], id="0b5fd3a2-0000-8000-8000-000000000001")
    assert isinstance(town.answer(stranger, status="accepted"), Held)


def test_a_screening_opens_a_referral_and_goes_home(town: Town) -> None:
    """A screened food need of a known person opens a pantry referral, and the findings go to the hospital that knows them."""
    town.take(adt(leaves="20"))
    assert town.referrals() == []
    town.take(adt("A08", control="C-2", mrn="GH2", visit="V2"))
    (outcome,) = town.take(screening("GH2"), kind=FHIR)
    assert isinstance(outcome, Accepted)
    assert [(one.need, one.recipient) for one in town.referrals()] == [("food-insecurity", "harbor-pantry")]
    assert ("example-general", "outcome", "waiting") in states(town)


def test_one_message_that_waits_for_two_programmes_is_released_whole(town: Town) -> None:
    """When two programmes wait for one code of one message, its answer opens both and closes both questions."""
    from bridge.pipeline import hold

    town.take(adt(leaves="GOHOME2", diagnoses=("I50.9", "Z59.01")))
    first, _ = town.bridge.ledger.held()
    hold.release([hold.answer(first.id, "home", "ada", town.bridge)], town.bridge)
    assert sorted(one.programme for one in town.referrals()) == ["evctp", "medical-respite"]
    assert town.bridge.ledger.held() == town.bridge.ledger.held("answered") == []
