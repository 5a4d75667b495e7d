"""What expressions give: operators, functions, paths inside and outside of an `each`."""

from __future__ import annotations

import pytest

from bridge.language import functions
from tests.unit.language.workbench import MESSAGE, first, head, holds, patient, run, value


@pytest.mark.parametrize(("expression", "texts"), [
    ("PID-5.1", ["DOE", "ROE"]),
    ("PID-5[2].2", ["JANE"]),
    ("PID-3[1].4.1", ["GEN"]),
    ("PID-3[7].1", []),
    ("DG1-3.1", ["Z59.01"]),
    ("DG1[2]-3.1", ["I50.9"]),
    ("DG1[9]-3.1", []),
    ("PID-40 ?? PID-14 ?? PID-8", ["F"]),
    ("PID-5.1.first() + ', ' + PID-5.2.first()", ["DOE, JANE"]),
    ("PID-14.1 + 'x'", []),
    ("PID-3.where(5 = 'MR').first().1", ["100"]),
    ("PID-3.where(5 = 'XX')", []),
    ("PID-3.where(5 in ('SS', 'MR')).last().1", ["900-11-2233"]),
    ("PID-3.where(5 = 'MR' or 4.1 = 'SSA').1", ["100", "900-11-2233"]),
    ("PID-5.2.distinct()", ["JANE"]),
    ("PID-5.1.lower()", ["doe", "roe"]),
    ("PID-5.1.first().lower().upper()", ["DOE"]),
    ("PID-5.1.first().substring(1)", ["OE"]),
    ("PID-5.1.first().substring(0, 2)", ["DO"]),
    ("PID-5.1.join('/')", ["DOE/ROE"]),
    ("PID-7.substring(0,4)", ["1979"]),
    ("'a, b,,c'.split(',')", ["a", "b", "c"]),
    ("PID-11.1.replace('MAIN', 'OAK').trim()", ["1 OAK ST"]),
    ("PID-7.age(PV1-45)", ["47"]),
    ("PV1-45.age(PID-7)", []),
    ("PV1-45.later('1440')", ["2026-05-02T09:25:00-05:00"]),
    ("PV1-45.later('soon')", []),
    ("PID-7.later('5')", []),
    ("if(PID-8 = 'F', 'woman', 'other')", ["woman"]),
    ("if(PID-8 = 'M', 'man')", []),
    ("coalesce(PID-40, 'none')", ["none"]),
    ("PID-8.map(sex)", ["female"]),
    ("PV1-36.map(sex).or_default('unknown')", ["unknown"]),
    ("PID-3.count() + ''", ["2"]),
    ("(PID-8, 'x')", ["F", "x"]),
    ("OBX-5.as(ST)", []),
    ("OBX[2]-5.as(ST, TX)", ["words"]),
    ("PID-5.component(1).first()", ["DOE"]),
])
def test_expressions_give_texts(expression: str, texts: list[str]) -> None:
    """Paths, functions and operators give what they say, and nothing when there is nothing."""
    assert value(expression) == texts


@pytest.mark.parametrize("condition", [
    "PID-8 = 'F'", "PID-8 != 'M'", "not (PID-8 = 'M')", "PID-5.1 = 'ROE'", "PID-14 != 'x'", "not (PID-14 = PID-14)",
    "PID-8 in ('F', 'M')", "PID-8 not in ('M', 'U')", "DG1-3.1 in set(z)", "DG1[3]-3.1 in set(z)", "not (DG1[2]-3.1 in set(z))",
    "DG1-3 in set(icd)", "not (DG1[2]-3 in set(icd))", "PID-3.count() = 2", "PID-3.count() > 1", "OBX-5 = 170.0", "OBX-5 >= 170", "not (OBX-5 < 170)",
    "PV1-44 < PV1-45", "PV1-45 > '2026-05-01T09:00:00-05:00'", "PID-7 < PV1-44", "not (PID-40 > 3)", "PID-8.exists()", "PID-40.empty()",
    "PID-3.exists(5 = 'MR')", "not PID-3.exists(5 = 'XX')", "PID-8 = 'F' and PID-5.1 = 'DOE' and true", "false or PID-8 = 'F' or false",
    "PID-5.1.matches('[A-Z]{3}')", "not PID-5.1.matches('[A-Z]{2}')", "PID-11.1.starts('1 ')", "PID-11.1.ends('ST')", "PID-11.1.contains('MAIN')",
    "IN1.count() = 2", "NK1.exists()", "ZZ1.empty()", "PID-8.map(sex) = 'female'", "'F' = PID-8", "PID-8 = PID-8", "DG1-3.1 in DG1-3.1",
    "PID-8 in ('M', PID-8)", "PID-8",
])
def test_conditions_hold(condition: str) -> None:
    """Comparison is any-of, empty equals nothing, dates and numbers compare as such."""
    assert holds(condition)


def test_lists_repeat_without_being_asked() -> None:
    """An element that repeats is a list however many values there are."""
    assert [name["family"] for name in first(patient("name: =PID-5"))["name"]] == ["DOE", "ROE"]
    assert [name["family"] for name in first(patient("name: =PID-5.first()"))["name"]] == ["DOE"]
    assert len(first(patient("identifier: [=PID-3, =PV1-19]"))["identifier"]) == 3


def test_two_values_for_a_single_element_are_a_finding() -> None:
    """The first is taken and the issue says how many there were; equal ones are no finding."""
    draft = run(patient("maritalStatus: {text: =PID-5.1}"))
    assert draft.resources[0]["maritalStatus"] == {"text": "DOE"}
    assert [(issue.code, issue.text) for issue in draft.issues] == [("BRG-L103", "2 values for Patient.maritalStatus.text; the first was taken")]
    assert not run(patient("maritalStatus: {text: =PID-5.2}")).issues


def test_objects_vanish_with_their_expressions() -> None:
    """Literals alone stay; literals beside expressions that are all empty go."""
    made = first(patient("contact:\n  - {gender: male, name: =NK1-30}\n  - {gender: female}\nmaritalStatus: {text: =PID-40, coding: [{code: M}]}"))
    assert made == {"contact": [{"gender": "female"}]}
    extension = "extension: [{url: a, extension: [{url: b, valueString: =PID-40}, {url: c, valueString: =PID-41}]}]".replace("PID-41", "PID-39")
    assert first(patient(extension)) == {}


def test_each_on_a_nested_object_walks_over_repetitions_and_segments() -> None:
    """Every repetition, or every segment, makes its own object; `when` leaves some out."""
    body = "contact:\n  - each: NK1\n    name: =NK1-2\n  - each: PID-5\n    when: =PID-5.7 = 'L'\n    name: =PID-5"
    assert [entry["name"]["family"] for entry in first(patient(body))["contact"]] == ["DOE", "DOE"]


def test_dependents_and_owners_inside_each() -> None:
    """Inside `each: IN1` IN2 is the one that follows; inside `each: OBX` NTE is its own; inside `each: NTE`... its owner."""
    made = first(patient("name:\n  - {each: IN1, given: [=IN1-2.1, =IN2-1]}\n  - {each: OBX, family: =NTE-3, text: =OBX-3.1}"))
    assert made["name"] == [{"given": ["PLAN1", "ONE"]}, {"given": ["PLAN2", "TWO"]}, {"family": "first note", "text": "8302-2"}, {"text": "11450-4"}]
    orders = MESSAGE + "ORC|NW|A\rOBR|1|||X\rOBX|1|ST|Q||v\rORC|NW|B\rOBR|2|||Y\rOBX|1|ST|R||v\r"
    read = first(patient("name: [{each: OBR, text: =OBR-4.1, family: =ORC-2.1, given: =OBX-3.1}]"), orders)
    assert read["name"] == [{"text": "X", "family": "A", "given": ["Q"]}, {"text": "Y", "family": "B", "given": ["R"]}]


def test_lets_are_lexical() -> None:
    """A file's let stands outside every each, an emit's in its items, also inside a further each."""
    text = head() + (
        "let: {one: =DG1-3.1}\nemit:\n  c:\n    each: DG1\n    let: {mine: =DG1-3.1}\n    resource: Condition\n    key: =mine\n"
        "    code: {text: =one + ' ' + mine}\n    note: [{each: PID-3, text: =mine + PID-3.5}]\n")
    made = run(text).resources
    assert [one["code"]["text"] for one in made] == ["Z59.01 Z59.01", "Z59.01 I50.9", "Z59.01 Z59.41"]
    assert [note["text"] for note in made[1]["note"]] == ["I50.9MR", "I50.9SS"]


def test_every_function_is_documented() -> None:
    """The registry says of each function what it takes, gives and does."""
    listed = functions.listed()
    assert len({function.name for function in listed}) == len(listed) >= 25
    for function in listed:
        assert function.text.endswith(".") and function.gives
        assert function.signature.startswith("." if function.takes else function.name)


def test_literals_take_the_type_of_their_element() -> None:
    """Text becomes boolean, integer, date or Reference; `==` is a literal that begins with `=`."""
    made = first(patient("active: true\nmultipleBirthInteger: 2\nbirthDate: 1979-03\nmanagingOrganization: Organization/1\nname: {text: ==x}"))
    assert made == {"active": True, "multipleBirthInteger": 2, "birthDate": "1979-03", "managingOrganization": {"reference": "Organization/1"},
                    "name": [{"text": "=x"}]}
