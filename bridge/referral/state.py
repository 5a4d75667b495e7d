"""The state machine of a referral Task: which status may follow which, who may say so, and what the Task then holds.

Knows nothing of messages, partners' words or storage. Sources: SDOH Clinical Care 3.0.0, referral workflow diagram
(reference/gravity.md 2.2); what a CBO's records need beyond it (reference/cbo.md 3.3) is marked below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bridge.core.issue import Issue
from bridge.referral.rows import by
from bridge.referral.terms import BUSINESS, EVENT, NATIVE, NOTED, REASON, TEMPORARY

Resource = dict[str, Any]
Actor = Literal["requester", "target", "either"]
Effect = Literal["moved", "updated", "noted", "none", "refused"]

TERMINAL = frozenset({"rejected", "cancelled", "failed", "completed", "entered-in-error"})
BEFORE_WORK = frozenset({"draft", "requested"})
"""Nobody has taken it on yet: it can be called off without asking."""
NEEDS_REASON = frozenset({"rejected", "cancelled", "on-hold", "failed"})
WIRE = {"received": ("requested", "viewed")}
"""Words of base FHIR that SDOHCC leaves out of referral Tasks, as (status, business status)."""

MOVES: dict[str, dict[str, Actor]] = {
    "draft": {"requested": "requester"},
    # on-hold before acceptance (a waiting list) and back to it are ours: reference/cbo.md 3.3
    "requested": {"accepted": "target", "rejected": "target", "on-hold": "target", "cancelled": "either"},
    "accepted": {
        "in-progress": "target", "on-hold": "target", "completed": "target", "failed": "target", "cancelled": "either",
    },
    "in-progress": {"on-hold": "target", "completed": "target", "failed": "target", "cancelled": "either"},
    "on-hold": {
        "accepted": "target", "in-progress": "target", "completed": "target", "failed": "target", "cancelled": "either",
    },
    "rejected": {}, "cancelled": {}, "failed": {}, "completed": {}, "entered-in-error": {},
}
STATUSES = frozenset(MOVES)

IMPLIED: dict[tuple[str, str], tuple[str, ...]] = {
    ("draft", "cancelled"): ("requested",),
    ("requested", "in-progress"): ("accepted",),
    ("requested", "completed"): ("accepted", "in-progress"),
    ("requested", "failed"): ("accepted",),
}
"""Steps a partner's records often leave out; each becomes a version of its own, marked inferred."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one event does to a Task.

    `steps` are the new versions in order, the last is the current one; empty when nothing changes. `effect`: `moved`
    (status changed), `updated` (same status, more known), `noted` (kept as history, status stays), `none` (known
    already), `refused` (see `issues`).
    """

    effect: Effect
    steps: tuple[Resource, ...] = ()
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class _Event:
    to: str
    at: str
    reason: Resource | None
    business: str
    outputs: Sequence[Resource]
    native: str


def move(
    task: Mapping[str, Any], to: str, *, by: Actor, at: str, reason_code: str = "", reason_text: str = "",
    business_status: str = "", outputs: Sequence[Resource] = (), native_status: str = "",
) -> Moved:
    """Apply one event to a Task, or say why not; the Task given is not changed.

    `at` is a FHIR dateTime with offset and orders events: one older than Task.lastModified is kept as history and does
    not move the status. `outputs` are whole Task.output entries; they are added whatever the order of events, since
    what was given stays given. `by` is who says so; `either` stands for one who may speak for both sides.
    Sources: reference/gravity.md 2.2, reference/cbo.md 3.3.
    """
    status, implied_business = WIRE.get(to, (to, ""))
    event = _Event(status, at, _reason(reason_code, reason_text), business_status or implied_business, outputs, native_status)
    held = task["status"]
    if status not in STATUSES:
        return _refused("BRG-R101", "not a status of a referral Task", f"one of {', '.join(sorted(STATUSES))}")
    fresh = [output for output in outputs if output not in task.get("output", ())]
    if _seen(task, event) and not fresh:
        return Moved("none")
    if status != held and _older(at, task):
        return Moved("noted", (_record(_add(task, fresh), event, late=True),), (_late(),))
    if status == held:
        return _update(task, event, fresh)
    path, issue = _path(held, status, by)
    issue = issue or _incomplete(task, event)
    if issue:
        return Moved("refused", (), (issue,))
    return Moved("moved", _walk(task, path, event, fresh))


def native_status(task: Mapping[str, Any]) -> str:
    """The partner's own word for the current status; "" if it gave none."""
    return next((item["valueString"] for item in task.get("extension", ()) if item["url"] == NATIVE), "")


def settle(request: Mapping[str, Any], task: Mapping[str, Any], *, by: Actor) -> Resource | None:
    """The ServiceRequest as its Task leaves it, or None when it stays as it is.

    Completed closes the request; a cancel by the requester revokes it; after rejected or failed it stays active, for
    another Task (reference/gravity.md 2.2).
    """
    status = task["status"]
    target = {"completed": "completed", "entered-in-error": "entered-in-error"}.get(status, "")
    if status == "cancelled" and by != "target":
        target = "revoked"
    if not target or request["status"] in (target, "completed", "revoked", "entered-in-error"):
        return None
    return {**_unversioned(request), "status": target}


def _path(held: str, to: str, by: Actor) -> tuple[tuple[str, ...], Issue | None]:
    """The statuses to walk through, `to` last, or why it is not allowed."""
    if to == "entered-in-error":
        steps: tuple[str, ...] = (to,)
        return (steps, None) if by != "target" else ((), _issue("BRG-R104", "only the requester may mark it as an error"))
    if held in TERMINAL:
        return (), _issue("BRG-R103", f"{held} is final, {to} cannot follow", "open a new referral and say why in a note")
    steps = (*IMPLIED.get((held, to), ()), to)
    for here, there in zip((held, *steps), steps, strict=False):
        who = MOVES[here].get(there)
        if who is None:
            allowed = ", ".join(sorted(MOVES[here])) or "nothing"
            return (), _issue("BRG-R102", f"{to} cannot follow {held}", f"after {here} may come {allowed}")
        if "either" not in (by, who) and who != by:
            return (), _issue("BRG-R104", f"{there} is for the {who} to say, not the {by}")
    return steps, None


def _incomplete(task: Mapping[str, Any], event: _Event) -> Issue | None:
    if event.to in NEEDS_REASON and not event.reason:
        return _issue("BRG-R105", f"{event.to} needs a reason", "give a reason code of mappings/cbo/reasons.csv or a text",
                      "Task.statusReason")
    if event.to == "completed" and not event.outputs and not task.get("output"):
        return _issue("BRG-R106", "completed needs an output", "say what was given or how it ended", "Task.output")
    return None


def _walk(task: Mapping[str, Any], path: Sequence[str], event: _Event, fresh: list[Resource]) -> tuple[Resource, ...]:
    steps: list[Resource] = []
    for status in path[:-1]:
        step = _status(steps[-1] if steps else task, status, event.at, None)
        step["meta"] = {**step.get("meta", {}), "tag": [*step.get("meta", {}).get("tag", ()), _INFERRED]}
        steps.append(step)
    last = _add(_status(steps[-1] if steps else task, event.to, event.at, event.reason), fresh)
    steps.append(_record(last, event))
    return tuple(steps)


def _update(task: Mapping[str, Any], event: _Event, fresh: list[Resource]) -> Moved:
    """Same status again: newer words replace older ones, outputs are added; a final Task only gains outputs."""
    step = _add(task, fresh)
    late = _older(event.at, task)
    if late or task["status"] in TERMINAL:
        return Moved("noted", (_record(step, event, late=late, current=False),), (_late(),) if late else ())
    if event.reason:
        step["statusReason"] = event.reason
    step["lastModified"] = event.at
    return Moved("updated", (_record(step, event),))


def _status(task: Mapping[str, Any], status: str, at: str, reason: Resource | None) -> Resource:
    step = _unversioned(task)
    for name in ("statusReason", "businessStatus"):  # both belong to the status that ends here
        step.pop(name, None)
    step |= {"status": status, "lastModified": at}
    if "extension" in step:
        step["extension"] = [item for item in step["extension"] if item["url"] != NATIVE]
    if reason:
        step["statusReason"] = reason
    return step


def _add(task: Mapping[str, Any], fresh: list[Resource]) -> Resource:
    step = _unversioned(task)
    if fresh:
        step["output"] = [*step.get("output", ()), *fresh]
    return step


def _record(step: Resource, event: _Event, *, late: bool = False, current: bool = True) -> Resource:
    """Write the event into the Task's own list of events, and its words where they are the newest."""
    kept = list(step.get("extension", ()))
    if current and not late:
        kept = [item for item in kept if item["url"] != NATIVE or not event.native]
        if event.native:
            kept.append({"url": NATIVE, "valueString": event.native})
        if event.business:
            step["businessStatus"] = {"coding": [{"system": BUSINESS, "code": event.business}]}
    return {**step, "extension": [*kept, _event(event, late)]}


def _event(event: _Event, late: bool) -> Resource:
    parts: list[Resource] = [{"url": "status", "valueCode": event.to}, {"url": "at", "valueDateTime": event.at}]
    if event.native:
        parts.append({"url": "native", "valueString": event.native})
    if event.business:
        parts.append({"url": "business", "valueCode": event.business})
    if late:
        parts.append({"url": "late", "valueBoolean": True})
    return {"url": EVENT, "extension": parts}


def _seen(task: Mapping[str, Any], event: _Event) -> bool:
    known = (_event(event, False), _event(event, True))
    return any(item in known for item in task.get("extension", ()))


def _older(at: str, task: Mapping[str, Any]) -> bool:
    held = task.get("lastModified") or task.get("authoredOn", "")
    return bool(held) and instant(at) < instant(held)


def instant(text: str) -> datetime:
    """A FHIR dateTime as a moment; a time without an offset, or a date alone, counts as UTC (R4 datatypes: dateTime)."""
    padded = text + "-01-01"[: 10 - len(text)] if len(text) in (4, 7) else text
    moment = datetime.fromisoformat(padded)
    return moment if moment.tzinfo else datetime.fromisoformat(padded + ("T00:00:00Z" if len(padded) == 10 else "Z"))


def _reason(code: str, text: str) -> Resource | None:
    """A statusReason with text always (SDOHCC: statusReason.text 1..1 whenever present)."""
    row = by("cbo/reasons.csv", "code").get(code, {})
    said = text or row.get("text", "") or code
    if not said:
        return None
    codings = [{"system": REASON, "code": code}] if code else []
    if row.get("sdohcc"):
        codings.append({"system": TEMPORARY, "code": row["sdohcc"]})
    return {**({"coding": codings} if codings else {}), "text": said}


def _unversioned(resource: Mapping[str, Any]) -> Resource:
    """A copy without what the store writes, and without the mark of an inferred version."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    if "tag" in meta:
        meta["tag"] = [tag for tag in meta["tag"] if tag != _INFERRED]
        if not meta["tag"]:
            del meta["tag"]
    kept = {name: value for name, value in resource.items() if name != "meta"}
    return {**kept, "meta": meta} if meta else kept


def _late() -> Issue:
    return Issue("information", "BRG-R107", "Task.lastModified", "older than what is known; kept as history", "",
                 "informational")


def _refused(code: str, text: str, hint: str = "") -> Moved:
    return Moved("refused", (), (_issue(code, text, hint),))


def _issue(code: str, text: str, hint: str = "", where: str = "Task.status") -> Issue:
    return Issue("error", code, where, text, hint, "business-rule")


_INFERRED = {"system": NOTED, "code": "inferred"}
