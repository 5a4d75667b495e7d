"""Rows for the outbox: who is sent what about a referral, keyed so that the same message queues nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.core.draft import Draft
from bridge.core.ids import shard
from bridge.core.rows import InboxRow, Outgoing, Referral
from bridge.pipeline.bridge import Bridge
from bridge.referral.partner import Partner

Resource = dict[str, Any]
FORMATS = {"fhir": "outcome", "hl7v2": "oru"}
"""Kind of delivery by the format in which a hospital wants its answers."""


def ref_of(resource: Resource) -> str:
    """`Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"


def outgoing(row: InboxRow, recipient: str, kind: str, patient: str, refs: Iterable[str], short: str, bridge: Bridge) -> Outgoing:
    """Keyed by message, recipient, kind and focus: the same message again queues nothing new."""
    refs = tuple(dict.fromkeys(refs))
    id_ = bridge.ids.uuid("delivery", row.envelope.id, recipient, kind, refs[0])
    return Outgoing(id_, recipient, kind, patient, refs, row.envelope.id, shard(patient), short)


def referral(opened: Referral, by_ref: dict[str, Resource], row: InboxRow, bridge: Bridge) -> Outgoing:
    """A new referral, with its reasons and its visit, for the recipient."""
    task, request = by_ref[f"Task/{opened.id}"], by_ref[f"ServiceRequest/{opened.request}"]
    reasons = [one["reference"] for one in request.get("reasonReference", ())]
    context = [request["encounter"]["reference"]] if "encounter" in request else []
    refs = (ref_of(task), ref_of(request), request["subject"]["reference"], *parties(task, request), *reasons, *context)
    return outgoing(row, opened.recipient, "referral", opened.patient, refs, opened.short, bridge)


def change(changed: Referral, kind: str, task: Resource, request: Resource, row: InboxRow, bridge: Bridge) -> Outgoing:
    """News about a referral for its recipient: `cancel` or `note`."""
    refs = (f"Task/{changed.id}", f"ServiceRequest/{changed.request}", f"Patient/{changed.patient}", *parties(task, request))
    return outgoing(row, changed.recipient, kind, changed.patient, refs, changed.short, bridge)


def findings(row: InboxRow, draft: Draft, hospital: Partner, bridge: Bridge) -> list[Outgoing]:
    """What a screening found, for the EHR of the hospital that knows the person; not back to where it came from."""
    if row.envelope.feed == hospital.id or hospital.id not in bridge.partners:
        return []
    found = [ref_of(one) for one in draft.of_type("Observation", "Condition", "Device", "QuestionnaireResponse")]
    refs = (f"Patient/{draft.patient}", *found)
    return [outgoing(row, hospital.id, "outcome", draft.patient, refs, "", bridge)] if "fhir" in hospital.formats and found else []


def home(row: InboxRow, hospital: Partner | None, patient: str, refs: tuple[str, ...], short: str, bridge: Bridge) -> list[Outgoing]:
    """What became of a referral, for the hospital that asked, in each of its formats."""
    if hospital is None:
        return []
    return [outgoing(row, hospital.id, FORMATS[each], patient, refs, short, bridge) for each in hospital.formats]


def parties(task: Resource, request: Resource) -> list[str]:
    """The organisations a recipient needs to make sense of Task and ServiceRequest."""
    named = [task.get("requester", {}), task.get("owner", {}), request.get("requester", {}), *request.get("performer", ())]
    return list(dict.fromkeys(one["reference"] for one in named if "reference" in one))


def outputs(task: Resource) -> list[str]:
    """`Type/id` of what a Task reports as done or found."""
    return [one["valueReference"]["reference"] for one in task.get("output", ()) if "reference" in one.get("valueReference", {})]
