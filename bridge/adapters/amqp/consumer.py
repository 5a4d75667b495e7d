"""The loops that take batches, have them committed, and only then acknowledge them (reliability 6 and 9)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from bridge.adapters.amqp.message import Delivered, Message
from bridge.adapters.amqp.relay import Publishes, Sending, to_parked, to_rung
from bridge.adapters.amqp.subscription import ALONE, Batch
from bridge.core.errors import Transient

LOG = logging.getLogger("bridge.amqp")
ACK = ""
"""The disposition of a message whose outcome is committed; any other disposition is a rung (`5s`, `30s`, ...)."""

Take = Callable[[list[Delivered]], Sequence[str]]
"""Commits a batch and returns one disposition per message, in order. Raises core.errors.Transient to have the very
same batch again later; anything else it raises ends the loop with nothing acked."""


class Subscription(Protocol):
    """What the loops need of a consumer (subscription.Consumer)."""

    def batch(self, size: int = 100, linger: float = 0.02, wait: float = 1.0) -> Batch | None: ...
    def current(self, batch: Batch) -> bool: ...
    def ack(self, batch: Batch) -> None: ...
    def finish(self, last: Batch | None, timeout: float = 10.0) -> None: ...
    def drop(self) -> None: ...


@dataclass(slots=True)
class Progress:
    """What a loop has done, for liveness (`turns` grows while it lives), readiness and metrics."""

    ready: bool = False
    turns: int = 0
    batches: int = 0
    messages: int = 0
    pauses: int = 0
    retried: int = 0
    parked: int = 0
    stale: int = 0
    why: str = ""


def run_worker(consumer: Subscription, take: Take, publisher: Publishes, stop: Event, *, size: int = 100,
               linger: float = 0.02, grace: float = 20.0, progress: Progress | None = None,
               clock: Callable[[], float] = time.monotonic) -> Progress:
    """Take batches until `stop` is set, then end in order: what was delivered is committed, acked once, and the socket
    let go, so that no message of a patient overtakes another.

    A Transient fault pauses with the batch in hand (nothing is requeued, readiness goes false) and tries again. What is
    not committed `grace` seconds after the stop is left to the next consumer. Any other exception drops the socket and
    is raised, except for a message taken alone (it came back ALONE times or more), which is parked.
    """
    progress = progress or Progress()
    sending = Sending(publisher)
    last: Batch | None = None
    try:
        while not stop.is_set():
            progress.turns += 1
            batch = consumer.batch(size, linger, 0.5)
            if batch is None:
                progress.ready = True
            elif not _commit(batch, consumer, take, sending, stop, progress, clock):
                if stop.is_set():
                    consumer.finish(None)
                    return progress
            elif stop.is_set():  # from here on an ack would only ask for more
                last = batch
            else:
                consumer.ack(batch)
        until = clock() + grace
        while clock() < until and (batch := consumer.batch(size, 0.0, 0.0)) is not None:
            if not _commit(batch, consumer, take, sending, stop, progress, clock):
                break
            last = batch
        consumer.finish(last)
    except BaseException:
        consumer.drop()
        raise
    finally:
        progress.ready = False
    return progress


def _commit(batch: Batch, consumer: Subscription, take: Take, sending: Sending, stop: Event, progress: Progress,
            clock: Callable[[], float]) -> bool:
    """Have the batch committed and its copies confirmed; False when it is no longer ours, or a fault met the stop."""
    dispositions: Sequence[str] | None = None
    faults = 0
    while consumer.current(batch):
        try:
            if dispositions is None:
                dispositions = _take(batch, take, sending, progress)
            pairs = zip(batch.messages, dispositions, strict=True)
            copies = [to_rung(message, rung) for message, rung in pairs if rung]
            if copies:
                sending.send(copies)
        except Transient as fault:
            faults += 1
            progress.ready, progress.why = False, fault.code
            progress.pauses += 1
            LOG.warning("amqp.paused", extra={"code": fault.code, "why": str(fault), "messages": len(batch.messages)})
            if _pause(fault.after, faults, stop, consumer, batch, progress, clock):
                continue
            return False
        progress.ready, progress.why = True, ""
        progress.batches += 1
        progress.messages += len(batch.messages)
        progress.retried += len(copies)
        return True
    progress.stale += 1
    return False


def _take(batch: Batch, take: Take, sending: Sending, progress: Progress) -> Sequence[str]:
    try:
        return take(batch.messages)
    except Transient:
        raise
    except Exception as fault:
        message = batch.messages[0]
        if len(batch.messages) > 1 or message.delivery_count < ALONE:
            raise
        # It has ended a consumer ALONE times; its neighbours must live. The type only: a text may hold the patient.
        LOG.error("amqp.parked", extra={"queue": message.queue, "type": type(fault).__name__})  # noqa: TRY400
        sending.send([to_parked(message, type(fault).__name__)])
        progress.parked += 1
        return [ACK]


def _pause(after: float, faults: int, stop: Event, consumer: Subscription, batch: Batch, progress: Progress,
           clock: Callable[[], float]) -> bool:
    """Wait before the next try, longer each time (at most a minute) while the batch is ours; False on a stop."""
    until = clock() + min(60.0, after * min(8, 2 ** (faults - 1)))
    while (left := until - clock()) > 0 and consumer.current(batch):
        progress.turns += 1
        if stop.wait(min(0.5, left)):
            return False
    return not stop.is_set()


def forwarding(store: Callable[[list[Delivered]], Sequence[Message | None]], publisher: Publishes) -> Take:
    """The `take` of an ingest loop: `store` writes the raw messages durably and returns for each its copy for `work`
    (relay.to_work), or None when there is nothing to forward; a message is acked when its copy is confirmed."""
    sending = Sending(publisher)
    stored: list[tuple[list[Delivered], Sequence[Message | None]]] = []

    def take(messages: list[Delivered]) -> Sequence[str]:
        if not stored or stored[0][0] is not messages:
            stored[:] = [(messages, store(messages))]
        sending.send([copy for copy in stored[0][1] if copy is not None])
        stored.clear()
        return [ACK] * len(messages)

    return take
