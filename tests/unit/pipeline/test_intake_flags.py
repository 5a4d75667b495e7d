"""What an organisation's record flags, and what it says of consent: kept, and minded in everything that leaves later."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.consent import project
from bridge.core.envelope import FHIR, RECORD
from bridge.core.outcome import Accepted, Held, Rejected
from bridge.core.rows import Referral
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.send import Ready, prepare
from bridge.referral.rows import rows
from tests.unit.pipeline.town import Town, adt, consent, record

KINDS = ("cbo-minimum", "meals", "housing", "vsp", "payer", "clinic")
FLAGS = [(row["field"], row["value"], row["label"], row["marks"].split()) for row in rows("cbo/flags.csv")]
TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
ADDRESS, PHONE, GUARDIAN = "12 ELM ST", "5550101", "GUARDIANNAME"
SERVED = {"status": "in-progress", "units": 2, "unit_type": "item", "service_start": "2026-11-21", "enrollment_status": "enrolled"}


def value(field: str, text: str) -> Any:
    return {"true": True, "false": False}.get(text, [text] if field == "sensitive_labels" else text)


def served(town: Town, **fields: Any) -> Referral:
    """A discharge for which the pantry is at work; its record carries these fields."""
    town.take(adt(diagnoses=("Z59.41", "I50.9"), more=[f"NK1|1|{GUARDIAN}^ANN|MTH^Mother||^PRN^PH^^1^937^5550199"]))
    town.take(everybodys("all"), kind=FHIR)
    pantry = next(one for one in town.referrals() if one.recipient == "harbor-pantry")
    assert isinstance(town.answer(pantry, record_type="service", **{**SERVED, **fields}), Accepted)
    return pantry


def as_kind(town: Town, partner: str, kind: str) -> Bridge:
    partners = town.bridge.partners
    return replace(town.bridge, partners={**partners, partner: replace(partners[partner], kind=kind)})


def ready(town: Town, recipient: str, bridge: Bridge | None = None) -> list[str]:
    """The bodies that would leave for a recipient now."""
    bridge = bridge or town.bridge
    with town.bridge.ledger.work() as work:
        made = [prepare(row, work, bridge) for row in town.outbox(recipient=recipient)]
    return [one.delivery.body.decode() for one in made if isinstance(one, Ready)]


def everybodys(name: str, **changes: Any) -> bytes:
    """A permit of everything for everybody, from whoever holds it."""
    made = json.loads(consent("GH1001", name=name, **changes))
    del made["organization"]
    return json.dumps(made).encode()


def naming(*labels: str) -> bytes:
    """A permit for everybody that names these labels, and what is normal."""
    codes = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"},
             *({"system": "urn:sdoh-bridge:sensitivity" if one in ("custody", "refugee") else
                "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": one} for one in labels)]
    return everybodys("named", provision={"type": "permit", "period": {"end": "2027-11-20"}, "purpose": [TREAT], "securityLabel": codes})


def test_the_table_of_flags_covers_the_record() -> None:
    """Every value of sensitive_labels and each of the flags has a row, and every label is one that the filter knows."""
    from bridge.consent import labels

    fields = next(row for row in rows("cbo/intake-fields.csv") if row["field"] == "sensitive_labels")["values"].split()
    assert {text for field, text, _, _ in FLAGS if field == "sensitive_labels"} == set(fields)
    assert {field for field, *_ in FLAGS} >= {"dv_flag", "part2_flag", "address_confidential", "safe_to_contact"}
    known = labels.load().terms.canonical
    assert all(("", label) in known or label == "42CFRPart2" for _, _, label, _ in FLAGS if label)


@pytest.mark.parametrize("field, text, label, marks", FLAGS)
def test_nothing_flagged_leaves_without_a_permit_that_names_it(town: Town, field: str, text: str, label: str, marks: list[str]) -> None:
    """Under a permit of everything for everybody that names no label: no kind of recipient gets a marked element, the hospital gets
    nothing of what was flagged; under one that names the label it goes."""
    served(town, **{field: value(field, text)})
    bodies = [body for kind in KINDS for body in ready(town, "valley-elders", as_kind(town, "valley-elders", kind))]
    assert bodies
    for element, canary in (("address", ADDRESS), ("telecom", PHONE), ("contact", GUARDIAN)):
        assert not (element in marks and any(canary in body for body in bodies)), element
    home = ready(town, "example-general")
    assert (home == []) == bool(label)
    town.take(naming(*_named(label), "LOCIS"), kind=FHIR)
    assert ready(town, "example-general")
    if "address" in marks:
        assert any(ADDRESS in body for body in ready(town, "valley-elders"))


def _named(label: str) -> list[str]:
    """The label by which a permit of v3-ActCode reaches a flag."""
    parents = {"flag-dv": "SDV", "flag-minor": "ADOL", "flag-lgbtq": "GENDER", "flag-mh": "MH", "flag-sud": "SUD", "flag-hiv": "HIV",
               "flag-repro": "SEX", "flag-immigration": "refugee", "flag-justice": "custody"}
    return [parents.get(label, label)] if label else []


def test_without_a_flag_all_of_it_leaves(town: Town) -> None:
    """The same story without flags: address and phone go to those who may see them, the outcome goes home."""
    served(town)
    assert any(ADDRESS in body and PHONE in body for body in ready(town, "valley-elders"))
    assert ready(town, "example-general")


def test_what_the_hospital_says_later_takes_no_mark_off(town: Town) -> None:
    """A new address of the hospital's is as marked as the old one, and a record without the flag lowers nothing."""
    pantry = served(town, dv_flag=True)
    town.take(adt("A08", control="C-2", at="20261121150000", address="7 OAK AVE^^DAYTON^OH^45402^USA^H^^MONTGOMERY"))
    town.answer(pantry, 2, "2026-11-21T16:00:00-05:00", status="in-progress", business_status="service-started", dv_flag=False)
    assert not any("7 OAK AVE" in body for body in ready(town, "valley-elders"))
    assert ready(town, "example-general") == []


def test_who_flagged_is_still_told_of_its_own_referral(town: Town) -> None:
    """The pantry that flagged a person hears that its referral was called off; the labels it put there bind the others."""
    pantry = served(town, dv_flag=True)
    town.take(adt("A13", control="C-2", at="20261121150000"))
    assert any('"Task"' in body for body in ready(town, "harbor-pantry"))
    task = town.resource(f"Task/{pantry.id}")
    assert task is not None
    assert "flag-dv" in {one["code"] for one in task["meta"]["security"]}


def test_the_chosen_name_is_for_whom_it_was_chosen(town: Town) -> None:
    """A preferred name told to one organisation is the only name that this one sees, and no other ever sees it."""
    pantry = served(town, preferred_name="Robin Quill", sensitive_labels=["lgbtq", "minor"])
    town.answer(pantry, 2, "2026-11-21T16:00:00-05:00", status="on-hold", reason_code="other", reason_text="waits")
    own = ready(town, "harbor-pantry")
    assert own
    assert all("Robin Quill" in body and "ADLER" not in body for body in own)
    others = [body for kind in KINDS for body in ready(town, "valley-elders", as_kind(town, "valley-elders", kind))]
    assert others
    assert not any("Robin Quill" in body for body in others)


@pytest.mark.parametrize("status", ["deny", "revoked"])
def test_a_refusal_told_to_an_organisation_counts_at_once(town: Town, status: str) -> None:
    """From then on nothing goes to it and nothing from it, whatever the hospital's consent permits; the others go on."""
    served(town, consent_status=status, consent_at="2026-11-21T12:30:00-05:00")
    assert ready(town, "harbor-pantry") == []
    assert ready(town, "example-general") == []
    assert ready(town, "valley-elders")


def test_no_later_record_lifts_a_refusal(town: Town) -> None:
    """The organisation that was refused cannot say that it was not."""
    pantry = served(town, consent_status="deny")
    town.answer(pantry, 2, "2026-11-21T16:00:00-05:00", status="in-progress", consent_status="permit", business_status="contacted")
    assert ready(town, "harbor-pantry") == []


def test_a_refusal_counts_even_where_the_record_moves_nothing(town: Town) -> None:
    """A withdrawal in a record whose step is refused is kept all the same; one of a stranger is not."""
    pantry = served(town, status="completed")
    outcome = town.answer(pantry, 2, "2026-11-21T16:00:00-05:00", status="accepted", consent_status="revoked")
    assert isinstance(outcome, Accepted)
    assert ready(town, "harbor-pantry") == []
    body = record(pantry, 3, "2026-11-21T17:00:00-05:00", status="accepted", consent_status="revoked", dv_flag=True)
    assert isinstance(town.take(body, feed="valley-elders", kind=RECORD)[0], Rejected)


def test_a_permit_told_to_an_organisation_lets_it_receive_nothing(town: Town) -> None:
    """consent_status permit is no consent for the pantry to receive; it is one for the hospital to hear from it."""
    town.take(adt(diagnoses=("Z59.41",)))
    pantry = next(one for one in town.referrals() if one.recipient == "harbor-pantry")
    body = {"record_type": "intake", "consent_status": "permit", "consent_at": "2026-11-21T11:00:00-05:00", "consent_method": "paper", "consent_scope": ["status", "outcome"],
            "family": "Adler", "given": "Rose", "birth_date": "1948-02-14", "contact_preference": "phone", "safe_to_contact": True,
            "need_domain": "food-insecurity"}
    assert isinstance(town.answer(pantry, **body), Accepted)
    assert ready(town, "harbor-pantry") == []
    with town.bridge.ledger.work() as work:
        (kept,) = work.consents(pantry.patient)
    assert town.bridge.profiles.check(kept) == []
    assert kept["meta"]["profile"] == ["http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-Consent"]
    closed = replace(town.bridge.partners["example-general"], no_consent="deny")
    town.bridge = replace(town.bridge, partners={**town.bridge.partners, "example-general": closed})
    town.answer(pantry, 2, "2026-11-21T16:00:00-05:00", status="accepted")
    assert ready(town, "example-general")
    town.answer(pantry, 3, "2026-11-21T17:00:00-05:00", **{**body, "consent_status": "expired"})
    assert ready(town, "example-general") == []


def test_a_record_about_the_person_alone_finds_them_by_the_organisations_own_number(town: Town) -> None:
    """After one record about a referral, an intake record with the same client_local_id needs no reference; a stranger's waits."""
    served(town)
    body = {"record_type": "intake", "consent_status": "revoked", "consent_scope": ["referral"], "family": "Adler", "given": "Rose", "birth_date": "1948-02-14",
            "contact_preference": "none", "safe_to_contact": False, "need_domain": "food-insecurity"}
    referral = next(one for one in town.referrals() if one.recipient == "harbor-pantry")
    alone = {**json.loads(record(referral, 7, "2026-11-21T16:00:00-05:00", **body)), "bridge_referral_id": ""}
    strange = {**alone, "client_local_id": "L-2", "record_id": "other"}
    assert isinstance(town.take(json.dumps(alone).encode(), feed="harbor-pantry", kind=RECORD)[0], Accepted)
    assert isinstance(town.take(json.dumps(strange).encode(), feed="harbor-pantry", kind=RECORD)[0], Held)
    assert ready(town, "harbor-pantry") == []
    assert not any(PHONE in body for body in ready(town, "valley-elders"))


def victims(town: Town) -> None:
    """From now on the pantry is a victim service provider."""
    town.bridge = as_kind(town, "harbor-pantry", "vsp")


@pytest.mark.parametrize("changes, leaves", [
    ({}, True), ({"sourceAttachment": None}, False),
    ({"provision": {"type": "permit", "purpose": [TREAT]}}, False),
])
def test_a_victim_service_provider_needs_a_written_release_that_ends(town: Town, changes: dict[str, Any], leaves: bool) -> None:
    """A permit without an end, or with nothing signed behind it, permits nothing to such a provider."""
    victims(town)
    town.take(adt(diagnoses=("Z59.41",)))
    body = {name: one for name, one in {**json.loads(consent("GH1001")), **changes}.items() if one is not None}
    town.take(json.dumps(body).encode(), kind=FHIR)
    assert bool(ready(town, "harbor-pantry")) is leaves
    assert not any(ADDRESS in one or "ADLER" in one for one in ready(town, "harbor-pantry"))


def test_ids_of_a_victim_service_provider_link_nothing(town: Town) -> None:
    """Two referrals of one person share no id and no number with such a provider, of any resource that is about the person."""
    partners = town.bridge.partners
    both = replace(partners["harbor-pantry"], kind="vsp", serves=("food-insecurity", "evctp"))
    town.bridge = replace(town.bridge, partners={"harbor-pantry": both, "example-general": partners["example-general"]})
    town.take(adt(diagnoses=("Z59.41", "I50.9")))
    town.take(consent("GH1001"), kind=FHIR)
    first, second = (json.loads(body) for body in ready(town, "harbor-pantry"))
    ids = [{f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in each["entry"]
            if one["resource"]["resourceType"] not in ("Organization", "Practitioner", "Location")} for each in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert not any("identifier" in one["resource"] for each in (first, second) for one in each["entry"] if one["resource"]["resourceType"] == "Patient")
    with town.bridge.ledger.work() as work:
        keys = [made.delivery.key for row in town.outbox(recipient="harbor-pantry") if isinstance(made := prepare(row, work, town.bridge), Ready)]
    assert len(set(keys)) == 2


def test_nothing_comes_back_from_a_victim_service_provider_without_a_release(town: Town) -> None:
    """Where the contract of the hospital permits by default, such a provider's answer still waits for a release to it."""
    victims(town)
    town.take(adt(diagnoses=("Z59.41",)))
    pantry = next(one for one in town.referrals() if one.recipient == "harbor-pantry")
    town.answer(pantry, status="accepted")
    assert ready(town, "example-general") == []
    town.take(consent("GH1001", "example-general", name="back"), kind=FHIR)
    assert ready(town, "example-general") == []  # the hospital's own consent does not speak for the provider (S8)
    town.take(consent("GH1001", "example-general", name="theirs", organization=[{"identifier": {
        "system": "urn:sdoh-bridge:partner", "value": "harbor-pantry"}}]), kind=FHIR)
    assert ready(town, "example-general")


def test_every_kind_of_recipient_is_asked() -> None:
    """The property above goes through each file of profiles/recipients; the hospital's own kind is asked by what comes home."""
    assert {project.load(kind).kind for kind in KINDS} | {"ehr"} == {project.load(each).kind for each in project._files()}
