"""Sources other than HL7: a partner's record, a FHIR resource, a draft with facts."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.errors import MappingError
from bridge.fhir import elements
from bridge.language.compile import Compiler
from bridge.language.context import Context
from bridge.language.scope import Nobody, Scope
from bridge.language.source import DraftSource, schema_fields
from bridge.language.syntax import Place, Scalar, SourceText
from bridge.language.term import Target
from tests.unit.language.workbench import IDS, compiled, ground, head, sender

RECORD = {"record_type": "outcome", "record_id": "r1", "given": "Ana", "birth_date": "1990-02-30x", "safe": False, "hours": 2.5, "codes": ["a", "b"],
          "event_at": "2026-05-01T09:00:00Z", "client": {"mrn": "77", "phones": ["1", "2"]}, "services": [{"code": "x", "hours": 1}, {"code": "y"}]}
ANSWERS = {"resourceType": "QuestionnaireResponse", "id": "q", "status": "completed", "authored": "2026-05-01T09:00:00Z", "subject": {"reference": "Patient/1"},
           "item": [{"linkId": "a", "answer": [{"valueCoding": {"system": "urn:s", "code": "yes"}}]}, {"linkId": "b", "answer": [{"valueInteger": 3}]}]}


def over_record(body: str) -> Any:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return compiled(f"{head('record outcome')}emit:\n  made:\n    resource: Procedure\n    key: =record_id\n{lines}").run(RECORD, sender(), IDS)


def test_a_records_fields_are_names_with_types() -> None:
    """Text, numbers, truth values, lists and objects go where they fit; `record.` says that a field is meant."""
    made, = over_record("outcome: {text: =given + ' ' + record.client.mrn}\ncategory: {coding: {code: =codes.first()}}\nperformedDateTime: =event_at").resources
    assert made["outcome"] == {"text": "Ana 77"}
    assert made["category"] == {"coding": [{"code": "a"}]}
    assert made["performedDateTime"] == "2026-05-01T09:00:00Z"


def test_a_value_that_does_not_fit_stays_out_with_a_finding() -> None:
    """A date that is none is left out; the issue names the field, not what stood there."""
    draft = over_record("performedDateTime: =birth_date\nnote: {text: =given}")
    assert "performedDateTime" not in draft.resources[0]
    assert [(issue.code, issue.where) for issue in draft.issues] == [("BRG-L102", "birth_date")]
    assert "1990" not in str(draft.issues)


def test_each_walks_over_a_records_lists() -> None:
    """Objects of a list are items; their fields are read off the current one."""
    draft = over_record("note:\n  - each: services\n    when: =services.code != 'y'\n    text: =services.code\n  - each: client.phones\n    text: =client.phones")
    assert [note["text"] for note in draft.resources[0]["note"]] == ["x", "1", "2"]


def test_a_records_event_time_is_its_own() -> None:
    """event_at of the record is the draft's event time, `record/outcome` its event."""
    draft = over_record("status: completed")
    assert (draft.event, draft.event_time) == ("record/outcome", "2026-05-01T09:00:00Z")


def test_a_resource_is_read_by_its_elements() -> None:
    """Names are elements; where() names those of the item; each walks over items; references are copied."""
    text = head("fhir QuestionnaireResponse") + (
        "emit:\n  made:\n    each: item\n    when: =item.answer.exists()\n    resource: Observation\n    key: [=QuestionnaireResponse.id, =item.linkId]\n"
        "    status: final\n    subject: =subject\n    code: {text: =item.linkId}\n    valueCodeableConcept: =item.answer.valueCoding\n"
        "    valueInteger: =item.answer.valueInteger\n    note: {text: =record ?? 'x'}\n").replace("    note: {text: =record ?? 'x'}\n", "")
    draft = compiled(text).run(ANSWERS, sender(), IDS)
    first, second = draft.resources
    assert first["valueCodeableConcept"] == {"coding": [{"system": "urn:s", "code": "yes"}]}
    assert second["valueInteger"] == 3
    assert first["subject"] == {"reference": "Patient/1"}
    assert first["subject"] is not ANSWERS["subject"]
    assert (draft.event, draft.event_time) == ("QuestionnaireResponse", "2026-05-01T09:00:00Z")


def over_draft(text: str, resources: dict[str, list[Any]], facts: dict[str, Any]) -> list[Any]:
    source = DraftSource(elements.load(), {"partner": {"area": "string*"}, "need": "Coding", "event": "string"})
    compiler = Compiler(source, elements.load(), ground().tables, ground().sets)
    scalar = Scalar(Place(SourceText("row.yaml", (text,)), 1, 1), f"={text}")
    read = compiler.give(compiler.expression(scalar), Context(), Target(("string",), "row"))
    return read(Scope(resources, Nobody(lambda *_: None), compiler.slots, compiler.caches, facts))


@pytest.mark.parametrize(("text", "found"), [
    ("Encounter.class.code", ["IMP"]), ("Condition.code.coding.where(system = 'urn:icd').code", ["Z59.01"]), ("need.code", ["N"]), ("partner.area", ["a", "b"]),
    ("if(event = 'ADT^A03' and Encounter.exists(), 'yes')", ["yes"]), ("if(Condition.code.coding.code in set(z), 'yes', 'no')", ["yes"]), ("Patient.address.district", []),
    ("Condition.count() + ''", ["1"]), ("Condition.where(code.coding.exists(code = 'Z59.01')).id", ["c"]),
])
def test_a_draft_is_read_by_types_and_facts(text: str, found: list[str]) -> None:
    """Names are resource types of the draft, or the facts given, with their types."""
    draft = {"Encounter": [{"class": {"code": "IMP"}}], "Condition": [{"id": "c", "code": {"coding": [{"system": "urn:icd", "code": "Z59.01"}, {"system": "x", "code": "y"}]}}]}
    facts = {"partner": {"area": ["a", "b"]}, "need": {"code": "N"}, "event": "ADT^A03"}
    assert over_draft(text, draft, facts) == found


@pytest.mark.parametrize(("text", "hint"), [("Encouter.class", "did you mean Encounter"), ("need.cod", "did you mean code"), ("partner.aera", "did you mean area")])
def test_unknown_names_of_a_draft_are_compile_errors(text: str, hint: str) -> None:
    """Types, elements and facts are checked when the row is read."""
    with pytest.raises(MappingError) as caught:
        over_draft(text, {}, {})
    assert hint in str(caught.value)


def test_a_json_schema_gives_the_field_list() -> None:
    """Types, formats, enums, arrays and objects of a JSON Schema become field types."""
    assert schema_fields({"properties": {
        "a": {"type": "string"}, "b": {"type": ["integer", "null"]}, "c": {"enum": ["x"]}, "d": {"type": "string", "format": "date-time"},
        "e": {"type": "array", "items": {"type": "number"}}, "f": {"type": "object", "properties": {"g": {"type": "boolean"}}},
        "h": {"type": "array", "items": {"type": "object", "properties": {"i": {"type": "string", "format": "date"}}}}, "j": {},
    }}) == {"a": "string", "b": "integer", "c": "code", "d": "dateTime", "e": "decimal*", "f": {"g": "boolean"}, "h*": {"i": "date"}, "j": "any"}
