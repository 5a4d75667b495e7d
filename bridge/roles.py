"""The loops of the service. Each turns until `stop` is set, finishes what it has begun, and says when it last turned."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from bridge.adapters.amqp.consumer import ACK, Progress, forwarding, run_worker
from bridge.adapters.amqp.message import Delivered, Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.relay import to_work
from bridge.adapters.amqp.subscription import Consumer
from bridge.adapters.amqp.topology import ingest_queue, work_queues
from bridge.adapters.amqp.transport import Address
from bridge.app import Connectors
from bridge.core.errors import Transient
from bridge.core.outcome import Outcome, Retry
from bridge.core.rows import Arrival, InboxRow
from bridge.observe.log import logger
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.read import Inbound, Incoming, arrive, content_type
from bridge.pipeline.receive import park, receive
from bridge.pipeline.reconsider import sweep
from bridge.pipeline.send import send

BATCH = 100
IDLE = 0.05
"""Seconds between looks at an empty ledger."""
SWEEP = 5.0
"""Seconds between looks for consents that have begun or ended."""
STANDBY = 1.0
"""Seconds between looks at a lease that another process has."""
POISON = 3
"""A message that the broker brings back this often comes alone, with its attempts counted first."""
ATTEMPTS = 4
"""A message that was begun this often without an end is parked."""
YOUNG = 50_000
"""New containers before the collector looks at them: what a batch makes dies with the batch, without being looked at."""
RUNG = "5s"
"""Where a message waits on the retry ladder; the ledger knows when it is due."""


@dataclass(slots=True)
class Turns:
    """When each loop last turned (time.monotonic), for liveness."""

    last: dict[str, float] = field(default_factory=dict)

    def tick(self, role: str) -> None:
        self.last[role] = time.monotonic()


def settle() -> None:
    """Ready this process for batches: what start-up made is set aside for good, and a batch is not searched for cycles
    that it does not make. Call it once, when everything is loaded; it saves a tenth of `receive`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 100)


def store(messages: Sequence[tuple[Any, ...]], bridge: Bridge) -> list[tuple[Arrival, str]]:
    """Store messages (the fields of Incoming) durably and in order; each arrival with `new`, `pending`, `done` or
    `conflict`."""
    inbound, now = Inbound(bridge.feeds, bridge.ids), bridge.clock()
    arrivals = [arrive(Incoming(*one), now, inbound) for one in messages]
    found = []
    for arrival, stored in zip(arrivals, bridge.ledger.store(arrivals), strict=True):
        bridge.metrics.received.labels(arrival.envelope.feed, arrival.event).inc()
        if stored.state == "done":
            bridge.metrics.duplicates.labels(arrival.envelope.feed).inc()
        if stored.state == "conflict":
            bridge.metrics.conflicts.labels(arrival.envelope.feed).inc()
            logger().warning("id_conflict", message=stored.id, feed=arrival.envelope.feed, trigger=arrival.event)
        found.append((arrival, stored.state))
    return found


def drain(bridge: Bridge, connectors: Connectors | None, limit: int = 1_000_000) -> int:
    """Work everything that is due, once, in this thread; returns how many messages were taken. For demo, tests, try."""
    taken = 0
    while taken < limit and (rows := bridge.ledger.pending(BATCH, bridge.clock())):
        receive(rows, bridge)
        taken += len(rows)
    while connectors and (out := bridge.ledger.waiting(sorted(bridge.partners), BATCH * 5, bridge.clock())):
        send(out, bridge, connectors)
    return taken


def receiver(bridge: Bridge, stop: Event, turns: Turns) -> None:
    """The embedded receiver: takes unfinished messages from the ledger, oldest first.

    The first hundred, among which a crash may have left its cause, are taken one by one with the attempt counted first,
    so that a message which ends the process is found by name and parked instead of ending it for ever.
    """
    careful = BATCH
    while not stop.is_set():
        turns.tick("receiver")
        try:
            if not bridge.ledger.lease("receiver"):
                stop.wait(STANDBY)
                continue
            rows = bridge.ledger.pending(1 if careful else BATCH, bridge.clock())
            if not rows:
                careful = 0
                stop.wait(IDLE)
                continue
            if careful:
                careful -= 1
                bridge.ledger.attempt([row.envelope.id for row in rows])
            attempted(rows, bridge)
        except Transient as error:
            logger().warning("paused", role="receiver", code=error.code)
            stop.wait(error.after)


def sender(bridge: Bridge, connectors: Connectors, partners: Sequence[str], stop: Event, turns: Turns, role: str = "sender") -> None:
    """Sends what is due to these partners, in order per patient; of several processes one does it, the others stand by."""
    while not stop.is_set():
        turns.tick(role)
        try:
            if not bridge.ledger.lease(role):
                stop.wait(STANDBY)
                continue
            rows = bridge.ledger.waiting(partners, BATCH * 5, bridge.clock())
            if rows:
                send(rows, bridge, connectors)
            else:
                stop.wait(IDLE)
        except Transient as error:
            logger().warning("paused", role=role, code=error.code)
            stop.wait(error.after)


def sweeper(bridge: Bridge, stop: Event, turns: Turns) -> None:
    """Looks for consents that time alone has begun or ended; of several processes one does it."""
    while not stop.is_set():
        turns.tick("sweeper")
        try:
            if not bridge.ledger.lease("sweeper") or not sweep(bridge):
                stop.wait(SWEEP)
        except Transient as error:
            logger().warning("paused", role="sweeper", code=error.code)
            stop.wait(error.after)


def ingest(bridge: Bridge, address: Address, names: dict[str, str], publisher: Publisher, stop: Event, progress: Progress) -> None:
    """Takes what engines and partners publish, stores it raw, and forwards a pointer to its patient's shard.

    `names` is queue owner (facility or partner) -> the feed it speaks as ("" lets MSH-3/4 say). The owner travels with
    the message: what it claims to be is held against it.
    """
    owners = {ingest_queue(name): (feed, name) for name, feed in names.items()}
    consumer = Consumer(address, list(owners), role="ingest")

    def keep(messages: list[Delivered]) -> list[Message | None]:
        found = store([(content_type(one.body), one.body, *owners[one.queue]) for one in messages], bridge)
        return [None if state == "done" else to_work(one._replace(body=b""), arrival.envelope.id, arrival.key or arrival.envelope.id)
                for one, (arrival, state) in zip(messages, found, strict=True)]

    run_worker(consumer, forwarding(keep, publisher), publisher, stop, progress=progress)


def worker(bridge: Bridge, address: Address, publisher: Publisher, stop: Event, progress: Progress) -> None:
    """Takes pointers from the 64 shards and receives the messages behind them; a patient's order is kept."""
    consumer = Consumer(address, work_queues(), role="receiver", prefetch=20)

    def take(messages: list[Delivered]) -> list[str]:
        ids = [one.message_id for one in messages]
        if len(messages) == 1 and messages[0].delivery_count >= POISON:
            bridge.ledger.attempt(ids)
        rows = bridge.ledger.unfinished(ids, bridge.clock())
        outcome = {row.envelope.id: found for row, found in zip(rows, attempted(rows, bridge), strict=True)}
        # a patient's message whose earlier one is not due yet waits on the ladder too, and is asked for again
        waiting = {row.envelope.id for row in bridge.ledger.inbox([id_ for id_ in ids if id_ not in outcome])
                   if row.outcome in ("", "retry")}
        waiting |= {id_ for id_, found in outcome.items() if isinstance(found, Retry)}
        return [RUNG if id_ in waiting else ACK for id_ in ids]

    run_worker(consumer, take, publisher, stop, progress=progress)


def attempted(rows: Sequence[InboxRow], bridge: Bridge) -> list[Outcome]:
    """Receive these rows; one that has ended the process too often is parked by name instead."""
    found = {row.envelope.id: park(row, bridge) for row in rows if row.attempts >= ATTEMPTS and row.outcome == ""}
    left = [row for row in rows if row.envelope.id not in found]
    found.update(zip((row.envelope.id for row in left), receive(left, bridge) if left else [], strict=True))
    return [found[row.envelope.id] for row in rows]
