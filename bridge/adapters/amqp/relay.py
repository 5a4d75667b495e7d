"""The publishing side: copies for shard, rung and parking; sending until all is confirmed; feeding an exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from bridge.adapters.amqp.message import Delivered, Fate, Message
from bridge.adapters.amqp.topology import DLX, WORK, retry_exchange, work_key
from bridge.core.errors import BrokerUnavailable, Transient

ATTEMPT = "x-bridge-attempt"
"""Our own count of attempts; x-death is not kept by RabbitMQ 4 when a client publishes the message again."""


class Publishes(Protocol):
    """What the functions here need of a publisher."""

    def publish(self, messages: Sequence[Message], timeout: float = 30.0) -> list[Fate]: ...


def to_work(message: Delivered, message_id: str, key: str) -> Message:
    """The copy of a received message for the shard of the patient key `key`, under the id the ledger gave it."""
    return Message(WORK, work_key(key), message.body, message_id, message.content_type, message.type, carried(message))


def to_rung(message: Delivered, rung: str) -> Message:
    """The copy that waits on `retry.<rung>` and comes back to the same shard, with one more attempt counted."""
    headers = {**carried(message), ATTEMPT: attempts(message) + 1}
    return Message(retry_exchange(rung), message.routing_key, message.body, message.message_id, message.content_type,
                   message.type, headers)


def to_parked(message: Delivered, why: str) -> Message:
    """The copy that goes to `parked`; `why` is an error code or type, never a text from the message."""
    headers = {**carried(message), "x-bridge-why": why, "x-bridge-queue": message.queue}
    return Message(DLX, message.routing_key, message.body, message.message_id, message.content_type, message.type,
                   headers)


def attempts(message: Delivered) -> int:
    """How often the message was put on a rung before."""
    return int(message.headers.get(ATTEMPT) or 0)


def carried(message: Delivered) -> dict[str, object]:
    """The headers a copy keeps: the broker's own counters and traces belong to the first copy alone."""
    drop = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count", "x-shovelled")
    return {name: value for name, value in message.headers.items() if not name.startswith(drop)}


class Sending:
    """Sends messages until each is confirmed and remembers which are, so that a second try repeats only the others."""

    def __init__(self, publisher: Publishes, timeout: float = 30.0) -> None:
        self._publisher, self._timeout = publisher, timeout
        self._confirmed: set[tuple[str, str, str]] = set()

    def send(self, messages: Sequence[Message]) -> None:
        """Return when all are confirmed; raises BrokerUnavailable when one is not, to be called again with the same."""
        names = [(message.exchange, message.routing_key, message.message_id) for message in messages]
        left = [message for name, message in zip(names, messages, strict=True) if name not in self._confirmed]
        fates = self._publisher.publish(left, self._timeout)
        short = [(message, fate) for message, fate in zip(left, fates, strict=True) if fate != "acked"]
        if not short:
            self._confirmed.clear()
            return
        self._confirmed.update((message.exchange, message.routing_key, message.message_id)
                               for message, fate in zip(left, fates, strict=True) if fate == "acked")
        message, fate = short[0]
        raise BrokerUnavailable(f"{len(short)} of {len(left)} messages are not confirmed; {fate} by {message.exchange} "
                                f"for {message.routing_key}" + _RETURNED * (fate == "returned"), after=1.0)


_RETURNED = "; no queue is bound to that key (sdoh-bridge topology apply)"


def feed(publisher: Publishes, messages: Iterable[Message], *, chunk: int = 500, tries: int = 5,
         pause: Callable[[float], None]) -> Iterator[dict[str, int]]:
    """Publish any number of messages with confirms, `chunk` at a time; yields the running counts after each chunk.

    Keys are the fates of message.Fate. What is unknown, and what finds no connection, is sent again under the same id
    up to `tries` times, with `pause(seconds)` between.
    """
    counts = dict.fromkeys(("acked", "nacked", "returned", "unknown"), 0)
    source = iter(messages)
    while part := list(islice(source, chunk)):
        for left in range(tries - 1, -1, -1):
            try:
                fates = publisher.publish(part)
            except Transient as error:
                if not left:
                    raise
                pause(error.after)
                continue
            for fate in fates:
                counts[fate] += fate != "unknown" or not left
            part = [message for message, fate in zip(part, fates, strict=True) if fate == "unknown"]
            if not part:
                break
        yield dict(counts)
