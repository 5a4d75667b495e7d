"""Hand deliveries to their connectors, the decision taken again at that very moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from bridge.consent import notice
from bridge.consent.notice import marked
from bridge.consent.redact import redact
from bridge.consent.release import held_back, verify_release
from bridge.consent.release import release as cut
from bridge.consent.terms import CONFIDENTIALITY
from bridge.core.decision import Decision
from bridge.core.delivery import Delivery, Receipt
from bridge.core.envelope import FHIR, HL7V2
from bridge.core.errors import BridgeError, Transient
from bridge.core.issue import Issue
from bridge.core.ports import Connector, Work
from bridge.core.rows import Disclosure, Outgoing
from bridge.fhir import bundle
from bridge.fhir.reference import rewrite
from bridge.fhir.release import down
from bridge.hl7v2.build import write
from bridge.observe.log import logger
from bridge.pipeline import part2, withdrawal
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.check import claim
from bridge.pipeline.custody import victims
from bridge.pipeline.decide import ESSENTIAL, decisions, filter_for, followed, policy_for, stored, withheld
from bridge.pipeline.fault import fault_issue
from bridge.pipeline.outgoing import ref_of
from bridge.pipeline.reconsider import WITHDRAWAL, Cause, reconsider
from bridge.referral import answer
from bridge.referral.match import records
from bridge.referral.partner import Partner

Resource = dict[str, Any]
STATES = ("sent", "retry", "refused")
LONG = 60.0
"""Seconds before a connector that broke is tried again."""
EHR = "ehr"
"""The kind of a partner that is a hospital's EHR."""
OWN = ("Task", "ServiceRequest")
"""Resources that exist for one recipient only and keep their id, because answers quote it."""

ADDRESS = {"Task": ("identifier", "requester"), "ServiceRequest": ("identifier",)}
"""What makes a referral answerable and goes to every recipient: the reference to quote, and who asks (SDOHCC Task.requester
is 1..1; the allow-lists keep the same organisation in ServiceRequest.requester)."""

ASKED = {
    "Task": ("identifier", "requester", "owner", "code", "authoredOn", "statusReason", "businessStatus"),
    "ServiceRequest": ("identifier", "requester", "performer", "category", "authoredOn"),
}
"""The same for the hospital that asked: what it said itself, and why it was declined."""

WITHHELD = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
MASKED = {"name": [WITHHELD], "_gender": WITHHELD}
"""What US Core Patient 7.0.0 demands and a recipient may not see (US Core, "Missing Data")."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery that may leave, with what has to be written down once it has.

    `generation` is that of the patient's consents by which it was decided.
    """

    row: Outgoing
    delivery: Delivery
    disclosure: Disclosure
    generation: int
    note: str = ""


def send(rows: Sequence[Outgoing], bridge: Bridge, connector: Callable[[str], Connector]) -> Counter[str]:
    """Send outbox rows in order; counts by state (sent, withheld, retry, refused).

    Decisions are recorded before anything leaves, receipts and disclosures after. A crash between the two sends again
    under the same id. What a consent has overtaken since it was decided is not handed over: it is decided again when it is
    next looked at. One that must wait keeps the later ones of the same patient and recipient back. A row that we
    cannot render is refused by itself, a connector that breaks keeps its own partner waiting: neither stops the others.
    """
    counts: Counter[str] = Counter()
    ready: dict[str, list[Ready]] = {}
    with bridge.ledger.work() as work:
        work.preload((), {row.patient for row in rows if row.patient})
        for row in rows:
            state, made = _prepared(row, work, bridge)
            if isinstance(made, Ready):
                ready.setdefault(row.recipient, []).append(made)
            else:
                work.settle(row.id, state, made)
                counts[state] += 1
                bridge.metrics.deliveries.labels(row.recipient, row.kind, state).inc()
    for recipient, decided in ready.items():
        batch = _current(decided, bridge)
        if batch:
            counts.update(_record(batch, _handed(recipient, batch, connector), bridge))
    return counts


def _current(batch: Sequence[Ready], bridge: Bridge) -> list[Ready]:
    """Those by whose consents nothing has changed since they were decided."""
    now = bridge.ledger.generations({one.row.patient for one in batch})
    return [one for one in batch if one.generation == now.get(one.row.patient, 0)]


def _prepared(row: Outgoing, work: Work, bridge: Bridge) -> tuple[str, Ready | str]:
    """What `prepare` says with the state it means; a fault of ours refuses the row, named by type and place."""
    try:
        with work.savepoint():
            return "withheld", prepare(row, work, bridge)
    except Transient:
        raise
    except Exception as error:  # noqa: BLE001 - one row must not stop the others; it can be sent again by a replay
        issue = fault_issue(error)
        logger().error("delivery_failed", delivery=row.id, recipient=row.recipient, kind=row.kind, error=issue.text)
        return "refused", f"{issue.code} {issue.text}"


def _handed(recipient: str, batch: Sequence[Ready], connector: Callable[[str], Connector]) -> list[Receipt]:
    """One receipt for each delivery, in order; what a connector breaks of its contract means another try."""
    deliveries = [one.delivery for one in batch]
    after, why = LONG, "the connector gave no receipt for each delivery"
    try:
        receipts = connector(recipient).deliver(deliveries)
        if [one.id for one in receipts] == [one.id for one in deliveries]:
            return [one if one.state in STATES else Receipt(one.id, "retry", "the connector gave an unknown receipt", LONG)
                    for one in receipts]
    except Transient as error:
        after, why = error.after, str(error)
    except BridgeError as error:
        why = f"{error.code} {error}"
    except Exception as error:  # noqa: BLE001 - a partner's connector must not stop the others; its text may quote
        why = fault_issue(error).text
    logger().warning("connector_failed", recipient=recipient, count=len(batch), error=why)
    return [Receipt(one.id, "retry", why, after) for one in deliveries]


def prepare(row: Outgoing, work: Work, bridge: Bridge) -> Ready | str:
    """Decide again, redact, project and render one row; a text says why it may not leave."""
    partner = bridge.partners.get(row.recipient)
    if partner is None:
        return "the partner is no longer in the settings"
    row = followed(row, work)
    generation = work.generation(row.patient)
    if row.kind == WITHDRAWAL:
        return _withdrawal(row, partner, generation, work, bridge)
    decided = decisions(row, "send", work, bridge)
    if why := withheld(decided):
        return why
    leaving = payload(decided, partner, bridge)
    if isinstance(leaving, str):
        return leaving
    if why := _stopped(row, decided, leaving, work, bridge):
        return why
    effect = {ref_of(one): decision for one, decision in decided}
    left = [ref_of(one) for one in leaving]
    protected = [ref for ref in left if part2.OBLIGATION in effect[ref].obligations]
    under = {one.split("/")[0] for ref in protected for one in effect[ref].consents}
    scopes = [one for one in work.consents(row.patient) if one["id"] in under]
    note = ""
    if row.kind == "oru":
        body, kind = oru(row, leaving, partner, bridge, part2.texts(scopes, partner) if protected else ()), HL7V2
        if isinstance(body, Issue):
            return str(body)
    else:
        made, note = _bundle(row, leaving, protected, scopes, partner, bridge)
        body, kind = orjson.dumps(made), FHIR
    key = _person_key(row, partner, bridge)
    return Ready(row, Delivery(row.id, partner.id, row.kind, kind, body, key, row.referral),
                 _disclosure(row, decided, leaving, partner, bridge), generation, note)


def _stopped(row: Outgoing, decided: Sequence[tuple[Resource, Decision]], leaving: Sequence[Resource], work: Work, bridge: Bridge) -> str:
    """Why what is left may not leave after all; "" when it may."""
    if why := _not_plain(row, decided, leaving, work, bridge):
        return why
    missing = {ref.split("/")[0] for ref in row.refs if ref.startswith(ESSENTIAL)} - {one["resourceType"] for one in leaving}
    return f"incomplete: nothing is left of {', '.join(sorted(missing))}" if missing else _overtaken(row, leaving, work)


def _bundle(row: Outgoing, leaving: Sequence[Resource], protected: Sequence[str], scopes: Sequence[Resource], partner: Partner,
            bridge: Bridge) -> tuple[Resource, str]:
    """The Bundle as this partner gets it, with what goes with its Part 2 records; and what was lost on the way."""
    named, lost = own_names(leaving, partner, bridge)
    if protected:
        alone = _alone(map(ref_of, leaving), partner)
        theirs = [_own_ref(ref, partner, bridge, alone) for ref in protected]
        named = part2.accompanied(named, theirs, scopes, partner, bridge.ids.uuid("part2-notice", row.id), bridge.clock().isoformat())
    made = bundle.collection(named, base=bridge.fhir_base)
    note = f"without what SDOH Clinical Care {partner.sdohcc} has no code for: {', '.join(lost)}" if lost else ""
    return marked(made, notice.load().security) if protected else made, note


def _disclosure(row: Outgoing, decided: Sequence[tuple[Resource, Decision]], leaving: Sequence[Resource], partner: Partner,
                bridge: Bridge) -> Disclosure:
    """What is written down once these resources have left."""
    by_ref = {ref_of(one): (one, decision) for one, decision in decided}
    left = [by_ref[ref_of(one)] for one in leaving]
    consents = tuple(sorted({one for _, decision in decided for one in decision.consents}))
    return Disclosure(
        row.id, bridge.clock().isoformat(), partner.id, row.patient, tuple(map(ref_of, leaving)), partner.purpose,
        consents, row.kind,
        versions=tuple(int(one["meta"]["versionId"]) for one, _ in left),
        redacted=tuple(ref_of(one) for one, decision in left if decision.effect == "redact"),
        obligations=tuple(dict.fromkeys(each for _, decision in left for each in decision.obligations)),
        confidentiality=tuple(
            _confidentiality(one, part2.OBLIGATION in decision.obligations) for one, (_, decision) in zip(leaving, left, strict=True)))


def _confidentiality(resource: Resource, restricted: bool) -> str:
    """The level that a copy says it has; one that goes with a notice is restricted at least."""
    said = [one["code"] for one in resource.get("meta", {}).get("security", ()) if one.get("system") == CONFIDENTIALITY and "code" in one]
    return said[0] if said else "R" if restricted else ""


def _withdrawal(row: Outgoing, partner: Partner, generation: int, work: Work, bridge: Bridge) -> Ready:
    """The news that consent for what this partner holds is gone: Tasks called off and a notice, without anything it has not."""
    tasks = [one for ref in row.refs if ref.startswith("Task/") and (one := stored(ref, work)[0]) and one["status"] == "cancelled"]
    person = stored(f"Patient/{row.patient}", work)[0]
    subject = _known_as(person, partner, bridge).get("identifier", [])[:1] if person else []
    named = [ref for ref in row.refs if ref.startswith(OWN) or not victims(partner)]  # the others have a name for each referral
    held = [_own_ref(ref, partner, bridge) for ref in named]
    now = bridge.clock().isoformat()
    body = bundle.collection(withdrawal.resources(row.id, tasks, subject, held, now), base=bridge.fhir_base)
    disclosure = Disclosure(row.id, now, partner.id, row.patient, row.refs, partner.purpose, (), row.kind)
    key = _person_key(row, partner, bridge)
    return Ready(row, Delivery(row.id, partner.id, row.kind, FHIR, orjson.dumps(body), key, row.referral), disclosure, generation)


def _not_plain(row: Outgoing, decided: Sequence[tuple[Resource, Decision]], leaving: Sequence[Resource], work: Work, bridge: Bridge) -> str:
    """What is left must be a plain permit when it is decided itself (reference/consent.md 1.2, after redaction); or why not."""
    met = filter_for(row, [resource for resource, _ in decided], bridge.clock(), work, bridge)
    wrong = sorted({one["resourceType"] for one in leaving if not verify_release(met.asked, one, met.consents, met.policy, met.rules)})
    return f"consent: no plain permit for what is left of {', '.join(wrong)}" if wrong else ""


def _overtaken(row: Outgoing, leaving: Sequence[Resource], work: Work) -> str:
    """Why a referral that was called off before it left stays here, and with it the news that it was called off.

    One that was tried may have arrived without our knowing: it is sent again, and the news after it.
    """
    if row.kind == "referral" and not row.attempts and any(one["resourceType"] == "Task" and one["status"] == "cancelled" for one in leaving):
        return "called off before it left"
    if row.kind in ("cancel", "note"):
        queued = [one for record in records(row.patient, work) for one in work.outgoing(record)]
        referral = [one for one in queued if (one.referral, one.recipient, one.kind) == (row.referral, row.recipient, "referral")]
        if referral and all(one.state == "withheld" and not one.attempts for one in referral):
            return "the referral never left"
    return ""


def payload(decided: Sequence[tuple[Resource, Decision]], partner: Partner, bridge: Bridge) -> list[Resource] | str:
    """What this partner may see, redacted and projected for its kind, each resource still valid R4; or why not."""
    leaving, policy, stay = [], policy_for(partner, bridge), held_back(decided, partner.kind)
    for resource, decision in decided:
        shown = cut(resource, decision, partner.kind, policy=policy, withheld=stay)
        if shown is None:
            continue
        permitted = redact(resource, decision.redact_paths, policy, stay) if decision.redact_paths or stay else resource
        sound, _ = claim(_addressed(shown, permitted, partner, bridge), bridge.profiles)
        if sound is None:
            return f"profile: the {resource['resourceType']} that is left is no valid R4"
        leaving.append({key: value for key, value in sound.items() if key != "text"})
    return leaving


def _addressed(shown: Resource, permitted: Resource, partner: Partner, bridge: Bridge) -> Resource:
    """The projected copy with what addresses it, the profiles that it may still meet, and a hospital's own numbers.

    All of it comes from what consent permitted: nothing that was redacted comes back.
    """
    kind = permitted["resourceType"]
    carried = (ASKED if partner.kind == EHR else ADDRESS).get(kind, ())
    shown = {**shown, **{name: permitted[name] for name in carried if name in permitted}}
    if kind == "Patient":
        shown = {**shown, **_known_as(permitted, partner, bridge)}
        for element, masked in MASKED.items():
            if element not in shown and element.lstrip("_") not in shown:
                shown[element] = masked
    if profiles := permitted.get("meta", {}).get("profile"):
        shown["meta"] = {**shown.get("meta", {}), "profile": profiles}
    return {name: value for name, value in shown.items() if value not in ([], {})}


def _person_key(row: Outgoing, partner: Partner, bridge: Bridge) -> str:
    """What a partner may order its deliveries by: the person, or the referral for a victim service provider."""
    return bridge.ids.pairwise(partner.id, "Patient", row.referral if victims(partner) else row.patient)


def _known_as(patient: Resource, partner: Partner, bridge: Bridge) -> Resource:
    """The numbers under which a partner knows the person: a hospital its own ones, everybody else one made for them."""
    if partner.kind == EHR:
        own = set(bridge.ehr(partner).systems.values())
        return {"identifier": [one for one in patient.get("identifier", ()) if not own or one.get("system") in own]}
    if victims(partner):
        return {}  # a keyed number of the person would be one number for all of their referrals (reference/consent.md 3.4)
    key = bridge.ids.pairwise(partner.id, "Patient", patient["id"])
    return {"identifier": [{"system": f"urn:sdoh-bridge:patient:{partner.id}", "value": key}]}


def own_names(leaving: Sequence[Resource], partner: Partner, bridge: Bridge) -> tuple[list[Resource], list[str]]:
    """The resources under ids that only this partner knows, without a reference to what it does not get, in the release it
    speaks; and the codes that this release could not keep."""
    alone = _alone(map(ref_of, leaving), partner)
    names = {ref_of(one): _own_ref(ref_of(one), partner, bridge, alone) for one in leaving}
    own = [{**rewrite(_closed(one, names), names), "id": names[ref_of(one)].split("/")[1]} for one in leaving]
    made = [down(one, partner.sdohcc) for one in own]
    return [one for one, _ in made], sorted({code for _, lost in made for code in lost})


def _alone(refs: Iterable[str], partner: Partner) -> str:
    """What a victim service provider's names of things are bound to: the referral they came with, so that nobody can tell by
    them that two are about one person; "" for everybody else."""
    return next((ref for ref in refs if ref.startswith("Task/")), "") if victims(partner) else ""


def _own_ref(ref: str, partner: Partner, bridge: Bridge, alone: str = "") -> str:
    """`Type/id` under which this partner knows a resource."""
    kind, _, id_ = ref.partition("/")
    return ref if kind in OWN else f"{kind}/{bridge.ids.pairwise(partner.id, kind, id_ + alone)}"


def _closed(value: Any, within: dict[str, str]) -> Any:
    """The same value without literal references that lead out of the bundle; a logical identifier may stay."""
    if isinstance(value, list):
        return [kept for one in value if (kept := _closed(one, within)) not in ({}, [])]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("reference"), str) and value["reference"] not in within and not value["reference"].startswith("#"):
        value = {"identifier": value["identifier"]} if "identifier" in value else {}
    return {key: kept for key, one in value.items() if (kept := _closed(one, within)) not in ({}, [])}


def oru(row: Outgoing, leaving: Sequence[Resource], partner: Partner, bridge: Bridge, notes: Sequence[str] = ()) -> bytes | Issue:
    """The same content as HL7v2 ORU^R01, for engines that do not read FHIR (reference/hl7v2.md a7b); `notes` follow PID."""
    by_type: dict[str, list[Resource]] = {}
    for one in leaving:
        by_type.setdefault(one["resourceType"], []).append(one)
    made = answer.oru(
        by_type["Task"][0], by_type["ServiceRequest"][0], by_type["Patient"][0], by_type.get("Procedure", []),
        by_type.get("Observation", []), bridge.ehr(partner), control_id=row.id.replace("-", "")[:20], at=bridge.clock())
    if isinstance(made, Issue):
        return made
    after = next(place for place, segment in enumerate(made, 1) if segment[0] == "PID")
    return write([*made[:after], *(["NTE", str(number), None, text] for number, text in enumerate(notes, 1)), *made[after:]])


def _record(batch: Sequence[Ready], receipts: Sequence[Receipt], bridge: Bridge) -> Counter[str]:
    counts: Counter[str] = Counter()
    with bridge.ledger.work() as work:
        current = {one.row.id for one in _current(batch, bridge)}  # no consent is taken in while a work is open
        for one, receipt in zip(batch, receipts, strict=True):
            counts[receipt.state] += 1
            bridge.metrics.deliveries.labels(one.row.recipient, one.row.kind, receipt.state).inc()
            if receipt.state == "sent":
                work.settle(one.row.id, "sent", one.note)
                work.disclosed(one.disclosure)
                if one.row.id not in current:  # a consent came in while it was on its way
                    reconsider([one.row.patient], Cause(one.row.message_id, f"{one.row.id} on its way"), work, bridge)
            elif receipt.state == "retry":
                pause = timedelta(seconds=receipt.after * 2 ** min(one.row.attempts, 7))
                work.settle(one.row.id, "waiting", receipt.why, bridge.clock() + pause)
            else:
                work.settle(one.row.id, "refused", receipt.why)
    return counts
