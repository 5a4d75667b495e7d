"""The decision table of reference/consent.md 1.3, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.consent.build import (
    ADAMS,
    CBO,
    FB,
    FOOD_BANK,
    HOSPITAL,
    ICD,
    OPEN,
    P1,
    SHELTER,
    actions,
    actor,
    ask,
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
)

BARE = {"identifier": {"value": "FB-1"}}
KNOWN = {"identifier": {"system": CBO, "value": "FB-1"}}
IDS = [{"system": CBO, "value": "FB-1"}]
SAME = [{"system": "urn:consents", "value": "7"}]


def copy(id_: str, when: str, provision: dict[str, Any], status: str = "active") -> dict[str, Any]:
    return consent(provision, id=id_, status=status, identifier=SAME, meta={"lastUpdated": when})


END_MARCH = consent(permit(actor=[FOOD_BANK], period={"end": "2026-03-31"}))
LA, NY = {"timezone": "America/Los_Angeles"}, {"timezone": "America/New_York"}
EXCEPT_BTG = consent(deny(permit(purpose=purposes("BTG"))))
WITHOUT = {name: consent(permit(deny(securityLabel=labels(name)))) for name in ("SUD", "HIV")}
DEPTH = consent(permit(deny(permit(actor=[ADAMS]), securityLabel=labels("PSY"))))
OVERLAY = consent(permit(permit(actor=[ADAMS], securityLabel=labels("R")), securityLabel=labels("N")))
REASONS = [concept(ICD, "Z59.41"), concept(ICD, "F10.20")]
B20 = {"resourceType": "Condition", "id": "in", "code": concept(ICD, "B20"), "subject": P1}
TWO = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": referral()}, {"resource": referral(id="sr2", subject={"reference": "Patient/p2"})}],
}
PERIOD = {"start": "2025-01-01", "end": "2025-12-31"}

ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("1 plain match", {"consents": [consent(FB)]}, "permit"),
    ("2 nothing on file", {"consents": []}, "deny"),
    ("3 default permit, N data", {"consents": [], "who": "hospital", "policy": OPEN}, "permit"),
    (
        "4 default permit stops at N",
        {"consents": [], "who": "hospital", "policy": OPEN, "resource": condition("F33.1")},
        "deny",
    ),
    ("5 draft", {"consents": [consent(FB, status="draft")]}, "deny"),
    ("5 proposed", {"consents": [consent(FB, status="proposed")]}, "deny"),
    ("5 inactive", {"consents": [consent(FB, status="inactive")]}, "deny"),
    (
        "6 rejected deny",
        {"consents": [consent(deny(), status="rejected")], "who": "hospital", "policy": OPEN},
        "permit",
    ),
    ("7 deny in error", {"consents": [consent(FB), consent(deny(), id="c2", status="entered-in-error")]}, "permit"),
    ("8 local end of day", {"consents": [END_MARCH], "at": "2026-04-01T06:59:59Z", "policy": LA}, "permit"),
    ("9 after it", {"consents": [END_MARCH], "at": "2026-04-01T07:00:00Z", "policy": LA}, "deny"),
    (
        "10 inclusive second",
        {
            "consents": [consent(permit(actor=[FOOD_BANK], period={"end": "2026-05-04T17:00:00-05:00"}))],
            "at": "2026-05-04T17:00:00.9-05:00",
        },
        "permit",
    ),
    (
        "11 local year",
        {
            "consents": [consent(permit(actor=[FOOD_BANK], period={"end": "2026"}))],
            "at": "2027-01-01T04:30:00Z",
            "policy": NY,
        },
        "permit",
    ),
    ("12 signed later", {"consents": [consent(FB, dateTime="2026-05-04T10:00:01-05:00")]}, "deny"),
    (
        "13 foreign patient",
        {"consents": [consent(FB, patient={"reference": "https://else.example/r4/Patient/p1"})]},
        "deny",
    ),
    (
        "14 newer inactive copy",
        {"consents": [copy("a", "2026-02-01T00:00:00Z", FB), copy("b", "2026-03-01T00:00:00Z", FB, "inactive")]},
        "deny",
    ),
    (
        "15 newer permit copy",
        {
            "consents": [
                copy("a", "2026-02-01T00:00:00Z", deny(actor=[FOOD_BANK])),
                copy("b", "2026-03-01T00:00:00Z", FB),
            ]
        },
        "permit",
    ),
    ("16 actor by identifier", {"consents": [consent(permit(actor=[actor(**KNOWN)]))], "identifier": IDS}, "permit"),
    (
        "17 bare identifier permits nobody",
        {"consents": [consent(permit(actor=[actor(**BARE)]))], "identifier": IDS},
        "deny",
    ),
    (
        "18 bare identifier denies",
        {"consents": [consent(permit(deny(actor=[actor(**BARE)])))], "identifier": IDS},
        "deny",
    ),
    ("19 unresolvable deny", {"consents": [consent(permit(deny(actor=[actor(display="somebody")])))]}, "deny"),
    (
        "20 member of the group",
        {"consents": [consent(permit(actor=[actor("Group/food-banks")]))], "memberOf": ["Group/food-banks"]},
        "permit",
    ),
    ("21 names one practitioner", {"consents": [consent(permit(actor=[ADAMS]))], "who": "clinic"}, "deny"),
    ("22 purpose descends", {"consents": [consent(FB)], "purpose": "COC"}, "permit"),
    ("23 purpose does not ascend", {"consents": [consent(permit(purpose=purposes("COC")))]}, "deny"),
    ("24 marketing unstated", {"consents": [consent(permit(actor=[FOOD_BANK]))], "purpose": "HMARKT"}, "deny"),
    ("25 action differs", {"consents": [consent(permit(action=actions("access")))]}, "deny"),
    ("26 break glass", {"consents": [EXCEPT_BTG], "purpose": "BTG"}, "permit"),
    ("26 treatment", {"consents": [EXCEPT_BTG]}, "deny"),
    (
        "27 notice only",
        {"consents": [consent(FB, category=[concept("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "npp")])]},
        "deny",
    ),
    (
        "28 unknown modifier",
        {"consents": [consent(FB, modifierExtension=[{"url": "urn:x", "valueBoolean": True}])]},
        "deny",
    ),
    ("29 self-grant", {"consents": [consent(FB, performer=[{"reference": "Organization/food-bank"}])]}, "deny"),
    (
        "30 another custodian",
        {
            "consents": [consent(FB, organization=[{"reference": "Organization/clinic"}])],
            "custodian": {"reference": "Organization/hospital"},
        },
        "deny",
    ),
    (
        "31 paper",
        {"consents": [consent(policyRule=concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth"))]},
        "deny",
    ),
    ("32 opt-out, named", {"consents": [consent(permit(actor=[FOOD_BANK]), "OPTOUT")]}, "permit"),
    ("32 opt-out, other", {"consents": [consent(permit(actor=[FOOD_BANK]), "OPTOUT")], "who": "shelter"}, "deny"),
    ("33 opt-in, N", {"consents": [consent(deny(securityLabel=labels("R")), "OPTIN")]}, "permit"),
    (
        "33 opt-in, R",
        {"consents": [consent(deny(securityLabel=labels("R")), "OPTIN")], "resource": labelled("R")},
        "deny",
    ),
    ("34 contradiction", {"consents": [consent(deny(), "OPTIN")]}, "deny"),
    ("35 Adams", {"consents": [DEPTH], "who": "Practitioner/adams", "resource": labelled("PSY")}, "permit"),
    ("35 other", {"consents": [DEPTH], "resource": labelled("PSY")}, "deny"),
    (
        "36 siblings",
        {"consents": [consent({"provision": [permit(actor=[FOOD_BANK]), deny(actor=[FOOD_BANK])]})]},
        "deny",
    ),
    ("37 overlay", {"consents": [OVERLAY], "who": "Practitioner/adams", "resource": labelled("R")}, "permit"),
    ("38 context intersects", {"consents": [consent(permit(permit(actor=[FOOD_BANK]), actor=[HOSPITAL]))]}, "deny"),
    ("39 untyped nested", {"consents": [consent(permit({"actor": [FOOD_BANK]}))]}, "deny"),
    (
        "40 ANDed",
        {"consents": [consent(permit(deny(actor=[SHELTER], securityLabel=labels("HIV"))))], "who": "shelter"},
        "permit",
    ),
    ("41 permit R on V", {"consents": [consent(permit(securityLabel=labels("R")))], "resource": labelled("V")}, "deny"),
    (
        "41 deny R on V",
        {"consents": [consent(permit(deny(securityLabel=labels("R"))))], "resource": labelled("V")},
        "deny",
    ),
    (
        "42 every sensitivity",
        {"consents": [consent(permit(securityLabel=labels("SUD")))], "resource": labelled("SUD", "HIV")},
        "deny",
    ),
    (
        "43 empty set uncovered",
        {"consents": [consent(permit(securityLabel=labels("N", "PSY")))], "resource": labelled("R")},
        "deny",
    ),
    ("44 Part 2 unnamed", {"consents": [consent(FB)], "resource": labelled("42CFRPart2")}, "deny"),
    (
        "45 Part 2 named",
        {"consents": [consent(permit(securityLabel=labels("N", "SUD")))], "resource": labelled("42CFRPart2")},
        "permit",
    ),
    ("46 Part 2 follows source", {"consents": [consent(FB)], "resource": condition("F10.20")}, "permit"),
    ("47 nicotine", {"consents": [WITHOUT["SUD"]], "resource": condition("F17.210")}, "permit"),
    (
        "48 class",
        {"consents": [consent(permit(**{"class": classes("Observation")}))], "resource": condition("E11.9")},
        "deny",
    ),
    (
        "49 primary concept",
        {
            "consents": [consent(permit(code=[concept(ICD, "Z59.41")]))],
            "resource": condition("E11.9", evidence=[{"code": [concept(ICD, "Z59.41")]}]),
        },
        "deny",
    ),
    ("50 undated permit", {"consents": [consent(permit(dataPeriod=PERIOD))], "resource": labelled()}, "deny"),
    ("50 undated deny", {"consents": [consent(permit(deny(dataPeriod=PERIOD)))], "resource": labelled()}, "deny"),
    (
        "51 old deny, new permit",
        {"consents": [consent(deny(actor=[FOOD_BANK]), dateTime="2025-01-01"), consent(FB, id="c2")]},
        "deny",
    ),
    (
        "52 closed worlds",
        {
            "consents": [consent(deny(permit(actor=[FOOD_BANK]))), consent(deny(permit(actor=[SHELTER])), id="c2")],
            "who": "shelter",
        },
        "permit",
    ),
    ("53 bare deny", {"consents": [consent(FB), consent(deny(), id="c2")]}, "deny"),
    (
        "54 weak beats default",
        {
            "consents": [consent(permit(securityLabel=labels("N"), purpose=purposes("TREAT")))],
            "who": "hospital",
            "policy": OPEN,
            "resource": labelled("R"),
        },
        "deny",
    ),
    ("55 one reason", {"consents": [WITHOUT["SUD"]], "resource": referral(reasonCode=REASONS)}, "redact reasonCode[1]"),
    (
        "56 source label",
        {"consents": [WITHOUT["SUD"]], "resource": referral(reasonCode=REASONS, meta={"security": labels("SUD")})},
        "deny",
    ),
    ("57 contained", {"consents": [WITHOUT["HIV"]], "resource": referral(contained=[B20])}, "redact contained[0]"),
    ("58 two patients", {"consents": [consent(permit())], "resource": TWO}, "redact entry[1]"),
]


@pytest.mark.parametrize(("named", "expect"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_decision_table(named: dict[str, Any], expect: str) -> None:
    """The row of the table comes out as it says."""
    answer = ask(**named)
    said = " ".join([answer["decision"], *answer["redact_paths"]])
    assert said == expect, answer


@pytest.mark.parametrize("row", ["19 ", "31 ", "34 ", "51 ", "28 ", "29 "])
def test_rows_for_a_person_to_look_at(row: str) -> None:
    """B2, B3, C1, M1, S9 and S11 ask a person to look."""
    named = next(each[1] for each in ROWS if each[0].startswith(row))
    assert ask(**named)["review"]


def test_part2_goes_with_notice_and_copy() -> None:
    """Row 45: a permitted Part 2 record carries both obligations, and nothing else does."""
    row = {each[0]: each[1] for each in ROWS}
    assert ask(**row["45 Part 2 named"])["obligations"] == ["part2-notice", "copy-of-consent"]
    assert ask(**row["46 Part 2 follows source"])["obligations"] == []


def test_every_row_is_here() -> None:
    """All 58 rows of the table are written down."""
    assert {int(row[0].split()[0]) for row in ROWS} == set(range(1, 59))
