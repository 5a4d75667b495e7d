"""Consents that are not as R4 has them: they never permit, and never let an older permit win; they are for a person to look at."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.unit.consent.build import (
    ACT,
    FOOD_BANK,
    ICD,
    OPEN,
    P1,
    SHELTER,
    Json,
    actor,
    ask,
    case,
    concept,
    consent,
    deny,
    permit,
)

GOOD = consent(permit(), id="good", dateTime="2020")
LISTS = {  # what the filter reads of a provision, as R4 has it
    "actor": [FOOD_BANK],
    "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
    "action": [concept("http://terminology.hl7.org/CodeSystem/consentaction", "disclose")],
    "securityLabel": [{"system": ACT, "code": "HIV"}],
    "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "ServiceRequest"}],
    "code": [concept(ICD, "Z59")],
    "data": [{"meaning": "instance", "reference": {"reference": "ServiceRequest/sr1"}}],
}
JUNK: list[Any] = [None, "", "text", 5, True, {}, {"code": "TREAT"}, [], [None], ["text"], [[]], [{}], [5]]
PERIODS: list[Any] = [None, "", "2026", 5, [], {}, [{"end": "2027"}], {"end": "soon"}, {"end": 2027}, {"end": "2027-02-30"}, {"end": "2027-01-01T00:00:61Z"}, {"end": "2027-01-01T00:00:00+05:60"}, {"end": None}, {"extension": []}]
ELEMENTS: list[tuple[str, Any]] = [
    *product(("scope", "policyRule"), (None, "", "OPTIN", 5, [], {}, {"coding": {"code": "OPTIN"}}, {"coding": []}, {"coding": ["OPTIN"]})),
    *product(("category",), (None, "", "IDSCL", 5, [], {}, concept(ACT, "IDSCL"), [None], ["IDSCL"])),
    *product(("performer", "organization"), (None, "", "Organization/food-bank", [], {}, {"reference": "Organization/food-bank"}, ["Organization/food-bank"], [None])),
    *product(("verification",), (None, "", "no", [], {}, {"verified": False}, ["no"], [{"verified": "false"}])),
    *product(("dateTime",), (None, "", 5, "last week", "2026-13-01", ["2026"])),
    *product(("identifier",), ({"system": "urn:c", "value": "1"}, "C-1", 5, [None], ["C-1"], [{"system": "urn:c", "value": 1}])),
    *product(("status",), (None, True, ["active"], {"value": "active"})),
    *product(("patient",), ({**P1, "identifier": [{"system": "urn:m", "value": "1"}]}, "Patient/p1", [P1], {"reference": 1}, {"reference": ["Patient/p1"]})),
    *product(("resourceType",), ("Contract", "", None)),
]
OTHERS: dict[str, Any] = {
    "text": "consent",
    "null": None,
    "number": 4,
    "list": [GOOD],
    "forty deep": None,
    "two thousand wide": consent(permit(*[deny(actor=[SHELTER])] * 2000)),
    "root provision is a list": consent([permit()]),
    "empty list under a base": consent([], "OPTIN"),
    "root provision is text": consent("permit"),
    "nested provision is an object": consent({"type": "permit", "provision": {"type": "deny"}}),
    "nested provision is text": consent({"type": "permit", "provision": "deny"}),
    "nested provision is null": consent({"type": "permit", "provision": [None]}),
    "actor's reference is text": consent(permit(actor=[{**FOOD_BANK, "reference": "Organization/food-bank"}])),
    "data's reference is text": consent(permit(data=[{"meaning": "instance", "reference": "ServiceRequest/sr1"}])),
    "a code is a number": consent(permit(purpose=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": 5}])),
    "contained is text": consent(permit(actor=[actor("#o")]), contained="o"),
}
for _ in range(40):
    OTHERS["forty deep"] = permit(OTHERS["forty deep"]) if OTHERS["forty deep"] else permit()
OTHERS["forty deep"] = consent(OTHERS["forty deep"])


def withheld(bad: Any) -> None:
    """Neither an older permit nor an open contract lets anything out beside this consent, in either order."""
    for consents, policy in (([GOOD, bad], None), ([bad, GOOD], None), ([bad], OPEN)):
        answer = ask(consents, policy=policy)
        assert answer["decision"] == "deny"
        assert answer["review"]
        assert answer["review"][0].startswith("evaluation-failed:")


@pytest.mark.parametrize(("name", "junk"), list(product(LISTS, JUNK)))
def test_a_rule_with_a_damaged_list(name: str, junk: Any) -> None:
    """A provision whose list is text, null, empty, or holds what is none, is not read, at the root or below it."""
    withheld(consent({"type": "permit", name: junk}))
    withheld(consent(permit({"type": "deny", "actor": [SHELTER], name: junk})))


@pytest.mark.parametrize(("name", "junk"), list(product(("period", "dataPeriod"), PERIODS)))
def test_a_rule_with_a_damaged_period(name: str, junk: Any) -> None:
    """A period that is no period, has no dates or has none that exist, is not read."""
    withheld(consent({"type": "permit", name: junk}))
    withheld(consent(permit({"type": "deny", name: junk})))


@pytest.mark.parametrize(("name", "junk"), ELEMENTS)
def test_a_consent_with_a_damaged_element(name: str, junk: Any) -> None:
    """A Consent whose element is of another shape is not read."""
    withheld({**consent(permit()), name: junk})


@pytest.mark.parametrize("bad", list(OTHERS.values()), ids=list(OTHERS))
def test_what_is_no_consent_or_too_large(bad: Any) -> None:
    """What is no Consent at all, or beyond the caps on depth and number, denies too."""
    withheld(bad)


@pytest.mark.parametrize("name", list(LISTS))
def test_the_same_lists_undamaged_are_read(name: str) -> None:
    """The lists above are sound as they stand: it is the damage that denies."""
    assert not ask([consent({"type": "permit", name: LISTS[name]})])["review"]


CANNOT_MATTER = [
    *[consent({"type": "permit", name: junk}) for name, junk in product(LISTS, JUNK)],
    *[consent({"type": "permit", "period": junk}) for junk in PERIODS],
    *[{**consent(permit()), name: junk} for name, junk in ELEMENTS if name not in ("identifier", "status", "patient", "resourceType")],
    *[bad for name, bad in OTHERS.items() if name not in ("text", "null", "number", "list")],
]


@pytest.mark.parametrize("change", [{"status": "inactive"}, {"status": "draft"}, {"patient": {"reference": "Patient/p2"}}, {"status": None}])
def test_a_damaged_consent_that_cannot_matter(change: Json) -> None:
    """Damage in a consent that is not active, or about someone else, changes nothing."""
    for bad in CANNOT_MATTER:
        other = {name: value for name, value in {**bad, **change}.items() if name != "status" or value is not None}
        assert ask([GOOD, other])["decision"] == "permit", other


def test_an_acknowledgement_or_a_past_consent_cannot_matter() -> None:
    """Damage in what S4 and S5 leave out changes nothing."""
    bad = {"type": "permit", "actor": "food-bank"}
    assert ask([GOOD, consent(bad, id="b", category=[concept(ACT, "NOPP")])])["decision"] == "permit"
    assert ask([GOOD, consent({**bad, "period": {"end": "2025"}}, id="b")])["decision"] == "permit"


def test_a_damaged_copy_that_may_be_a_revocation_matters() -> None:
    """S7: a copy whose identifier or date cannot be read may replace the permit, whatever its status."""
    same = [{"system": "urn:c", "value": "1"}]
    permitted = consent(permit(), identifier=same, dateTime="2025")
    for revoked in ({"identifier": [{"system": "urn:c", "value": 1}]}, {"identifier": same, "dateTime": "x"}, {"identifier": same, "meta": "x"}):
        assert ask([permitted, {**consent(permit(), id="b", status="inactive"), **revoked}])["decision"] == "deny"


@pytest.mark.parametrize("consents", [None, "", 0, {}, "text", {"a": GOOD}])
def test_consents_that_are_no_list(consents: Any) -> None:
    """A case whose consents are no list is denied for review, also under an open contract."""
    from bridge.consent.cases import run_case

    answer = run_case({**case([], policy=OPEN), "consents": consents})
    assert (answer["decision"], bool(answer["review"])) == ("deny", True)
