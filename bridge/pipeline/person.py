"""Two records of one person: what is said of a retired one lands on the survivor, and what hangs on it moves (A40, A37).

Nothing is copied from one record to the other, and each resource remembers the record it was told about (`told.home`).
Who survives is read off Patient.link, which event time decides like everything else. So a merge may come before or after
what it moves, or twice, and taking it back (A37) moves each resource home.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.core.draft import Draft
from bridge.core.issue import Issue
from bridge.core.ports import Work
from bridge.core.rows import InboxRow, Referral
from bridge.pipeline import told as telling
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.check import claim
from bridge.pipeline.merge import STAYS, UNLINKS, OnFile
from bridge.pipeline.recall import Recall, call_off
from bridge.pipeline.told import Told, home_of
from bridge.referral.match import repointed, survivor
from bridge.referral.state import BEFORE_WORK

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Joined:
    """What moved (`Type/id`, version), and which of two referrals that ask the same was called off."""

    moved: tuple[tuple[str, int], ...] = ()
    recall: Recall = field(default_factory=Recall)


def land(draft: Draft, work: Work) -> Draft:
    """The draft about the survivors of those it names; a Patient itself stays the record that it is."""
    for record in dict.fromkeys([*([draft.patient] if draft.patient else ()), *(one["id"] for one in draft.of_type("Patient"))]):
        person = survivor(record, work)
        if person != record:
            resources = tuple(one if one["resourceType"] in STAYS else repointed(one, record, person) for one in draft.resources)
            draft = replace(draft, resources=resources, patient=person if draft.patient == record else draft.patient)
    return draft


def homes(draft: Draft) -> dict[str, str]:
    """The record that each resource names, by `Type/id`: a message of two patients (A17) has things of both."""
    found = {f"Patient/{one['id']}": one["id"] for one in draft.of_type("Patient")}
    for one in draft.resources:
        subject = next((one[name] for name in ("subject", "patient", "beneficiary") if isinstance(one.get(name), dict)), {})
        kind, _, id_ = str(subject.get("reference", "")).partition("/")
        if kind == "Patient":
            found[f"{one['resourceType']}/{one['id']}"] = id_
    return found


def joins(draft: Draft) -> bool:
    """Whether the draft says which records are one person's (A40 and its like), or that they are not (A37)."""
    people = draft.of_type("Patient")
    return any("link" in one for one in people) or (draft.event in UNLINKS and len(people) > 1)


def join(filed: OnFile, row: InboxRow, work: Work, bridge: Bridge) -> Joined:
    """Put the records with their new links, and move what hangs on them to whoever survives now.

    Of two open referrals that then ask the same of one recipient, one that nobody has begun is called off; where work has
    begun on both, neither is touched, an issue says so, and the second stays listed under its own record.
    """
    draft = filed.draft
    people = [one["id"] for one in draft.of_type("Patient")]
    filed_under = sorted({*people, *(survivor(one, work) for one in people)})
    for one in draft.of_type("Patient"):
        sound, _ = claim(one, bridge.profiles)
        if sound is not None:
            work.put(sound, one["id"], row.envelope.id, draft.event_time, filed.told[f"Patient/{one['id']}"].write())
    moved = tuple(one for person in filed_under for one in _resettle(person, row, work))
    recalls = [_move(one, target, filed, row, work, bridge) for person in filed_under for one in work.referrals(person)
               if (target := survivor(home_of(f"Task/{one.id}", work) or person, work)) != person]
    return Joined(moved, Recall.of(recalls))


def _resettle(person: str, row: InboxRow, work: Work) -> Iterator[tuple[str, int]]:
    """Move what is filed under a person and was told about a record that goes on under another."""
    for one in work.of_patient(person):
        ref = f"{one['resourceType']}/{one['id']}"
        target = survivor(home_of(ref, work) or person, work)
        if target == person or one["resourceType"] in STAYS:
            continue
        moved = repointed(one, person, target)
        if moved != one:
            told = telling.read(work.told(ref)) or Told(person)
            yield ref, work.put(moved, target, row.envelope.id, work.event_time(ref), told.write())


def _move(one: Referral, target: str, filed: OnFile, row: InboxRow, work: Work, bridge: Bridge) -> Recall:
    """List a referral under the person who survives; what had to be called off for it."""
    key = (one.programme, one.need, one.recipient)
    twin = next((other for other in work.referrals(target) if not other.closed and (other.programme, other.need, other.recipient) == key), None)
    if one.closed or twin is None:
        work.refer(replace(one, patient=target))
        return Recall()
    spare = next((each for each in (one, twin) if each.status in BEFORE_WORK), None)
    if spare is None:
        issue = Issue("warning", "BRG-R022", "Task", "two records of one person were merged and both have begun the same referral",
                      "ask the recipient which one goes on", "business-rule")
        return Recall(issues=(issue,))
    recall = call_off([replace(spare, patient=target)], "merged", filed.draft.event_time, row, work, bridge)
    for each in (*recall.referrals, *([replace(one, patient=target)] if spare is twin else [])):
        work.refer(each)
    return recall
