"""Explanations: true to the decision, a sentence for every rule, and never a patient's value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridge.consent import house_file
from bridge.consent.cases import run_case
from bridge.consent.explain import explain, paragraph, says, sentences
from bridge.consent.house import Exchange, side
from bridge.consent.house_ruling import ruling
from bridge.consent.request import Policy, Request
from tests.unit.consent.build import AT, ICD, OPEN, actor, case, concept, condition, consent, deny, labels, permit, purposes, referral

SOURCES = Path(__file__).resolve().parents[3] / "bridge" / "consent"
ID = re.compile(r'"([A-Z]\d{1,2})(?: \{[^"]*)?"')


def why(*arguments: Any, house: bool = False, kind: str = "food", flags: tuple[str, ...] = (), **named: Any) -> dict[str, Any]:
    """The explanation of a case written as for `case`; with `house` under the packaged rules."""
    made = case(*arguments, **named)
    policy = Policy.parse(made.get("policy"))
    request = Request.parse(made["request"], policy)
    rules = house_file.packaged().house
    narrow = ruling(rules, Exchange(side("food-bank", kind, flags)), request, policy) if house else None
    return explain(request, made["resource"], made["consents"], policy, narrow, rules)


def test_every_rule_id_of_the_evaluator_has_a_sentence() -> None:
    """Whatever id a decision can carry, people are told what it says."""
    used = {found for path in SOURCES.glob("*.py") for found in ID.findall(path.read_text(encoding="utf-8"))} | {"evaluation-failed"}
    assert len(used) >= 40
    assert used - set(sentences()["rules"]) == set()
    assert all(one["says"] and not one["says"].endswith(".") for one in sentences()["rules"].values())


def test_every_rule_of_the_house_is_explained_by_its_reason() -> None:
    """The sentence of a house rule is its `because`."""
    house = house_file.packaged().house
    assert says("house:gender-named", house) == "Data about gender identity goes to nobody unless the patient's permit names it"
    assert says("house:gone", house) == "a rule of the house"


DEEP = consent(permit(deny(permit(actor=[actor("Practitioner/adams")]), securityLabel=labels("PSY"))))


@pytest.mark.parametrize(("who", "says_", "at"), [
    ("food-bank", "deny", "provision.provision[0]"),
    ("Practitioner/adams", "permit", "provision.provision[0].provision[0]"),
])
def test_the_path_of_the_rule_that_spoke(who: str, says_: str, at: str) -> None:
    """The deciding rule is named by its place in the Consent, version included."""
    versioned = {**DEEP, "meta": {"versionId": "3"}}
    assert why([versioned], condition("F33.1"), who=who)["deciding"] == [
        {"consent": "c1/3", "says": says_, "at": at, "rules": run_case(case([versioned], condition("F33.1"), who=who))["rules"]}]


def test_paths_of_both_encodings() -> None:
    """A typed root that is the exception to its base stands at `provision`, the base itself at `policyRule`."""
    both = consent(permit(actor=[actor("Organization/food-bank")]), base="OPTOUT")
    assert [(one["says"], one["at"]) for one in why([both])["deciding"]] == [("permit", "provision")]
    assert [(one["says"], one["at"]) for one in why([both], who="shelter")["deciding"]] == [("deny", "policyRule")]
    assert [one["at"] for one in why([consent(base="OPTIN")])["deciding"]] == ["policyRule"]


LEFT_OUT = [
    (consent(permit(), status="draft"), ["S1"]),
    (consent(permit(), patient={"reference": "Patient/p2"}), ["S2"]),
    (consent(permit(), dateTime="2027-01-01"), ["S6"]),
    (consent(permit(period={"end": "2026-01-31"})), ["S5"]),
    (consent(), ["B2"]),
    (consent(permit(actor=[actor("Organization/shelter")], purpose=purposes("TREAT"))), ["M1"]),
    (consent(permit(purpose=purposes("HOPERAT"))), ["M2"]),
    (consent(permit(actor=[actor("Organization/shelter")], purpose=purposes("HOPERAT"))), ["M1", "M2"]),
]


@pytest.mark.parametrize(("given", "rules"), LEFT_OUT)
def test_a_consent_that_does_not_count_is_named_with_the_rule(given: dict[str, Any], rules: list[str]) -> None:
    """Only what really stands in its way is named, and what would have to change."""
    found = why([given])
    assert found["left_out"] == [{"consent": "c1", "rules": rules}]
    assert found["decision"] == "deny"
    assert [text for text in found["change"] if text.startswith("consent c1:")] == [
        f"consent c1: {sentences()['rules'][rule]['change']}" for rule in rules if rule != "S2"]


def test_a_permit_that_leaves_the_data_out() -> None:
    """A permit about this exchange that does not list the labels is told apart from a deny."""
    named = permit(securityLabel=labels("N"), purpose=purposes("TREAT"), actor=[actor("Organization/food-bank")])
    found = why([consent(named)], condition("F33.1"))
    assert [(one["says"], one["at"]) for one in found["deciding"]] == [("leaves-out", "provision")]
    assert found["change"] == ["consent c1, provision: it has to list the labels of these data"]


def test_what_was_withheld_and_by_which_rule() -> None:
    """A part that a patient denies, one that the house takes out and one that the list drops each name their own rule."""
    resource = referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "B20"), concept(ICD, "Z87.890")], note=[{"text": "x"}])
    found = why([consent(permit(deny(securityLabel=labels("HIV"))))], resource, house=True, profile="cbo-minimum")
    by = {one["path"]: one["rules"] for one in found["withheld"]}
    assert by["reasonCode[1]"] == ["M5", "N1"]
    assert by["reasonCode[2]"] == ["house:gender-named"]
    assert by["note"] == ["P1"]
    assert "consent c1 has to permit in such a way that it names the label, the code or the record itself" in found["change"]


def test_obligations_and_reviews_are_put_in_words() -> None:
    """The Part 2 notice follows from the label; two consents that contradict each other are for a person."""
    part2 = why([consent(permit(securityLabel=labels("SUD", "N")))], {**condition("E11.9"), "meta": {"security": labels("42CFRPart2")}})
    assert [one["obligation"] for one in part2["obligations"]] == ["part2-notice", "copy-of-consent"]
    assert all(one["says"] for one in part2["obligations"])
    conflict = why([consent(permit()), consent(deny(actor=[actor("Organization/food-bank")]), id="c2")])
    assert [one["note"] for one in conflict["review"]] == ["C1 c2"]
    assert all(one["says"] for one in conflict["review"])


def test_no_consent_speaks() -> None:
    """Default deny and the contract's default are said as what they are."""
    assert why([])["change"] == ["a consent has to permit this recipient for this purpose"]
    assert [one["rule"] for one in why([], policy=OPEN)["rules"]] == ["D2"]
    assert "No consent speaks, and then nothing leaves (D1)." in paragraph("x", why([]))


def test_what_cannot_be_decided_is_explained_as_that() -> None:
    """A question without a purpose, a record without a patient and a broken consent are explained, never raised."""
    assert why([], purpose="")["change"] == ["ask with all four"]
    assert why([], {"resourceType": "Condition", "id": "c"})["withheld"][0]["rules"] == ["X2"]
    assert why([{"resourceType": "Consent", "id": "c", "status": "active", "patient": 7}])["change"] == ["a person has to look at the consents and the record"]


def test_explanations_agree_with_decisions(shared: Path) -> None:
    """For every case of the corpus: same effect, same rules, and what is withheld are the redacted paths."""
    for each in json.loads((shared / "corpus" / "consent_cases_sample.json").read_text()):
        policy = Policy.parse(each.get("policy"))
        found = explain(Request.parse(each["request"], policy), each["resource"], each["consents"], policy)
        answer = run_case(each)
        assert (found["decision"], [one["rule"] for one in found["rules"]]) == (answer["decision"], answer["rules"])
        if "entries" not in found:
            assert sorted(one["path"] for one in found["withheld"] if one["path"]) == sorted(answer["redact_paths"])
            assert bool([one for one in found["withheld"] if not one["path"]]) == (answer["decision"] == "deny")


def test_no_value_of_the_patient_is_told() -> None:
    """Names, texts and codes of the record stay out of the explanation; labels, paths and ids of consents are in it."""
    resource = referral(reasonCode=[{**concept(ICD, "B20"), "text": "CANARY-TEXT"}], note=[{"text": "CANARY-NOTE"}], subject={"reference": "Patient/p1", "display": "CANARY-NAME"})
    for consents in ([], [consent(permit(deny(securityLabel=labels("HIV"))))]):
        told = json.dumps(found := why(consents, resource, house=True, profile="cbo-minimum")) + paragraph("x", found)
        assert "CANARY" not in told
        assert "B20" not in told


def test_a_bundle_is_explained_entry_by_entry() -> None:
    """Each entry has its own reasons."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": condition("B20")}, {"resource": referral()}]}
    found = why([consent(permit(deny(securityLabel=labels("HIV"))))], bundle, at=AT)
    assert [(one["entry"], one["decision"]) for one in found["entries"]] == [("entry[0]", "deny"), ("entry[1]", "permit")]
    assert "  entry[0]: it may not go." in paragraph("x", found)
