"""What becomes of referrals when a visit's messages come late, twice or out of order, are cancelled, corrected, or tell a death."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.envelope import FHIR
from bridge.core.outcome import Accepted
from tests.unit.pipeline.town import Town, adt, consent

NEED = ("I50.9", "Z59.41")


def update(control: str = "C-8", at: str = "20261121120000", event: bytes = b"A08", **said: Any) -> bytes:
    """An A08 of a visit that has ended, as a discharge would say it."""
    return adt("A03", control=control, at=at, **said).replace(b"A03", event)


def standing(town: Town) -> list[tuple[str, str]]:
    return sorted((one.programme, one.status) for one in town.referrals() if not one.closed)


def visit(town: Town) -> dict[str, Any]:
    with town.bridge.ledger.work() as work:
        (found,) = work.of_patient(town.patient(), "Encounter")
        return found


def kinds(town: Town) -> list[str]:
    return [one.kind for one in town.mail("valley-elders").got]


def sent(town: Town) -> None:
    """A discharge whose referral has left."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()


def test_an_update_that_comes_before_its_discharge_does_not_hide_it(town: Town) -> None:
    """A08 of noon, then the A03 of half past nine: the discharge opens its referral."""
    town.take(update())
    assert standing(town) == []
    town.take(adt())
    assert standing(town) == [("evctp", "requested")]


def test_a_discharge_that_was_cancelled_before_it_came_opens_nothing(town: Town) -> None:
    """A13, then the older A03 that it cancels: the visit goes on, nobody is referred."""
    town.take(adt("A13", control="C-2", at="20261121103000"))
    town.take(adt())
    assert (visit(town)["status"], "end" in visit(town)["period"], standing(town)) == ("in-progress", False, [])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_a_cancel_may_carry_the_time_of_what_it_cancels(town: Town, order: tuple[int, ...]) -> None:
    """EVN-6 of an A13 is that of the discharge (HL7 v2.5.1, 3.4.1.6): it takes back the A03 and what was said of it since."""
    cancel = adt("A13", control="C-3", at="20261121153000").replace(b"||||20261121153000", b"||||20261121093000")
    messages = [adt(), update(), cancel]
    town.take(*(messages[one] for one in order))
    assert (visit(town)["status"], standing(town)) == ("in-progress", [])


def test_a_discharge_may_be_entered_again_for_an_earlier_hour(town: Town) -> None:
    """A03, A13, and an A03 that was entered last but names an earlier discharge: the visit is over."""
    again = adt(control="C-3", at="20261121160000", end="20261121085500-0500").replace(b"||||20261121160000", b"||||20261121085500")
    town.take(adt(), adt("A13", control="C-2", at="20261121153000"), again)
    assert (visit(town)["status"], visit(town)["period"]["end"]) == ("finished", "2026-11-21T08:55:00-05:00")
    assert standing(town) == [("evctp", "requested")]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (1, 0, 3, 2), (2, 3, 1, 0)])
def test_who_is_kept_back_waits_for_the_next_discharge(town: Town, order: tuple[int, ...]) -> None:
    """After a cancelled discharge nothing of the visit is open, whichever message could have opened it, until the next one."""
    messages = [adt("A01", at="20261117091200", diagnoses=NEED), adt(control="C-2"), adt("A13", control="C-3", at="20261121103000"),
                adt("A08", control="C-4", at="20261121113000", diagnoses=NEED)]
    town.take(*(messages[one] for one in order))
    assert standing(town) == []
    town.take(adt(control="C-5", at="20261122113000"))
    assert standing(town) == [("evctp", "requested"), ("need-to-food-pantry", "requested")]


def test_a_visit_that_was_cancelled_is_not_revived_by_an_update(town: Town) -> None:
    """A01, A11, A08: cancelled; another A01 of the same number begins it again."""
    town.take(adt("A01", at="20261117091500"), adt("A11", control="C-2", at="20261117100000"), adt("A08", control="C-3", at="20261117110000"))
    assert visit(town)["status"] == "cancelled"
    town.take(adt("A01", control="C-4", at="20261117120000"))
    assert visit(town)["status"] == "in-progress"


def test_a_cancelled_admission_takes_everything_of_the_visit_back(town: Town) -> None:
    """A11 after the discharge calls off what it opened."""
    town.take(adt(), adt("A11", control="C-2", at="20261121113000"))
    assert [one.status for one in town.referrals()] == ["cancelled"]


def test_a_need_that_is_coded_after_the_discharge_is_referred(town: Town) -> None:
    """Final coding comes days later: an A08 with a social need opens what the discharge would have opened."""
    town.take(adt())
    town.take(update(at="20261123120000", diagnoses=NEED))
    assert standing(town) == [("evctp", "requested"), ("need-to-food-pantry", "requested")]


def test_a_need_that_was_said_at_admission_is_referred_at_discharge(town: Town) -> None:
    """The visit is what all its messages say: a discharge without diagnoses does not take those of the admission back."""
    town.take(adt("A01", at="20261117091200", diagnoses=NEED))
    town.take(adt(control="C-2", diagnoses=()))
    assert standing(town) == [("evctp", "requested"), ("need-to-food-pantry", "requested")]


def test_an_update_without_its_discharge_opens_nothing(town: Town) -> None:
    """A08 of a visit that ended before the bridge was there refers nobody."""
    town.take(update())
    assert standing(town) == []


def test_a_disposition_that_is_corrected_takes_the_referral_back(town: Town) -> None:
    """A08 says hospice where the discharge said home: what nobody has begun is called off, and corrected again opens anew."""
    sent(town)
    town.take(update(leaves="50"))
    town.send()
    assert (standing(town), kinds(town)) == ([], ["referral", "cancel"])
    town.take(update(control="C-9", at="20261121130000", leaves="01"))
    assert standing(town) == [("evctp", "requested")]


def test_work_that_has_begun_outlives_a_correction(town: Town) -> None:
    """A referral that was accepted stays when the disposition changes."""
    sent(town)
    town.answer(town.referrals()[0], status="accepted")
    town.take(update(at="20261121150000", leaves="50"))
    assert standing(town) == [("evctp", "accepted")]


@pytest.mark.parametrize("message", [
    update(leaves="20"), adt("A08", control="C-8", at="20261121120000", more=()).replace(b"|eng|W", b"|eng|W|||||||||||||20261121110000-0500|Y"),
    adt("A31", control="C-8", at="20261121120000").partition(b"PV1|")[0].replace(b"|eng|W", b"|eng|W||||||||||||||Y"),
])
def test_a_death_stops_what_has_not_begun(town: Town, message: bytes) -> None:
    """Disposition 20, a date of death or PID-30, in whatever message: open referrals are called off with the reason."""
    sent(town)
    town.take(message)
    town.send()
    (referral,) = town.referrals()
    task = town.resource(f"Task/{referral.id}")
    assert task is not None
    assert (task["status"], task["statusReason"]["text"]) == ("cancelled", "The person has died")
    assert kinds(town) == ["referral", "cancel"]


def test_a_death_is_told_once_to_those_who_have_begun(town: Town) -> None:
    """A coordinator gets one note, however many messages say it."""
    sent(town)
    town.answer(town.referrals()[0], status="accepted")
    town.take(update(at="20261121150000", leaves="20"), update(control="C-9", at="20261121160000", leaves="20"))
    town.send()
    assert (standing(town), kinds(town)) == ([("evctp", "accepted")], ["referral", "note"])


def test_a_death_that_was_an_error_opens_anew(town: Town) -> None:
    """PID-30 taken back by a later message of the visit: the discharge counts again."""
    town.take(adt())
    town.take(update(leaves="20"))
    assert standing(town) == []
    town.take(update(control="C-9", at="20261121170000", leaves="01").replace(b"|eng|W", b"|eng|W||||||||||||||N"))
    assert standing(town) == [("evctp", "requested")]


def test_a_cancelled_discharge_takes_its_death_back(town: Town) -> None:
    """A03 with disposition 20, A13, A03 home: the person is referred."""
    town.take(adt(leaves="20"), adt("A13", control="C-2", at="20261121103000"), adt(control="C-3", at="20261121110000"))
    assert standing(town) == [("evctp", "requested")]


def test_a_transfer_leaves_one_active_place(town: Town) -> None:
    """After A02 the ward before is completed, and a late A01 does not make it active again."""
    there = adt("A02", control="C-2", at="20261118101500").replace(b"4WEST^412^B", b"6EAST^601^A")
    town.take(there, adt("A01", at="20261117091200"))
    assert [one["status"] for one in visit(town)["location"]] == ["active", "completed"]


def test_a_role_that_is_left_out_keeps_its_people(town: Town) -> None:
    """A message with an attending and no consultant says nothing of the consultant."""
    segments = adt("A01", at="20261117091200").decode().split("\r")
    fields = next(one for one in segments if one.startswith("PV1")).split("|")
    fields[9] = "1457388191^GRAY^TOM^^^DR"
    town.take("\r".join("|".join(fields) if one.startswith("PV1") else one for one in segments).encode())
    town.take(adt("A08", control="C-2", at="20261118091200"))
    assert {one["type"][0]["coding"][0]["code"] for one in visit(town)["participant"]} == {"ATND", "CON"}


def test_null_deletes_for_good_and_empty_says_nothing(town: Town) -> None:
    """A31 with "" for the telephone deletes it, also against an older message that comes later; an empty field keeps it."""
    null = adt("A31", control="C-2", at="20261122100000", phone='""').partition(b"PV1|")[0]
    town.take(null, adt())
    patient = town.resource(f"Patient/{town.patient()}")
    assert patient is not None
    assert "telecom" not in patient
    town.take(adt("A31", control="C-3", at="20261123100000").partition(b"PV1|")[0])
    town.take(adt("A31", control="C-4", at="20261124100000", phone="").partition(b"PV1|")[0])
    assert "telecom" in (town.resource(f"Patient/{town.patient()}") or {})


def test_a_label_stays_until_it_is_said_otherwise(town: Town) -> None:
    """A message that leaves the protection out does not lower it: an empty field says nothing."""
    town.take(adt("A01", at="20261117091200").replace(b"NPI||||||||||||V5001", b"NPI|||||||||V|||V5001"))
    assert [one["code"] for one in visit(town)["meta"]["security"]] == ["R"]
    town.take(adt("A08", control="C-2", at="20261118091200"))
    assert [one["code"] for one in visit(town)["meta"]["security"]] == ["R"]


def test_only_the_time_of_sending_differs_in_a_resend(town: Town) -> None:
    """MSH-7 aside the content is the same: one message, done, with its stored answer; nothing happens again."""
    first = adt()
    again = first.replace(b"|20261121093000-0500||ADT", b"|20261121094500-0500||ADT")
    assert first != again
    town.take(first)
    assert town.put(again) == ["done"]
    assert (town.work(), len(town.messages()), len(town.outbox())) == ([], 1, 1)


def test_a_reused_id_is_said_on_the_message(town: Town) -> None:
    """The same MSH-10 with other content is processed, with an information that says so."""
    town.take(adt())
    (outcome,) = town.take(adt("A08", at="20261121120000"))
    assert isinstance(outcome, Accepted)
    assert [(one.severity, one.where) for one in outcome.draft.issues if one.code == "BRG-R023"] == [("information", "MSH-10")]
    assert "BRG-R023" in {issue.code for issue in town.messages()[1].issues}
