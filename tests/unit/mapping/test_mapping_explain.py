"""Explain and coverage: which element comes from which field, which fields nobody reads; shapes, never values."""

from __future__ import annotations

import pytest

from bridge.hl7v2 import message
from bridge.mapping.coverage import coverage, named
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
    assert ("p", "Patient.birthDate", True, [("PID-7", "N8")]) in found
    assert ("p", "Patient.deceasedDateTime", False, [("PID-29", "")]) in found
    assert [sources for emit, element, _, sources in found if element == "Condition.code"] == [
        [("DG1-3", "A1N2.N2^A9^A1N2")], [("DG1-3", "A1N2.N1^A5^A1N2")], [("DG1-3", "A1N2.N2^A4^A1N2")]]


def test_no_value_is_in_an_explanation() -> None:
    """Names, numbers and dates of the patient appear nowhere."""
    text = str(explain(compiled(TEXT), message.parse(MESSAGE.encode()), sender(), IDS))
    assert not any(word in text for word in ("DOE", "JANE", "1979", "Z59", "Sheltered"))


@pytest.mark.parametrize(("raw", "shape"), [("DOE^JANE", "A3^A4"), ("20240101-0500", "N8-N4"), ("é§ü", "A1.A1"), ("a&b~c", "A1&A1~A1"), ("O'NEIL", "A1.A4")])
def test_a_shape_tells_kind_and_length(raw: str, shape: str) -> None:
    """Letters, digits and separators are told apart, nothing else."""
    assert hl7_shape(raw) == shape


def test_json_values_have_shapes_too() -> None:
    """A record's values are described by kind and size."""
    assert [described(value) for value in ("abc", True, 1, [1], {"a": 1}, None)] == ["text of 3", "true or false", "number", "list of 1", "object of 1", ""]


def test_coverage_counts_used_and_unused_fields() -> None:
    """Fields that hold something, split by whether the mapping reads them; reading the envelope counts."""
    found = coverage(compiled(TEXT), [message.parse(MESSAGE.encode())])
    assert {"PID-3", "PID-5", "PID-7", "DG1-3", "MSH-9", "EVN-2"} <= set(found.used)
    assert {"PID-8", "PID-11", "NK1-2", "OBX-5"} <= set(found.unused)
    assert found.unused["DG1-5"] == 3
    assert 0 < found.share < 1
    assert named("PV1-3") == "assigned patient location"


def test_coverage_of_a_record() -> None:
    """The members of a record that a mapping reads."""
    program = compiled(head("record outcome") + "emit: {p: {resource: Procedure, key: =record_id, outcome: {text: =client.mrn}}}\n")
    found = coverage(program, [{"record_id": "1", "client": {"mrn": "2"}, "hours": 3}])
    assert (set(found.used), set(found.unused)) == ({"record_id", "client"}, {"hours"})
