"""Whatever a partner sends, in whatever order, the Task stays a legal one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.referral.state import IMPLIED, MOVES, NEEDS_REASON, STATUSES, TERMINAL, move

OUTPUT = {"type": {"text": "given"}, "valueReference": {"reference": "Procedure/1"}}
EVENT = st.tuples(
    st.sampled_from([*sorted(STATUSES), "ready", "received", "done"]), st.sampled_from(["requester", "target", "either"]),
    st.integers(0, 9), st.sampled_from(["", "no-capacity", "other"]), st.sampled_from(["", "because"]), st.booleans(),
)


def run(events: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """All versions that a Task goes through."""
    versions = [{"resourceType": "Task", "id": "t", "status": "requested", "lastModified": "2026-05-01T00:00:00Z"}]
    for to, by, day, code, text, output in events:
        moved = move(versions[-1], to, by=by, at=f"2026-05-0{day or 1}T12:00:00Z", reason_code=code, reason_text=text,
                     outputs=[OUTPUT] if output else [])
        assert bool(moved.issues) or moved.effect in ("moved", "updated", "noted", "none")
        versions += moved.steps
    return versions


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENT, max_size=8))
def test_every_version_is_reached_by_a_published_move(events: list[tuple[Any, ...]]) -> None:
    """Consecutive versions differ by one edge of the diagram, or not in status; a final status never changes."""
    versions = run(events)
    for before, after in pairwise(versions):
        here, there = before["status"], after["status"]
        assert here == there or there in MOVES[here] or there == "entered-in-error"
        assert here not in TERMINAL or there in (here, "entered-in-error")


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENT, max_size=8))
def test_what_a_status_must_carry_is_there(events: list[tuple[Any, ...]]) -> None:
    """A reason always has its text, and completed always has an output."""
    for version in run(events):
        if version["status"] in NEEDS_REASON:
            assert version["statusReason"]["text"]
        if version["status"] == "completed":
            assert version["output"]


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENT, max_size=6), st.integers(0, 5))
def test_a_repeated_event_never_adds_a_version(events: list[tuple[Any, ...]], which: int) -> None:
    """Sending one of the events that had an effect again, at the end, changes nothing."""
    versions = run(events)
    for to, by, day, code, text, output in events[which:which + 1]:
        at = f"2026-05-0{day or 1}T12:00:00Z"
        extra = {"reason_code": code, "reason_text": text, "outputs": [OUTPUT] if output else []}
        first = move(versions[-1], to, by=by, at=at, **extra)
        if first.steps:
            assert move(first.steps[-1], to, by=by, at=at, **extra).effect == "none"


def test_implied_steps_are_legal_themselves() -> None:
    """Each inserted path consists of published moves."""
    for (held, to), steps in IMPLIED.items():
        path = (held, *steps, to)
        assert all(there in MOVES[here] for here, there in pairwise(path))
