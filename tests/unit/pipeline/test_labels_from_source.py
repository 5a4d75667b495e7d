"""What a message reveals by where it comes from and whom it names, and that what is known stays known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.consent.labels import packaged
from bridge.core.envelope import FHIR
from bridge.core.outcome import Accepted, Rejected
from tests.unit.pipeline.town import Town, adt, screening
from tests.unit.pipeline.town import consent as signed

HEAD = "id,kind,name,labels,basis,source,reviewed_on\n"
PART2 = {"42CFRPart2", "SUD", "R"}
R = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
Register = Callable[..., None]


@pytest.fixture
def register(town: Town, tmp_path: Path) -> Register:
    """Give the town a registry with these rows (`kind,name,labels`)."""
    def give(*rows: str) -> None:
        listed = [f"r{number},{row},policy: a test,us,2026-11-22" for number, row in enumerate(rows)]
        (tmp_path / "registry.csv").write_text(HEAD + "\n".join(listed), encoding="utf-8")
        town.bridge = replace(town.bridge, labels=(str(tmp_path), str(packaged())))
    return give


def kept(town: Town) -> dict[str, list[dict[str, Any]]]:
    """What is on file of the only patient, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    with town.bridge.ledger.work() as work:
        for one in work.of_patient(town.patient()):
            found.setdefault(one["resourceType"], []).append(one)
    return found


def labelled(resource: dict[str, Any]) -> set[str]:
    return {each["code"] for each in resource["meta"].get("security", ())}


@pytest.mark.parametrize("row", ["facility,exgeneral", "authority,urn:oid:1.2.840.114350.1.13.999.2.7", "sender,example-general-epic"])
def test_all_that_comes_from_a_part_2_programme_is_labelled(town: Town, register: Register, row: str) -> None:
    """A programme that sends, or that numbers the person: everything carries its labels, whatever the codes say."""
    register(f"{row},42CFRPart2 SUD")
    assert isinstance(town.take(adt(diagnoses=("I50.9",)))[0], Accepted)
    found = kept(town)
    assert [labelled(one) for kind in ("Patient", "Encounter", "Condition") for one in found[kind]] == [PART2] * 3


def test_a_unit_labels_its_visit_alone(town: Town, register: Register) -> None:
    """A Part 2 unit of a hospital: the visit and what belongs to it, not the person, nor another visit."""
    register("unit,4west,42CFRPart2 SUD")
    town.take(adt(), adt(control="C-2", visit="V6000", diagnoses=("I10",), at="20261121103000").replace(b"4WEST", b"5EAST"))
    found = kept(town)
    assert labelled(found["Patient"][0]) == set()
    assert sorted(map(labelled, found["Encounter"]), key=len) == [set(), PART2]
    assert sorted(map(labelled, found["Condition"]), key=len) == [set(), PART2]


def test_a_further_number_is_labelled_by_itself(town: Town, register: Register) -> None:
    """The number that a programme gave stands in a hospital's message: that number is withheld, the person is not."""
    register("authority,OTP,42CFRPart2 SUD")
    town.take(adt(numbers="~77^^^OTP^PI"))
    (patient,) = kept(town)["Patient"]
    assert [len(one.get("extension", ())) for one in patient["identifier"]] == [0, 2]
    assert labelled(patient) == {"PROCESSINLINELABEL"}


@pytest.mark.parametrize(("word", "labels"), [("R", {"R"}), ("V", {"V"}), ("ETH", {"R", "SUD"}), ("PSY", {"R", "PSY"}), ("U", set())])
def test_a_restricted_message_restricts_all_that_it_tells(town: Town, word: str, labels: set[str]) -> None:
    """MSH-8 is about the message: person, visit and diagnosis carry it; ETH is alcohol and drugs, not alcohol alone."""
    town.take(adt().replace(b"-0500||ADT^A03", f"-0500|{word}|ADT^A03".encode(), 1))
    found = kept(town)
    assert [labelled(one) for kind in ("Patient", "Encounter", "Condition") for one in found[kind]] == [labels] * 3


def test_nobody_registered_means_no_label(town: Town) -> None:
    """The packaged registry is empty."""
    town.take(adt())
    assert {frozenset(labelled(one)) for listed in kept(town).values() for one in listed} == {frozenset()}


def test_being_referred_is_the_disclosure(town: Town, register: Register) -> None:
    """A referral to a registered provider, or to a victim service provider by its kind, inherits the label."""
    register("provider,harbor-pantry,HIV")
    town.take(adt(diagnoses=("Z59.41",)))
    found = kept(town)
    asked = {one.recipient: [labelled(town.resource(ref) or {}) for ref in (f"ServiceRequest/{one.request}", f"Task/{one.id}")] for one in town.referrals()}
    assert asked.pop("harbor-pantry") == [{"R", "HIV"}] * 2
    assert all(found == [set(), set()] for found in asked.values())
    assert labelled(found["Condition"][0]) == set()


def test_a_victim_service_provider_needs_no_row(town: Town) -> None:
    """The kind of the partner says it (profiles/recipients/vsp.yaml)."""
    pantry = town.bridge.partners["harbor-pantry"]
    town.bridge = replace(town.bridge, partners={**town.bridge.partners, "harbor-pantry": replace(pantry, kind="vsp")})
    town.take(adt(diagnoses=("Z59.41",)))
    (referral,) = [one for one in town.referrals() if one.recipient == "harbor-pantry"]
    assert labelled(town.resource(f"Task/{referral.id}") or {}) == {"R", "SDV"}
    town.answer(referral, status="accepted")
    assert labelled(town.resource(f"Task/{referral.id}") or {}) == {"R", "SDV"}


def test_a_form_labels_what_is_read_off_it(town: Town) -> None:
    """A QuestionnaireResponse that its source has labelled: the response, its Observations and Conditions carry that."""
    form = {**json.loads(screening()), "meta": {"security": [R, {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]}}
    town.take(adt())
    town.take(json.dumps(form).encode(), kind=FHIR)
    found = kept(town)
    assert {"R", "HIV"} <= labelled(found["QuestionnaireResponse"][0])
    assert all({"R", "HIV"} <= labelled(one) for one in found["Observation"])


@pytest.mark.parametrize("late", [False, True])
def test_a_message_without_the_label_lowers_nothing(town: Town, late: bool) -> None:
    """PV2-22, said once in either order of arrival: visit and diagnosis stay restricted."""
    protected = adt(more=(f"PV2{'|' * 22}Y",))
    plain = adt("A08", "C-2", at="20261121083000" if late else "20261121113000")
    town.take(protected)
    town.take(plain)
    found = kept(town)
    assert [labelled(one) for one in (*found["Encounter"], *found["Condition"])] == [{"R"}] * 2


def test_a_label_that_comes_late_counts(town: Town) -> None:
    """The label of an older message that arrives after a newer one is put on all the same."""
    town.take(adt("A08", "C-2", at="20261121113000", diagnoses=()))
    town.take(adt(more=(f"PV2{'|' * 22}Y",), diagnoses=()))
    assert labelled(kept(town)["Encounter"][0]) == {"R"}


def test_a_redacted_copy_updates_nothing(town: Town) -> None:
    """A form that comes back with REDACTED does not overwrite the whole; one that was never known is taken."""
    marked = {**json.loads(screening()), "meta": {"security": [{"code": "REDACTED"}]}}
    town.take(adt())
    (first,) = town.take(json.dumps({**marked, "id": "other"}).encode(), kind=FHIR)
    assert isinstance(first, Accepted)
    town.take(screening(), kind=FHIR)
    before = kept(town)["QuestionnaireResponse"]
    (again,) = town.take(json.dumps({**marked, "item": marked["item"][:1]}).encode(), kind=FHIR)
    assert isinstance(again, Rejected)
    assert [one.code for one in again.issues] == ["BRG-C003"]
    assert kept(town)["QuestionnaireResponse"] == before


def test_a_part_2_record_needs_a_permit_that_describes_it(town: Town, register: Register) -> None:
    """F2 on the line: what a programme sends does not leave under a general permit."""
    register("facility,exgeneral,42CFRPart2 SUD")
    town.take(signed("GH1001", "harbor-pantry"), kind=FHIR)
    town.take(adt(diagnoses=("Z59.41",)))
    town.send()
    assert town.mail("harbor-pantry").got == []
    assert {one.state for one in town.outbox(recipient="harbor-pantry")} == {"withheld"}


def test_withheld_text_is_in_no_delivery(town: Town) -> None:
    """The canary on the line: what consent withholds appears in no byte that any partner is handed, in whatever format."""
    town.take(signed("GH1001", "stillwater-respite", "harbor-pantry", "valley-elders"), kind=FHIR)
    town.take(adt(diagnoses=("Z59.00",), more=("DG1|2||B20^CANARY HIV^I10|CANARY HIV|20261120|F", "NTE|1||CANARY note")))
    town.send()
    bodies = {name: [one.body for one in box.got] for name, box in town.boxes.items()}
    assert bodies["stillwater-respite"]
    assert not [name for name, listed in bodies.items() for body in listed if b"CANARY" in body or b"B20" in body]
