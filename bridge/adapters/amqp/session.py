"""A conversation with the broker, one request after the other: declare, bind, look; for set-up, never for traffic."""

from __future__ import annotations

import queue
from typing import Any, Self

from bridge.adapters.amqp.transport import Address, Link, from_fault
from bridge.core.errors import BridgeError, BrokerUnavailable


class Session:
    """A short-lived connection whose calls wait for their reply. A refused call closes its channel (AMQP 0-9-1, error
    model), so each call has a channel of its own."""

    def __init__(self, address: Address, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._connection: Any = None
        self._link = Link(address, "session", self._setup, self._replies.put)

    def __enter__(self) -> Self:
        try:
            self._link.wait(self._timeout)
        except BridgeError:
            self._link.drop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a channel method that takes a callback (`exchange_declare`, `queue_bind`, ...) and return its reply.

        Raises what the broker's refusal means (faults.from_reply), BrokerUnavailable without a reply in time.
        """
        self._link.wait(self._timeout)
        while not self._replies.empty():
            self._replies.get_nowait()
        def ask(channel: Any) -> None:
            self._ask(channel, method, arguments)

        if not self._link.call(lambda: self._connection.channel(on_open_callback=ask)):
            raise BrokerUnavailable("no connection to the broker")
        try:
            reply = self._replies.get(timeout=self._timeout)
        except queue.Empty:
            raise BrokerUnavailable(f"no reply to {method}") from None
        if isinstance(reply, BridgeError):
            raise reply
        return reply

    def _setup(self, channel: Any) -> None:
        self._connection = channel.connection
        self._link.ready()

    def _ask(self, channel: Any, method: str, arguments: dict[str, Any]) -> None:
        answered: list[Any] = []

        def answer(reply: Any) -> None:
            if not answered:
                answered.append(reply)
                self._replies.put(reply)
                if channel.is_open:
                    channel.close()

        channel.add_on_close_callback(lambda _, error: answer(from_fault(error)))
        getattr(channel, method)(callback=lambda frame: answer(frame.method), **arguments)
