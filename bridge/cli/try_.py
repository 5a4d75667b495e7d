"""`try`: a dry run of the whole line over a ledger in memory; nothing is stored or sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.core.rows import InboxRow, Outgoing
    from bridge.pipeline.bridge import Bridge


@click.command("try")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--feed", default="", help="The sender's feed file, or the partner that answers.")
@click.option("--at", default="", metavar="TIME", help="Decide as at this moment (ISO 8601 with offset).")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per message.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], feed: str, at: str, as_json: bool) -> None:
    """Per message: Bundle, referrals, and per recipient what would be sent, withheld and why.

    Files are taken in order, so give the patient's Consent before the discharge: nobody else's is known here.
    """
    moment = instant(at)
    trouble = False
    with context.scratch(ctx) as built:
        bridge = replace(built, clock=lambda: moment) if moment else built
        for path in files:
            for found in run(context.read(path), feed, bridge):
                trouble |= found["outcome"] != "accepted" or bool(found["waiting"]) or any(one["state"] == "withheld" for one in found["recipients"])
                show.as_line(found) if as_json else tell(path, found, bridge)
    if trouble:
        ctx.exit(1)


def instant(text: str) -> datetime | None:
    """A moment with an offset; a usage error otherwise."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("--at is an ISO 8601 time, e.g. 2026-11-21T15:00:00-05:00") from None
    if moment.tzinfo is None:
        raise click.BadParameter("--at needs an offset, e.g. 2026-11-21T15:00:00-05:00")
    return moment


def run(body: bytes, feed: str, bridge: Bridge) -> list[dict[str, Any]]:
    """Every message of a file through the line, one finding each."""
    from bridge.pipeline.read import messages
    from bridge.roles import store

    found = []
    for kind, part in messages(body):
        arrival, state = store([(kind, part, feed)], bridge)[0]
        found.append({**finding(arrival.envelope.id, bridge), "seen": state})
    return found


def finding(message_id: str, bridge: Bridge) -> dict[str, Any]:
    """Receive one stored message and say what it led to."""
    from bridge.core.outcome import name
    from bridge.fhir import bundle
    from bridge.pipeline.receive import receive

    rows: list[InboxRow] = bridge.ledger.inbox([message_id])
    outcome = receive(rows, bridge)[0]
    draft = getattr(outcome, "draft", None)
    made = {
        "message": message_id, "event": rows[0].event, "outcome": name(outcome),
        "issues": [str(issue) for issue in (draft.issues if draft else getattr(outcome, "issues", ()))],
        "questions": [question.text for question in (draft.questions if draft else ())],
        "waiting": [question.text for question in getattr(outcome, "waiting", ())],
        "bundle": bundle.collection(draft.resources, base=bridge.fhir_base) if draft else None,
    }
    with bridge.ledger.work() as work:
        referrals = [one for one in work.referrals(draft.patient) if one.opened_by == message_id] if draft and draft.patient else []
        recipients = [leaving(row, work, bridge) for row in bridge.ledger.outgoing(message_id=message_id)]
    made["referrals"] = [{"programme": one.programme, "need": one.need, "recipient": one.recipient, "status": one.status,
                          "reference": one.short, "due": one.due} for one in referrals]
    return {**made, "recipients": recipients}


def leaving(row: Outgoing, work: Any, bridge: Bridge) -> dict[str, Any]:
    """One delivery: its payload when it may leave, and per resource what is withheld, by which rule."""
    from bridge.core.envelope import FHIR
    from bridge.pipeline.decide import decisions
    from bridge.pipeline.send import Ready, prepare

    ready = prepare(row, work, bridge)
    withheld = [{"resource": resource["resourceType"], "effect": decision.effect, "rules": list(decision.rules),
                 "paths": list(decision.redact_paths)}
                for resource, decision in decisions(row, "try", work, bridge) if decision.effect != "permit"]
    made: dict[str, Any] = {"recipient": row.recipient, "kind": row.kind, "withheld": withheld}
    if not isinstance(ready, Ready):
        return {**made, "state": "withheld", "why": ready}
    body = ready.delivery.body
    if ready.delivery.content_type == FHIR:
        import orjson

        return {**made, "state": "send", "payload": orjson.loads(body)}
    return {**made, "state": "send", "payload": body.decode().replace("\r", "\n")}


def tell(path: str, found: dict[str, Any], bridge: Bridge) -> None:
    """One message for people, and what the rules say that withheld something."""
    from bridge.consent.explain import legend

    click.echo(f"{path}: {found['event']} {found['outcome']}, {len((found['bundle'] or {}).get('entry', ()))} resources")
    for issue in found["issues"]:
        if not issue.startswith("information") or " BRG-R" in issue:
            click.echo(f"  {issue}")
    for text in dict.fromkeys((*found["questions"], *found["waiting"])):
        click.echo(f"  question: {text}{' (a decision waits)' if text in found['waiting'] else ''}")
    for one in found["referrals"]:
        click.echo(f"  referral {one['reference']} {one['programme']} {one['need']} -> {one['recipient']}: {one['status']}, "
                   f"contact by {one['due'] or '-'}")
    for one in found["recipients"]:
        sent = ", ".join(entry["resource"]["resourceType"] for entry in one.get("payload", {}).get("entry", ())) \
            if isinstance(one.get("payload"), dict) else one["kind"]
        click.echo(f"  {one['recipient']}: {one['kind']}, {one['state']} {one.get('why') or sent}")
        for each in one["withheld"]:
            click.echo(f"    {each['effect']} {each['resource']} {', '.join(each['paths'])} by {', '.join(each['rules'])}")
    withheld = [(each["effect"], each["rules"]) for one in found["recipients"] for each in one["withheld"]]
    for rule, says in legend(withheld, bridge.house).items():
        click.echo(f"  {rule}: {says}")
