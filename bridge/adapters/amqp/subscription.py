"""Consuming: deliveries gathered on the connection's thread, handed to the caller in batches, acked together."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from bridge.adapters.amqp.message import Delivered
from bridge.adapters.amqp.transport import Address, Link, delivered
from bridge.core.errors import BridgeError, BrokerUnavailable

ALONE = 3
"""A message that came back this often is handed out by itself: it may be what ends the process (reliability 8)."""


class _Inflow:
    """What one channel delivered and is not acked yet; a new channel has a new one, so old tags never reach it."""

    __slots__ = ("buffer", "channel", "load", "unacked")

    def __init__(self, channel: Any, queues: Sequence[str]) -> None:
        self.channel = channel
        self.buffer: deque[Delivered] = deque()
        self.unacked: deque[tuple[int, str]] = deque()
        self.load = dict.fromkeys(queues, 0)


class Batch(NamedTuple):
    """A prefix of what was delivered, in order; `inflow` ties it to the channel that delivered it."""

    messages: list[Delivered]
    inflow: _Inflow


class Consumer:
    """Consumes one or many queues on a connection that publishes nothing, so an alarm at the broker does not stop it.

    `prefetch` is per queue. Whatever ends the channel (connection lost, channel closed by consumer_timeout, queue
    deleted, consumer cancelled) drops what was buffered and opens a new one; the broker delivers it again.
    Facts: `delivered`, `acked`, `batches` counts, `link.up`, `link.error`, `link.reconnects`.
    """

    def __init__(self, address: Address, queues: Sequence[str], *, prefetch: int = 200, role: str = "consume",
                 jitter: Callable[[], float] = random.random, link: Callable[..., Any] = Link) -> None:
        self.delivered = self.acked = self.batches = 0
        self._queues, self._prefetch = tuple(queues), prefetch
        self._inflow: _Inflow | None = None
        self._wanted = 1
        self._arrived = threading.Event()
        self.link = link(address, role, self._setup, self._lost, jitter)

    def wait(self, timeout: float = 30.0) -> None:
        """Return when every queue is being consumed; errors as `Link.wait`."""
        self.link.wait(timeout)

    def batch(self, size: int = 100, linger: float = 0.02, wait: float = 1.0) -> Batch | None:
        """Up to `size` messages in the order of arrival, or None after `wait` seconds without one.

        Waits `linger` seconds for more once the first is there. A message that came back ALONE times or more comes
        in a batch of its own.
        """
        if not self._await(1, wait) or (size > 1 and linger > 0 and not self._await(size, linger) and self._empty()):
            return None
        inflow = self._inflow
        if inflow is None:
            return None
        taken: list[Delivered] = []
        while inflow.buffer and len(taken) < size:
            suspect = inflow.buffer[0].delivery_count >= ALONE
            if suspect and taken:
                break
            taken.append(inflow.buffer.popleft())
            if suspect:
                break
        self.batches += 1
        return Batch(taken, inflow) if taken else None

    def current(self, batch: Batch) -> bool:
        """Whether the batch can still be acked; if not, the broker delivers it again, perhaps to someone else."""
        return batch.inflow is self._inflow

    def ack(self, batch: Batch) -> None:
        """Acknowledge this batch and everything handed out before it; without effect once its channel is gone."""
        self.link.call(lambda: self._ack(batch))

    def finish(self, last: Batch | None, timeout: float = 10.0) -> None:
        """The ordered end: everything up to `last` is committed (None: nothing is to be acked).

        A queue that has given us all the prefetch allows can send nothing more: it is cancelled, then `last` is acked.
        A queue that may still send is not cancelled, because then its next consumer would get newer messages while
        late ones lie in our socket; instead the socket is dropped once the broker has seen the ack, and the broker
        puts the late ones back in front. Raises nothing: what is not acked comes again.
        """
        done = threading.Event()
        if self.link.call(lambda: self._cancel_full(last, done)):
            done.wait(timeout)
        self.link.drop()

    def drop(self) -> None:
        """The hard end: nothing more is acked, the broker returns everything we hold, in order."""
        self.link.drop()

    def _await(self, count: int, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while True:
            self._wanted = count
            self._arrived.clear()
            inflow = self._inflow
            if inflow is not None and len(inflow.buffer) >= count:
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._arrived.wait(left)

    def _empty(self) -> bool:
        return self._inflow is None or not self._inflow.buffer

    def _setup(self, channel: Any) -> None:
        inflow = _Inflow(channel, self._queues)
        channel.add_on_cancel_callback(lambda _: self.link.fail(
            BrokerUnavailable("the broker cancelled a consumer: its queue was deleted or has no leader")))
        channel.basic_qos(prefetch_count=self._prefetch)
        self._inflow = inflow
        for queue in self._queues:
            # Without a callback pika asks for no reply; the reply to the last one answers for all before it.
            last = queue == self._queues[-1]
            channel.basic_consume(queue, partial(self._on_deliver, inflow, queue), consumer_tag=queue,
                                  callback=(lambda _: self.link.ready()) if last else None)

    def _on_deliver(self, inflow: _Inflow, queue: str, _channel: Any, method: Any, props: Any, body: bytes) -> None:
        inflow.buffer.append(delivered(queue, method, props, body))
        inflow.unacked.append((method.delivery_tag, queue))
        inflow.load[queue] += 1
        self.delivered += 1
        if len(inflow.buffer) >= self._wanted:
            self._arrived.set()

    def _lost(self, _error: BridgeError) -> None:
        self._inflow = None
        self._arrived.set()

    def _ack(self, batch: Batch) -> None:
        if not self.current(batch) or not batch.messages:
            return
        tag, inflow = batch.messages[-1].tag, batch.inflow
        if not inflow.unacked or tag < inflow.unacked[0][0]:
            return  # acked before; the broker closes the channel over a tag it does not know
        inflow.channel.basic_ack(tag, multiple=True)
        while inflow.unacked and inflow.unacked[0][0] <= tag:
            inflow.load[inflow.unacked.popleft()[1]] -= 1
            self.acked += 1

    def _cancel_full(self, last: Batch | None, done: threading.Event) -> None:
        inflow = self._inflow
        if inflow is None or not self.link.up:
            done.set()
            return
        committed = last.messages[-1].tag if last is not None and self.current(last) else 0
        late = {queue for tag, queue in inflow.unacked if tag > committed}
        full = [queue for queue in self._queues if inflow.load[queue] >= self._prefetch and queue not in late]
        for queue in full[:-1]:
            inflow.channel.basic_cancel(queue)
        if full:
            inflow.channel.basic_cancel(full[-1], callback=lambda _: self._ack_and_sync(last, done))
        else:
            self._ack_and_sync(last, done)

    def _ack_and_sync(self, last: Batch | None, done: threading.Event) -> None:
        inflow = self._inflow
        if inflow is None:
            done.set()
            return
        if last is not None:
            self._ack(last)
        # A reply on the same channel says that the ack before it was taken (AMQP 0-9-1 4.7: order within a channel).
        inflow.channel.basic_qos(prefetch_count=1, callback=lambda _: done.set())
