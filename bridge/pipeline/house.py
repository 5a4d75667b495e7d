"""A delivery as rules of the house see it: who gives it to whom, under which programme, where."""

from __future__ import annotations

from bridge.consent.house import Exchange, side
from bridge.consent.house_ruling import Ruling, ruling
from bridge.consent.request import Policy, Request
from bridge.core.ports import Work
from bridge.core.rows import Outgoing
from bridge.pipeline.bridge import Bridge
from bridge.referral.partner import Partner


def narrow(outgoing: Outgoing, holder: Partner | None, asked: Request, policy: Policy, work: Work, bridge: Bridge) -> Ruling | None:
    """The rules of the house that are about this delivery, for the evaluator; None when there are none."""
    return ruling(bridge.house, exchange(outgoing, holder, work, bridge), asked, policy)


def exchange(outgoing: Outgoing, holder: Partner | None, work: Work, bridge: Bridge) -> Exchange:
    """Who gives what to whom: `holder` is whoever discloses it (`custody.custodian`)."""
    partner = bridge.partners[outgoing.recipient]
    referral = work.referral(outgoing.referral) if outgoing.referral and bridge.house.by_programme else None
    return between(partner, holder, referral.programme if referral else "", bridge)


def between(recipient: Partner, holder: Partner | None, programme: str, bridge: Bridge) -> Exchange:
    """An exchange between two partners under the site's and the recipient's local law."""
    return Exchange(
        side(recipient.id, recipient.kind, recipient.flags), side(holder.id, holder.kind, holder.flags) if holder else None,
        programme, bridge.jurisdictions.union(recipient.jurisdictions))
