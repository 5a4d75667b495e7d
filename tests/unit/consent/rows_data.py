"""Cases by rule: which data, what outranks what (M5-M9, F1-F6, L1, L2, D1, D2, N1-N4, C1, C2)."""

from __future__ import annotations

from typing import Any

from tests.unit.consent.build import (
    ACT,
    ADAMS,
    ANYONE,
    CBO,
    FOOD_BANK,
    ICD,
    LOINC,
    OPEN,
    P1,
    SHELTER,
    Json,
    classes,
    concept,
    condition,
    consent,
    deny,
    labelled,
    labels,
    permit,
    purposes,
    referral,
    row,
)

GRAV = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
RXN = "http://www.nlm.nih.gov/research/umls/rxnorm"
PROF = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ServiceRequest"
Y25 = {"start": "2025-01-01", "end": "2025-12-31"}
def LV(*codes: str) -> Json:  # noqa: N802 - reads as a word of the rows
    """A permit that lists these labels."""
    return consent(permit(securityLabel=labels(*codes)))


def NOT(*codes: str) -> Json:  # noqa: N802
    """A permit of all but these labels."""
    return consent(permit(deny(securityLabel=labels(*codes))))


def OBS(code: str, **elements: Any) -> Json:  # noqa: N802
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": concept(LOINC, code), "subject": P1, **elements}


def ref(reference: str) -> Json:
    return {"reference": reference}


def about(meaning: str, who: str | Json) -> Json:
    """A permit of what provision.data says."""
    return consent(permit(data=[{"meaning": meaning, "reference": who if isinstance(who, dict) else ref(who)}]))


def never(meaning: str, who: str | Json) -> Json:
    """A permit of all but what provision.data says."""
    return consent(permit(deny(data=[{"meaning": meaning, "reference": who if isinstance(who, dict) else ref(who)}])))


DP = consent(permit(dataPeriod=Y25))
NDP = consent(permit(deny(dataPeriod=Y25)))
OB = " part2-notice copy-of-consent"
FBP = permit(actor=[FOOD_BANK])
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    # M5 permit: level
    row("M5 permit N, no label", "permit", consents=[LV("N")], resource=labelled()),
    row("M5 permit N, L", "permit", consents=[LV("N")], resource=labelled("L")),
    row("M5 permit N, U", "permit", consents=[LV("N")], resource=labelled("U")),
    row("M5 permit N, M", "permit", consents=[LV("N")], resource=labelled("M")),
    row("M5 permit N, R", "deny", consents=[LV("N")], resource=labelled("R")),
    row("M5 permit L, no label", "deny", consents=[LV("L")], resource=labelled()),
    row("M5 permit M, no label", "deny", consents=[LV("M")], resource=labelled()),
    row("M5 permit R, R", "permit", consents=[LV("R")], resource=labelled("R")),
    row("M5 permit R covers any kind at R", "permit", consents=[LV("R")], resource=condition("B20")),
    row("M5 permit R, V", "deny", consents=[LV("R")], resource=labelled("V")),
    row("M5 permit V", "permit", consents=[LV("V")], resource=labelled("V", "HIV")),
    row("M5 highest listed counts", "permit", consents=[LV("N", "R")], resource=labelled("R")),
    # M5 permit: kinds
    row("M5 permit HIV on B20", "permit", consents=[LV("HIV")], resource=condition("B20")),
    row("M5 permit HIV on V labelled HIV", "permit", consents=[LV("HIV")], resource=labelled("V", "HIV")),
    row("M5 permit HIV on ordinary data", "deny", consents=[LV("HIV")], resource=labelled()),
    row("M5 permit N HIV on ordinary data", "permit", consents=[LV("N", "HIV")], resource=labelled()),
    row("M5 permit N HIV on HIV", "permit", consents=[LV("N", "HIV")], resource=labelled("HIV")),
    row("M5 permit N HIV on SUD", "deny", consents=[LV("N", "HIV")], resource=labelled("SUD")),
    row("M5 permit both", "permit", consents=[LV("HIV", "SUD")], resource=labelled("SUD", "HIV")),
    row("M5 permit SUD on ETHUD", "permit", consents=[LV("SUD")], resource=labelled("ETHUD")),
    row("M5 permit ETHUD on SUD", "deny", consents=[LV("ETHUD")], resource=labelled("SUD")),
    row("M5 permit ETHUD on opioids", "deny", consents=[LV("ETHUD")], resource=condition("F11.20")),
    row("M5 permit ETH on OPIOIDUD", "permit", consents=[LV("ETH")], resource=labelled("OPIOIDUD")),
    row("M5 permit SUD on ETH", "permit", consents=[LV("SUD")], resource=labelled("ETH")),
    row("M5 permit MH on PSY", "permit", consents=[LV("MH")], resource=labelled("PSY")),
    row("M5 permit PSY on F33", "permit", consents=[LV("PSY")], resource=condition("F33.1")),
    row("M5 permit BH on SUD", "permit", consents=[LV("BH")], resource=labelled("SUD")),
    row("M5 permit BH on COGN", "permit", consents=[LV("BH")], resource=condition("F71")),
    row("M5 permit BH on DVD", "permit", consents=[LV("BH")], resource=condition("F84.0")),
    row("M5 permit BH on EMOTDIS", "permit", consents=[LV("BH")], resource=labelled("EMOTDIS")),
    row("M5 permit SPI on MH and SUD", "permit", consents=[LV("SPI")], resource=labelled("MH", "SUD")),
    row("M5 permit SPI not on HIV", "deny", consents=[LV("SPI")], resource=labelled("HIV")),
    row("M5 permit MH not on BH", "deny", consents=[LV("MH")], resource=labelled("BH")),
    row("M5 permit VIO not on SDV", "deny", consents=[LV("VIO")], resource=labelled("SDV")),
    row("M5 permit SDV on SDV", "permit", consents=[LV("SDV")], resource=condition("T74.11XA")),
    row("M5 permit STD alone on a code that is SEX too", "deny", consents=[LV("STD")], resource=condition("A51.0")),
    row("M5 permit STD SEX", "permit", consents=[LV("STD", "SEX")], resource=condition("A51.0")),
    # M5 deny
    row("M5 deny R, N", "permit", consents=[NOT("R")], resource=labelled()),
    row("M5 deny R, HIV code", "deny", consents=[NOT("R")], resource=condition("Z21")),
    row("M5 deny V, R", "permit", consents=[NOT("V")], resource=labelled("R")),
    row("M5 deny V, V", "deny", consents=[NOT("V")], resource=labelled("V")),
    row("M5 deny N denies all", "deny", consents=[NOT("N")], resource=labelled()),
    row("M5 deny N leaves L", "permit", consents=[NOT("N")], resource=labelled("L")),
    row("M5 deny lowest listed counts", "deny", consents=[NOT("V", "R")], resource=labelled("R")),
    row("M5 deny any one", "deny", consents=[NOT("HIV")], resource=labelled("SUD", "HIV")),
    row("M5 deny other", "permit", consents=[NOT("HIV")], resource=labelled("SUD")),
    row("M5 deny SUD on ETHUD", "deny", consents=[NOT("SUD")], resource=labelled("ETHUD")),
    row("M5 deny ETHUD on SUD", "permit", consents=[NOT("ETHUD")], resource=labelled("SUD")),
    row("M5 deny ETHUD on opioids", "permit", consents=[NOT("ETHUD")], resource=condition("F11.20")),
    row("M5 deny ETH on F12", "deny", consents=[NOT("ETH")], resource=condition("F12.20")),
    row("M5 deny BH on F90", "deny", consents=[NOT("BH")], resource=condition("F90.0")),
    row("M5 deny PSY on MH", "deny", consents=[NOT("PSY")], resource=labelled("MH")),
    row("M5 deny MH on BH", "permit", consents=[NOT("MH")], resource=labelled("BH")),
    row("M5 deny VIO on SDV", "deny", consents=[NOT("VIO")], resource=condition("Z69.11")),
    row("M5 deny SPI on SUD", "deny", consents=[NOT("SPI")], resource=condition("F19.20")),
    row("M5 deny SPI leaves HIV", "permit", consents=[NOT("SPI")], resource=condition("B20")),
    row("M5 deny 42CFRPart2 leaves ordinary SUD", "permit", consents=[NOT("42CFRPart2")], resource=condition("F10.20")),
    # M6
    row("M6 class", "permit", consents=[consent(permit(**{"class": classes("ServiceRequest")}))]),
    row("M6 one of two classes", "permit", consents=[consent(permit(**{"class": classes("Condition", "ServiceRequest")}))]),
    row("M6 deny class", "deny", consents=[consent(permit(deny(**{"class": classes("ServiceRequest")})))]),
    row("M6 deny another class", "permit", consents=[consent(permit(deny(**{"class": classes("Condition")})))]),
    row("M6 profile with version", "permit", consents=[consent(permit(**{"class": [{"system": "urn:ietf:rfc:3986", "code": PROF}]}))], resource=referral(meta={"profile": [PROF + "|3.0.0"]})),
    row("M6 profile not claimed", "deny", consents=[consent(permit(**{"class": [{"system": "urn:ietf:rfc:3986", "code": PROF}]}))]),
    row("M6 deny profile", "deny", consents=[consent(permit(deny(**{"class": [{"system": "urn:ietf:rfc:3986", "code": PROF}]})))], resource=referral(meta={"profile": [PROF]})),
    # M7
    row("M7 code", "permit", consents=[consent(permit(code=[concept(ICD, "Z59.41")]))], resource=condition("Z59.41")),
    row("M7 category", "permit", consents=[consent(permit(code=[concept(ICD, "Z59")]))], resource=condition("Z59.41")),
    row("M7 not the other way", "deny", consents=[consent(permit(code=[concept(ICD, "Z59.41")]))], resource=condition("Z59.4")),
    row("M7 another system", "deny", consents=[consent(permit(code=[concept("http://snomed.info/sct", "8302-2")]))], resource=OBS("8302-2")),
    row("M7 LOINC has no prefix", "deny", consents=[consent(permit(code=[concept(LOINC, "8302")]))], resource=OBS("8302-2")),
    row("M7 one of two codings", "permit", consents=[consent(permit(code=[concept(ICD, "E11.9")]))], resource=condition("Z59.41", "E11.9")),
    row("M7 permit does not look at the reason", "deny", consents=[consent(permit(code=[concept(ICD, "Z59.41")]))], resource=referral(code=concept(LOINC, "1-8"), reasonCode=[concept(ICD, "Z59.41")])),
    row("M7 deny the code of the core", "deny", consents=[consent(permit(deny(code=[concept(ICD, "Z59")])))], resource=condition("Z59.41")),
    row("M7 deny another code", "permit", consents=[consent(permit(deny(code=[concept(ICD, "Z60")])))], resource=condition("Z59.41")),
    row("M7 deny a code among the values", "deny", consents=[consent(permit(deny(code=[concept(ICD, "Z59.41")])))], resource=OBS("8302-2", valueCodeableConcept=concept(ICD, "Z59.41"))),
    row("M7 deny a code in the category", "deny", consents=[consent(permit(deny(code=[concept(GRAV, "food-insecurity")])))], resource=referral(category=[concept(GRAV, "food-insecurity")])),
    row("M7 deny a code of an element", "redact reasonCode[0]", consents=[consent(permit(deny(code=[concept(ICD, "Z59")])))], resource=referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "E11.9")])),
    row("M7 dots do not matter", "permit", consents=[consent(permit(code=[concept(ICD, "Z5941")]))], resource=condition("Z59.41")),
    row("M7 medication", "permit", consents=[consent(permit(code=[concept(RXN, "860975")]))], resource={"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order", "subject": P1, "medicationCodeableConcept": concept(RXN, "860975")}),
    # M8
    row("M8 inside", "permit", consents=[DP], resource=OBS("8302-2", effectiveDateTime="2025-12-31")),
    row("M8 after", "deny", consents=[DP], resource=OBS("8302-2", effectiveDateTime="2026-01-01")),
    row("M8 permit: first day", "permit", consents=[DP], resource=OBS("8302-2", effectiveDateTime="2025-01-01T00:00:00Z")),
    row("M8 permit: over the edge", "deny", consents=[DP], resource=OBS("8302-2", effectivePeriod={"start": "2025-12-31", "end": "2026-01-01"})),
    row("M8 deny: over the edge", "deny", consents=[NDP], resource=OBS("8302-2", effectivePeriod={"start": "2025-12-31", "end": "2026-01-01"})),
    row("M8 permit: open end", "deny", consents=[DP], resource=OBS("8302-2", effectivePeriod={"start": "2025-12-01"})),
    row("M8 deny: open end", "deny", consents=[NDP], resource=OBS("8302-2", effectivePeriod={"start": "2020-12-01"})),
    row("M8 deny: after", "permit", consents=[NDP], resource=OBS("8302-2", effectiveDateTime="2026-01-01")),
    row("M8 deny: before", "permit", consents=[NDP], resource=OBS("8302-2", effectiveDateTime="2024-12-31")),
    row("M8 permit undated", "deny", consents=[DP], resource=condition("E11.9")),
    row("M8 deny undated", "deny", consents=[NDP], resource=condition("E11.9")),
    row("M8 permit a year that is the period", "permit", consents=[DP], resource=OBS("8302-2", effectiveDateTime="2025")),
    row("M8 permit a year in a shorter period", "deny", consents=[consent(permit(dataPeriod={"start": "2025-03"}))], resource=OBS("8302-2", effectiveDateTime="2025")),
    row("M8 deny a year in a shorter period", "deny", consents=[consent(permit(deny(dataPeriod={"start": "2025-03", "end": "2025-03"})))], resource=OBS("8302-2", effectiveDateTime="2025")),
    row("M8 local day, permit", "permit", consents=[DP], resource=OBS("8302-2", effectiveDateTime="2026-01-01T04:59:59Z"), policy={"timezone": "America/New_York"}),
    row("M8 local day, permit, over", "deny", consents=[DP], resource=OBS("8302-2", effectiveDateTime="2026-01-01T05:00:00Z"), policy={"timezone": "America/New_York"}),
    row("M8 local day, deny", "deny", consents=[NDP], resource=OBS("8302-2", effectiveDateTime="2026-01-01T04:59:59Z"), policy={"timezone": "America/New_York"}),
    row("M8 reversed permit", "deny", consents=[consent(permit(dataPeriod={"start": "2026", "end": "2024"}))], resource=OBS("8302-2", effectiveDateTime="2025")),
    row("M8 reversed deny", "deny", consents=[consent(permit(deny(dataPeriod={"start": "2026", "end": "2024"})))], resource=OBS("8302-2", effectiveDateTime="2023")),
    row("M8 encounter", "permit", consents=[DP], resource={"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}, "subject": P1, "period": {"start": "2025-02-01", "end": "2025-02-03"}}),
    row("M8 referral by authoredOn", "permit", consents=[DP], resource=referral(authoredOn="2025-07-01T10:00:00Z")),
    row("M8 procedure", "deny", consents=[NDP], resource={"resourceType": "Procedure", "id": "p", "status": "completed", "subject": P1, "performedDateTime": "2025-12-31T23:59:59Z"}),
    # M9
    row("M9 instance", "permit", consents=[about("instance", "ServiceRequest/sr1")]),
    row("M9 instance, absolute own", "permit", consents=[about("instance", "https://bridge.example.org/fhir/ServiceRequest/sr1")]),
    row("M9 instance, foreign", "deny", consents=[about("instance", "https://x.example/ServiceRequest/sr1")]),
    row("M9 another instance", "deny", consents=[about("instance", "ServiceRequest/sr2")]),
    row("M9 same id, other type", "deny", consents=[about("instance", "Condition/sr1")]),
    row("M9 related: itself", "permit", consents=[about("related", "ServiceRequest/sr1")]),
    row("M9 related: its encounter", "permit", consents=[about("related", "Encounter/e1")], resource=referral(encounter=ref("Encounter/e1"))),
    row("M9 related: another encounter", "deny", consents=[about("related", "Encounter/e1")], resource=referral(encounter=ref("Encounter/e2"))),
    row("M9 dependents", "permit", consents=[about("dependents", "CarePlan/c")], resource=referral(basedOn=[ref("CarePlan/c")])),
    row("M9 instance is not what refers to it", "deny", consents=[about("instance", "Encounter/e1")], resource=referral(encounter=ref("Encounter/e1"))),
    row("M9 authored by requester", "permit", consents=[about("authoredby", "Organization/school")], resource=referral(requester=ref("Organization/school"))),
    row("M9 authored by performer of an observation", "permit", consents=[about("authoredby", "Organization/school")], resource=OBS("8302-2", performer=[ref("Practitioner/x"), ref("Organization/school")])),
    row("M9 authored by recorder", "permit", consents=[about("authoredby", "Practitioner/x")], resource=condition("E11.9", recorder=ref("Practitioner/x"))),
    row("M9 authored by asserter", "permit", consents=[about("authoredby", "Practitioner/x")], resource=condition("E11.9", asserter=ref("Practitioner/x"))),
    row("M9 authored by author", "permit", consents=[about("authoredby", "Organization/school")], resource={"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": P1, "author": [ref("Organization/school")], "content": []}),
    row("M9 authored by someone else", "deny", consents=[about("authoredby", "Organization/school")], resource=referral(requester=ref("Organization/clinic"))),
    row("M9 not authored by the subject", "deny", consents=[about("authoredby", "Patient/p1")]),
    row("M9 authored by identifier", "permit", consents=[about("authoredby", {"identifier": {"system": CBO, "value": "S"}})], resource=referral(requester={"identifier": {"system": CBO, "value": "S"}})),
    row("M9 deny instance", "deny", consents=[never("instance", "ServiceRequest/sr1")]),
    row("M9 deny another instance", "permit", consents=[never("instance", "ServiceRequest/sr2")]),
    row("M9 deny related", "deny", consents=[never("related", "Encounter/e1")], resource=referral(encounter=ref("Encounter/e1"))),
    row("M9 deny authored by", "deny", consents=[never("authoredby", "Organization/school")], resource=referral(requester=ref("Organization/school"))),
    # elements are ANDed
    row("AND both criteria", "permit", consents=[consent(permit(**{"class": classes("Condition")}, securityLabel=labels("N")))], resource=condition("Z59.41")),
    row("AND one fails", "deny", consents=[consent(permit(**{"class": classes("Condition")}, securityLabel=labels("N")))], resource=condition("B20")),
    row("AND deny needs both", "permit", consents=[consent(permit(deny(**{"class": classes("Condition")}, securityLabel=labels("HIV"))))], resource=OBS("75622-1")),
    row("AND deny has both", "deny", consents=[consent(permit(deny(**{"class": classes("Condition")}, securityLabel=labels("HIV"))))], resource=condition("B20")),
    # F1 D1 D2
    row("D1 no consent", "deny"),
    row("D1 policy says deny", "deny", policy={"no_consent": "deny"}),
    row("D2 default", "permit", policy=OPEN),
    *[row(f"D2 purpose {p}", e, policy=OPEN, purpose=p) for p, e in (("HPAYMT", "permit"), ("HOPERAT", "permit"), ("COC", "permit"), ("CAREMGT", "permit"), ("BTG", "permit"), ("HRESCH", "deny"), ("HMARKT", "deny"), ("PUBHLTH", "deny"), ("PATRQT", "deny"))],
    row("D2 R", "deny", policy=OPEN, resource=labelled("R")),
    row("D2 L", "permit", policy=OPEN, resource=labelled("L")),
    row("D2 sensitivity by code", "deny", policy=OPEN, resource=condition("Z69.11")),
    row("D2 part 2", "deny", policy=OPEN, resource=labelled("42CFRPart2")),
    row("D2 only a part is sensitive", "redact reasonCode[1]", policy=OPEN, resource=referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "F32.1")])),
    *[row(f"F1 {c}", "deny", policy=OPEN, resource=labelled("N", c)) for c in ("NODSCLCD", "NODSCLCDS", "NORDSCLCD", "NORDSCLCDS", "NORDSCLW", "NOAUTH")],
    row("F1 a permit is the directive", "permit", consents=[ANYONE], resource=labelled("N", "NORDSCLCD")),
    row("F1 another obligation is none", "permit", policy=OPEN, resource=labelled("N", "CPLYCD")),
    # F2
    row("F2 general permit", "deny", consents=[ANYONE], resource=labelled("R", "42CFRPart2")),
    row("F2 permit R", "deny", consents=[LV("R")], resource=labelled("R", "42CFRPart2")),
    row("F2 permit V", "deny", consents=[LV("V")], resource=labelled("R", "SUD", "42CFRPart2")),
    *[row(f"F2 permit R {c}", "permit" + OB, consents=[LV("R", c)], resource=labelled("R", "SUD", "42CFRPart2")) for c in ("42CFRPart2", "SUD", "ETH", "ETHUD", "OPIOIDUD", "BH", "SPI")],
    row("F2 permit R HIV", "deny", consents=[LV("R", "HIV")], resource=labelled("R", "SUD", "42CFRPart2")),
    row("F2 permit R MH", "deny", consents=[LV("R", "MH")], resource=labelled("R", "MH", "42CFRPart2")),
    row("F2 permit SUD", "permit" + OB, consents=[LV("SUD")], resource=labelled("R", "ETHUD", "42CFRPart2")),
    row("F2 permit by code", "permit" + OB, consents=[consent(permit(code=[concept(ICD, "F11")]))], resource=condition("F11.20", meta={"security": labels("R", "OPIOIDUD", "42CFRPart2")})),
    row("F2 permit by instance", "permit" + OB, consents=[about("instance", "Observation/o1")], resource=labelled("R", "42CFRPart2")),
    row("F2 class is no description", "deny", consents=[consent(permit(**{"class": classes("Observation")}))], resource=labelled("42CFRPart2")),
    row("F2 dataPeriod is no description", "deny", consents=[DP], resource=labelled("42CFRPart2", effectiveDateTime="2025-05-05")),
    row("F2 an ancestor names it", "permit" + OB, consents=[consent(permit(permit(actor=[FOOD_BANK]), actor=[FOOD_BANK, SHELTER], securityLabel=labels("R", "SUD")))], resource=labelled("R", "SUD", "42CFRPart2")),
    row("F2 nested rule overlays with a level only", "deny", consents=[consent(deny(permit(permit(securityLabel=labels("R")), actor=[SHELTER], securityLabel=labels("SUD"))))], resource=labelled("R", "SUD", "42CFRPart2"), who="food-bank"),
    row("F2 opt-in is general", "deny", consents=[consent(None, "OPTIN")], resource=labelled("42CFRPart2")),
    row("F2 only the Part 2 part is withheld", "redact contained[0]", consents=[ANYONE], resource=referral(contained=[{"resourceType": "Condition", "id": "in", "meta": {"security": labels("42CFRPart2")}, "code": concept(ICD, "E11.9"), "subject": P1}])),
    row("F2 not from a Part 2 source", "permit", consents=[ANYONE], resource=condition("F11.20")),
    # F3
    row("F3 general permit", "deny", consents=[ANYONE], resource=labelled("R", "PSYTHPN")),
    row("F3 permit PSY", "deny", consents=[LV("PSY")], resource=labelled("PSYTHPN")),
    row("F3 permit R", "deny", consents=[LV("R")], resource=labelled("PSYTHPN")),
    row("F3 permit PSYTHPN", "permit", consents=[LV("PSYTHPN")], resource=labelled("PSYTHPN")),
    row("F3 permit R PSYTHPN", "permit", consents=[LV("R", "PSYTHPN")], resource=labelled("R", "MH", "PSYTHPN")),
    row("F3 deny MH", "deny", consents=[LV("PSYTHPN"), consent({"provision": [deny(securityLabel=labels("MH"))]}, id="b")], resource=labelled("PSYTHPN")),
    # F4
    row("F4 same", "permit", consents=[ANYONE], resource=referral(meta={"security": purposes("TREAT")})),
    row("F4 descendant", "permit", consents=[ANYONE], resource=referral(meta={"security": purposes("TREAT")}), purpose="ETREAT"),
    row("F4 ancestor", "deny", consents=[ANYONE], resource=referral(meta={"security": purposes("COC")})),
    row("F4 one of two", "permit", consents=[ANYONE], resource=referral(meta={"security": purposes("HPAYMT", "TREAT")})),
    row("F4 other", "deny", consents=[ANYONE], resource=referral(meta={"security": purposes("HPAYMT")})),
    row("F4 also for the default", "deny", policy=OPEN, resource=referral(meta={"security": purposes("HPAYMT")})),
    # F5
    row("F5 no clearance", "deny", consents=[ANYONE], resource=labelled("CTCOMPT")),
    row("F5 clearance", "permit", consents=[ANYONE], resource=labelled("CTCOMPT"), clearances=["CTCOMPT"]),
    row("F5 one missing", "deny", consents=[ANYONE], resource=labelled("CTCOMPT", "RESCOMPT"), clearances=["CTCOMPT"]),
    row("F5 clearance as coding", "permit", consents=[ANYONE], resource=labelled("HRCOMPT"), clearances=[{"system": ACT, "code": "HRCOMPT"}]),
    row("F5 also for the default", "deny", policy=OPEN, resource=labelled("N", "FMCOMPT")),
    # F6
    row("F6 marketing unstated", "deny", consents=[ANYONE], purpose="HMARKT"),
    row("F6 marketing stated", "permit", consents=[consent(permit(purpose=purposes("HMARKT")))], purpose="HMARKT"),
    row("F6 research unstated", "deny", consents=[ANYONE], purpose="TRANSRCH"),
    row("F6 research stated", "permit", consents=[consent(permit(purpose=purposes("HRESCH")))], purpose="TRANSRCH"),
    row("F6 stated by an ancestor", "permit", consents=[consent(permit(permit(actor=[FOOD_BANK]), actor=[FOOD_BANK, SHELTER], purpose=purposes("HMARKT")))], purpose="HMARKT"),
    row("F6 stated by a deny root above", "permit", consents=[consent(deny(permit(actor=[FOOD_BANK]), purpose=purposes("HMARKT")))], purpose="HMARKT"),
    row("F6 not for payment", "permit", consents=[ANYONE], purpose="HPAYMT"),
    row("F6 opt-in", "deny", consents=[consent(None, "OPTIN")], purpose="HMARKT"),
    # L1
    *[row(f"L1 {code} is {label}", "deny", consents=[NOT(label)], resource=condition(code)) for code, label in (
        ("F10.20", "ETHUD"), ("F11.10", "OPIOIDUD"), ("F14.20", "SUD"), ("F18.10", "SUD"), ("F19.20", "SUD"), ("Z71.41", "SUD"), ("Z71.51", "SUD"), ("O99.310", "SUD"), ("O99.320", "SUD"),
        ("P96.1", "SUD"), ("P04.49", "SUD"), ("Q86.0", "SUD"), ("G62.1", "SUD"), ("I42.6", "SUD"), ("K70.30", "SUD"), ("K29.20", "SUD"), ("G31.2", "SUD"), ("G72.1", "SUD"), ("T40.1X1A", "SUD"), ("T51.0X1A", "SUD"),
        ("F20.9", "MH"), ("F69", "MH"), ("F98.9", "MH"), ("R45.851", "MH"), ("R45.850", "MH"), ("T14.91XA", "MH"), ("Z91.51", "MH"), ("O99.340", "MH"), ("Z86.59", "MH"), ("F79", "COGN"), ("F80.1", "DVD"),
        ("B97.35", "HIV"), ("Z20.6", "HIV"), ("R75", "HIV"), ("O98.711", "HIV"), ("Z71.7", "HIV"), ("Z11.4", "HIV"), ("Z29.81", "HIV"),
        ("A64", "STD"), ("Z11.3", "STD"), ("Z20.2", "STD"), ("O98.111", "STD"), ("O98.311", "STD"), ("A50.9", "SEX"), ("Z33.2", "SEX"), ("O04.5", "SEX"), ("N97.9", "SEX"), ("N46.9", "SEX"), ("F52.0", "SEX"), ("Z70.1", "SEX"), ("Z72.51", "SEX"),
        ("F64.0", "GENDER"), ("Z87.890", "GENDER"), ("T76.11XA", "SDV"), ("Y07.01", "SDV"), ("Z91.410", "SDV"), ("Z62.810", "SDV"), ("O9A.311", "SDV"), ("Z04.41", "SDV"), ("Z04.71", "SDV"),
        ("Z15.01", "GDIS"), ("Z31.430", "GDIS"), ("Z84.81", "GDIS"), ("D57.1", "SCA"), ("Z65.1", "R"), ("Z65.2", "R"))],
    *[row(f"L1 {code} is not {label}", "permit", consents=[NOT(label)], resource=condition(code)) for code, label in (
        ("F17.210", "R"), ("Z79.891", "SUD"), ("T40.2X5A", "SUD"), ("T40.605A", "SUD"), ("T40.2X6A", "SUD"), ("F70", "MH"), ("F84.0", "MH"), ("F03.90", "MH"), ("B19.20", "HIV"), ("A49.9", "STD"), ("Z59.00", "R"), ("E11.9", "R"), ("A65", "STD"), ("Z65.3", "R"), ("D58.0", "SCA"))],
    *[row(f"L1 LOINC {code} is {label}", "deny", consents=[NOT(label)], resource=OBS(code)) for code, label in (
        ("75626-2", "SUD"), ("82666-9", "SUD"), ("44249-1", "MH"), ("44261-6", "MH"), ("44260-8", "MH"), ("55757-9", "MH"), ("55758-7", "MH"), ("75622-1", "HIV"), ("56888-1", "HIV"), ("20447-9", "HIV"), ("82810-3", "SEX"),
        ("76691-5", "GENDER"), ("76690-7", "GENDER"), ("90778-2", "GENDER"), ("76499-3", "SDV"), ("76501-6", "SDV"), ("76502-4", "SDV"), ("76503-2", "SDV"), ("76504-0", "SDV"), ("93028-9", "R"), ("93027-1", "R"))],
    row("L1 category", "deny", consents=[NOT("SDV")], resource=referral(category=[concept(GRAV, "intimate-partner-violence")])),
    row("L1 category elder abuse", "deny", consents=[NOT("VIO")], resource=referral(category=[concept(GRAV, "elder-abuse")])),
    row("L1 category incarceration", "deny", consents=[LV("N")], resource=referral(category=[concept(GRAV, "incarceration-status")])),
    row("L1 category food", "permit", consents=[LV("N")], resource=referral(category=[concept(GRAV, "food-insecurity")])),
    row("L1 lower case without dot in ICD-10", "deny", consents=[NOT("SUD")], resource={**condition(), "code": concept("http://hl7.org/fhir/sid/icd-10", "f1020")}),
    row("L1 the same letters in another system say nothing", "permit", consents=[NOT("SUD")], resource={**condition(), "code": concept("urn:local", "F10.20")}),
    row("L1 an order for the test reveals", "deny", consents=[NOT("HIV")], resource=referral(code=concept(LOINC, "75622-1"))),
    row("L1 second coding", "deny", consents=[NOT("HIV")], resource=condition("E11.9", "B20")),
    # L2
    row("L2 sensitivity with N is R", "deny", consents=[LV("N")], resource=labelled("N", "HIV")),
    row("L2 sensitivity is R under R", "permit", consents=[LV("R")], resource=labelled("N", "HIV")),
    row("L2 code raises", "deny", consents=[LV("N")], resource=condition("Z21")),
    # N C
    row("N1 depth 2", "permit", consents=[consent(deny(permit(actor=[FOOD_BANK])))]),
    row("N1 depth 4", "deny", consents=[consent(deny(permit(deny(permit(actor=[SHELTER]), securityLabel=labels("N")), actor=[FOOD_BANK])))]),
    row("N1 depth 4, innermost", "permit", consents=[consent(deny(permit(deny(permit(actor=[SHELTER]), securityLabel=labels("N")), actor=[FOOD_BANK, SHELTER])))], who="shelter"),
    row("N1 permit under permit widens", "permit", consents=[consent(permit(permit(actor=[ADAMS], securityLabel=labels("R")), securityLabel=labels("N")))], who="Practitioner/adams", resource=labelled("R")),
    row("N1 the wider root still permits", "permit", consents=[consent(permit(permit(actor=[ADAMS], securityLabel=labels("R")), securityLabel=labels("N")))], resource=labelled("N")),
    row("N1 permit nested for someone else leaves the root", "deny", consents=[consent(permit(permit(actor=[ADAMS], securityLabel=labels("R")), securityLabel=labels("N")))], resource=labelled("R")),
    row("N2 nested permit and deny on one label", "deny", consents=[consent(deny(permit(securityLabel=labels("R")), deny(securityLabel=labels("HIV"))))], resource=labelled("HIV")),
    row("N2 deny deep beside a permit", "deny", consents=[consent(permit(permit(actor=[FOOD_BANK]), permit(deny(actor=[FOOD_BANK]))))]),
    row("N3 context intersects, both", "permit", consents=[consent(permit(permit(purpose=purposes("COC")), actor=[FOOD_BANK]))], purpose="COC"),
    row("N3 nested class replaces class only", "deny", consents=[consent(deny(permit(permit(**{"class": classes("Condition")}), **{"class": classes("Observation")}, securityLabel=labels("N"))))], resource=condition("B20")),
    row("N3 nested class replaces class", "permit", consents=[consent(deny(permit(permit(**{"class": classes("Condition")}), **{"class": classes("Observation")}, securityLabel=labels("N"))))], resource=condition("E11.9")),
    row("N3 deny inherits the class", "permit", consents=[consent(permit(permit(deny(securityLabel=labels("R")), **{"class": classes("Observation")})))], resource=condition("B20")),
    row("N4 untyped does not match", "permit", consents=[consent(permit({"actor": [SHELTER]}))]),
    row("N4 untyped below untyped", "deny", consents=[consent(permit({"provision": [{"actor": [FOOD_BANK]}], "actor": [SHELTER, FOOD_BANK]}))]),
    row("N4 untyped with a permit inside", "permit", consents=[consent(permit({"provision": [permit(actor=[FOOD_BANK])]}))]),
    row("C1 two permits", "permit", consents=[consent(FBP), consent(FBP, id="b")]),
    row("C1 permit and deny of another", "permit", consents=[consent(FBP), consent(deny(actor=[SHELTER]), id="b")]),
    row("C1 targeted deny, newer permit", "deny", consents=[consent(FBP, dateTime="2026-04-01"), consent(deny(actor=[FOOD_BANK]), id="b", dateTime="2020")]),
    row("C1 a deny of a kind redacts", "redact reasonCode[0]", consents=[consent(FBP), consent({"provision": [deny(securityLabel=labels("HIV"))]}, id="b")], resource=referral(reasonCode=[concept(ICD, "B20")])),
    row("C2 closed world alone denies", "deny", consents=[consent(deny(permit(actor=[SHELTER])))], policy=OPEN),
    row("C2 closed world with a period", "permit", consents=[consent(deny(permit(actor=[SHELTER]), period={"start": "2026"})), consent(FBP, id="b")]),
    row("C2 not with an actor", "deny", consents=[consent(deny(permit(purpose=purposes("HPAYMT")), actor=[FOOD_BANK])), consent(FBP, id="b")]),
    row("C2 not without a permit", "deny", consents=[consent(deny(deny(actor=[SHELTER]))), consent(FBP, id="b")]),
    row("C2 permit deep in the tree", "permit", consents=[consent(deny(deny(permit(purpose=purposes("HPAYMT")), actor=[SHELTER]))), consent(FBP, id="b")]),
    row("C2 its nested deny is a veto", "deny", consents=[consent(deny(permit(actor=[SHELTER]), deny(actor=[FOOD_BANK]))), consent(FBP, id="b")]),
    row("C2 opt-out alone is a veto", "deny", consents=[consent(None, "OPTOUT"), consent(FBP, id="b")]),
    row("C1 weak beats the default", "deny", consents=[consent(permit(**{"class": classes("Condition")}))], policy=OPEN),
    row("C1 a permit beats weak", "permit", consents=[consent(permit(**{"class": classes("Condition")})), consent(FBP, id="b")]),
    row("C1 about another recipient is no answer", "permit", consents=[consent(permit(actor=[SHELTER], **{"class": classes("Condition")}))], policy=OPEN),
    row("C1 about another purpose is no answer", "permit", consents=[consent(permit(purpose=purposes("HPAYMT"), **{"class": classes("Condition")}))], policy=OPEN),
    row("C1 a nested permit that leaves it out is not weak", "permit", consents=[consent({"provision": [permit(**{"class": classes("Condition")})]})], policy=OPEN),
]
