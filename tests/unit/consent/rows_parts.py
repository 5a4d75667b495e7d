"""Cases by rule: parts of a record, Bundles, forms, projections (R1, R2, R4, L1, L3, X1, X2, P1, 42 CFR 2.32)."""

from __future__ import annotations

from typing import Any

from tests.unit.consent.build import (
    ANYONE,
    ICD,
    INLINE,
    LOINC,
    OPEN,
    OWN,
    P1,
    Json,
    classes,
    concept,
    condition,
    consent,
    deny,
    labelled,
    labels,
    permit,
    referral,
    row,
)
from tests.unit.consent.rows_data import DP, GRAV, LV, NDP, NOT, OB, OBS, RXN, about, ref

P2 = {"reference": "Patient/p2"}
def inl(code: str, **elements: Any) -> Json:
    return {"extension": [{"url": INLINE, "valueCoding": labels(code)[0]}], **elements}


def bundle(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": [each if "resource" in each else {"resource": each} for each in entries]}


def inner(code: str, id_: str = "in", **elements: Any) -> Json:
    return {"resourceType": "Condition", "id": id_, "code": concept(ICD, code), "subject": P1, **elements}


def qr(items: list[Json], **elements: Any) -> Json:
    return {"resourceType": "QuestionnaireResponse", "id": "q", "status": "completed", "subject": P1, "item": items, **elements}


def it(link: str, *kids: Json, **elements: Any) -> Json:
    return {"linkId": link, **({"item": list(kids)} if kids else {}), **elements}


HIV, SUD, SDV = NOT("HIV"), NOT("SUD"), NOT("SDV")


def pat(**elements: Any) -> Json:
    return {"resourceType": "Patient", "id": "p1", **elements}


def task(**elements: Any) -> Json:
    return {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "for": P1, **elements}


MIN: dict[str, Any] = {"consents": [ANYONE], "profile": "cbo-minimum"}
GI = "http://hl7.org/fhir/StructureDefinition/patient-genderIdentity"
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    # R1
    row("R1 first reason", "redact reasonCode[0]", consents=[HIV], resource=referral(reasonCode=[concept(ICD, "B20"), concept(ICD, "Z59.41")])),
    row("R1 two of three", "redact reasonCode[0] reasonCode[2]", consents=[HIV], resource=referral(reasonCode=[concept(ICD, "B20"), concept(ICD, "Z59.41"), concept(ICD, "Z21")])),
    row("R1 second coding of a reason", "redact reasonCode[0]", consents=[HIV], resource=referral(reasonCode=[concept(ICD, "E11.9", "B20")])),
    row("R1 core code", "deny", consents=[HIV], resource=referral(code=concept(ICD, "B20"), reasonCode=[concept(ICD, "Z59.41")])),
    row("R1 core value", "deny", consents=[HIV], resource=OBS("8302-2", valueCodeableConcept=concept(ICD, "B20"))),
    row("R1 core category", "deny", consents=[SDV], resource=condition("Z63.0", category=[concept(GRAV, "intimate-partner-violence")])),
    row("R1 core medication", "deny", consents=[SUD], resource={"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order", "subject": P1, "medicationCodeableConcept": concept(RXN, "6813")}),
    row("R1 reason of a medication", "redact reasonCode[0]", consents=[SUD], resource={"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order", "subject": P1, "medicationCodeableConcept": concept(RXN, "860975"), "reasonCode": [concept(ICD, "F11.20")]}),
    row("R1 Task.code", "deny", consents=[HIV], resource=task(code=concept(LOINC, "75622-1"))),
    row("R1 Task.reasonCode is one element", "redact reasonCode", consents=[HIV], resource=task(reasonCode=concept(ICD, "B20"))),
    row("R1 Task.input", "redact input[1]", consents=[HIV], resource=task(input=[{"type": {"text": "a"}, "valueString": "x"}, {"type": {"text": "b"}, "valueCodeableConcept": concept(ICD, "B20")}])),
    row("R1 Encounter.type", "deny", consents=[SUD], resource={"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}, "type": [concept(ICD, "Z71.41")], "subject": P1}),
    row("R1 Encounter.reasonCode", "redact reasonCode[0]", consents=[SUD], resource={"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}, "subject": P1, "reasonCode": [concept(ICD, "F10.20")]}),
    row("R1 component", "redact component[1]", consents=[SDV], resource=OBS("8302-2", component=[{"code": concept(LOINC, "1-8")}, {"code": concept(LOINC, "76501-6")}])),
    row("R1 value of a component", "redact component[0]", consents=[HIV], resource=OBS("8302-2", component=[{"code": concept(LOINC, "1-8"), "valueCodeableConcept": concept(ICD, "Z21")}, {"code": concept(LOINC, "1-8")}])),
    row("R1 evidence", "redact evidence[0]", consents=[HIV], resource=condition("E11.9", evidence=[{"code": [concept(ICD, "B20")]}])),
    row("R1 extension of a person", "redact extension[1]", consents=[NOT("GENDER")], resource=pat(extension=[{"url": "urn:x", "valueString": "y"}, {"url": GI, "valueCodeableConcept": {"text": "z"}}])),
    row("R1 nothing to withhold", "permit", consents=[HIV], resource=referral(reasonCode=[concept(ICD, "Z59.41")], note=[{"text": "HIV B20"}])),
    row("R1 permit of N leaves parts out", "redact reasonCode[1]", consents=[LV("N")], resource=referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "F20.9")])),
    row("R1 a permit of a kind covers the part", "permit", consents=[LV("N", "MH")], resource=referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "F20.9")])),
    row("R1 default withholds parts", "redact evidence[0]", policy=OPEN, resource=condition("E11.9", evidence=[{"code": [concept(ICD, "F20.9")]}])),
    row("R1 inline label", "redact note[0]", consents=[HIV], resource=referral(note=[inl("HIV", text="x"), {"text": "y"}])),
    row("R1 inline label of a primitive", "redact birthDate", consents=[NOT("R")], resource=pat(birthDate="1980-01-01", _birthDate=inl("R"))),
    row("R1 address with an inline label", "redact address[1]", consents=[SDV], resource=pat(address=[{"city": "a"}, inl("SDV", city="b")])),
    # forms
    row("R1 form item by LOINC linkId", "redact item[1]", consents=[SDV], resource=qr([it("/88122-7"), it("/76501-6")])),
    row("R1 nested form item", "redact item[0].item[1]", consents=[SDV], resource=qr([it("/93025-5", it("/93025-5/71802-3"), it("/93025-5/76501-6"))])),
    row("R1 answer of an item", "redact item[0]", consents=[HIV], resource=qr([it("/88122-7", answer=[{"valueCoding": {"system": ICD, "code": "B20"}}])])),
    row("R1 item below an answer", "redact item[0].answer[0].item[0]", consents=[SDV], resource=qr([it("/88122-7", answer=[{"valueBoolean": True, "item": [it("/76501-6")]}])])),
    row("L1 items by the contained form", "redact item[1]", consents=[consent(permit(deny(securityLabel=labels("SDV"), **{"class": classes("QuestionnaireResponse")})))], resource=qr([it("a"), it("b")], questionnaire="#f", contained=[{"resourceType": "Questionnaire", "id": "f", "status": "active", "item": [{"linkId": "a", "code": [{"system": LOINC, "code": "88122-7"}]}, {"linkId": "b", "code": [{"system": LOINC, "code": "76501-6"}]}]}])),
    row("L1 incarceration item", "redact item[0]", consents=[LV("N")], resource=qr([it("/93028-9"), it("/71802-3")])),
    # L3
    row("L3 contained", "redact contained[1]", consents=[HIV], resource=referral(contained=[inner("E11.9", "a"), inner("B20", "b")], reasonReference=[ref("#a"), ref("#b")])),
    row("L3 own label of a contained", "redact contained[0]", consents=[HIV], resource=referral(contained=[inner("E11.9", meta={"security": labels("HIV")})])),
    row("L3 deep in a contained", "redact contained[0]", consents=[HIV], resource=referral(contained=[inner("E11.9", evidence=[{"code": [concept(ICD, "B20")]}])])),
    row("L3 contained observation", "redact contained[0]", consents=[SDV], resource=referral(contained=[{"resourceType": "Observation", "id": "in", "status": "final", "code": concept(LOINC, "76499-3"), "subject": P1}])),
    row("L3 contained medication nobody names", "redact contained[0]", consents=[SUD], resource=referral(contained=[{"resourceType": "Medication", "id": "in", "code": concept(RXN, "6813")}])),
    row("L3 contained organisation is free", "permit", consents=[consent(permit(**{"class": classes("ServiceRequest")}))], resource=referral(contained=[{"resourceType": "Organization", "id": "o", "name": "x"}], performer=[ref("#o")])),
    row("L3 class does not cover what is contained", "redact contained[0]", consents=[consent(permit(**{"class": classes("ServiceRequest")}))], resource=referral(contained=[inner("E11.9")])),
    row("L3 an instance is had with what it contains", "permit", consents=[about("instance", "ServiceRequest/sr1")], resource=referral(contained=[inner("E11.9")])),
    row("L3 contained patient without identifier", "permit", consents=[ANYONE], resource=referral(contained=[{"resourceType": "Patient", "id": "x", "name": [{"family": "y"}]}])),
    row("L3 resource label covers the contained", "deny", consents=[HIV], resource=referral(meta={"security": labels("HIV")}, contained=[inner("E11.9")])),
    row("L3 subject is contained", "permit", consents=[consent(permit(), patient={"identifier": {"system": "urn:mrn", "value": "1"}})], resource=referral(subject=ref("#p"), contained=[{"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:mrn", "value": "1"}]}])),
    # R4
    row("R4 source label", "deny", consents=[HIV], resource=referral(meta={"security": labels("HIV")}, reasonCode=[concept(ICD, "B20")])),
    row("R4 repeated inline, processed", "redact reasonCode[0]", consents=[HIV], resource=referral(meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")}, reasonCode=[inl("HIV", text="x"), {"text": "y"}])),
    row("R4 not repeated inline", "deny", consents=[HIV], resource=referral(meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")}, reasonCode=[{"text": "y"}])),
    row("R4 another is repeated", "deny", consents=[HIV], resource=referral(meta={"security": labels("R", "HIV", "MH", "PROCESSINLINELABEL")}, reasonCode=[inl("MH", text="y")])),
    row("R4 inline without the mark", "deny", consents=[HIV], resource=referral(meta={"security": labels("R", "HIV")}, reasonCode=[inl("HIV", text="x")])),
    row("R4 strict", "deny", consents=[HIV], resource=referral(meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")}, reasonCode=[inl("HIV", text="x")]), policy={"inline_strict": True}),
    row("R4 a code does not count as inline", "deny", consents=[HIV], resource=referral(meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")}, reasonCode=[concept(ICD, "B20")])),
    row("R4 the level stays", "deny", consents=[LV("N")], resource=referral(meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")}, reasonCode=[inl("HIV", text="x")])),
    # R2
    row("R2 one entry", "permit", consents=[ANYONE], resource=bundle(referral())),
    row("R2 none", "deny", consents=[ANYONE], resource=bundle()),
    row("R2 all denied", "deny", consents=[HIV], resource=bundle(condition("B20"), condition("Z21", id="k2"))),
    row("R2 one denied", "redact entry[0]", consents=[HIV], resource=bundle(condition("B20"), referral())),
    row("R2 redaction inside", "redact entry[1].resource.reasonCode[0]", consents=[HIV], resource=bundle(pat(), referral(reasonCode=[concept(ICD, "B20")]))),
    row("R2 denied and redacted", "redact entry[0] entry[2].resource.contained[0]", consents=[HIV], resource=bundle(condition("B20"), pat(), referral(contained=[inner("B20")]))),
    row("R2 three patients", "redact entry[1] entry[2]", consents=[ANYONE], resource=bundle(referral(), referral(id="b", subject=P2), referral(id="c", subject=ref("Patient/p3")))),
    row("R2 A A B: the second A is still A", "redact entry[2]", consents=[consent(permit(), patient={"identifier": {"system": "urn:m", "value": "a"}})], resource=bundle(*[referral(id=f"s{n}", subject={"identifier": {"system": "urn:m", "value": v}}) for n, v in enumerate("aab")])),
    row("R2 entry without patient shifts nothing", "redact entry[1] entry[2]", consents=[ANYONE], resource=bundle(referral(), referral(id="b", subject=None), referral(id="c", subject=P2), referral(id="d"))),
    row("R2 consents of both", "permit", consents=[ANYONE, consent(permit(), id="b", patient=P2)], resource=bundle(referral(), referral(id="b", subject=P2))),
    row("R2 deny of one does not touch the other", "redact entry[1]", consents=[ANYONE, consent(permit(), id="b", patient=P2), consent(deny(), id="c", patient=P2)], resource=bundle(referral(), referral(id="b", subject=P2))),
    row("R2 directory entries stay", "redact entry[1]", consents=[], resource=bundle({"resourceType": "Organization", "id": "o"}, referral())),
    row("R2 urn:uuid subject", "permit", consents=[consent(permit(), patient={"identifier": {"system": "urn:m", "value": "1"}})], resource=bundle({"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:m", "value": "1"}]}}, {"fullUrl": "urn:uuid:2", "resource": referral(subject=ref("urn:uuid:1"))})),
    row("R2 urn:uuid of nobody", "redact entry[1]", consents=[ANYONE], resource=bundle(referral(), referral(id="b", subject=ref("urn:uuid:9")))),
    row("R2 foreign entry", "redact entry[1]", consents=[ANYONE], resource=bundle(referral(), {"fullUrl": "https://x.example/fhir/ServiceRequest/sr1", "resource": referral()})),
    row("R2 own fullUrl", "permit", consents=[ANYONE], resource=bundle({"fullUrl": f"{OWN}/ServiceRequest/sr1", "resource": referral()})),
    row("R2 part 2 in one entry", "permit" + OB, consents=[consent(permit(securityLabel=labels("N", "SUD")))], resource=bundle(referral(), labelled("R", "SUD", "42CFRPart2"))),
    row("R2 part 2 dropped, no obligation", "redact entry[1]", consents=[ANYONE], resource=bundle(referral(), labelled("R", "SUD", "42CFRPart2"))),
    row("R2 class", "redact entry[0]", consents=[consent(permit(**{"class": classes("ServiceRequest")}))], resource=bundle(pat(), referral())),
    row("R2 each entry by its own time", "redact entry[1]", consents=[DP], resource=bundle(OBS("8302-2", effectiveDateTime="2025"), OBS("8302-2", effectiveDateTime="2026"))),
    row("R2 each entry by its own time, deny", "redact entry[0]", consents=[NDP], resource=bundle(OBS("8302-2", effectiveDateTime="2025"), OBS("8302-2", effectiveDateTime="2026"))),
    row("R2 each entry by its own code", "redact entry[1]", consents=[consent(permit(code=[concept(ICD, "Z59")]))], resource=bundle(condition("Z59.41"), condition("E11.9"))),
    row("R2 each entry by its own name", "redact entry[1]", consents=[about("instance", "ServiceRequest/sr1")], resource=bundle(referral(), referral(id="sr2"))),
    row("R2 each entry by its own tags", "redact entry[1]", consents=[consent(permit(deny(securityLabel=[{"system": "urn:local", "code": "x"}])))], resource=bundle(referral(), referral(meta={"security": [{"system": "urn:local", "code": "x"}]}))),
    row("R2 a foreign entry and its own consent", "permit", consents=[consent(permit(), patient={"reference": "https://x.example/fhir/Patient/p1"})], resource=bundle({"fullUrl": "https://x.example/fhir/ServiceRequest/sr1", "resource": referral()})),
    row("R2 a foreign patient in the Bundle", "permit", consents=[consent(permit(), patient={"identifier": {"system": "urn:m", "value": "1"}})], resource=bundle({"fullUrl": "https://x.example/fhir/Patient/p1", "resource": pat(identifier=[{"system": "urn:m", "value": "1"}])}, {"fullUrl": "https://x.example/fhir/ServiceRequest/sr1", "resource": referral()})),
    row("R2 address and id name two people", "redact entry[0]", consents=[ANYONE], resource=bundle({"fullUrl": f"{OWN}/Patient/p2", "resource": pat()}, referral())),
    # X
    *[row(f"X1 {t}", "permit", resource={"resourceType": t, "id": "x"}) for t in ("Organization", "Location", "HealthcareService", "Practitioner", "PractitionerRole", "Endpoint", "CodeSystem", "ValueSet", "ConceptMap")],
    row("X1 not for a patient's record inside", "redact contained[0]", resource={"resourceType": "Organization", "id": "x", "contained": [inner("E11.9")]}),
    row("X1 whatever a consent says", "permit", consents=[consent(deny())], resource={"resourceType": "Location", "id": "x"}),
    row("X2 no subject", "deny", consents=[ANYONE], resource=referral(subject=None)),
    row("X2 a group by identifier", "deny", consents=[consent(permit(), patient={"identifier": {"system": "urn:m", "value": "1"}})], resource=referral(subject={"type": "Group", "identifier": {"system": "urn:m", "value": "1"}})),
    row("X2 a person by identifier", "permit", consents=[consent(permit(), patient={"identifier": {"system": "urn:m", "value": "1"}})], resource=referral(subject={"type": "Patient", "identifier": {"system": "urn:m", "value": "1"}})),
    row("X2 open contract", "deny", policy=OPEN, resource=referral(subject={"display": "x"})),
    row("X2 a group", "deny", consents=[ANYONE], policy=OPEN, resource=referral(subject=ref("Group/g"))),
    row("X2 task for nobody", "deny", policy=OPEN, resource=task(**{"for": None})),
    # P1
    row("P1 nothing to drop", "permit", **MIN),
    row("P1 referral", "redact reasonCode note supportingInfo", **MIN, resource=referral(code={"text": "x"}, reasonCode=[{"text": "y"}], note=[{"text": "z"}], supportingInfo=[ref("Condition/1")], requester=ref("Organization/h"), performer=[ref("Organization/f")], priority="routine", occurrencePeriod={"start": "2026"})),
    row("P1 identifier of a referral", "redact identifier", **MIN, resource=referral(identifier=[{"value": "1"}])),
    row("P1 patient", "redact identifier gender birthDate", **MIN, resource=pat(identifier=[{"value": "1"}], active=True, name=[{"family": "x"}], gender="female", birthDate="1980", telecom=[{"value": "1"}], address=[{"city": "x"}], communication=[{"language": {"text": "en"}}])),
    row("P1 task", "redact reasonCode note input", **MIN, resource=task(code={"text": "f"}, focus=ref("ServiceRequest/sr1"), owner=ref("Organization/f"), authoredOn="2026", lastModified="2026", businessStatus={"text": "x"}, reasonCode={"text": "x"}, note=[{"text": "x"}], input=[{"type": {"text": "x"}, "valueString": "y"}])),
    row("P1 condition", "deny", **MIN, resource=condition("Z59.41")),
    row("P1 observation", "deny", **MIN, resource=OBS("88122-7")),
    row("P1 coverage", "deny", **MIN, resource={"resourceType": "Coverage", "id": "v", "status": "active", "beneficiary": P1, "payor": []}),
    row("P1 bundle", "redact entry[0].resource.birthDate entry[1] entry[2].resource.insurance", **MIN, resource=bundle(pat(birthDate="1980"), condition("Z59.41"), referral(insurance=[ref("Coverage/1")]))),
    row("P1 is asked after consent", "deny", consents=[], profile="cbo-minimum", resource=referral(note=[{"text": "x"}])),
    row("P1 not without a profile", "permit", consents=[ANYONE], resource=referral(note=[{"text": "x"}], reasonCode=[{"text": "x"}])),
    row("P1 type alone does not switch it on", "permit", consents=[ANYONE], type="cbo", resource=referral(note=[{"text": "x"}])),
    # obligations
    row("42 CFR 2.32", "permit" + OB, consents=[LV("N", "SUD")], resource=labelled("R", "42CFRPart2")),
    row("42 CFR 2.32 with a part withheld", "redact component[0]" + OB, consents=[consent(permit(deny(securityLabel=labels("HIV")), securityLabel=labels("R", "SUD")))], resource=labelled("R", "SUD", "42CFRPart2", component=[{"code": concept(LOINC, "75622-1")}])),
]
