"""Discharges, cancels and answers in any order never open two referrals at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.ids import Ids
from bridge.core.rows import Referral
from bridge.referral.open import recall, refer, row_of
from bridge.referral.state import move
from tests.unit.referral.conftest import HOSPITAL, draft, openings

OUTPUT = {"type": {"text": "given"}, "valueReference": {"reference": "Procedure/1"}}
EVENTS = st.lists(st.tuples(st.sampled_from(["discharge", "resend", "cancel", "accepted", "rejected", "completed"]),
                            st.integers(1, 3)), max_size=10)


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_at_most_one_referral_is_open_and_a_message_opens_at_most_one(events: list[tuple[str, int]]) -> None:
    """Whatever happens, one referral per key is open, and each message has opened one or none."""
    ids, of = Ids(b"property"), draft()
    wanted = openings(of)
    rows: dict[str, Referral] = {}
    stored: dict[str, dict[str, Any]] = {}
    for step, (what, number) in enumerate(events):
        at = f"2026-05-05T10:{step:02}:00-05:00"
        if what in ("discharge", "resend"):
            message = f"m{number}" if what == "resend" else f"n{step}"
            opened = refer(of, wanted, tuple(rows.values()), ids, message_id=message, hospital=HOSPITAL, resource=stored.get)
            assert not {row.id for row in opened.referrals} & set(rows)
            rows |= {row.id: row for row in opened.referrals}
            stored |= {f"{one['resourceType']}/{one['id']}": one for one in opened.resources}
        for row in [row for row in rows.values() if not row.closed] if what not in ("discharge", "resend") else ():
            task, request = stored[f"Task/{row.id}"], stored[f"ServiceRequest/{row.request}"]
            made = recall(task, request, event="ADT^A13", at=at).resources if what == "cancel" else move(
                task, what, by="target", at=at, reason_text="because", outputs=[OUTPUT]).steps
            stored |= {f"{one['resourceType']}/{one['id']}": one for one in made}
            rows[row.id] = row_of(row, stored[f"Task/{row.id}"])
    assert sum(not row.closed for row in rows.values()) <= 1
    assert max(Counter(row.opened_by for row in rows.values()).values(), default=0) <= 1
