"""Tasks on the partner's own RabbitMQ queue: exchange `out`, routing key `cbo.<partner>.<kind>` or `ehr.<partner>.<kind>`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bridge import sdk

NAME = "rabbit_tasks"
EXCHANGE = "out"
WAIT = {"nacked": 30.0, "returned": 60.0, "unknown": 2.0}
"""Seconds until the next attempt: a full queue drains slowly, a missing queue needs a person, a lost confirm is quick."""


class Options(sdk.Options):
    """`side` chooses the queue family: `cbo.<partner>.tasks` or `ehr.<partner>.in`."""

    side: Literal["cbo", "ehr"] = "cbo"


class Queue:
    """One partner's queue; a whole batch is published in one window of confirms."""

    def __init__(self, options: Options, site: sdk.Site) -> None:
        if site.publish is None:
            raise ValueError(f"partner {site.partner}: connector rabbit_tasks needs broker.url in the settings")
        self._publish = site.publish
        self._prefix = f"{options.side}.{site.partner}"

    def deliver(self, deliveries: Sequence[sdk.Delivery]) -> list[sdk.Receipt]:
        """Publish all, in order; only a broker's confirm counts as sent, anything else is tried again with the same id."""
        results = self._publish([self._message(delivery) for delivery in deliveries])
        return [
            sdk.Receipt(delivery.id, "sent") if result == "acked"
            else sdk.Receipt(delivery.id, "retry", f"broker: {result}", WAIT[result])
            for delivery, result in zip(deliveries, results, strict=True)
        ]

    def close(self) -> None:
        """Nothing of its own to close: the connection belongs to the bridge."""

    def _message(self, delivery: sdk.Delivery) -> sdk.Message:
        headers = {"kind": delivery.kind, "patient": delivery.key, "referral": delivery.referral}
        key = f"{self._prefix}.{delivery.kind}"
        return sdk.Message(delivery.id, EXCHANGE, key, delivery.body, delivery.content_type, headers)


def connect(options: Options, site: sdk.Site) -> sdk.Connector:
    """A connector for one partner; raises ValueError when there is no broker."""
    return Queue(options, site)
