"""Openings -> ServiceRequest and Task, once: the same message twice opens nothing new, and one referral at a time is open
per patient, programme, need and recipient. Calling them off again when the discharge or the admission was a mistake.

Shapes: SDOHCC-ServiceRequest, SDOHCC-TaskForReferralManagement (reference/gravity.md 1.1, 1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.core.issue import Issue
from bridge.core.rows import Referral
from bridge.referral import short
from bridge.referral.need import occasion
from bridge.referral.partner import Partner, organization, reference
from bridge.referral.programme import Opening
from bridge.referral.rows import by
from bridge.referral.state import BEFORE_WORK, TERMINAL, instant, move, settle
from bridge.referral.terms import (
    BUSINESS,
    REASON,
    REFERENCE,
    SDOH_REQUEST,
    SDOH_TASK,
    SNOMED,
    TASK_CODE,
    TEMPORARY,
    coded,
    concept,
)

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """New resources and their referral rows; empty when everything was open or done already."""

    resources: tuple[Resource, ...] = ()
    referrals: tuple[Referral, ...] = ()


@dataclass(frozen=True, slots=True)
class Recalled:
    """What calling off one referral changes. `noted`: work had begun, so a person decides; the request stays."""

    resources: tuple[Resource, ...] = ()
    noted: bool = False
    issues: tuple[Issue, ...] = ()


def refer(
    draft: Draft, openings: Sequence[Opening], existing: Sequence[Referral], ids: Ids, *, message_id: str, hospital: Partner,
    resource: Callable[[str], Resource | None] | None = None, taken: Callable[[str], bool] | None = None,
) -> Opened:
    """Open the referrals that are not there yet.

    `existing` are all referrals of the patient, open and closed. `hospital` is the requester when the draft names no
    Organization of its own. `resource` reads a stored `Task/id` (it tells a recalled Task from one that ended another
    way), `taken` whether a short reference is in use. Ids are keyed by patient, programme, need, recipient, visit and
    how many of these were called off before, so a replay gives the same ones.
    """
    visit, made, opened = occasion(draft, message_id), dict[str, Resource](), list[Referral]()
    requester = _requester(draft, hospital, ids) if openings else {}
    for opening in openings:
        ordinal = _ordinal(opening, draft, visit, message_id, [*existing, *opened], resource)
        if ordinal is None:
            continue
        parts = (draft.patient, opening.row.programme, opening.need, opening.recipient.id, visit, str(ordinal))
        label = _short(ids, parts, taken)
        due = _due(draft, opening)
        request = _request(draft, opening, ids.uuid("ServiceRequest", *parts), requester, due, ids, label)
        task = _task(draft, opening, ids.uuid("Task", *parts), request, label)
        for one in (organization(opening.recipient, ids), requester, request, task):
            made.setdefault(f"{one['resourceType']}/{one['id']}", one)
        opened.append(Referral(
            task["id"], label, draft.patient, request["id"], opening.row.programme, opening.need, opening.recipient.id,
            task["status"], False, message_id, visit, due,
        ))
    held = {f"{one['resourceType']}/{one['id']}" for one in draft.resources}
    return Opened(tuple(one for ref, one in made.items() if ref not in held), tuple(opened))


def recall(task: Mapping[str, Any], request: Mapping[str, Any], *, event: str, at: str) -> Recalled:
    """Call one referral off because its reason is gone: `event` is the cancel (`ADT^A13`: of the discharge, `ADT^A11`: of
    the admission), `death`, `corrected` (the discharge would not open it any more), `merged` (another asks the same) or
    `consent` (it does not permit the recipient to have it any more).

    Not yet accepted: the Task is cancelled and the request revoked; without consent also when it is accepted and service
    has not begun. Else: a note for the coordinator and nothing else (reference/hl7v2.md b1). Again for the same event:
    nothing.
    """
    what, code = _WHY[event]
    if task["status"] in TERMINAL:
        return Recalled()
    if task["status"] in BEFORE_WORK or (event, task["status"]) == ("consent", "accepted"):
        moved = move(task, "cancelled", by="requester", at=max(at, _held(task), key=instant), reason_code=code,
                     reason_text=what, business_status="recalled")
        revoked = settle(request, moved.steps[-1], by="requester") if moved.steps else None
        return Recalled((*moved.steps, *([revoked] if revoked else [])), False, moved.issues)
    note = {"time": at, "text": f"{what}. Work has begun here: please decide with the person whether it goes on."}
    if note in task.get("note", ()) or (event not in _AGAIN and any(one["text"] == note["text"] for one in task.get("note", ()))):
        return Recalled((), True)
    return Recalled(({**task, "note": [*task.get("note", ()), note]},), True)


def row_of(referral: Referral, task: Mapping[str, Any]) -> Referral:
    """The ledger row after its Task has changed."""
    status = task["status"]
    return Referral(
        referral.id, referral.short, referral.patient, referral.request, referral.programme, referral.need,
        referral.recipient, status, status in TERMINAL, referral.opened_by, referral.visit, referral.due,
    )


def _ordinal(
    opening: Opening, draft: Draft, visit: str, message_id: str, known: Sequence[Referral],
    resource: Callable[[str], Resource | None] | None,
) -> int | None:
    """How many referrals of this key and visit were called off before; None when there is nothing to open."""
    key = (draft.patient, opening.row.programme, opening.need, opening.recipient.id)
    same = [one for one in known if (one.patient, one.programme, one.need, one.recipient) == key]
    here = [one for one in same if one.visit == visit]
    if any(not one.closed for one in same) or any(one.opened_by == message_id for one in here):
        return None
    return len(here) if all(_was_recalled(one, resource) for one in here) else None


def _was_recalled(referral: Referral, resource: Callable[[str], Resource | None] | None) -> bool:
    if referral.status != "cancelled":
        return False
    task = resource(f"Task/{referral.id}") if resource else None
    return task is None or coded(task.get("statusReason"), REASON) in _CALLED_OFF


def _requester(draft: Draft, hospital: Partner, ids: Ids) -> Resource:
    """The Organization that gave the care, when the draft has it whole, else the hospital of the settings.

    SDOHCC: Task.requester is a PractitionerRole or an Organization, never a Practitioner.
    """
    organizations = {f"Organization/{one['id']}": one for one in draft.of_type("Organization")}
    for encounter in draft.of_type("Encounter"):
        found = organizations.get(encounter.get("serviceProvider", {}).get("reference", ""))
        if found and found.get("active") and found.get("name"):
            return found
    return organization(hospital, ids)


def _request(
    draft: Draft, opening: Opening, id_: str, requester: Resource, due: str, ids: Ids, label: str,
) -> Resource:
    code, text = opening.row.service or _procedure(opening.need)
    category = opening.need or opening.row.category
    made: Resource = {
        "resourceType": "ServiceRequest", "id": id_, "meta": {"profile": [SDOH_REQUEST]},
        "identifier": [{"system": REFERENCE, "value": label}], "status": "active", "intent": "order",
        "category": [concept(SNOMED, "410606002"), concept(TEMPORARY, category, opening.row.domain if not opening.need else "")],
        "priority": opening.row.priority, "code": concept(SNOMED, code, text),
        "subject": {"reference": f"Patient/{draft.patient}"},
        "authoredOn": draft.event_time, "requester": {"reference": f"Organization/{requester['id']}"},
        "performer": [reference(opening.recipient, ids)],
    }
    encounters = draft.of_type("Encounter")
    if encounters:
        made["encounter"] = {"reference": f"Encounter/{encounters[0]['id']}"}
    if due:
        made["occurrencePeriod"] = {"start": _start(draft), "end": due}
    if opening.reasons:
        made["reasonReference"] = [{"reference": ref} for ref in opening.reasons]
    return made


def _task(
    draft: Draft, opening: Opening, id_: str, request: Resource, label: str,
) -> Resource:
    (owner,) = request["performer"]
    return {
        "resourceType": "Task", "id": id_, "meta": {"profile": [SDOH_TASK]},
        "identifier": [{"system": REFERENCE, "value": label}], "status": opening.row.status,
        "businessStatus": {"coding": [{"system": BUSINESS, "code": opening.row.business}]},
        "intent": "order", "priority": opening.row.priority, "code": concept(TASK_CODE, "fulfill"),
        "focus": {"reference": f"ServiceRequest/{request['id']}"}, "for": request["subject"],
        **({"encounter": request["encounter"]} if "encounter" in request else {}),
        "authoredOn": draft.event_time, "lastModified": draft.event_time,
        "requester": request["requester"], "owner": owner,
    }


def _procedure(need: str) -> tuple[str, str]:
    """The SNOMED CT procedure to ask for, and our words for it, by need."""
    table = by("programmes/need-to-service.csv", "need")
    row = table.get(need) or table["sdoh-category-unspecified"]
    return row["code"], row["text"]


def _short(ids: Ids, parts: Sequence[str], taken: Callable[[str], bool] | None) -> str:
    attempt = 0
    label = short.make(ids.digest("short", *parts, "0"))
    while taken is not None and taken(label):
        attempt += 1
        label = short.make(ids.digest("short", *parts, str(attempt)))
    return label


def _start(draft: Draft) -> str:
    """When the clock starts: the end of the visit when it is over, else the event."""
    ends = [encounter.get("period", {}).get("end", "") for encounter in draft.of_type("Encounter")]
    return next((end for end in ends if "T" in end), draft.event_time)


def _due(draft: Draft, opening: Opening) -> str:
    """The last moment for the first contact; elapsed hours, so that a change of clocks does not move it."""
    if not opening.row.hours:
        return ""
    return (instant(_start(draft)) + timedelta(hours=opening.row.hours)).isoformat()


def _held(task: Mapping[str, Any]) -> str:
    return str(task.get("lastModified") or task.get("authoredOn") or "0001-01-01T00:00:00Z")


_WHY = {
    "ADT^A13": ("The discharge was cancelled", "recalled"),
    "ADT^A11": ("The admission was cancelled", "recalled"),
    "ADT^A23": ("The visit was deleted", "recalled"),
    "ADT^A27": ("The planned admission was cancelled", "recalled"),
    "ADT^A38": ("The planned admission was cancelled", "recalled"),
    "death": ("The person has died", "deceased"),
    "corrected": ("The discharge was corrected and does not ask for this any more", "recalled"),
    "consent": ("The person's consent has been withdrawn or has ended", "consent-withdrawn"),
    "merged": ("Two records of one person asked for the same; the other referral goes on", "duplicate"),
}
"""By what calls a referral off: our words, and the reason code of mappings/cbo/reasons.csv."""
_AGAIN = frozenset({"ADT^A13", "ADT^A11"})
"""What can happen to one visit again after it was made good; the other reasons are said once."""
_CALLED_OFF = frozenset({"recalled", "deceased", "duplicate"})
"""Reasons that were ours: when they are gone the referral may be opened anew."""
