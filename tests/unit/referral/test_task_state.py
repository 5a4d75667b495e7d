"""The referral Task's state machine."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.referral.state import MOVES, TERMINAL, move, native_status, settle
from bridge.referral.terms import NOTED, REASON, TEMPORARY, coded

OUTPUT = {"type": {"text": "given"}, "valueReference": {"reference": "Procedure/1"}}
LATER, LATEST = "2026-05-05T10:00:00-05:00", "2026-05-06T10:00:00-05:00"


def task(status: str = "requested", **more: Any) -> dict[str, Any]:
    """A Task at a status since 4 May."""
    return {"resourceType": "Task", "id": "t1", "status": status, "authoredOn": "2026-05-04T09:31:00-05:00",
            "lastModified": "2026-05-04T09:31:00-05:00", **more}


@pytest.mark.parametrize(("held", "to", "by"), [(held, to, by) for held, moves in MOVES.items() for to, by in moves.items()])
def test_every_edge_of_the_diagram_is_walked(held: str, to: str, by: Any) -> None:
    """Each published move is accepted from the side that may make it, and is one version."""
    moved = move(task(held), to, by=by, at=LATER, reason_text="because", outputs=[OUTPUT])
    assert (moved.effect, [step["status"] for step in moved.steps]) == ("moved", [to])


@pytest.mark.parametrize(("held", "to"), [
    ("rejected", "accepted"), ("completed", "in-progress"), ("cancelled", "requested"), ("failed", "accepted"),
    ("in-progress", "accepted"), ("accepted", "rejected"), ("on-hold", "rejected"), ("accepted", "requested"),
    ("draft", "accepted"),
])
def test_a_move_outside_the_diagram_is_refused_with_an_issue(held: str, to: str) -> None:
    """An illegal move changes nothing and says why."""
    moved = move(task(held), to, by="either", at=LATER, reason_text="because", outputs=[OUTPUT])
    assert moved.effect == "refused"
    assert moved.steps == ()
    assert moved.issues[0].code in ("BRG-R102", "BRG-R103")


@pytest.mark.parametrize(("to", "path"), [
    ("in-progress", ["accepted", "in-progress"]), ("completed", ["accepted", "in-progress", "completed"]),
    ("failed", ["accepted", "failed"]),
])
def test_skipped_steps_are_inserted_and_marked_inferred(to: str, path: list[str]) -> None:
    """A jump becomes the legal path, every step with the event's time, only the last one not inferred."""
    moved = move(task(), to, by="target", at=LATER, reason_text="because", outputs=[OUTPUT])
    inferred = [{"system": NOTED, "code": "inferred"} in step.get("meta", {}).get("tag", []) for step in moved.steps]
    assert [step["status"] for step in moved.steps] == path
    assert inferred == [True] * (len(path) - 1) + [False]
    assert {step["lastModified"] for step in moved.steps} == {LATER}


def test_an_older_event_is_kept_as_history_and_does_not_move() -> None:
    """What happened before the held state is written down, says so, and leaves the status alone."""
    done = move(task(), "accepted", by="target", at=LATEST).steps[-1]
    moved = move(done, "on-hold", by="target", at=LATER, reason_text="full", native_status="Waitlisted")
    assert moved.effect == "noted"
    assert moved.steps[-1]["status"] == "accepted"
    assert moved.steps[-1]["lastModified"] == LATEST
    assert moved.issues[0].code == "BRG-R107"


def test_the_same_event_twice_has_one_effect() -> None:
    """A repeated event changes nothing, also after the Task has gone on."""
    first = move(task(), "accepted", by="target", at=LATER, native_status="Eligible").steps[-1]
    second = move(first, "completed", by="target", at=LATEST, outputs=[OUTPUT]).steps[-1]
    assert move(first, "accepted", by="target", at=LATER, native_status="Eligible").effect == "none"
    assert move(second, "accepted", by="target", at=LATER, native_status="Eligible").effect == "none"
    assert move(second, "completed", by="target", at=LATEST, outputs=[OUTPUT]).effect == "none"


@pytest.mark.parametrize("to", ["rejected", "cancelled", "on-hold", "failed"])
def test_a_status_that_needs_a_reason_is_refused_without_one(to: str) -> None:
    """Neither code nor text: refused, with the remedy."""
    moved = move(task(), to, by="target", at=LATER)
    assert moved.issues[0].code == "BRG-R105"


def test_a_reason_code_brings_its_text_and_the_shared_code() -> None:
    """statusReason.text is always there (SDOHCC 1..1), and no-capacity is also said in SDOHCC's words."""
    reason = move(task(), "rejected", by="target", at=LATER, reason_code="no-capacity").steps[-1]["statusReason"]
    assert reason["text"]
    assert (coded(reason, REASON), coded(reason, TEMPORARY)) == ("no-capacity", "no-capacity")


def test_completed_without_an_output_is_refused() -> None:
    """A completed Task must carry what was given or how it ended."""
    assert move(task("accepted"), "completed", by="target", at=LATER).issues[0].code == "BRG-R106"
    assert move(task("accepted", output=[OUTPUT]), "completed", by="target", at=LATER).effect == "moved"


def test_each_side_says_only_what_is_its_to_say() -> None:
    """The requester cannot accept, the target cannot call a draft out, only the requester marks an error."""
    assert move(task(), "accepted", by="requester", at=LATER).issues[0].code == "BRG-R104"
    assert move(task("draft"), "requested", by="target", at=LATER).issues[0].code == "BRG-R104"
    assert move(task("completed"), "entered-in-error", by="target", at=LATER).issues[0].code == "BRG-R104"
    assert move(task("completed"), "entered-in-error", by="requester", at=LATER).effect == "moved"


@pytest.mark.parametrize("status", sorted(TERMINAL - {"entered-in-error"}))
def test_a_final_task_only_gains_outputs(status: str) -> None:
    """Work that is reported after the end is added; status, reason and words stay."""
    moved = move(task(status), status, by="target", at=LATER, outputs=[OUTPUT], business_status="closed")
    assert moved.steps[-1]["status"] == status
    assert moved.steps[-1]["output"] == [OUTPUT]
    assert "businessStatus" not in moved.steps[-1]


def test_the_native_word_of_the_current_status_is_kept() -> None:
    """The newest word stands on the Task; one that came late does not replace it."""
    held = move(task(), "accepted", by="target", at=LATEST, native_status="Eligible").steps[-1]
    late = move(held, "requested", by="target", at=LATER, native_status="Pending").steps[-1]
    assert native_status(late) == "Eligible"


def test_words_of_base_fhir_become_a_status_of_the_profile() -> None:
    """`received` is requested and viewed; `ready` and unknown words are refused."""
    assert move(task(), "received", by="target", at=LATER).steps[-1]["businessStatus"]["coding"][0]["code"] == "viewed"
    assert move(task(), "ready", by="target", at=LATER).issues[0].code == "BRG-R101"


def test_the_task_given_is_not_changed() -> None:
    """move is pure: the input is the same before and after."""
    given = task(meta={"profile": ["x"], "versionId": "3"}, extension=[])
    before = repr(given)
    step = move(given, "completed", by="target", at=LATER, outputs=[OUTPUT], native_status="Done").steps[-1]
    assert repr(given) == before
    assert step["meta"] == {"profile": ["x"]}


def test_the_request_follows_its_task() -> None:
    """Completed closes it, a cancel by the requester revokes it, a rejection leaves it active for another Task."""
    request = {"resourceType": "ServiceRequest", "id": "s", "status": "active"}
    assert settle(request, task("completed"), by="target") == {**request, "status": "completed"}
    assert settle(request, task("cancelled"), by="requester") == {**request, "status": "revoked"}
    assert settle(request, task("cancelled"), by="target") is None
    assert settle(request, task("rejected"), by="target") is None
    assert settle({**request, "status": "revoked"}, task("completed"), by="target") is None
