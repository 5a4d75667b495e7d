"""Commit what a message gave, and decide for every recipient what may leave: permit, redact or deny, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from bridge.consent import moment
from bridge.consent.decide import decide_each, prepare
from bridge.consent.mark import remembered
from bridge.consent.request import Party, Policy, Request
from bridge.consent.standing import Prepared
from bridge.core.decision import Decision
from bridge.core.ports import Work
from bridge.core.rows import DecisionRow, InboxRow, Outgoing
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.house import narrow
from bridge.pipeline.merge import STAYS
from bridge.pipeline.outgoing import outputs, ref_of
from bridge.pipeline.question import item
from bridge.pipeline.refer import Referred
from bridge.pipeline.told import Told
from bridge.referral.match import records, survivor
from bridge.referral.partner import Partner
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
Kept = dict[str, tuple[Resource, int]]
"""Resources with their versions, by `Type/id`."""
ESSENTIAL = ("Task", "ServiceRequest", "Patient")
"""Without any of these a delivery says nothing: one of them denied withholds it whole."""


def release(row: InboxRow, referred: Referred, work: Work, bridge: Bridge, queued: Sequence[Outgoing] = ()) -> list[Outgoing]:
    """Write resources, referrals, decisions, deliveries and questions of one message into the open transaction.

    A delivery that consent does not allow is queued as withheld: a consent that comes later lets it go, and it is
    decided again before it leaves either way. `queued` are the deliveries of earlier messages of the same transaction;
    returns those of this one.
    """
    draft, message_id = referred.draft, row.envelope.id
    kept: Kept = {}
    work.preload([ref_of(one) for one in draft.resources], ())
    for resource in draft.resources:
        ref = ref_of(resource)
        labelled = resource if ref in referred.told else remembered(resource, work.resource(ref))  # `on_file` has done it for those
        kept[ref] = labelled, _put(labelled, row, referred, work)
    for referral in referred.referrals:
        work.refer(referral)
    outgoing = []
    for one in referred.outgoing:
        why = withheld(decisions(one, "commit", work, bridge, kept))
        outgoing.append(replace(one, state="withheld" if why else "waiting", why=why))
        work.enqueue(outgoing[-1])
    if draft.event == "Consent" or referred.joined:
        for record in records(draft.patient, work):
            _let_go(record, queued, work)
    _ask(row, referred, work, bridge)
    work.finish(message_id, "accepted", issues=draft.issues, mapping=draft.mapping, version=draft.version,
                patient=draft.patient, outputs=list((dict(referred.moved) | {ref: version for ref, (_, version) in kept.items()}).items()))
    return outgoing


def _put(resource: Resource, row: InboxRow, referred: Referred, work: Work) -> int:
    """Store a resource under the person whom it is about now, with what is remembered of who said it."""
    draft, ref = referred.draft, ref_of(resource)
    told = referred.told.get(ref)
    if resource["resourceType"] in STAYS:
        person = resource["id"] if resource["resourceType"] == "Patient" else referred.home or draft.patient
    else:
        person = survivor(told.home, work) if told and told.home else draft.patient
    if told is None and not work.told(ref):
        told = Told(referred.home)
    return work.put(resource, person, row.envelope.id, draft.event_time, told.write() if told else "")


def decisions(
    outgoing: Outgoing, stage: str, work: Work, bridge: Bridge, kept: Mapping[str, tuple[Resource, int]] | None = None,
) -> list[tuple[Resource, Decision]]:
    """Decide and record every resource of a delivery, at this moment, for its recipient; a resource that is gone is left out.

    `kept` is what the message itself has just put: it need not be read again.
    """
    partner, now = bridge.partners[outgoing.recipient], bridge.clock()
    at, policy = now.isoformat(), policy_for(partner, bridge)
    consents = prepared(work.consents(outgoing.patient), policy)
    offered = carried(outgoing, work, kept or {})
    resources = [resource for resource, _ in offered.values()]
    asked = request(partner, now, policy)
    decided = decide_each(asked, resources, consents, policy, narrow(outgoing, asked, policy, work, bridge))
    for (ref, (_, version)), decision in zip(offered.items(), decided, strict=True):
        work.decided(DecisionRow(
            outgoing.message_id, stage, at, partner.id, outgoing.patient, ref, version, partner.purpose, decision.effect,
            decision.rules, decision.consents, decision.redact_paths, decision.review))
    for effect, count in Counter([decision.effect for decision in decided]).items():
        bridge.metrics.decisions.labels(partner.id, stage, effect).inc(count)
    return list(zip(resources, decided, strict=True))


def carried(outgoing: Outgoing, work: Work, kept: Mapping[str, tuple[Resource, int]]) -> Kept:
    """The resources of a delivery as they are now, with what a Task has come to point at meanwhile."""
    found: Kept = {}
    waiting = list(outgoing.refs)
    for ref in waiting:
        if ref in found:
            continue
        resource, version = kept.get(ref) or stored(ref, work)
        if resource is None:
            continue
        found[ref] = resource, version
        if resource["resourceType"] == "Task":
            waiting += outputs(resource)
    return found


def stored(ref: str, work: Work) -> tuple[Resource | None, int]:
    """What is on file under `Type/id`, with its version."""
    resource = work.resource(ref)
    return resource, int(resource["meta"]["versionId"]) if resource else 0


def withheld(decided: Sequence[tuple[Resource, Decision]]) -> str:
    """Why a delivery may not leave; "" when it may."""
    for resource, decision in decided:
        if decision.effect == "deny" and resource["resourceType"] in ESSENTIAL:
            return f"consent: {resource['resourceType']} denied by {', '.join(decision.rules) or 'default'}"
    return "" if any(decision.effect != "deny" for _, decision in decided) else "consent: nothing may leave"


def prepared(consents: Sequence[Resource], policy: Policy) -> Prepared:
    """A patient's consents, ready to be asked; those without any share one answer."""
    return prepare(consents, policy) if consents else unasked(policy)


@lru_cache(64)
def unasked(policy: Policy) -> Prepared:
    """What is asked when nobody has recorded a consent."""
    return prepare((), policy)


def policy_for(partner: Partner, bridge: Bridge) -> Policy:
    """What the contract with this partner says when no consent speaks, in the site's zone."""
    return Policy(no_consent=partner.no_consent, timezone=bridge.zone, fhir_base=bridge.fhir_base, labels=bridge.labels)


def request(partner: Partner, at: datetime, policy: Policy) -> Request:
    """The question to the consent filter: this partner, for the purpose of its contract, at this moment."""
    return Request(party(partner.id, partner.identifiers, policy), partner.purpose, "disclose", moment.instant(at),
                   clearances=frozenset(partner.clearances))


@lru_cache(1024)
def party(partner: str, identifiers: tuple[tuple[str, str], ...], policy: Policy) -> Party | None:
    """The partner as consents may name it: by its id here, and by the identifiers of its organisation."""
    return Request.parse({"recipient": {
        "reference": f"Organization/{partner}",
        "identifier": [{"system": system, "value": value} for system, value in ((PARTNER, partner), *identifiers)],
    }}, policy).recipient


def _let_go(patient: str, queued: Sequence[Outgoing], work: Work) -> None:
    """Let every delivery that consent held back be decided again now: it waits, and is decided when it leaves."""
    for one in (*work.outgoing(patient), *queued):
        if one.state == "withheld" and one.patient == patient:
            work.settle(one.id, "waiting")


def _ask(row: InboxRow, referred: Referred, work: Work, bridge: Bridge) -> None:
    waiting = {(question.table, question.code) for _, question in referred.waiting}
    for programme, question in referred.waiting:
        work.ask(item("decision", question, row, bridge, programme))
    for question in referred.draft.questions:
        if (question.table, question.code) not in waiting:
            work.ask(item("code", question, row, bridge))
