"""A Consent as a sender wrote it, made one of ours: about a person of ours, naming our partners, its copies known as one.

Only a hospital, or the site itself, records a consent that permits (decision 012). What a partner tells of a refusal counts as a
deny, and nothing that a partner sends can lift one. Source: reference/consent.md 1.4 and section 6, self-grant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.consent import labels, moment, tree
from bridge.consent.request import Policy
from bridge.core.draft import Draft
from bridge.core.envelope import Envelope
from bridge.core.issue import Issue
from bridge.core.outcome import Rejected
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.check import unclaimed
from bridge.pipeline.names import Names, bare, recorder, tidy
from bridge.referral.match import BY_REFERENCE, STUB, strong_identifiers
from bridge.referral.partner import reference

Resource = dict[str, Any]
DELETED = "DELETE"
"""Bundle.entry.request.method of a history, a transaction or a notification that says a Consent is gone."""
KEPT_OF_A_DELETED = {
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
    "policyRule": {"text": "The sender has deleted this consent"},
}


def consent(document: Resource, envelope: Envelope, bridge: Bridge) -> Draft | Rejected:
    """The draft of one Consent, alone or in a Bundle with the people and organisations that it names.

    A deletion becomes an inactive copy (reference/consent.md 1.4.6). Rejected says why it cannot be taken.
    """
    sender = recorder(envelope, bridge)
    entry, around = _entry(document) if document["resourceType"] == "Bundle" else ({"resource": document}, ())
    if entry is None:
        return _refuse("BRG-C011", "Bundle.entry", "not exactly one Consent", "send one Consent for each message", "structure")
    if entry.get("request", {}).get("method") == DELETED:
        return _deleted(entry, envelope, sender, bridge)
    signed = tidy(entry["resource"])
    # a claim of a profile that does not hold is dropped later; a refusal must not be lost for it
    if broken := [issue for issue in bridge.profiles.check(unclaimed(signed)) if issue.severity in ("error", "fatal")]:
        return Rejected(tuple(broken))
    if sender and sender not in bridge.hospitals:
        if not _only_denies(signed):
            return _refuse("BRG-C002", "Consent", "a recipient cannot record the consent that lets it receive, nor lift a refusal",
                           "the hospital records the signed form, or a person transcribes it", "security")
        # without a name of its own no later copy replaces it (rule S7)
        signed = {name: value for name, value in signed.items() if name not in ("id", "identifier")}
        signed["organization"] = [reference(bridge.partners[sender], bridge.ids)]
    names = Names(signed, around, sender, envelope.feed, bridge)
    person = _person(names.subject(), names)
    if person is None:
        return _refuse("BRG-C001", "Consent.patient", "names no person", "give patient.identifier with system and value", "required")
    return _draft(signed, person, names, envelope, bridge)


def _draft(signed: Resource, person: Resource | str, names: Names, envelope: Envelope, bridge: Bridge) -> Draft:
    """The Consent under our id: every copy is kept under one of its own, and which copy counts is decided when it is asked (S7)."""
    patient = person if isinstance(person, str) else person["id"]
    made = names.settled(signed, patient)
    copies = [*signed.get("identifier", ()), *names.copy_of(signed)]
    made |= {"id": bridge.ids.uuid("Consent", patient, envelope.id),
             "patient": {"reference": f"Patient/{patient}", **_identified(person)}, **({"identifier": copies} if copies else {})}
    made["meta"] = _stamped(signed, envelope, bridge)
    if not made["meta"]:
        del made["meta"]
    people = () if isinstance(person, str) else (_known_by(person, names.copy_of(signed)),)
    at = str(signed.get("dateTime") or envelope.received.isoformat())
    return Draft((*people, made), "Consent", at, "consent", "", patient, tuple(names.issues), tuple(names.questions))


def _entry(bundle: Resource) -> tuple[Resource | None, tuple[Resource, ...]]:
    """The one entry of a Bundle that is about a Consent, and all of its entries."""
    entries = tuple(each for each in bundle.get("entry") or () if isinstance(each, dict))
    about = [each for each in entries if (each.get("resource") or {}).get("resourceType") == "Consent" or _deletes(each)]
    return (about[0] if len(about) == 1 else None), entries


def _deletes(entry: Mapping[str, Any]) -> bool:
    request = entry.get("request") or {}
    return request.get("method") == DELETED and bare(str(request.get("url", ""))).startswith("Consent/")


def _deleted(entry: Resource, envelope: Envelope, sender: str, bridge: Bridge) -> Draft | Rejected:
    """An inactive copy of what the sender has deleted; whose it was is known by the copies on file."""
    if sender and sender not in bridge.hospitals:
        return _refuse("BRG-C002", "Consent", "a partner cannot take back a refusal", "tell the hospital that recorded it", "security")
    gone = {"resourceType": "Consent", "id": bare(entry["request"]["url"]).split("/")[1]}
    names = Names(gone, (), sender, envelope.feed, bridge)
    (copy,) = names.copy_of(gone)
    person = _stub(copy, bridge, BY_REFERENCE)
    when = (entry.get("response") or {}).get("lastModified") or envelope.received.isoformat()
    made = {**gone, **KEPT_OF_A_DELETED, "id": bridge.ids.uuid("Consent", person["id"], envelope.id), "status": "inactive",
            "identifier": [copy], "patient": {"reference": f"Patient/{person['id']}"}, "meta": {"lastUpdated": when}}
    return Draft((person, made), "Consent", envelope.received.isoformat(), "consent", "", person["id"])


def _only_denies(signed: Resource) -> bool:
    """Whether the Consent is in force as it stands and has no rule that permits, whatever encoding it uses."""
    if signed.get("status") != "active":
        return False
    try:
        read = tree.read(signed, Policy(), labels.load())
    except (ValueError, TypeError, KeyError, AttributeError):  # unreadable: not from a partner
        return False
    return (read.root is not None or read.contradicts) and not read.has_permit


def _person(subject: Resource, names: Names) -> Resource | str | None:
    """Who it is about: a stub with the number that names the person, the id of our own Patient, or None.

    A number beats a reference. A reference to the sender's server is a number of that server's; until a person has said whose it
    is, the message waits.
    """
    bridge, target = names.bridge, names.target(subject)
    numbers = [each for each in (subject.get("identifier"), *((target or {}).get("identifier") or ())) if each and each.get("value")]
    strong = [each for each in numbers if each.get("system")]
    if strong:
        record = next(iter(strong_identifiers({"identifier": strong})), None)
        return _stub(next((each for each in strong if (each["system"], each["value"]) == record), strong[0]), bridge)
    text = str(subject.get("reference") or "")
    if own := names.own(text):
        return own
    if text and not text.startswith("#"):
        return _stub(names.foreign(text), bridge, BY_REFERENCE)
    return _stub(numbers[0], bridge, BY_REFERENCE) if numbers else None


def _stub(identifier: Resource, bridge: Bridge, *tags: str) -> Resource:
    """A Patient that only says who is meant."""
    id_ = bridge.ids.uuid("Patient", f"{identifier.get('system', '')}|{identifier['value']}")
    return {"resourceType": "Patient", "id": id_, "identifier": [identifier], "meta": {"tag": [{"code": each} for each in (STUB, *tags)]}}


def _identified(person: Resource | str) -> Resource:
    return {} if isinstance(person, str) else {"identifier": person["identifier"][0]}


def _known_by(person: Resource, copies: list[Resource]) -> Resource:
    """The stub with the name of the Consent beside the person's number, so that a deletion, which names nobody, finds them."""
    return {**person, "identifier": [*person["identifier"], *copies]}


def _stamped(signed: Resource, envelope: Envelope, bridge: Bridge) -> Resource:
    """meta of the copy. What was recorded after it arrived was not: a clock that is ahead must not outrank a later revocation."""
    meta = dict(signed.get("meta", {}))
    zone, received = Policy(timezone=bridge.zone).zone, moment.instant(envelope.received)
    said = meta.get("lastUpdated") or signed.get("dateTime")
    if said and moment.span(said, zone)[0] > received:
        meta["lastUpdated"] = envelope.received.isoformat()
    return meta


def _refuse(code: str, where: str, text: str, hint: str, kind: str) -> Rejected:
    return Rejected((Issue("error", code, where, text, hint, kind),))

