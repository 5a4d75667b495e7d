"""Opening referrals once, and calling them off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.core.ids import Ids
from bridge.referral import short
from bridge.referral.open import Opened, recall, refer, row_of
from bridge.referral.state import move
from bridge.referral.terms import SNOMED, TEMPORARY, coded
from tests.unit.referral.conftest import HOSPITAL, condition, draft, encounter, openings, patient

LATER = "2026-05-05T10:00:00-05:00"


def test_an_opening_becomes_a_request_and_a_task(opened: Opened, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Requested, owned by the partner, asked by an Organization, with its own need only and the due time of the clock."""
    referral, = opened.referrals
    categories = [coded(category, TEMPORARY) for category in request_["category"]]
    organizations = {f"Organization/{one['id']}" for one in opened.resources if one["resourceType"] == "Organization"}
    assert (task["status"], task["intent"], task["focus"]["reference"]) == ("requested", "order", f"ServiceRequest/{request_['id']}")
    assert {task["requester"]["reference"], task["owner"]["reference"]} == organizations
    assert [code for code in categories if code] == ["food-insecurity"]
    assert request_["reasonReference"] == [{"reference": "Condition/c-food-insecurity"}]
    assert coded(request_["code"], SNOMED) == "467771000124109"
    assert (referral.id, referral.request, referral.visit, referral.recipient) == (task["id"], request_["id"], "e1", "corner-pantry")
    assert referral.due == "2026-05-07T09:30:00-05:00"
    assert short.read(referral.short) == referral.short == task["identifier"][0]["value"]


def test_the_same_message_twice_opens_nothing_new(opened: Opened, ids: Ids) -> None:
    """A resend finds its referral open; a replay after the end finds that this message opened it."""
    of = draft()
    ended = replace(opened.referrals[0], status="completed", closed=True)
    again = refer(of, openings(of), opened.referrals, ids, message_id="m1", hospital=HOSPITAL)
    replayed = refer(of, openings(of), [ended], ids, message_id="m1", hospital=HOSPITAL)
    assert again == replayed == Opened()


def test_a_replay_from_nothing_gives_the_same_ids(opened: Opened, ids: Ids) -> None:
    """Ids and references are keyed; nothing depends on when it ran."""
    of = draft()
    assert refer(of, openings(of), (), ids, message_id="m1", hospital=HOSPITAL) == opened


def test_only_one_referral_is_open_per_need_and_recipient(opened: Opened, ids: Ids) -> None:
    """A second visit does not ask again while the first request is open, and does when it is closed."""
    of = draft(patient(), {**encounter(), "id": "e2"}, condition())
    closed = [replace(one, status="completed", closed=True) for one in opened.referrals]
    assert refer(of, openings(of), opened.referrals, ids, message_id="m2", hospital=HOSPITAL) == Opened()
    second = refer(of, openings(of), closed, ids, message_id="m2", hospital=HOSPITAL)
    assert len(second.referrals) == 1
    assert second.referrals[0].id != opened.referrals[0].id


def test_a_discharge_after_its_cancel_opens_a_new_one(opened: Opened, ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """A03, A13, A03: the second discharge opens a new Task, deterministic, and no third one when it is sent again."""
    cancelled = recall(task, request_, event="ADT^A13", at=LATER).resources[0]
    known = [row_of(opened.referrals[0], cancelled)]
    of = draft()
    second = refer(of, openings(of), known, ids, message_id="m2", hospital=HOSPITAL, resource={f"Task/{task['id']}": cancelled}.get)
    twice = refer(of, openings(of), [*known, *second.referrals], ids, message_id="m2", hospital=HOSPITAL)
    assert (len(second.referrals), twice) == (1, Opened())
    assert second.referrals[0].id != task["id"]
    assert second == refer(of, openings(of), known, ids, message_id="m2", hospital=HOSPITAL)


def test_a_referral_that_the_person_declined_is_not_opened_again_for_the_visit(
    opened: Opened, ids: Ids, task: dict[str, Any],
) -> None:
    """Only a recall reopens: another message of the visit does not overrule what the person said."""
    declined = move(task, "cancelled", by="target", at=LATER, reason_code="client-declined").steps[-1]
    of = draft()
    found = refer(of, openings(of), [row_of(opened.referrals[0], declined)], ids, message_id="m3", hospital=HOSPITAL,
                  resource={f"Task/{task['id']}": declined}.get)
    assert found == Opened()


def test_a_reference_in_use_is_not_given_twice(opened: Opened, ids: Ids) -> None:
    """When the short reference is taken the next one is tried; the ids stay."""
    of, taken = draft(), opened.referrals[0].short
    found = refer(of, openings(of), (), ids, message_id="m1", hospital=HOSPITAL, taken={taken}.__contains__)
    assert found.referrals[0].short != taken
    assert found.referrals[0].id == opened.referrals[0].id


def test_the_visits_own_organization_is_the_requester(ids: Ids) -> None:
    """An Organization that the draft holds whole and the Encounter names asks; nothing is emitted twice."""
    own = {"resourceType": "Organization", "id": "o1", "active": True, "name": "General"}
    of = draft(patient(), {**encounter(), "serviceProvider": {"reference": "Organization/o1"}}, condition(), own)
    found = refer(of, openings(of), (), ids, message_id="m1", hospital=HOSPITAL)
    made = [one for one in found.resources if one["resourceType"] == "Task"]
    assert made[0]["requester"] == {"reference": "Organization/o1"}
    assert own not in found.resources


def test_a_cancelled_discharge_withdraws_what_nobody_accepted(task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Task cancelled with reason and text, request revoked; again: nothing."""
    found = recall(task, request_, event="ADT^A13", at=LATER)
    cancelled, revoked = found.resources
    assert (cancelled["status"], revoked["status"], found.noted) == ("cancelled", "revoked", False)
    assert cancelled["statusReason"]["text"] == "The discharge was cancelled"
    assert recall(cancelled, revoked, event="ADT^A13", at=LATER).resources == ()


def test_a_cancelled_discharge_leaves_begun_work_to_a_person(task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Accepted work gets one note for the coordinator; status and request stay."""
    accepted = move(task, "accepted", by="target", at=LATER).steps[-1]
    found = recall(accepted, request_, event="ADT^A11", at=LATER)
    noted, = found.resources
    assert (noted["status"], found.noted, len(noted["note"])) == ("accepted", True, 1)
    assert recall(noted, request_, event="ADT^A11", at=LATER).resources == ()
