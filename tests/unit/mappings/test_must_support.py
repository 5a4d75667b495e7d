"""What US Core 7.0.0 calls must support is filled whenever a message tells it; where no field tells it, the reason stands here."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from bridge.language import cases
from bridge.mapping import change
from tests.unit.mappings import packaged

REFERENCE = re.compile(r"/[0-9a-f-]{36}$")
"""What of a reference is not its type."""
MSH = r"MSH|^~\&|ADT|EAST|||20260301101500-0500||{event}|F-1|P|2.7"
WHO = ["PID|1||E1^^^EAST^MR||QUILL^MARGIT||19570811|F", "PV1|1|I"]
BASES = {
    "visit": [MSH.format(event="ADT^A01"), "EVN|A01|20260301100000-0500", *WHO, "PV2|", "NK1|1|QUILL^JON|BRO", "DG1|1||Z59.41^Food insecurity^I10",
              "AL1|1||PNUT^Peanut^L", "PR1|1||P1^Visit^L||20260301090000-0500", "IN1|1|PLAN1|PAY1|Payer"],
    "role": [MSH.format(event="ADT^A01"), *WHO, "ROL|R1|AD|AT|D1^ADAMS^ANN^^^^^^EAST|"],
    "team": [MSH.format(event="ADT^A28"), WHO[0], "ROL|R1|AD|CP|D1^ADAMS^ANN^^^^^^EAST|"],
    "result": [MSH.format(event="ORU^R01"), *WHO, "ORC|RE|O1^EAST|F1^LAB", "OBR|1|O1^EAST|F1^LAB|2345-7^Glucose^LN|||20260301090000-0500||||||||||||||||||F",
               "OBX|1|NM|2345-7^Glucose^LN||99|mg/dL|||||F", "SPM|1|"],
    "form": [MSH.format(event="ORU^R01"), *WHO, "OBR|1|O1^EAST|F1^LAB|88121-9^Hunger Vital Sign^LN|||20260301090000-0500||||||||||||||||||F",
             "OBX|1|CE|88122-7^Worried^LN||LA28397-0^Often true^LN||||||F"],
    "order": [MSH.format(event="OMP^O09"), *WHO, "ORC|NW|O1^EAST|F1^LAB", "OBR|1|O1^EAST|F1^LAB|2345-7^Glucose^LN"],
    "document": [MSH.format(event="MDM^T02"), *WHO, "TXA|1|DS|TX|20260301||||||||U1^EAST|||||AU", "OBX|1|TX|18842-5^Discharge summary^LN||Went home.||||||F"],
    "problem": [MSH.format(event="PPR^PC1"), *WHO, "PRB|AD|20260301|Z59.41^Food insecurity^I10|PB1^EAST"],
    "goal": [MSH.format(event="PGL^PC6"), *WHO, "GOL|AD|20260301|G1^Eat well^L|GI1^EAST"],
}

# profile: (element, base message, fields that change or a segment more, path, value) ...
TOLD = {
    "us-core-patient": [
        ("identifier", "visit", {"PID-3": "E9^^^EAST^MR"}, "Patient.identifier.type.coding.code", "MR"),
        ("identifier.system", "visit", {"PID-3": "E9^^^&1.2.3&ISO^MR"}, "Patient.identifier.system", "urn:oid:1.2.3"),
        ("identifier.value", "visit", {"PID-3": "E9^^^EAST^MR"}, "Patient.identifier.value", "E9"),
        ("name", "visit", {"PID-5": "QUILL^MARGIT^^^^^L"}, "Patient.name.use", "official"),
        ("name.family", "visit", {"PID-5": "QUILL^MARGIT"}, "Patient.name.family", "QUILL"),
        ("name.given", "visit", {"PID-5": "QUILL^MARGIT"}, "Patient.name.given", "MARGIT"),
        ("name.suffix", "visit", {"PID-5": "QUILL^MARGIT^^JR"}, "Patient.name.suffix", "JR"),
        ("name.period", "visit", {"PID-5": "QUILL^MARGIT^^^^^^^^^^20200101^20210101"}, "Patient.name.period.end", "2021-01-01"),
        ("telecom.system", "visit", {"PID-13": "^PRN^PH^^^804^5550100"}, "Patient.telecom.system", "phone"),
        ("telecom.value", "visit", {"PID-13": "(804)555-0100"}, "Patient.telecom.value", "(804)555-0100"),
        ("telecom.use", "visit", {"PID-13": "^PRN^PH^^^804^5550100"}, "Patient.telecom.use", "home"),
        ("gender", "visit", {"PID-8": "F"}, "Patient.gender", "female"),
        ("birthDate", "visit", {"PID-7": "19570811"}, "Patient.birthDate", "1957-08-11"),
        ("address", "visit", {"PID-11": "1 ELM^^YORK^VA^23690^USA^H"}, "Patient.address.use", "home"),
        ("address.line", "visit", {"PID-11": "1 ELM^APT 2^YORK^VA^23690"}, "Patient.address.line", "1 ELM|APT 2"),
        ("address.city", "visit", {"PID-11": "1 ELM^^YORK^VA^23690"}, "Patient.address.city", "YORK"),
        ("address.state", "visit", {"PID-11": "1 ELM^^YORK^VA^23690"}, "Patient.address.state", "VA"),
        ("address.postalCode", "visit", {"PID-11": "1 ELM^^YORK^VA^23690"}, "Patient.address.postalCode", "23690"),
        ("address.period", "visit", {"PID-11": "1 ELM^^YORK^VA^23690^^^^^^^^20200101"}, "Patient.address.period.start", "2020-01-01"),
        ("communication.language", "visit", {"PID-15": "es^Spanish^ISO639"}, "Patient.communication.language.coding.code", "es"),
        ("deceased[x]", "visit", {"PID-30": "Y"}, "Patient.deceasedBoolean", "true"),
        ("race", "visit", {"PID-10": "2106-3^White^CDCREC"}, "Patient.extension.extension.valueCoding.code", "2106-3"),
        ("ethnicity", "visit", {"PID-22": "2186-5^Not Hispanic^CDCREC"}, "Patient.extension.extension.valueCoding.code", "2186-5"),
        ("tribalAffiliation", "visit", {"PID-39": "91^Sitka Tribe^L"}, "Patient.extension.extension.url", "code|tribalAffiliation"),
        ("sex", "visit", "OBX|1|CWE|46098-0^Sex^LN||248152002^Female^SCT||||||F", "Patient.extension.valueCode", "248152002"),
        ("birthsex", "visit", "OBX|1|CWE|76689-9^Sex assigned at birth^LN||LA3-6^Female^LN||||||F", "Patient.extension.valueCode", "F"),
        ("genderIdentity", "visit", "OBX|1|CWE|76691-5^Gender identity^LN||446141000124107^Female^SCT||||||F",
         "Patient.extension.valueCodeableConcept.coding.code", "446141000124107"),
    ],
    "us-core-encounter": [
        ("identifier", "visit", {"PV1-19": "V1^^^EAST^VN"}, "Encounter.identifier.value", "V1"),
        ("status", "visit", {}, "Encounter.status", "in-progress"),
        ("class", "visit", {"PV1-2": "E"}, "Encounter.class.code", "EMER"),
        ("type", "visit", {"PV1-4": "E"}, "Encounter.type.coding.code", "E"),
        ("subject", "visit", {}, "Encounter.subject.reference", "Patient"),
        ("participant.type", "visit", {"PV1-7": "D1^ADAMS^ANN^^^^^^EAST"}, "Encounter.participant.type.coding.code", "ATND"),
        ("participant.period", "role", {"ROL-5": "20260301"}, "Encounter.participant.period.start", "2026-03-01"),
        ("participant.individual", "visit", {"PV1-7": "D1^ADAMS^ANN^^^^^^EAST"}, "Encounter.participant.individual.display", "ANN ADAMS"),
        ("period", "visit", {"PV1-44": "20260301090000-0500"}, "Encounter.period.start", "2026-03-01T09:00:00-05:00"),
        ("reasonCode", "visit", {"PV2-3": "R1^Weak^L"}, "Encounter.reasonCode.coding.code", "R1"),
        ("hospitalization.dischargeDisposition", "visit", {"PV1-36": "01"}, "Encounter.hospitalization.dischargeDisposition.coding.code", "home|01"),
        ("location.location", "visit", {"PV1-3": "4E^401"}, "Encounter.location.status", "active"),
        ("serviceProvider", "visit", {}, "Organization[0].name", "EAST"),
    ],
    "us-core-condition-encounter-diagnosis": [
        ("assertedDate", "visit", {"DG1-19": "20260301"}, "Condition.extension.valueDateTime", "2026-03-01"),
        ("verificationStatus", "visit", {"DG1-21": "D"}, "Condition.verificationStatus.coding.code", "entered-in-error"),
        ("category", "visit", {}, "Condition.category[0].coding.code", "encounter-diagnosis"),
        ("code", "visit", {"DG1-3": "I10^Hypertension^I10"}, "Condition.code.coding.code", "I10"),
        ("subject", "visit", {}, "Condition.subject.reference", "Patient"),
        ("encounter", "visit", {}, "Condition.encounter.reference", "Encounter"),
        ("onset[x]", "visit", {"DG1-5": "20260228"}, "Condition.onsetDateTime", "2026-02-28"),
        ("recordedDate", "visit", {"DG1-19": "20260301"}, "Condition.recordedDate", "2026-03-01"),
    ],
    "us-core-condition-problems-health-concerns": [
        ("assertedDate", "problem", {"PRB-7": "20260301"}, "Condition.extension.valueDateTime", "2026-03-01"),
        ("clinicalStatus", "problem", {"PRB-14": "active^Active"}, "Condition.clinicalStatus.coding.code", "active"),
        ("verificationStatus", "problem", {"PRB-13": "confirmed^Confirmed"}, "Condition.verificationStatus.coding.code", "confirmed"),
        ("category", "problem", {}, "Condition.category[0].coding.code", "problem-list-item"),
        ("category:screening-assessment", "problem", {}, "Condition.category[1].coding.code", "sdoh"),
        ("code", "problem", {"PRB-3": "I10^Hypertension^I10"}, "Condition.code.coding.code", "I10"),
        ("subject", "problem", {}, "Condition.subject.reference", "Patient"),
        ("onset[x]", "problem", {"PRB-16": "20260228"}, "Condition.onsetDateTime", "2026-02-28"),
        ("abatement[x]", "problem", {"PRB-9": "20260301"}, "Condition.abatementDateTime", "2026-03-01"),
        ("recordedDate", "problem", {"PRB-2": "20260301"}, "Condition.recordedDate", "2026-03-01"),
    ],
    "us-core-observation-lab": [
        ("status", "result", {}, "Observation.status", "final"),
        ("category", "result", {"OBR-24": "CH"}, "Observation.category.coding.code", "laboratory"),
        ("code", "result", {}, "Observation.code.coding.code", "2345-7"),
        ("subject", "result", {}, "Observation.subject.reference", "Patient"),
        ("encounter", "result", {}, "Observation.encounter.reference", "Encounter"),
        ("effective[x]", "result", {"OBX-14": "20260301093000-0500"}, "Observation.effectiveDateTime", "2026-03-01T09:30:00-05:00"),
        ("value[x]", "result", {"OBX-5": "99"}, "Observation.valueQuantity.value", "99"),
        ("dataAbsentReason", "result", {"OBX-5": ""}, "Observation.dataAbsentReason.coding.code", "unknown"),
        ("interpretation", "result", {"OBX-8": "H"}, "Observation.interpretation.coding.code", "H"),
        ("specimen", "result", {"SPM-4": "SER^Serum^HL70487"}, "Observation.specimen.reference", "Specimen"),
        ("referenceRange", "result", {"OBX-7": "70-110"}, "Observation.referenceRange.high.value", "110"),
    ],
    "us-core-observation-screening-assessment": [
        ("status", "form", {}, "Observation[0].status", "final"),
        ("category", "form", {}, "Observation[0].category.coding.code", "survey|sdoh|food-insecurity"),
        ("code", "form", {}, "Observation[0].code.coding.code", "88122-7"),
        ("subject", "form", {}, "Observation[0].subject.reference", "Patient"),
        ("effective[x]", "form", {}, "Observation[0].effectiveDateTime", "2026-03-01T09:00:00-05:00"),
        ("performer", "form", {"OBX-16": "D1^ADAMS^ANN^^^^^^EAST"}, "Observation.performer.reference", "Practitioner"),
        ("value[x]", "form", {}, "Observation[0].valueCodeableConcept.coding.code", "LA28397-0"),
        ("dataAbsentReason", "form", {"OBX-5": ""}, "Observation.dataAbsentReason.coding.code", "unknown"),
        ("hasMember", "form", {}, "Observation.hasMember.reference", "Observation"),
    ],
    "us-core-practitioner": [
        ("identifier", "role", {"ROL-4": "1234567893^ADAMS^ANN^^^^^^NPI&2.16.840.1.113883.4.6&ISO"}, "Practitioner.identifier.system", "http://hl7.org/fhir/sid/us-npi"),
        ("name", "role", {}, "Practitioner.name.family", "ADAMS"),
        ("telecom", "team", {"ROL-12": "(804)555-0100"}, "Practitioner.telecom.value", "(804)555-0100"),
        ("address", "role", {"ROL-11": "1 ELM^^YORK^VA^23690^USA"}, "Practitioner.address.postalCode", "23690"),
    ],
    "us-core-practitionerrole": [
        ("practitioner", "role", {}, "PractitionerRole.practitioner.reference", "Practitioner"),
        ("organization", "role", {}, "PractitionerRole.organization.reference", "Organization"),
        ("code", "role", {}, "PractitionerRole.code.coding.code", "ATND"),
        ("specialty", "role", {"ROL-9": "S1^Cardiology^L"}, "PractitionerRole.specialty.coding.code", "S1"),
        ("location", "role", {"ROL-13": "4E"}, "PractitionerRole.location.display", "4E"),
        ("telecom", "role", {"ROL-12": "(804)555-0100"}, "PractitionerRole.telecom.value", "(804)555-0100"),
    ],
    "us-core-organization": [
        ("identifier", "order", {"ORC-21": "Clinic^^^^^NPI&2.16.840.1.113883.4.6&ISO^NPI^^^1234567893"}, "Organization[1].identifier.system", "http://hl7.org/fhir/sid/us-npi"),
        ("identifier:CLIA", "result", {"OBX-23": "Lab^L^^^^CLIA&2.16.840.1.113883.4.7&ISO^XX^^^05D1234567"}, "Organization[1].identifier.system", "urn:oid:2.16.840.1.113883.4.7"),
        ("active", "visit", {}, "Organization[0].active", "true"),
        ("name", "visit", {}, "Organization[0].name", "EAST"),
        ("telecom", "visit", {"IN1-7": "(804)555-0100"}, "Organization.telecom.value", "(804)555-0100"),
        ("address", "visit", {"IN1-5": "1 ELM^^YORK^VA^23690^USA"}, "Organization.address.postalCode", "23690"),
    ],
    "us-core-location": [
        ("identifier", "visit", {"PV1-3": "4E^401^B^EAST^^^^^^L9&EAST"}, "Location.identifier.value", "L9"),
        ("name", "visit", {"PV1-3": "4E"}, "Location.name", "4E"),
        ("managingOrganization", "visit", {"PV1-3": "4E"}, "Location.managingOrganization.reference", "Organization"),
    ],
    "us-core-relatedperson": [
        ("active", "visit", {}, "RelatedPerson.active", "true"),
        ("patient", "visit", {}, "RelatedPerson.patient.reference", "Patient"),
        ("relationship", "visit", {"NK1-3": "BRO"}, "RelatedPerson.relationship.coding.code", "BRO"),
        ("name", "visit", {}, "RelatedPerson.name.family", "QUILL"),
        ("telecom", "visit", {"NK1-5": "(804)555-0100"}, "RelatedPerson.telecom.value", "(804)555-0100"),
        ("address", "visit", {"NK1-4": "1 ELM^^YORK^VA^23690"}, "RelatedPerson.address.postalCode", "23690"),
    ],
    "us-core-coverage": [
        ("identifier", "visit", {"IN1-49": "M1^^^PAY^MB"}, "Coverage.identifier[0].type.coding.code", "MB"),
        ("identifier:memberid", "visit", "IN2" + "|" * 61 + "M2", "Coverage.identifier.type.coding.code", "MB"),
        ("status", "visit", {}, "Coverage.status", "active"),
        ("type", "visit", {"IN1-15": "HMO^Plan^L"}, "Coverage.type.coding.code", "HMO"),
        ("subscriberId", "visit", {"IN1-36": "POL1"}, "Coverage.subscriberId", "POL1"),
        ("beneficiary", "visit", {}, "Coverage.beneficiary.reference", "Patient"),
        ("relationship", "visit", {"IN1-17": "SEL"}, "Coverage.relationship.coding.code", "self"),
        ("period", "visit", {"IN1-12": "20260101"}, "Coverage.period.start", "2026-01-01"),
        ("payor", "visit", {}, "Organization[1].name", "Payer"),
        ("class:group", "visit", {"IN1-8": "GRP1", "IN1-9": "Group one"}, "Coverage.class[0].name", "Group one"),
        ("class:plan", "visit", {"IN1-2": "PLAN1^Plan one^L"}, "Coverage.class.name", "Plan one"),
    ],
    "us-core-allergyintolerance": [
        ("clinicalStatus", "visit", {}, "AllergyIntolerance.clinicalStatus.coding.code", "active"),
        ("verificationStatus", "visit", "IAM|2||DUST^Dust^L|||A|||||||||||C^Confirmed", "AllergyIntolerance[1].verificationStatus.coding.code", "confirmed"),
        ("code", "visit", {}, "AllergyIntolerance.code.coding.code", "PNUT"),
        ("patient", "visit", {}, "AllergyIntolerance.patient.reference", "Patient"),
        ("reaction.manifestation", "visit", {"AL1-5": "HIVES"}, "AllergyIntolerance.reaction.manifestation.text", "HIVES"),
    ],
    "us-core-procedure": [
        ("status", "visit", {}, "Procedure.status", "completed"),
        ("code", "visit", {}, "Procedure.code.coding.code", "P1"),
        ("subject", "visit", {}, "Procedure.subject.reference", "Patient"),
        ("encounter", "visit", {}, "Procedure.encounter.reference", "Encounter"),
        ("performed[x]", "visit", {}, "Procedure.performedDateTime", "2026-03-01T09:00:00-05:00"),
    ],
    "us-core-servicerequest": [
        ("status", "order", {}, "ServiceRequest.status", "active"),
        ("intent", "order", {}, "ServiceRequest.intent", "order"),
        ("category", "order", {"OBR-24": "LAB"}, "ServiceRequest.category.coding.code", "LAB|108252007"),
        ("code", "order", {}, "ServiceRequest.code.coding.code", "2345-7"),
        ("subject", "order", {}, "ServiceRequest.subject.reference", "Patient"),
        ("encounter", "order", {}, "ServiceRequest.encounter.reference", "Encounter"),
        ("occurrence[x]", "order", {"OBR-36": "20260302"}, "ServiceRequest.occurrenceDateTime", "2026-03-02"),
        ("authoredOn", "order", {"ORC-9": "20260301"}, "ServiceRequest.authoredOn", "2026-03-01"),
        ("requester", "order", {"ORC-12": "D1^ADAMS^ANN^^^^^^EAST"}, "ServiceRequest.requester.display", "ANN ADAMS"),
    ],
    "us-core-diagnosticreport-lab": [
        ("status", "result", {}, "DiagnosticReport.status", "final"),
        ("category", "result", {"OBR-24": "LAB"}, "DiagnosticReport.category.coding.code", "LAB"),
        ("code", "result", {}, "DiagnosticReport.code.coding.code", "2345-7"),
        ("subject", "result", {}, "DiagnosticReport.subject.reference", "Patient"),
        ("encounter", "result", {}, "DiagnosticReport.encounter.reference", "Encounter"),
        ("effective[x]", "result", {}, "DiagnosticReport.effectiveDateTime", "2026-03-01T09:00:00-05:00"),
        ("issued", "result", {"OBR-22": "20260301100000-0500"}, "DiagnosticReport.issued", "2026-03-01T10:00:00-05:00"),
        ("performer", "result", {"OBX-23": "Lab^L^^^^EAST^XX^^^L1"}, "Organization[1].name", "Lab"),
        ("result", "result", {}, "DiagnosticReport.result.reference", "Observation"),
    ],
    "us-core-documentreference": [
        ("identifier", "document", {"TXA-16": "doc.txt"}, "DocumentReference.identifier.value", "doc.txt"),
        ("status", "document", {}, "DocumentReference.status", "current"),
        ("type", "document", {"TXA-2": "18842-5^Discharge summary^LN"}, "DocumentReference.type.coding.code", "18842-5"),
        ("subject", "document", {}, "DocumentReference.subject.reference", "Patient"),
        ("date", "document", {"TXA-6": "20260301100000-0500"}, "DocumentReference.date", "2026-03-01T10:00:00-05:00"),
        ("author", "document", {"TXA-9": "D1^ADAMS^ANN^^^^^^EAST"}, "DocumentReference.author.reference", "Practitioner"),
        ("content.attachment.contentType", "document", {}, "DocumentReference.content.attachment.contentType", "text/plain"),
        ("content.attachment.data", "document", {"OBX-2": "ED", "OBX-5": "^application^pdf^Base64^QUJD"}, "DocumentReference.content.attachment.data", "QUJD"),
        ("content.attachment.url", "document", {"OBX-2": "RP", "OBX-5": "https://x.example/1.pdf"}, "DocumentReference.content.attachment.url", "https://x.example/1.pdf"),
        ("context.encounter", "document", {}, "DocumentReference.context.encounter.reference", "Encounter"),
        ("context.period", "document", {"TXA-4": "20260301"}, "DocumentReference.context.period.start", "2026-03-01"),
    ],
    "us-core-specimen": [
        ("identifier", "result", {"SPM-2": "S1&EAST", "SPM-4": "SER"}, "Specimen.identifier.value", "S1"),
        ("accessionIdentifier", "result", {"SPM-30": "A1^^^EAST", "SPM-4": "SER"}, "Specimen.accessionIdentifier.value", "A1"),
        ("type", "result", {"SPM-4": "SER^Serum^HL70487"}, "Specimen.type.coding.code", "SER"),
        ("subject", "result", {"SPM-4": "SER"}, "Specimen.subject.reference", "Patient"),
    ],
    "us-core-goal": [
        ("lifecycleStatus", "goal", {"GOL-18": "active^Active"}, "Goal.lifecycleStatus", "active"),
        ("description", "goal", {}, "Goal.description.coding.code", "G1"),
        ("subject", "goal", {}, "Goal.subject.reference", "Patient"),
        ("start[x]", "goal", {"GOL-7": "20260301"}, "Goal.startDate", "2026-03-01"),
        ("target.due[x]", "goal", {"GOL-8": "20260401"}, "Goal.target.dueDate", "2026-04-01"),
    ],
    "us-core-careteam": [
        ("subject", "team", {}, "CareTeam.subject.reference", "Patient"),
        ("participant.role", "team", {}, "CareTeam.participant.role.coding.code", "CON"),
        ("participant.member", "team", {}, "CareTeam.participant.member.reference", "Practitioner"),
    ],
    "us-core-provenance": [
        ("target.reference", "visit", {}, "Provenance.target.reference",
         "Patient|Encounter|Condition|Coverage|RelatedPerson|AllergyIntolerance|Procedure"),
        ("recorded", "visit", {}, "Provenance.recorded", "2026-03-01T10:00:00-05:00"),
        ("agent:ProvenanceAuthor", "visit", {}, "Provenance.agent[0].type.coding.code", "author"),
        ("agent.type", "visit", {}, "Provenance.agent[0].type.coding.code", "author"),
        ("agent.who", "visit", {}, "Provenance.agent[0].who.display", "EAST"),
    ],
}
SERVER = "the server's own: set by whoever stores the resource"
UNTOLD = {
    "us-core-encounter": {"meta": SERVER, "reasonReference": "PV2-3 and PV2-12 are codes, and DG1 is Encounter.diagnosis"},
    "us-core-condition-encounter-diagnosis": {
        "clinicalStatus": "no field of DG1 says whether it goes on, and it is not invented", "abatement[x]": "no field of DG1 says when it ended"},
    "us-core-condition-problems-health-concerns": {"meta": SERVER},
    "us-core-observation-lab": {"meta": SERVER},
    "us-core-observation-screening-assessment": {"derivedFrom": "an HL7 v2 message brings no QuestionnaireResponse; one that comes as FHIR is named"},
    "us-core-practitionerrole": {"endpoint": "no field tells an electronic address of a role; telecom is there"},
    "us-core-location": dict.fromkeys(("status", "type", "telecom", "address"), "PL has no component for it"),
    "us-core-diagnosticreport-lab": {"meta": SERVER},
    "us-core-documentreference": {"category": "no field of TXA: that of US Core is of its own", "content.format": "no field names an IHE format code"},
    "us-core-careteam": {"status": "ROL and PRT tell of members, not whether the team goes on"},
    "us-core-provenance": {
        "agent.onBehalfOf": "EVN-5 names no organisation", "agent:ProvenanceTransmitter": "MSH-4 has written the message; who else passed it on is not told"},
}


ROWS = [(profile, *row) for profile, rows in TOLD.items() for row in rows]


@pytest.mark.parametrize(("element", "base", "fields", "path", "value"), [row[1:] for row in ROWS], ids=[f"{row[0]}.{row[1]}" for row in ROWS])
def test_what_a_message_tells_is_there(element: str, base: str, fields: dict[str, str] | str, path: str, value: str) -> None:
    """The field, or the segment, in a message gives the element; a reference leads to the type that is due."""
    changes, more = (fields, []) if isinstance(fields, dict) else ({}, [fields])
    body = change.message("\r".join(BASES[base]).encode(), changes, more)
    found = cases.observer(packaged.draft(body))(path)
    assert "|".join(REFERENCE.sub("", one) for one in found) == value, element


@pytest.mark.parametrize("profile", TOLD)
def test_no_must_support_element_is_forgotten(profile: str, shared: Path) -> None:
    """Each element that the published profile marks stands in the table or has a reason; its parts go with it."""
    with tarfile.open(shared / "fhir-definitions" / "us-core-7.0.0.tgz") as archive:
        content = json.load(archive.extractfile(f"package/StructureDefinition-{profile}.json"))  # type: ignore[arg-type]
    marked = {each["id"].partition(".")[2] for each in content["snapshot"]["element"] if each.get("mustSupport")}
    named = {row[0] for row in TOLD[profile]} | UNTOLD.get(profile, {}).keys()
    open_ = {each.partition(":")[0] if ":" in each and each.split(".")[0] not in named else each for each in marked if not each.startswith("extension")}
    assert {each for each in open_ if not any(each == one or each.startswith(f"{one}.") or one.startswith((f"{each}.", f"{each}:")) for one in named)} == set()
