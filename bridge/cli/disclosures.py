"""`disclosures`: the account of what was sent about a patient, and what was withheld."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.pipeline.bridge import Bridge


@click.command("disclosures")
@click.argument("patient", metavar="PATIENT")
@click.option("--view", type=click.Choice(["all", "hipaa", "part2"]), default="all", show_default=True,
              help="hipaa: 45 CFR 164.528, six years; part2: 42 CFR 2.24 and 2.25, three years.")
@click.option("--since", default="", help="From this date or time on.")
@click.option("--until", default="", help="Before this date or time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(ctx: click.Context, patient: str, view: str, since: str, until: str, as_json: bool) -> None:
    """What was sent to whom, when, under which consent; what was withheld, and by which rule.

    PATIENT is a patient id, or SYSTEM|VALUE of a record number (better from `-`, a line on standard input, than on a
    command line that others can see). A view says what it leaves out, and why; what was withheld is in `all` alone.
    """
    from bridge.consent.explain import legend

    first, last = moment(since), moment(until)
    with context.bridge(ctx) as bridge:
        found = account(records_of(asked(patient), bridge), bridge, view, first, last)
        said = legend(((one["effect"], one["rules"]) for one in found["withheld"]), bridge.house)
    if as_json:
        show.as_json(found)
        return
    show.table("sent", ("when", "to", "what", "purpose", "under", "delivery"),
               [(one["at"], address(one), one["description"], one["purpose_text"], ", ".join(one["consents"]) or "contract",
                 one["delivery_id"][:8]) for one in found["sent"]])
    if found["left_out"]:
        show.table("left out of this view", ("how many", "why"), [(one["count"], one["why"]) for one in found["left_out"]])
    if view == "all":
        show.table("withheld", ("when", "from", "stage", "resource", "redacted", "rules"),
                   [(one["at"], one["recipient"], one["stage"], one["resource"].split("/")[0],
                     ", ".join(one["redact_paths"]) or "whole", ", ".join(one["rules"])) for one in found["withheld"]])
        show.table("rules", ("rule", "says"), said.items())


def asked(patient: str) -> str:
    """What was given, or the first line of standard input for `-`."""
    return sys.stdin.readline().strip() if patient == "-" else patient


def moment(text: str) -> datetime | None:
    """An ISO date or time; without an offset it is UTC. Raises BadParameter."""
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("no ISO date or time, such as 2026-03-01 or 2026-03-01T08:30:00-05:00") from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def address(one: dict[str, Any]) -> str:
    """The recipient as an accounting names it."""
    name = f"{one['recipient_name']} ({one['recipient']})" if one["recipient_name"] else str(one["recipient"])
    return ", ".join(part for part in (name, one["recipient_address"]) if part)


def records_of(asked: str, bridge: Bridge) -> list[str]:
    """Every record of the person: the surviving one first, then those merged into it. Raises BadParameter when nobody has it."""
    from bridge.referral.match import records, survivor

    with bridge.ledger.work() as work:
        if "|" in asked:
            system, _, value = asked.rpartition("|")
            found = next(iter(work.persons([(system, value)]).values()), "")
            if not found:
                raise click.BadParameter("nobody on file has this record number")
        elif work.resource(f"Patient/{asked}") is None:
            raise click.BadParameter("nobody on file has this id")
        return records(survivor(found if "|" in asked else asked, work), work)


def account(people: list[str], bridge: Bridge, view: str = "all", since: datetime | None = None, until: datetime | None = None) -> dict[str, Any]:
    """What was sent and, in the view `all`, what was withheld; oldest first."""
    from dataclasses import asdict

    from bridge.pipeline import accounting

    left = sorted((one for person in people for one in bridge.ledger.disclosures(person)), key=lambda one: datetime.fromisoformat(one.at))
    sent, out = accounting.account(left, view, since, until, bridge.clock(), bridge.partners)
    decided = [asdict(one) for person in people for one in bridge.ledger.decisions(patient=person) if one.effect != "permit"]
    return {
        "patient": people[0], "view": view, "sent": sent,
        "left_out": [{"why": why, "count": count} for why, count in sorted(out.items())],
        "withheld": [one for one in decided if _within(one["at"], since, until)] if view == "all" else [],
        "consent_generation": sum(bridge.ledger.generations(people).values()),
    }


def _within(at: str, since: datetime | None, until: datetime | None) -> bool:
    when = datetime.fromisoformat(at)
    return (since is None or when >= since) and (until is None or when < until)
