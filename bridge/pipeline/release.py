"""Commit what a message gave, and decide for every recipient what may leave: permit, redact or deny, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bridge.consent.decide import decide, prepare
from bridge.consent.request import Policy, Request
from bridge.core.decision import Decision
from bridge.core.ports import Work
from bridge.core.rows import DecisionRow, InboxRow, Outgoing
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.question import item
from bridge.pipeline.refer import Referred, outputs, ref_of
from bridge.referral.partner import Partner
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
ESSENTIAL = ("Task", "ServiceRequest", "Patient")
"""Without any of these a delivery says nothing: one of them denied withholds it whole."""


def release(row: InboxRow, referred: Referred, work: Work, bridge: Bridge, queued: Sequence[Outgoing] = ()) -> list[Outgoing]:
    """Write resources, referrals, decisions, deliveries and questions of one message into the open transaction.

    A delivery that consent does not allow is queued as withheld: a consent that comes later lets it go, and it is
    decided again before it leaves either way. `queued` are the deliveries of earlier messages of the same transaction;
    returns those of this one.
    """
    draft, message_id = referred.draft, row.envelope.id
    kept: dict[str, int] = {}
    work.preload([ref_of(one) for one in draft.resources], ())
    for resource in draft.resources:
        kept[ref_of(resource)] = work.put(resource, draft.patient, message_id, draft.event_time)
    for referral in referred.referrals:
        work.refer(referral)
    outgoing = []
    for one in referred.outgoing:
        why = withheld(decisions(one, "commit", work, bridge))
        outgoing.append(replace(one, state="withheld" if why else "waiting", why=why))
        work.enqueue(outgoing[-1])
    if draft.event == "Consent":
        _let_go(draft.patient, queued, work)
    _ask(row, referred, work, bridge)
    work.finish(message_id, "accepted", issues=draft.issues, mapping=draft.mapping, version=draft.version,
                patient=draft.patient, outputs=list(kept.items()))
    return outgoing


def decisions(outgoing: Outgoing, stage: str, work: Work, bridge: Bridge) -> list[tuple[Resource, Decision]]:
    """Decide and record every resource of a delivery, at this moment, for its recipient; a resource that is gone is left out."""
    partner = bridge.partners[outgoing.recipient]
    at = bridge.clock().isoformat()
    policy = policy_for(partner, bridge)
    asked = request(partner, at, policy)
    consents = prepare(work.consents(outgoing.patient), policy)
    found = []
    for ref, resource in carried(outgoing, work).items():
        decision = decide(asked, resource, consents, policy)
        found.append((resource, decision))
        work.decided(DecisionRow(
            outgoing.message_id, stage, at, partner.id, outgoing.patient, ref, int(resource.get("meta", {}).get("versionId", 0)),
            partner.purpose, decision.effect, decision.rules, decision.consents, decision.redact_paths, decision.review))
        bridge.metrics.decisions.labels(partner.id, stage, decision.effect).inc()
    return found


def carried(outgoing: Outgoing, work: Work) -> dict[str, Resource]:
    """The resources of a delivery as they are now, by `Type/id`, with what a Task has come to point at meanwhile."""
    found: dict[str, Resource] = {}
    waiting = list(outgoing.refs)
    for ref in waiting:
        resource = work.resource(ref)
        if resource is None or ref in found:
            continue
        found[ref] = resource
        if resource["resourceType"] == "Task":
            waiting += outputs(resource)
    return found


def withheld(decided: Sequence[tuple[Resource, Decision]]) -> str:
    """Why a delivery may not leave; "" when it may."""
    for resource, decision in decided:
        if decision.effect == "deny" and resource["resourceType"] in ESSENTIAL:
            return f"consent: {resource['resourceType']} denied by {', '.join(decision.rules) or 'default'}"
    return "" if any(decision.effect != "deny" for _, decision in decided) else "consent: nothing may leave"


def policy_for(partner: Partner, bridge: Bridge) -> Policy:
    """What the contract with this partner says when no consent speaks, in the site's zone."""
    return Policy(no_consent=partner.no_consent, timezone=bridge.zone, fhir_base=bridge.fhir_base)


def request(partner: Partner, at: str, policy: Policy) -> Request:
    """The question to the consent filter: this partner, for the purpose of its contract, at this moment."""
    identifiers = [(PARTNER, partner.id), *partner.identifiers]
    return Request.parse({
        "recipient": {
            "reference": f"Organization/{partner.id}",
            "identifier": [{"system": system, "value": value} for system, value in identifiers],
            "clearances": list(partner.clearances),
        },
        "purpose": partner.purpose, "action": "disclose", "at": at,
    }, policy)


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
