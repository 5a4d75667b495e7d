"""The broker's exchanges, queues, bindings, policies and users as one value (reliability 5).

Delays, limits and dead-lettering are policies, because arguments can never change; only the queue type and the single
active consumer are arguments, because RabbitMQ takes them nowhere else. Pure: nothing here talks to a broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bridge.core.errors import SettingsError
from bridge.core.ids import SHARDS, shard

WORK, OUT, DLX, UNROUTED, PARKED = "work", "out", "dlx", "unrouted", "parked"
IN_ADT, IN_INTAKE, IN_EHR = "in.adt", "in.intake", "in.ehr"
RUNGS: Mapping[str, int] = {"5s": 5_000, "30s": 30_000, "2m": 120_000, "10m": 600_000, "1h": 3_600_000}
"""The retry ladder: name and delay in milliseconds."""
PARTNER_BYTES = 512 * 1024 * 1024
"""How much may wait for one partner before its queue refuses more (and its outbox rows wait instead)."""
_SAFE: Mapping[str, Any] = {"dead-letter-exchange": DLX, "dead-letter-strategy": "at-least-once",
                            "overflow": "reject-publish", "delivery-limit": 100}
"""At-least-once dead-lettering needs reject-publish. RabbitMQ 4 has a limit of 20 when none is set, 3.10 has none; a
stop counts for all in the prefetch window, so the limit is far above what restarts can reach."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange of type topic, direct or fanout."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue, with one active consumer at a time or many."""

    name: str
    single_active: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The x-arguments of the declaration."""
        return {"x-queue-type": "quorum", **({"x-single-active-consumer": True} if self.single_active else {})}


@dataclass(frozen=True, slots=True)
class Binding:
    """Messages of this exchange with this key go to this queue."""

    exchange: str
    queue: str
    key: str


@dataclass(frozen=True, slots=True)
class Policy:
    """`apply_to` is `queues` or `exchanges`; patterns never overlap, as RabbitMQ applies one policy to an object."""

    name: str
    pattern: str
    apply_to: str
    definition: Mapping[str, Any]
    priority: int = 10


@dataclass(frozen=True, slots=True)
class User:
    """A login of another organisation: regular expressions of what it may configure, write and read, the routing keys
    it may use per exchange, and its limits. It is made without a password unless one is given to `apply`."""

    name: str
    write: str
    read: str
    topics: tuple[tuple[str, str], ...]
    configure: str = "^$"
    connections: int = 5
    channels: int = 20


@dataclass(frozen=True, slots=True)
class Topology:
    """All of it, in the order in which it is declared."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    policies: tuple[Policy, ...]
    users: tuple[User, ...] = field(default=())


def work_key(key: str) -> str:
    """The routing key of a patient key's shard on `work`: `s00` to `s63`."""
    return f"s{shard(key):02d}"


def work_queues(shards: Iterable[int] = range(SHARDS)) -> list[str]:
    """The names of these shards' queues."""
    return [f"work.s{number:02d}" for number in shards]


def ingest_queue(sender: str) -> str:
    """The queue in which a facility's or a partner's messages arrive."""
    return f"ingest.{sender}"


def partner_queue(partner: str) -> str:
    """The queue from which a partner reads its tasks."""
    return f"cbo.{partner}.tasks"


def ehr_queue(facility: str) -> str:
    """The queue from which a facility's engine reads what goes back to its EHR."""
    return f"ehr.{facility}.in"


def retry_exchange(rung: str) -> str:
    """The exchange (and queue) of a rung of RUNGS."""
    return f"retry.{rung}"


def describe(feeds: Sequence[str], partners: Sequence[str], *, rungs: Mapping[str, int] = RUNGS,
             partner_bytes: int = PARTNER_BYTES) -> Topology:
    """The whole topology for these facilities (`feeds`) and partners, by name.

    Names are words of a-z, 0-9, `-` and `_`: a dot would let one sender's routing keys look like another's. Raises
    SettingsError for a name that is not, and for one used twice.
    """
    names(feeds, partners)
    exchanges = [Exchange(name, "topic") for name in (IN_ADT, IN_INTAKE, IN_EHR, OUT, DLX)]
    exchanges += [Exchange(WORK, "direct"), Exchange(UNROUTED, "fanout")]
    exchanges += [Exchange(retry_exchange(rung), "fanout") for rung in rungs]
    queues = [Queue(ingest_queue(name), single_active=True) for name in (*feeds, *partners)]
    queues += [Queue(name, single_active=True) for name in work_queues()]
    queues += [Queue(retry_exchange(rung)) for rung in rungs]
    queues += [Queue(name) for name in (PARKED, UNROUTED)]
    queues += [Queue(ehr_queue(name)) for name in feeds] + [Queue(partner_queue(name)) for name in partners]
    return Topology(
        tuple(exchanges), tuple(queues), tuple(_bindings(feeds, partners, rungs)),
        tuple(_policies(rungs, partner_bytes)),
        (*(_engine(name) for name in feeds), *(_partner(name) for name in partners)),
    )


def names(feeds: Sequence[str], partners: Sequence[str]) -> None:
    """Raise SettingsError for a name that routing keys cannot carry or that two senders share."""
    for name in (*feeds, *partners):
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name):
            raise SettingsError(f"{name!r} cannot name a facility or partner at the broker: use a-z, 0-9, '-' and '_'")
    twice = sorted({name for name in (*feeds, *partners) if (*feeds, *partners).count(name) > 1})
    if twice:
        raise SettingsError(f"used for more than one facility or partner: {', '.join(twice)}")


def _bindings(feeds: Sequence[str], partners: Sequence[str], rungs: Mapping[str, int]) -> list[Binding]:
    made = []
    for name in feeds:
        made += [Binding(IN_ADT, ingest_queue(name), f"*.{name}.#"), Binding(IN_EHR, ingest_queue(name), f"{name}.#"),
                 Binding(OUT, ehr_queue(name), f"ehr.{name}.#")]
    for name in partners:
        made += [Binding(IN_INTAKE, ingest_queue(name), f"{name}.#"),
                 Binding(OUT, partner_queue(name), f"cbo.{name}.#")]
    made += [Binding(WORK, queue, queue.removeprefix("work.")) for queue in work_queues()]
    made += [Binding(retry_exchange(rung), retry_exchange(rung), "") for rung in rungs]
    return [*made, Binding(DLX, PARKED, "#"), Binding(UNROUTED, UNROUTED, "")]


def _policies(rungs: Mapping[str, int], partner_bytes: int) -> list[Policy]:
    capped = {**_SAFE, "max-length-bytes": partner_bytes}
    made = [
        Policy("ingest", r"^ingest\.", "queues", _SAFE),
        Policy("work", r"^work\.s\d\d$", "queues", _SAFE),
        Policy("cbo", r"^cbo\.", "queues", capped),
        Policy("ehr", r"^ehr\.", "queues", capped),
        Policy("last-stop", f"^({PARKED}|{UNROUTED})$", "queues", {"delivery-limit": 1_000_000}),
        # With an alternate exchange `mandatory` returns nothing any more: on the inbound exchanges alone, whose
        # publishers are others and may not ask for returns.
        Policy("inbound", r"^in\.", "exchanges", {"alternate-exchange": UNROUTED}),
    ]
    for rung, delay in rungs.items():
        # No dead-letter-routing-key: the shard's key survives and one rung serves all shards.
        made.append(Policy(f"retry-{rung}", f"^retry\\.{re.escape(rung)}$", "queues", {
            "message-ttl": delay, "dead-letter-exchange": WORK, "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish"}))
    return made


def _engine(name: str) -> User:
    return User(f"engine-{name}", write=r"^in\.(adt|ehr)$", read=f"^ehr\\.{name}\\.in$",
                topics=((IN_ADT, f"^[a-z]+\\.{name}\\..+"), (IN_EHR, f"^{name}\\..+")))


def _partner(name: str) -> User:
    return User(f"partner-{name}", write=r"^in\.intake$", read=f"^cbo\\.{name}\\.tasks$",
                topics=((IN_INTAKE, f"^{name}\\..+"),))


def show(topology: Topology) -> dict[str, Any]:
    """The topology as JSON-able lists, in the order it is applied."""
    made: dict[str, Any] = asdict(topology)
    for row, queue in zip(made["queues"], topology.queues, strict=True):
        row["arguments"] = queue.arguments
    return made
