"""The pure half of the line: bytes to fields to resources. Nothing stored is read here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.core import json
from bridge.core.draft import Draft
from bridge.core.envelope import FHIR, HL7V2, Envelope
from bridge.core.errors import Unreadable
from bridge.core.issue import Issue
from bridge.core.outcome import Rejected
from bridge.hl7v2 import message as hl7
from bridge.pipeline import signed
from bridge.pipeline.bridge import FEED, Bridge
from bridge.pipeline.names import recorder
from bridge.pipeline.part2 import relayed
from bridge.pipeline.read import CHANNEL, TAKEN
from bridge.pipeline.source import from_form, from_source
from bridge.referral import finding, intake
from bridge.referral.intake import Answer


def draft_of(envelope: Envelope, bridge: Bridge) -> Draft | Answer | Rejected:
    """Read one message and say in FHIR what it says; an Answer for a partner's record, which needs its referral first.

    Rejected holds where and why. Never touches the ledger, so the same bytes always give the same result.
    """
    try:
        if envelope.content_type == HL7V2:
            return _hl7v2(envelope, bridge)
        document = json.read(envelope.body)
    except Unreadable as error:
        return Rejected((error.issue,))
    if not isinstance(document, dict):
        return _refuse("BRG-H015", "", "neither a FHIR resource nor a record", "send one JSON object per message")
    return _fhir(document, envelope, bridge) if envelope.content_type == FHIR else _record(document)


def _hl7v2(envelope: Envelope, bridge: Bridge) -> Draft | Rejected:
    raw = hl7.parse(envelope.body)
    feed = bridge.feed(envelope, raw)
    channel = envelope.headers.get(CHANNEL, "")
    if channel and (channel not in bridge.hospitals or feed.ehr not in ("", channel)):
        return _refuse("BRG-M406", "MSH-4", "the sender is not the one whose channel this is",
                       "publish with the login of the sending hospital, whose feed file names it as ehr", "security")
    message = feed.repair(raw)
    sender = bridge.sender(feed, message)
    if len(message.segments) == 1:
        return _refuse("BRG-H008", "MSH", "nothing follows MSH", "the sender should send the whole message again")
    program = bridge.mappings.choose(message, sender)
    if program is None:
        return _refuse("BRG-M404", "MSH-9", "no mapping for this event",
                       "add one to mappings/ or stop sending it; the message is kept and can be replayed", "not-supported")
    draft = program.run(message, sender, bridge.ids)
    if program.general:
        note = Issue("information", "BRG-M407", "MSH-9", "no mapping of its own for this event: only what any message may say was read",
                     "add a mapping if this sender means more by it", "informational")
        draft = replace(draft, issues=(*draft.issues, note))
    if "T" not in draft.event_time:  # EVN-6, EVN-2 and MSH-7 are missing or not precise enough for a moment
        draft = replace(draft, event_time=envelope.received.isoformat())
    for patient in draft.of_type("Patient"):
        patient["meta"] = {**patient.get("meta", {}), "source": FEED + feed.name}
    draft = from_source(draft, feed.name, bridge)
    return replace(draft, issues=(*message.repairs, *draft.issues)) if message.repairs else draft


def _fhir(document: dict[str, Any], envelope: Envelope, bridge: Bridge) -> Draft | Rejected:
    kind = document.get("resourceType")
    if kind not in TAKEN:
        return _refuse("BRG-M405", "resourceType", "only QuestionnaireResponse, and Consent alone or in a Bundle, are taken in as FHIR",
                       "send the others as HL7v2, or as a record", "not-supported")
    if relayed(document, envelope, bridge):
        return _refuse("BRG-C010", "meta.security", "a record that its recipient may not pass on (42 CFR part 2)",
                       "the programme that made it sends it, under a consent that names the recipient", "security")
    if kind != "QuestionnaireResponse":
        return signed.consent(document, envelope, bridge)
    if errors := [issue for issue in bridge.profiles.check(document) if issue.severity in ("error", "fatal")]:
        return Rejected(tuple(errors))
    draft, _ = finding.draft(document, bridge.ids, received=envelope.received.isoformat())
    draft = from_source(from_form(draft, document), envelope.feed, bridge)
    errors = [issue for issue in draft.issues if issue.severity in ("error", "fatal")]
    if (sender := recorder(envelope, bridge)) in bridge.partners:
        for form in draft.of_type("QuestionnaireResponse"):
            form["meta"] = {**form.get("meta", {}), "source": FEED + sender}  # who holds it, when it is to leave
    if "T" not in draft.event_time:
        draft = replace(draft, event_time=envelope.received.isoformat())
    # one answer that does not fit is left out and said; a form of which nothing is left is refused
    return Rejected(tuple(errors)) if errors and not draft.of_type("Observation") else draft


def _record(document: dict[str, Any]) -> Answer | Rejected:
    read = intake.read(document)
    return read if isinstance(read, Answer) else Rejected(tuple(read))


def _refuse(code: str, where: str, text: str, hint: str, kind: str = "structure") -> Rejected:
    return Rejected((Issue("error", code, where, text, hint, kind),))
