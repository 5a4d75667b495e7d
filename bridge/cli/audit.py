"""`audit`: the record of decisions and disclosures as FHIR, for an audit record repository."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show
from bridge.cli.disclosures import asked, moment, records_of

if TYPE_CHECKING:
    from bridge.pipeline.bridge import Bridge

EVERYTHING = 1_000_000_000


@click.group("audit")
def command() -> None:
    """The record of decisions and disclosures as FHIR."""


@command.command("export")
@click.argument("patient", metavar="[PATIENT]", default="")
@click.option("--since", default="", help="From this date or time on.")
@click.option("--until", default="", help="Before this date or time.")
@click.pass_context
def export(ctx: click.Context, patient: str, since: str, until: str) -> None:
    """AuditEvent for every decision and disclosure, Provenance for what came in and what left; one resource per line.

    The shapes are those of IHE Basic Audit Log Patterns. Ids, versions, rule ids and element paths alone. PATIENT as for
    `disclosures`; without it, everybody.
    """
    first, last = moment(since), moment(until)
    with context.bridge(ctx) as bridge:
        people = records_of(asked(patient), bridge) if patient else [""]
        for resource in resources(people, first, last, bridge):
            show.as_line(resource)


def resources(people: list[str], since: datetime | None, until: datetime | None, bridge: Bridge) -> Iterator[dict[str, Any]]:
    """The record about these people ("" for everybody), by kind and in order."""
    from bridge.pipeline import audit

    def within(at: str) -> bool:
        when = datetime.fromisoformat(at)
        return (since is None or when >= since) and (until is None or when < until)

    for person in people:
        yield from audit.decided((one for one in bridge.ledger.decisions(patient=person) if within(one.at)), bridge)
        left = [one for one in bridge.ledger.disclosures(person) if within(one.at)]
        yield from audit.disclosed(left, bridge)
        yield from audit.left_as(left, bridge)
        for row in bridge.ledger.find(patient=person, limit=EVERYTHING):
            made = audit.produced(row, bridge) if within(row.envelope.received.isoformat()) else None
            if made is not None:
                yield made
