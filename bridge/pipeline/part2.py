"""Records under 42 CFR part 2: marked, with the notice and the scope of the consent, and not to be passed on by who gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bridge.consent import notice, project
from bridge.core.envelope import Envelope
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.outgoing import ref_of
from bridge.pipeline.read import CHANNEL
from bridge.referral.partner import Partner

Resource = dict[str, Any]
OBLIGATION = "part2-notice"


def accompanied(leaving: Sequence[Resource], protected: Sequence[str], consents: Sequence[Resource], partner: Partner, id_: str,
                sent: str) -> list[Resource]:
    """The resources with the protected ones (`Type/id`) marked, and a Communication with notice and scope.

    `consents` are those under which they leave; their scope is told in words, since a copy would name other recipients.
    """
    words = notice.load()
    message = {
        "resourceType": "Communication", "id": id_, "meta": {"security": [dict(one) for one in words.security]},
        "status": "completed", "topic": {"text": words.short}, "about": [{"reference": ref} for ref in protected], "sent": sent,
        "payload": [{"contentString": text} for text in texts(consents, partner)],
    }
    return [*(notice.marked(one, words.security) if ref_of(one) in protected else one for one in leaving), message]


def texts(consents: Sequence[Resource], partner: Partner) -> list[str]:
    """The notice, then the scope of each consent."""
    words = notice.load()
    return [words.notice, *words.scope(consents, partner.name)]


def relayed(document: Resource, envelope: Envelope, bridge: Bridge) -> bool:
    """Whether a community organisation passes on what it has no right to (42 CFR 2.33): a document labelled as such."""
    sender = bridge.partners.get(envelope.headers.get(CHANNEL, "") or envelope.feed)
    return sender is not None and sender.kind != "ehr" and not project.load(sender.kind).whole and notice.bound(document)
