"""`.map(table)`: what becomes of known, unknown, empty and deliberately dropped codes, by what is due."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.language.workbench import MESSAGE, head, patient, run

ALTERNATE = "http://hl7.org/fhir/StructureDefinition/alternate-codes"


def changed(field: str, raw: str) -> str:
    """The message with PID-8 or PV1-2 set."""
    return MESSAGE.replace("|F|||1 MAIN", f"|{raw}|||1 MAIN") if field == "PID-8" else MESSAGE.replace("PV1|1|I|", f"PV1|1|{raw}|")


def encounter(line: str, body: str) -> Any:
    draft = run(f"{head()}emit:\n  e:\n    resource: Encounter\n    key: fixed\n    {line}\n", body)
    return draft.resources[0], draft


def test_a_known_code_becomes_what_is_due() -> None:
    """code, Coding with system and display, or CodeableConcept with the source beside it when the table says so."""
    made, draft = encounter("class: =PV1-2.map(class)\n    type: =PV1-2.map(class)", MESSAGE)
    assert made["class"] == {"system": "urn:act", "code": "IMP", "display": "inpatient"}
    assert made["type"] == [{"coding": [{"system": "urn:act", "code": "IMP", "display": "inpatient"}, {"system": "urn:class", "code": "I"}]}]
    assert not draft.issues
    assert not draft.questions


def test_an_unknown_code_keeps_its_source_and_asks() -> None:
    """A coding that the table does not have is kept as the sender's own; the question names table and code."""
    made, draft = encounter("class: =PV1-2.map(class)\n    type: =PV1-2.map(sex)", changed("PV1-2", "Q"))
    assert made["class"] == {"system": "urn:sdoh-bridge:gen:code-class", "code": "Q"}
    assert made["type"] == [{"coding": [{"system": "urn:sdoh-bridge:gen:code-sex", "code": "Q"}]}]
    assert [(question.kind, question.table, question.code, question.where) for question in draft.questions] == [
        ("code", "class", "Q", "PV1-2"), ("code", "sex", "Q", "PV1-2")]
    assert [issue.text for issue in draft.issues] == ["unmapped class Q", "unmapped sex Q"]


def test_a_code_element_stays_out_with_its_source_beside_it() -> None:
    """An unmapped gender is no gender; the extension alternate-codes on `_gender` keeps what was sent."""
    made = run(patient("gender: =PID-8.map(sex)"), changed("PID-8", "X")).resources[0]
    assert "gender" not in made
    assert made["_gender"] == {"extension": [{"url": ALTERNATE, "valueCodeableConcept": {"coding": [
        {"system": "urn:sdoh-bridge:gen:code-sex", "code": "X"}]}}]}


@pytest.mark.parametrize(("raw", "gender"), [("F", "female"), ("X", "unknown"), ("N", "unknown"), ("", "unknown")])
def test_or_default_fills_whatever_did_not_come(raw: str, gender: str) -> None:
    """Unmapped, deliberately nothing, or not sent: the default stands, and nothing beside it."""
    made = run(patient("gender: =PID-8.map(sex).or_default('unknown')"), changed("PID-8", raw)).resources[0]
    assert made["gender"] == gender
    assert "_gender" not in made


def test_a_default_coding_has_the_tables_system() -> None:
    """The default is written as the table writes it, or with its target system."""
    made, _ = encounter("class: =PV1-2.map(class).or_default('EMER')\n    type: =PV1-2.map(class).or_default('AMB')", changed("PV1-2", ""))
    assert made["class"] == {"system": "urn:act", "code": "EMER"}
    assert made["type"] == [{"coding": [{"system": "urn:act", "code": "AMB"}]}]


def test_deliberately_nothing_is_no_question() -> None:
    """A row without target says that there is nothing to say."""
    draft = run(patient("gender: =PID-8.map(sex)"), changed("PID-8", "N"))
    assert set(draft.resources[0]) == {"resourceType", "id"}
    assert not draft.questions


def test_or_text_and_or_hold() -> None:
    """or_text leaves the words, or_hold leaves nothing and files a question that holds the message."""
    body = MESSAGE.replace("I50.9^Heart^I10", "Q1^Some words^L")
    lines = "code: =DG1-3.map(need).or_text"
    text = head() + f"emit:\n  c:\n    each: DG1\n    resource: Condition\n    key: =DG1-1\n    {lines}\n"
    assert run(text, body).resources[1]["code"] == {"text": "Some words"}
    held = run(text.replace("or_text", "or_hold"), body)
    assert "code" not in held.resources[1]
    assert [question.kind for question in held.questions] == ["message"]


def test_the_feeds_rows_and_saved_answers_come_first() -> None:
    """The sender's own row beats the table; its display and system are those of the target."""
    made, = run(f"{head()}emit:\n  e:\n    resource: Encounter\n    key: fixed\n    class: =PV1-2.map(class)\n", tables={"class": {"I": "EMER"}}).resources
    assert made["class"] == {"system": "urn:act", "code": "EMER"}


def test_a_word_that_is_no_code_is_not_quoted() -> None:
    """A name that strayed into a code field stands in no issue and no question."""
    draft = run(patient("gender: =PID-8.map(sex)"), changed("PID-8", "Jane Doe, born 1979"))
    assert not any("Jane" in str(issue) for issue in draft.issues)
    assert draft.questions[0].code == ""
    assert "Jane" not in draft.questions[0].text
