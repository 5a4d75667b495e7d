"""A patient's consents have changed: decide again what waits, and tell those who hold what they may not have any more.

Revocation works forward: what was disclosed stays disclosed, and nothing is asked back (consent.md 1.4). A recipient gets
its Task called off where nobody has begun, and a notice; neither holds health data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bridge.core.decision import Decision
from bridge.core.errors import Transient
from bridge.core.ids import shard
from bridge.core.ports import Work
from bridge.core.rows import Disclosure, Outgoing
from bridge.observe.log import logger
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.consents import next_change
from bridge.pipeline.decide import decisions, followed, withheld
from bridge.pipeline.fault import fault_issue
from bridge.pipeline.outgoing import FORMATS, outputs, parties, ref_of
from bridge.referral import open as opening
from bridge.referral.match import records, survivor
from bridge.referral.state import BEFORE_WORK
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
AGAIN = timedelta(hours=1)
"""When a person about whom we failed is looked at once more; the decision at the send does not wait for it."""
STAGE = "consent"
WITHDRAWAL = "withdrawal"
"""Kind of a delivery that says which of the things a recipient holds it may not use any more."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What made us look again: the message (`id`) that brought a consent or a merge, or `id` "" for the passing of time.

    `key` tells one occasion from another, so that the same occasion again queues nothing new.
    """

    id: str
    key: str


def reconsider(people: Iterable[str], cause: Cause, work: Work, bridge: Bridge) -> None:
    """Withhold or release every delivery about these people that has not left, withdraw what recipients hold and may not
    have now, and note when time alone will change the answer."""
    named = {one: survivor(one, work) for one in people}
    for retired in named.keys() - set(named.values()):
        work.expect(retired, None)
    for person in dict.fromkeys(named.values()):
        for row in _queued(person, work):
            if row.state in ("waiting", "withheld") and row.recipient in bridge.partners:
                _again(row, work, bridge)
        left = [one for record in records(person, work) for one in work.disclosures(record)]
        for recipient in sorted({one.recipient for one in left} & bridge.partners.keys()):
            _withdraw(person, [one for one in left if one.recipient == recipient], cause, work, bridge)
        work.expect(person, next_change(work.consents(person), bridge, bridge.clock()))


def _queued(person: str, work: Work) -> list[Outgoing]:
    """Every delivery about the person, whichever of their records it was queued for."""
    return [followed(one, work) for record in records(person, work) for one in work.outgoing(record)]


def _again(row: Outgoing, work: Work, bridge: Bridge) -> None:
    """Decide a delivery that has not left as if it were made now."""
    if row.kind == WITHDRAWAL:
        still = _lost(_held(row, work, bridge), dict.fromkeys(row.refs, False))
        over = not still and not any(_called_off(ref, work) for ref in row.refs)
        if over != (row.state == "withheld"):
            work.settle(row.id, "withheld" if over else "waiting", "permitted again before it left" if over else "")
        return
    why = withheld(decisions(row, STAGE, work, bridge))
    if why != row.why if why else row.state == "withheld":
        work.settle(row.id, "withheld" if why else "waiting", why)


def _withdraw(person: str, left: Sequence[Disclosure], cause: Cause, work: Work, bridge: Bridge) -> None:
    """Call off what this recipient has not begun and queue one notice of everything that it holds and may not have now."""
    recipient = left[0].recipient
    holds = _holds(left, [row for row in _queued(person, work) if row.recipient == recipient and row.kind == WITHDRAWAL])
    if not holds:
        return
    asked = Outgoing("", recipient, WITHDRAWAL, person, tuple(holds), cause.id, shard(person))
    lost = _lost(_held(asked, work, bridge), holds)
    if not lost:
        return
    mine = [one for one in work.referrals(person) if one.recipient == recipient and not one.closed and f"Task/{one.id}" in lost]
    ended = [one.id for one in mine if _call_off(one.id, one.request, person, cause, work, bridge)]
    refs = (*(f"Task/{id_}" for id_ in ended), *(ref for ref in lost if ref.removeprefix("Task/") not in ended))
    short = next((one.short for one in mine), "")
    work.enqueue(replace(asked, id=bridge.ids.uuid("delivery", cause.key, recipient, WITHDRAWAL, person), refs=refs, referral=short))


def _holds(left: Sequence[Disclosure], withdrawn: Sequence[Outgoing]) -> dict[str, bool]:
    """Each `Type/id` that a recipient has and was not told to leave alone since: whether it came in part.

    A withdrawal that is still to leave has said so too.
    """
    holds: dict[str, bool] = {}
    for one in left:
        for ref in one.resources:
            if one.kind == WITHDRAWAL:
                holds.pop(ref, None)
            else:
                holds[ref] = ref in one.redacted
    for row in withdrawn:
        if row.state == "waiting":
            holds = {ref: part for ref, part in holds.items() if ref not in row.refs}
    return holds


def _held(row: Outgoing, work: Work, bridge: Bridge) -> list[tuple[Resource, Decision]]:
    """Decide the resources of a delivery, as they are now, without what they have come to point at since."""
    return [(resource, decision) for resource, decision in decisions(row, STAGE, work, bridge) if ref_of(resource) in row.refs]


def _lost(decided: Iterable[tuple[Resource, Decision]], in_part: dict[str, bool]) -> list[str]:
    """What is denied now, wholly, or in a part that had left; the patient alone is nothing without the rest."""
    return [ref_of(resource) for resource, decision in decided
            if decision.effect == "deny" or (decision.effect == "redact" and in_part.get(ref_of(resource)) is False)]


def _called_off(ref: str, work: Work) -> bool:
    task = work.resource(ref) if ref.startswith("Task/") else None
    return task is not None and task["status"] == "cancelled"


def _call_off(task_id: str, request_id: str, person: str, cause: Cause, work: Work, bridge: Bridge) -> bool:
    """Cancel a referral that nobody has begun, and tell the hospital that asked; whether that was so."""
    task, request = work.resource(f"Task/{task_id}"), work.resource(f"ServiceRequest/{request_id}")
    referral = work.referral(task_id)
    if task is None or request is None or referral is None or task["status"] not in (*BEFORE_WORK, "accepted"):
        return False
    at = bridge.clock().isoformat()
    recalled = opening.recall(task, request, event="consent", at=at)
    for one in recalled.resources:
        work.put(one, person, cause.id, at)
    last = next((one for one in reversed(recalled.resources) if one["resourceType"] == "Task"), task)
    work.refer(opening.row_of(referral, last))
    asker = last.get("requester", {}).get("identifier", {})
    hospital = bridge.partners.get(asker.get("value", "")) if asker.get("system") == PARTNER else None
    refs = tuple(dict.fromkeys((f"Task/{task_id}", f"ServiceRequest/{request_id}", f"Patient/{person}", *parties(last, request), *outputs(last))))
    for kind in (FORMATS[each] for each in hospital.formats) if hospital else ():
        row = Outgoing(bridge.ids.uuid("delivery", cause.key, hospital.id, kind, refs[0]), hospital.id, kind, person, refs, cause.id,
                       shard(person), referral.short)
        why = withheld(decisions(row, "commit", work, bridge))
        work.enqueue(replace(row, state="withheld" if why else "waiting", why=why))
    return True


def sweep(bridge: Bridge, limit: int = 100) -> int:
    """Look again at people whose consents began, ended or became too old meanwhile; how many there were."""
    now = bridge.clock()
    due = bridge.ledger.expiring(limit, now)
    for person in due:
        with bridge.ledger.work(alone=True) as work:
            try:
                with work.savepoint():
                    reconsider([person], Cause("", f"sweep {person} {now.isoformat()}"), work, bridge)
            except Transient:
                raise
            except Exception as error:  # noqa: BLE001 - one person must not keep the others from being looked at
                logger().error("sweep_failed", error=fault_issue(error).text)
                work.expect(person, now + AGAIN)
    return len(due)
