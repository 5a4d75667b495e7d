"""One law per rule id of reference/consent.md 1.2, beyond what the decision table shows: who, when, which consent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.consent.build import (
    ACT,
    ANYONE,
    AT,
    CBO,
    FOOD_BANK,
    LOINC,
    OPEN,
    P1,
    SHELTER,
    actions,
    actor,
    ask,
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
    "named",
    [
        {"purpose": "NOSUCH"},
        {"purpose": ""},
        {"purpose": "PurposeOfUse"},
        {"at": "2026-05-04"},
        {"at": "2026-05-04T10:00:00"},
        {"at": ""},
        {"action": "sell"},
    ],
)
def test_v1_an_incomplete_request_is_denied(named: dict[str, Any]) -> None:
    """V1: an unknown purpose or action, or an instant without offset, is denied whatever the consent."""
    answer = ask([ANYONE], **named)
    assert (answer["decision"], answer["rules"]) == ("deny", ["V1"])


def test_v1_a_recipient_must_be_named() -> None:
    """V1: a recipient with neither reference nor identifier is nobody."""
    from bridge.consent.cases import run_case
    from tests.unit.consent.build import case

    nameless = case([ANYONE])
    nameless["request"]["recipient"] = {"type": "cbo"}
    assert run_case(nameless)["rules"] == ["V1"]


@pytest.mark.parametrize("type_", ["Organization", "Practitioner", "HealthcareService", "ValueSet"])
def test_x1_directory_and_terminology_are_free(type_: str) -> None:
    """X1: what is bound to no patient needs no consent."""
    assert decision([], {"resourceType": type_, "id": "x"}) == "permit"


def test_x1_does_not_cover_what_a_directory_entry_contains() -> None:
    """X1, L3: a patient's record inside a directory entry is decided for that patient."""
    inner = condition("E11.9", id="in")
    assert paths([], {"resourceType": "Organization", "id": "o", "contained": [inner]}) == ["contained[0]"]
    assert decision([ANYONE], {"resourceType": "Organization", "id": "o", "contained": [inner]}) == "permit"


@pytest.mark.parametrize(
    "subject",
    [None, {"display": "somebody"}, {"reference": "Group/g"}, {"reference": "urn:uuid:1"}, {"reference": "#none"}],
)
def test_x2_a_record_without_a_patient_is_denied(subject: dict[str, Any] | None) -> None:
    """X2: nobody's record is nobody's to permit, not even by default."""
    resource = referral(subject=subject)
    assert ask([ANYONE], resource, policy=OPEN)["rules"] == ["X2"]


def test_x2_two_patients_are_no_patient() -> None:
    """X2: a record that names two people belongs to neither."""
    resource = referral(subject=P1, patient={"reference": "Patient/p2"})
    assert decision([ANYONE], resource) == "deny"


def test_s2_own_base_version_and_identifier_are_the_same_person() -> None:
    """S2: our base and a version do not matter; an identifier is a name too, with its system only."""
    base = {"fhir_base": "https://bridge.test/fhir"}
    for reference in ("https://bridge.test/fhir/Patient/p1", "Patient/p1/_history/3"):
        assert decision([consent(permit(), patient={"reference": reference})], policy=base) == "permit"
    mrn = {"system": "urn:mrn", "value": "7"}
    by_number = consent(permit(), patient={"identifier": mrn})
    assert decision([by_number], referral(subject={"reference": "Patient/p1", "identifier": mrn})) == "permit"
    assert decision([by_number], referral(subject={**P1, "identifier": {"value": "7"}})) == "deny"
    assert decision([by_number], {"resourceType": "Patient", "id": "p1", "identifier": [mrn]}) == "permit"


def test_s2_an_entry_of_a_foreign_server_is_about_someone_else() -> None:
    """S2: a relative reference in an entry belongs to the server that its fullUrl names (R4 Bundle)."""
    bundle = {"resourceType": "Bundle", "type": "collection"}
    foreign = {"fullUrl": "https://else.example/r4/ServiceRequest/sr1", "resource": referral()}
    ours = {"fullUrl": "https://bridge.example.org/fhir/ServiceRequest/sr1", "resource": referral()}
    assert decision([ANYONE], {**bundle, "entry": [foreign]}) == "deny"
    assert decision([ANYONE], {**bundle, "entry": [ours]}) == "permit"


def test_s3_scope() -> None:
    """S3: research counts for research only, treatment never, an unknown scope denies but does not permit."""
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    research = {"scope": concept(scope, "research")}
    assert decision([consent(permit(purpose=purposes("HRESCH")), **research)], purpose="CLINTRCH") == "permit"
    assert decision([consent(permit(), **research)]) == "deny"
    assert decision([ANYONE, consent(deny(), id="c2", **research)]) == "permit"
    assert decision([ANYONE, consent(deny(), id="c2", scope=concept(scope, "treatment"))]) == "permit"
    assert decision([consent(permit(), scope=concept("urn:x", "y"))]) == "deny"
    assert decision([ANYONE, consent(deny(), id="c2", scope=concept("urn:x", "y"))]) == "deny"


def test_s4_one_real_category_is_enough() -> None:
    """S4: only a consent whose every category is an acknowledgement is left out, also when it denies."""
    notice = concept("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "npp")
    assert decision([consent(permit(), category=[notice, concept(ACT, "IDSCL")])]) == "permit"
    assert decision([ANYONE, consent(deny(), id="c2", category=[notice, concept(LOINC, "57016-8")])]) == "permit"


def test_s5_a_reversed_period_never_permits_and_still_denies() -> None:
    """S5: a period that ends before it starts fails closed on both sides."""
    period = {"start": "2027-01-01", "end": "2025-01-01"}
    assert decision([consent(permit(period=period))]) == "deny"
    assert decision([ANYONE, consent(deny(period=period), id="c2")]) == "deny"
    assert decision([consent(permit(period={"end": "9999-12-31"}))]) == "permit"


def test_s6_an_early_deny_counts() -> None:
    """S6: a dateTime after the request voids permits only; a date is read as its whole local day."""
    assert decision([ANYONE, consent(deny(), id="c2", dateTime="2027-01-01")]) == "deny"
    assert decision([consent(permit(), dateTime=AT[:10])]) == "permit"


def test_s7_ties_and_undated_copies_fail_closed() -> None:
    """S7: on a tie the copy that is not active wins; a copy without a date voids the permits of its sisters."""
    same = {"identifier": [{"system": "urn:c", "value": "1"}], "dateTime": "2026-02-01"}
    assert decision([consent(permit(), **same), consent(permit(), id="c2", status="inactive", **same)]) == "deny"
    undated = {**same, "dateTime": None}
    answer = ask([consent(permit(), **same), consent(permit(), id="c2", status="inactive", **undated)])
    assert answer["decision"] == "deny"
    assert answer["review"]
    later = {**same, "dateTime": "2026-02-01T09:00:00Z"}
    assert decision([consent(permit(), **later), consent(permit(), id="c2", status="inactive", **same)]) == "deny"


def test_s8_needs_a_known_custodian() -> None:
    """S8: without a known custodian nothing is void; the custodian's own consent counts, by identifier too."""
    named = {"organization": [{"identifier": {"system": "urn:org", "value": "h"}}]}
    assert decision([consent(permit(), **named)]) == "permit"
    hospital = {"reference": "Organization/h", "identifier": [{"system": "urn:org", "value": "h"}]}
    assert decision([consent(permit(), **named)], custodian=hospital) == "permit"
    assert decision([consent(permit(), **named)], custodian={"reference": "Organization/x"}) == "deny"


@pytest.mark.parametrize(
    "change",
    [
        {"implicitRules": "urn:rules"},
        {"provision": permit(permit(modifierExtension=[{"url": "urn:x"}]))},
        {"provision": permit(actor=[{**FOOD_BANK, "modifierExtension": [{"url": "urn:x"}]}])},
    ],
)
def test_s9_what_we_do_not_understand_never_permits(change: dict[str, Any]) -> None:
    """S9: a modifier anywhere in the Consent, or implicit rules, void its permits and ask for a person."""
    answer = ask([consent(**{"provision": permit(), **change})])
    assert answer["decision"] == "deny"
    assert any(each.startswith("S9") for each in answer["review"])


def test_s10_one_verification_that_holds_is_enough() -> None:
    """S10: permits are void only when every verification failed."""
    assert decision([consent(permit(), verification=[{"verified": False}])]) == "deny"
    assert decision([consent(permit(), verification=[{"verified": False}, {"verified": True}])]) == "permit"


def test_s11_a_body_of_the_recipient_cannot_grant_either() -> None:
    """S11: signed only by a body the recipient belongs to is a self-grant; signed by the patient as well is not."""
    group = {"reference": "Organization/network"}
    signed = consent(permit(), performer=[group])
    assert decision([signed], memberOf=[group]) == "deny"
    assert decision([consent(permit(), performer=[group, P1])], memberOf=[group]) == "permit"


def test_b1_both_encodings_of_one_intent_agree() -> None:
    """B1: an untyped root under a base acts as the typed root would."""
    narrowed = {"securityLabel": labels("N")}
    for resource in (labelled(), labelled("R")):
        by_policy = decision([consent({**narrowed}, "OPTIN")], resource)
        assert by_policy == decision([consent(permit(**narrowed))], resource)


def test_b1_emergency_only() -> None:
    """B1: an emergency-only base denies all but emergency treatment, whether by policy or by category."""
    category = concept("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "emrgonly")
    for made in (consent(base="EMRGONLY"), consent(category=[category]), consent(deny(), "EMRGONLY")):
        assert decision([made], purpose="ETREAT") == "permit"
        assert decision([made], purpose="BTG") == "permit"
        assert decision([made]) == "deny"


def test_b1_root_without_type_or_base_is_context_for_its_rules() -> None:
    """B1: such a root neither permits nor denies, and narrows the rules below it."""
    assert decision([consent({"actor": [FOOD_BANK], "provision": [permit()]})]) == "permit"
    assert decision([consent({"actor": [SHELTER], "provision": [permit()]})]) == "deny"
    assert decision([ANYONE, consent({"actor": [FOOD_BANK], "provision": [deny(actor=[SHELTER])]}, id="c2")]) == "permit"


def test_b2_paper_has_no_effect_either_way() -> None:
    """B2: a consent without rules neither permits nor stops the default, and is flagged."""
    paper = consent(policyRule=concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth"))
    answer = ask([paper], policy=OPEN, who="hospital")
    assert answer["decision"] == "permit"
    assert answer["review"] == ["B2 c1"]


def test_b3_the_mirror_image_is_a_contradiction_too() -> None:
    """B3: an opt-out whose root permits everything is denied and flagged, also when it has a period."""
    for root in (permit(), permit(period={"end": "2030"})):
        answer = ask([consent(root, "OPTOUT")])
        assert answer["decision"] == "deny"
        assert any(each.startswith("B3") for each in answer["review"])


def test_m1_roles() -> None:
    """M1: custodian roles ask the custodian, consenter roles are ignored, all others the recipient."""
    hospital = {"reference": "Organization/hospital"}
    from_hospital = consent(permit(actor=[actor("Organization/hospital", "CST"), FOOD_BANK]))
    assert decision([from_hospital], custodian=hospital) == "permit"
    assert decision([from_hospital], custodian={"reference": "Organization/x"}) == "deny"
    assert decision([from_hospital], who="shelter", custodian=hospital) == "deny"
    assert decision([consent(permit(actor=[actor("Patient/p1", "CONSENTER"), FOOD_BANK]))], who="shelter") == "deny"
    assert decision([consent(permit(actor=[actor("Patient/p1", "CONSENTER"), FOOD_BANK]))]) == "permit"


def test_m1_membership_must_be_current() -> None:
    """M1: a membership that ended, or is inactive, does not count."""
    named = consent(permit(actor=[actor("Group/g")]))
    for body, expect in (
        ({"reference": "Group/g", "period": {"end": "2026-01-01"}}, "deny"),
        ({"reference": "Group/g", "inactive": True}, "deny"),
        ({"reference": "Group/g", "period": {"start": "2026-01-01"}}, "permit"),
    ):
        assert decision([named], memberOf=[body]) == expect


def test_m1_contained_actor_is_known_by_its_identifier() -> None:
    """M1: a contained organisation stands for its identifiers."""
    inner = {"resourceType": "Organization", "id": "o", "identifier": [{"system": CBO, "value": "FB-1"}]}
    made = consent(permit(actor=[actor("#o")]), contained=[inner])
    assert decision([made], identifier=[{"system": CBO, "value": "FB-1"}]) == "permit"
    assert decision([made], identifier=[{"system": CBO, "value": "FB-2"}]) == "deny"


def test_m2_a_deny_of_break_glass_leaves_treatment() -> None:
    """M2: denying a purpose never denies its ancestors; a purpose of another code system permits nothing."""
    assert decision([consent(permit(deny(purpose=purposes("BTG"))))]) == "permit"
    assert decision([consent(permit(deny(purpose=purposes("BTG"))))], purpose="BTG") == "deny"
    assert decision([consent(permit(purpose=[{"system": "urn:x", "code": "TREAT"}]))]) == "deny"


def test_m3_actions_imply_on_one_side_only() -> None:
    """M3: correct permits access; denying access blocks disclosing and correcting, denying disclosure only itself."""
    assert decision([consent(permit(action=actions("correct")))], action="access") == "permit"
    assert decision([consent(permit(action=actions("access")))], action="correct") == "deny"
    assert decision([consent(permit(action=actions("access")))], action="read") == "permit"
    for action, expect in (("disclose", "deny"), ("correct", "deny"), ("collect", "permit")):
        assert decision([consent(permit(deny(action=actions("access"))))], action=action) == expect
    assert decision([consent(permit(deny(action=actions("disclose"))))], action="access") == "permit"


def test_m4_nested_periods() -> None:
    """M4: a nested rule counts in its period; reversed it never permits and always denies."""
    past, reversed_ = {"end": "2025"}, {"start": "2027", "end": "2025"}
    assert decision([consent(permit(deny(period=past)))]) == "permit"
    assert decision([consent(permit(deny(period=reversed_)))]) == "deny"
    assert decision([consent(deny(permit(period=reversed_)))]) == "deny"


def test_an_instant_of_the_clock_and_of_a_text_are_one() -> None:
    """What the pipeline asks with (a datetime) and what a case asks with (a text) are the same microsecond."""
    from datetime import UTC, datetime

    from bridge.consent import moment

    assert moment.instant(datetime(2026, 5, 4, 15, 0, 0, 5, tzinfo=UTC)) == moment.point("2026-05-04T10:00:00.000005-05:00") == 1_777_906_800_000_005
