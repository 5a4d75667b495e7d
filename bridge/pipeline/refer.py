"""What a message means for referrals: open some, call some off, or move one because its recipient answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bridge.core.draft import Draft, Question
from bridge.core.ids import shard
from bridge.core.issue import Issue
from bridge.core.outcome import Held, Rejected
from bridge.core.ports import Work
from bridge.core.rows import InboxRow, Outgoing, Referral
from bridge.pipeline.bridge import Bridge
from bridge.referral import open as opening
from bridge.referral import programme, respond
from bridge.referral.intake import Answer
from bridge.referral.match import UNKNOWN
from bridge.referral.partner import Partner
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
CANCELS = frozenset({"ADT^A11", "ADT^A13"})
FORMATS = {"fhir": "outcome", "hl7v2": "oru"}
"""Kind of delivery by the format in which a hospital wants its answers."""


@dataclass(frozen=True, slots=True)
class Referred:
    """A draft with what was decided about it: ledger rows to write, deliveries to queue, decisions that wait."""

    draft: Draft
    referrals: tuple[Referral, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    waiting: tuple[tuple[str, Question], ...] = ()


def refer(row: InboxRow, draft: Draft, work: Work, bridge: Bridge, *, stale: bool) -> Referred:
    """Apply the programme register to a draft whose patient is known.

    `stale` says that its visit is known from a later event: facts are kept, no decision is taken back or made again.
    A message marked as a test (MSH-11 T or D) opens nothing. One referral per patient, programme, need and recipient.
    """
    if not draft.patient or stale:
        return Referred(draft)
    if _is_test(draft):
        note = Issue("information", "BRG-R020", "MSH-11", "a test or training message opens no referral", kind="informational")
        return Referred(replace(draft, issues=(*draft.issues, note)))
    if draft.event in CANCELS:
        return _recall(row, draft, work, bridge)
    return _open(row, draft, work, bridge)


def _open(row: InboxRow, draft: Draft, work: Work, bridge: Bridge) -> Referred:
    existing = work.referrals(draft.patient)
    known = work.resource(f"Patient/{draft.patient}")
    at = bridge.clock().isoformat()
    openings, waiting, issues = [], [], list[Issue]()
    for found in programme.evaluate_all(draft, bridge.programmes, tuple(bridge.partners.values()), draft.questions, at,
                                        background=[known] if known else []):
        if isinstance(found, programme.Opening):
            openings.append(found)
        elif isinstance(found, programme.Waiting):
            waiting.append((found.row.programme, found.question))
        else:
            why = ", ".join(found.reasons)
            issues.append(Issue("information", "BRG-R021", found.row.programme, f"not referred: {why}", kind="informational"))
    hospital = bridge.asker(row.envelope.feed, known)
    made = opening.refer(draft, openings, existing, bridge.ids, message_id=row.envelope.id, hospital=hospital,
                         resource=work.resource)
    resources = tuple(_asked_by(one, hospital) for one in made.resources)
    grown = replace(draft, resources=(*draft.resources, *resources), issues=(*draft.issues, *issues))
    by_ref = {ref_of(one): one for one in grown.resources}
    outgoing = [_referral(referral, by_ref, row, bridge) for referral in made.referrals]
    answers = _findings_home(row, grown, hospital, bridge) if draft.event == "QuestionnaireResponse" else []
    return Referred(grown, made.referrals, (*outgoing, *answers), tuple(waiting))


def _recall(row: InboxRow, draft: Draft, work: Work, bridge: Bridge) -> Referred:
    """Call off what the cancelled discharge or admission opened; the recipient is told, in the same queue.

    A cancelled discharge takes back what a discharge opened; a cancelled admission everything of the visit.
    """
    visits = {one["id"] for one in draft.of_type("Encounter")}
    opened = {one.opened_by for one in work.referrals(draft.patient)}
    events = {one.envelope.id: one.event for one in bridge.ledger.inbox(sorted(opened))}
    resources, rows, outgoing, issues = [], [], [], list[Issue]()
    for referral in work.referrals(draft.patient):
        task, request = work.resource(f"Task/{referral.id}"), work.resource(f"ServiceRequest/{referral.request}")
        if referral.closed or referral.visit not in visits or task is None or request is None:
            continue
        if draft.event == "ADT^A13" and events.get(referral.opened_by) != "ADT^A03":
            continue
        recalled = opening.recall(task, request, event=draft.event, at=draft.event_time)
        issues += recalled.issues
        if recalled.resources:
            resources += recalled.resources
            last = next(one for one in reversed(recalled.resources) if one["resourceType"] == "Task")
            rows.append(opening.row_of(referral, last))
            kind = "note" if recalled.noted else "cancel"
            refs = (f"Task/{referral.id}", f"ServiceRequest/{referral.request}", f"Patient/{draft.patient}", *_parties(last, request))
            outgoing.append(_outgoing(row, referral.recipient, kind, draft.patient, refs, referral.short, bridge))
    grown = replace(draft, resources=(*draft.resources, *resources), issues=(*draft.issues, *issues))
    return Referred(grown, tuple(rows), tuple(outgoing))


def answered(row: InboxRow, answer: Answer, work: Work, bridge: Bridge) -> Referred | Held | Rejected:
    """Apply a recipient's record to the referral it names and send what changed home to the EHR that asked."""
    sender = row.envelope.feed
    referral = work.referral(answer.referral) if answer.referral else None
    if referral is None:
        unknown = Issue("error", "BRG-R313", "bridge_referral_id", "no referral has this reference",
                        "check the reference on the form; unsolicited records need a person", "not-found")
        return Held(Question("message", UNKNOWN if not answer.referral else unknown.text, "bridge_referral_id"), (unknown,))
    task, request = work.resource(f"Task/{referral.id}"), work.resource(f"ServiceRequest/{referral.request}")
    if task is None or request is None:
        return Rejected((Issue("error", "BRG-R314", "bridge_referral_id", "the referral's resources are not on file", kind="not-found"),))
    applied = respond.apply(answer, task, request, bridge.ids, sender=sender)
    if applied.moved.effect == "refused":
        return Rejected(applied.issues)
    resources = (*applied.steps, *applied.resources)
    draft = Draft(resources, f"record/{answer.kind}", answer.at, "cbo/intake", "", referral.patient, applied.issues)
    if not resources:
        return Referred(draft)
    last = applied.steps[-1] if applied.steps else task
    hospital = bridge.partners.get(_asker(task))
    if not applied.resources and _visible(last) == _visible(task):
        return Referred(draft, (opening.row_of(referral, last),))  # kept as history; the hospital knows it all already
    refs = tuple(dict.fromkeys((
        f"Task/{referral.id}", f"ServiceRequest/{referral.request}", f"Patient/{referral.patient}",
        *_parties(last, request), *outputs(last), *(ref_of(one) for one in applied.resources))))
    outgoing = _home(row, hospital, referral.patient, refs, referral.short, bridge)
    return Referred(draft, (opening.row_of(referral, last),), tuple(outgoing))


def ref_of(resource: Resource) -> str:
    """`Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"


def _referral(referral: Referral, by_ref: dict[str, Resource], row: InboxRow, bridge: Bridge) -> Outgoing:
    task, request = by_ref[f"Task/{referral.id}"], by_ref[f"ServiceRequest/{referral.request}"]
    reasons = [one["reference"] for one in request.get("reasonReference", ())]
    context = [request["encounter"]["reference"]] if "encounter" in request else []
    refs = (ref_of(task), ref_of(request), request["subject"]["reference"], *_parties(task, request), *reasons, *context)
    return _outgoing(row, referral.recipient, "referral", referral.patient, refs, referral.short, bridge)


def _findings_home(row: InboxRow, draft: Draft, hospital: Partner, bridge: Bridge) -> list[Outgoing]:
    """What a screening found, for the EHR of the hospital that knows the person; not back to where it came from."""
    if row.envelope.feed == hospital.id or hospital.id not in bridge.partners:
        return []
    findings = [ref_of(one) for one in draft.of_type("Observation", "Condition", "Device", "QuestionnaireResponse")]
    refs = (f"Patient/{draft.patient}", *findings)
    return [_outgoing(row, hospital.id, "outcome", draft.patient, refs, "", bridge)] if "fhir" in hospital.formats and findings else []


def _home(row: InboxRow, hospital: Partner | None, patient: str, refs: tuple[str, ...], short: str, bridge: Bridge) -> list[Outgoing]:
    if hospital is None:
        return []
    return [_outgoing(row, hospital.id, FORMATS[each], patient, refs, short, bridge) for each in hospital.formats]


def _outgoing(row: InboxRow, recipient: str, kind: str, patient: str, refs: Iterable[str], short: str, bridge: Bridge) -> Outgoing:
    """Keyed by message, recipient, kind and focus: the same message again queues nothing new."""
    refs = tuple(dict.fromkeys(refs))
    id_ = bridge.ids.uuid("delivery", row.envelope.id, recipient, kind, refs[0])
    return Outgoing(id_, recipient, kind, patient, refs, row.envelope.id, shard(patient), short)


def _parties(task: Resource, request: Resource) -> list[str]:
    """The organisations a recipient needs to make sense of Task and ServiceRequest."""
    named = [task.get("requester", {}), task.get("owner", {}), request.get("requester", {}), *request.get("performer", ())]
    return list(dict.fromkeys(one["reference"] for one in named if "reference" in one))


def _visible(task: Resource) -> Resource:
    """What a recipient sees of a Task: not its event list, nor when it was touched."""
    return {key: value for key, value in task.items() if key not in ("extension", "lastModified", "meta")}


def outputs(task: Resource) -> list[str]:
    """`Type/id` of what a Task reports as done or found."""
    return [one["valueReference"]["reference"] for one in task.get("output", ()) if "reference" in one.get("valueReference", {})]


def _asked_by(resource: Resource, hospital: Partner) -> Resource:
    """A Task that also says which partner asked, so that the answer finds its way home."""
    if resource["resourceType"] != "Task":
        return resource
    return {**resource, "requester": {**resource["requester"], "identifier": {"system": PARTNER, "value": hospital.id}}}


def _asker(task: Resource) -> str:
    identifier = task.get("requester", {}).get("identifier", {})
    return str(identifier.get("value", "")) if identifier.get("system") == PARTNER else ""


def _is_test(draft: Draft) -> bool:
    """MSH-11 T (training) or D (debugging), as the mapping keeps it in meta.tag (HL7 table 0103)."""
    tags = [tag for header in draft.of_type("MessageHeader") for tag in header.get("meta", {}).get("tag", ())]
    return any(tag.get("code") in ("T", "D") and tag.get("system", "").endswith("v2-0103") for tag in tags)
