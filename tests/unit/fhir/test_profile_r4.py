"""Base R4: each kind of fault is found, under its code and at its path; what R4 allows is not refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.core.issue import Issue
from bridge.fhir.profile import Profiles

Errors = Callable[[dict[str, Any]], list[Issue]]

UUID = "urn:uuid:0b0e7f0a-1111-8111-8111-000000000001"


def patient(**more: Any) -> dict[str, Any]:
    """A Patient with these elements."""
    return {"resourceType": "Patient", "id": "p1", **more}


def observation(**more: Any) -> dict[str, Any]:
    """A minimal Observation with these elements; None takes one away."""
    made = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}
    return {name: value for name, value in made.items() if value is not None}


BAD = [
    (patient(colour="x"), "BRG-P001", "Patient.colour"),
    (patient(name=[{"first": "x"}]), "BRG-P001", "Patient.name[0].first"),
    (patient(contact=[{"name": {"family": "x", "age": 1}}]), "BRG-P001", "Patient.contact[0].name.age"),
    (patient(**{"John Doe 1980": 1}), "BRG-P001", "Patient.?"),
    (observation(status=None), "BRG-P002", "Observation.status"),
    (observation(code=None), "BRG-P002", "Observation.code"),
    ({"resourceType": "Task", "status": "draft", "intent": "order", "input": [{"type": {"text": "x"}}]}, "BRG-P006", "Task.input[0]"),
    ({"resourceType": "Provenance", "target": [{"reference": "Task/1"}], "recorded": "2026-01-01T00:00:00Z", "agent": [{}]}, "BRG-P012", "Provenance.agent[0]"),
    (patient(name={"family": "x"}), "BRG-P004", "Patient.name"),
    (patient(maritalStatus=[{"text": "x"}]), "BRG-P004", "Patient.maritalStatus"),
    (patient(active="true"), "BRG-P004", "Patient.active"),
    (patient(active=1), "BRG-P004", "Patient.active"),
    (patient(multipleBirthInteger="2"), "BRG-P004", "Patient.multipleBirthInteger"),
    (patient(gender=1), "BRG-P004", "Patient.gender"),
    (patient(birthDate="1980-02-30"), "BRG-P005", "Patient.birthDate"),
    (patient(birthDate="1900-02-29"), "BRG-P005", "Patient.birthDate"),
    (patient(birthDate="1980-13"), "BRG-P005", "Patient.birthDate"),
    (patient(birthDate="19800101"), "BRG-P005", "Patient.birthDate"),
    (patient(deceasedDateTime="2026-04-31T10:00:00Z"), "BRG-P005", "Patient.deceasedDateTime"),
    (patient(deceasedDateTime="2026-04-30T10:00:00"), "BRG-P005", "Patient.deceasedDateTime"),
    (patient(deceasedDateTime="2026-04-30T10:00Z"), "BRG-P005", "Patient.deceasedDateTime"),
    (patient(deceasedDateTime="2026-04-30T24:00:00Z"), "BRG-P005", "Patient.deceasedDateTime"),
    (patient(meta={"lastUpdated": "2026-04-30"}), "BRG-P005", "Patient.meta.lastUpdated"),
    (patient(id="a" * 65), "BRG-P005", "Patient.id"),
    (patient(id="a b"), "BRG-P005", "Patient.id"),
    (patient(implicitRules="a b"), "BRG-P005", "Patient.implicitRules"),
    (patient(language=" en"), "BRG-P005", "Patient.language"),
    (patient(name=[{"family": ""}]), "BRG-P005", "Patient.name[0].family"),
    (patient(name=[{"family": "a\x0bb"}]), "BRG-P005", "Patient.name[0].family"),
    (patient(photo=[{"contentType": "a/b", "data": "?"}]), "BRG-P005", "Patient.photo[0].data"),
    (patient(telecom=[{"rank": 0}]), "BRG-P005", "Patient.telecom[0].rank"),
    (patient(multipleBirthInteger=2**31), "BRG-P005", "Patient.multipleBirthInteger"),
    (patient(deceasedBoolean=True, deceasedDateTime="2026"), "BRG-P006", "Patient.deceased[x]"),
    (observation(valueString="x", valueInteger=1), "BRG-P006", "Observation.value[x]"),
    (patient(gender="x"), "BRG-P007", "Patient.gender"),
    (patient(name=[{"use": "x"}]), "BRG-P007", "Patient.name[0].use"),
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "clinicalStatus": {"text": "active"}}, "BRG-P007", "Condition.clinicalStatus"),
    (observation(subject={"reference": "Practitioner/1"}), "BRG-P010", "Observation.subject"),
    (observation(subject={"reference": "https://x.org/fhir/Practitioner/1/_history/2"}), "BRG-P010", "Observation.subject"),
    (patient(link=[{"other": {"reference": "Group/1"}, "type": "refer"}]), "BRG-P010", "Patient.link[0].other"),
    (observation(subject={"reference": "Patient"}), "BRG-P011", "Observation.subject"),
    (observation(subject={"reference": "Banana/1"}), "BRG-P011", "Observation.subject"),
    (patient(extension=[{"url": "x", "valueReference": {"reference": "Banana/1"}}]), "BRG-P011", "Patient.extension[0].valueReference"),
    (observation(subject={"reference": "#nobody"}), "BRG-P011", "Observation.subject"),
    (patient(name=[]), "BRG-P012", "Patient.name"),
    (patient(maritalStatus={}), "BRG-P012", "Patient.maritalStatus"),
    (patient(maritalStatus=None), "BRG-P012", "Patient.maritalStatus"),
    (patient(name=[{"given": [None]}]), "BRG-P012", "Patient.name[0].given"),
    (patient(extension=[{"url": "x"}]), "BRG-P013", "Patient.extension[0]"),
    (patient(extension=[{"url": "x", "id": "y"}]), "BRG-P013", "Patient.extension[0]"),
    (patient(extension=[{"url": "x", "valueString": "y", "valueCode": "z"}]), "BRG-P013", "Patient.extension[0]"),
    (patient(extension=[{"url": "x", "valueString": "y", "extension": [{"url": "z", "valueCode": "z"}]}]), "BRG-P013", "Patient.extension[0]"),
    (patient(name=[{"extension": [{"valueString": "y"}]}]), "BRG-P002", "Patient.name[0].extension[0].url"),
    (patient(_birthDate={"extension": [{"url": "x"}]}), "BRG-P013", "Patient._birthDate.extension[0]"),
    (patient(_birthDate={}), "BRG-P012", "Patient._birthDate"),
    (observation(valueString="x", dataAbsentReason={"text": "x"}), "BRG-P014", "Observation"),
    ({"resourceType": "Organization", "active": True}, "BRG-P014", "Organization"),
    (patient(contact=[{"gender": "male"}]), "BRG-P014", "Patient.contact[0]"),
    (patient(telecom=[{"value": "1"}]), "BRG-P014", "Patient.telecom[0]"),
    (patient(text={"status": "generated", "div": "<div><script>x</script></div>"}), "BRG-P015", "Patient.text.div"),
    (patient(text={"status": "generated", "div": "<div><a onclick='x'>y</a></div>"}), "BRG-P015", "Patient.text.div"),
    (patient(text={"status": "generated", "div": "<div><a href='JavaScript:x'>y</a></div>"}), "BRG-P015", "Patient.text.div"),
    (patient(text={"status": "generated", "div": "plain"}), "BRG-P005", "Patient.text.div"),
    ({}, "BRG-P016", "Resource"),
    ({"resourceType": "Banana"}, "BRG-P016", "Resource"),
    (patient(birthDate=b"x"), "BRG-P016", "Patient"),
]


@pytest.mark.parametrize(("resource", "code", "where"), BAD)
def test_fault_is_found(resource: dict[str, Any], code: str, where: str, errors: Errors) -> None:
    """One fault gives its code at its path."""
    assert (code, where) in [(each.code, each.where) for each in errors(resource)]


GOOD = [
    patient(birthDate="1980"), patient(birthDate="1980-02"), patient(birthDate="2000-02-29"), patient(birthDate="2024-02-29"),
    patient(deceasedDateTime="2026-04-30T23:59:60.123+14:00"), patient(deceasedDateTime="2026-04"),
    patient(_birthDate={"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}),
    patient(name=[{"given": [None, "x"], "_given": [{"extension": [{"url": "x", "valueCode": "y"}]}, None]}]),
    patient(name=[{"family": "Nuñez \U0001f600\u00a0x"}]),
    patient(text={"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'><p>nearly <b>html</p></div>"}),
    patient(extension=[{"url": "x", "extension": [{"url": "y", "_valueString": {"extension": [{"url": "z", "valueCode": "unknown"}]}}]}]),
    observation(status=None, _status={"extension": [{"url": "x", "valueCode": "y"}]}),
    observation(subject={"display": "somebody"}), observation(subject={"reference": UUID}),
    observation(subject={"reference": "https://x.org/fhir/Patient/1"}), observation(subject={"reference": "https://x.org/any?thing=1"}),
    observation(subject={"reference": "Patient?identifier=x|y"}), observation(subject={"reference": "Patient/1/_history/2"}),
    observation(valueQuantity={"value": Decimal("1.00"), "unit": "x"}), observation(valueQuantity={"value": 10**25}),
]


@pytest.mark.parametrize("resource", GOOD)
def test_what_r4_allows_passes(resource: dict[str, Any], profiles: Profiles) -> None:
    """Partial dates, absent values with extensions, references without a type and long decimals are no faults."""
    assert profiles.check(resource) == []


def test_contained_resources_are_checked(profiles: Profiles, errors: Errors) -> None:
    """A contained resource is held to its own type, and `#id` counts as a reference to that type."""
    good = observation(contained=[patient(gender="male")], subject={"reference": "#p1"})
    assert profiles.check(good) == []
    wrong = observation(contained=[{"resourceType": "Practitioner", "id": "p1", "gender": "x"}], subject={"reference": "#p1"})
    assert {(each.code, each.where) for each in errors(wrong)} == {
        ("BRG-P007", "Observation.contained[0].gender"), ("BRG-P010", "Observation.subject")}
    assert [each.code for each in errors(observation(contained=[patient()]))] == ["BRG-P018"]
    own = observation(contained=[{"resourceType": "Provenance", "id": "q", "target": [{"reference": "#"}], "recorded": "2026-01-01T00:00:00Z",
                                  "agent": [{"who": {"display": "x"}}]}])
    assert errors(own) == []


def test_types_without_a_table_are_said(profiles: Profiles) -> None:
    """A resource type of R4 that is not in use is a warning, for nothing of it was checked."""
    (found,) = profiles.check({"resourceType": "Library"})
    assert (found.severity, found.code) == ("warning", "BRG-P016")


def test_unknown_and_foreign_profiles(profiles: Profiles, ours: Any) -> None:
    """A claim nobody knows is a warning, a claim for another type an error; a version suffix changes nothing."""
    (unknown,) = profiles.check(patient(meta={"profile": ["http://example.org/x"]}))
    assert (unknown.severity, unknown.code) == ("warning", "BRG-P017")
    (foreign,) = profiles.check(patient(meta={"profile": [ours.SDOH + "SDOHCC-Condition"]}))
    assert (foreign.severity, foreign.code) == ("error", "BRG-P020")
    made = ours.good("us-core-location")
    made["meta"]["profile"][0] += "|7.0.0"
    assert profiles.check(made) == []


def test_two_profiles_both_count(profiles: Profiles, ours: Any) -> None:
    """A resource that claims two profiles is held to both, the first time and the next."""
    made = ours.good("SDOHCC-Condition")
    made["meta"]["profile"].append(ours.CORE + "us-core-condition-encounter-diagnosis")
    for _ in range(2):
        assert [each.code for each in profiles.check(made)] == ["BRG-P009"]
    made["category"].append(ours.concept(ours.CONCAT, "encounter-diagnosis"))
    for _ in range(2):
        assert profiles.check(made) == []


def test_deep_nesting_is_an_issue(profiles: Profiles) -> None:
    """Nesting deeper than Python can follow is a finding, not a crash."""
    made = inner = patient(contained=[])
    for _ in range(2000):
        inner["extension"] = [{"url": "x"}]
        inner = inner["extension"][0]
    assert any(each.severity == "error" for each in profiles.check(made))


def test_no_value_is_repeated(profiles: Profiles) -> None:
    """Whatever is wrong with a value, the value is in no text, path or hint."""
    canary = "Zanzibar Quux"
    for resource in (patient(gender=canary), patient(birthDate=canary), patient(**{canary: 1}), patient(id=canary), patient(name=canary),
                     observation(subject={"reference": canary}), observation(status=canary), patient(text={"status": canary, "div": canary}),
                     patient(meta={"profile": [canary]}), {"resourceType": canary}, patient(extension=[{"url": canary}])):
        found = profiles.check(resource)
        assert found
        assert not any(canary in str(each) or "Quux" in str(each) for each in found), [str(each) for each in found]
