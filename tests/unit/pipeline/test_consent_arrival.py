"""How a Consent arrives as FHIR: whose it is, whom it names, which copies are one, and who may send it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.envelope import FHIR
from bridge.core.outcome import Accepted, Held, Outcome, Rejected
from bridge.pipeline import hold
from bridge.roles import store
from tests.unit.pipeline.town import MRN, Town, adt, consent

NPI = "http://hl7.org/fhir/sid/us-npi"
IRCP = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}


def sent(town: Town, body: bytes | dict[str, Any], channel: str = "example-general") -> Outcome:
    """What became of a FHIR document that came by a partner's channel."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    store([(FHIR, text, "", channel)], town.bridge)
    return town.work()[-1]


def signed(*, to: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A permit for the recipient as a hospital's server would name it."""
    made: dict[str, Any] = json.loads(consent("GH1001"))
    made["provision"]["actor"] = [{"role": IRCP, "reference": to}]
    return {**made, **changes}


def leaves(town: Town, recipient: str = "harbor-pantry") -> bool:
    """Whether the pantry's referral is sent by now."""
    town.send()
    return [row.state for row in town.outbox(recipient=recipient)] == ["sent"]


def known(town: Town, **changes: Any) -> Town:
    """The town with names under which hospitals know the pantry, and a referral that waits for it."""
    partner = replace(town.bridge.partners["harbor-pantry"], **changes)
    town.bridge = replace(town.bridge, partners={**town.bridge.partners, "harbor-pantry": partner})
    town.take(adt(diagnoses=("Z59.41",)))
    return town


ORGANIZATION = {"resourceType": "Organization", "id": "fb", "name": "Pantry", "identifier": [{"system": NPI, "value": "1234567893"}]}


@pytest.mark.parametrize("to, changes, around", [
    ({"identifier": {"system": NPI, "value": "1234567893"}}, {}, ()),
    ({"identifier": {"system": "urn:oid:2.16.840.1.113883.4.6", "value": "1234567893"}}, {}, ()),
    ({"reference": "Organization/123"}, {}, ()),
    ({"reference": "Organization/123/_history/4"}, {}, ()),
    ({"reference": "https://ehr.example.org/fhir/Organization/123"}, {}, ()),
    ({"reference": "#fb"}, {"contained": [ORGANIZATION]}, ()),
    ({"reference": "urn:uuid:5a7b0b5e-0000-4000-8000-000000000001"}, {},
     ({"fullUrl": "urn:uuid:5a7b0b5e-0000-4000-8000-000000000001", "resource": ORGANIZATION},)),
])
def test_a_hospital_names_a_partner_in_its_own_words(town: Town, to: dict[str, Any], changes: dict[str, Any], around: tuple[Any, ...]) -> None:
    """A number, an alias of the settings, a contained organisation or one of the Bundle: each reaches the partner that is meant."""
    known(town, identifiers=((NPI, "1234567893"),), aliases=("example-general/Organization/123", "https://ehr.example.org/fhir/Organization/123"))
    document = signed(to=to, **changes)
    whole = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": document}, *around]} if around else document
    assert isinstance(sent(town, whole), Accepted)
    assert leaves(town)


def test_our_own_organisation_ids_come_back(town: Town) -> None:
    """The id under which the hospital was sent the pantry's Organization names the pantry in its Consent."""
    known(town)
    organization = next(one for one in town.outbox(recipient="harbor-pantry")[0].refs if one.startswith("Organization/")
                        and town.resource(one)["name"] == "Harbor Food Pantry")  # type: ignore[index]
    theirs = town.bridge.ids.pairwise("example-general", *organization.split("/"))
    sent(town, signed(to={"reference": f"{town.bridge.fhir_base}/Organization/{theirs}"}))
    assert leaves(town)


def test_an_alias_of_one_hospital_says_nothing_of_anothers(town: Town) -> None:
    """Organization/123 of another hospital's server is not ours, and nothing leaves for it."""
    known(town, aliases=("lakeside/Organization/123",))
    sent(town, signed(to={"reference": "Organization/123"}))
    assert not leaves(town)


def test_an_unknown_reference_denies_all_and_asks_which_partner_it_means(town: Town) -> None:
    """A deny of Organization/77 stops everybody until a person says whom it means; then it stops that one alone."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry", name="permit"))
    sent(town, signed(to={"reference": "Organization/77"}, id="deny", provision={
        "type": "deny", "actor": [{"role": IRCP, "reference": {"reference": "Organization/77"}}]}))
    assert not leaves(town)
    (item,) = [one for one in town.bridge.ledger.held() if one.programme == "consent"]
    assert item.code == "Organization/77"
    hold.release([hold.answer(item.id, "valley-elders", "kim", town.bridge)], town.bridge)
    assert leaves(town)
    assert not [one for one in town.bridge.ledger.held() if one.programme == "consent"]


def test_a_relative_subject_waits_until_a_person_says_whose_it_is(town: Town) -> None:
    """Patient/9 of a hospital's server is nobody here; once answered, its later Consents need no question."""
    known(town)
    outcome = sent(town, {**json.loads(consent("GH1001", "harbor-pantry")), "patient": {"reference": "Patient/9"}})
    assert isinstance(outcome, Held)
    (item,) = [one for one in town.bridge.ledger.held() if one.question_kind == "patient"]
    patient = town.outbox(recipient="harbor-pantry")[0].patient
    hold.release([hold.answer(item.id, patient, "kim", town.bridge)], town.bridge)
    later = {**json.loads(consent("GH1001", "harbor-pantry", status="inactive")), "patient": {"reference": "Patient/9"}}
    assert isinstance(sent(town, later), Accepted)
    assert not leaves(town)


def test_a_subject_may_be_contained(town: Town) -> None:
    """The record number of a contained Patient says whose Consent it is, and the Patient is not kept."""
    known(town)
    person = {"resourceType": "Patient", "id": "p", "identifier": [{"system": MRN, "value": "GH1001"}]}
    sent(town, {**json.loads(consent("GH1001", "harbor-pantry")), "contained": [person], "patient": {"reference": "#p"}})
    assert leaves(town)
    with town.bridge.ledger.work() as work:
        (kept,) = work.consents(town.outbox(recipient="harbor-pantry")[0].patient)
    assert "contained" not in kept


@pytest.mark.parametrize("gone", [
    {"resourceType": "Bundle", "type": "history", "entry": [{
        "request": {"method": "DELETE", "url": "Consent/c1"}, "response": {"status": "204", "lastModified": "2026-11-21T11:00:00-05:00"}}]},
    {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": "Consent/c1"}}]},
])
def test_a_deleted_consent_is_revoked(town: Town, gone: dict[str, Any]) -> None:
    """A deletion names no person: it counts for whoever the Consent of this server's id was about."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry"))
    assert isinstance(sent(town, gone), Accepted)
    assert not leaves(town)


def test_a_deletion_of_another_server_is_about_another_consent(town: Town) -> None:
    """Ids are one server's own: what Lakeside deletes does not end what General recorded."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry"))
    gone = {"resourceType": "Bundle", "type": "history", "entry": [{"request": {"method": "DELETE", "url": "Consent/c1"}}]}
    assert isinstance(sent(town, gone, "lakeside"), Held)
    assert leaves(town)


def test_two_hospitals_may_use_one_id(town: Town) -> None:
    """An inactive c1 of one hospital does not end the c1 of another."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry"))
    sent(town, consent("GH1001", "harbor-pantry", status="inactive"), "lakeside")
    assert leaves(town)


def test_an_older_copy_that_comes_late_brings_nothing_back(town: Town) -> None:
    """The newest version counts, whichever arrives last (rule S7)."""
    known(town)
    sent(town, consent("GH1001", status="inactive", meta={"versionId": "2", "lastUpdated": "2026-11-21T10:00:00-05:00"}))
    sent(town, consent("GH1001", "harbor-pantry", meta={"versionId": "1", "lastUpdated": "2026-11-20T15:00:00-05:00"}))
    assert not leaves(town)


def test_the_senders_own_time_orders_copies_of_one_signature(town: Town) -> None:
    """Suspended and put in force again: the copy updated last counts, although all carry the date of the one signature."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry", meta={"versionId": "3", "lastUpdated": "2026-11-21T10:00:00-05:00"}))
    sent(town, consent("GH1001", status="inactive", meta={"versionId": "2", "lastUpdated": "2026-11-21T09:00:00-05:00"}))
    assert leaves(town)


def test_a_clock_that_is_ahead_does_not_outrank_the_revocation(town: Town) -> None:
    """A copy that says it was updated next year counts as updated when it came."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry", meta={"lastUpdated": "2099-01-01T00:00:00Z"}))
    town.later(hours=1)
    sent(town, consent("GH1001", status="inactive", meta={"lastUpdated": "2026-11-21T12:30:00-05:00"}))
    assert not leaves(town)


def test_a_refusal_is_not_lost_for_a_claim_that_does_not_hold(town: Town) -> None:
    """A deny that claims SDOHCC-Consent without its organization is a deny all the same."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry"))
    claim = {"profile": ["http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-Consent"]}
    document = json.loads(consent("GH1001", "harbor-pantry", effect="deny", name="no", meta=claim))
    del document["organization"]
    assert isinstance(sent(town, document), Accepted)
    assert not leaves(town)


def test_a_deny_of_single_records_that_nobody_finds_reaches_all(town: Town) -> None:
    """A deny of Condition/5 of the sender's server cannot be matched, so that it stops everything it could mean."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry"))
    outcome = sent(town, signed(to={}, id="no", provision={
        "type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "Condition/5"}}]}))
    assert isinstance(outcome, Accepted)
    assert [issue.code for issue in outcome.draft.issues] == ["BRG-C012"]
    assert not leaves(town)


@pytest.mark.parametrize("changes", [{}, {"effect": "deny", "status": "inactive"}, {"provision": {}}])
def test_a_partner_records_no_consent_that_could_let_anything_go(town: Town, changes: dict[str, Any]) -> None:
    """A permit, a copy that is not active, or one without rules is refused from a partner's channel."""
    known(town)
    assert isinstance(sent(town, consent("GH1001", "harbor-pantry", **changes), "harbor-pantry"), Rejected)
    assert not leaves(town)


def test_a_refusal_that_a_partner_was_told_counts_and_stays(town: Town) -> None:
    """A deny from a partner's channel counts at once; no later copy of the partner's replaces it, nor does it replace another's."""
    known(town)
    sent(town, consent("GH1001", "harbor-pantry"))
    assert isinstance(sent(town, consent("GH1001", "harbor-pantry", effect="deny"), "harbor-pantry"), Accepted)
    sent(town, consent("GH1001", "valley-elders", effect="deny", dated="2026-11-21T11:00:00-05:00"), "harbor-pantry")
    assert not leaves(town)


def test_a_self_grant_under_another_name_is_none(town: Town) -> None:
    """A hospital's Consent whose only performer is the recipient's Organization on that server permits nothing (rule S11)."""
    known(town, aliases=("example-general/Organization/123",))
    sent(town, consent("GH1001", "harbor-pantry", performer=[{"reference": "Organization/123"}]))
    assert not leaves(town)


def test_one_message_holds_one_consent(town: Town) -> None:
    """A Bundle of two Consents is refused, because a message is about one person."""
    one = json.loads(consent())
    outcome = sent(town, {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one}, {"resource": one}]})
    assert isinstance(outcome, Rejected)
    assert [issue.code for issue in outcome.issues] == ["BRG-C011"]


def test_no_value_of_a_consent_gets_into_logs_questions_or_issues(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """Markers in every text of a Consent, good or broken, are in no log, no question and no issue."""
    actor = {"role": IRCP, "reference": {"reference": "Organization/ZQX DOE", "display": "ZQXACTOR"}}
    marked = json.loads(consent("ZQXMRN", performer=[{"display": "ZQXSIGNER", "reference": "RelatedPerson/ZQX"}], contained=[
        {"resourceType": "Patient", "id": "p", "name": [{"family": "ZQXFAMILY"}]}], policyRule={"text": "ZQXLIMIT"},
        provision={"type": "deny", "actor": [actor], "data": [{"meaning": "instance", "reference": {"reference": "Condition/ZQX"}}]}))
    paper = {name: one for name, one in marked.items() if name != "provision"}
    gone = {"resourceType": "Bundle", "type": "history", "entry": [{"request": {"method": "DELETE", "url": "Consent/ZQXGONE"}}]}
    for body in (marked, {**paper, "id": "ZQXID"}, {**marked, "status": "ZQXSTATUS"}, {**marked, "patient": {"display": "ZQXNAME"}},
                 {**marked, "patient": {"reference": "Patient/ZQX"}}, gone):
        sent(town, body)
    with town.bridge.ledger.work() as work:
        assert work.persons([(MRN, "ZQXMRN")])
    rows = [str(one) for one in (*town.bridge.ledger.held(""), *(row.issues for row in town.messages()))]
    assert "ZQX" not in "".join([*rows, *capsys.readouterr()])
