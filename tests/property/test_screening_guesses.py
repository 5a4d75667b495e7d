"""A screening never says more than its answers do."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.ids import Ids
from bridge.referral.finding import draft
from bridge.referral.instrument import Instrument, packaged
from bridge.referral.need import CATEGORIES, needs
from bridge.referral.screening import evaluate

ABSENT = ("LA30122-8", "LA15775-2", "asked-declined")


@st.composite
def responses(draw: Any, *, absent: bool = False) -> tuple[Instrument, dict[str, Any]]:
    """A response to one of the instruments: its own answers, foreign ones, blanks; or only absent ones."""
    instrument = draw(st.sampled_from(packaged()))
    items = []
    for code in draw(st.lists(st.sampled_from(sorted(instrument.questions)), unique=True, max_size=12)):
        own = [] if absent else sorted(instrument.questions[code].answers)
        chosen = draw(st.lists(st.sampled_from([*own, *([] if absent else ["LA1-1"]), *ABSENT]), max_size=2, unique=True))
        items.append({"linkId": f"/{code}", "answer": [{"valueCoding": {"code": one}} for one in chosen]})
    return instrument, {"resourceType": "QuestionnaireResponse", "id": "r", "status": "completed",
                        "questionnaire": f"urn:form:{instrument.panels[0]}", "authored": "2025-02-01T10:00:00Z",
                        "subject": {"identifier": {"system": "urn:x", "value": "1"}}, "item": items}


@settings(max_examples=120, deadline=None)
@given(responses(absent=True))
def test_declined_unknown_and_blank_answers_never_make_a_need(sent: tuple[Instrument, dict[str, Any]]) -> None:
    """Without an answer there is no need, no score and no result."""
    found = evaluate(sent[1])
    assert (found.needs, found.scores, found.computed, found.errors) == ((), {}, {}, ())


@settings(max_examples=120, deadline=None)
@given(responses())
def test_a_need_always_has_an_answer_that_its_instrument_calls_positive(sent: tuple[Instrument, dict[str, Any]]) -> None:
    """Needs are SDOHCC categories and each comes from a positive finding with a value."""
    found = evaluate(sent[1])
    assert found.instrument == sent[0].name
    assert set(found.needs) <= CATEGORIES
    for need in found.needs:
        assert any(finding.need == need and finding.positive and finding.value for finding in found.findings)


@settings(max_examples=80, deadline=None)
@given(responses())
def test_the_resources_say_the_same_needs_as_the_evaluation(sent: tuple[Instrument, dict[str, Any]]) -> None:
    """What a programme reads from the Conditions and Observations is what the screening found; references resolve."""
    made, found = draft(sent[1], Ids(b"property"), received="2025-02-01T10:00:00Z")
    held = {f"{one['resourceType']}/{one['id']}" for one in made.resources}
    assert {need.category for need in needs(made.resources)} == set(found.needs)
    assert len(held) == len(made.resources)
    for one in made.of_type("Observation"):
        assert {each["reference"] for each in one["derivedFrom"]} <= held
