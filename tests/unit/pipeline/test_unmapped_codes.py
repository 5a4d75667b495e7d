"""An unmapped code never stops a conversion and never becomes a guess."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.errors import SettingsError
from bridge.core.outcome import Accepted
from bridge.pipeline import hold
from tests.unit.pipeline.town import Town, adt

NUBC, FHIR = "https://www.nubc.org/CodeSystem/PatDischargeStatus", "http://terminology.hl7.org/CodeSystem/discharge-disposition"
OWN = "https://general.example/codes/disposition"


def outputs(town: Town, message: str, kind: str) -> list[dict[str, Any]]:
    """The resources of a type that a message gave, as they are now."""
    made = [then for (type_, _), (then, _) in town.bridge.ledger.outputs(message).items() if type_ == kind]
    return [now for one in made if (now := town.resource(f"{kind}/{one['id']}")) is not None]


def disposition(town: Town, number: int = 0) -> list[tuple[str, str]]:
    """(system, code) of how the patient of a message left, as it is on file."""
    row = town.messages()[number]
    (encounter,) = outputs(town, row.envelope.id, "Encounter")
    return [(one["system"], one["code"]) for one in encounter["hospitalization"]["dischargeDisposition"]["coding"]]


@pytest.mark.parametrize("word", ["GOHOME2", "Home w/ services", "home-IV (day 2)"])
def test_from_an_unknown_word_to_the_referral_that_waited(town: Town, word: str) -> None:
    """Kept as sent, asked once, answered with NUBC's code for this sender alone, the referral that waited opened, and never asked again."""
    (first,) = town.take(adt(leaves=word))
    assert isinstance(first, Accepted)
    assert first.waiting
    assert town.referrals() == []
    assert disposition(town) == [(OWN, word)]
    (item,) = town.bridge.ledger.held()
    assert (item.kind, item.feed, item.table, item.code, item.where) == (
        "decision", "example-general-epic", "discharge-disposition", word, "PV1-36")

    answered = hold.answer(item.id, "06", "ada", town.bridge)
    assert town.bridge.ledger.answers() == {("example-general-epic", "discharge-disposition", "", word): "06"}
    ((_, released),) = hold.release([answered], town.bridge)
    assert isinstance(released, Accepted)
    assert [one.programme for one in town.referrals()] == ["evctp"]
    assert disposition(town) == [(FHIR, "home"), (NUBC, "06"), (OWN, word)]
    assert town.bridge.ledger.held() == []

    town.take(adt(mrn="GH2", control="C-2", visit="V2", leaves=word))
    assert len(town.referrals()) == 2
    assert town.bridge.ledger.held() == []

    (other,) = town.take(adt(mrn="LK1", control="C-3", visit="V3", leaves=word).replace(b"|EPICADT|EXGENERAL|", b"|LAKEADT|LAKESIDE|"))
    assert isinstance(other, Accepted)
    assert [one.feed for one in town.bridge.ledger.held()] == ["example-lakeside-oracle"]
    assert len(town.referrals()) == 2


def test_an_answer_that_forbids_is_heard_too(town: Town) -> None:
    """A word that turns out to mean `died` opens nothing when it is released, and the person is known to have died."""
    town.take(adt(leaves="CTB"))
    (item,) = town.bridge.ledger.held()
    hold.release([hold.answer(item.id, "20", "ada", town.bridge)], town.bridge)
    assert town.referrals() == []
    assert town.bridge.ledger.held() == []
    patient = town.resource(f"Patient/{town.patient()}")
    assert patient is not None
    assert patient["deceasedBoolean"] is True


def test_a_code_that_decides_nothing_is_asked_and_nothing_waits(town: Town) -> None:
    """An unknown relationship is a question beside a finished message; its answer is in every later message of that sender."""
    kin = ("NK1|1|ADLER^TOM|GODSON^Godson",)
    (first,) = town.take(adt(more=kin))
    assert isinstance(first, Accepted)
    assert len(town.referrals()) == 1
    (item,) = town.bridge.ledger.held()
    assert (item.kind, item.table, item.code) == ("code", "relationship", "GODSON")
    hold.release([hold.answer(item.id, "EXT", "ada", town.bridge)], town.bridge)
    town.take(adt("A08", control="C-2", at="20261121103000", more=kin))
    relatives = outputs(town, town.messages()[1].envelope.id, "RelatedPerson")
    assert [one["relationship"][0]["coding"][0]["code"] for one in relatives] == ["EXT"]
    assert town.bridge.ledger.held() == []


def test_an_answer_outside_the_table_is_refused(town: Town) -> None:
    """An answer is a target of the table or a code that it translates, nothing else."""
    town.take(adt(leaves="GOHOME2"))
    (item,) = town.bridge.ledger.held()
    with pytest.raises(SettingsError, match="no code of table discharge-disposition"):
        hold.answer(item.id, "somewhere", "ada", town.bridge)


def test_a_text_too_long_for_a_code_is_no_question_that_can_be_answered(town: Town) -> None:
    """A paragraph in a coded field is kept in the resource; answering it is refused with the place to look at."""
    text = "went home with the daughter " * 5
    town.take(adt(leaves=text))
    assert disposition(town) == [(OWN, text.strip())]
    (item,) = town.bridge.ledger.held()
    assert "daughter" not in item.text
    with pytest.raises(SettingsError, match="PV1-36"):
        hold.answer(item.id, "01", "ada", town.bridge)
