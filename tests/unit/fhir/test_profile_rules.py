"""Each profile accepts its minimal resource and refuses one broken copy for each of its rules."""

from __future__ import annotations

import csv
import json
import shutil
import tarfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from bridge.core.errors import SettingsError
from bridge.core.issue import Issue
from bridge.fhir.profile import Profiles, load

Errors = Callable[[dict[str, Any]], list[Issue]]
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/"
CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
T = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"


def concept(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


LOCAL = concept("urn:oid:9.9", "x")
TO = {kind: {"reference": f"{kind}/1"} for kind in ("Patient", "Practitioner", "Device", "Condition", "Observation", "Organization", "Group")}
ACTIVE = concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active")
ASSERTER = {"url": SDOH + "SDOHCC-ExtensionConditionAsserter", "valueReference": TO["Device"]}
RACE = CORE + "us-core-race"

# profile, what to change (None removes), code of the issue, its path
BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    ("us-core-patient", {"identifier": None}, "BRG-P002", "Patient.identifier"),
    ("us-core-patient", {"identifier": [{"value": "1"}]}, "BRG-P002", "Patient.identifier[0].system"),
    ("us-core-patient", {"name": None}, "BRG-P002", "Patient.name"),
    ("us-core-patient", {"name": [{"text": "x"}]}, "BRG-P014", "Patient.name[0]"),
    ("us-core-patient", {"gender": None}, "BRG-P002", "Patient.gender"),
    ("us-core-patient", {"telecom": [{"system": "phone"}]}, "BRG-P002", "Patient.telecom[0].value"),
    ("us-core-patient", {"extension": [{"url": RACE, "extension": [{"url": "text", "valueCode": "x"}]}]}, "BRG-P003",
     "Patient.extension[0].extension[0].valueCode"),
    ("us-core-patient", {"extension": [{"url": RACE, "valueString": "x"}]}, "BRG-P003", "Patient.extension[0].valueString"),
    ("us-core-patient", {"extension": [{"url": CORE + "us-core-birthsex", "valueCode": "X"}]}, "BRG-P007", "Patient.extension[0].valueCode"),
    ("us-core-encounter", {"type": None}, "BRG-P002", "Encounter.type"),
    ("us-core-encounter", {"subject": None}, "BRG-P002", "Encounter.subject"),
    ("us-core-encounter", {"identifier": [{"system": "urn:x:y"}]}, "BRG-P002", "Encounter.identifier[0].value"),
    ("us-core-encounter", {"participant": [{"individual": TO["Device"]}]}, "BRG-P010", "Encounter.participant[0].individual"),
    ("us-core-organization", {"active": None}, "BRG-P002", "Organization.active"),
    ("us-core-organization", {"name": None}, "BRG-P002", "Organization.name"),
    ("us-core-organization", {"identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "12"}]}, "BRG-P005", "Organization.identifier[0].value"),
    ("us-core-organization", {"address": [{"line": ["1", "2", "3", "4", "5"]}]}, "BRG-P003", "Organization.address[0].line"),
    ("us-core-practitioner", {"identifier": None}, "BRG-P002", "Practitioner.identifier"),
    ("us-core-practitioner", {"name": [{"text": "x"}]}, "BRG-P002", "Practitioner.name[0].family"),
    ("us-core-practitionerrole", {"telecom": None}, "BRG-P014", "PractitionerRole"),
    ("us-core-practitionerrole", {"practitioner": None}, "BRG-P014", "PractitionerRole"),
    ("us-core-location", {"name": None}, "BRG-P002", "Location.name"),
    ("us-core-coverage", {"relationship": None}, "BRG-P002", "Coverage.relationship"),
    ("us-core-coverage", {"subscriberId": None}, "BRG-P014", "Coverage"),
    ("us-core-coverage", {"payor": [TO["Organization"], TO["Patient"]]}, "BRG-P003", "Coverage.payor"),
    ("us-core-relatedperson", {"active": None}, "BRG-P002", "RelatedPerson.active"),
    ("us-core-relatedperson", {"name": None}, "BRG-P014", "RelatedPerson"),
    ("us-core-condition-encounter-diagnosis", {"category": [LOCAL]}, "BRG-P009", "Condition.category"),
    ("us-core-condition-encounter-diagnosis", {"code": None}, "BRG-P002", "Condition.code"),
    ("us-core-condition-problems-health-concerns", {"category": [LOCAL]}, "BRG-P009", "Condition.category"),
    ("us-core-procedure", {"performedDateTime": None}, "BRG-P014", "Procedure"),
    ("us-core-procedure", {"code": None}, "BRG-P002", "Procedure.code"),
    ("us-core-goal", {"subject": {"reference": "Device/1"}}, "BRG-P010", "Goal.subject"),
    ("us-core-servicerequest", {"code": None}, "BRG-P002", "ServiceRequest.code"),
    ("us-core-observation-screening-assessment", {"category": [LOCAL]}, "BRG-P009", "Observation.category"),
    ("us-core-observation-screening-assessment", {"subject": None}, "BRG-P002", "Observation.subject"),
    ("us-core-observation-screening-assessment", {"effectiveDateTime": "2026"}, "BRG-P005", "Observation.effectiveDateTime"),
    ("us-core-observation-screening-assessment", {"valueString": None, "valueQuantity": {"value": 1, "system": "urn:x:y"}}, "BRG-P008",
     "Observation.valueQuantity.system"),
    ("us-core-observation-screening-assessment", {"valueString": None}, "BRG-P014", "Observation"),
    ("us-core-simple-observation", {"category": None}, "BRG-P002", "Observation.category"),
    ("us-core-provenance", {"agent": [{"who": TO["Device"]}]}, "BRG-P014", "Provenance.agent[0]"),
    ("SDOHCC-ServiceRequest", {"code": {"text": "x"}}, "BRG-P007", "ServiceRequest.code"),
    ("SDOHCC-ServiceRequest", {"code": LOCAL}, "BRG-P007", "ServiceRequest.code"),
    ("SDOHCC-ServiceRequest", {"subject": TO["Device"]}, "BRG-P010", "ServiceRequest.subject"),
    ("SDOHCC-ServiceRequest", {"specimen": [{"reference": "Specimen/1"}]}, "BRG-P003", "ServiceRequest.specimen"),
    ("SDOHCC-ServiceRequest", {"bodySite": [{"text": "x"}]}, "BRG-P003", "ServiceRequest.bodySite"),
    ("SDOHCC-ServiceRequest", {"category": [concept(T, "hunger")]}, "BRG-P007", "ServiceRequest.category[0].coding[0]"),
    ("SDOHCC-ServiceRequest", {"orderDetail": [concept(T, "contacting-subject-prohibited")] * 2}, "BRG-P009", "ServiceRequest.orderDetail"),
    ("SDOHCC-TaskForReferralManagement", {"status": "received"}, "BRG-P007", "Task.status"),
    ("SDOHCC-TaskForReferralManagement", {"statusReason": LOCAL}, "BRG-P002", "Task.statusReason.text"),
    ("SDOHCC-TaskForReferralManagement", {"intent": "proposal"}, "BRG-P008", "Task.intent"),
    ("SDOHCC-TaskForReferralManagement", {"code": None}, "BRG-P002", "Task.code"),
    ("SDOHCC-TaskForReferralManagement", {"code": concept("http://hl7.org/fhir/CodeSystem/task-code", "approve")}, "BRG-P008", "Task.code"),
    ("SDOHCC-TaskForReferralManagement", {"focus": None}, "BRG-P002", "Task.focus"),
    ("SDOHCC-TaskForReferralManagement", {"focus": TO["Condition"]}, "BRG-P010", "Task.focus"),
    ("SDOHCC-TaskForReferralManagement", {"for": None}, "BRG-P002", "Task.for"),
    ("SDOHCC-TaskForReferralManagement", {"authoredOn": None}, "BRG-P002", "Task.authoredOn"),
    ("SDOHCC-TaskForReferralManagement", {"requester": TO["Patient"]}, "BRG-P010", "Task.requester"),
    ("SDOHCC-TaskForReferralManagement", {"output": [{"type": concept(T, "resulting-activity"), "valueReference": TO["Condition"]}]}, "BRG-P010",
     "Task.output[0].valueReference"),
    ("SDOHCC-TaskForReferralManagement", {"output": [{"type": concept(T, "resulting-activity"), "valueCodeableConcept": LOCAL}]}, "BRG-P007",
     "Task.output[0].valueCodeableConcept"),
    ("SDOHCC-TaskForReferralManagement", {"output": [{"type": concept(T, "additional-content"), "valueReference": TO["Patient"]}]}, "BRG-P010",
     "Task.output[0].valueReference"),
    ("SDOHCC-TaskForReferralManagement", {"input": [{"type": concept(T, "additional-content"), "valueString": "x"}]}, "BRG-P003",
     "Task.input[0].valueString"),
    ("SDOHCC-ObservationScreeningResponse", {"status": "amended"}, "BRG-P007", "Observation.status"),
    ("SDOHCC-ObservationScreeningResponse", {"category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "survey")]},
     "BRG-P002", "Observation.category"),
    ("SDOHCC-ObservationScreeningResponse", {"code": LOCAL}, "BRG-P007", "Observation.code"),
    ("SDOHCC-ObservationScreeningResponse", {"subject": TO["Group"]}, "BRG-P010", "Observation.subject"),
    ("SDOHCC-ObservationScreeningResponse", {"effectiveDateTime": None}, "BRG-P002", "Observation.effective[x]"),
    ("SDOHCC-ObservationScreeningResponse", {"effectiveDateTime": None, "effectiveInstant": "2026-01-01T00:00:00Z"}, "BRG-P003", "Observation.effectiveInstant"),
    ("SDOHCC-ObservationScreeningResponse", {"performer": [TO["Device"]]}, "BRG-P010", "Observation.performer[0]"),
    ("SDOHCC-ObservationScreeningResponse", {"bodySite": LOCAL}, "BRG-P003", "Observation.bodySite"),
    ("SDOHCC-ObservationScreeningResponse", {"valueCodeableConcept": None}, "BRG-P014", "Observation"),
    ("SDOHCC-ObservationAssessment", {"category": [concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "functional-status")]},
     "BRG-P014", "Observation"),
    ("SDOHCC-ObservationAssessment", {"valueBoolean": None}, "BRG-P014", "Observation"),
    ("SDOHCC-ObservationProgramEnrollmentStatus", {"valueCodeableConcept": None}, "BRG-P002", "Observation.value[x]"),
    ("SDOHCC-ObservationProgramEnrollmentStatus", {"focus": [TO["Patient"]]}, "BRG-P010", "Observation.focus[0]"),
    ("SDOHCC-Condition", {"code": None}, "BRG-P002", "Condition.code"),
    ("SDOHCC-Condition", {"code": LOCAL}, "BRG-P007", "Condition.code"),
    ("SDOHCC-Condition", {"onsetDateTime": None, "onsetString": "x"}, "BRG-P003", "Condition.onsetString"),
    ("SDOHCC-Condition", {"stage": [{"summary": LOCAL}]}, "BRG-P003", "Condition.stage"),
    ("SDOHCC-Condition", {"clinicalStatus": ACTIVE, "abatementDateTime": "2026-01-01"}, "BRG-P014", "Condition"),
    ("SDOHCC-Condition", {"extension": [ASSERTER], "asserter": TO["Patient"]}, "BRG-P014", "Condition"),
    ("SDOHCC-Condition", {"extension": [ASSERTER | {"valueReference": TO["Patient"]}]}, "BRG-P010", "Condition.extension[0].valueReference"),
    ("SDOHCC-Condition", {"category": [LOCAL, concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "sdoh")]}, "BRG-P014", "Condition"),
    ("us-core-allergyintolerance", {"code": None}, "BRG-P002", "AllergyIntolerance.code"),
    ("us-core-diagnosticreport-note", {"effectiveDateTime": None}, "BRG-P014", "DiagnosticReport"),
    ("us-core-diagnosticreport-lab", {"issued": None}, "BRG-P014", "DiagnosticReport"),
    ("us-core-diagnosticreport-lab", {"category": [LOCAL]}, "BRG-P009", "DiagnosticReport.category"),
    ("us-core-documentreference", {"type": LOCAL}, "BRG-P007", "DocumentReference.type"),
    ("us-core-documentreference", {"content": [{"attachment": {"title": "x"}}]}, "BRG-P014", "DocumentReference.content[0].attachment"),
    ("us-core-specimen", {"type": None}, "BRG-P002", "Specimen.type"),
    ("us-core-immunization", {"encounter": TO["Patient"]}, "BRG-P010", "Immunization.encounter"),
    ("us-core-observation-clinical-result", {"valueString": None}, "BRG-P014", "Observation"),
    ("us-core-observation-lab", {"category": [LOCAL]}, "BRG-P009", "Observation.category"),
    ("us-core-observation-lab", {"effectiveDateTime": "2026"}, "BRG-P005", "Observation.effectiveDateTime"),
    ("us-core-observation-lab", {"referenceRange": [{"low": {"value": 1, "system": "urn:x:y"}}]}, "BRG-P014", "Observation.referenceRange[0]"),
    ("us-core-medicationrequest", {"requester": None}, "BRG-P014", "MedicationRequest"),
    ("us-core-careteam", {"participant": [{"member": TO["Practitioner"]}]}, "BRG-P002", "CareTeam.participant[0].role"),
    ("SDOHCC-Procedure", {"performedPeriod": None}, "BRG-P014", "Procedure"),
    ("SDOHCC-Procedure", {"code": LOCAL}, "BRG-P007", "Procedure.code"),
    ("SDOHCC-Procedure", {"category": {"coding": [{"system": T, "code": code} for code in ("stress", "homelessness")]}}, "BRG-P009", "Procedure.category.coding"),
    ("SDOHCC-Goal", {"subject": TO["Group"]}, "BRG-P010", "Goal.subject"),
    ("SDOHCC-Goal", {"addresses": [{"reference": "ServiceRequest/1"}]}, "BRG-P010", "Goal.addresses[0]"),
    ("SDOHCC-Consent", {"category": [LOCAL]}, "BRG-P009", "Consent.category"),
    ("SDOHCC-Consent", {"organization": None}, "BRG-P002", "Consent.organization"),
    ("SDOHCC-Consent", {"sourceReference": None}, "BRG-P002", "Consent.source[x]"),
    ("SDOHCC-Consent", {"policyRule": None}, "BRG-P014", "Consent"),
    ("SDOHCC-practitionerrole", {"organization": None}, "BRG-P002", "PractitionerRole.organization"),
    ("SDOHCC-practitionerrole", {"telecom": None}, "BRG-P014", "PractitionerRole"),
    ("SDOHCC-Location", {"address": None}, "BRG-P002", "Location.address"),
    ("SDOHCC-HealthcareService", {"active": False}, "BRG-P008", "HealthcareService.active"),
    ("SDOHCC-HealthcareService", {"telecom": [{"system": "phone", "value": "1"}]}, "BRG-P009", "HealthcareService.telecom"),
    ("SDOHCC-TaskForPatient", {"status": "requested"}, "BRG-P007", "Task.status"),
    ("SDOHCC-TaskForPatient", {"priority": "stat"}, "BRG-P007", "Task.priority"),
    ("SDOHCC-TaskForPatient", {"owner": TO["Organization"]}, "BRG-P010", "Task.owner"),
    ("SDOHCC-TaskForPatient", {"input": None}, "BRG-P014", "Task"),
    ("SDOHCC-TaskForPatient", {"code": concept(T, "make-contact")}, "BRG-P014", "Task"),
    ("SDOHCC-TaskForPatient", {"code": concept(T, "review-material"), "focus": TO["Condition"]}, "BRG-P014", "Task"),
    ("SDOHCC-TaskForPatient", {"output": [{"type": LOCAL, "valueString": "x"}]}, "BRG-P014", "Task"),
]


def test_every_profile_has_a_minimal_resource(profiles: Profiles, ours: Any) -> None:
    """No profile goes without a good case."""
    assert set(ours.GOOD) == set(profiles.by_url)


def test_minimal_resources_pass(profiles: Profiles, ours: Any) -> None:
    """The smallest resource that each profile asks for has no finding, twice (the second goes the fast way)."""
    for url in ours.GOOD:
        made = ours.good(url.rsplit("/", 1)[-1])
        assert profiles.check(made) == [], url
        assert profiles.check(made) == [], url


@pytest.mark.parametrize(("name", "change", "code", "where"), BROKEN)
def test_rule_is_checked(name: str, change: dict[str, Any], code: str, where: str, ours: Any, errors: Errors) -> None:
    """One rule broken gives its code at its path."""
    made = ours.good(name) | change
    made = {key: value for key, value in made.items() if value is not None}
    found = errors(made)
    assert (code, where) in [(each.code, each.where) for each in found], found


def test_hint_names_the_profile(ours: Any, errors: Errors) -> None:
    """An issue says which profile asks for it, and which types a reference may have."""
    (found,) = errors(ours.good("SDOHCC-TaskForReferralManagement") | {"requester": TO["Patient"]})
    assert found.hint == "SDOHCC-TaskForReferralManagement"
    assert found.text == "reference to Patient, allowed: PractitionerRole, Organization"


def test_site_folder_adds_profiles(tmp_path: Path) -> None:
    """A site's folder adds a profile that builds on a packaged one."""
    (tmp_path / "ours.yaml").write_text(
        f"profile: ours\nurl: http://site.example/ours\ntype: Location\nparent: {CORE}us-core-location\nelements:\n  status: {{fixed: active, card: 1..1}}\n")
    profiles = Profiles.load(tmp_path)
    made = {"resourceType": "Location", "meta": {"profile": ["http://site.example/ours"]}, "name": "x", "status": "active"}
    assert profiles.check(made) == []
    assert {each.code for each in profiles.check(made | {"status": "suspended"})} == {"BRG-P008"}
    assert {each.hint for each in profiles.check({k: v for k, v in made.items() if k != "name"})} == {"us-core-location"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("elements: {naem: 1..1}", "nearest: name"),
        ("elements: {name: {crad: 1..1}}", "unknown word crad"),
        ("elements: {status: {codes: nothing}}", "no code set nothing"),
        ("elements: {name.x: 1..1}", "no element x"),
        ("parent: http://x.example/nobody", "none of the folders"),
        ("elements: [", "not YAML"),
    ],
)
def test_wrong_profile_files_are_refused(text: str, says: str, tmp_path: Path) -> None:
    """A profile file that names what R4 or the vocabulary does not have is refused with the place and the reason."""
    (tmp_path / "wrong.yaml").write_text(f"profile: wrong\nurl: http://x.example/wrong\ntype: Location\n{text}\n")
    with pytest.raises(SettingsError, match=says):
        Profiles.load(tmp_path)


FOOD, HOMELESS, LOST = "733423003", "32911000", "999999999"


@pytest.mark.parametrize(
    ("categories", "code", "found"),
    [
        (["food-insecurity"], FOOD, []),
        (["homelessness"], FOOD, [("warning", "BRG-P022", "Condition.code")]),
        (["homelessness", "food-insecurity"], FOOD, []),
        (["homelessness"], LOST, []),
        (["sdoh-category-unspecified"], FOOD, []),
        ([], HOMELESS, []),
    ],
)
def test_the_category_binds_the_code(categories: list[str], code: str, found: list[tuple[str, str, str]], ours: Any, profiles: Profiles) -> None:
    """A code that is known to belong to other SDOH categories only is a warning; what is not known is not judged."""
    made = ours.good("SDOHCC-Condition")
    kept = [each for each in made["category"] if each["coding"][0]["system"] != T]
    made = made | {"category": kept + [concept(T, each) for each in categories], "code": concept("http://snomed.info/sct", code)}
    assert [(each.severity, each.code, each.where) for each in profiles.check(made)] == found


def test_published_sets_by_category_are_those_of_the_guide(shared: Path) -> None:
    """Every category that we list members for has a value set of its own in the published Condition."""
    with tarfile.open(shared / "fhir-definitions" / "sdohcc-3.0.0.tgz") as archive:
        file = next(each for each in archive if each.name.endswith("StructureDefinition-SDOHCC-Condition.json"))
        content = archive.extractfile(file)
        published = json.dumps(json.load(content)) if content else ""
    lines = (Path(__file__).parents[3] / "profiles/sdohcc/domains.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(rows) > 80
    assert all(f'"valueId": "{row["category"]}"' in published for row in rows if row["of"] == "Condition")


def test_a_folder_of_a_site_may_hold_more_than_profiles(tmp_path: Path) -> None:
    """A copy of the packaged folder with a profile of the site's own beside it is read; only its top level holds profiles."""
    shutil.copytree(str(files("profiles")), tmp_path / "own")
    (tmp_path / "own" / "patient.yaml").write_text("{profile: own-patient, url: 'urn:x:p', type: Patient, elements: {birthDate: 1..1}}")
    (tmp_path / "own" / "domains.csv").write_bytes(files("profiles").joinpath("sdohcc", "domains.csv").read_bytes())
    profiles = load(tmp_path / "own")
    assert [each.code for each in profiles.check({"resourceType": "Patient", "meta": {"profile": ["urn:x:p"]}})] == ["BRG-P002"]
    with pytest.raises(SettingsError, match="no folder"):
        load(tmp_path / "none")
