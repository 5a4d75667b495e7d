"""`screen`: what a screening response says."""

from __future__ import annotations

import sys

import click

from bridge.cli import context, show
from bridge.cli.check import documents


@click.command("screen")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per response (the default when not on a terminal).")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """QuestionnaireResponses: needs, scores, computed results, missing answers, conflicts, errors."""
    from bridge.referral import screening

    failed = False
    for path in files:
        for document in documents(context.read(path)):
            if not isinstance(document, dict) or document.get("resourceType") != "QuestionnaireResponse":
                summary = {"needs": [], "scores": {}, "computed": {}, "missing": [], "conflicts": [],
                           "errors": ["not a QuestionnaireResponse"]}
            else:
                summary = screening.evaluate(document).summary()
            failed |= bool(summary["errors"])
            if as_json or not sys.stdout.isatty():
                show.as_line(summary)
            else:
                show.table(path, ("what", "found"), summary.items())
    if failed:
        ctx.exit(1)
