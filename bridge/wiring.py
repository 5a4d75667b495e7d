"""Which loops a role has, with the broker and without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import uvicorn

from bridge import sdk
from bridge.adapters.amqp.consumer import Progress
from bridge.adapters.amqp.message import Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.topology import Topology, describe
from bridge.adapters.amqp.transport import Address
from bridge.app import Connectors
from bridge.core.errors import BridgeError, SettingsError
from bridge.pipeline.bridge import Bridge
from bridge.roles import Turns, ingest, receiver, sender, settle, sweeper, worker
from bridge.settings import Settings
from bridge.web.app import Fact, build

STALE = 60.0
"""Seconds without a turn after which a loop counts as dead."""


@dataclass(slots=True)
class Running:
    """The loops of one process and what is open for them."""

    loops: dict[str, Callable[[], Any]] = field(default_factory=dict)
    publishers: list[Publisher] = field(default_factory=list)
    turns: Turns = field(default_factory=Turns)
    progress: dict[str, Progress] = field(default_factory=dict)
    seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    broken: bool = False

    def close(self) -> None:
        """Close every connection, publishers last."""
        for one in self.publishers:
            one.close()


def address(settings: Settings) -> Address:
    """The broker's address with the password from its file. Raises SettingsError when there is no broker."""
    if not settings.broker.url:
        raise SettingsError("no broker: set broker.url in bridge.toml or SDOH_BRIDGE_BROKER_URL")
    return Address(settings.broker.url, Path(settings.broker.password_file) if settings.broker.password_file else None)


def topology(settings: Settings) -> Topology:
    """Exchanges, queues, policies and users for the settings' partners; EHR partners are the facilities."""
    facilities = [row.id for row in settings.partner if row.kind == "ehr"]
    return describe(facilities, [row.id for row in settings.partner if row.kind != "ehr"])


def loops(settings: Settings, role: str, bridge: Bridge, connectors: Connectors, stop: Event) -> Running:
    """The loops of a role, ready to be run in threads; connections are opened here."""
    running = Running()
    everyone = [row.id for row in settings.partner]
    if settings.broker.url:
        _with_broker(settings, role, bridge, connectors, stop, running)
    else:
        if role in ("all", "receiver"):
            running.loops["receiver"] = partial(receiver, bridge, stop, running.turns)
        if role in ("all", "sender", "relay") and everyone:
            running.loops["sender"] = partial(sender, bridge, connectors, everyone, stop, running.turns)
    if role in ("all", "receiver"):
        running.loops["sweeper"] = partial(sweeper, bridge, stop, running.turns)
    settle()
    if role in ("all", "web"):
        running.loops["web"] = partial(web, settings, bridge, running, stop)
    return running


def _with_broker(settings: Settings, role: str, bridge: Bridge, connectors: Connectors, stop: Event, running: Running) -> None:
    """Receiving and publishing have connections of their own: an alarm freezes a connection that has published."""
    where = address(settings)

    def publisher(name: str) -> Publisher:
        made = Publisher(where, role=name)
        running.publishers.append(made)
        return made

    if role in ("all", "receiver"):
        names = {row.id: "" if row.kind == "ehr" else row.id for row in settings.partner}
        running.progress = {"ingest": Progress(), "receiver": Progress()}
        forward = publisher("forward")
        running.loops["ingest"] = partial(ingest, bridge, where, names, forward, stop, running.progress["ingest"])
        running.loops["receiver"] = partial(worker, bridge, where, forward, stop, running.progress["receiver"])
    on_broker = [row.id for row in settings.partner if row.connector == "rabbit_tasks"]
    elsewhere = [row.id for row in settings.partner if row.connector != "rabbit_tasks"]
    if role in ("all", "relay") and on_broker:
        connectors.publish = publish_with(publisher("relay"))
        running.loops["relay"] = partial(sender, bridge, connectors, on_broker, stop, running.turns, "relay")
    if role in ("all", "sender") and elsewhere:
        running.loops["sender"] = partial(sender, bridge, connectors, elsewhere, stop, running.turns)


def publish_with(publisher: Publisher) -> sdk.Publish:
    """A connector's view of the broker: what cannot be reached is `unknown`, to be sent again under the same id."""

    def publish(messages: Sequence[sdk.Message]) -> list[str]:
        made = [Message(one.exchange, one.key, one.body, one.id, one.content_type, headers=one.headers) for one in messages]
        try:
            return list(publisher.publish(made))
        except BridgeError:
            return ["unknown"] * len(made)

    return publish


def web(settings: Settings, bridge: Bridge, running: Running, stop: Event) -> None:
    """Health and metrics until `stop`."""
    host, _, port = settings.web.listen.rpartition(":")
    application = build(bridge.metrics, lambda: alive(running), lambda: ready(bridge, running), bridge.ledger.counts)
    server = uvicorn.Server(uvicorn.Config(application, host=host or "127.0.0.1", port=int(port), log_level="critical", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]  # the process has its own
    from threading import Thread

    Thread(target=lambda: (stop.wait(), setattr(server, "should_exit", True)), daemon=True).start()
    server.run()


def alive(running: Running) -> list[Fact]:
    """The loops turn; neither broker nor database is asked, because a restart would not mend them."""
    now = time.monotonic()
    last = dict(running.turns.last)
    for role, one in running.progress.items():
        turns, moved = running.seen.get(role, (-1, now))
        last[role] = moved if one.turns == turns else now
        running.seen[role] = one.turns, last[role]
    return [(role, now - moved < STALE, f"{now - moved:.0f} s since its last turn") for role, moved in last.items()]


def ready(bridge: Bridge, running: Running) -> list[Fact]:
    """Work can be taken and committed now."""
    facts: list[Fact] = [(name, one.ready, one.why or "consuming") for name, one in running.progress.items()]
    facts += [("publisher", one.link.up and not one.link.blocked, "") for one in running.publishers]
    try:
        bridge.ledger.counts()
        facts.append(("ledger", True, ""))
    except BridgeError as error:
        facts.append(("ledger", False, error.code))
    return facts
