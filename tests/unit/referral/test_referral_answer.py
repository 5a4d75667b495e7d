"""The answer to the hospital's EHR."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import hl7
import pytest

from bridge.core.ids import Ids
from bridge.core.issue import Issue
from bridge.hl7v2.build import write
from bridge.referral.answer import Ehr, oru
from bridge.referral.respond import apply
from tests.unit.referral.conftest import encounter, patient
from tests.unit.referral.test_intake_records import answer

EHR = Ehr("EPIC", "GENERAL", {"GH": "urn:oid:1.2.3", "GHV": "urn:oid:1.2.4"})
AT = datetime(2026, 5, 6, 10, tzinfo=timezone(timedelta(hours=-5)))


@pytest.fixture
def message(ids: Ids, task: dict[str, Any], request_: dict[str, Any]) -> Any:
    """What the EHR receives about a referral that ended well, read by another parser."""
    given = apply(answer("service"), task, request_, ids, sender="corner-pantry")
    done = apply(answer("outcome", record_id="x-2"), given.steps[-1], request_, ids, sender="corner-pantry")
    segments = oru(done.steps[-1], done.resources[-1], patient(), given.resources, [], EHR, control_id="C1", at=AT, encounter=encounter())
    assert not isinstance(segments, Issue)
    return hl7.parse(write(segments).decode())


def test_the_answer_is_for_the_patient_by_the_hospitals_own_number(message: Any) -> None:
    """PID-3 holds the hospital's identifier and authority, PV1-19 its visit."""
    assert str(message.segment("MSH")[9]) == "ORU^R01^ORU_R01"
    assert str(message.segment("PID")[3]) == "P-100^^^GH^MR"
    assert str(message.segment("PID")[5]) == "Bauer^Helga^M"
    assert str(message.segment("PV1")[19]) == "V-1^^^GHV"


def test_status_outcome_service_and_units_are_each_an_obx(message: Any, task: dict[str, Any]) -> None:
    """One OBX per fact, final once the referral is; OBR names the referral by its printed reference."""
    found = {str(obx[3]).split("^")[0]: str(obx[5]) for obx in message.segments("OBX")}
    assert found["referral-status"].startswith("completed")
    assert found["referral-outcome"].startswith("need-met")
    assert found["service-given"] == "710925007^Food given^SCT"
    assert found["service-units"] == "2"
    assert {str(obx[11]) for obx in message.segments("OBX")} == {"F"}
    assert str(message.segment("OBR")[3]).split("^")[0] == task["identifier"][0]["value"]


def test_a_patient_without_a_number_of_this_hospital_is_an_issue(task: dict[str, Any], request_: dict[str, Any]) -> None:
    """Nothing is sent to an EHR that could not know whom it is about."""
    found = oru(task, request_, {**patient(), "identifier": [{"system": "urn:oid:9", "value": "1"}]}, [], [], EHR, control_id="C1", at=AT)
    assert isinstance(found, Issue)
    assert found.code == "BRG-R401"


def test_screening_answers_go_back_under_their_own_codes(task: dict[str, Any], request_: dict[str, Any]) -> None:
    """An Observation keeps its LOINC question and answer, a score its number; a separator in text is no field."""
    observations = [
        {"resourceType": "Observation", "status": "final", "effectiveDateTime": "2026-05-01",
         "code": {"coding": [{"system": "http://loinc.org", "code": "88122-7"}], "text": "a|b"},
         "valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "LA6729-3"}]}},
        {"resourceType": "Observation", "status": "corrected", "effectiveDateTime": "2026-05-01",
         "code": {"coding": [{"system": "http://loinc.org", "code": "95614-4"}]},
         "valueQuantity": {"value": 12, "system": "http://unitsofmeasure.org", "code": "{score}"}},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "dataAbsentReason": {"text": "declined"}},
    ]
    segments = oru(task, request_, patient(), [], observations, EHR, control_id="C1", at=AT)
    assert not isinstance(segments, Issue)
    lines = [line for line in write(segments).decode().split("\r") if line.startswith("OBX")][-2:]
    assert "|CWE|88122-7^a\\F\\b^LN||LA6729-3^^LN|" in lines[0]
    assert "|NM|95614-4^^LN||12|{score}^^UCUM|" in lines[1]
    assert "|C|" in lines[1]
