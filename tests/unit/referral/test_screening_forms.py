"""Screening forms: what the answers say, by instrument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.core.errors import MappingError
from bridge.core.ids import Ids
from bridge.referral import instrument
from bridge.referral.finding import draft
from bridge.referral.screening import evaluate

AHC, HVS = "http://example.org/Questionnaire/ahc-96777-8", "http://example.org/Questionnaire/88121-9"
PRAPARE, WELLRX = "http://example.org/Questionnaire/93025-5|1.0", "http://example.org/Questionnaire/93667-4"
HITS = ("95618-5", "95617-7", "95616-9", "95615-1")


def response(canonical: str = AHC, **answers: Any) -> dict[str, Any]:
    """A response; answers by question code: a code, a number, None (asked, blank) or a list of these."""
    def value(one: Any) -> dict[str, Any]:
        return {"valueCoding": {"system": "http://loinc.org", "code": one}} if isinstance(one, str) else {"valueDecimal": one}

    items = []
    for code, given in answers.items():
        listed = given if isinstance(given, list) else [] if given is None else [given]
        items.append({"linkId": f"/group/{code}", **({"answer": [value(one) for one in listed]} if listed else {})})
    return {"resourceType": "QuestionnaireResponse", "id": "r1", "status": "completed", "questionnaire": canonical,
            "subject": {"identifier": {"system": "urn:oid:1.2.3", "value": "P-1"}}, "authored": "2025-02-01T10:00:00-05:00",
            "item": items}


@pytest.mark.parametrize("name", ["ahc-sample", "wellrx-sample"])
def test_the_corpus_samples_give_the_needs_expected(name: str, shared: Path) -> None:
    """Each sample of the shared corpus gives exactly the keys its expectation names."""
    folder = shared / "corpus" / "cbo" / "screening"
    expected = {case["case"]: case["expected"] for case in json.loads((folder / "expected.json").read_text())}[name]
    found = evaluate(json.loads((folder / f"{name}.json").read_text())).summary()
    assert {key: found[key] for key in expected} == expected


def test_the_us_core_examples_are_read_without_a_panel_in_the_canonical(shared: Path) -> None:
    """Hunger Vital Sign and PRAPARE are known by name and linkId; nested groups are walked."""
    folder = shared / "corpus" / "cbo" / "open" / "us-core"
    hunger = evaluate(json.loads((folder / "QuestionnaireResponse-hunger-vital-sign-example.json").read_text()))
    prapare = evaluate(json.loads((folder / "QuestionnaireResponse-PRAPARE-example.json").read_text()))
    assert (hunger.instrument, hunger.needs, hunger.computed) == ("hvs", ("food-insecurity",), {"88124-3": "LA19952-3"})
    assert prapare.instrument == "prapare"
    assert {"homelessness", "employment-status", "material-hardship", "transportation-insecurity"} <= set(prapare.needs)
    assert "housing-instability" not in prapare.needs  # declined
    assert prapare.errors == prapare.conflicts == ()


@pytest.mark.parametrize(("answers", "needs"), [
    ({"71802-3": "LA31994-9"}, ["housing-instability"]), ({"71802-3": "LA31995-6"}, ["homelessness"]),
    ({"71802-3": "LA31993-1"}, []), ({"96778-6": ["LA28580-1", "LA31998-0"]}, ["inadequate-housing"]),
    ({"96778-6": "LA9-3"}, []), ({"88123-5": "LA28397-0"}, ["food-insecurity"]), ({"88122-7": "LA28398-8"}, []),
    ({"93030-5": "LA33-6"}, ["transportation-insecurity"]), ({"96779-4": "LA32002-0"}, ["utility-insecurity"]),
    ({"76513-1": "LA22683-9"}, ["financial-insecurity"]), ({"76513-1": "LA31980-8"}, []),
    ({"96780-2": "LA31982-4"}, ["employment-status"]), ({"93159-2": "LA10044-8"}, ["social-connection"]),
    ({"93159-2": "LA10082-8"}, []), ({"97027-7": "LA33-6"}, ["language-access"]),
    ({"96782-8": "LA33-6"}, ["educational-attainment"]), ({"93038-8": "LA13914-9"}, ["stress"]),
    ({"68517-2": "LA18934-2"}, []), ({"96781-0": "LA31979-0"}, []), ({"69858-9": "LA33-6"}, []),
])
def test_ahc_answers_give_their_needs(answers: dict[str, Any], needs: list[str]) -> None:
    """Each AHC question by its own rule (reference/cbo.md 2.1)."""
    assert list(evaluate(response(**answers)).needs) == needs


@pytest.mark.parametrize(("answers", "needs"), [
    ({"71802-3": "LA30190-5"}, ["homelessness"]), ({"71802-3": "LA30189-7"}, []), ({"93033-9": "LA33-6"}, ["housing-instability"]),
    ({"93030-5": ["LA30133-5", "LA30134-3"]}, ["transportation-insecurity"]), ({"93030-5": "LA30257-2"}, []),
    ({"93031-3": ["LA30125-1", "LA30124-4", "LA30128-5", "LA30129-3"]},
     ["digital-access", "food-insecurity", "medical-cost-burden", "utility-insecurity"]),
    ({"93026-3": "LA33-6"}, []), ({"93026-3": "LA32-8"}, ["intimate-partner-violence"]), ({"93026-3": "LA14072-5"}, []),
    ({"76437-3": "LA30194-7"}, ["health-insurance-coverage-status"]), ({"93027-1": "LA33-6"}, []),
    ({"63586-2": 15000, "63512-8": 1}, ["financial-insecurity"]), ({"63586-2": 16000, "63512-8": 1}, []),
    ({"63586-2": 16000, "63512-8": 2}, ["financial-insecurity"]), ({"63586-2": 15000}, []),
    ({"93028-9": "LA33-6"}, ["incarceration-status"]), ({"67875-5": "LA30122-8"}, []),
])
def test_prapare_answers_give_their_needs(answers: dict[str, Any], needs: list[str]) -> None:
    """Each PRAPARE question by its own rule; income against the year's guideline (reference/cbo.md 2.3)."""
    assert list(evaluate(response(PRAPARE, **answers)).needs) == needs


def test_the_safety_score_needs_all_four_answers() -> None:
    """Four answers give the sum and from 11 on a need; three give no score and name what is missing."""
    full = evaluate(response(**dict.fromkeys(HITS, "LA10082-8")))
    low = evaluate(response(**dict.fromkeys(HITS, "LA10066-1")))
    part = evaluate(response(**dict.fromkeys(HITS[:3], "LA6482-9")))
    assert (full.scores, full.needs) == ({"95614-4": 12}, ("intimate-partner-violence",))
    assert (low.scores, low.needs) == ({"95614-4": 8}, ())
    assert (part.scores, part.needs, part.missing) == ({}, (), ("95615-1",))


def test_a_declined_safety_item_gives_no_score_and_is_not_missing() -> None:
    """Declined is an answer of its own kind: no score, nothing guessed, nothing missing."""
    found = evaluate(response(**dict.fromkeys(HITS[:3], "LA6482-9"), **{HITS[3]: "LA30122-8"}))
    assert (found.scores, found.needs, found.missing, found.errors) == ({}, (), (), ())


@pytest.mark.parametrize(("first", "second", "result"), [
    ("LA28397-0", None, "LA19952-3"), ("LA6729-3", "LA28398-8", "LA19952-3"), ("LA28398-8", "LA28398-8", "LA19983-8"),
    ("LA28398-8", None, None), ("LA15775-2", "LA28398-8", None), ("LA15775-2", "LA15775-2", None),
])
def test_the_hunger_vital_sign_is_computed_from_its_answers(first: Any, second: Any, result: str | None) -> None:
    """Any positive is at risk, two negatives are no risk, anything else is not known (reference/cbo.md 2.2)."""
    found = evaluate(response(HVS, **{"88122-7": first, "88123-5": second}))
    assert found.computed.get("88124-3") == result
    assert found.needs == (("food-insecurity",) if result == "LA19952-3" else ())


def test_a_sent_result_that_contradicts_the_answers_is_flagged_and_the_answers_count() -> None:
    """Both are kept as Observations; the need comes from the answers."""
    found = evaluate(response(HVS, **{"88122-7": "LA28397-0", "88123-5": "LA28398-8", "88124-3": "LA19983-8"}))
    other = evaluate(response(HVS, **{"88122-7": "LA28398-8", "88123-5": "LA28398-8", "88124-3": "LA19952-3"}))
    assert (found.conflicts, found.needs, found.computed["88124-3"]) == (("88124-3",), ("food-insecurity",), "LA19952-3")
    assert [finding.value.code for finding in found.findings if finding.code == "88124-3" and finding.value] == [
        "LA19983-8", "LA19952-3"]
    assert (other.conflicts, other.needs) == (("88124-3",), ())


def test_a_sent_score_without_its_items_is_taken_as_it_is() -> None:
    """A total alone is an answer; with some of its items it cannot be checked and opens nothing."""
    alone = evaluate(response(**{"95614-4": 12}))
    partly = evaluate(response(**{"95614-4": 12, "95618-5": "LA6270-8"}))
    assert (alone.scores, alone.needs) == ({"95614-4": 12}, ("intimate-partner-violence",))
    assert (partly.scores, partly.needs, partly.conflicts) == ({}, (), ("95614-4",))


def test_an_answer_of_another_instrument_is_an_error() -> None:
    """71802-3 and 93030-5 have other lists in AHC and PRAPARE: a foreign answer is no need."""
    found = evaluate(response(**{"71802-3": "LA30190-5"}))
    assert (found.instrument, found.needs, found.errors) == ("ahc-hrsn", (), ("71802-3",))


def test_answers_tell_which_instrument_it_is_when_nothing_else_does() -> None:
    """Without canonical and panel the question set decides, and where two share it, the answers."""
    plain = "http://example.org/Questionnaire/intake"
    assert evaluate(response(plain, **{"71802-3": "LA30190-5", "93030-5": "LA32-8"})).instrument == "prapare"
    assert evaluate(response(plain, **{"71802-3": "LA31995-6", "93030-5": "LA32-8"})).instrument == "ahc-hrsn"
    assert evaluate(response(plain, **{"88122-7": "LA28397-0", "88123-5": "LA28398-8"})).instrument == "hvs"
    assert evaluate(response(plain, **{"99999-9": "LA1-1"})).errors == ("questionnaire",)


def test_none_together_with_a_problem_is_a_conflict_and_the_problem_counts() -> None:
    """`None of the above` with another choice contradicts itself; the need is not lost."""
    found = evaluate(response(**{"96778-6": ["LA9-3", "LA31997-2"]}))
    assert (found.conflicts, found.needs) == (("96778-6",), ("inadequate-housing",))


def test_the_mood_score_and_the_active_minutes_open_no_need() -> None:
    """PHQ-2 from 3 on is a finding without a social need; minutes are days times minutes."""
    found = evaluate(response(**{"44250-9": "LA6570-1", "44255-8": "LA6569-3", "89555-7": "LA6113-0", "68516-4": "LA28855-7"}))
    assert (found.scores, found.needs) == ({"55758-7": 3, "77594-0": 60}, ())
    assert next(finding.positive for finding in found.findings if finding.code == "55758-7")


@pytest.mark.parametrize("status", ["in-progress", "entered-in-error", "stopped"])
def test_a_response_that_is_not_finished_says_nothing(status: str) -> None:
    """Only completed and amended responses count."""
    found = evaluate({**response(**{"93030-5": "LA33-6"}), "status": status})
    assert (found.needs, found.errors) == ((), ("status",))


def test_a_yes_or_no_may_come_as_a_boolean() -> None:
    """valueBoolean stands for the yes and no answers of LOINC."""
    sent = response(WELLRX)
    sent["item"] = [{"linkId": "93671-6", "answer": [{"valueBoolean": True}]}, {"linkId": "93668-2", "answer": [{"valueBoolean": False}]}]
    assert evaluate(sent).needs == ("transportation-insecurity",)


def test_every_answer_is_an_observation_and_only_the_authors_positives_are_marked(ids: Ids) -> None:
    """One Observation per answer; POS where the instrument says so, never NEG; absent answers say why."""
    sent = response(**{"96778-6": ["LA28580-1", "LA31998-0"], "93030-5": "LA32-8", "76513-1": "LA30122-8", "96779-4": None})
    made, _ = draft(sent, ids, received="2025-02-01T10:00:00Z")
    observations = made.of_type("Observation")
    marks = [one.get("interpretation", [{}])[0].get("coding", [{}])[0].get("code") for one in observations]
    absent = [one["dataAbsentReason"]["coding"][0]["code"] for one in observations if "dataAbsentReason" in one]
    assert sorted(mark for mark in marks if mark) == ["POS", "POS"]
    assert sorted(absent) == ["asked-declined", "not-asked"]
    assert len(observations) == len({one["id"] for one in observations}) == 5


def test_a_condition_is_unconfirmed_and_asserted_by_our_device(ids: Ids) -> None:
    """A suggested Condition is an unconfirmed health concern with its evidence and the Device that made it."""
    made, _ = draft(response(HVS, **{"88122-7": "LA28397-0", "88123-5": "LA28398-8"}), ids, received="2025-02-01T10:00:00Z")
    condition, = made.of_type("Condition")
    device, = made.of_type("Device")
    known = {f"Observation/{one['id']}" for one in made.of_type("Observation")}
    assert condition["verificationStatus"]["coding"][0]["code"] == "unconfirmed"
    assert condition["extension"][0]["valueReference"]["reference"] == f"Device/{device['id']}"
    assert {detail["reference"] for evidence in condition["evidence"] for detail in evidence["detail"]} <= known
    assert [coding["code"] for coding in condition["code"]["coding"]] == ["733423003", "Z59.41"]


def test_race_ethnicity_and_address_make_no_observation(ids: Ids) -> None:
    """The most sensitive answers stay in the response."""
    made, _ = draft(response(PRAPARE, **{"56051-6": "LA32-8", "32624-9": ["LA4457-3"]}), ids, received="2025-02-01T10:00:00Z")
    assert made.of_type("Observation") == []


def test_the_same_response_gives_the_same_resources(ids: Ids) -> None:
    """Ids are keyed by patient and response: nothing is made twice."""
    sent = response(**{"88122-7": "LA28397-0", "96779-4": "LA33-6"})
    assert draft(sent, ids, received="x")[0].resources == draft(sent, ids, received="y")[0].resources


def test_an_instrument_file_that_contradicts_itself_does_not_load() -> None:
    """A positive answer that is no answer, and a result of unknown questions, are errors of the file."""
    with pytest.raises(MappingError, match="positive"):
        instrument.read("instrument: x\npanels: [1-1]\nquestions:\n  2-2: {label: a, answers: [LA1-1], positive: {LA2-2: stress}}\n")
    with pytest.raises(MappingError, match="unknown question"):
        instrument.read("instrument: x\npanels: [1-1]\nquestions:\n  2-2: {label: a}\nresults:\n  3-3: {label: b, method: sum, of: [9-9]}\n")
