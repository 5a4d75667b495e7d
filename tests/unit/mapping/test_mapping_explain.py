"""Explain: which element comes from which field, and why one is not there; shapes, never values."""

from __future__ import annotations

import pytest

from bridge.hl7v2 import message
from bridge.mapping.explain import described, explain, hl7_shape
from tests.unit.language.workbench import IDS, MESSAGE, compiled, head, sender

TEXT = head() + (
    "let: {mrn: =PID-3.first()}\nemit:\n  p: {resource: Patient, key: =mrn, name: =PID-5, birthDate: =PID-7, deceasedDateTime: =PID-29}\n"
    "  c: {each: DG1, resource: Condition, key: =DG1-3.1, code: =DG1-3, subject: =p}\n")


def explained() -> list[tuple[str, str, bool, list[tuple[str, str]]]]:
    found = explain(compiled(TEXT), message.parse(MESSAGE.encode()), sender(), IDS)
    return [(one.emit, one.element, one.given, [(source.path, source.shape) for source in one.sources]) for one in found]


def test_each_element_with_its_fields_and_their_shapes() -> None:
    """Every element of every resource, given or not, with the fields of its own item."""
    found = explained()
    assert ("p", "Patient.birthDate", True, [("PID-7", "8 digits")]) in found
    assert ("p", "Patient.deceasedDateTime", False, [("PID-29", "")]) in found
    assert [sources for emit, element, _, sources in found if element == "Condition.code"] == [
        [("DG1-3", f"CE with 3 components {shape}")] for shape in ("A1N2.N2^A9^A1N2", "A1N2.N1^A5^A1N2", "A1N2.N2^A4^A1N2")]


WHY = head() + """let: {seen: =PV1-2 = 'O'}
emit:
  p:
    resource: Patient
    key: =PID-3.first()
    deceasedDateTime: =PID-29
    gender: =PID-8.map(sex)
    birthDate: =if(seen, PID-7)
    generalPractitioner: =doctor
    contact:
      - {each: NK1, when: =NK1-3.1 = 'CHD', name: =NK1-2}
      - {each: ROL, name: =ROL-4}
    name: =PID-5.where(7 = 'X')
  doctor: {when: =seen, resource: Practitioner, key: =PV1-7.first(), name: =PV1-7}
  c: {each: DG1, when: =DG1-3.1 in set(z), resource: Condition, key: =DG1-3.1, code: =DG1-3, subject: =p}
  k: {resource: Organization, key: =PD1-3, name: =PD1-3.1}
  r: {each: ROL, resource: Practitioner, key: =ROL-4, name: =ROL-4}
"""


@pytest.mark.parametrize(("element", "why"), [
    ("Patient.deceasedDateTime", "PID-29 is empty"),
    ("Patient.gender", "a code of PID-8 has no row in table sex"),
    ("Patient.birthDate", "the condition of its if() does not hold"),
    ("Patient.generalPractitioner", "there is no `doctor`"),
    ("Patient.contact.name", "its when: does not hold (test.yaml:13)"),
    ("Patient.contact.name", "there is no ROL"),
    ("Patient.name", "none fits its where()"),
    ("Practitioner", "its when: does not hold"),
    ("Condition", "its when: does not hold"),
    ("Organization", "its key is empty"),
    ("Practitioner", "there is no ROL"),
])
def test_what_is_not_there_has_its_reason(element: str, why: str) -> None:
    """An empty field, a condition that did not hold, an unmapped code, a missing segment, key or resource: each is said."""
    found = explain(compiled(WHY), message.parse(MESSAGE.replace("|F|||1 MAIN", "|Q|||1 MAIN").encode()), sender(), IDS)
    assert (element, why) in [(one.element, one.why) for one in found if not one.given]
    assert all(one.why for one in found if not one.given)


def test_of_several_items_each_is_explained() -> None:
    """Two of three diagnoses become Conditions, the third says which condition did not hold, and over which fields."""
    found = explain(compiled(WHY), message.parse(MESSAGE.encode()), sender(), IDS)
    assert [one.given for one in found if one.element.startswith("Condition.code")] == [True, True]
    assert next(one.sources for one in found if one.element == "Condition")[0].shape == "A1N2.N1"


def test_no_value_is_in_an_explanation() -> None:
    """Names, numbers and dates of the patient appear nowhere."""
    text = str(explain(compiled(TEXT), message.parse(MESSAGE.encode()), sender(), IDS))
    assert not any(word in text for word in ("DOE", "JANE", "1979", "Z59", "Sheltered"))


@pytest.mark.parametrize(("raw", "shape"), [
    ("DOE^JANE", "value with 2 components A3^A4"), ("20240101-0500", "N8-N4"), ("é§ü", "A1.A1"), ("a&b~c", "A1&A1~A1"), ("O'NEIL", "A1.A4"),
    ("123456789", "9 digits"), ("X", "1 letter"), ('""', 'deleted ("")')])
def test_a_shape_tells_kind_and_length(raw: str, shape: str) -> None:
    """Letters, digits and separators are told apart, nothing else."""
    assert hl7_shape(raw) == shape


def test_json_values_have_shapes_too() -> None:
    """A record's values are described by kind and size."""
    assert [described(value) for value in ("abc", True, 1, [1], {"a": 1}, None)] == ["text of 3", "true or false", "number", "list of 1", "object of 1", ""]
