"""What a connector or a site plugin may import; under semantic versioning.

A connector is a folder in `connectors/` (or an entry point `sdoh_bridge.connectors`) whose `connector.py` has

    NAME: str                                     the name used in `partner.connector`
    class Options(sdk.Options): ...               its options, checked when the settings are read
    def connect(options: Options, site: sdk.Site) -> sdk.Connector

`deliver` gets deliveries that are decided, redacted and projected already, and returns one receipt each, in order.
Sending the same delivery id twice must have one effect at the partner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from bridge.core.delivery import Delivery, Receipt
from bridge.core.ports import Connector

__all__ = ["Connector", "Delivery", "Message", "Options", "Publish", "Receipt", "Site"]


class Options(BaseModel):
    """Base of every connector's options: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Message:
    """One message for the broker; `id` becomes its message id."""

    id: str
    exchange: str
    key: str
    body: bytes
    content_type: str
    headers: dict[str, str]


Publish = Callable[[Sequence[Message]], list[str]]
"""Publishes with confirms, a window at a time; per message `acked`, `nacked`, `returned` or `unknown`."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the bridge lends a connector: the partner's id, a folder for its own state, and the broker if there is one."""

    partner: str
    state: str
    publish: Publish | None = None
