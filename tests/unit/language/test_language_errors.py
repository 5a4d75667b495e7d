"""What does not compile: each kind of error, its position and its hint."""

from __future__ import annotations

import pytest

from tests.unit.language.workbench import head, patient, refused

ENCOUNTER = f"{head()}emit:\n  encounter:\n    resource: Encounter\n    key: =PV1-19\n    class: =PID-5\n"


def test_a_pair_without_conversion_names_both_ends() -> None:
    """A name is no Coding: the element, both types, the place, and what each end can do."""
    error = refused(ENCOUNTER)
    assert error.startswith("test.yaml:7:13: Encounter.class: no conversion XPN -> Coding\n    7 |     class: =PID-5\n")
    assert "XPN becomes" in error
    assert "Coding is made from" in error


@pytest.mark.parametrize(("body", "words", "hint"), [
    ("birthdate: =PID-7", "unknown element Patient.birthdate", "did you mean birthDate"),
    ("birthDate: =PID-99", "unknown field PID-99", "PID has 40 fields"),
    ("birthDate: =PIX-7", "unknown segment PIX", "PID"),
    ("birthDate: =PID-5.7.3", "ID has no component 3", ""),
    ("name: =PID-3", "no conversion CX -> HumanName", "CX becomes"),
    ("name: =PID-5.99", "XPN has no component 99", ".1 family name"),
    ("name: =surname", "unknown name `surname`", ""),
    ("name: =PID-5.frist()", "no function frist()", "did you mean first"),
    ("name: =PID-5.first", "`first` is a function", "write .first()"),
    ("name: =PID-5.first(2)", "first() takes nothing", ""),
    ("gender: =PID-8.map(sexx)", "no table `sexx`", "did you mean sex"),
    ("gender: =if(PID-8 in set(y), 'male')", "no set `y`", "z"),
    ("gender: =if(PID-8 = set(z), 'male')", "a set stands behind `in`", ""),
    ("gender: =PID-8.or_text", "or_text stands behind .map(table)", ""),
    ("gender: =PID-8.map(sex).or_default(PID-8)", "or_default takes a 'text'", "??"),
    ("birthDate: 14 March", "a literal `14 March` is no date", ""),
    ("active: maybe", "a literal `maybe` is no boolean", "true or false"),
    ("multipleBirthInteger: two", "a literal `two` is no integer", ""),
    ("maritalStatus: {coding: {code: [M]}}", "is a single element, not a list", ""),
    ("name: {family: {use: x}}", "is a string, not an object", ""),
    ("deceased: true", "unknown element Patient.deceased", "deceasedBoolean"),
    ("managingOrganization: =patient", "a reference to Organization, not to Patient", ""),
    ("birthDate: =patient", "`patient` is a resource", ""),
    ("birthDate: =PV1", "a whole segment is no date", "PV1-1"),
    ("name: [[=PID-5]]", "a list inside a list", ""),
    ("contact: {each: [NK1], name: =NK1-2}", "each: takes one path", ""),
    ("contact: {when: NK1-2, name: =NK1-2}", "when: takes an expression", ""),
    ("name: {given: =PID-5.2.matches('(a+)+')}", "repeats", ""),
    ("name: {given: \"=PID-5.2.matches('(')\"}", "not a pattern", ""),
    ("name: {given: =PID-5.2.matches('a*b*c*d*')}", "at most 3 repeats", ""),
    ("name: {given: =PID-5.substring(PID-7)}", "whole numbers", ""),
    ("name: {given: =OBX-5.as(QQ)}", "no HL7 type QQ", ""),
    ("name: {given: =PID-5.as(NM)}", "type varies", "OBX-5.as(NM)"),
    ("name: {given: =PID-5 + 'x' = 1 = 2}", "comparisons do not chain", ""),
    ("telecom: =PID-13 + PID-3", "no conversion string -> ContactPoint", ""),
    ("extension: [{url: u, valueNope: x}]", "unknown element Patient.extension.valueNope", ""),
])
def test_each_mistake_is_found_with_a_hint(body: str, words: str, hint: str) -> None:
    """Unknown names, wrong types and misused functions are found when the file is compiled."""
    error = refused(patient(body))
    assert words in error
    assert hint in error
    assert error.startswith("test.yaml:7:")


@pytest.mark.parametrize(("text", "words"), [
    (head() + "emit: {p: {key: =PID-3}}\n", "does not say its resource"),
    (head() + "emit: {p: {resource: Pateint, key: =PID-3}}\n", "did you mean Patient"),
    (head() + "emit: {p: {resource: Patient}}\n", "`p` has no key"),
    (head() + "emit: {p: {resource: Patient, key: =p.name.family}}\n", "look into each other: p"),
    (head() + "emit:\n  a: {resource: Patient, key: =b.id}\n  b: {resource: Patient, key: =a.id}\n", "look into each other"),
    (head() + "emit: {a: {each: b, resource: Patient}, b: {each: a, resource: Patient}}\n", "walks over itself"),
    (head() + "let: {a: =b, b: =a}\nemit: {p: {resource: Patient, key: =a}}\n", "needs itself"),
    (head() + "let: {a: [=PID-3]}\n", "is one expression"),
    (head() + "let: {1a: =PID-3}\n", "cannot be a name"),
    (head() + "let: {p: =PID-3}\nemit: {p: {resource: Patient, key: =PID-3}}\n", "is a let already"),
    (head() + "emit: {p: {resource: Patient, key: =PID-3, id: =PID-3.1}}\n", "a key or an id, not both"),
    (head() + "emit: {p: {resource: Patient, key: =PID-3, profile: nonsense}}\n", "is no profile"),
    (head() + "emit: {p: {each: PID-3.first() = 'x', resource: Patient, key: x}}\n", "takes a segment, a field"),
    ("mapping: x\nemit: {}\n", "`from:` is missing"),
    ("mapping: x\nfrom: hl7 ADT^A01\n", "did you mean hl7v2?"),
    ("mapping: x\nform: hl7v2 ADT^A01\n", "did you mean from?"),
    (head("fhir Pateint") + "emit: {}\n", "takes one resource type"),
    (head("record status") + "emit: {p: {resource: Patient, key: =PID-3}}\n", "is an HL7 path; this reads a record"),
    (head("record status") + "emit: {p: {resource: Patient, key: =recordid}}\n", "did you mean record_id"),
    (head("record status") + "emit: {given: {resource: Patient, key: =record_id}}\n", "is a name of a record already"),
])
def test_each_mistake_of_a_file(text: str, words: str) -> None:
    """Heads, lets and emits that cannot be meant are refused, circles included."""
    assert words in refused(text)


def test_all_errors_of_a_file_come_at_once() -> None:
    """Two wrong elements are two errors in one text."""
    error = refused(patient("birthdate: =PID-7\nname: =PID-3\nactive: true"))
    assert error.count("test.yaml:") == 2


def test_lets_that_multiply_are_refused() -> None:
    """Thirty lets that each name the one before twice would take for ever; they do not."""
    lets = "a0: =PID-5 ?? 'x'\n" + "\n".join(f"a{n}: =a{n - 1} ?? a{n - 1}" for n in range(1, 40))
    assert "takes too long to compile" in refused(patient("name: =a39", lets))
