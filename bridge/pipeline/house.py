"""A delivery as rules of the house see it: who gives it to whom, under which programme, where."""

from __future__ import annotations

from bridge.consent.house import Exchange, side
from bridge.consent.house_ruling import Ruling, ruling
from bridge.consent.request import Policy, Request
from bridge.core.ports import Work
from bridge.core.rows import Outgoing
from bridge.pipeline.bridge import Bridge

ANSWERS = ("outcome", "oru")
"""Deliveries that carry what a recipient of a referral has reported."""


def narrow(outgoing: Outgoing, asked: Request, policy: Policy, work: Work, bridge: Bridge) -> Ruling | None:
    """The rules of the house that are about this delivery, for the evaluator; None when there are none."""
    return ruling(bridge.house, exchange(outgoing, work, bridge), asked, policy)


def exchange(outgoing: Outgoing, work: Work, bridge: Bridge) -> Exchange:
    """Who gives what to whom; what becomes of a referral is the news of whoever took it on."""
    partner, answers = bridge.partners[outgoing.recipient], outgoing.kind in ANSWERS
    asked = outgoing.referral and (bridge.house.by_programme or (answers and bridge.house.by_custodian))
    referral = work.referral(outgoing.referral) if asked else None
    custodian = bridge.partners.get(referral.recipient) if referral and answers else None
    return Exchange(
        side(partner.id, partner.kind, partner.flags), side(custodian.id, custodian.kind, custodian.flags) if custodian else None,
        referral.programme if referral else "", bridge.jurisdictions.union(partner.jurisdictions))
