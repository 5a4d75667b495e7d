"""Whose record it is and what is kept of it: linking, holding, answering; event time decides, nothing moves back."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.envelope import FHIR
from bridge.core.errors import SettingsError
from bridge.core.outcome import Accepted, Held
from bridge.core.rows import HeldItem
from bridge.pipeline import hold
from tests.unit.pipeline.town import Town, adt, consent, screening

EPI = "~{}^^^EXEPI^EPI"


def two_people(town: Town) -> None:
    """Two persons on file, one by a record number, the other by an enterprise number."""
    town.take(adt("A08", mrn="GH1", control="C-1", visit="V1", family="ONE"))
    town.take(adt("A08", mrn="GH2", control="C-2", visit="V2", family="TWO", numbers=EPI.format("E2")))


def held(town: Town) -> HeldItem:
    (item,) = town.bridge.ledger.held()
    return item


def test_a_number_that_is_known_links_whatever_the_name(town: Town) -> None:
    """One record number is one person, also under another name."""
    town.take(adt("A08", control="C-1", family="ADLER"), adt("A08", control="C-2", family="ADLER-BLUM"))
    assert len({row.patient for row in town.messages()}) == 1


def test_a_name_alone_never_links(town: Town) -> None:
    """Same name, birth date and address under another number is another person."""
    town.take(adt("A08", mrn="GH1", control="C-1"), adt("A08", mrn="GH2", control="C-2"))
    assert len({row.patient for row in town.messages()}) == 2


def test_a_new_number_of_a_known_person_becomes_a_link(town: Town) -> None:
    """A message that brings a known and a new number teaches the new one."""
    town.take(adt("A08", control="C-1"), adt("A08", control="C-2", numbers=EPI.format("E9")))
    town.take(adt("A08", control="C-3", mrn="GH9", visit="V9", numbers=EPI.format("E9")))
    assert len({row.patient for row in town.messages()}) == 1


def test_numbers_of_two_persons_hold_the_message_with_its_choices(town: Town) -> None:
    """A message whose numbers belong to two persons is held, changes neither, and names both as choices."""
    two_people(town)
    people = {row.patient for row in town.messages()}
    (outcome,) = town.take(adt(control="C-3", mrn="GH1", visit="V3", numbers=EPI.format("E2")))
    assert isinstance(outcome, Held)
    assert set(held(town).choices) == people
    assert town.referrals() == []


def test_the_answer_picks_the_person(town: Town) -> None:
    """A person's choice is taken: the held message is received for the one who was picked."""
    two_people(town)
    town.take(adt(control="C-3", mrn="GH1", visit="V3", numbers=EPI.format("E2")))
    item = held(town)
    picked = item.choices[1]
    ((_, outcome),) = hold.release([hold.answer(item.id, picked, "ada", town.bridge)], town.bridge)
    assert isinstance(outcome, Accepted)
    assert town.messages()[2].patient == picked
    assert [one.patient for one in town.referrals()] == [picked]
    assert town.bridge.ledger.held() == []


def test_a_stranger_is_no_answer(town: Town) -> None:
    """Only one of the choices or `new` answers; anything else is refused and the item stays open."""
    two_people(town)
    town.take(adt(control="C-3", mrn="GH1", visit="V3", numbers=EPI.format("E2")))
    with pytest.raises(SettingsError):
        hold.answer(held(town).id, "somebody", "ada", town.bridge)
    assert held(town).state == "open"


def test_nobody_on_file_is_no_answer_to_who_it_is(town: Town) -> None:
    """A form of an unknown person can be given to a person on file only."""
    town.take(screening(), kind=FHIR)
    with pytest.raises(SettingsError):
        hold.answer(held(town).id, "0b5fd3a2-0000-8000-8000-000000000001", "ada", town.bridge)
    assert held(town).state == "open"


def test_releasing_without_an_answer_keeps_the_question_open(town: Town) -> None:
    """A message that is held again for the same question stays on the work list."""
    town.take(screening(), kind=FHIR)
    ((_, outcome),) = hold.release([held(town)], town.bridge)
    assert isinstance(outcome, Held)
    assert held(town).state == "open"


def test_a_consent_that_comes_before_its_person_counts_from_their_first_message(town: Town) -> None:
    """A consent may come first: it is not held, and what it permits leaves with the person's first discharge."""
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    assert town.bridge.ledger.held() == []
    town.take(adt())
    assert [row.state for row in town.outbox()] == ["waiting"]
    town.send()
    assert [row.state for row in town.outbox()] == ["sent"]


def test_discarding_closes_a_question_and_keeps_the_message(town: Town) -> None:
    """A discarded item leaves the list; its message stays in the inbox as held."""
    town.take(screening(), kind=FHIR)
    hold.discard(held(town).id, "ada", town.bridge)
    assert town.bridge.ledger.held() == []
    assert [row.outcome for row in town.messages()] == ["held"]
    with pytest.raises(SettingsError):
        hold.discard("no such item", "ada", town.bridge)


def patient(town: Town) -> dict[str, Any]:
    found = town.resource(f"Patient/{town.patient()}")
    assert found is not None
    return found


def encounter(town: Town) -> dict[str, Any]:
    stored = [town.bridge.ledger.outputs(row.envelope.id) for row in town.messages()]
    (ref,) = {f"{kind}/{id_}" for outputs in stored for kind, id_ in outputs if kind == "Encounter"}
    found = town.resource(ref)
    assert found is not None
    return found


def test_a_newer_event_overwrites(town: Town) -> None:
    """What a later event says of a person replaces what an earlier one said."""
    town.take(adt("A08", at="20261121090000", family="ADLER"), adt("A08", control="C-2", at="20261121100000", family="BLUM"))
    assert patient(town)["name"][0]["family"] == "BLUM"


def test_an_older_event_adds_and_never_overwrites(town: Town) -> None:
    """A late message of an earlier event fills what is missing and changes nothing that is known."""
    town.take(adt("A08", at="20261121100000", family="BLUM", phone=""))
    town.take(adt("A08", control="C-2", at="20261121090000", family="ADLER"))
    assert patient(town)["name"][0]["family"] == "BLUM"
    assert patient(town)["telecom"]


def test_identifiers_only_grow(town: Town) -> None:
    """A number that a later message leaves out stays with the person."""
    town.take(adt("A08", at="20261121090000", numbers=EPI.format("E9")), adt("A08", control="C-2", at="20261121100000"))
    assert {one["value"] for one in patient(town)["identifier"]} == {"GH1001", "E9"}


def test_a_visit_never_moves_back(town: Town) -> None:
    """An update after the discharge with a later event time leaves the visit finished, its end and disposition known."""
    town.take(adt(), adt("A08", control="C-2", at="20261121120000"))
    found = encounter(town)
    assert found["status"] == "finished"
    assert found["period"]["end"]
    assert found["hospitalization"]["dischargeDisposition"]


def test_a_late_admission_leaves_the_discharge(town: Town) -> None:
    """An A01 that arrives after its A03 does not reopen the visit."""
    town.take(adt(), adt("A01", control="C-2", at="20261117091500"))
    assert encounter(town)["status"] == "finished"
    assert encounter(town)["period"]["end"]


def test_a_cancelled_discharge_alone_moves_a_visit_back(town: Town) -> None:
    """A13 takes end and disposition back and the visit goes on."""
    town.take(adt(), adt("A13", control="C-2", at="20261121103000"))
    found = encounter(town)
    assert found["status"] == "in-progress"
    assert "end" not in found["period"]
    assert "dischargeDisposition" not in found.get("hospitalization", {})


def test_a_cancelled_admission_ends_the_visit_as_cancelled(town: Town) -> None:
    """A11 leaves the visit cancelled, and a late A01 does not revive it."""
    town.take(adt("A01", at="20261117091500"), adt("A11", control="C-2", at="20261117100000"))
    assert encounter(town)["status"] == "cancelled"
    town.take(adt("A01", control="C-3", at="20261117091600"))
    assert encounter(town)["status"] == "cancelled"


def test_hl7_null_deletes_an_element(town: Town) -> None:
    """Two quotes in a field delete what was known; an empty field leaves it."""
    town.take(adt("A08", at="20261121090000"), adt("A08", control="C-2", at="20261121100000", phone=""))
    assert patient(town)["telecom"]
    town.take(adt("A08", control="C-3", at="20261121110000", phone='""'))
    assert "telecom" not in patient(town)


@pytest.mark.parametrize("times", [("2026-11-21", "2026-11-21T09:50:00-05:00"), ("2026-11", "2026"), ("2026-11-21T10:00:00Z", "2026-11")])
def test_times_of_every_precision_can_be_compared(town: Town, times: tuple[str, str]) -> None:
    """Two forms of one person with dateTimes of any FHIR precision are both accepted (R4 datatypes: dateTime)."""
    town.take(adt("A08"))
    for time in times:
        (outcome,) = town.take(screening(authored=time), kind=FHIR)
        assert isinstance(outcome, Accepted), getattr(outcome, "issues", outcome)


@pytest.mark.parametrize("dated", ["2026", "2026-11", "2026-11-20", "2026-11-20T15:00:00.123Z"])
def test_a_consent_may_be_dated_as_roughly_as_fhir_allows(town: Town, dated: str) -> None:
    """Consent.dateTime of any precision is taken in without a fault of ours."""
    town.take(adt("A08"))
    for name in ("c1", "c2"):
        (outcome,) = town.take(consent(dated=dated, name=name), kind=FHIR)
        assert isinstance(outcome, Accepted), getattr(outcome, "issues", outcome)
