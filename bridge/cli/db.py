"""`db`: the ledger's schema, copies and retention."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from bridge.cli import context, show


@click.group("db")
def command() -> None:
    """Upgrade, back up and purge the ledger."""


@command.command("upgrade")
@click.pass_context
def upgrade(ctx: click.Context) -> None:
    """Make or migrate the schema; nothing to do is fine."""
    from bridge.adapters.store.ledger import open_ledger

    ledger = open_ledger(context.settings(ctx).store_url)
    steps = ledger.upgrade()
    ledger.close()
    click.echo("\n".join(steps) if steps else "up to date")


@command.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def backup(ctx: click.Context, file: Path) -> None:
    """Copy a SQLite ledger to FILE while it is in use. For PostgreSQL use pg_dump."""
    from bridge.adapters.store.ledger import open_ledger

    ledger = open_ledger(context.settings(ctx).store_url)
    ledger.backup(file)
    ledger.close()
    show.say(f"copied to {file}; keep the site secret with it")


@command.command("purge")
@click.option("--days", type=click.IntRange(min=30), default=2200, show_default=True,
              help="Keep what is younger; 30 days is the least, because redelivered messages must be recognised.")
@click.pass_context
def purge(ctx: click.Context, days: int) -> None:
    """Delete finished messages older than that, with what hangs on them alone."""
    from bridge.app import now

    with context.bridge(ctx) as bridge:
        gone = bridge.ledger.purge(now() - timedelta(days=days), now())
    click.echo("\n".join(f"{table}: {count}" for table, count in gone.items()) or "nothing")
