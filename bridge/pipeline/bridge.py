"""Everything one line of work needs, handed in; only app.py builds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.consent.house import House
from bridge.core.envelope import Envelope
from bridge.core.ids import Ids
from bridge.core.ports import Clock, Ledger
from bridge.fhir.profile import Profiles
from bridge.hl7v2.dialect import Feed, Feeds
from bridge.hl7v2.message import Message
from bridge.mapping.library import Library
from bridge.mapping.sender import Answers, FeedSender, Senders
from bridge.observe.metrics import Metrics
from bridge.referral.answer import Ehr
from bridge.referral.partner import Partner
from bridge.referral.programme import Row

FEED = "urn:sdoh-bridge:feed:"
"""Prefix of Patient.meta.source: the feed that last described the person."""


@dataclass(slots=True)
class Words:
    """The senders' vocabularies under the answers that people have given so far."""

    answers: Answers = field(default_factory=dict)
    senders: Senders | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """The parts of the line of DESIGN section 2, in its order, and what they share.

    `hospital` stands in for a feed whose settings name no EHR partner. `zone` is the site's IANA zone for consents'
    dates; `fhir_base` prefixes fullUrls. `house` are the site's own rules, `jurisdictions` the overlays that apply to all of it,
    `labels` the folders of consent label rules.
    """

    feeds: Feeds
    mappings: Library
    programmes: tuple[Row, ...]
    partners: Mapping[str, Partner]
    profiles: Profiles
    ledger: Ledger
    ids: Ids
    clock: Clock
    metrics: Metrics
    hospital: Partner
    zone: str = "UTC"
    fhir_base: str = "https://bridge.invalid/fhir"
    house: House = field(default_factory=House)
    jurisdictions: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    words: Words = field(default_factory=Words)

    @property
    def hospitals(self) -> frozenset[str]:
        """The partners that are a hospital's EHR: they send feeds and record consents."""
        return frozenset(one.id for one in self.partners.values() if one.kind == "ehr")

    def feed(self, envelope: Envelope, message: Message | None = None) -> Feed:
        """The feed that the envelope names, else the one of the message's sender."""
        named = next((one for one in self.feeds if one.name == envelope.feed), None)
        return named or self.feeds.of(message.sender if message else ("", ""))

    def sender(self, feed: Feed, message: Message) -> FeedSender:
        """The vocabulary of a feed: its own words, then people's answers, then the packaged tables."""
        if self.words.senders is None:
            self.words.senders = Senders(self.mappings.ground.tables, self.words.answers)
        return self.words.senders.of(feed, message)

    def refresh(self) -> None:
        """Take up answers that were given since; one small read, once per batch."""
        answers = self.ledger.answers()
        if answers != self.words.answers:
            self.words.answers, self.words.senders = answers, None

    def asker(self, feed: str, patient: Mapping[str, Any] | None) -> Partner:
        """The hospital behind a message: its feed's EHR partner, else that of the feed that last described the person."""
        for name in (feed, str((patient or {}).get("meta", {}).get("source", "")).removeprefix(FEED)):
            ehr = next((one.ehr for one in self.feeds if one.name == name), "")
            if ehr in self.partners:
                return self.partners[ehr]
        return self.hospital

    def ehr(self, partner: Partner) -> Ehr:
        """HL7 names and assigning authorities of an EHR partner, from the feed file that names it."""
        found = next((one for one in self.feeds if one.ehr == partner.id), None)
        if found is None:
            return Ehr("", partner.id, sender=("SDOHBRIDGE", self.hospital.name))
        application, facility = (next(iter(found.match.get(key, ("",)))) for key in ("MSH-3", "MSH-4"))
        return Ehr(application, facility, found.systems, ("SDOHBRIDGE", self.hospital.name))
