"""`disclosures`: the account of what was sent about a patient, and what was withheld."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.pipeline.bridge import Bridge


@click.command("disclosures")
@click.argument("patient", metavar="PATIENT")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(ctx: click.Context, patient: str, as_json: bool) -> None:
    """What was sent to whom, when, under which consent; what was withheld, and by which rule.

    PATIENT is a patient id, or SYSTEM|VALUE of a record number (better from `-`, a line on standard input, than on a
    command line that others can see).
    """
    from bridge.consent.explain import legend

    asked = sys.stdin.readline().strip() if patient == "-" else patient
    with context.bridge(ctx) as bridge:
        found = account(resolve(asked, bridge), bridge)
        said = legend(((one["effect"], one["rules"]) for one in found["withheld"]), bridge.house)
    if as_json:
        show.as_json(found)
        return
    show.table("sent", ("when", "to", "what", "purpose", "resources", "consents", "delivery"),
               [(one["at"], one["recipient"], one["kind"], one["purpose"], kinds(one["resources"]),
                 len(one["consents"]) or "contract", one["delivery_id"][:8]) for one in found["sent"]])
    show.table("withheld", ("when", "from", "stage", "resource", "redacted", "rules"),
               [(one["at"], one["recipient"], one["stage"], one["resource"].split("/")[0],
                 ", ".join(one["redact_paths"]) or "whole", ", ".join(one["rules"])) for one in found["withheld"]])
    show.table("rules", ("rule", "says"), said.items())


def kinds(refs: list[str]) -> str:
    """`Patient, Task, Organization (2)`: what a delivery held, without ids."""
    counted = Counter(ref.split("/")[0] for ref in refs)
    return ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in sorted(counted.items()))


def resolve(asked: str, bridge: Bridge) -> str:
    """A patient id from itself or from system|value. Raises BadParameter when nobody has it."""
    if "|" not in asked:
        with bridge.ledger.work() as work:
            if work.resource(f"Patient/{asked}") is None:
                raise click.BadParameter("nobody on file has this id")
        return asked
    system, _, value = asked.rpartition("|")
    with bridge.ledger.work() as work:
        found = work.persons([(system, value)])
    if not found:
        raise click.BadParameter("nobody on file has this record number")
    return next(iter(found.values()))


def account(patient: str, bridge: Bridge) -> dict[str, Any]:
    """Both lists, oldest first."""
    sent = [{name: getattr(one, name) for name in one.__dataclass_fields__} for one in bridge.ledger.disclosures(patient)]
    withheld = [{name: getattr(one, name) for name in one.__dataclass_fields__}
                for one in bridge.ledger.decisions(patient=patient) if one.effect != "permit"]
    return {"patient": patient, "sent": sent, "withheld": withheld}
