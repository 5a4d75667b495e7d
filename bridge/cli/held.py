"""`held`: the work list."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.core.rows import HeldItem

WHO = click.option("--by", default=getpass.getuser, help="Who answers (default: the login name).")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")


@click.group("held")
def command() -> None:
    """The work list: questions that a person can answer. Ids may be shortened as long as they are unique."""


@command.command("list")
@click.option("--state", default="open", type=click.Choice(["open", "answered", "released", "discarded"]))
@JSON
@click.pass_context
def list_(ctx: click.Context, state: str, as_json: bool) -> None:
    """What waits, oldest first."""
    with context.bridge(ctx) as bridge:
        items = bridge.ledger.held(state)
    if as_json:
        for item in items:
            show.as_line(row(item))
        return
    show.table(f"{len(items)} {state}", ("id", "what", "programme", "feed", "where", "question", "code", "times"),
               [(one.id[:8], one.kind, one.programme, one.feed, one.where, one.text, one.code, one.count) for one in items])


@command.command("show")
@click.argument("item_id")
@click.pass_context
def show_(ctx: click.Context, item_id: str) -> None:
    """One item, whole."""
    with context.bridge(ctx) as bridge:
        show.as_json(row(find(bridge.ledger.held(""), item_id)))


@command.command("answer")
@click.argument("item_id")
@click.argument("value")
@WHO
@click.pass_context
def answer(ctx: click.Context, item_id: str, value: str, by: str) -> None:
    """Answer a question: a target code, a patient id, or `new`. A code's answer holds for all messages of that sender."""
    from bridge.pipeline import hold

    with context.bridge(ctx) as bridge:
        found = hold.answer(find(bridge.ledger.held("open"), item_id).id, value, by, bridge)
        show.say(f"answered; `sdoh-bridge held release {found.id[:8]}` runs again what waits for it")


@command.command("release")
@click.argument("item_ids", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="Everything that has an answer.")
@JSON
@click.pass_context
def release(ctx: click.Context, item_ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Run the waiting messages again, with the answers."""
    from bridge.core.outcome import name
    from bridge.pipeline import hold

    if not item_ids and not everything:
        raise click.UsageError("name the items, or --all")
    with context.bridge(ctx) as bridge:
        answered = bridge.ledger.held("answered")
        chosen = answered if everything else [find([*answered, *bridge.ledger.held("open")], one) for one in item_ids]
        done = hold.release(chosen, bridge)
    for message, outcome in done:
        if as_json:
            show.as_line({"message": message, "outcome": name(outcome)})
        else:
            click.echo(f"{message[:8]} {name(outcome)}")
    if any(name(outcome) != "accepted" for _, outcome in done):
        ctx.exit(1)


@command.command("discard")
@click.argument("item_id")
@WHO
@click.pass_context
def discard(ctx: click.Context, item_id: str, by: str) -> None:
    """Close an item without an answer; its message stays as it is."""
    from bridge.pipeline import hold

    with context.bridge(ctx) as bridge:
        hold.discard(find([*bridge.ledger.held("open"), *bridge.ledger.held("answered")], item_id).id, by, bridge)


def find(items: list[HeldItem], prefix: str) -> HeldItem:
    """The only item whose id begins so."""
    fitting = [one for one in items if one.id.startswith(prefix)]
    if len(fitting) != 1:
        raise click.BadParameter(f"{len(fitting)} items begin with {prefix}; see `sdoh-bridge held list`")
    return fitting[0]


def row(item: HeldItem) -> dict[str, Any]:
    """An item as JSON."""
    return {name: getattr(item, name) for name in item.__dataclass_fields__}
