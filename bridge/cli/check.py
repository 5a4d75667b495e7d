"""`check`: FHIR resources or Bundles against the profiles they claim."""

from __future__ import annotations

from typing import Any

import click

from bridge.cli import context, show


@click.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One OperationOutcome per resource or Bundle, a line each.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """What is wrong, where, and by which rule; a file holds a resource, a Bundle, a list of them, or one a line."""
    from bridge.core.issue import operation_outcome
    from bridge.fhir import profile

    profiles = profile.load(*context.settings(ctx).folders("profiles"))
    failed = 0
    for path in files:
        for number, document in enumerate(documents(context.read(path)), 1):
            issues = examine(document, profiles)
            wrong = [issue for issue in issues if issue.severity in ("error", "fatal")]
            failed += bool(wrong)
            if as_json:
                show.as_line(operation_outcome(issues))
                continue
            kind = document.get("resourceType", "?") if isinstance(document, dict) else "?"
            click.echo(f"{path}[{number}] {kind}: {'ok' if not wrong else f'{len(wrong)} errors'}")
            for issue in issues:
                click.echo(f"  {issue}")
    if failed:
        ctx.exit(1)


def documents(body: bytes) -> list[Any]:
    """The JSON documents of a file, those of a list too; what cannot be read stands as its Issue."""
    from bridge.core import json
    from bridge.core.errors import Unreadable

    def read(part: bytes) -> Any:
        try:
            return json.read(part)
        except Unreadable as error:
            return error.issue

    whole = read(body)
    if not isinstance(whole, (dict, list)) and body.lstrip().startswith(b"["):
        return [read(part) for part in json.elements(body)]
    lines = [line for line in body.splitlines() if line.strip()]
    if not isinstance(whole, (dict, list)) and len(lines) > 1 and all(line.startswith(b"{") for line in lines):
        return [read(line) for line in lines]
    return whole if isinstance(whole, list) else [whole]


def examine(document: Any, profiles: Any) -> list[Any]:
    """The issues of one document, whatever it is."""
    from bridge.core.issue import Issue

    if isinstance(document, Issue):
        return [document]
    if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
        return [Issue("fatal", "BRG-H015", "resourceType", "not a FHIR resource", "a resource is an object with resourceType", "structure")]
    return list(profiles.bundle(document) if document["resourceType"] == "Bundle" else profiles.check(document))
