"""One law per rule id of reference/consent.md 1.2, beyond what the decision table shows: data, nesting, combination, floors, parts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.consent.build import (
    ACT,
    ADAMS,
    ANYONE,
    FOOD_BANK,
    HOSPITAL,
    ICD,
    INLINE,
    LOINC,
    OPEN,
    P1,
    REASON,
    SHELTER,
    ask,
    classes,
    concept,
    condition,
    consent,
    decision,
    deny,
    labelled,
    labels,
    paths,
    permit,
    purposes,
    referral,
)


@pytest.mark.parametrize(
    ("listed", "data", "permitted", "denied"),
    [
        ("SUD", "ETHUD", True, True),
        ("ETHUD", "SUD", False, False),
        ("BH", "MH", True, True),
        ("PSY", "MH", True, True),
        ("ETH", "SUD", True, True),
        ("SPI", "OPIOIDUD", True, True),
        ("VIO", "SDV", False, True),
        ("SDV", "VIO", False, False),
        ("SUD", "42CFRPart2", True, True),
        ("42CFRPart2", "SUD", False, False),
        ("SICKLE", "SCA", True, True),
    ],
)
def test_m5_what_covers_what(listed: str, data: str, permitted: bool, denied: bool) -> None:
    """M5: a listed sensitivity covers its kinds and synonyms; VIO covers SDV for denies only."""
    assert (decision([consent(permit(securityLabel=labels(listed)))], labelled(data)) == "permit") is permitted
    assert (decision([consent(permit(securityLabel=labels("V"))), DENY(listed)], labelled(data)) == "deny") is (
        denied or data == "42CFRPart2"
    )


def DENY(code: str) -> dict[str, Any]:  # noqa: N802 - reads as a word of the table above
    return consent({"provision": [deny(securityLabel=labels(code))]}, id="deny")


def test_m5_unknown_confidentiality_is_the_highest() -> None:
    """M5: a confidentiality code that nobody knows is read as the most restricted."""
    odd = labelled(meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "?"}]})
    assert decision([consent(permit(securityLabel=labels("R")))], odd) == "deny"


def test_m6_profiles_without_version() -> None:
    """M6: a class may be a profile, whatever its version."""
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition"
    made = consent(permit(**{"class": [{"system": "urn:ietf:rfc:3986", "code": profile}]}))
    assert decision([made], condition("E11.9", meta={"profile": [f"{profile}|7.0.0"]})) == "permit"
    assert decision([made], condition("E11.9")) == "deny"
    assert decision([consent(permit(deny(**{"class": classes("Condition")})))], condition("E11.9")) == "deny"


def test_m7_categories_subsume_and_denies_look_everywhere() -> None:
    """M7: an ICD-10 category holds its codes, dotted or not; a deny finds the code anywhere in the unit."""
    food = consent(permit(code=[concept(ICD, "Z59")]))
    assert decision([food], condition("Z5941")) == "permit"
    assert decision([food], condition("Z60.2")) == "deny"
    without = consent(permit(deny(code=[concept(ICD, "E11")])))
    assert paths([without], referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "E11.9")])) == ["reasonCode[1]"]
    assert decision([consent(permit(deny(code=[{"text": "that thing"}])))], condition("Z59.41")) == "deny"


@pytest.mark.parametrize(
    ("time", "permitted", "denied"),
    [("2025-06-01", True, True), ("2024-12-31", False, False), ("2025", True, True), ("2026-01-01", False, False)],
)
def test_m8_inside_and_overlap(time: str, permitted: bool, denied: bool) -> None:
    """M8: a permit needs the data's time entirely inside, a deny any overlap."""
    data, period = labelled(effectiveDateTime=time), {"start": "2025-01-01", "end": "2025-12-31"}
    assert (decision([consent(permit(dataPeriod=period))], data) == "permit") is permitted
    assert (decision([consent(permit(deny(dataPeriod=period)))], data) == "deny") is denied


def test_m8_a_stay_that_reaches_over_the_edge() -> None:
    """M8: partly inside is not inside, and is an overlap; a reversed data period never permits and always denies."""
    stay = {
        "resourceType": "Encounter",
        "id": "e",
        "subject": P1,
        "period": {"start": "2025-12-30", "end": "2026-01-02"},
    }
    year, turned = {"end": "2025"}, {"start": "2026", "end": "2025"}
    assert decision([consent(permit(dataPeriod=year))], stay) == "deny"
    assert decision([consent(permit(deny(dataPeriod=year)))], stay) == "deny"
    assert decision([consent(permit(dataPeriod=turned))], stay) == "deny"
    assert decision([consent(permit(deny(dataPeriod=turned)))], stay) == "deny"


def test_m9_instances_relations_and_authors() -> None:
    """M9: an instance, what refers to it, or who wrote it."""

    def about(meaning: str, reference: str) -> dict[str, Any]:
        return consent(permit(data=[{"meaning": meaning, "reference": {"reference": reference}}]))

    resource = referral(encounter={"reference": "Encounter/e1"}, requester={"reference": "Practitioner/adams"})
    for meaning, reference, expect in (
        ("instance", "ServiceRequest/sr1", "permit"),
        ("instance", "Encounter/e1", "deny"),
        ("related", "Encounter/e1", "permit"),
        ("dependents", "Encounter/e2", "deny"),
        ("authoredby", "Practitioner/adams", "permit"),
        ("authoredby", "Encounter/e1", "deny"),
    ):
        assert decision([about(meaning, reference)], resource) == expect
    unknown = consent(permit(deny(data=[{"meaning": "related", "reference": {"display": "that visit"}}])))
    assert decision([unknown], resource) == "deny"


def test_n1_innermost_rule_decides_at_any_depth() -> None:
    """N1: alternating permits and denies nest to the cap, and the innermost matching one wins."""
    nested, kinds = None, ["permit", "deny"] * 15
    for kind in reversed(kinds):
        nested = {"type": kind, **({"provision": [nested]} if nested else {})}
    assert decision([consent(nested)]) == "deny"
    assert decision([consent(nested["provision"][0] | {"type": "permit", "provision": []})]) == "permit"


@pytest.mark.parametrize("shape", ["deep", "wide"])
def test_caps_on_nesting_and_number(shape: str) -> None:
    """Ten thousand rules are a deny for review, in bounded time."""
    provision = permit(*[deny(actor=[SHELTER]) for _ in range(10_000)]) if shape == "wide" else permit()
    for _ in range(10_000 if shape == "deep" else 0):
        provision = {"type": "permit", "provision": [provision]}
    answer = ask([consent(provision)])
    assert (answer["decision"], answer["review"]) == ("deny", ["evaluation-failed:TooLargeError"])


@pytest.mark.parametrize("root", ["typed", "base", "exception", "context", "emergency"])
def test_the_cap_on_depth_is_the_same_in_every_encoding(root: str) -> None:
    """Thirty-two rules one in the other are read, the outermost provision counted; thirty-three are a deny for review."""
    made = {
        "typed": lambda inner: consent(permit(inner)),
        "base": lambda inner: consent({"provision": [inner]}, "OPTIN"),
        "exception": lambda inner: consent(permit(inner, purpose=purposes("TREAT")), "OPTOUT"),
        "context": lambda inner: consent({"provision": [inner]}),
        "emergency": lambda inner: consent({"provision": [inner]}, "EMRGONLY"),
    }[root]
    nested = permit()
    for _ in range(30):
        nested = permit(nested)
    assert decision([made(nested)]) == "permit"
    assert ask([made(permit(nested))])["review"] == ["evaluation-failed:TooLargeError"]


def test_the_cap_on_number_counts_every_rule() -> None:
    """A thousand rules are read, the outermost provision counted; one more is a deny for review."""
    others = [deny(actor=[SHELTER])] * 999
    assert decision([consent(permit(*others))]) == "permit"
    assert decision([consent(permit(*others, others[0]))]) == "deny"


def test_n2_a_deny_beside_a_permit_wins_in_any_order() -> None:
    """N2: among siblings deny overrides."""
    for pair in ([permit(), deny()], [deny(), permit()]):
        assert decision([consent(permit(*pair))]) == "deny"


def test_n3_elements_not_overlaid_are_inherited() -> None:
    """N3: a nested rule keeps the ancestor's other data criteria."""
    made = consent(
        permit(
            permit(actor=[ADAMS], securityLabel=labels("R")),
            securityLabel=labels("N"),
            **{"class": classes("Observation")},
        )
    )
    assert decision([made], labelled("R"), who="Practitioner/adams") == "permit"
    assert decision([made], condition("F20.9"), who="Practitioner/adams") == "deny"


def test_c1_explicit_deny_overrides_and_newer_permit_is_reviewed() -> None:
    """C1: a deny wins whatever its age, and the conflict is for a person to look at."""
    answer = ask([consent(deny(actor=[FOOD_BANK]), dateTime="2020"), consent(permit(), id="c2")])
    assert answer["decision"] == "deny"
    assert answer["consents"] == ["c1"]
    assert answer["review"] == ["C1 c1"]


def test_c2_needs_a_permit_in_the_tree_and_no_criteria() -> None:
    """C2: only a criteria-free base deny with exceptions is weak; one with criteria is a veto."""
    other = consent(permit(), id="c2")
    assert decision([consent(deny(permit(actor=[SHELTER]), period={"end": "2030"})), other]) == "permit"
    assert decision([consent(deny(permit(actor=[SHELTER]), purpose=purposes("TREAT"))), other]) == "deny"


def test_weak_answers_nobody_else() -> None:
    """A rule about this recipient that leaves the data out beats the default; a rule about someone else says nothing."""
    mine = consent(permit(actor=[HOSPITAL], **{"class": classes("Observation")}))
    theirs = consent(permit(actor=[SHELTER], **{"class": classes("Observation")}))
    assert decision([mine], who="hospital", policy=OPEN) == "deny"
    assert decision([theirs], who="hospital", policy=OPEN) == "permit"


def test_d2_only_for_ordinary_purposes() -> None:
    """D2: the contract's default covers treatment, payment and operations, nothing else."""
    for purpose, expect in (("COC", "permit"), ("COVERAGE", "permit"), ("CAREMGT", "permit"), ("PUBHLTH", "deny")):
        assert decision([], purpose=purpose, policy=OPEN) == expect


@pytest.mark.parametrize("code", ["NODSCLCD", "NODSCLCDS", "NORDSCLCD", "NORDSCLCDS", "NORDSCLW", "NOAUTH"])
def test_f1_refrain_labels_stop_the_default_only(code: str) -> None:
    """F1: a label that asks for a directive stops the default; a permit is that directive."""
    assert decision([], labelled(code), policy=OPEN) == "deny"
    assert decision([ANYONE], labelled(code)) == "permit"


@pytest.mark.parametrize(
    ("criteria", "expect"),
    [
        ({"securityLabel": labels("R")}, "deny"),
        ({"securityLabel": labels("42CFRPart2")}, "permit"),
        ({"securityLabel": labels("BH")}, "permit"),
        ({"code": [concept(LOINC, "8302-2")]}, "permit"),
        ({"data": [{"meaning": "instance", "reference": {"reference": "Observation/o1"}}]}, "permit"),
        ({"data": [{"meaning": "related", "reference": {"reference": "Patient/p1"}}]}, "deny"),
        ({"class": classes("Observation")}, "deny"),
    ],
)
def test_f2_part2_must_be_described(criteria: dict[str, Any], expect: str) -> None:
    """F2: a Part 2 record needs a permit that names it by label, code or instance; a level or a type is no description."""
    assert decision([consent(permit(**criteria))], labelled("R", "42CFRPart2")) == expect


def test_f3_psychotherapy_notes_are_named_themselves() -> None:
    """F3: no wider label opens a psychotherapy note."""
    note = labelled("PSYTHPN")
    assert decision([consent(permit(securityLabel=labels("V", "MH", "SPI")))], note) == "deny"
    assert decision([consent(permit(securityLabel=labels("PSYTHPN")))], note) == "permit"
    assert decision([ANYONE], note) == "deny"


def test_f4_purpose_tags_bind_the_data() -> None:
    """F4: data tagged for a purpose goes out for that purpose and its kinds only."""
    tagged = labelled(meta={"security": [{"system": REASON, "code": "TREAT"}]})
    assert decision([ANYONE], tagged, purpose="COC") == "permit"
    assert decision([ANYONE], tagged, purpose="HOPERAT") == "deny"


def test_f5_compartments_need_clearance() -> None:
    """F5: every compartment label must be among the recipient's clearances."""
    inside = labelled("CTCOMPT", "FMCOMPT")
    assert decision([ANYONE], inside, clearances=["CTCOMPT"]) == "deny"
    assert decision([ANYONE], inside, clearances=["CTCOMPT", {"code": "FMCOMPT"}]) == "permit"


def test_f6_an_ancestor_may_state_the_purpose() -> None:
    """F6: marketing and research need a purpose said by the rule or above it; the root of all purposes says nothing."""
    stated = consent(permit(permit(), purpose=purposes("HMARKT")))
    assert decision([stated], purpose="HMARKT") == "permit"
    assert decision([consent(permit(purpose=purposes("PurposeOfUse")))], purpose="HMARKT") == "deny"
    assert decision([ANYONE], purpose="CLINTRCH") == "deny"


def test_r1_components_and_nested_items() -> None:
    """R1: a component and a nested form item are decided on their own."""
    without = consent(permit(deny(securityLabel=labels("SDV"))))
    component = {"code": concept(LOINC, "8302-2")}, {"code": concept(LOINC, "76501-6")}
    assert paths([without], labelled(component=list(component))) == ["component[1]"]
    items = [{"linkId": "/1", "item": [{"linkId": "/88122-7"}, {"linkId": "/93025-5/76501-6", "answer": [{}]}]}]
    form = {"resourceType": "QuestionnaireResponse", "id": "q", "status": "completed", "subject": P1, "item": items}
    assert paths([without], form) == ["item[0].item[1]"]


def test_r2_nothing_left_is_a_deny() -> None:
    """R2: a Bundle whose every entry is denied is denied."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": referral()}]}
    assert decision([], bundle) == "deny"
    assert decision([], {**bundle, "entry": []}) == "deny"


def test_r2_each_entry_has_its_own_patient_in_any_order() -> None:
    """R2: entries A, B, A are decided for A, B and A, with the patients' own entries to resolve them."""
    patients = [
        {
            "fullUrl": f"urn:uuid:{name}",
            "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:m", "value": name}]},
        }
        for name in ("a", "b")
    ]
    requests = [
        {"resource": referral(id=f"s{place}", subject={"reference": f"urn:uuid:{name}"})} for place, name in enumerate(("a", "b", "a"))
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [*patients, *requests]}
    made = consent(permit(), patient={"identifier": {"system": "urn:m", "value": "a"}})
    assert paths([made], bundle) == ["entry[1]", "entry[3]"]


def test_r4_inline_labels_are_the_elements_own() -> None:
    """R4: with PROCESSINLINELABEL a label repeated inline is that element's, unless the site reads it strictly."""
    without = consent(permit(deny(securityLabel=labels("HIV"))))
    marked = {"text": "x", "extension": [{"url": INLINE, "valueCoding": labels("HIV")[0]}]}
    resource = referral(reasonCode=[{"text": "y"}, marked], meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")})
    assert paths([without], resource) == ["reasonCode[1]"]
    assert decision([without], resource, policy={"inline_strict": True}) == "deny"
    assert decision([without], referral(**{**resource, "meta": {"security": labels("HIV")}})) == "deny"
    unrepeated = {**resource, "reasonCode": [{"text": "y"}]}
    assert decision([without], unrepeated) == "deny"


def test_l1_codes_in_every_writing() -> None:
    """L1: both ICD-10 systems, dot or none, any case, reveal the same."""
    without = consent(permit(deny(securityLabel=labels("HIV"))))
    for system in (ICD, "http://hl7.org/fhir/sid/icd-10", "urn:oid:2.16.840.1.113883.6.90", ""):
        for code in ("Z20.6", "Z206", "z20.6"):
            assert decision([without], {**condition(), "code": concept(system, code)}) == "deny"


def test_l2_a_sensitivity_raises_to_restricted() -> None:
    """L2: no label is N, any sensitivity at least R, and an explicit V stays V."""
    assert decision([consent(permit(securityLabel=labels("N")))], labelled()) == "permit"
    assert decision([consent(permit(securityLabel=labels("N")))], labelled("N", "HIV")) == "deny"
    assert decision([consent(permit(securityLabel=labels("R")))], labelled("HIV")) == "permit"


def test_l3_core_refers_to_contained() -> None:
    """L3: what the core names is core, even when it is contained."""
    drug = {
        "resourceType": "Medication",
        "id": "m",
        "code": concept("http://www.nlm.nih.gov/research/umls/rxnorm", "6813"),
    }
    order = {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "subject": P1,
        "contained": [drug],
        "medicationReference": {"reference": "#m"},
    }
    assert decision([consent(permit(deny(securityLabel=labels("SUD"))))], order) == "deny"


def test_p1_a_resource_the_recipient_has_no_use_for() -> None:
    """P1: a type that is not listed is denied, and an unknown kind of recipient gets nothing."""
    assert ask([ANYONE], condition("Z59.41"), profile="cbo-minimum")["rules"][-1] == "P1"
    assert decision([ANYONE], condition("F20.9"), profile="clinic") == "permit"
    answer = ask([ANYONE], profile="no-such-kind")
    assert (answer["decision"], answer["review"]) == ("deny", ["evaluation-failed:SettingsError"])


def test_r2_a_bundles_own_labels_cover_what_no_entry_explains() -> None:
    """R2, R4: a label of the Bundle is the mark of the entries that carry it, by label or code; else it covers all."""
    without = consent(permit(deny(securityLabel=labels("HIV"))))
    bundle = {"resourceType": "Bundle", "type": "collection", "meta": {"security": labels("R", "HIV")}}
    assert decision([without], {**bundle, "entry": [{"resource": referral()}]}) == "deny"
    entries = [{"resource": referral()}, {"resource": condition("B20")}]
    assert paths([without], {**bundle, "entry": entries}) == ["entry[1]"]


def test_r2_a_broken_entry_is_dropped_alone() -> None:
    """R2: an entry that cannot be read is denied and flagged, the others are decided as ever."""
    entries = [{"resource": referral()}, {"resource": {"id": "no type"}}, {"request": {"method": "DELETE"}}]
    answer = ask([ANYONE], {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer["redact_paths"] == ["entry[1]", "entry[2]"]
    assert answer["review"] == ["evaluation-failed:KeyError"]


def test_l1_forms_whose_items_say_nothing() -> None:
    """L1: a form's linkIds are resolved through the Questionnaire, contained or in the Bundle; else the form is labelled."""
    without = consent(permit(deny(securityLabel=labels("SDV"))))
    items = [{"linkId": "a"}, {"linkId": "b"}]
    codes = [
        {"linkId": "a", "code": [{"system": LOINC, "code": "88122-7"}]},
        {"linkId": "b", "code": [{"system": LOINC, "code": "76501-6"}]},
    ]
    form = {"resourceType": "Questionnaire", "id": "q", "url": "urn:form", "item": codes}
    response = {"resourceType": "QuestionnaireResponse", "id": "r", "status": "completed", "subject": P1, "item": items}
    assert paths([without], {**response, "contained": [form], "questionnaire": "#q"}) == ["item[1]", "contained[0]"]
    entries = [{"resource": form}, {"resource": {**response, "questionnaire": "urn:form|2"}}]
    assert paths([without], {"resourceType": "Bundle", "entry": entries}) == ["entry[1].resource.item[1]"]
    prapare = "http://hl7.org/fhir/us/sdoh-clinicalcare/Questionnaire/SDOHCC-QuestionnairePRAPARE"
    assert decision([without], {**response, "questionnaire": prapare}) == "deny"
    assert decision([without], {**response, "questionnaire": "http://loinc.org/q/76499-3", "item": []}) == "deny"


def test_l2_a_level_below_normal_stays_below() -> None:
    """L2: an explicit low level is not raised by labels that name no level."""
    low = referral(
        meta={"security": labels("L", "AUDIT")},
        note=[{"text": "x", "extension": [{"url": INLINE, "valueCoding": {"system": ACT, "code": "CTCOMPT"}}]}],
    )
    assert decision([consent(permit(securityLabel=labels("L")))], low, clearances=["CTCOMPT"]) == "permit"
    assert paths([consent(permit(securityLabel=labels("L")))], low) == ["note[0]"]


def test_l3_a_contained_record_of_someone_else() -> None:
    """L3, R2: a contained resource about another person is decided for that person."""
    other = condition("E11.9", id="in", subject={"reference": "Patient/p2"})
    assert paths([ANYONE], referral(contained=[other])) == ["contained[0]"]
    mine = condition("E11.9", id="in")
    assert decision([ANYONE], referral(contained=[mine])) == "permit"
