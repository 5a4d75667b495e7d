"""A small town for tests of the line: the invented site over a ledger in memory, its messages, and mailboxes for partners."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from tempfile import mkdtemp
from typing import Any

from bridge.adapters.store.ledger import open_ledger
from bridge.app import build
from bridge.cli.context import example_site
from bridge.core.delivery import Delivery, Receipt
from bridge.core.envelope import FHIR, HL7V2, RECORD
from bridge.core.outcome import Outcome
from bridge.core.ports import Ledger
from bridge.core.rows import InboxRow, Outgoing, Referral
from bridge.mapping.sender import Senders
from bridge.observe.metrics import Metrics
from bridge.pipeline.bridge import Bridge, Words
from bridge.pipeline.receive import receive
from bridge.pipeline.send import send
from bridge.roles import store

NOON = datetime.fromisoformat("2026-11-21T12:00:00-05:00")
"""The town's clock at its start, at an offset that is not UTC."""
MRN = "urn:oid:1.2.840.114350.1.13.999.2.7"
"""General Hospital's record numbers, as its feed file names them."""


@cache
def whole() -> Bridge:
    """The example site, built once: mappings, profiles and programmes are the same for every test."""
    return build(example_site(mkdtemp(prefix="sdoh-bridge-town-")), open_ledger("sqlite://"))


@dataclass(slots=True)
class Mailbox:
    """A partner that remembers what it was handed; `states` are its next receipts, then `sent`."""

    got: list[Delivery] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def deliver(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        self.got += deliveries
        return [Receipt(one.id, self.states.pop(0) if self.states else "sent", "as told", 30.0) for one in deliveries]

    def close(self) -> None: ...


class Town:
    """The bridge over its own ledger, with a clock that tests move and a mailbox for each partner."""

    def __init__(self, ledger: Ledger) -> None:
        self.now = NOON
        site = whole()
        words = Words(senders=Senders(site.mappings.ground.tables, {}))
        self.bridge = replace(site, ledger=ledger, clock=lambda: self.now, metrics=Metrics(), words=words)
        self.boxes: dict[str, Mailbox] = {}

    def mail(self, partner: str) -> Mailbox:
        return self.boxes.setdefault(partner, Mailbox())

    def put(self, *bodies: bytes, feed: str = "", kind: str = HL7V2) -> list[str]:
        """Store messages; how each was known."""
        return [state for _, state in store([(kind, body, feed) for body in bodies], self.bridge)]

    def work(self) -> list[Outcome]:
        """Receive everything that is due, in one batch."""
        return receive(self.bridge.ledger.pending(100, self.now), self.bridge)

    def take(self, *bodies: bytes, feed: str = "", kind: str = HL7V2) -> list[Outcome]:
        """Store and receive; the outcomes, in order."""
        self.put(*bodies, feed=feed, kind=kind)
        return self.work()

    def send(self) -> None:
        """Send all that is due, until nothing is."""
        while rows := self.bridge.ledger.waiting(sorted(self.bridge.partners), 500, self.now):
            send(rows, self.bridge, self.mail)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def answer(self, referral: Referral, number: int = 1, at: str = "2026-11-21T13:00:00-05:00", **fields: Any) -> Outcome:
        """The recipient's record about a referral, received."""
        return self.take(record(referral, number, at, **fields), feed=referral.recipient, kind=RECORD)[0]

    def messages(self) -> list[InboxRow]:
        return self.bridge.ledger.find()

    def outbox(self, **chosen: str) -> list[Outgoing]:
        return self.bridge.ledger.outgoing(**chosen)

    def referrals(self) -> list[Referral]:
        """Every referral of everybody, by patient."""
        patients = sorted({row.patient for row in self.messages() if row.patient})
        with self.bridge.ledger.work() as work:
            return [one for patient in patients for one in work.referrals(patient)]

    def resource(self, ref: str) -> dict[str, Any] | None:
        with self.bridge.ledger.work() as work:
            return work.resource(ref)

    def patient(self) -> str:
        """The only patient that messages are about."""
        (found,) = {row.patient for row in self.messages() if row.patient}
        return found


def adt(event: str = "A03", control: str = "C-1", mrn: str = "GH1001", at: str = "20261121093000", *, family: str = "ADLER",
        given: str = "ROSE", born: str = "19480214", leaves: str = "01", diagnoses: Sequence[str] = ("I50.9",), visit: str = "V5001",
        numbers: str = "", more: Sequence[str] = (), address: str = "12 ELM ST^^DAYTON^OH^45402^USA^H^^MONTGOMERY",
        end: str = "20261121092500-0500", phone: str = "^PRN^PH^^1^937^5550101") -> bytes:
    """A message of General Hospital; `numbers` are further repetitions of PID-3, `more` further segments."""
    ends = event == "A03"
    left = f"{'|' * 17}{leaves if ends else ''}{'|' * 8}20261117091200-0500|{end if ends else ''}"
    lines = [
        f"MSH|^~\\&|EPICADT|EXGENERAL|SDOHBRIDGE|HUB|{at}-0500||ADT^{event}|{control}|P|2.5.1|||AL|NE||UNICODE UTF-8",
        f"EVN|{event}|{at}-0500||||{at}-0500",
        f"PID|1||{mrn}^^^EXGENERALMRN^MRN{numbers}||{family}^{given}^^^^^L||{born}|F|||{address}||{phone}||eng|W",
        f"PV1|1|I|4WEST^412^B^EXGENERAL||||1922334455^PATEL^NEHA^^^DR^MD^^NPI^L^^^NPI||||||||||||{visit}^^^EXCSN^CSN{left}",
        *(f"DG1|{number}||{code}^^I10||20261120|F" for number, code in enumerate(diagnoses, 1)), *more,
    ]
    return "\r".join(lines).encode() + b"\r"


def consent(mrn: str = "GH1001", *partners: str, effect: str = "permit", name: str = "c1", status: str = "active",
            dated: str = "2026-11-20T15:00:00-05:00", ends: str = "2027-11-20", **changes: Any) -> bytes:
    """A signed Consent about a record number for these partners (nobody named: for everybody); without `ends` it has no end."""
    actors = [{"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
               "reference": {"identifier": {"system": "urn:sdoh-bridge:partner", "value": partner}}} for partner in partners]
    return json.dumps({
        "resourceType": "Consent", "id": name, "status": status,
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"identifier": {"system": MRN, "value": mrn}}, "dateTime": dated,
        "organization": [{"display": "General Hospital"}], "sourceAttachment": {"title": "signed form"},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentpolicycodes", "code": "hipaa-auth"}]},
        "provision": {"type": effect, **({"period": {"end": ends}} if ends else {}), **({"actor": actors} if actors else {}),
                      "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]},
        **changes,
    }).encode()


def screening(mrn: str = "GH1001", name: str = "s1", authored: str = "2026-11-21T09:50:00-05:00", often: str = "LA28397-0") -> bytes:
    """An AHC-HRSN response; `often` is the answer to the food questions (LA28397-0 = often true)."""
    answers = {"/71802-3": "LA31993-1", "/96778-6": "LA9-3", "/88122-7": often, "/88123-5": "LA28398-8"}
    return json.dumps({
        "resourceType": "QuestionnaireResponse", "id": name, "questionnaire": "http://loinc.org/q/96777-8", "status": "completed",
        "subject": {"identifier": {"system": MRN, "value": mrn}}, "authored": authored,
        "item": [{"linkId": link, "answer": [{"valueCoding": {"system": "http://loinc.org", "code": code}}]} for link, code in answers.items()],
    }).encode()


def record(referral: Referral, number: int = 1, at: str = "2026-11-21T13:00:00-05:00", *, record_type: str = "status", **fields: Any) -> bytes:
    """A canonical intake record about a referral."""
    return json.dumps({
        "schema_version": "1.0", "record_id": f"{referral.short}-{number}", "record_type": record_type, "source_system": "town",
        "source_record_id": referral.short, "client_local_id": "L-1", "updated_at": at, "event_at": at,
        "cbo_org_id": referral.recipient, "bridge_referral_id": referral.id, "source_status": "as it goes", **fields,
    }).encode()


KINDS = {"hl7v2": HL7V2, "fhir": FHIR, "record": RECORD}
