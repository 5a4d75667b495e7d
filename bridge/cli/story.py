"""The demo's ending: tables that a person can read, and what to try next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bridge.cli import show
from bridge.cli.demo import person

if TYPE_CHECKING:
    from bridge.core.rows import HeldItem, Outgoing, Referral
    from bridge.pipeline.bridge import Bridge

NEXT = """What to try next
  sdoh-bridge demo --keep day                        keep the ledger and every payload that left
  sdoh-bridge convert FILE...                        your own messages as checked FHIR Bundles
  sdoh-bridge try consent.json discharge.hl7         what would be sent, withheld and why, before anything is real
  sdoh-bridge mapping test                           the mappings' own tests
  make test                                          everything, with a real RabbitMQ and PostgreSQL"""


def tell(bridge: Bridge, rows: Sequence[Referral], sent: Sequence[Outgoing], withheld: Sequence[Outgoing],
         held: Sequence[HeldItem], inbox: Counter[str], seen: Counter[str]) -> None:
    """Who was referred where, what was withheld and why, what came back, what is held."""
    click.echo()
    show.table("Referred", ("reference", "who", "programme", "need", "to", "ended as"),
               [(one.short, person(one.patient, bridge), one.programme, one.need or "visit", one.recipient, one.status) for one in rows])
    show.table("Withheld", ("who", "from", "why"),
               [(person(one.patient, bridge), one.recipient, one.why) for one in withheld])
    show.table("Left out of what was sent", ("to", "resources withheld or cut"), left_out(bridge, sent))
    show.table("Came back to the hospitals", ("who", "hospital", "reference", "as"),
               sorted({(person(one.patient, bridge), one.recipient, one.referral or "screening", "HL7v2 ORU" if one.kind == "oru" else "FHIR")
                       for one in sent if one.kind in ("outcome", "oru")}))
    show.table("Held for a person", ("id", "what waits", "feed", "question"),
               [(one.id[:8], one.programme or one.kind, one.feed, f"{one.text} {one.code}".strip()) for one in held])
    refused = [(row.event, str(issue)) for row in bridge.ledger.find(outcome="rejected") for issue in row.issues]
    show.table("Rejected", ("message", "why"), refused)
    total = sum(inbox.values())
    click.echo(f"{total} messages: " + ", ".join(f"{count} {word}" for word, count in inbox.most_common())
               + f"; {seen['done'] + seen['pending']} resent and answered from the ledger; {len(sent)} deliveries\n")
    click.echo(NEXT)


def left_out(bridge: Bridge, sent: Sequence[Outgoing]) -> list[tuple[str, str]]:
    """Per recipient, the kinds of resources that stayed here although something was sent."""
    found: dict[str, Counter[str]] = {}
    for one in sent:
        gone = {ref.split("/")[0] for ref in one.refs} - _types(bridge, one)
        found.setdefault(one.recipient, Counter()).update(gone)
    return [(recipient, ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items())) or "nothing")
            for recipient, kinds in sorted(found.items())]


def _types(bridge: Bridge, row: Outgoing) -> set[str]:
    from bridge.pipeline.decide import decisions
    from bridge.pipeline.send import payload

    with bridge.ledger.work() as work:
        leaving = payload(decisions(row, "look", work, bridge), bridge.partners[row.recipient], bridge)
    return set() if isinstance(leaving, str) else {one["resourceType"] for one in leaving}
