"""The sample of the language's design, word for word: it compiles, its three tests pass, and what it makes is linked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.hl7v2 import message
from bridge.mapping import library
from bridge.mapping.library import Library
from bridge.mapping.trial import IDS, Trial

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def sample() -> Library:
    """The folder with the sample, its example, tables and set."""
    return Library.load([FILES])


def test_the_samples_own_tests_pass(sample: Library) -> None:
    """Two needs give two referrals, no need gives none, an unknown disposition becomes a question."""
    results = library.test(library=sample)
    assert [result.name for result in results] == [
        "two needs give two referrals", "no social need, no referral", "an unknown disposition becomes a question, never a guess"]
    assert [str(result) for result in results if not result.passed] == []


def test_references_point_at_what_was_emitted(sample: Library) -> None:
    """Forward and backward, by item: each referral names its own need, each task its own referral."""
    program = sample["adt-a03-discharge"]
    read = message.parse((FILES / "examples" / "a03-two-needs.hl7").read_bytes())
    draft = program.run(read, sample.senders().of(Trial(sample)._feed("", None), read), IDS)
    refs = {f"{made['resourceType']}/{made['id']}" for made in draft.resources}
    needs, requests, tasks = draft.of_type("Condition"), draft.of_type("ServiceRequest"), draft.of_type("Task")
    assert [made["resourceType"] for made in draft.resources] == ["Patient", "Encounter", "Condition", "Condition", "ServiceRequest", "ServiceRequest", "Task", "Task"]
    assert [one["reasonReference"] for one in requests] == [[{"reference": f"Condition/{need['id']}"}] for need in needs]
    assert [one["focus"]["reference"] for one in tasks] == [f"ServiceRequest/{one['id']}" for one in requests]
    assert all(one["subject"]["reference"] in refs and one["encounter"]["reference"] in refs for one in (*needs, *requests))
    assert (draft.event, draft.event_time, draft.patient) == ("ADT^A03", "2026-05-01T09:30:00-05:00", draft.of_type("Patient")[0]["id"])
    assert (draft.mapping, draft.version) == ("adt-a03-discharge", program.version)


def test_the_same_message_makes_the_same_draft(sample: Library) -> None:
    """Running is pure: twice the same, and what a caller changes in one draft is not in the next."""
    program, trial = sample["adt-a03-discharge"], Trial(sample)
    read = message.parse((FILES / "examples" / "a03-two-needs.hl7").read_bytes())
    sender = trial.senders.of(trial._feed("", None), read)
    first = program.run(read, sender, IDS)
    second = program.run(read, sender, IDS)
    assert first == second
    for resource in second.resources:
        for value in resource.values():
            if isinstance(value, dict | list):
                value.clear()
    assert program.run(read, sender, IDS) == first
