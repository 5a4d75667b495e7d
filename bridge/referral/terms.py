"""The URIs this package writes, each in one place.

Sources: SDOH Clinical Care 3.0.0 (profiles, temporary codes), US Core 7.0.0 (category), FHIR R4 terminology.
"""

from __future__ import annotations

from typing import Any

SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare"
TEMPORARY = f"{SDOHCC}/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
PROFILE = f"{SDOHCC}/StructureDefinition/"
ASSERTER = f"{SDOHCC}/StructureDefinition/SDOHCC-ExtensionConditionAsserter"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
HEALTH_CONCERN = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
SURVEY = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
UCUM = "http://unitsofmeasure.org"

NATIVE = "urn:sdoh-bridge:native-status"
"""Extension of Task: the partner's own status word, exactly as sent."""
EVENT = "urn:sdoh-bridge:event"
"""Extension of Task, repeated: each event that reached it (status, at, native, late), so that none counts twice."""
UNITS = "urn:sdoh-bridge:units"
"""Extension of Procedure: how much was given (Quantity, unit of mappings/cbo/intake-fields.csv)."""
AMOUNT = "urn:sdoh-bridge:amount"
"""Extension of Procedure: what it cost (Money)."""
NOTED = "urn:sdoh-bridge:tag"
"""meta.tag system; `inferred` marks a Task version that no event reported, `stub` a Patient known by identifier only."""
SUBJECT = "urn:sdoh-bridge:subject"
"""Identifier system of a patient that a response names by a reference only."""
NEED = "urn:sdoh-bridge:need"
"""Extension of a screening Observation: the need (SDOHCC category) that this very answer means, `none` when it opens none."""
REASON = "urn:sdoh-bridge:reason"
BUSINESS = "urn:sdoh-bridge:business-status"
OUTPUT = "urn:sdoh-bridge:task-output"
OUTCOME = "urn:sdoh-bridge:outcome"
REFERENCE = "urn:sdoh-bridge:referral"
"""Identifier system of the short reference that is printed for people."""
PARTNER = "urn:sdoh-bridge:partner"
"""Identifier system of a partner's id in the settings; Task.owner carries it."""
RECORD = "urn:sdoh-bridge:record"
"""Identifier system of a partner's own record (`source_system|record_id`)."""
SERVICE_TYPE = "urn:sdoh-bridge:service-type:"
"""Prefix of a taxonomy that a partner names its services by; the taxonomy's short name follows."""

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SENSITIVITY = "urn:sdoh-bridge:sensitivity"
"""Code system of labels that v3-ActCode lacks, and of the flags that organisations put on a person."""
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
MARKS = "urn:sdoh-bridge:marks"
"""Extension of Flag: an element of the person that the flag restricts."""
CHOSEN = "urn:sdoh-bridge:chosen-name"
"""Extension of Flag: the name that the person chose for the organisation that flags."""
CLIENT = "urn:sdoh-bridge:client:"
"""Prefix of the system of an organisation's own numbers of people; the partner's id follows."""

SDOH_TASK = PROFILE + "SDOHCC-TaskForReferralManagement"
SDOH_REQUEST = PROFILE + "SDOHCC-ServiceRequest"
SDOH_PROCEDURE = PROFILE + "SDOHCC-Procedure"
SDOH_CONDITION = PROFILE + "SDOHCC-Condition"
SDOH_ANSWER = PROFILE + "SDOHCC-ObservationScreeningResponse"
SDOH_ENROLLMENT = PROFILE + "SDOHCC-ObservationProgramEnrollmentStatus"
SDOH_CONSENT = PROFILE + "SDOHCC-Consent"
US_ORGANIZATION = US_CORE + "us-core-organization"


def concept(system: str, code: str, text: str = "") -> dict[str, Any]:
    """A CodeableConcept of one coding, with text when there is some."""
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def coded(concept_: dict[str, Any] | None, system: str) -> str:
    """The first code of this system in a CodeableConcept; "" if none."""
    codings = (concept_ or {}).get("coding", ())
    return next((coding.get("code", "") for coding in codings if coding.get("system") == system), "")
