"""The packaged programme rows and the rules every row follows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.core.draft import Question
from bridge.core.errors import MappingError
from bridge.referral.partner import Partner
from bridge.referral.programme import No, Opening, Row, Waiting, checklist, evaluate
from bridge.referral.register import cases, ground, load, packaged, read
from tests.unit.referral.conftest import PARTNERS, condition, draft, encounter, patient

CASES = [(row, name, wrong) for row in packaged() for name, wrong in cases(row)]
ROWS = {row.programme: row for row in packaged()}


@pytest.mark.parametrize(("row", "name", "wrong"), CASES, ids=[f"{row.programme}: {name}" for row, name, _ in CASES])
def test_the_inline_cases_of_every_row_hold(row: Row, name: str, wrong: list[str]) -> None:
    """Each test written in a programme file holds."""
    assert wrong == []


def test_every_row_has_cases() -> None:
    """A programme without a test is not shipped."""
    assert all(row.tests for row in packaged())


def test_the_respite_forms_of_the_corpus_are_judged_as_expected(shared: Path) -> None:
    """Each admission form of the shared corpus gives exactly what it expects."""
    for case in json.loads((shared / "corpus" / "cbo" / "programs" / "respite_referral_forms.json").read_text()):
        assert checklist(ROWS["medical-respite"], case["input"]) == case["expected"]


@pytest.mark.parametrize(("changes", "expected"), [
    ({"needs_hospice": None}, {"decision": "needs-info", "task": "requested", "missing": ["needs_hospice"]}),
    ({"needs_hospice": "perhaps"}, {"decision": "needs-info", "task": "requested", "missing": ["needs_hospice"]}),
    ({"needs_hospice": "yes", "safe_for_group_setting": ""},
     {"decision": "ineligible", "task": "rejected", "failed": ["needs_hospice"]}),
    ({"age_18_or_older": "N"}, {"decision": "ineligible", "task": "rejected", "failed": ["age_18_or_older"]}),
    ({"age_18_or_older": "Yes"}, {"decision": "eligible", "task": "requested"}),
])
def test_a_form_is_judged_item_by_item(changes: dict[str, object], expected: dict[str, object]) -> None:
    """A failed item decides, a blank or unreadable one asks, words for yes and no are understood."""
    row = ROWS["medical-respite"]
    assert row.checklist is not None
    answers = {**row.checklist.items, **changes}
    assert checklist(row, {"checklist": answers, "consent_signed": True}) == expected


def test_an_unsigned_form_needs_information() -> None:
    """Without a signature nothing is requested for certain."""
    row = ROWS["medical-respite"]
    assert row.checklist is not None
    assert checklist(row, {"checklist": dict(row.checklist.items)})["missing"] == ["consent_signed"]


def test_needs_have_their_own_recipients_and_one_failure_stops_nothing_else() -> None:
    """Each need goes to a partner that serves it; a need without one is a reason of its own."""
    text = ("programme: any\nabout: any need\ntrigger: {events: [ADT^A03]}\nfor: need\nrecipient: {serves: need}\n")
    row = read(text, "any.yaml", ground())
    of = draft(patient(), encounter(), condition(), condition("transportation-insecurity", "Z59.82"))
    found = evaluate(of, row, PARTNERS, (), of.event_time)
    assert [(one.need, one.recipient.id) for one in found if isinstance(one, Opening)] == [("food-insecurity", "corner-pantry")]
    assert [(one.need, one.reasons) for one in found if isinstance(one, No)] == [("transportation-insecurity", ("no-partner",))]
    opening = next(one for one in found if isinstance(one, Opening))
    assert opening.reasons == ("Condition/c-food-insecurity",)


def test_a_recipient_rule_may_read_the_partner_and_the_first_match_wins() -> None:
    """`when:` sees the partner's fields; the order of the register decides; tried partners are left out."""
    text = ("programme: any\nabout: a\ntrigger: {events: [ADT^A03]}\nfor: visit\n"
            "recipient: {when: \"=partner.kind = 'meals' and 'food-insecurity' in partner.serves\"}\n")
    row = read(text, "any.yaml", ground())
    second = replace(PARTNERS[0], id="second-pantry")
    found, = evaluate(draft(), row, [PARTNERS[1], PARTNERS[0], second], (), "2026-05-04T15:00:00Z")
    other, = evaluate(draft(), row, [PARTNERS[0], second], (), "2026-05-04T15:00:00Z", without=["corner-pantry"])
    assert isinstance(found, Opening)
    assert isinstance(other, Opening)
    assert (found.recipient.id, other.recipient.id) == ("corner-pantry", "second-pantry")


def test_a_question_about_another_table_does_not_make_a_decision_wait() -> None:
    """Only a check that reads the table waits; conversion of other codes goes on beside it."""
    of = draft()
    asked = [Question("code", "no row", table="patient-class")]
    waits = [Question("code", "no row", table="discharge-disposition")]
    assert isinstance(evaluate(of, ROWS["evctp"], PARTNERS, asked, of.event_time)[0], Opening)
    found, = evaluate(of, ROWS["evctp"], PARTNERS, waits, of.event_time)
    assert isinstance(found, Waiting)
    assert found.question == waits[0]


def test_nothing_waits_for_an_answer_that_would_change_nothing() -> None:
    """Without the need, or without a partner, the answer is no, whatever the open question."""
    waits = [Question("code", "no row", table="discharge-disposition")]
    of = draft(patient(), encounter())
    no_need, = evaluate(of, ROWS["need-to-food-pantry"], PARTNERS, waits, of.event_time)
    no_partner, = evaluate(of, ROWS["evctp"], (), waits, of.event_time)
    assert isinstance(no_need, No)
    assert isinstance(no_partner, No)
    assert (no_need.reasons, no_partner.reasons) == (("no-need",), ("no-partner",))


def test_a_screening_borrows_what_the_store_knows_of_the_patient() -> None:
    """A stub of a Patient is replaced by the stored one, so that the area can be judged."""
    stub = {"resourceType": "Patient", "id": "p1", "meta": {"tag": [{"system": "urn:sdoh-bridge:tag", "code": "stub"}]}}
    of = draft(stub, condition(), event="QuestionnaireResponse")
    row = ROWS["need-to-food-pantry"]
    without, = evaluate(of, row, PARTNERS, (), of.event_time)
    found, = evaluate(of, row, PARTNERS, (), of.event_time, background=[patient()])
    assert isinstance(without, No)
    assert without.reasons == ("area-unknown",)
    assert isinstance(found, Opening)


def test_a_named_partner_is_the_only_candidate() -> None:
    """`partner:` names one; when it is not in the register there is nobody."""
    text = "programme: any\nabout: a\ntrigger: {events: [ADT^A03]}\nrecipient: {partner: shelter}\n"
    row = read(text, "any.yaml", ground())
    found, = evaluate(draft(), row, PARTNERS, (), "2026-05-04T15:00:00Z")
    nobody, = evaluate(draft(), row, [Partner("x", "X")], (), "2026-05-04T15:00:00Z")
    assert isinstance(found, Opening)
    assert found.recipient.id == "shelter"
    assert isinstance(nobody, No)
    assert nobody.reasons == ("no-partner",)


@pytest.mark.parametrize(("text", "said"), [
    ("programme: x\nabout: y\ntriger: {}\n", "trigger"),
    ("programme: x\nabout: y\neligible: {old: =Patient.birthday}\n", "birthDate"),
    ("programme: x\nabout: y\nneed: [food]\n", "food-insecurity"),
    ("programme: x\nabout: y\nclock: {contact: 2 days}\n", "PT48H"),
    ("about: y\n", "programme"),
    ("programme: x\nabout: y\neligible: {a: =Encounter.class.code in set(no-such-set)}\n", "no-such-set"),
])
def test_a_wrong_row_stops_at_load_and_names_the_remedy(text: str, said: str) -> None:
    """Unknown keys, elements, categories and sets are errors of the file, with the place and a valid name."""
    with pytest.raises(MappingError, match=said):
        read(text, "row.yaml", ground())


def test_a_sites_row_wins_over_the_packaged_one(tmp_path: Path) -> None:
    """Folders are searched in order; the first row of a name is used."""
    (tmp_path / "a.yaml").write_text("programme: evctp\nabout: ours\n", encoding="utf-8")
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.yaml").write_text("programme: evctp\nabout: theirs\n", encoding="utf-8")
    rows = load(tmp_path, other, ground=ground())
    assert [row.about for row in rows] == ["ours"]
