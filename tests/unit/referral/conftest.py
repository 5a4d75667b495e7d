"""A person, a visit and partners that the referral tests share; all invented."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.referral.open import Opened, refer
from bridge.referral.partner import Partner
from bridge.referral.programme import Opening, evaluate
from bridge.referral.register import packaged
from bridge.referral.terms import CLINICAL, ICD10, SDOH_CONDITION, TEMPORARY, US_CORE_CATEGORY, concept

Resource = dict[str, Any]
HOSPITAL = Partner("general", "General Hospital", "ehr")
PARTNERS = (
    Partner("corner-pantry", "Corner Pantry", "meals", ("food-insecurity",), zips=("010",)),
    Partner("agency", "Agency on Aging", serves=("evctp",), counties=("York",), states=("VA", "MA")),
    Partner("shelter", "Shelter", "housing", ("medical-respite",)),
)


def patient() -> Resource:
    """A woman of 80 who lives in York County."""
    return {
        "resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:oid:1.2.3", "value": "P-100"}],
        "name": [{"family": "Bauer", "given": ["Helga", "M"]}], "gender": "female", "birthDate": "1945-05-15",
        "address": [{"use": "home", "district": "York", "state": "MA", "postalCode": "01002"}],
    }


def encounter() -> Resource:
    """Her inpatient stay, over, discharged home."""
    return {
        "resourceType": "Encounter", "id": "e1", "identifier": [{"system": "urn:oid:1.2.4", "value": "V-1"}],
        "status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "type": [{"text": "Inpatient"}], "subject": {"reference": "Patient/p1"},
        "period": {"start": "2026-05-01T09:30:00-05:00", "end": "2026-05-04T09:30:00-05:00"},
        "hospitalization": {"dischargeDisposition": {"coding": [{"system": "https://www.nubc.org/CodeSystem/PatDischargeStatus",
                                                                "code": "01"}]}},
    }


def condition(category: str = "food-insecurity", code: str = "Z59.41") -> Resource:
    """A social need coded at discharge."""
    return {
        "resourceType": "Condition", "id": f"c-{category}", "meta": {"profile": [SDOH_CONDITION]},
        "clinicalStatus": concept(CLINICAL, "active"),
        "category": [concept("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis"),
                     concept(US_CORE_CATEGORY, "sdoh"), concept(TEMPORARY, category)],
        "code": concept(ICD10, code), "subject": {"reference": "Patient/p1"},
    }


def draft(*resources: Resource, event: str = "ADT^A03") -> Draft:
    """What a mapping would make of the discharge."""
    made = resources or (patient(), encounter(), condition())
    return Draft(tuple(made), event, "2026-05-04T09:31:00-05:00", "test", "v", "p1")


def openings(of: Draft, programme: str = "need-to-food-pantry") -> list[Opening]:
    """What the packaged row opens for a draft."""
    row = next(row for row in packaged() if row.programme == programme)
    found = evaluate(of, row, PARTNERS, of.questions, of.event_time)
    return [one for one in found if isinstance(one, Opening)]


@pytest.fixture
def opened(ids: Ids) -> Opened:
    """One referral to the pantry."""
    of = draft()
    return refer(of, openings(of), (), ids, message_id="m1", hospital=HOSPITAL)


@pytest.fixture
def task(opened: Opened) -> Resource:
    """Its Task."""
    return next(one for one in opened.resources if one["resourceType"] == "Task")


@pytest.fixture
def request_(opened: Opened) -> Resource:
    """Its ServiceRequest."""
    return next(one for one in opened.resources if one["resourceType"] == "ServiceRequest")
