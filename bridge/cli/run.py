"""`run`: the service."""

from __future__ import annotations

import signal
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.settings import Settings
    from bridge.wiring import Running

ROLES = ("all", "receiver", "relay", "sender", "mllp", "web")


@click.command("run")
@click.option("--role", type=click.Choice(ROLES), default="all", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
@click.pass_context
def command(ctx: click.Context, role: str, log_level: str) -> None:
    """The service, until SIGTERM or SIGINT: what has begun is finished and committed, then it ends with 0.

    Without a broker in the settings, `all` is one process over the ledger. With one: `receiver` takes messages off the
    broker, `relay` sends to partners on the broker, `sender` to all others, `web` serves health and metrics.
    """
    from bridge.observe import log

    log.configure(level=log_level)
    if role == "mllp":
        raise click.UsageError("MLLP is not built yet: let the engine publish to RabbitMQ, or use `sdoh-bridge publish`")
    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if not serve(context.settings(ctx), role, stop):
        ctx.exit(1)


def serve(settings: Settings, role: str, stop: Event) -> bool:
    """Run a role's loops in threads until `stop`; False when one of them ended by itself."""
    from bridge.app import Connectors, build
    from bridge.observe.log import logger
    from bridge.wiring import loops

    bridge = build(settings)
    bridge.mappings.compiled()
    connectors = Connectors(settings)
    running = loops(settings, role, bridge, connectors, stop)
    logger().info("started", role=role, count=len(running.loops))
    threads = [Thread(target=_until(loop, stop, running), name=name, daemon=True) for name, loop in running.loops.items()]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(timeout=25)
    running.close()
    connectors.close()
    bridge.ledger.close()
    logger().info("stopped", role=role)
    return not running.broken


def _until(loop: Callable[[], Any], stop: Event, running: Running) -> Callable[[], None]:
    """A loop that ends for a fault ends the process with it: half a service is worse than a restart."""
    from bridge.observe.log import logger
    from bridge.pipeline.fault import fault_issue

    def turn() -> None:
        try:
            loop()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - named in the log, then the process ends and is started again
            logger().error("loop_ended", error=fault_issue(error).text)
        finally:
            if not stop.is_set():
                running.broken = True
                show.say("a loop ended; stopping")
                stop.set()

    return turn
