"""A virtual host with the whole topology in it, and a worker process that tests may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.adapters.amqp import broker
from bridge.adapters.amqp.consumer import run_worker
from bridge.adapters.amqp.management import Management
from bridge.adapters.amqp.message import Delivered, Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.session import Session
from bridge.adapters.amqp.subscription import Consumer
from bridge.adapters.amqp.topology import Topology, describe
from bridge.adapters.amqp.transport import Address
from tests.services.rabbitmq import ROOT, Node

RUNGS = {"5s": 150, "30s": 300, "2m": 450, "10m": 600, "1h": 750}
"""The ladder at test speed: milliseconds for seconds and hours."""


class Place:
    """One virtual host of a node; `address` is the bridge's own login."""

    def __init__(
        self,
        node: Node,
        feeds: tuple[str, ...] = ("general",),
        partners: tuple[str, ...] = ("pantry", "housing"),
        partner_bytes: int = 200_000,
    ) -> None:
        self.node = node
        self.vhost = node.vhost()
        self.address = Address(node.vhost_url(self.vhost), heartbeat=4, blocked_timeout=3.0)
        self.management = Management(node.management_url, "guest", "guest", self.vhost)
        self.topology: Topology = describe(feeds, partners, rungs=RUNGS, partner_bytes=partner_bytes)
        self.passwords = {user.name: "open-sesame" for user in self.topology.users}

    def apply(self) -> Place:
        broker.apply(self.topology, self.address, self.management, self.passwords)
        return self

    def login(self, user: str) -> Address:
        return Address(self.node.vhost_url(self.vhost, user, "open-sesame"), heartbeat=4, blocked_timeout=3.0)

    def declare(self, queue: str, **arguments: Any) -> str:
        """A queue of the test's own, quorum with one active consumer."""
        with Session(self.address) as session:
            session.call(
                "queue_declare",
                queue=queue,
                durable=True,
                arguments={"x-queue-type": "quorum", "x-single-active-consumer": True, **arguments},
            )
        return queue

    def depth(self, queue: str) -> int:
        with Session(self.address) as session:
            return int(session.call("queue_declare", queue=queue, passive=True).message_count)


def numbered(queue: str, first: int, count: int, body: bytes = b"x" * 200) -> list[Message]:
    """Messages to a queue by its name, ids `00000`..."""
    return [Message("", queue, body, f"{number:05d}") for number in range(first, first + count)]


def drain(consumer: Consumer, count: int, seconds: float = 15.0) -> list[Delivered]:
    """Take and ack until `count` messages came."""
    taken: list[Delivered] = []
    until = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < until:
        if (batch := consumer.batch(100, 0.01, 0.2)) is not None:
            taken += batch.messages
            consumer.ack(batch)
    return taken


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    return False


def spawn(place: Place, queue: str, journal: Path, pace: float, prefetch: int) -> subprocess.Popen[bytes]:
    """A worker in a process of its own: appends each batch's ids to `journal` as its commit, then acks."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.services.amqp_place",
            place.address.url,
            queue,
            str(journal),
            str(pace),
            str(prefetch),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def work(url: str, queue: str, journal: str, pace: str, prefetch: str) -> None:
    """The child: `pace` seconds of work for each message, one write for each batch."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    address = Address(url, heartbeat=4)
    publisher = Publisher(address)
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def take(messages: list[Delivered]) -> list[str]:
        time.sleep(float(pace) * len(messages))
        os.write(file, "".join(f"{message.message_id} {os.getpid()}\n" for message in messages).encode())
        return [""] * len(messages)

    run_worker(Consumer(address, [queue], prefetch=int(prefetch)), take, publisher, stop, size=10)
    publisher.close()


if __name__ == "__main__":
    work(*sys.argv[1:])
