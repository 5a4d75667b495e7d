"""One thing to send, safe to send twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a connector is handed, already decided, redacted and projected for this recipient.

    `id` is the idempotency key and stays the same when it is sent again. `kind` is `referral`, `cancel`, `note`,
    `outcome`, `withdrawal` (FHIR R4 Bundle, `application/fhir+json`) or `oru` (HL7v2 ORU^R01). `key` is the recipient's own id of the
    patient, for ordering on its side. `referral` is the short reference a person can quote.
    """

    id: str
    recipient: str
    kind: str
    content_type: str
    body: bytes
    key: str = ""
    referral: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one delivery: `sent`, `retry` (passing, with `after` seconds) or `refused` (for good)."""

    id: str
    state: str
    why: str = ""
    after: float = 0.0
