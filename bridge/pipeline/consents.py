"""What a patient's consents on file amount to for one partner now, and when time alone will change that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from bridge.consent import moment
from bridge.consent.decide import prepare
from bridge.consent.request import Policy
from bridge.consent.standing import Prepared
from bridge.pipeline.bridge import Bridge
from bridge.referral.partner import Partner

Resource = dict[str, Any]
RECEIVED = "urn:sdoh-bridge:received"
"""In meta of a Consent: when this copy of it came in."""
UNVERIFIED = [{"verified": False}]
"""What makes permits void and leaves denies as they are (consent.md S10)."""


def received(consent: Resource, at: datetime) -> Resource:
    """The copy with the moment at which it came in."""
    meta = consent.get("meta", {})
    others = [one for one in meta.get("extension", ()) if one.get("url") != RECEIVED]
    return {**consent, "meta": {**meta, "extension": [*others, {"url": RECEIVED, "valueInstant": at.isoformat()}]}}


def fresh(consents: Sequence[Resource], partner: Partner, now: datetime) -> Sequence[Resource]:
    """The consents as this partner's contract lets them count: the permits of a copy that is older than it allows are void,
    its denies are honoured (consent.md 1.4 point 7)."""
    if not partner.consent_max_age:
        return consents
    return [one if now <= _until(one, partner) else void(one) for one in consents]


def void(consent: Resource) -> Resource:
    """The copy with its permits void; its denies count (rule S10)."""
    return {**consent, "verification": UNVERIFIED}


def prepared(consents: Sequence[Resource], policy: Policy) -> Prepared:
    """A patient's consents, ready to be asked; those without any share one answer."""
    return prepare(consents, policy) if consents else unasked(policy)


@lru_cache(64)
def unasked(policy: Policy) -> Prepared:
    """What is asked when nobody has recorded a consent."""
    return prepare((), policy)


def next_change(consents: Iterable[Resource], bridge: Bridge, now: datetime) -> datetime | None:
    """The next moment after now at which one of these begins, ends, or becomes too old for a partner; None for never."""
    at, found = moment.instant(now), list[int]()
    partners = {one.consent_max_age: one for one in bridge.partners.values() if one.consent_max_age}
    for consent in consents:
        found += [each for each in _turns(consent, bridge.zone) if each > at]
        found += [each for partner in partners.values() if (each := moment.instant(_until(consent, partner)) + 1) > at]
    return moment.EPOCH + timedelta(microseconds=min(found)) if found else None


def _until(consent: Resource, partner: Partner) -> datetime:
    """The last moment at which this copy is young enough; of one that does not say when it came, long ago."""
    stamps = [one["valueInstant"] for one in consent.get("meta", {}).get("extension", ()) if one.get("url") == RECEIVED]
    return (datetime.fromisoformat(stamps[0]) if stamps else moment.EPOCH) + timedelta(days=partner.consent_max_age)


def _turns(consent: Resource, zone: str) -> Iterator[int]:
    """When the consent or a rule of it begins, and the first moment after it ends; what cannot be read never permits."""
    zone_of = Policy(timezone=zone).zone
    spans = [moment.period(period, zone_of) for period in _periods(consent.get("provision", {})) if _readable(period, zone_of)]
    signed = consent.get("dateTime")
    if signed and _readable({"start": signed}, zone_of):
        spans.append((moment.span(signed, zone_of)[0], moment.END))  # S6: it does not permit before it is signed
    for first, last in spans:
        yield from (each for each in (first, last + 1) if each not in (moment.BEGINNING, moment.END + 1))


def _periods(rule: Resource) -> Iterator[Resource]:
    waiting = [rule]
    for one in waiting:
        if "period" in one:
            yield one["period"]
        waiting += one.get("provision", ())


def _readable(period: Resource, zone: Any) -> bool:
    try:
        moment.period(period, zone)
    except ValueError:
        return False
    return True
