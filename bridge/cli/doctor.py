"""`doctor`: is everything as it should be, and where did each setting come from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.settings import Settings

Fact = tuple[str, bool, str]


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check settings, files, ledger and broker; exit 1 when something is not well. Secrets are never shown."""
    settings = context.settings(ctx)
    facts = [fact for check in (files, own_files, partners, ledger, broker) for fact in looked(check, settings)]
    if as_json:
        show.as_json({"settings": effective(settings), "checks": [{"name": n, "ok": ok, "detail": d} for n, ok, d in facts]})
    else:
        show.table("settings", ("key", "value", "from"), [(one["key"], one["value"], one["from"]) for one in effective(settings)])
        show.table("checks", ("", "what", "detail"), [("ok" if ok else "NOT", name, detail) for name, ok, detail in facts])
    if not all(ok for _, ok, _ in facts):
        ctx.exit(1)


def looked(check: Callable[[Settings], Iterator[Fact]], settings: Settings) -> Iterator[Fact]:
    """The facts of one check; what we raise on purpose is a finding, not a traceback."""
    from bridge.core.errors import BridgeError

    try:
        yield from check(settings)
    except BridgeError as error:
        yield check.__name__, False, str(error)


def effective(settings: Settings) -> list[dict[str, str]]:
    """Every scalar setting, its value and where it comes from; URLs without their password."""
    from bridge.settings import ENVIRONMENT

    by_key = {key: name for name, key in ENVIRONMENT.items()}
    rows = []
    for section in ("site", "store", "broker", "web"):
        part = getattr(settings, section)
        for key, value in part.model_dump().items():
            name = by_key.get((section, key), "")
            origin = f"${name}" if name in os.environ else settings.origin if key in part.model_fields_set else "built-in"
            rows.append({"key": f"{section}.{key}", "value": hidden(str(value)), "from": origin})
    return rows


def hidden(value: str) -> str:
    """A URL without its password."""
    from urllib.parse import urlsplit

    password = urlsplit(value).password if "://" in value else None
    return value.replace(f":{password}@", ":***@") if password else value


def files(settings: Settings) -> Iterator[Fact]:
    """Our own data folders come from our own distribution."""
    from importlib.resources import files as packaged
    from pathlib import Path

    import bridge

    home = Path(bridge.__file__).parent.parent
    for name in ("mappings", "profiles", "connectors"):
        place = Path(str(packaged(name)))
        yield f"{name} are ours", place.parent == home, str(place)
    secret = Path(settings.site.secret_file) if settings.site.secret_file else settings.state / "site.key"
    if secret.is_file():
        safe = secret.stat().st_mode & 0o077 == 0
        yield "site secret", safe, f"{secret}; keep a copy, without it a replay makes other ids" if safe else f"chmod 600 {secret}"
    else:
        yield "site secret", not settings.site.secret_file, f"{secret} is made at the first start"


def own_files(settings: Settings) -> Iterator[Fact]:
    """Feeds, mappings, programmes and profiles load and compile."""
    import yaml

    from bridge.adapters.store.ledger import open_ledger
    from bridge.app import build

    ledger_ = open_ledger("sqlite://")
    ledger_.upgrade()
    made = build(settings, ledger_)
    yield "feeds", True, ", ".join(feed.name for feed in made.feeds)
    yield "mappings", True, f"{len(made.mappings.compiled().programs)} compiled"
    yield "programmes", True, ", ".join(row.programme for row in made.programmes)
    yield "fast YAML reader", bool(yaml.__with_libyaml__), "libyaml" if yaml.__with_libyaml__ else "install PyYAML with libyaml"
    ledger_.close()


def partners(settings: Settings) -> Iterator[Fact]:
    """Each partner's kind and connector exist, its options are valid."""
    from bridge.app import Connectors
    from bridge.consent import project
    from bridge.core.errors import BridgeError

    yield "partners", bool(settings.partner), f"{len(settings.partner)}" if settings.partner else "none: nothing can be referred or answered"
    connectors = Connectors(settings, publish=lambda messages: ["unknown"] * len(messages))
    for row in settings.partner:
        try:
            project.load(row.kind)
            connectors.make(row).close()
            yield f"partner {row.id}", True, f"{row.kind}, {row.connector}"
        except BridgeError as error:
            yield f"partner {row.id}", False, str(error)


def ledger(settings: Settings) -> Iterator[Fact]:
    """The ledger answers, its schema is ours, nothing waits too long."""
    from bridge.adapters.store.ledger import open_ledger

    opened = open_ledger(settings.store_url)
    opened.upgrade()
    yield from opened.health()
    for name, count in sorted(opened.counts().items()):
        yield name, True, str(count)
    opened.close()


def broker(settings: Settings) -> Iterator[Fact]:
    """The broker has the topology that the partners need."""
    if not settings.broker.url:
        yield "broker", True, "none: the embedded default"
        return
    from bridge.adapters.amqp import broker as amqp
    from bridge.cli.topology import management
    from bridge.wiring import address, topology

    missing = amqp.verify(topology(settings), address(settings), management(settings))
    yield "broker topology", not missing, "; ".join(missing[:5]) + ("; sdoh-bridge topology apply" if missing else "complete")
