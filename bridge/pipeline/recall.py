"""Calling referrals off: what opened them was cancelled or corrected, the person died, or two of them ask the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.core.issue import Issue
from bridge.core.ports import Work
from bridge.core.rows import InboxRow, Outgoing, Referral
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.merge import DISCHARGES, OnFile
from bridge.pipeline.outgoing import change
from bridge.referral import open as opening
from bridge.referral.match import records, survivor
from bridge.referral.programme import Row

Resource = dict[str, Any]
EXPIRED = "exp"
"""Encounter.hospitalization.dischargeDisposition of a person who died (HL7 discharge-disposition)."""


@dataclass(frozen=True, slots=True)
class Recall:
    """New versions of Tasks and requests, their ledger rows, and the news for their recipients."""

    resources: tuple[Resource, ...] = ()
    referrals: tuple[Referral, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    issues: tuple[Issue, ...] = ()

    @classmethod
    def of(cls, several: Iterable[Recall]) -> Recall:
        """Several as one, in order."""
        each = list(several)
        return cls(tuple(one for recall in each for one in recall.resources), tuple(one for recall in each for one in recall.referrals),
                   tuple(one for recall in each for one in recall.outgoing), tuple(one for recall in each for one in recall.issues))


def call_off(referrals: Iterable[Referral], why: str, at: str, row: InboxRow, work: Work, bridge: Bridge) -> Recall:
    """Call off those of the referrals that are open; where work has begun their coordinator gets a note instead.

    `why` is an event or a word of `opening.recall`. The recipient is told in the queue in which the referral went.
    """
    resources: list[Resource] = []
    rows, out, issues = [], [], list[Issue]()
    for referral in referrals:
        task, request = work.resource(f"Task/{referral.id}"), work.resource(f"ServiceRequest/{referral.request}")
        if referral.closed or task is None or request is None:
            continue
        recalled = opening.recall(task, request, event=why, at=at)
        issues += recalled.issues
        if recalled.resources:
            resources += recalled.resources
            last = next(one for one in reversed(recalled.resources) if one["resourceType"] == "Task")
            rows.append(opening.row_of(referral, last))
            out.append(change(referral, "note" if recalled.noted else "cancel", last, request, row, bridge))
    return Recall(tuple(resources), tuple(rows), tuple(out), tuple(issues))


def of_visit(filed: OnFile, work: Work, programmes: Iterable[Row]) -> list[Referral]:
    """The referrals of this visit under these programmes."""
    visits, names = {one["id"] for one in filed.draft.of_type("Encounter")}, {one.programme for one in programmes}
    return [one for one in work.referrals(filed.draft.patient) if one.visit in visits and one.programme in names]


def at_discharge(programmes: Iterable[Row]) -> list[Row]:
    """The programmes that look at a discharge. What they opened for a visit stands and falls with it, whichever message
    opened it: while a cancelled discharge keeps the person back they open nothing."""
    return [one for one in programmes if DISCHARGES.intersection(one.events)]


def died(filed: OnFile, work: Work) -> bool:
    """Whether any record of the person, or this visit's disposition, says that they died."""
    person, told = filed.draft.patient, {one["id"]: one for one in filed.draft.of_type("Patient")}
    mine = {*records(person, work), *(one for one in told if survivor(one, work) == person)}
    patients = [told.get(one) or work.resource(f"Patient/{one}") or {} for one in sorted(mine)]
    if any(one.get("deceasedBoolean") is True or "deceasedDateTime" in one for one in patients):
        return True
    visits = [one for one in filed.draft.of_type("Encounter") if one["subject"]["reference"] == f"Patient/{person}"]
    return any(coding.get("code") == EXPIRED for one in visits if one["status"] == "finished"
               for coding in one.get("hospitalization", {}).get("dischargeDisposition", {}).get("coding", ()))
