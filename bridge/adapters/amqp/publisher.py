"""Publishing with confirms: a window of messages in flight, one fate per message, in the order given."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from bridge.adapters.amqp.message import Fate, Message
from bridge.adapters.amqp.transport import Address, Link, from_fault, properties
from bridge.core.errors import BridgeError, BrokerUnavailable, Refused, SettingsError


class _Batch:
    """Messages of one call and what became of each; `next` is the first that was not sent yet."""

    __slots__ = ("done", "fates", "fault", "messages", "next", "open")

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.fates: list[Fate] = ["unknown"] * len(messages)
        self.next = 0
        self.open = len(messages)
        self.done = threading.Event()
        self.fault: BridgeError | None = None


class Publisher:
    """Publishes to any exchange on a connection that does nothing else, because an alarm at the broker freezes a
    connection that publishes in both directions. Any thread may call `publish`.

    Facts for health and metrics: `confirmed`, `nacked`, `returned`, `unknown` counts, `link.up`, `link.blocked`,
    `link.error`, `link.reconnects`.
    """

    def __init__(self, address: Address, *, window: int = 500, role: str = "publish",
                 jitter: Callable[[], float] = random.random, link: Callable[..., Any] = Link) -> None:
        self.confirmed = self.nacked = self.returned = self.unknown = 0
        self._window = window
        self._queue: deque[_Batch] = deque()
        self._flight: dict[int, tuple[_Batch, int]] = {}
        self._lowest = self._next = 1
        self._back: Counter[tuple[str, str, str]] = Counter()
        self._channel: Any = None
        self.link = link(address, role, self._setup, self._lost, jitter)

    def publish(self, messages: Sequence[Message], timeout: float = 30.0) -> list[Fate]:
        """Send the messages in order and return the fate of each, in order, within `timeout` seconds.

        `unknown` may or may not have been stored: send it again with the same message_id, and in order. After a lost
        connection everything that was not confirmed is unknown, what was not sent too, so that no later message
        overtakes. Raises BrokerUnavailable when nothing was sent (no connection, or an alarm blocks us), SettingsError
        or Refused when the broker will have none of it (no such exchange, not permitted) and none was confirmed.
        """
        if not messages:
            return []
        check(messages)
        until = time.monotonic() + timeout
        self.link.wait(timeout)
        batch = _Batch(messages)
        if not self.link.call(lambda: self._accept(batch)):
            raise BrokerUnavailable("no connection to the broker")
        if not batch.done.wait(max(0.0, until - time.monotonic())):
            self.link.call(lambda: self._abandon(batch))
            batch.done.wait(1.0)
        fates = list(batch.fates)
        self.unknown += fates.count("unknown")
        fault = batch.fault or BrokerUnavailable("the broker confirms nothing")
        if fates.count("unknown") == len(fates) and (isinstance(fault, SettingsError | Refused) or not batch.next):
            raise fault
        return fates

    def close(self, timeout: float = 5.0) -> None:
        """Close in order; what is in flight becomes unknown."""
        self.link.close(timeout)

    def _setup(self, channel: Any) -> None:
        self._channel = channel
        self._lowest = self._next = 1
        channel.add_on_return_callback(self._on_return)
        channel.connection.add_on_connection_unblocked_callback(lambda *_: self._pump())
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self.link.ready())

    def _lost(self, error: BridgeError) -> None:
        self._channel = None
        batches = {id(batch): batch for batch, _ in self._flight.values()} | {id(batch): batch for batch in self._queue}
        self._flight.clear()
        self._back.clear()
        self._queue.clear()
        for batch in batches.values():
            batch.fault = error
            batch.done.set()

    def _accept(self, batch: _Batch) -> None:
        if self._channel is None:
            batch.fault = BrokerUnavailable("no connection to the broker")
            batch.done.set()
            return
        self._queue.append(batch)
        self._pump()

    def _abandon(self, batch: _Batch) -> None:
        if batch in self._queue:
            self._queue.remove(batch)
        batch.done.set()

    def _pump(self) -> None:
        """Send while the window has room. While an alarm blocks us nothing more goes into the socket's buffer."""
        while self._queue and len(self._flight) < self._window and not self.link.blocked:
            batch = self._queue[0]
            message = batch.messages[batch.next]
            self._flight[self._next] = (batch, batch.next)
            self._next += 1
            batch.next += 1
            if batch.next == len(batch.messages):
                self._queue.popleft()
            try:
                self._channel.basic_publish(
                    message.exchange, message.routing_key, message.body, properties(message), mandatory=True)
            except Exception as error:  # noqa: BLE001 - encoding or a closed channel: the caller gets it, mapped
                self._next -= 1  # pika encodes before it sends, so this number was not used
                del self._flight[self._next]
                batch.next -= 1
                batch.fault = from_fault(error)
                self._abandon(batch)

    def _on_return(self, _channel: Any, method: Any, props: Any, _body: bytes) -> None:
        # Basic.Return has no sequence number and comes before the confirm of the same message.
        self._back[(method.exchange, method.routing_key, props.message_id)] += 1

    def _on_confirm(self, frame: Any) -> None:
        confirm = frame.method
        tag = confirm.delivery_tag
        fate: Fate = "acked" if confirm.NAME == "Basic.Ack" else "nacked"
        if confirm.multiple:
            for each in range(self._lowest, tag + 1):
                self._settle(each, fate)
            self._lowest = tag + 1
        else:
            self._settle(tag, fate)
        self._pump()

    def _settle(self, tag: int, fate: Fate) -> None:
        flown = self._flight.pop(tag, None)
        if flown is None:
            return
        batch, index = flown
        if fate == "nacked":
            self.nacked += 1
        elif self._back and self._was_returned(batch.messages[index]):
            fate = "returned"
            self.returned += 1
        else:
            self.confirmed += 1
        batch.fates[index] = fate
        batch.open -= 1
        if not batch.open:
            batch.done.set()

    def _was_returned(self, message: Message) -> bool:
        key = (message.exchange, message.routing_key, message.message_id)
        if not self._back[key]:
            del self._back[key]
            return False
        self._back -= Counter([key])
        return True


def check(messages: Sequence[Message]) -> None:
    """Raise Refused for the first message that AMQP cannot carry: no id, or a name longer than 255 bytes."""
    for index, (exchange, key, body, id_, content_type, type_, _headers) in enumerate(messages):
        if not id_:
            raise Refused(f"message {index} has no message_id")
        if not isinstance(body, bytes):
            raise Refused(f"message {index} has a body that is not bytes")
        for text in (exchange, key, id_, content_type, type_):
            if len(text) > 63 and len(text.encode()) > 255:
                raise Refused(f"message {index} has a name of more than 255 bytes")
