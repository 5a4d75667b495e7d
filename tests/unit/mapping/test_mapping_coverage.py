"""Coverage: which fields of a message were used, which were not and why; which of HL7's fields are mapped, left or open."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import MappingError
from bridge.hl7v2 import message
from bridge.mapping.coverage import OPEN, Coverage, coverage, named, read_left, rows
from tests.unit.language.workbench import IDS, MESSAGE, compiled, head, sender

TEXT = head() + """let: {mrn: =PID-3.first()}
emit:
  p: {resource: Patient, key: =mrn, name: =PID-5, birthDate: =PID-7, deceasedDateTime: =PID-29, address: {when: =PV1-2 = 'O', city: =PID-11.3}}
  c: {each: DG1, resource: Condition, key: =DG1-3.1, code: =DG1-3, subject: =p}
  d: {each: PV1-7, resource: Practitioner, key: =PV1-7.1, name: {family: =PV1-7.2.1}}
  r: {each: NK1, when: =NK1-3.1 = 'CHD', resource: RelatedPerson, key: =mrn, patient: =p, name: =NK1-2}
"""


def covered(left: dict[str, str] | None = None) -> Coverage:
    return coverage(compiled(TEXT), message.parse(MESSAGE.encode()), sender(), IDS, left)


def test_what_gave_an_element_or_a_key_is_used() -> None:
    """Fields of elements that are there, of keys and conditions that decided, of the event's time and the envelope."""
    found = covered()
    assert {"PID-3", "PID-5", "PID-7", "DG1-3", "PV1-2", "PV1-7", "MSH-9", "EVN-2"} <= set(found.used)
    assert {"PID-8", "NK1-1", "OBX-5"} <= set(found.unused)
    assert found.unused["DG1-5"] == 3
    assert 0 < found.share < 1


def test_a_row_that_gave_nothing_says_why() -> None:
    """A field whose only rows stand behind conditions that did not hold is unused, for that reason."""
    why = covered().why
    assert why["PID-11"] == "no Patient.address.city: its when: does not hold (test.yaml:5) (test.yaml:5)"
    assert why["NK1-2"] == "no RelatedPerson: its when: does not hold (test.yaml:8)"


def test_what_is_left_on_purpose_says_so_and_the_rest_is_open() -> None:
    """The reason comes from left.csv, for the field or its segment; without a row there it is `no mapping row`."""
    why = covered({"DG1-5": "not asked for", "OBX": "elsewhere", "PID-13.5": "country"}).why
    assert (why["DG1-5"], why["OBX-5"], why["PID-8"]) == ("not asked for", "elsewhere", OPEN)


def test_a_field_used_in_part_names_its_other_components() -> None:
    """PV1-7.3 is sent and only .1 and .2 are read; a field that is read whole has no such rows."""
    found = covered({"PV1-7": "names are short"})
    assert (found.unused["PV1-7.3"], found.why["PV1-7.3"]) == (1, "names are short")
    assert not any(name.startswith("PID-5.") for name in found.unused)
    assert named("PV1-3") == "assigned patient location"
    assert named("PV1-3.4") == "assigned patient location: facility"


def test_a_record_is_covered_by_its_members() -> None:
    """The members of a record that a mapping reads."""
    program = compiled(head("record outcome") + "emit: {p: {resource: Procedure, key: =record_id, outcome: {text: =client.mrn}}}\n")
    found = coverage(program, {"record_id": "1", "client": {"mrn": "2"}, "hours": 3}, sender(), IDS)
    assert (set(found.used), set(found.unused)) == ({"record_id", "client"}, {"hours"})


def test_no_value_is_in_a_coverage() -> None:
    """Names, numbers and dates of the patient appear nowhere."""
    assert not any(word in str(covered()) for word in ("DOE", "JANE", "1979", "GRAY", "Sheltered", "DAYTON"))


def test_every_field_of_a_segment_is_mapped_left_or_open() -> None:
    """Mapped: the elements with file and line; what only decides says on what; left: the reason; the rest is open."""
    found = {row.field: row for row in rows([compiled(TEXT)], {"PV1-18": "local meaning"}, ("PV1",))}
    assert found["PV1-7"].mapped == (("Practitioner.name.family", "test.yaml:7"),)
    assert found["PV1-2"].mapped == (("decides on Patient `p`", "test.yaml:5"),)
    assert (found["PV1-18"].reason, found["PV1-18"].open) == ("local meaning", False)
    assert found["PV1-3"].open
    assert ("Condition.code", "test.yaml:6") in found["DG1-3"].mapped


def test_an_earlier_folder_gives_the_reason(tmp_path: Path) -> None:
    """Reasons of a site come before the packaged ones, row by row; `#` lines are notes."""
    for name, text in (("a", "# ours\nfield,reason\nPV1-18,ours\n"), ("b", "field,reason\nPV1-18,theirs\nUB1,\"billing, by others\"\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "left.csv").write_text(text)
    assert read_left([tmp_path / "a", tmp_path / "b", tmp_path]) == {"PV1-18": "ours", "UB1": "billing, by others"}


def test_a_range_is_its_fields(tmp_path: Path) -> None:
    """`PV1-21..23` stands for three fields with one reason."""
    (tmp_path / "left.csv").write_text("field,reason\nPV1-21..23,billing\n")
    assert read_left([tmp_path]) == {"PV1-21": "billing", "PV1-22": "billing", "PV1-23": "billing"}


@pytest.mark.parametrize(("text", "said"), [
    ("field,why\n", "left.csv:1:1: the columns are field,reason"),
    ("field,reason\nPV1-99,x\n", "left.csv:2:1: unknown field PV1-99; PV1 has"),
    ("field,reason\nPVQ-1,x\n", "did you mean VTQ, PV2, PV1?"),
    ("field,reason\nPV1-18,\n", "a row is a field and its reason"),
    ("field,reason\nPV1-18,a\nPV1-18,b\n", "left.csv:3:1: PV1-18 is on line 2 already"),
    ("field,reason\nPV1-50..99,x\n", "left.csv:2:1: unknown field PV1-"),
    ("field,reason\nPV1-23..21,x\n", "in 'PV1-23..21'"),
    ("field,reason\nPV1-21..23,a\nPV1-22,b\n", "left.csv:3:1: PV1-22 is on line 2 already"),
    ("field,reason\npv1,a\n", "a path begins with a segment name"),
])
def test_a_wrong_row_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Columns, names, numbers and doubled rows are errors with file and line."""
    (tmp_path / "left.csv").write_text(text)
    with pytest.raises(MappingError) as caught:
        read_left([tmp_path])
    assert said in str(caught.value)
