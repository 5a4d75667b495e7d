"""`consent decide`: ask the filter about cases; `consent transcribe` stands in a file of its own."""

from __future__ import annotations

import click

from bridge.cli import context, show, transcribe
from bridge.cli.check import documents


@click.group("consent")
def command() -> None:
    """Ask the consent filter."""


@command.command("decide")
@click.argument("file", metavar="FILE")
@click.option("--json", is_flag=True, expose_value=False, help="JSON lines (always so).")
@click.pass_context
def decide(ctx: click.Context, file: str) -> None:
    """Cases (consents, request, resource, policy), a list or one a line; one JSON line each:
    id, decision, redact_paths, obligations, rules, consents, review."""
    from bridge.consent.cases import run_case

    failed = False
    for case in documents(context.read(file)):
        answer = run_case(case if isinstance(case, dict) else {})
        failed |= any(note.startswith("evaluation-failed") for note in answer["review"])
        show.as_line(answer)
    if failed:
        ctx.exit(1)


command.add_command(transcribe.command)
