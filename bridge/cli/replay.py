"""`replay`: stored messages once more, from a frozen plan."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.core.rows import Plan

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line per message, then the summary.")


@click.group("replay")
def command() -> None:
    """Plan and run replays of stored messages; consent is asked again in all three modes."""


@command.command("plan")
@click.argument("selection", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON.")
@click.pass_context
def plan(ctx: click.Context, selection: tuple[str, ...], as_json: bool) -> None:
    """Choose messages by id, since, until, feed, event, outcome, error, version or patient; the ids are frozen."""
    from bridge.pipeline import replay

    with context.bridge(ctx) as bridge:
        made = replay.plan(selection, bridge)
    if as_json:
        show.as_json(row(made))
    else:
        click.echo(f"{made.id}  {len(made.ids)} messages  {made.digest[:16]}")


@command.command("run")
@click.argument("plan_id", metavar="PLAN")
@click.option("--mode", type=click.Choice(["verify", "redeliver", "reprocess"]), required=True)
@click.option("--partner", default="", help="The one partner that redeliver sends to.")
@click.option("--rate", type=click.FloatRange(min=0), default=0, help="At most so many messages a second.")
@click.option("--again", default="", metavar="REASON", help="Run a finished plan once more, and why.")
@click.option("--allow-older", is_flag=True, help="Let reprocess touch patients about whom something newer has arrived.")
@click.option("--mappings", default="", metavar="FOLDER", help="Verify mappings that are not in use yet: a folder in front of the present ones.")
@JSON
@click.pass_context
def run(ctx: click.Context, plan_id: str, mode: str, partner: str, rate: float, again: str, allow_older: bool, mappings: str,
        as_json: bool) -> None:
    """verify: map again and count what would differ by element, send nothing. redeliver: send stored outputs again, same ids.
    reprocess: map again under current rules, as new versions."""
    from bridge.pipeline import replay

    if mappings and (mode != "verify" or not Path(mappings).is_dir()):
        raise click.UsageError("--mappings takes a folder, and goes with --mode verify")
    versions = Counter[str]()
    started, total, trouble = time.monotonic(), Counter[str](), 0
    done = 0
    with context.bridge(ctx) as present:
        bridge = replay.against(Path(mappings), present) if mappings else present
        for chunk in replay.steps(replay.find(plan_id, bridge), mode, bridge, partner=partner, again=again, older=allow_older):
            for one in chunk:
                done += 1
                total.update(one.get("differs", {}))
                if one.get("mapped") and one["mapped"] != one["mapping"]:
                    versions[f"{one['mapped']} -> {one['mapping']}"] += 1
                trouble += "refused" in one or one.get("now") in ("held", "rejected", "retry")
                if as_json:
                    show.as_line(one)
                elif "refused" in one or one.get("queued") or one.get("now", one.get("was")) != one.get("was"):
                    told = one.get("refused") or (f"{one['queued']} queued" if "queued" in one else f"was {one['was']}, now {one['now']}")
                    click.echo(f"{one['id']} {told}")
            show.say(f"{done} messages")
            if rate:
                time.sleep(max(0.0, done / rate - (time.monotonic() - started)))
        state = replay.find(plan_id, bridge).state
    elements = replay.by_element(total)
    if as_json:
        show.as_line({"plan": plan_id, "mode": mode, "state": state, "messages": done, "differs": dict(total.most_common()),
                      "elements": elements, "versions": dict(versions.most_common())})
    else:
        click.echo(f"{plan_id}: {mode}, {done} messages, {state}")
        for change, count in versions.most_common():
            click.echo(f"  {change}: {count} messages")
        for element, counts in elements.items():
            click.echo(f"  {element}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
        if mode == "verify" and not elements:
            click.echo("  nothing differs")
    if trouble:
        ctx.exit(1)


@command.command("status")
@click.argument("plan_id", required=False, metavar="[PLAN]")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.pass_context
def status(ctx: click.Context, plan_id: str | None, as_json: bool) -> None:
    """All plans, or one."""
    from bridge.pipeline import replay

    with context.bridge(ctx) as bridge:
        plans = [replay.find(plan_id, bridge)] if plan_id else bridge.ledger.plans()
    if as_json:
        for one in plans:
            show.as_line(row(one))
    else:
        show.table("plans", ("plan", "made", "selection", "messages", "mode", "state", "done"),
                   [(p.id, p.created, p.selection, len(p.ids), p.mode, p.state, p.cursor) for p in plans])


def _set(ctx: click.Context, plan_id: str, state: str) -> None:
    from bridge.pipeline import replay

    with context.bridge(ctx) as bridge:
        found = replay.find(plan_id, bridge)
        bridge.ledger.save_plan(replace(found, state=state))
    click.echo(f"{plan_id} {state}")


@command.command("pause")
@click.argument("plan_id", metavar="PLAN")
@click.pass_context
def pause(ctx: click.Context, plan_id: str) -> None:
    """Stop after the chunk that is under way; `replay run` goes on from there."""
    _set(ctx, plan_id, "paused")


@command.command("resume")
@click.argument("plan_id", metavar="PLAN")
@click.pass_context
def resume(ctx: click.Context, plan_id: str) -> None:
    """Let a paused plan go on with `replay run`."""
    _set(ctx, plan_id, "running")


@command.command("cancel")
@click.argument("plan_id", metavar="PLAN")
@click.pass_context
def cancel(ctx: click.Context, plan_id: str) -> None:
    """Stop for good, within one chunk."""
    _set(ctx, plan_id, "cancelled")


def row(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}
