"""`connector`: list, make and test connectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bridge.cli import context, show

TEMPLATE = '''"""What it reaches, and how."""

from __future__ import annotations

from collections.abc import Sequence

from bridge import sdk

NAME = "{name}"


class Options(sdk.Options):
    """`path` is the file that one line per delivery is appended to; say here what yours needs."""

    path: str


class Partner:
    """Replace the body of `deliver`; keep its contract: one receipt each, in order, and twice the same id is once."""

    def __init__(self, options: Options) -> None:
        self._path = options.path

    def deliver(self, deliveries: Sequence[sdk.Delivery]) -> list[sdk.Receipt]:
        """Append each delivery's id and body to the file, once."""
        receipts = []
        for delivery in deliveries:
            with open(self._path, "a+b") as file:  # noqa: PTH123
                file.seek(0)
                if delivery.id.encode() not in file.read():
                    file.write(delivery.id.encode() + b" " + delivery.body.replace(b"\\n", b" ") + b"\\n")
            receipts.append(sdk.Receipt(delivery.id, "sent"))
        return receipts

    def close(self) -> None:
        """Close what was opened."""


def connect(options: Options, site: sdk.Site) -> sdk.Connector:
    """A connector for one partner."""
    return Partner(options)
'''


@click.group("connector")
def command() -> None:
    """List, make and test connectors."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every connector that a partner can name, where it comes from and its options."""
    from bridge.app import connector_modules, load_connector

    rows: list[dict[str, Any]] = []
    for name, (path, source) in sorted(connector_modules(context.settings(ctx).connectors_path).items()):
        module = load_connector(path)
        about = (module.__doc__ or "").strip().splitlines()[0]
        rows.append({"name": name, "source": source, "about": about, "options": sorted(module.Options.model_fields)})
    if as_json:
        for row in rows:
            show.as_line(row)
    else:
        show.table("connectors", ("name", "from", "about", "options"),
                   [(row["name"], row["source"], row["about"], ", ".join(row["options"])) for row in rows])


@command.command("new")
@click.argument("name")
@click.option("--in", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("connectors"), show_default=True)
def new(name: str, folder: Path) -> None:
    """Make a connector's folder with a working example to change."""
    if not name.isidentifier() or not name.islower():
        raise click.BadParameter("a connector's name is a lower-case Python name, e.g. food_bank")
    made = folder / name
    if made.exists():
        raise click.BadParameter(f"{made} is there already")
    (made / "examples").mkdir(parents=True)
    (made / "__init__.py").touch()
    (made / "connector.py").write_text(TEMPLATE.format(name=name), encoding="utf-8")
    example = {"id": "0b5fd3a2-0000-8000-8000-000000000001", "recipient": "example", "kind": "referral", "key": "patient-1",
               "content_type": "application/fhir+json", "referral": "7K3MP9QX",
               "body": {"resourceType": "Bundle", "type": "collection", "entry": []}}
    (made / "examples" / "referral.json").write_text(json.dumps(example, indent=2) + "\n", encoding="utf-8")
    (made / "README.md").write_text(f"# {name}\n\nWhat it reaches, its options, and what the partner must provide.\n", encoding="utf-8")
    click.echo(f"{made}: change connector.py, put example deliveries in examples/, then sdoh-bridge connector test {name}")


@command.command("test")
@click.argument("name")
@click.option("--options", default="{}", help="The connector's options as JSON.")
@click.option("--in", "folder", default="connectors", show_default=True, help="Where `connector new` made it.")
@click.pass_context
def test(ctx: click.Context, name: str, options: str, folder: str) -> None:
    """Send the folder's example deliveries twice, and say which law does not hold."""
    from bridge.testing import connector_faults

    faults = connector_faults(name, options, (*context.settings(ctx).connectors_path, folder))
    for fault in faults:
        click.echo(fault)
    if faults:
        ctx.exit(1)
    click.echo("ok")
