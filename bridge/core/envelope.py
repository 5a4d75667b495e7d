"""What came in, for ever: the bytes and how they arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

HL7V2 = "x-application/hl7-v2+er7"
FHIR = "application/fhir+json"
RECORD = "application/json"
"""A CBO's canonical intake record, one JSON object."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message exactly as it was received.

    `id` is keyed over (feed, control id, body), so the same bytes from the same sender have the same id.
    `feed` names the sender's file in `mappings/feeds/`, or the partner for a CBO's answer; "" lets the message say.
    `received` carries an offset. `headers` are the transport's, never the patient's.
    """

    id: str
    feed: str
    received: datetime
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
