"""What leaves: own ids for each recipient, nothing of another's, every receipt taken, a crash repeated under the same id."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.core.decision import Decision
from bridge.core.envelope import FHIR
from bridge.core.errors import SettingsError
from bridge.core.rows import Outgoing
from bridge.pipeline import send as sending
from bridge.pipeline.send import send
from tests.unit.pipeline.town import MRN, Mailbox, Town, adt, consent

FOOD = ("I50.9", "Z59.41")


def permitted(town: Town, mrn: str = "GH1001") -> None:
    """A discharge that refers to the agency and the pantry, both with consent."""
    town.take(adt(mrn=mrn, control=f"C-{mrn}", visit=f"V-{mrn}", diagnoses=FOOD, numbers="~900-55-1001^^^SSA^SS"))
    town.take(consent(mrn, "valley-elders", "harbor-pantry", name=f"c-{mrn}"), kind=FHIR)


def row(town: Town, partner: str = "valley-elders") -> Outgoing:
    (found,) = town.outbox(recipient=partner)
    return found


def resources(body: bytes) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(body)["entry"]]


def test_two_recipients_know_a_person_under_different_ids(town: Town) -> None:
    """Patient ids and keys are pairwise, and neither is the id in the ledger."""
    permitted(town)
    town.send()
    ids = {partner: next(one["id"] for one in resources(town.mail(partner).got[0].body) if one["resourceType"] == "Patient")
           for partner in ("valley-elders", "harbor-pantry")}
    assert len({*ids.values(), town.patient()}) == 3
    assert {partner: town.mail(partner).got[0].key for partner in ids} == ids


def test_a_payload_holds_nothing_of_another_recipient(town: Town) -> None:
    """No payload names another partner, its ids, the ledger's patient id, a record number or a social security number."""
    permitted(town)
    town.send()
    bodies = {partner: town.mail(partner).got[0].body.decode() for partner in ("valley-elders", "harbor-pantry")}
    for partner, body in bodies.items():
        for other, theirs in bodies.items():
            if other != partner:
                assert other not in body
                own = {one["id"] for one in resources(theirs.encode())} - {one["id"] for one in resources(body.encode()) if one["resourceType"] == "Organization"}
                assert not [id_ for id_ in own if id_ in body]
        for secret in ("GH1001", "900-55-1001", "900551001", "V-GH1001", MRN, town.patient()):
            assert secret not in body


def test_the_hospital_gets_its_own_number_back(town: Town) -> None:
    """What goes home carries the hospital's own record number and the reference that was quoted."""
    permitted(town)
    town.send()
    referral = next(one for one in town.referrals() if one.recipient == "valley-elders")
    town.answer(referral, status="accepted")
    town.send()
    fhir, oru = town.mail("example-general").got
    assert any(i["value"] == "GH1001" for one in resources(fhir.body) if one["resourceType"] == "Patient" for i in one["identifier"])
    assert b"GH1001" in oru.body
    assert {fhir.referral, oru.referral} == {referral.short}
    assert "valley-elders" not in {one.recipient for one in town.mail("example-general").got}


def test_every_reference_of_a_payload_is_inside_it(town: Town) -> None:
    """A recipient never sees a literal reference to a resource that it did not get."""
    permitted(town)
    town.send()
    for box in town.boxes.values():
        for delivery in box.got:
            bundle = json.loads(delivery.body)
            inside = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle["entry"]}
            inside |= {entry["fullUrl"] for entry in bundle["entry"]}
            text = json.dumps(bundle)
            named = [part.split('"')[0] for part in text.split('"reference": "')[1:]]
            assert set(named) <= inside


def test_what_addresses_a_referral_brings_nothing_back_that_was_redacted(town: Town) -> None:
    """A redacted element stays out, also when it is one that a hospital gets beyond its allow-list."""
    permitted(town)
    asked = town.resource(f"ServiceRequest/{town.referrals()[0].request}")
    assert asked is not None
    asked = {**asked, "category": [*asked["category"], {"text": "CANARY"}]}
    place = len(asked["category"]) - 1
    hospital = town.bridge.partners["example-general"]
    for decision, seen in ((Decision("permit", ("M4",)), True), (Decision("redact", ("R1",), (f"category[{place}]",)), False)):
        (left,) = sending.payload([(asked, decision)], hospital, town.bridge)
        assert left["category"]
        assert ("CANARY" in json.dumps(left)) is seen


def test_what_is_no_plain_permit_when_decided_itself_does_not_leave(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that consent does not permit is withheld, whatever the steps before made of it: here another person's Task."""
    permitted(town)
    shown = sending.payload
    monkeypatch.setattr(sending, "payload", lambda *given: [
        {**one, "for": {"reference": "Patient/somebody-else"}} if one["resourceType"] == "Task" else one for one in shown(*given)])
    town.send()
    assert row(town).state == "withheld"
    assert row(town).why == "consent: no plain permit for what is left of Task"
    assert town.mail("valley-elders").got == []


def test_sent_is_settled_and_disclosed(town: Town) -> None:
    """A receipt `sent` settles the row and writes one disclosure, with what left and under which consent."""
    permitted(town)
    town.send()
    assert (row(town).state, row(town).attempts) == ("sent", 1)
    found = {one.recipient: one for one in town.bridge.ledger.disclosures(town.patient())}
    assert set(found) == {"valley-elders", "harbor-pantry"}
    assert found["valley-elders"].delivery_id == row(town).id
    assert town.bridge.ledger.waiting(["valley-elders"], 10, town.now) == []


def test_retry_waits_longer_each_time_and_then_goes(town: Town) -> None:
    """A receipt `retry` keeps the row waiting, twice as long after each attempt, and discloses nothing until it is sent."""
    permitted(town)
    town.mail("valley-elders").states = ["retry", "retry"]
    pauses = []
    for _ in range(3):
        town.send()
        found = row(town)
        if found.due:
            pauses.append((found.due - town.now).total_seconds())
            town.now = found.due
    assert pauses == [30.0, 60.0]
    assert (row(town).state, row(town).why, row(town).attempts) == ("sent", "", 3)
    assert {one.id for one in town.mail("valley-elders").got} == {row(town).id}
    assert [one.recipient for one in town.bridge.ledger.disclosures(town.patient())].count("valley-elders") == 1


def test_refused_is_for_good_and_says_why(town: Town) -> None:
    """A receipt `refused` ends the row with its reason; the next of the patient goes on."""
    permitted(town)
    town.mail("valley-elders").states = ["refused"]
    town.send()
    assert (row(town).state, row(town).why) == ("refused", "as told")
    assert town.bridge.ledger.waiting(["valley-elders"], 10, town.now) == []
    assert [one.recipient for one in town.bridge.ledger.disclosures(town.patient())] == ["harbor-pantry"]


def test_an_earlier_delivery_that_waits_keeps_the_later_back(town: Town) -> None:
    """Per patient and recipient nothing overtakes: the cancellation does not leave before its referral."""
    permitted(town)
    town.mail("valley-elders").states = ["retry"]
    town.send()
    town.take(adt("A13", control="C-2", visit="V-GH1001", at="20261121103000"))
    town.send()
    assert [one.kind for one in town.mail("valley-elders").got] == ["referral"]
    town.later(seconds=31)
    town.send()
    assert [one.kind for one in town.mail("valley-elders").got] == ["referral", "referral", "cancel"]


def test_a_crash_between_delivery_and_settling_sends_again_under_the_same_id(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed over but not written down goes again with the same id and the same bytes, and is disclosed once."""
    permitted(town)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            town.send()
    assert row(town).state == "waiting"
    assert town.bridge.ledger.disclosures(town.patient()) == []
    town.send()
    first, second = town.mail("valley-elders").got[:1], town.mail("valley-elders").got[-1:]
    assert first[0].id == second[0].id == row(town).id
    assert resources(first[0].body) == resources(second[0].body)
    assert len(town.bridge.ledger.disclosures(town.patient())) == 2


def test_decisions_are_written_before_anything_leaves(town: Town) -> None:
    """When a partner is handed its delivery, the decision of that moment is on record already."""
    permitted(town)
    seen: list[int] = []

    class Looking(Mailbox):
        def deliver(self, deliveries: Any) -> Any:
            seen.append(sum(one.stage == "send" for one in town.bridge.ledger.decisions(patient=town.patient())))
            return Mailbox.deliver(self, deliveries)

    town.boxes["valley-elders"] = Looking()
    town.send()
    assert seen[0] > 0


def test_a_connector_that_breaks_stops_one_partner(town: Town) -> None:
    """A connector that raises leaves its rows waiting for another try; every other partner gets its own."""
    permitted(town)

    class Broken(Mailbox):
        def deliver(self, deliveries: Any) -> Any:
            raise RuntimeError("ADLER")

    town.boxes["harbor-pantry"] = Broken()
    town.send()
    assert row(town).state == "sent"
    waiting = row(town, "harbor-pantry")
    assert waiting.state == "waiting"
    assert waiting.due is not None
    assert "RuntimeError" in waiting.why
    assert "ADLER" not in waiting.why


def test_a_connector_that_cannot_be_opened_stops_one_partner(town: Town) -> None:
    """Wrong options of one partner keep its deliveries waiting and nobody else's."""
    permitted(town)

    def connector(partner: str) -> Mailbox:
        if partner == "harbor-pantry":
            raise SettingsError("partner harbor-pantry: connector x: url: missing")
        return town.mail(partner)

    send(town.bridge.ledger.waiting(sorted(town.bridge.partners), 500, town.now), town.bridge, connector)
    assert row(town).state == "sent"
    assert row(town, "harbor-pantry").state == "waiting"
    assert "url: missing" in row(town, "harbor-pantry").why


@pytest.mark.parametrize("receipts", [[], ["odd"]])
def test_receipts_that_break_the_contract_mean_another_try(town: Town, receipts: list[str]) -> None:
    """Too few receipts, or a state that is none, never count as sent and never stop the sender."""
    permitted(town)

    class Odd(Mailbox):
        def deliver(self, deliveries: Any) -> Any:
            self.states = list(receipts)
            return Mailbox.deliver(self, deliveries) if receipts else []

    town.boxes["harbor-pantry"] = Odd()
    town.send()
    assert row(town).state == "sent"
    assert row(town, "harbor-pantry").state == "waiting"


def test_one_row_that_cannot_be_rendered_stops_nobody(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours while one delivery is made refuses that row by type and place; the others leave."""
    permitted(town)
    permitted(town, "GH2")
    true = sending.payload
    broken = next(one for one in town.outbox(recipient="valley-elders")).patient

    def stumble(decided: Any, partner: Any, bridge: Any) -> Any:
        if any(resource["id"] == broken for resource, _ in decided):
            raise KeyError("ADLER")
        return true(decided, partner, bridge)

    monkeypatch.setattr(sending, "payload", stumble)
    town.send()
    states = {(one.patient == broken, one.state) for one in town.outbox()}
    assert states == {(True, "refused"), (False, "sent")}
    assert all("KeyError" in one.why and "ADLER" not in one.why for one in town.outbox() if one.state == "refused")


def test_a_partner_that_left_the_settings_gets_nothing(town: Town) -> None:
    """Rows for a partner that is gone are withheld with that reason."""
    from dataclasses import replace

    permitted(town)
    town.bridge = replace(town.bridge, partners={key: one for key, one in town.bridge.partners.items() if key != "valley-elders"})
    rows = town.bridge.ledger.waiting(["valley-elders"], 10, town.now)
    send(rows, town.bridge, town.mail)
    assert (row(town).state, row(town).why) == ("withheld", "the partner is no longer in the settings")
