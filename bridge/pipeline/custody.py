"""Who holds what is about to leave, and what follows from it: consents of others do not speak for them (rule S8), and a victim
service provider gives and gets nothing without a written release that ends.

A hospital holds what it asks for; what became of a referral is its recipient's (reference/consent.md 1.4.8). Source for victim service
providers: VAWA 34 U.S.C. 12291(b)(2), FVPSA, VOCA as reference/consent.md 3.4 has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bridge.consent import project
from bridge.core.errors import SettingsError
from bridge.pipeline.bridge import FEED, Bridge
from bridge.pipeline.consents import void
from bridge.referral.partner import Partner, owner
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
KIND = "urn:sdoh-bridge:partner-kind"
"""Identifier system of a kind of partner: a consent that names `housing` under it means every partner of that kind."""
VICTIM_SERVICES = "vsp"


@lru_cache(256)
def _kind(kind: str) -> str:
    try:
        return project.load(kind).kind
    except SettingsError:  # a kind that nobody defined is refused when something would leave
        return kind


def kind_of(partner: Partner) -> str:
    """The file of `profiles/recipients/` by which this partner is shown things (`shelter` is `housing`)."""
    return _kind(partner.kind)


def custodian(recipient: Partner, offered: Iterable[Resource], bridge: Bridge) -> Partner | None:
    """Who discloses to this recipient: for the one who asked, who was asked; for everybody else, who asked; of a form, who sent it.

    None when nobody can tell.
    """
    for one in offered:
        if one["resourceType"] == "QuestionnaireResponse":
            return bridge.partners.get(str(one.get("meta", {}).get("source", "")).removeprefix(FEED))
        if one["resourceType"] == "Task":
            asked, answers = one.get("requester", {}).get("identifier", {}), owner(one)
            asker = str(asked.get("value", "")) if asked.get("system") == PARTNER else ""
            return bridge.partners.get(answers if asker == recipient.id else asker)
    return None


def victims(*partners: Partner | None) -> bool:
    """Whether one of them is a victim service provider."""
    return any(one is not None and kind_of(one) == VICTIM_SERVICES for one in partners)


def releases(consents: Sequence[Resource]) -> list[Resource]:
    """The same consents, those that are no written, time-limited release with their permits void."""
    return [one if _is_release(one) else void(one) for one in consents]


def _is_release(consent: Mapping[str, Any]) -> bool:
    """Written: the signed form is there. Time-limited: the whole ends."""
    written = bool(consent.get("sourceReference") or consent.get("sourceAttachment"))
    return written and bool(consent.get("provision", {}).get("period", {}).get("end"))
