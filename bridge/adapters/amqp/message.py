"""What goes to the broker and what comes from it, as values; no AMQP library here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Fate = Literal["acked", "nacked", "returned", "unknown"]
"""What became of one publish: stored and confirmed; refused (a full queue); no queue for its key; or not known because
the connection went first - then send it again under the same message id."""

NONE: Mapping[str, Any] = MappingProxyType({})


class Message(NamedTuple):
    """One message to publish; always persistent, mandatory and confirmed. `message_id` is the idempotency key."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    content_type: str = ""
    type: str = ""
    headers: Mapping[str, Any] = NONE


class Delivered(NamedTuple):
    """One message as the broker delivered it. `delivery_count` is how often it came back before (quorum queues);
    `user_id` is the login that published it when the publisher said so (the broker checks it)."""

    body: bytes
    message_id: str
    content_type: str
    headers: Mapping[str, Any]
    routing_key: str
    redelivered: bool
    delivery_count: int
    queue: str = ""
    type: str = ""
    user_id: str = ""
    tag: int = 0
