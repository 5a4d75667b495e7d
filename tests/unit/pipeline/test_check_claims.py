"""What does not hold goes, as little of it as possible."""

from __future__ import annotations

from typing import Any

from bridge.core.draft import Draft
from bridge.fhir.profile import Profiles
from bridge.pipeline.check import check, claim, unclaimed

PROFILES = Profiles.load()
BACKWARDS = {"start": "2026-02-02", "end": "2026-02-01"}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter", "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}, "period": BACKWARDS,
}
CONSENT: dict[str, Any] = {
    "resourceType": "Consent", "status": "active", "scope": {"text": "x"}, "category": [{"text": "x"}], "policy": [{"uri": "urn:x:y"}],
    "provision": {"type": "permit", "period": BACKWARDS},
}


def test_a_broken_element_costs_the_element_not_the_resource() -> None:
    """A period that ends before it starts is left out and said; the Encounter stays."""
    kept, issues = claim(ENCOUNTER, PROFILES)
    assert kept == {key: value for key, value in ENCOUNTER.items() if key != "period"}
    assert [(each.severity, each.where, each.code) for each in issues] == [("warning", "Encounter.period", "BRG-P014")]


def test_a_consent_is_never_kept_in_part() -> None:
    """A consent with a broken limit is not one without the limit: it goes whole."""
    kept, issues = claim(CONSENT, PROFILES)
    assert kept is None
    assert [each.severity for each in issues] == ["error"]


def test_a_missing_mandatory_element_costs_the_element_that_lacks_it() -> None:
    """A participant without what R4 demands goes; the resource itself, when it is the one that lacks something."""
    listed = {**ENCOUNTER, "period": {"start": "2026-02-01"}, "location": [{"status": "active"}]}
    kept, _ = claim(listed, PROFILES)
    assert kept == {key: value for key, value in listed.items() if key != "location"}
    assert claim({key: value for key, value in ENCOUNTER.items() if key != "status"}, PROFILES)[0] is None


def test_a_claim_goes_where_a_target_does_not_meet_its_profile() -> None:
    """A resource whose profile asks for a US Core Patient does not claim it while the Patient is none; nothing is lost."""
    patient = {"resourceType": "Patient", "id": "p"}
    related = {"resourceType": "RelatedPerson", "id": "r", "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-relatedperson"]},
               "active": True, "name": [{"text": "x"}], "patient": {"reference": "Patient/p"}}
    checked = check(Draft((patient, related), "ADT^A03", "2026-11-21T12:00:00Z", "x", "1"), PROFILES)
    assert checked.resources == (patient, unclaimed(related))
    assert [(each.code, each.where) for each in checked.issues] == [("BRG-P021", "RelatedPerson.patient")]
