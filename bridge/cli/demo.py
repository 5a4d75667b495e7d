"""`demo`: a day of two hospitals and three community organisations, on the embedded default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.app import Connectors
    from bridge.core.rows import Referral
    from bridge.pipeline.bridge import Bridge

MORNING = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
"""The demo's own moment, so that it tells the same story on every day."""

ANSWERS = {
    "valley-elders": (
        ("status", {"source_status": "Taken on", "status": "accepted", "business_status": "contacted"}),
        ("service", {"service_type_code": "", "units": 1, "unit_type": "visit"}),
        ("outcome", {"source_status": "Got Help", "status": "completed", "outcome_code": "need-met"}),
    ),
    "harbor-pantry": (
        ("service", {"units": 2, "unit_type": "item"}),
        ("outcome", {"source_status": "Got Help", "status": "completed", "outcome_code": "need-met"}),
    ),
    "stillwater-respite": (
        ("status", {"source_status": "No Capacity", "status": "rejected", "reason_code": "no-capacity"}),
    ),
}
"""What each organisation answers to every referral it gets, as canonical intake records (reference/cbo.md 3.6)."""


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="The counts as one JSON document.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the ledger and what was sent in this folder.")
def command(as_json: bool, keep: Path | None) -> None:
    """A day of discharges, screenings and answers: who was referred where, what was withheld and why, what came back."""
    from bridge.app import Connectors, build
    from bridge.observe import log

    log.configure(level="error")
    with TemporaryDirectory(prefix="sdoh-bridge-demo-") as scratch:
        state = keep or Path(scratch)
        state.mkdir(parents=True, exist_ok=True)
        settings = context.example_site(str(state))
        bridge = replace(build(settings), clock=lambda: MORNING)
        connectors = Connectors(settings)
        try:
            seen = play(bridge, connectors)
            report(bridge, seen, as_json)
        finally:
            connectors.close()
            bridge.ledger.close()
    if keep and not as_json:
        click.echo(f"kept in {keep}: ledger.db, and under sent/ every payload as its recipient got it\n")


def play(bridge: Bridge, connectors: Connectors) -> Counter[str]:
    """The day: consents, then everything the hospitals send, then what the organisations answer."""
    from bridge.roles import drain

    seen: Counter[str] = Counter()
    day = files("mappings").joinpath("examples/day")
    for file in sorted(day.iterdir(), key=lambda one: one.name):
        seen.update(take(file.read_bytes(), "", bridge))
        drain(bridge, connectors)
    for feed, record in list(answers(bridge)):
        take(record, feed, bridge)
    drain(bridge, connectors)
    return seen


def take(body: bytes, feed: str, bridge: Bridge) -> list[str]:
    """Store every message of a file; how each was known."""
    from bridge.pipeline.read import messages
    from bridge.roles import drain, store

    found = store([(kind, part, feed) for kind, part in messages(body)], bridge)
    drain(bridge, None)
    return [state for _, state in found]


def answers(bridge: Bridge) -> Iterator[tuple[str, bytes]]:
    """The next answer of each organisation to each open referral that reached it."""
    import orjson

    for referral in referrals(bridge):
        sent = any(row.state == "sent" and row.referral == referral.short and row.kind == "referral"
                   for row in bridge.ledger.outgoing(recipient=referral.recipient))
        if not sent or referral.closed:
            continue
        for number, (kind, fields) in enumerate(ANSWERS[referral.recipient], 1):
            moment = f"2026-11-21T1{2 + number}:00:00-05:00"
            yield referral.recipient, orjson.dumps({
                "schema_version": "1.0", "client_local_id": referral.short, "record_id": f"{referral.short}-{number}", "record_type": kind,
                "source_system": "demo", "source_record_id": referral.short, "updated_at": moment, "event_at": moment,
                "cbo_org_id": referral.recipient, "bridge_referral_id": referral.id,
                **{name: value for name, value in fields.items() if value != ""},
            })


def referrals(bridge: Bridge) -> list[Referral]:
    """Every referral of everybody in the ledger, by patient."""
    patients = sorted({row.patient for row in bridge.ledger.find() if row.patient})
    with bridge.ledger.work() as work:
        return [one for patient in patients for one in work.referrals(patient)]


def report(bridge: Bridge, seen: Counter[str], as_json: bool) -> None:
    """The day in tables that a person can read, or its counts."""
    rows = referrals(bridge)
    sent = [row for row in bridge.ledger.outgoing() if row.state == "sent"]
    withheld = [row for row in bridge.ledger.outgoing() if row.state == "withheld"]
    inbox = Counter(row.outcome for row in bridge.ledger.find())
    held = bridge.ledger.held("open")
    if as_json:
        show.as_json({
            "messages": {**inbox, "duplicate": seen["done"] + seen["pending"]}, "referrals": len(rows),
            "referrals_by_status": dict(Counter(one.status for one in rows)), "sent": dict(Counter(f"{one.recipient}/{one.kind}" for one in sent)),
            "withheld": dict(Counter(one.recipient for one in withheld)), "held": len(held),
            "outcomes_returned": sum(one.kind in ("outcome", "oru") for one in sent),
        })
        return
    from bridge.cli.story import tell

    tell(bridge, rows, sent, withheld, held, inbox, seen)


def person(patient: str, bridge: Bridge) -> str:
    """The name to show in the demo, whose people are invented."""
    with bridge.ledger.work() as work:
        resource: dict[str, Any] = work.resource(f"Patient/{patient}") or {}
    name = (resource.get("name") or [{}])[0]
    return f"{' '.join(name.get('given', [])[:1])} {name.get('family', '')}".strip().title() or patient[:8]
