"""`consent transcribe`: what a signed form says, entered by a person."""

from __future__ import annotations

import getpass
from typing import Any

import click
import yaml

from bridge.cli import context, show


@click.command("transcribe")
@click.argument("named", metavar="[ITEM]", required=False, default="")
@click.argument("file", metavar="[FILE]", required=False, default="")
@click.option("--dry-run", is_flag=True, help="Say what the filter would make of it; store nothing.")
@click.option("--propose", is_flag=True, help="Store it without effect, for a second person to approve.")
@click.option("--approve", is_flag=True, help="Put the proposed Consent ITEM in force; not by who proposed it.")
@click.option("--withdraw", is_flag=True, help="End the form ITEM and what was read from it.")
@click.option("--by", default=getpass.getuser, help="Who transcribes (default: the login name).")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.pass_context
def command(ctx: click.Context, named: str, file: str, by: str, *, dry_run: bool, propose: bool, approve: bool, withdraw: bool,
            as_json: bool) -> None:
    """Enter what a signed form says. ITEM is its question in `held list` or a Consent's id, FILE the form as YAML (`-` for standard
    input); a form that is only on paper has no ITEM: give FILE alone, with `patient: system|value` in it."""
    from bridge.core.outcome import name
    from bridge.pipeline import transcribe

    named, file = (named, file) if file or approve or withdraw else ("", named)
    if not named and not file:
        raise click.UsageError("name the form's question or Consent, its file, or both")
    with context.bridge(ctx) as bridge:
        source, item = transcribe.original(named, bridge) if named else (None, None)
        if approve and source:
            made = transcribe.approved(source, by, bridge)
        elif withdraw and source:
            made = transcribe.withdrawn(source, by, bridge)
        else:
            made = transcribe.draw(read(file), source, by, bridge, proposed=propose)
        lines = transcribe.examine({**made, "status": "active"} if propose else made, bridge)
        outcome = None if dry_run else transcribe.file(made, item, by, bridge)
    answer = {"outcome": name(outcome) if outcome else "dry-run", "status": made["status"],
              "lines": [{field: getattr(line, field) for field in line.__dataclass_fields__} for line in lines]}
    if as_json:
        show.as_json(answer)
    else:
        show.table(f"{answer['outcome']}, {made['status']}", ("partner", "about", "decision", "rules", "review"),
                   [(line.partner, line.about, line.decision, " ".join(line.rules), "; ".join(line.review)) for line in lines])
    if outcome is not None and name(outcome) != "accepted":
        ctx.exit(1)


def read(file: str) -> dict[str, Any]:
    """The form; a date may be written with or without quotes."""
    try:
        form = yaml.load(context.read(file), Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes texts, lists and dicts alone
    except yaml.YAMLError:
        raise click.BadParameter("the form is no YAML") from None
    if not isinstance(form, dict):
        raise click.BadParameter("the form is a mapping: signed, until, permit, ...")
    return form
