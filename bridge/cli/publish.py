"""`publish`: what an integration engine does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.adapters.amqp.message import Message
    from bridge.settings import Settings


@click.command("publish")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--from", "sender", default="", metavar="NAME",
              help="The facility (EHR partner id) or partner that sends; without it each message says (MSH-3/4, cbo_org_id).")
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], sender: str, as_json: bool) -> None:
    """Put messages on the bridge's inbound exchange, with confirms; a file may hold many.

    A message counts when it is stored durably: the broker has confirmed it, or, without a broker in the settings, the
    ledger has committed it. Sending a file again is safe: the bridge knows its messages.
    """
    settings = context.settings(ctx)
    kinds = {row.id: row.kind for row in settings.partner}
    if sender and sender not in kinds:
        raise click.BadParameter(f"no partner {sender} in the settings; there are {', '.join(kinds) or 'none'}", param_hint="--from")
    counts = (_to_broker if settings.broker.url else _to_ledger)(ctx, settings, Senders(settings, sender), files)
    show.as_json(counts) if as_json else click.echo(", ".join(f"{count} {fate}" for fate, count in counts.items()))
    if any(count for fate, count in counts.items() if fate not in ("acked", "stored", "known")) or not sum(counts.values()):
        ctx.exit(1)


class Senders:
    """Who sends a message: the one named with --from, else the hospital of its MSH-3/4 or the organisation it names."""

    def __init__(self, settings: Settings, named: str) -> None:
        from bridge.hl7v2 import dialect

        self.named = named
        self.kinds = {row.id: row.kind for row in settings.partner}
        self._hospital = next((row.id for row in settings.partner if row.kind == "ehr"), "")
        self._feeds = dialect.load(*settings.folders("mappings", "feeds"))

    def of(self, content: str, body: bytes) -> str:
        """A partner's id; "" when nobody can be named."""
        from bridge.core import json
        from bridge.core.envelope import HL7V2, RECORD
        from bridge.core.errors import Unreadable
        from bridge.hl7v2 import peek

        if self.named:
            return self.named
        try:
            if content == HL7V2:
                ehr = self._feeds.of(peek.peek(body).sender).ehr
                return ehr if ehr in self.kinds else self._hospital
            document = json.read(body)
        except Unreadable:
            return self._hospital
        if content == RECORD and isinstance(document, dict):
            return str(document.get("cbo_org_id")) if document.get("cbo_org_id") in self.kinds else ""
        return self._hospital


def _to_broker(ctx: click.Context, settings: Settings, senders: Senders, files: tuple[str, ...]) -> dict[str, int]:
    from bridge.adapters.amqp.publisher import Publisher
    from bridge.adapters.amqp.relay import feed
    from bridge.wiring import address

    publisher = Publisher(address(settings), role="engine")
    counts = dict.fromkeys(("acked", "nacked", "returned", "unknown"), 0)
    try:
        for counts in feed(publisher, _messages(files, senders), pause=time.sleep):
            show.say(f"{counts['acked']} confirmed")
    finally:
        publisher.close()
    return counts


def _to_ledger(ctx: click.Context, settings: Settings, senders: Senders, files: tuple[str, ...]) -> dict[str, int]:
    """Without a broker the ledger's inbox is where messages enter; `run` takes them from there."""
    from bridge.pipeline.read import Incoming, messages
    from bridge.roles import BATCH, store

    counts = {"stored": 0, "known": 0}
    with context.bridge(ctx) as bridge:
        for path in files:
            parts = []
            for content, body in messages(context.read(path)):
                sender = senders.of(content, body)
                parts.append(Incoming(content, body, "" if senders.kinds.get(sender) == "ehr" else sender, sender))
            for first in range(0, len(parts), BATCH):
                for _, state in store(parts[first:first + BATCH], bridge):
                    counts["stored" if state in ("new", "conflict") else "known"] += 1
    return counts


def _messages(files: tuple[str, ...], senders: Senders) -> Iterator[Message]:
    """HL7v2 to `in.adt` as `adt.<facility>.<event>`; a hospital's FHIR to `in.ehr`, a partner's to `in.intake`."""
    import hashlib

    from bridge.adapters.amqp.message import Message
    from bridge.adapters.amqp.topology import IN_ADT, IN_EHR, IN_INTAKE
    from bridge.core.envelope import HL7V2
    from bridge.pipeline.read import messages

    for path in files:
        for content, body in messages(context.read(path)):
            sender = senders.of(content, body) or "unknown"
            if content == HL7V2:
                exchange, key = IN_ADT, f"adt.{sender}.message"
            elif senders.kinds.get(sender) == "ehr":
                exchange, key = IN_EHR, f"{sender}.screening"
            else:
                exchange, key = IN_INTAKE, f"{sender}.intake"
            yield Message(exchange, key, body, hashlib.sha256(body).hexdigest(), content)
