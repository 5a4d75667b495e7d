"""Ask the consent filter about a delivery: each resource it carries, for its recipient, at this moment; every answer is recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from bridge.consent import moment
from bridge.consent.decide import decide_each
from bridge.consent.house_ruling import Ruling
from bridge.consent.request import Party, Policy, Request
from bridge.consent.standing import Prepared
from bridge.core.decision import Decision
from bridge.core.ports import Work
from bridge.core.rows import DecisionRow, Outgoing
from bridge.pipeline import custody
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.consents import fresh, prepared
from bridge.pipeline.house import narrow
from bridge.pipeline.outgoing import outputs
from bridge.referral.flag import minded
from bridge.referral.match import survivor
from bridge.referral.partner import Partner
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
Kept = dict[str, tuple[Resource, int]]
"""Resources with their versions, by `Type/id`."""
ESSENTIAL = ("Task", "ServiceRequest", "Patient")
"""Without any of these a delivery says nothing: one of them denied withholds it whole."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The consent filter as one delivery meets it: the question, the consents that may speak, the contract, the rules of the house."""

    asked: Request
    consents: Prepared
    policy: Policy
    rules: Ruling | None


def decisions(
    outgoing: Outgoing, stage: str, work: Work, bridge: Bridge, kept: Mapping[str, tuple[Resource, int]] | None = None,
) -> list[tuple[Resource, Decision]]:
    """Decide and record every resource of a delivery, at this moment, for its recipient; a resource that is gone is left out.

    `kept` is what the message itself has just put: it need not be read again.
    """
    partner, now = bridge.partners[outgoing.recipient], bridge.clock()
    at, offered = now.isoformat(), carried(outgoing, work, kept or {})
    resources, decided = decide(outgoing, offered, now, work, bridge)
    for (ref, (_, version)), decision in zip(offered.items(), decided, strict=True):
        work.decided(DecisionRow(
            outgoing.message_id, stage, at, partner.id, outgoing.patient, ref, version, partner.purpose, decision.effect,
            decision.rules, decision.consents, decision.redact_paths, decision.review, decision.obligations))
    for effect, count in Counter([decision.effect for decision in decided]).items():
        bridge.metrics.decisions.labels(partner.id, stage, effect).inc(count)
    return list(zip(resources, decided, strict=True))


def decide(outgoing: Outgoing, offered: Kept, at: datetime, work: Work, bridge: Bridge) -> tuple[list[Resource], list[Decision]]:
    """(the resources of a delivery as its recipient may be asked about them, what is decided of each) at a moment; records nothing."""
    flags = work.of_patient(outgoing.patient, "Flag")
    resources = minded([resource for resource, _ in offered.values()], flags, bridge.partners[outgoing.recipient])
    met = filter_for(outgoing, resources, at, work, bridge)
    return resources, decide_each(met.asked, resources, met.consents, met.policy, met.rules)


def filter_for(outgoing: Outgoing, resources: Sequence[Resource], at: datetime, work: Work, bridge: Bridge) -> Filter:
    """The filter for a delivery of these resources at a moment; they say who discloses them (rule S8)."""
    partner = bridge.partners[outgoing.recipient]
    holder = custody.custodian(partner, resources, bridge)
    policy = policy_for(partner, bridge, holder)
    asked = request(partner, at, policy, holder)
    speaking = fresh(work.consents(outgoing.patient), partner, at)
    if custody.victims(partner, holder):
        speaking = custody.releases(speaking)
    return Filter(asked, prepared(speaking, policy), policy, narrow(outgoing, holder, asked, policy, work, bridge))


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


def policy_for(partner: Partner, bridge: Bridge, holder: Partner | None = None) -> Policy:
    """What the contract with this partner says when no consent speaks, in the site's zone; a victim service provider gives
    nothing without a release, whatever the contract of the other says."""
    default = "deny" if custody.victims(holder) else partner.no_consent
    return Policy(no_consent=default, timezone=bridge.zone, fhir_base=bridge.fhir_base, labels=bridge.labels)


def request(partner: Partner, at: datetime, policy: Policy, holder: Partner | None = None) -> Request:
    """The question to the consent filter: this partner, for the purpose of its contract, at this moment, from this custodian."""
    return Request(named(partner, policy), partner.purpose, "disclose", moment.instant(at),
                   named(holder, policy) if holder else None, clearances=frozenset(partner.clearances))


def named(partner: Partner, policy: Policy) -> Party | None:
    """The partner as consents may name it: itself, or its kind."""
    return party(partner.id, ((custody.KIND, custody.kind_of(partner)), *partner.identifiers), policy)


@lru_cache(1024)
def party(partner: str, identifiers: tuple[tuple[str, str], ...], policy: Policy) -> Party | None:
    """The partner as consents may name it: by its id here, and by the identifiers of its organisation."""
    return Request.parse({"recipient": {
        "reference": f"Organization/{partner}",
        "identifier": [{"system": system, "value": value} for system, value in ((PARTNER, partner), *identifiers)],
    }}, policy).recipient


def followed(row: Outgoing, work: Work) -> Outgoing:
    """The row about whoever survives: the records of its person may have been merged since it was queued."""
    person = survivor(row.patient, work) if row.patient else ""
    refs = tuple(f"Patient/{person}" if ref == f"Patient/{row.patient}" else ref for ref in row.refs)
    return row if person == row.patient else replace(row, patient=person, refs=refs)
