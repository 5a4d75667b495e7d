"""What happens once a consent is on file: versions, revocation, expiry, age, merges; what waits and who holds what."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.core.envelope import FHIR
from bridge.fhir.profile import Profiles
from bridge.pipeline.reconsider import sweep
from bridge.pipeline.send import send
from tests.unit.pipeline.merging import a40
from tests.unit.pipeline.town import Mailbox, Town, adt, consent

AGENCY = "valley-elders"
REVOKED = {"status": "inactive", "dated": "2026-11-21T12:30:00-05:00"}


def states(town: Town, partner: str = AGENCY) -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in town.outbox(recipient=partner)]


def told(town: Town, partner: str = AGENCY) -> list[dict[str, Any]]:
    """The resources of the last withdrawal that a partner got."""
    last = [one for one in town.mail(partner).got if one.kind == "withdrawal"][-1]
    return [entry["resource"] for entry in json.loads(last.body)["entry"]]


def referred(town: Town) -> None:
    """A referral that has left under a consent."""
    town.take(adt())
    town.take(consent("GH1001", AGENCY), kind=FHIR)
    town.send()
    assert states(town) == [("referral", "sent")]


def test_what_waits_is_decided_again_the_moment_a_consent_changes(town: Town) -> None:
    """Before anything is sent, a permit releases what was withheld, and its revocation withholds it again; each says why."""
    town.take(adt())
    assert states(town) == [("referral", "withheld")]
    town.take(consent("GH1001", AGENCY), kind=FHIR)
    assert states(town) == [("referral", "waiting")]
    town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
    (row,) = town.outbox()
    assert row.state == "withheld"
    assert row.why.startswith("consent: ")
    stages = {one.stage for one in town.bridge.ledger.decisions(patient=row.patient)}
    assert stages == {"commit", "consent"}


def test_several_changes_in_one_batch_end_as_the_last_says(town: Town) -> None:
    """A permit, its revocation and a new permit in one transaction leave the delivery waiting; without the last, withheld."""
    copies = [consent("GH1001", AGENCY), consent("GH1001", AGENCY, **REVOKED),
              consent("GH1001", AGENCY, dated="2026-11-21T12:45:00-05:00")]
    town.put(adt())
    town.put(*copies[:2], kind=FHIR)
    town.work()
    assert states(town) == [("referral", "withheld")]
    town.later(minutes=1)  # a copy dated in the future is as new as its arrival
    town.put(copies[2], kind=FHIR)
    town.work()
    assert states(town) == [("referral", "withheld")]  # dated in the future: S6
    town.later(hours=1)
    assert sweep(town.bridge) == 1
    assert states(town) == [("referral", "waiting")]


def test_an_older_copy_that_comes_late_changes_nothing(town: Town) -> None:
    """S7 from end to end: the active copy of a consent that arrives after its revocation stays beaten."""
    town.take(adt())
    town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
    town.take(consent("GH1001", AGENCY), kind=FHIR)
    town.send()
    assert states(town) == [("referral", "withheld")]
    assert town.mail(AGENCY).got == []


def test_copies_of_one_date_are_ordered_by_when_their_source_changed_them(town: Town) -> None:
    """S7: meta.lastUpdated of the sender decides, whatever comes first; a copy made active again counts."""
    town.take(adt())
    later, earlier = {"meta": {"lastUpdated": "2026-11-21T11:00:00Z"}}, {"meta": {"lastUpdated": "2026-11-21T10:00:00Z"}}
    town.take(consent("GH1001", AGENCY, **later), kind=FHIR)
    town.take(consent("GH1001", AGENCY, status="inactive", **earlier), kind=FHIR)
    assert states(town) == [("referral", "waiting")]
    town.take(consent("GH1001", AGENCY, status="inactive", meta={"lastUpdated": "2026-11-21T12:00:00Z"}), kind=FHIR)
    assert states(town) == [("referral", "withheld")]


def test_a_revocation_calls_off_what_nobody_has_begun(town: Town) -> None:
    """The Task is cancelled with a coded reason, its request revoked, and recipient and hospital are told."""
    referred(town)
    town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
    town.send()
    assert states(town) == [("referral", "sent"), ("withdrawal", "sent")]
    (referral,) = town.referrals()
    assert (referral.status, referral.closed) == ("cancelled", True)
    task, notice = sorted(told(town), key=lambda one: one["resourceType"], reverse=True)
    assert (task["id"], task["status"]) == (referral.id, "cancelled")
    assert [one["code"] for one in task["statusReason"]["coding"]] == ["consent-withdrawn"]
    assert notice["resourceType"] == "Communication"
    request = town.resource(f"ServiceRequest/{referral.request}")
    assert request is not None
    assert request["status"] == "revoked"
    assert {one.kind for one in town.mail("example-general").got} == {"outcome", "oru"}
    assert "cancelled" in town.mail("example-general").got[0].body.decode()


def test_an_accepted_referral_is_called_off_and_one_that_has_begun_is_not(town: Town) -> None:
    """Service has not begun with an accepted Task; once it is in progress its recipient gets a notice and the Task goes on."""
    for number, (status, after) in enumerate((("accepted", "cancelled"), ("in-progress", "in-progress"))):
        mrn = f"GH100{number}"
        town.take(adt(mrn=mrn, control=f"C{number}", visit=f"V{number}"))
        town.take(consent(mrn, AGENCY, name=mrn), kind=FHIR)
        town.send()
        referral = next(one for one in town.referrals() if not one.closed)
        town.answer(referral, status=status)
        town.take(consent(mrn, AGENCY, name=mrn, **REVOKED), kind=FHIR)
        town.send()
        assert next(one for one in town.referrals() if one.id == referral.id).status == after
        kinds = sorted(one["resourceType"] for one in told(town))
        assert kinds == (["Communication", "Task"] if after == "cancelled" else ["Communication"])


def test_a_withdrawal_holds_no_health_data_and_nothing_new(town: Town) -> None:
    """It names ids that the recipient knows and nothing of the person, of the need, or of another organisation; it is R4."""
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    town.take(consent("GH1001", AGENCY, "harbor-pantry"), kind=FHIR)
    town.send()
    town.take(consent("GH1001", AGENCY, "harbor-pantry", **REVOKED), kind=FHIR)
    town.send()
    for partner in (AGENCY, "harbor-pantry"):
        body = next(one.body.decode() for one in town.mail(partner).got if one.kind == "withdrawal")
        for secret in ("ADLER", "ROSE", "Z59.41", "I50.9", "GH1001", "DAYTON", "1948", "food", town.patient()):
            assert secret not in body
        first = town.mail(partner).got[0].body.decode()
        (notice,) = [one for one in told(town, partner) if one["resourceType"] == "Communication"]
        assert notice["about"]
        assert all(one["identifier"]["value"].split("/")[1] in first for one in notice["about"])
        assert all("reference" not in json.dumps(one) for one in told(town, partner))
        assert not [issue for issue in profiles(town).check(json.loads(body)) if issue.severity in ("error", "fatal")]


def profiles(town: Town) -> Profiles:
    return town.bridge.profiles


def test_each_recipient_that_holds_something_is_told_once(town: Town) -> None:
    """A narrower consent is news for whom it leaves out alone; the same change again, or another one, says nothing twice."""
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    town.take(consent("GH1001", AGENCY, "harbor-pantry"), kind=FHIR)
    town.send()
    narrower = consent("GH1001", AGENCY, dated="2026-11-21T11:00:00-05:00")
    town.take(narrower, kind=FHIR)
    town.take(narrower, kind=FHIR)
    town.send()
    town.take(consent("GH1001", AGENCY, dated="2026-11-21T11:30:00-05:00"), kind=FHIR)
    town.send()
    assert states(town) == [("referral", "sent")]
    assert states(town, "harbor-pantry") == [("referral", "sent"), ("withdrawal", "sent")]


def test_one_who_got_nothing_is_told_nothing(town: Town) -> None:
    """A delivery that was withheld leaves nothing to withdraw."""
    town.take(adt())
    town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
    town.send()
    assert states(town) == [("referral", "withheld")]


def test_a_withdrawal_that_is_over_before_it_left_stays_here(town: Town) -> None:
    """Where service goes on and consent comes back, the notice that still waits is not sent."""
    referred(town)
    (referral,) = town.referrals()
    town.answer(referral, status="in-progress")
    town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
    assert states(town)[-1] == ("withdrawal", "waiting")
    town.later(hours=1)
    town.take(consent("GH1001", AGENCY, dated="2026-11-21T12:50:00-05:00"), kind=FHIR)
    town.send()
    assert states(town)[-1] == ("withdrawal", "withheld")
    assert [one.kind for one in town.mail(AGENCY).got] == ["referral"]


def test_expiry_is_found_by_the_sweep(town: Town) -> None:
    """When the period of a consent ends, without any message, what left is withdrawn, once, and not a second earlier."""
    town.take(adt())
    ends = {"provision": {**json.loads(consent("GH1001", AGENCY))["provision"], "period": {"end": "2026-11-25"}}}
    town.take(consent("GH1001", AGENCY, **ends), kind=FHIR)
    town.send()
    assert sweep(town.bridge) == 0
    town.now = datetime.fromisoformat("2026-11-26T04:59:59+00:00")  # the last second of the day in New York
    assert sweep(town.bridge) == 0
    town.later(seconds=1)
    assert sweep(town.bridge) == 1
    assert sweep(town.bridge) == 0
    town.send()
    assert states(town) == [("referral", "sent"), ("withdrawal", "sent")]


def test_a_merged_record_is_swept_once(town: Town) -> None:
    """The moment set for a record that another has replaced is gone with it: the sweep comes to an end."""
    ends = {"provision": {**json.loads(consent("GH1001", AGENCY))["provision"], "period": {"end": "2026-11-25"}}}
    town.take(adt(), adt("A08", mrn="GH9", control="C-9", visit="V9"))
    town.take(consent("GH1001", AGENCY, **ends), kind=FHIR)
    town.take(a40())
    town.later(days=10)
    assert sweep(town.bridge) == 1
    assert sweep(town.bridge) == 0


def test_a_fault_about_one_person_leaves_the_others_swept(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot be looked at is tried again an hour later; everybody else is looked at now."""
    from bridge.pipeline import reconsider

    for mrn in ("GH1001", "GH2"):
        town.take(adt(mrn=mrn, control=mrn, visit=mrn))
        ends = {"provision": {**json.loads(consent(mrn, AGENCY))["provision"], "period": {"end": "2026-11-25"}}}
        town.take(consent(mrn, AGENCY, name=mrn, **ends), kind=FHIR)
    town.later(days=10)
    broken, true = town.outbox()[0].patient, reconsider.next_change

    def stumble(consents: Any, *rest: Any) -> Any:
        if consents[0]["patient"]["reference"].endswith(broken):
            raise KeyError("ADLER")
        return true(consents, *rest)

    monkeypatch.setattr(reconsider, "next_change", stumble)
    assert sweep(town.bridge) == 2
    assert {row.patient == broken: row.state for row in town.outbox()} == {True: "waiting", False: "withheld"}
    assert sweep(town.bridge) == 0
    monkeypatch.undo()
    town.later(hours=1)
    assert sweep(town.bridge) == 1
    assert {row.state for row in town.outbox()} == {"withheld"}


def test_expiry_is_found_at_the_send_too(town: Town) -> None:
    """A consent that ended while a delivery waited stops it, swept or not."""
    town.take(adt())
    ends = {"provision": {**json.loads(consent("GH1001", AGENCY))["provision"], "period": {"end": "2026-11-25"}}}
    town.take(consent("GH1001", AGENCY, **ends), kind=FHIR)
    town.later(days=10)
    town.send()
    assert states(town) == [("referral", "withheld")]


def aged(town: Town, days: int = 30) -> None:
    partners = {**town.bridge.partners, AGENCY: replace(town.bridge.partners[AGENCY], consent_max_age=days)}
    town.bridge = replace(town.bridge, partners=partners)


def test_a_copy_that_is_too_old_permits_nothing_until_it_comes_again(town: Town) -> None:
    """Freshness of a partner: past max_age permits are void, found by the sweep; the consent sent again makes it good."""
    aged(town)
    town.take(adt())
    town.take(consent("GH1001", AGENCY), kind=FHIR)
    town.later(days=30)
    assert sweep(town.bridge) == 0
    assert states(town) == [("referral", "waiting")]
    town.later(seconds=1)
    assert sweep(town.bridge) == 1
    assert states(town) == [("referral", "withheld")]
    town.take(consent("GH1001", AGENCY, meta={"lastUpdated": "2026-12-20T10:00:00Z"}), kind=FHIR)
    assert states(town) == [("referral", "waiting")]


def test_an_old_copy_still_denies(town: Town) -> None:
    """Denies of a copy past its max_age are honoured, whatever a younger one permits."""
    aged(town)
    town.take(adt())
    town.take(consent("GH1001", AGENCY, effect="deny", name="no"), kind=FHIR)
    town.later(days=60)
    town.take(consent("GH1001", AGENCY, name="yes"), kind=FHIR)
    assert states(town) == [("referral", "withheld")]


def test_freshness_is_one_partners_alone(town: Town) -> None:
    """A partner without a limit is sent to under a copy of any age."""
    aged(town)
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    town.take(consent("GH1001", AGENCY, "harbor-pantry"), kind=FHIR)
    town.later(days=90)
    town.send()
    assert states(town) == [("referral", "withheld")]
    assert states(town, "harbor-pantry") == [("referral", "sent")]


def test_a_merge_is_a_change_of_consent(town: Town) -> None:
    """A refusal under the other number withdraws what left under this one, and stops what waits."""
    referred(town)
    town.take(adt("A08", mrn="GH9", control="C-9", visit="V9"))
    town.take(consent("GH9", effect="deny", name="c9"), kind=FHIR)
    town.take(a40())
    town.send()
    assert states(town) == [("referral", "sent"), ("withdrawal", "sent")]


class Interrupted(Mailbox):
    """A partner at whose door a consent is taken in: before it is handed what was decided, or right after."""

    def __init__(self, town: Town) -> None:
        super().__init__()
        self.town = town

    def deliver(self, deliveries: Any) -> Any:
        if not self.got:
            self.town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
        return super().deliver(deliveries)


def test_a_consent_that_comes_while_a_delivery_is_on_its_way_withdraws_it(town: Town) -> None:
    """What was handed over under a consent that had just gone is withdrawn as soon as it is written down."""
    town.take(adt())
    town.take(consent("GH1001", AGENCY), kind=FHIR)
    town.boxes[AGENCY] = Interrupted(town)
    town.send()
    assert states(town) == [("referral", "sent"), ("withdrawal", "sent")]


def test_a_consent_that_comes_before_the_hand_over_stops_it(town: Town) -> None:
    """What was decided under consents that have changed since is not handed over, but decided again."""
    town.take(adt())
    town.take(consent("GH1001", AGENCY), kind=FHIR)

    def connector(partner: str) -> Mailbox:
        raise AssertionError("nothing may be handed over")

    true = town.bridge.ledger.generations
    town.bridge = replace(town.bridge, ledger=Changed(town))
    send(town.bridge.ledger.waiting([AGENCY], 10, town.now), town.bridge, connector)
    assert true([town.patient()])[town.patient()] == 2
    assert states(town) == [("referral", "withheld")]


class Changed:
    """A ledger in which a revocation is committed just after the decisions of a send were."""

    def __init__(self, town: Town) -> None:
        self.town, self.ledger, self.done = town, town.bridge.ledger, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def generations(self, patients: Any) -> dict[str, int]:
        if not self.done:
            self.done = True
            self.town.take(consent("GH1001", AGENCY, **REVOKED), kind=FHIR)
        return self.ledger.generations(patients)


def test_the_generation_moves_with_each_copy(town: Town) -> None:
    """Every copy that comes in counts once; a message that is no consent does not."""
    town.take(adt())
    person = town.patient()
    for count, body in enumerate((consent("GH1001", AGENCY), consent("GH1001", AGENCY, **REVOKED)), 1):
        town.take(body, kind=FHIR)
        town.take(body, kind=FHIR)
        assert town.bridge.ledger.generations([person]) == {person: count}
    town.take(adt("A08", control="C-2"))
    assert town.bridge.ledger.generations([person]) == {person: 2}


def test_who_holds_what_is_written_down(town: Town) -> None:
    """A disclosure says recipient, each resource with its version, the consent with its version, when, and in which delivery."""
    referred(town)
    (left,) = town.bridge.ledger.disclosures(town.patient())
    (row,) = town.outbox(recipient=AGENCY)
    assert (left.recipient, left.delivery_id, left.at) == (AGENCY, row.id, town.now.isoformat())
    assert len(left.versions) == len(left.resources)
    assert all(version >= 1 for version in left.versions)
    assert [one.rsplit("/", 1)[1] for one in left.consents] == ["1"]
    assert timedelta(0) <= town.now - datetime.fromisoformat(left.at)
