"""Commit what a message gave, and decide for every recipient what may leave: permit, redact or deny, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.consent.mark import remembered
from bridge.core.ports import Work
from bridge.core.rows import InboxRow
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.consents import received
from bridge.pipeline.decide import Kept, decisions, stored, withheld
from bridge.pipeline.merge import STAYS
from bridge.pipeline.outgoing import ref_of
from bridge.pipeline.question import item
from bridge.pipeline.reconsider import Cause, reconsider
from bridge.pipeline.refer import Referred
from bridge.pipeline.told import Told
from bridge.referral.match import survivor

Resource = dict[str, Any]


def release(row: InboxRow, referred: Referred, work: Work, bridge: Bridge) -> None:
    """Write resources, referrals, decisions, deliveries and questions of one message into the open transaction.

    A delivery that consent does not allow is queued as withheld: a consent that comes later lets it go, and it is
    decided again before it leaves either way. A Consent, and a merge of records, is news for everything else about the
    person that waits or has left (reconsider).
    """
    draft, message_id = referred.draft, row.envelope.id
    kept: Kept = {}
    work.preload([ref_of(one) for one in draft.resources], ())
    before = {ref: stored(ref, work)[1] for ref in map(ref_of, draft.of_type("Consent"))}
    for resource in draft.resources:
        ref = ref_of(resource)
        labelled = resource if ref in referred.told else remembered(resource, work.resource(ref))  # `on_file` has done it for those
        kept[ref] = labelled, _put(labelled, row, referred, work)
    for referral in referred.referrals:
        work.refer(referral)
    for one in referred.outgoing:
        why = withheld(decisions(one, "commit", work, bridge, kept))
        work.enqueue(replace(one, state="withheld" if why else "waiting", why=why))
    if referred.joined or any(_news(kept[ref][1] != version, bridge) for ref, version in before.items()):
        people = [draft.patient, *(one["id"] for one in draft.of_type("Patient"))]
        reconsider(people, Cause(message_id, message_id), work, bridge)
    _ask(row, referred, work, bridge)
    work.finish(message_id, "accepted", issues=draft.issues, mapping=draft.mapping, version=draft.version,
                patient=draft.patient, outputs=list((dict(referred.moved) | {ref: version for ref, (_, version) in kept.items()}).items()))


def _news(changed: bool, bridge: Bridge) -> bool:
    """Whether a Consent that came in changes an answer: it says something else, or a copy's age counts for somebody."""
    return changed or any(one.consent_max_age for one in bridge.partners.values())


def _put(resource: Resource, row: InboxRow, referred: Referred, work: Work) -> int:
    """Store a resource under the person whom it is about now, with what is remembered of who said it."""
    draft, ref = referred.draft, ref_of(resource)
    if resource["resourceType"] == "Consent":
        resource = received(resource, row.envelope.received)
    told = referred.told.get(ref)
    if resource["resourceType"] in STAYS:
        person = resource["id"] if resource["resourceType"] == "Patient" else referred.home or draft.patient
    else:
        person = survivor(told.home, work) if told and told.home else draft.patient
    if told is None and not work.told(ref):
        told = Told(referred.home)
    return work.put(resource, person, row.envelope.id, draft.event_time, told.write() if told else "")


def _ask(row: InboxRow, referred: Referred, work: Work, bridge: Bridge) -> None:
    waiting = {(question.table, question.code) for _, question in referred.waiting}
    for programme, question in referred.waiting:
        work.ask(item("decision", question, row, bridge, programme))
    for question in referred.draft.questions:
        if (question.table, question.code) not in waiting:
            work.ask(item("code", question, row, bridge))
