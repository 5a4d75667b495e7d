"""Bundles: each entry is checked, addresses are unique, references inside lead where they may; and the ones we make are right."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.issue import Issue
from bridge.fhir import bundle as bundles
from bridge.fhir.profile import Profiles

P, T, ORG, H = (f"0b0e7f0a-1111-8111-8111-00000000000{n}" for n in (1, 2, 3, 4))
PATIENT = {"resourceType": "Patient", "id": P}
TASK = {"resourceType": "Task", "id": T, "status": "requested", "intent": "order", "for": {"reference": f"Patient/{P}"},
        "requester": {"reference": f"Organization/{ORG}"}}
ORGANIZATION = {"resourceType": "Organization", "id": ORG, "name": "x"}
HEADER = {"resourceType": "MessageHeader", "id": H, "eventUri": "urn:x:y", "source": {"endpoint": "http://x.example"}}
ALL = [TASK, PATIENT, ORGANIZATION]


def codes(found: list[Issue]) -> set[tuple[str, str]]:
    """(code, path) of each issue."""
    return {(each.code, each.where) for each in found}


@pytest.mark.parametrize("base", ["", "https://x.example/fhir"])
def test_made_bundles_are_valid(base: str, profiles: Profiles) -> None:
    """A Bundle that we make has no finding, and resources come before those that refer to them."""
    made = bundles.collection(ALL, base=base, timestamp="2026-09-01T00:00:00Z")
    assert profiles.check(made) == []
    assert [each["resourceType"] for each in bundles.resources(made)] == ["Organization", "Patient", "Task"]


def test_bundles_are_deterministic_and_leave_resources_alone() -> None:
    """The order and repetition of the resources handed in change nothing, and the resources are not touched."""
    before = [dict(each) for each in ALL]
    assert bundles.collection(ALL) == bundles.collection([*reversed(ALL), PATIENT])
    assert before == ALL


def test_references_follow_the_full_urls() -> None:
    """With urn:uuid addresses the references inside are rewritten; with a base they stay Type/id."""
    urns, rest = bundles.collection(ALL), bundles.collection(ALL, base="https://x.example/fhir/")
    assert urns["entry"][2]["resource"]["for"] == {"reference": f"urn:uuid:{P}"}
    assert rest["entry"][2]["resource"]["for"] == {"reference": f"Patient/{P}"}
    assert rest["entry"][1]["fullUrl"] == f"https://x.example/fhir/Patient/{P}"
    with pytest.raises(ValueError, match="UUID"):
        bundles.collection([{"resourceType": "Patient", "id": "p1"}])


def test_message_bundles_begin_with_the_header(profiles: Profiles) -> None:
    """A message Bundle has its MessageHeader first, once."""
    made = bundles.message(HEADER, [*ALL, HEADER])
    assert profiles.check(made) == []
    assert [each["resourceType"] for each in bundles.resources(made)] == ["MessageHeader", "Organization", "Patient", "Task"]
    assert ("BRG-P018", "Bundle.entry") in codes(profiles.check({**bundles.collection(ALL), "type": "message"}))


def test_empty_bundle_has_no_entry(profiles: Profiles) -> None:
    """No resources make a Bundle without entry, for FHIR has no empty list."""
    assert "entry" not in bundles.collection([])
    assert profiles.check(bundles.collection([])) == []


def test_entries_are_checked_under_their_path(profiles: Profiles) -> None:
    """A fault of an entry's resource is found at the entry."""
    made = bundles.collection([PATIENT | {"gender": "x"}, TASK, ORGANIZATION])
    assert codes(profiles.check(made)) == {("BRG-P007", "Bundle.entry[1].resource.gender")}


def test_resolved_references_have_the_right_type(profiles: Profiles) -> None:
    """A urn:uuid that leads to a resource of a type that is not allowed there is an error."""
    made = bundles.collection([{**TASK, "for": {"reference": f"Patient/{P}"}, "requester": {"reference": f"Organization/{ORG}"},
                                "encounter": {"reference": f"Patient/{P}"}}, PATIENT, ORGANIZATION])
    assert codes(profiles.check(made)) == {("BRG-P010", "Bundle.entry[2].resource.encounter")}


def test_unresolved_references(profiles: Profiles) -> None:
    """A urn:uuid that leads nowhere is an error, a relative reference a warning, an absolute one nothing."""
    made = bundles.collection([{**TASK, "for": {"reference": f"urn:uuid:{P}"}, "focus": {"reference": "https://x.example/ServiceRequest/1"}}])
    found = {each.where: (each.code, each.severity) for each in profiles.check(made)}
    assert found == {"Bundle.entry[0].resource.for": ("BRG-P011", "error"), "Bundle.entry[0].resource.requester": ("BRG-P019", "warning")}


def test_rules_of_bundles(profiles: Profiles) -> None:
    """bdl-3, bdl-7, bdl-8 and agreement of fullUrl and id."""
    twice = bundles.collection([PATIENT], base="https://x.example/fhir")
    twice["entry"] *= 2
    assert ("BRG-P018", "Bundle.entry[1].fullUrl") in codes(profiles.check(twice))
    transaction = {**bundles.collection([PATIENT]), "type": "transaction"}
    assert ("BRG-P018", "Bundle.entry[0]") in codes(profiles.check(transaction))
    collection = bundles.collection([PATIENT])
    collection["entry"][0]["request"] = {"method": "PUT", "url": "Patient/1"}
    assert ("BRG-P014", "Bundle") in codes(profiles.check(collection))
    for url in (f"https://x.example/fhir/Patient/{P}/_history/1", "https://x.example/fhir/Patient/other"):
        collection = bundles.collection([PATIENT], base="https://x.example/fhir")
        collection["entry"][0]["fullUrl"] = url
        assert ("BRG-P018", "Bundle.entry[0].fullUrl") in codes(profiles.check(collection))


@pytest.mark.parametrize("entry", [5, [5], [{"resource": 5}], [{}], [{"resource": {"resourceType": "Patient", "name": 5}}], None])
def test_broken_bundles_are_findings(entry: Any, profiles: Profiles) -> None:
    """Whatever stands in entry, the answer is issues, never an exception."""
    assert any(each.severity == "error" for each in profiles.check({"resourceType": "Bundle", "type": "collection", "entry": entry}))


CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
BARE = {"resourceType": "Patient", "id": P}
WHOLE = BARE | {"identifier": [{"system": "urn:x:y", "value": "1"}], "name": [{"family": "x"}], "gender": "other"}
RELATED = {"resourceType": "RelatedPerson", "id": T, "meta": {"profile": [CORE + "us-core-relatedperson"]}, "active": True, "name": [{"text": "x"}],
           "patient": {"reference": f"Patient/{P}"}}


@pytest.mark.parametrize("base", ["", "https://x.example/fhir"])
@pytest.mark.parametrize(("patient", "found"), [
    (WHOLE, set()),
    (WHOLE | {"meta": {"profile": [CORE + "us-core-patient"]}}, set()),
    (BARE, {("BRG-P021", "Bundle.entry[1].resource.patient")}),
])
def test_targets_meet_the_profile_asked_for(base: str, patient: dict[str, Any], found: set[tuple[str, str]], profiles: Profiles) -> None:
    """A target in the Bundle conforms to the profile that the reference asks for, by its claim or by what it holds."""
    made = bundles.collection([RELATED, patient], base=base)
    for _ in range(2):
        assert codes(profiles.check(made)) == found


def test_contained_targets_have_the_right_type(profiles: Profiles) -> None:
    """A reference to a contained resource is judged by that resource; one to none is an error."""
    task = {**TASK, "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}], "requester": {"reference": "#o"}}
    assert profiles.check(task) == []
    assert codes(profiles.check(task | {"encounter": {"reference": "#o"}})) == {("BRG-P010", "Task.encounter")}
    assert codes(profiles.check(task | {"focus": {"reference": "#p"}})) == {("BRG-P011", "Task.focus")}
    assert ("BRG-P011", "Task.requester") in codes(profiles.check(TASK | {"requester": {"reference": "#o"}}))


@pytest.mark.parametrize(("named", "found"), [("Patient", set()), ("http://x.example/Own", set()), ("Organization", {("BRG-P010", "Task.encounter")})])
def test_the_type_that_a_reference_names_is_judged(named: str, found: set[tuple[str, str]], profiles: Profiles) -> None:
    """Reference.type is one of the allowed types, also where no address says it; a type that R4 does not have is not judged."""
    made = {**TASK, "for": {"type": "Patient", "identifier": {"value": "1"}}, "encounter": {"type": named if found else "Encounter", "display": "x"}}
    assert codes(profiles.check(made)) == found


def test_a_reference_to_another_version_is_to_the_resource(profiles: Profiles) -> None:
    """`Type/id/_history/n` is answered by the entry with this Type/id."""
    made = bundles.collection([TASK | {"for": {"reference": f"Patient/{P}/_history/2"}}, PATIENT, ORGANIZATION], base="https://x.example/fhir")
    assert profiles.check(made) == []
