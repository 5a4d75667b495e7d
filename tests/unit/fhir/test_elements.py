"""The element tables answer as R4 4.0.1 says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.fhir.elements import load
from bridge.fhir.r4_tables import write
from tests.published import PACKAGES


@pytest.mark.parametrize(
    ("parent", "name", "types", "least", "most"),
    [
        ("Patient", "birthDate", ("date",), 0, 1),
        ("Patient", "name", ("HumanName",), 0, None),
        ("Patient.contact", "name", ("HumanName",), 0, 1),
        ("HumanName", "given", ("string",), 0, None),
        ("Observation", "valueQuantity", ("Quantity",), 0, 1),
        ("Task.input", "valueReference", ("Reference",), 1, 1),
        ("Encounter", "class", ("Coding",), 1, 1),
        ("Bundle.entry.link", "url", ("uri",), 1, 1),
        ("Questionnaire.item.item.item", "linkId", ("string",), 1, 1),
        ("Timing.repeat", "boundsPeriod", ("Period",), 0, 1),
    ],
)
def test_child_finds_elements(parent: str, name: str, types: tuple[str, ...], least: int, most: int | None) -> None:
    """An element is found by its JSON name below a resource, datatype, backbone path or content reference."""
    found = load().child(parent, name)
    assert found is not None
    assert (found.types, found.min, found.max) == (types, least, most)


@pytest.mark.parametrize(("parent", "name"), [("Patient", "valueString"), ("Patient", "value[x]"), ("Nothing", "id"), ("Patient.name.x", "y")])
def test_unknown_elements_are_none(parent: str, name: str) -> None:
    """What R4 does not have is None, never an error."""
    assert load().child(parent, name) is None


def test_children_are_in_order() -> None:
    """Children come in the order of the standard, one per type of a choice."""
    names = [each.name for each in load().children("Period")]
    assert names == ["id", "extension", "start", "end"]
    assert "deceasedDateTime" in {each.name for each in load().children("Patient")}


def test_targets_and_bindings() -> None:
    """Reference targets and required bindings with their codes are part of the tables."""
    elements = load()
    requester = elements.child("Task", "requester")
    gender = elements.child("Patient", "gender")
    assert requester and set(requester.targets) == {"Device", "Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson"}
    assert gender and set(elements.codes[gender.binding]["http://hl7.org/fhir/administrative-gender"]) == {"male", "female", "other", "unknown"}


def test_every_type_resolves() -> None:
    """Every type that an element names is a primitive, a datatype with a table, a backbone or Resource."""
    elements = load()
    waiting, seen = sorted(elements.resources), set()
    while waiting:
        parent = waiting.pop()
        if parent in seen:
            continue
        seen.add(parent)
        for each in elements.children(parent):
            assert each.into or each.types[0] in elements.primitives, each
            if each.into and each.into != "Resource":
                assert elements.children(each.into), each
                waiting.append(each.into)
    assert len(elements.resources) >= 40


def test_tables_are_what_the_script_writes(tmp_path: Path) -> None:
    """The committed tables are the generator's output for the published definitions, unedited."""
    if not PACKAGES.is_dir():
        pytest.skip("no published definitions on this machine")
    committed = Path(__file__).parents[3] / "profiles" / "r4"
    for name in write(PACKAGES, tmp_path):
        assert (tmp_path / name).read_bytes() == (committed / name).read_bytes(), name
