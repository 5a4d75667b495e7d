"""What a screening says -> FHIR: an Observation per answer, computed results, unconfirmed Conditions, our own Device.

Shapes: SDOH Clinical Care 3.0.0 ObservationScreeningResponse and Condition (reference/gravity.md 1.3, 1.6, 3.1). Wording
comes from the response only; codes are LOINC, whose displays we do not ship.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.core.issue import Issue
from bridge.referral.screening import Finding, Screening, evaluate
from bridge.referral.terms import (
    ABSENT,
    ASSERTER,
    CLINICAL,
    HEALTH_CONCERN,
    ICD10,
    INTERPRETATION,
    LOINC,
    NEED,
    NOTED,
    SDOH_ANSWER,
    SDOH_CONDITION,
    SNOMED,
    SUBJECT,
    SURVEY,
    TEMPORARY,
    UCUM,
    US_CORE_CATEGORY,
    VERIFICATION,
    concept,
)

Resource = dict[str, Any]
# US Core lets a missing mandatory element say so (us-core-patient, "Missing Data")
_UNKNOWN = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


def resources(
    screening: Screening, response: Mapping[str, Any], ids: Ids, *, patient: str, authored: str,
    questionnaire_id: str = "",
) -> list[Resource]:
    """Observations, Conditions and the Device of one screening, in that order; [] when it could not be read.

    `patient` is a Patient id, `questionnaire_id` that of the stored response (default: the response's own id).
    `authored` is a FHIR dateTime. Ids are keyed by patient and response: the same response gives the same resources.
    """
    key = occasion(response, screening.instrument)
    source = f"QuestionnaireResponse/{questionnaire_id or response.get('id', '')}"
    known = {
        id(finding): ids.uuid("Observation", patient, key, finding.code, *_value_key(finding))
        for finding in screening.findings if finding.observe
    }
    by_code: dict[str, list[str]] = {}
    for finding in screening.findings:
        if id(finding) in known:
            by_code.setdefault(finding.code, []).append(known[id(finding)])
    made = [
        _observation(finding, known[id(finding)], by_code, patient, authored, source, _own(response))
        for finding in screening.findings if id(finding) in known
    ]
    conditions = _conditions(screening, known, ids, patient, authored, key)
    return [*made, *conditions, *([device(ids)] if conditions else [])]


def draft(response: Mapping[str, Any], ids: Ids, *, received: str) -> tuple[Draft, Screening]:
    """A QuestionnaireResponse as a Draft: the response, its Patient as far as it names one, and what it says.

    The Patient id is keyed by the subject's identifier as in the HL7v2 mappings (`system|value`); a contained Patient
    is taken whole. `received` (FHIR dateTime) stands in for a missing `authored`.
    """
    screening = evaluate(response)
    person, issues = _person(response, ids)
    authored = str(response.get("authored") or received)
    key = occasion(response, screening.instrument)
    kept = _stored(response, ids.uuid("QuestionnaireResponse", person.get("id", ""), key), person)
    made = resources(screening, response, ids, patient=person["id"], authored=authored, questionnaire_id=kept["id"]) \
        if person else []
    return Draft(
        (*([person] if person else []), kept, *made), "QuestionnaireResponse", authored,
        f"screening/{screening.instrument}", "", person.get("id", ""), (*screening.issues, *issues),
    ), screening


def device(ids: Ids) -> Resource:
    """The software that suggests Conditions, as their asserter (SDOHCC-ExtensionConditionAsserter)."""
    return {
        "resourceType": "Device", "id": ids.uuid("Device", "sdoh-bridge"),
        "deviceName": [{"name": "sdoh-bridge", "type": "model-name"}], "type": {"text": "Screening evaluation software"},
    }


def occasion(response: Mapping[str, Any], instrument: str) -> str:
    """What tells this response from another one of the same person."""
    own = response.get("identifier", {}).get("value") or response.get("id")
    own = own or json.dumps(response.get("item"), sort_keys=True)
    return "|".join((instrument, str(own), str(response.get("authored", ""))))


def _value_key(finding: Finding) -> tuple[str, ...]:
    value = finding.value
    kind = "result" if finding.sources else "answer"
    return (kind, finding.absent) if value is None else (kind, value.code, str(value.number), value.text)


def _observation(
    finding: Finding, id_: str, by_code: Mapping[str, list[str]], patient: str, authored: str, source: str, own: bool,
) -> Resource:
    made: Resource = {
        "resourceType": "Observation", "id": id_, "meta": {"profile": [SDOH_ANSWER]}, "status": "final",
        "category": [
            concept(SURVEY, "survey"), concept(US_CORE_CATEGORY, "sdoh"),
            *(concept(TEMPORARY, code, finding.text) for code in finding.category),
        ],
        "code": concept(LOINC, finding.code, finding.wording),
        "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": authored,
    }
    if own:
        made["performer"] = [{"reference": f"Patient/{patient}"}]
    made |= _value(finding)
    if finding.positive:
        made["extension"] = [{"url": NEED, "valueCode": finding.need or "none"}]
        made["interpretation"] = [concept(INTERPRETATION, "POS")]
    members = [member for code in finding.sources for member in by_code.get(code, ())]
    made["derivedFrom"] = [{"reference": source}, *({"reference": f"Observation/{member}"} for member in members)]
    return made


def _value(finding: Finding) -> Resource:
    value = finding.value
    if value is None:
        return {"dataAbsentReason": concept(ABSENT, finding.absent)}
    if value.code:
        shown = {"display": value.display} if value.display else {}
        return {"valueCodeableConcept": {"coding": [{"system": value.system or LOINC, "code": value.code, **shown}]}}
    if value.number is not None:
        number = int(value.number) if value.number == int(value.number) else value.number
        return {"valueQuantity": {"value": number, "system": UCUM, "code": finding.unit or "1"}}
    return {"valueString": value.text}


def _conditions(
    screening: Screening, known: Mapping[int, str], ids: Ids, patient: str, authored: str, key: str,
) -> list[Resource]:
    """One unconfirmed health concern per (need, suggested code), with every positive answer as evidence."""
    evidence: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for finding in screening.findings:
        if finding.need and finding.suggested and id(finding) in known:
            evidence.setdefault((finding.need, finding.suggested), []).append(known[id(finding)])
    made, asserter = [], f"Device/{ids.uuid('Device', 'sdoh-bridge')}"
    for (need, codes), details in evidence.items():
        coding = [{"system": ICD10 if code[0].isalpha() else SNOMED, "code": code} for code in codes]
        made.append({
            "resourceType": "Condition", "id": ids.uuid("Condition", patient, key, need, *codes),
            "meta": {"profile": [SDOH_CONDITION]},
            "extension": [{"url": ASSERTER, "valueReference": {"reference": asserter}}],
            "clinicalStatus": concept(CLINICAL, "active"), "verificationStatus": concept(VERIFICATION, "unconfirmed"),
            "category": [concept(HEALTH_CONCERN, "health-concern"), concept(US_CORE_CATEGORY, "sdoh"),
                         concept(TEMPORARY, need)],
            "code": {"coding": coding}, "subject": {"reference": f"Patient/{patient}"},
            "onsetDateTime": authored, "recordedDate": authored,
            "evidence": [{"detail": [{"reference": f"Observation/{id_}"} for id_ in dict.fromkeys(details)]}],
        })
    return made


def _own(response: Mapping[str, Any]) -> bool:
    """Whether the patient answered for themself: no source is named, or it is the subject."""
    source = response.get("source")
    return source is None or source.get("reference", "") == response.get("subject", {}).get("reference", None)


def _person(response: Mapping[str, Any], ids: Ids) -> tuple[Resource, list[Issue]]:
    """The Patient a response names: contained, or a stub (tag `stub`) that only says who is meant, never what they are."""
    subject = response.get("subject", {})
    reference = str(subject.get("reference", ""))
    held = {f"#{one.get('id', '')}": one for one in response.get("contained", ())}
    contained: Resource = held.get(reference, {})
    named = (subject.get("identifier"), *contained.get("identifier", ()))
    identifiers = [one for one in named if one and one.get("value")]
    if not identifiers and not reference.strip("#"):
        return {}, [Issue("error", "BRG-R208", "QuestionnaireResponse.subject", "names no patient",
                          "give subject.identifier with system and value", "required")]
    identifiers = identifiers or [{"system": SUBJECT, "value": reference}]
    person = {
        "name": [{"extension": [_UNKNOWN], **({"text": subject["display"]} if subject.get("display") else {})}],
        "gender": "unknown",
        **contained, "resourceType": "Patient",
        "id": ids.uuid("Patient", f"{identifiers[0].get('system', '')}|{identifiers[0]['value']}"),
        "identifier": contained.get("identifier") or identifiers,
    }
    if not contained:
        person["meta"] = {"tag": [{"system": NOTED, "code": "stub"}]}
    return person, []


def _stored(response: Mapping[str, Any], id_: str, person: Resource) -> Resource:
    """The response under our id; references to resources that we do not hold are left out, names of systems stay."""
    kept = {name: value for name, value in response.items() if name not in ("contained", "meta", "text", "id")}
    for name in ("author", "source", "encounter"):
        if name in kept:
            kept[name] = {part: value for part, value in kept[name].items() if part in ("identifier", "display", "type")}
            if not kept[name]:
                del kept[name]
    for name in ("basedOn", "partOf"):
        kept.pop(name, None)
    if person:
        kept["subject"] = {"reference": f"Patient/{person['id']}"}
    return {**kept, "resourceType": "QuestionnaireResponse", "id": id_}
