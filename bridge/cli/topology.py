"""`topology`: the broker's exchanges, queues and policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.adapters.amqp.management import Management
    from bridge.settings import Settings


@click.group("topology")
def command() -> None:
    """Show or apply the broker's exchanges, queues and policies."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="The whole topology as JSON.")
@click.option("--definitions", is_flag=True, help="As a RabbitMQ definitions file.")
@click.pass_context
def show_(ctx: click.Context, as_json: bool, definitions: bool) -> None:
    """What the settings' partners need at the broker; asks no broker."""
    from bridge.adapters.amqp import broker, topology
    from bridge.wiring import topology as wanted

    made = wanted(context.settings(ctx))
    if definitions:
        show.as_json(broker.definitions(made))
    elif as_json:
        show.as_json(topology.show(made))
    else:
        show.table("exchanges", ("name", "type"), [(one.name, one.kind) for one in made.exchanges])
        show.table("queues", ("name", "single active consumer"), [(one.name, one.single_active) for one in made.queues])
        show.table("policies", ("name", "for", "definition"), [(one.name, one.pattern, dict(one.definition)) for one in made.policies])
        show.table("users", ("name", "writes", "reads"), [(one.name, one.write, one.read) for one in made.users])


@command.command("apply")
@click.option("--passwords", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with one file per user, its content the password.")
@click.pass_context
def apply(ctx: click.Context, passwords: Path | None) -> None:
    """Declare everything, safe to repeat. Policies and users need broker.management in the settings; without it the
    rabbitmqctl commands for them are printed."""
    from bridge.adapters.amqp import broker
    from bridge.wiring import address
    from bridge.wiring import topology as wanted

    settings = context.settings(ctx)
    secrets = {file.name: file.read_text(encoding="utf-8").strip() for file in passwords.iterdir() if file.is_file()} if passwords else {}
    left = broker.apply(wanted(settings), address(settings), management(settings), secrets, show.say)
    for line in left:
        click.echo(line)


def management(settings: Settings) -> Management | None:
    """The management API of the settings, with the broker's login and virtual host; None when none is set."""
    from urllib.parse import urlsplit

    from bridge.adapters.amqp.management import Management
    from bridge.adapters.amqp.transport import parameters
    from bridge.wiring import address

    if not settings.broker.management:
        return None
    parts = urlsplit(settings.broker.url)
    password = Path(settings.broker.password_file).read_text(encoding="utf-8").strip() if settings.broker.password_file else parts.password
    vhost = parameters(address(settings), "session")[0].virtual_host
    return Management(settings.broker.management, parts.username or "guest", password or "guest", vhost)
