"""Stored messages once more: looked at, sent again, mapped anew; what a plan freezes and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.envelope import FHIR, HL7V2
from bridge.core.errors import SettingsError
from bridge.core.rows import Plan
from bridge.pipeline import replay
from tests.unit.pipeline.town import Town, adt, consent, screening


def plan(town: Town, *words: str) -> Plan:
    return replay.plan(words or ("since=2026-01-01",), town.bridge)


def run(town: Town, chosen: Plan, mode: str, **options: Any) -> list[dict[str, Any]]:
    return [one for chunk in replay.steps(chosen, mode, town.bridge, **options) for one in chunk]


def played(town: Town) -> None:
    """A discharge with its consent, sent, and a form."""
    town.take(adt(diagnoses=("I50.9", "Z59.41")))
    town.take(consent("GH1001", "valley-elders", "harbor-pantry"), kind=FHIR)
    town.take(screening(), kind=FHIR)
    town.send()


def test_the_same_mapping_shows_no_difference(town: Town) -> None:
    """Verify under unchanged rules finds nothing that differs, for messages, consents and forms alike."""
    played(town)
    found = run(town, plan(town), "verify")
    assert [one["differs"] for one in found] == [{}] * 3
    assert {one["now"] for one in found} == {"accepted"}


def test_verify_after_a_person_chose_shows_no_difference(town: Town) -> None:
    """A message that was linked to another person than its first number says is compared under that person."""
    from bridge.pipeline import hold

    town.take(adt("A08", mrn="GH1", control="C-1", visit="V1"), adt("A08", mrn="GH2", control="C-2", visit="V2", numbers="~E2^^^EXEPI^EPI"))
    town.take(adt(control="C-3", mrn="GH1", visit="V3", numbers="~E2^^^EXEPI^EPI"))
    (item,) = town.bridge.ledger.held()
    other = next(one for one in item.choices if one != town.messages()[0].patient)
    hold.release([hold.answer(item.id, other, "ada", town.bridge)], town.bridge)
    (found,) = run(town, plan(town, f"id={town.messages()[2].envelope.id}"), "verify")
    assert found["differs"] == {}


def test_verify_names_elements_that_would_differ_and_changes_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed rule shows as `Type.element changed`; ledger and outbox stay as they are."""
    played(town)
    true = replay.draft_of

    def other(envelope: Any, bridge: Any) -> Any:
        draft = true(envelope, bridge)
        for resource in draft.of_type("Patient") if envelope.content_type == HL7V2 else []:
            resource["gender"] = "unknown"
            resource.pop("telecom")
        return draft

    monkeypatch.setattr(replay, "draft_of", other)
    before = (town.outbox(), town.resource(f"Patient/{town.patient()}"))
    found = run(town, plan(town, "event=ADT^A03"), "verify")
    assert found[0]["differs"] == {"Patient.gender changed": 1, "Patient.telecom gone": 1}
    assert (town.outbox(), town.resource(f"Patient/{town.patient()}")) == before


def test_verify_survives_a_message_that_breaks_the_mapping(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault while mapping one message is its finding; the next are looked at."""
    played(town)
    true = replay.draft_of
    monkeypatch.setattr(replay, "draft_of", lambda envelope, bridge: 1 / 0 if envelope.content_type == HL7V2 else true(envelope, bridge))
    found = run(town, plan(town), "verify")
    assert [one["now"] for one in found] == ["rejected", "accepted", "accepted"]


def test_redeliver_sends_the_same_ids_to_one_partner(town: Town) -> None:
    """Stored outputs go again to the partner that was named, under their first ids, and to nobody else."""
    played(town)
    agency, pantry = town.mail("valley-elders"), town.mail("harbor-pantry")
    before = [one.id for one in agency.got]
    run(town, plan(town, "event=ADT^A03"), "redeliver", partner="valley-elders")
    town.send()
    assert [one.id for one in agency.got] == before * 2
    assert len(pantry.got) == 1


def test_redeliver_asks_consent_again(town: Town) -> None:
    """What may no longer leave is withheld when it is sent again; all that the recipient gets is the news of it."""
    played(town)
    town.take(consent("GH1001", "valley-elders", status="inactive", dated="2026-11-21T12:30:00-05:00"), kind=FHIR)
    run(town, plan(town, "event=ADT^A03"), "redeliver", partner="valley-elders")
    town.send()
    assert [one.kind for one in town.mail("valley-elders").got] == ["referral", "withdrawal"]
    assert [row.state for row in town.outbox(recipient="valley-elders")] == ["withheld", "sent"]


def test_redeliver_needs_a_partner(town: Town) -> None:
    """Without a known partner nothing is sent again."""
    played(town)
    with pytest.raises(SettingsError):
        run(town, plan(town), "redeliver", partner="nobody")


def test_reprocess_makes_nothing_twice(town: Town) -> None:
    """Mapping everything anew under unchanged rules opens no referral, queues no delivery and makes no new version."""
    played(town)
    before = ([one.id for one in town.referrals()], town.outbox(), town.bridge.ledger.counts()["outbox.sent"])
    found = run(town, plan(town), "reprocess")
    assert [one["now"] for one in found] == ["accepted"] * 3
    town.send()
    assert ([one.id for one in town.referrals()], town.outbox(), town.bridge.ledger.counts()["outbox.sent"]) == before
    patient = town.resource(f"Patient/{town.patient()}")
    assert patient is not None
    assert patient["meta"]["versionId"] == "1"


def test_reprocess_takes_up_what_was_rejected(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that a fault rejected is received after the repair, chosen by its error code."""
    from bridge.pipeline import receive as line

    with monkeypatch.context() as patch:
        patch.setattr(line, "draft_of", lambda *_: 1 / 0)
        town.take(adt())
    found = run(town, plan(town, "error=BRG-X500"), "reprocess")
    assert [(one["was"], one["now"]) for one in found] == [("rejected", "accepted")]
    assert len(town.referrals()) == 1


def test_reprocess_refuses_a_person_with_newer_messages(town: Town) -> None:
    """An old message of a person about whom something newer came is refused unless told otherwise."""
    town.take(adt())
    town.take(adt("A08", control="C-2", at="20261121120000"))
    chosen = plan(town, f"id={town.messages()[0].envelope.id}")
    assert "refused" in run(town, chosen, "reprocess")[0]
    again = replace(chosen, id="plan-2")
    town.bridge.ledger.save_plan(again)
    assert run(town, again, "reprocess", older=True)[0]["now"] == "accepted"


def test_a_plan_freezes_its_messages(town: Town) -> None:
    """A message that arrives after the plan was made is not in it."""
    town.take(adt())
    chosen = plan(town, "feed=example-general-epic")
    town.take(adt(control="C-2"))
    assert len(run(town, chosen, "verify")) == 1


def test_a_killed_replay_goes_on_where_it_was(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is saved after each chunk: a run that ends half way continues with the next chunk."""
    monkeypatch.setattr(replay, "CHUNK", 1)
    town.take(*(adt("A08", control=f"C-{number}", mrn=f"GH{number}", visit=f"V{number}") for number in range(3)))
    chosen = plan(town)
    steps = replay.steps(chosen, "verify", town.bridge)
    next(steps)
    del steps
    left = run(town, replay.find(chosen.id, town.bridge), "verify")
    assert [one["id"] for one in left] == list(chosen.ids[1:])
    assert replay.find(chosen.id, town.bridge).state == "done"


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_stopped_plan_stops_after_its_chunk(town: Town, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause and cancel take effect after the chunk that is under way."""
    monkeypatch.setattr(replay, "CHUNK", 1)
    town.take(*(adt("A08", control=f"C-{number}", mrn=f"GH{number}", visit=f"V{number}") for number in range(3)))
    chosen = plan(town)
    steps = replay.steps(chosen, "verify", town.bridge)
    next(steps)
    town.bridge.ledger.save_plan(replace(replay.find(chosen.id, town.bridge), state=state))
    assert len(list(steps)) <= 1
    assert replay.find(chosen.id, town.bridge).state == state


def test_a_finished_plan_runs_again_with_a_reason_only(town: Town) -> None:
    """A plan that is done, or was cancelled, is not run by accident."""
    town.take(adt())
    chosen = plan(town)
    run(town, chosen, "verify")
    with pytest.raises(SettingsError):
        run(town, replay.find(chosen.id, town.bridge), "verify")
    assert len(run(town, replay.find(chosen.id, town.bridge), "verify", again="the rule was wrong")) == 1


@pytest.mark.parametrize("words", [(), ("colour=red",), ("feed",), ("feed=",), ("since=yesterday",)])
def test_a_selection_that_is_none_is_refused(town: Town, words: tuple[str, ...]) -> None:
    """An empty, unknown or unreadable selection plans nothing."""
    with pytest.raises(SettingsError):
        replay.plan(words, town.bridge)
