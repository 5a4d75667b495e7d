"""Minimal good resources of our own, one per profile; every test that breaks one takes a copy."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/"
CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
T = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
USCAT = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
OBSCAT = "http://terminology.hl7.org/CodeSystem/observation-category"
CONCAT = "http://terminology.hl7.org/CodeSystem/condition-category"
SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
SCT = "http://snomed.info/sct"
LOINC = "http://loinc.org"


def concept(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def to(reference: str) -> dict[str, str]:
    """A Reference."""
    return {"reference": reference}


PATIENT, WHEN = to("Patient/p1"), "2026-09-01T10:00:00-05:00"

GOOD: dict[str, dict[str, Any]] = {
    CORE + "us-core-patient": {
        "resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.3", "value": "1"}], "name": [{"family": "Test"}],
        "gender": "female", "telecom": [{"system": "phone", "value": "1"}],
        "extension": [{"url": CORE + "us-core-race", "extension": [
            {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}},
            {"url": "text", "valueString": "White"}]}],
    },
    CORE + "us-core-encounter": {
        "resourceType": "Encounter", "status": "finished", "type": [{"text": "visit"}], "subject": PATIENT,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "identifier": [{"system": "urn:oid:1.2.3", "value": "v1"}],
    },
    CORE + "us-core-organization": {"resourceType": "Organization", "active": True, "name": "Pantry",
                                    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1144221847"}]},
    CORE + "us-core-practitioner": {"resourceType": "Practitioner", "name": [{"family": "Test"}],
                                    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1144221847"}]},
    CORE + "us-core-practitionerrole": {"resourceType": "PractitionerRole", "practitioner": to("Practitioner/x"),
                                        "telecom": [{"system": "phone", "value": "1"}]},
    CORE + "us-core-location": {"resourceType": "Location", "name": "Ward"},
    CORE + "us-core-coverage": {"resourceType": "Coverage", "status": "active", "subscriberId": "1", "beneficiary": PATIENT,
                                "relationship": {"text": "self"}, "payor": [to("Organization/o1")]},
    CORE + "us-core-diagnosticreport-note": {"resourceType": "DiagnosticReport", "status": "final", "category": [concept(LOINC, "LP29684-5")],
                                             "code": concept(LOINC, "18748-4"), "subject": PATIENT, "effectiveDateTime": WHEN},
    CORE + "us-core-diagnosticreport-lab": {"resourceType": "DiagnosticReport", "status": "final", "code": concept(LOINC, "24323-8"), "subject": PATIENT,
                                            "category": [concept("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")], "effectiveDateTime": WHEN,
                                            "issued": WHEN},
    CORE + "us-core-documentreference": {"resourceType": "DocumentReference", "status": "current", "type": concept(LOINC, "11488-4"), "subject": PATIENT,
                                         "category": [concept(CORE.replace("StructureDefinition", "CodeSystem") + "us-core-documentreference-category",
                                                              "clinical-note")], "content": [{"attachment": {"url": "http://x.example/1"}}]},
    CORE + "us-core-specimen": {"resourceType": "Specimen", "type": {"text": "blood"}, "subject": PATIENT},
    CORE + "us-core-immunization": {"resourceType": "Immunization", "status": "completed", "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "207"),
                                    "patient": PATIENT, "occurrenceDateTime": WHEN},
    CORE + "us-core-observation-clinical-result": {"resourceType": "Observation", "status": "final", "category": [concept(OBSCAT, "imaging")],
                                                   "code": concept(LOINC, "18748-4"), "subject": PATIENT, "valueString": "x"},
    CORE + "us-core-observation-lab": {"resourceType": "Observation", "status": "final", "category": [concept(OBSCAT, "laboratory")],
                                       "code": concept(LOINC, "2345-7"), "subject": PATIENT, "effectiveDateTime": WHEN,
                                       "valueQuantity": {"value": 5, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}},
    CORE + "us-core-medicationrequest": {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": PATIENT,
                                         "medicationCodeableConcept": {"text": "x"}, "requester": to("Practitioner/d1")},
    CORE + "us-core-careteam": {"resourceType": "CareTeam", "subject": PATIENT,
                                "participant": [{"role": [{"text": "nurse"}], "member": to("Practitioner/d1")}]},
    CORE + "us-core-relatedperson": {"resourceType": "RelatedPerson", "active": True, "patient": PATIENT, "name": [{"family": "Test"}]},
    CORE + "us-core-condition-encounter-diagnosis": {
        "resourceType": "Condition", "category": [concept(CONCAT, "encounter-diagnosis")], "code": {"text": "x"}, "subject": PATIENT},
    CORE + "us-core-condition-problems-health-concerns": {
        "resourceType": "Condition", "category": [concept(CONCAT, "problem-list-item")], "code": {"text": "x"}, "subject": PATIENT},
    CORE + "us-core-procedure": {"resourceType": "Procedure", "status": "completed", "code": {"text": "x"}, "subject": PATIENT,
                                 "performedDateTime": "2026-09-01"},
    CORE + "us-core-goal": {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"}, "subject": PATIENT},
    CORE + "us-core-allergyintolerance": {
        "resourceType": "AllergyIntolerance", "code": {"text": "x"}, "patient": PATIENT,
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active")},
    CORE + "us-core-servicerequest": {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "code": {"text": "x"},
                                      "subject": PATIENT},
    CORE + "us-core-observation-screening-assessment": {
        "resourceType": "Observation", "status": "final", "category": [concept(OBSCAT, "survey")], "code": concept(LOINC, "88122-7"),
        "subject": PATIENT, "effectiveDateTime": "2026-09-01", "valueString": "x"},
    CORE + "us-core-simple-observation": {
        "resourceType": "Observation", "status": "final", "category": [concept(USCAT, "sdoh")], "code": {"text": "x"}, "subject": PATIENT},
    CORE + "us-core-provenance": {"resourceType": "Provenance", "target": [to("Task/t1")], "recorded": WHEN,
                                  "agent": [{"who": to("Device/bridge"), "onBehalfOf": to("Organization/o1")}]},
    SDOH + "SDOHCC-ServiceRequest": {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": PATIENT,
        "category": [concept(SCT, "410606002"), concept(T, "food-insecurity")], "code": concept(SCT, "713109004")},
    SDOH + "SDOHCC-TaskForReferralManagement": {
        "resourceType": "Task", "status": "requested", "intent": "order", "code": concept("http://hl7.org/fhir/CodeSystem/task-code", "fulfill"),
        "focus": to("ServiceRequest/s1"), "for": PATIENT, "authoredOn": WHEN, "requester": to("Organization/o1"),
        "output": [{"type": concept(T, "resulting-activity"), "valueReference": to("Procedure/x")},
                   {"type": concept(T, "resulting-activity"), "valueCodeableConcept": concept(SCT, "710925007")},
                   {"type": concept(T, "additional-content"), "valueReference": to("Observation/x")}]},
    SDOH + "SDOHCC-ObservationScreeningResponse": {
        "resourceType": "Observation", "status": "final", "category": [concept(OBSCAT, "survey"), concept(USCAT, "sdoh"), concept(T, "food-insecurity")],
        "code": concept(LOINC, "88122-7"), "subject": PATIENT, "effectiveDateTime": WHEN, "performer": [PATIENT],
        "valueCodeableConcept": concept(LOINC, "LA28397-0")},
    SDOH + "SDOHCC-ObservationAssessment": {
        "resourceType": "Observation", "status": "final", "category": [concept(USCAT, "sdoh")], "code": concept(SCT, "160695008"),
        "subject": PATIENT, "valueBoolean": True},
    SDOH + "SDOHCC-ObservationProgramEnrollmentStatus": {
        "resourceType": "Observation", "status": "final", "category": [concept(USCAT, "sdoh"), concept(T, "program-enrollment")],
        "code": {"text": "SNAP"}, "subject": PATIENT, "valueCodeableConcept": concept(T, "enrolled"), "focus": [to("HealthcareService/h1")]},
    SDOH + "SDOHCC-Condition": {
        "resourceType": "Condition", "category": [concept(CONCAT, "problem-list-item"), concept(USCAT, "sdoh")],
        "code": concept("http://hl7.org/fhir/sid/icd-10-cm", "Z59.41"), "subject": PATIENT, "onsetDateTime": "2026-09"},
    SDOH + "SDOHCC-Procedure": {
        "resourceType": "Procedure", "status": "completed", "code": concept(SCT, "710925007"), "subject": PATIENT,
        "category": {"coding": [{"system": T, "code": "food-insecurity"}]}, "performedPeriod": {"start": "2026-09-01"}},
    SDOH + "SDOHCC-Goal": {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"}, "subject": PATIENT,
                           "addresses": [to("Condition/c1")]},
    SDOH + "SDOHCC-Consent": {
        "resourceType": "Consent", "status": "active", "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IDSCL")], "patient": PATIENT, "dateTime": "2026-09-01",
        "organization": [to("Organization/o1")], "sourceReference": to("DocumentReference/d1"),
        "policyRule": concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth")},
    SDOH + "SDOHCC-practitionerrole": {"resourceType": "PractitionerRole", "practitioner": to("Practitioner/x"),
                                       "organization": to("Organization/o1"), "telecom": [{"system": "phone", "value": "1"}]},
    SDOH + "SDOHCC-Location": {"resourceType": "Location", "name": "Pantry", "address": {"city": "Springfield"}},
    SDOH + "SDOHCC-HealthcareService": {
        "resourceType": "HealthcareService", "active": True, "telecom": [{
            "extension": [{"url": SDOH + "SDOHCC-ExtensionHealthcareServiceTelecomAppointment", "valueBoolean": True}],
            "system": "phone", "value": "1"}]},
    SDOH + "SDOHCC-TaskForPatient": {
        "resourceType": "Task", "status": "ready", "intent": "order", "priority": "routine", "code": concept(SDC, "complete-questionnaire"),
        "for": PATIENT, "authoredOn": WHEN, "requester": to("Organization/o1"), "owner": PATIENT,
        "input": [{"type": concept(SDC, "questionnaire"), "valueCanonical": "http://example.org/Questionnaire/q"},
                  {"type": concept(T, "questionnaire-category"), "valueCodeableConcept": concept(T, "risk-questionnaire")}]},
}


def good(name: str) -> dict[str, Any]:
    """A fresh copy of the minimal resource of this profile (its short name), claiming it."""
    url = next(url for url in GOOD if url.rsplit("/", 1)[-1] == name)
    return {**deepcopy(GOOD[url]), "id": "x1", "meta": {"profile": [url]}}
