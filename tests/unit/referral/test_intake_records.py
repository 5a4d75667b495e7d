"""Canonical intake records: what they must hold, and what they do to a referral."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.core.ids import Ids
from bridge.referral.intake import Answer, read
from bridge.referral.respond import Applied, apply
from bridge.referral.rows import rows
from bridge.referral.terms import SERVICE_TYPE, SNOMED, TEMPORARY, UNITS, coded


def record(kind: str = "status", **fields: Any) -> dict[str, Any]:
    """A record of the pantry that says all it must."""
    base = {
        "schema_version": "1.0", "record_id": "x-1", "record_type": kind, "source_system": "csv", "source_record_id": "L-1",
        "updated_at": "2026-05-05T10:00:00-05:00", "event_at": "2026-05-05T09:00:00-05:00", "cbo_org_id": "corner-pantry",
        "client_local_id": "C-1", "bridge_referral_id": "REF", "source_status": "Pending",
    }
    more = {"status": {"status": "accepted"}, "outcome": {"status": "completed", "outcome_code": "need-met"},
            "service": {"units": 2, "unit_type": "item"}}.get(kind, {})
    return {**base, **more, **fields}


def answer(kind: str = "status", **fields: Any) -> Answer:
    """The same, read."""
    found = read(record(kind, **fields))
    assert isinstance(found, Answer)
    return found


def apply_(said: Answer, task: dict[str, Any], request: dict[str, Any], ids: Ids) -> Applied:
    """Applied as sent by the pantry itself."""
    return apply(said, task, request, ids, sender="corner-pantry")


def test_the_corpus_records_are_read_alike_from_json_and_csv(shared: Path) -> None:
    """Typed JSON and flat CSV give the same answers."""
    folder = shared / "corpus" / "cbo" / "intake"
    with (folder / "canonical_intake.csv").open(encoding="utf-8", newline="") as file:
        flat = [read(row) for row in csv.DictReader(file)]
    typed = [read(one) for one in json.loads((folder / "canonical_intake.json").read_text())]
    assert typed == flat
    assert all(isinstance(one, Answer) for one in typed)


def test_our_field_table_is_the_published_schema(shared: Path) -> None:
    """Every field, code list and requirement of the schema is a row of ours, and no more."""
    schema = json.loads((shared / "corpus" / "cbo" / "intake" / "canonical_intake.schema.json").read_text())
    table = {row["field"]: row for row in rows("cbo/intake-fields.csv")}
    assert set(table) == set(schema["properties"])
    for field, facts in schema["properties"].items():
        listed = facts.get("enum") or facts.get("items", {}).get("enum") or ([facts["const"]] if "const" in facts else [])
        assert table[field]["values"].split() == listed
    for rule in schema["allOf"]:
        kind = rule["if"]["properties"].get("record_type", {}).get("const")
        for field in rule["then"]["required"] if kind else ():
            assert kind in table[field]["required"].split()


@pytest.mark.parametrize(("fields", "where", "code"), [
    ({"updated_at": "2026-05-05T10:00:00"}, "updated_at", "BRG-R302"), ({"updated_at": "2026-02-30T10:00:00Z"}, "updated_at", "BRG-R302"),
    ({"updated_at": 7}, "updated_at", "BRG-R302"), ({"status": "done"}, "status", "BRG-R302"),
    ({"status": "rejected"}, "reason_code", "BRG-R303"), ({"status": "failed", "reason_code": "other"}, "reason_text", "BRG-R303"),
    ({"units": 0}, "units", "BRG-R302"), ({"units": "1,5"}, "units", "BRG-R302"), ({"waitlist_position": -1}, "waitlist_position", "BRG-R302"),
    ({"waitlist_position": 1.5}, "waitlist_position", "BRG-R302"), ({"safe_to_contact": "maybe"}, "safe_to_contact", "BRG-R302"),
    ({"birth_date": "02/03/1950"}, "birth_date", "BRG-R302"), ({"consent_scope": ["all"]}, "consent_scope", "BRG-R302"),
    ({"source_status": ""}, "source_status", "BRG-R303"), ({"bridge_referral_id": None}, "bridge_referral_id", "BRG-R303"),
    ({"statsu": "x"}, "statsu", "BRG-R301"), ({"schema_version": "2.0"}, "schema_version", "BRG-R302"),
    ({"record_type": "visit"}, "record_type", "BRG-R302"), ({"units": True}, "units", "BRG-R302"),
    ({"note_text": {"a": 1}}, "note_text", "BRG-R302"),
])
def test_a_wrong_record_names_the_field_and_the_remedy(fields: dict[str, Any], where: str, code: str) -> None:
    """Each fault is an issue at its field with what to do, and never repeats a value."""
    found = read(record(**fields))
    assert isinstance(found, list)
    issue = next(issue for issue in found if issue.where == where)
    assert issue.code == code
    assert all(str(value) not in str(issue) for value in fields.values() if isinstance(value, str) and len(value) > 9)


def test_a_misspelt_field_gets_its_name() -> None:
    """An unknown field says which one was probably meant."""
    found = read(record(reason_txt="x"))
    assert isinstance(found, list)
    assert found[0].hint == "did you mean reason_text?"


def test_a_status_moves_the_task(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Status, business status and the partner's own word arrive on the Task; a repeat does nothing."""
    done = apply_(answer(business_status="contacted"), task, request_, ids)
    step = done.steps[-1]
    again = apply_(answer(business_status="contacted"), step, request_, ids)
    assert (step["status"], step["businessStatus"]["coding"][0]["code"]) == ("accepted", "contacted")
    assert (again.moved.effect, again.steps, again.resources) == ("none", (), ())


def test_a_service_is_a_procedure_of_what_was_given(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """The code is what was given, not what was asked; units ride along; the Task gains the output."""
    done = apply_(answer("service"), task, request_, ids)
    procedure, = done.resources
    assert coded(procedure["code"], SNOMED) == "710925007"
    assert coded(request_["code"], SNOMED) != "710925007"
    assert procedure["basedOn"] == [{"reference": f"ServiceRequest/{request_['id']}"}]
    assert procedure["performedDateTime"] == "2026-05-05T09:00:00-05:00"
    assert [one["valueQuantity"]["value"] for one in procedure["extension"] if one["url"] == UNITS] == [2]
    assert done.steps[-1]["output"][0]["valueReference"]["reference"] == f"Procedure/{procedure['id']}"
    assert done.steps[-1]["status"] == "requested"


@pytest.mark.parametrize(("fields", "codes"), [
    ({"service_type_code": "61310001", "service_type_system": "sdohcc"}, [(SNOMED, "61310001")]),
    ({"service_type_code": "1133", "service_type_system": "open-eligibility"},
     [(SNOMED, "467771000124109"), (SERVICE_TYPE + "open-eligibility", "1133")]),
    ({"service_type_code": "BOX", "service_type_system": "local"}, [(SNOMED, "710925007"), (SERVICE_TYPE + "local", "BOX")]),
    ({"unit_type": "hour"}, [(SNOMED, "710925007")]),
])
def test_the_code_of_a_service_comes_from_what_the_partner_says(
    fields: dict[str, Any], codes: list[tuple[str, str]], ids: Ids, task: dict[str, Any], request_: dict[str, Any],
) -> None:
    """A standard code as it is; a taxonomy code by our table and beside it; else by need and unit."""
    procedure, = apply_(answer("service", **fields), task, request_, ids).resources
    assert [(coding["system"], coding["code"]) for coding in procedure["code"]["coding"]] == codes


def test_an_outcome_completes_the_task_and_closes_the_request(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Got Help after Not Updated: the steps between are inserted, the outcome and the activity are outputs."""
    done = apply_(answer("outcome", source_status="Got Help"), task, request_, ids)
    closed, = done.resources
    kinds = [coded(output["type"], TEMPORARY) for output in done.steps[-1]["output"]]
    assert [step["status"] for step in done.steps] == ["accepted", "in-progress", "completed"]
    assert (closed["resourceType"], closed["status"], kinds) == ("ServiceRequest", "completed", ["", "resulting-activity"])


def test_an_unmet_need_claims_no_activity(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Completed with the need unmet carries the outcome alone."""
    done = apply_(answer("outcome", outcome_code="need-unmet"), task, request_, ids)
    assert [coded(output["type"], TEMPORARY) for output in done.steps[-1]["output"]] == [""]


def test_enrolment_is_an_observation_of_the_programme(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """A waiting list is enrolment status with its place, linked from the Task."""
    done = apply_(answer(status="on-hold", reason_code="waitlist", enrollment_status="not-enrolled-on-waitlist",
                         waitlist_position=3), task, request_, ids)
    observation, = done.resources
    assert coded(observation["valueCodeableConcept"], TEMPORARY) == "not-enrolled-on-waitlist"
    assert observation["note"] == [{"text": "Waiting list: position 3"}]
    assert coded(done.steps[-1]["output"][0]["type"], TEMPORARY) == "additional-content"


def test_nobody_moves_a_referral_of_another(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """The sender must own the Task and speak for itself; else nothing changes."""
    foreign = apply(answer(), task, request_, ids, sender="shelter")
    posing = apply(answer(cbo_org_id="shelter"), task, request_, ids, sender="corner-pantry")
    ownerless = apply(answer(), {key: value for key, value in task.items() if key != "owner"}, request_, ids, sender="corner-pantry")
    assert [one.issues[0].code for one in (foreign, posing, ownerless)] == ["BRG-R311", "BRG-R312", "BRG-R311"]
    assert foreign.steps == posing.steps == ownerless.steps == ()


def test_a_record_that_is_not_about_a_referral_is_refused_here(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Capacity speaks of the partner, not of a person."""
    said = answer("capacity", capacity_status="waitlist", capacity_as_of="2026-05-05T09:00:00Z")
    assert apply_(said, task, request_, ids).issues[0].code == "BRG-R310"


def test_a_refused_move_stores_nothing(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> None:
    """When the status cannot follow, neither Procedure nor request changes."""
    rejected = apply_(answer(status="rejected", reason_code="no-capacity"), task, request_, ids).steps[-1]
    late = apply_(answer("outcome", record_id="x-2", updated_at="2026-05-06T10:00:00-05:00", units=1, unit_type="meal"),
                  rejected, request_, ids)
    assert (late.moved.effect, late.resources, late.issues[0].code) == ("refused", (), "BRG-R103")
