"""What leaves: redacted, projected, decided again."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml

from bridge.consent import project
from bridge.consent.decide import decide
from bridge.consent.redact import REDACTED, redact
from bridge.consent.release import release, verify_release
from bridge.consent.request import Policy, Request
from bridge.core.errors import SettingsError
from bridge.fhir import elements
from tests.unit.consent.build import (
    ICD,
    INLINE,
    LOINC,
    P1,
    case,
    concept,
    condition,
    consent,
    deny,
    labels,
    permit,
    referral,
)

POLICY = Policy()
WITHOUT_HIV = consent(permit(deny(securityLabel=labels("HIV"))))
B20 = {"resourceType": "Condition", "id": "in", "code": concept(ICD, "B20"), "subject": P1}


def asking(profile: str = "") -> Request:
    return Request.parse(case([], profile=profile)["request"], POLICY)


def released(consents: list[dict[str, Any]], resource: dict[str, Any], kind: str = "") -> dict[str, Any]:
    """The copy that leaves; it must be a plain permit when it is decided again."""
    request = asking(kind)
    decision = decide(request, resource, consents, POLICY)
    copy = release(resource, decision, kind, policy=POLICY, request=request)
    assert copy is not None, decision
    assert verify_release(request, copy, consents, POLICY), decide(request, copy, consents, POLICY)
    return copy


def test_a_plain_permit_is_a_plain_copy() -> None:
    """Nothing is marked or dropped when nothing is withheld."""
    resource = referral(text={"status": "generated", "div": "<div/>"}, note=[{"text": "x"}])
    assert released([consent(permit())], resource) == resource


def test_a_denied_resource_is_not_released() -> None:
    """A deny leaves nothing."""
    assert release(referral(), decide(asking(), referral(), [], POLICY)) is None


def test_withheld_element_goes_with_its_narrative() -> None:
    """Redaction removes the element and the narrative that retells it, and says so."""
    resource = referral(text={"status": "generated", "div": "<div>HIV</div>"}, reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "B20")])
    copy = released([WITHOUT_HIV], resource)
    assert copy["reasonCode"] == [concept(ICD, "Z59.41")]
    assert "text" not in copy
    assert copy["meta"]["security"] == [REDACTED]
    assert "B20" not in json.dumps(copy)
    assert len(resource["reasonCode"]) == 2


def test_silent_policy_leaves_no_mark() -> None:
    """A silent redaction does not say that something was hidden."""
    resource = referral(reasonCode=[concept(ICD, "B20")])
    assert redact(resource, ["reasonCode[0]"], Policy(silent=True)) == referral()


def test_references_to_contained_go_with_it() -> None:
    """No reference to a withheld contained resource survives, with or without display."""
    resource = referral(
        contained=[B20],
        reasonReference=[{"reference": "#in", "display": "AIDS"}],
        supportingInfo=[{"reference": "#in"}, {"reference": "Condition/k2"}],
    )
    copy = released([WITHOUT_HIV], resource)
    assert "contained" not in copy
    assert "reasonReference" not in copy
    assert copy["supportingInfo"] == [{"reference": "Condition/k2"}]


def test_references_to_dropped_entries_go_with_them() -> None:
    """References to a dropped entry go by every name it has; totals, signature and narrative of the rest go too."""
    hiv = {"fullUrl": "urn:uuid:k", "resource": condition("B20")}
    sent = referral(
        text={"status": "generated", "div": "<div/>"},
        reasonReference=[
            {"reference": name}
            for name in (
                "Condition/k1",
                "Condition/k1/_history/2",
                "https://bridge.example.org/fhir/Condition/k1",
                "urn:uuid:k",
                "Condition/k2",
            )
        ],
    )
    bundle = {"resourceType": "Bundle", "type": "collection", "total": 2, "entry": [hiv, {"resource": sent}]}
    copy = released([WITHOUT_HIV], bundle)
    assert [each["resource"]["resourceType"] for each in copy["entry"]] == ["ServiceRequest"]
    assert copy["entry"][0]["resource"]["reasonReference"] == [{"reference": "Condition/k2"}]
    assert "total" not in copy
    assert "text" not in copy["entry"][0]["resource"]


def test_required_elements_say_masked() -> None:
    """A required element that lost its content carries a data-absent-reason, complex or primitive."""
    event = {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": P1,
        "contained": [B20],
        "diagnosis": [{"condition": {"reference": "#in"}}],
    }
    copy = redact(event, ["contained[0]", "status"], POLICY)
    assert copy["diagnosis"][0]["condition"]["extension"][0]["valueCode"] == "masked"
    assert copy["_status"]["extension"][0]["valueCode"] == "masked"
    assert "status" not in copy


def test_inline_high_water_marks_go_with_their_element() -> None:
    """A label of the resource that only a withheld element repeated does not stay behind to cover the rest."""
    marked = {"text": "x", "extension": [{"url": INLINE, "valueCoding": labels("HIV")[0]}]}
    resource = referral(reasonCode=[{"text": "y"}, marked], meta={"security": labels("R", "HIV", "PROCESSINLINELABEL")})
    copy = released([WITHOUT_HIV], resource)
    assert [each["code"] for each in copy["meta"]["security"]] == ["R", "PROCESSINLINELABEL", "REDACTED"]


def test_form_items_go_by_place() -> None:
    """A nested form item is removed where it stands, the others stay."""
    items = [{"linkId": "/1", "item": [{"linkId": "/88122-7"}, {"linkId": "/75622-1"}, {"linkId": "/88123-5"}]}]
    form = {"resourceType": "QuestionnaireResponse", "id": "q", "status": "completed", "subject": P1, "item": items}
    copy = released([WITHOUT_HIV], form)
    assert [each["linkId"] for each in copy["item"][0]["item"]] == ["/88122-7", "/88123-5"]


def test_cbo_minimum_reaches_the_person_and_no_more() -> None:
    """P1: a food bank gets a way to reach the person; no number, birth date, reason, note, or identifier of a reference."""
    person = {
        "resourceType": "Patient",
        "id": "p1",
        "active": True,
        "birthDate": "1960-01-01",
        "gender": "female",
        "identifier": [{"system": "urn:mrn", "value": "7"}],
        "name": [{"family": "Lee", "extension": [{"url": "urn:x", "valueString": "y"}]}],
        "meta": {"source": "urn:feed", "tag": [{"code": "x"}], "versionId": "2"},
    }
    copy = released([consent(permit())], person, "cbo-minimum")
    assert set(copy) == {"resourceType", "id", "meta", "active", "name"}
    assert copy["name"] == [{"family": "Lee"}]
    assert set(copy["meta"]) == {"versionId", "security"}
    asked = referral(
        reasonCode=[concept(ICD, "Z59.41")],
        note=[{"text": "x"}],
        priority="urgent",
        subject={**P1, "identifier": {"system": "urn:mrn", "value": "7"}, "display": "Lee"},
    )
    assert released([consent(permit())], asked, "food") == {
        **referral(subject={**P1, "display": "Lee"}),
        "priority": "urgent",
        "meta": {"security": [REDACTED]},
    }


def test_projection_of_a_bundle_drops_what_has_no_shape() -> None:
    """P1, R2: in a Bundle, entries the recipient has no use for are dropped with the references to them."""
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": condition("Z59.41")},
            {"resource": referral(reasonReference=[{"reference": "Condition/k1"}])},
        ],
    }
    copy = released([consent(permit())], bundle, "cbo-minimum")
    assert len(copy["entry"]) == 1
    assert "reasonReference" not in copy["entry"][0]["resource"]


@pytest.mark.parametrize(
    ("kind", "category", "expect"),
    [
        ("housing", "homelessness", "permit"),
        ("housing", "food-insecurity", "deny"),
        ("payer", "food-insecurity", "permit"),
    ],
)
def test_own_domain_only(kind: str, category: str, expect: str) -> None:
    """P1: housing sees conditions of its own domain, a payer those of any SDOH domain."""
    sdoh = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
    need = condition("Z59.00", category=[concept(sdoh, category)])
    assert decide(asking(kind), need, [consent(permit())], POLICY).effect == expect
    assert decide(asking("payer"), condition("E11.9"), [consent(permit())], POLICY).effect == "deny"


def test_payer_gets_only_the_numbers_it_issued() -> None:
    """P1: of a patient's identifiers a payer sees those that it assigned itself."""
    issued = {"system": "urn:plan", "value": "9", "assigner": {"reference": "Organization/food-bank"}}
    person = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:mrn", "value": "7"}, issued]}
    assert released([consent(permit())], person, "payer")["identifier"] == [issued]


def test_an_element_of_which_nothing_passes_is_dropped_as_one() -> None:
    """P1: the path is the element's own when no repetition stays, and each repetition's when some do."""
    asked = referral(orderDetail=[concept("urn:x", "other")])
    assert decide(asking("food"), asked, [consent(permit())], POLICY).redact_paths == ("orderDetail",)
    asked = referral(orderDetail=[concept("urn:x", "other"), concept("urn:x", "contacting-subject-prohibited")])
    assert decide(asking("food"), asked, [consent(permit())], POLICY).redact_paths == ("orderDetail[0]",)
    assert released([consent(permit())], asked, "food")["orderDetail"] == [concept("urn:x", "contacting-subject-prohibited")]


def test_unlabelled_text_never_goes_to_a_cbo() -> None:
    """L1, free text: an answer in words or a description is no allow-listed field, wherever it stands."""
    sdoh = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
    found = {
        "resourceType": "Observation", "id": "o", "status": "final", "code": concept(LOINC, "71802-3"), "subject": P1,
        "category": [concept(sdoh, "homelessness")], "valueString": "canary",
        "component": [{"code": concept(LOINC, "93034-7"), "valueString": "canary"}, {"code": concept(LOINC, "93034-7"), "valueBoolean": True}],
    }
    copy = released([consent(permit())], found, "housing")
    assert "canary" not in json.dumps(copy)
    assert copy["component"][1]["valueBoolean"] is True
    allergy = {"resourceType": "AllergyIntolerance", "id": "a", "category": ["food"], "patient": P1, "code": concept("urn:x", "nuts"),
               "reaction": [{"manifestation": [concept("urn:x", "rash")], "description": "canary", "note": [{"text": "canary"}]}]}
    assert released([consent(permit())], allergy, "meals")["reaction"] == [{"manifestation": [concept("urn:x", "rash")]}]


def test_filters_of_meals_and_vsp() -> None:
    """P1: meals see diet and allergy references, a victim service provider only contacts marked safe."""
    asked = referral(supportingInfo=[{"reference": "AllergyIntolerance/a"}, {"reference": "Condition/k"}])
    assert released([consent(permit())], asked, "meals")["supportingInfo"] == [{"reference": "AllergyIntolerance/a"}]
    safe = {
        "system": "phone",
        "value": "1",
        "extension": [{"url": "urn:sdoh-bridge:safe-contact", "valueBoolean": True}],
    }
    person = {"resourceType": "Patient", "id": "p1", "telecom": [{"system": "phone", "value": "2"}, safe]}
    copy = released([consent(permit())], person, "vsp")
    assert [each["value"] for each in copy["telecom"]] == ["1"]


def test_modifier_extension_is_never_dropped_quietly() -> None:
    """P1: a resource that says something else without its modifier is not sent."""
    odd = referral(modifierExtension=[{"url": "urn:not", "valueBoolean": True}])
    assert decide(asking("cbo-minimum"), odd, [consent(permit())], POLICY).effect == "deny"


def test_projections_keep_what_r4_requires() -> None:
    """Every listed type keeps the elements that R4 requires, so a projected copy stays valid."""
    r4 = elements.load()
    for file in files("profiles").joinpath("recipients").iterdir():
        if not file.name.endswith(".yaml"):
            continue
        for type_, shape in project.load(yaml.safe_load(file.read_text("utf-8"))["kind"]).shapes.items():
            required = [each.name for each in r4.children(type_) if each.min and not each.choice]
            assert [name for name in required if shape.allows(name) is None] == [], (file.name, type_)


def test_unknown_kind_names_the_known_ones() -> None:
    """An unknown kind of recipient is a settings error that lists the valid ones."""
    with pytest.raises(SettingsError, match="cbo-minimum"):
        project.load("nobody")


def test_observation_component_and_code() -> None:
    """A withheld component leaves the others in place."""
    panel = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": concept(LOINC, "8302-2"),
        "subject": P1,
        "component": [{"code": concept(LOINC, "75622-1")}, {"code": concept(LOINC, "8302-2")}],
    }
    assert released([WITHOUT_HIV], panel)["component"] == [{"code": concept(LOINC, "8302-2")}]
