"""A site in a folder of its own: its settings, its broker, the service as a child process, and organisations that answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.adapters.amqp.message import Delivered, Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.subscription import Consumer
from bridge.adapters.amqp.topology import IN_INTAKE, ehr_queue, partner_queue
from bridge.adapters.amqp.transport import Address
from bridge.core.errors import BridgeError
from tests.services.rabbitmq import Node, free_ports

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "open-sesame"
HOSPITALS = {"example-general": ("fhir", "hl7v2"), "lakeside": ("fhir",)}
ORGANISATIONS = {
    "valley-elders": 'kind = "cbo-minimum"\nserves = ["evctp"]\nstates = ["OH"]\ncounties = ["Montgomery", "Greene"]',
    "stillwater-respite": 'kind = "housing"\nserves = ["medical-respite", "homelessness"]\nstates = ["OH"]',
    "harbor-pantry": 'kind = "cbo-minimum"\nserves = ["food-insecurity"]\nzips = ["454", "453", "45"]',
}


def eventually(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.1) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(pause)
    return true()


@dataclass
class Site:
    """One site under test; `node` is None for the embedded default."""

    folder: Path
    store: str
    node: Node | None = None
    vhost: str = ""
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    logs: list[Path] = field(default_factory=list)

    def write(self) -> Site:
        """Write bridge.toml, the secret and the passwords."""
        (self.port,) = free_ports(1)
        (self.folder / "secret").write_bytes(b"a secret of this test, 32 bytes.")
        (self.folder / "passwords").mkdir()
        connector = {"ehr": "", "cbo": ""}
        head = f'[site]\nname = "test"\nzone = "America/New_York"\nstate = "{self.folder}/state"\nsecret_file = "{self.folder}/secret"\n'
        head += f'[store]\nurl = "{self.store}"\n[web]\nlisten = "127.0.0.1:{self.port}"\n'
        if self.node:
            head += f'[broker]\nurl = "{self.node.vhost_url(self.vhost)}"\nmanagement = "{self.node.management_url}"\n'
            connector = {side: f'connector = "rabbit_tasks"\noptions = {{side = "{side}"}}\n' for side in connector}
        for name, formats in HOSPITALS.items():
            head += f'[[partner]]\nid = "{name}"\nname = "{name}"\nkind = "ehr"\nno_consent = "permit"\nformats = {json.dumps(formats)}\n{connector["ehr"]}'
            (self.folder / "passwords" / f"engine-{name}").write_text(PASSWORD)
        for name, rest in ORGANISATIONS.items():
            head += f'[[partner]]\nid = "{name}"\nname = "{name}"\n{rest}\n{connector["cbo"]}'
            (self.folder / "passwords" / f"partner-{name}").write_text(PASSWORD)
        (self.folder / "bridge.toml").write_text(head)
        return self

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "bridge", "--config", str(self.folder / "bridge.toml"), *words]

    def call(self, *words: str, expect: int | None = 0, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its exit code must be `expect` unless that is None."""
        done = subprocess.run(self.command(*words), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120,
                              check=False, input=text)
        assert expect is None or done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    def start(self, level: str = "info", role: str = "all") -> None:
        """Start the service; its output goes to a file of its own."""
        self.logs.append(self.folder / f"service-{len(self.logs)}.log")
        with self.logs[-1].open("wb") as out:
            self.process = subprocess.Popen(self.command("run", "--role", role, "--log-level", level), cwd=ROOT, env=environment(),
                                            stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        assert self.process.poll() is None, f"the service ended by itself:\n{self.log()[-3000:]}"
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM once it has started (before, Python ends at once); the exit code, -1 when it does not end in time."""
        assert self.process is not None
        assert eventually(lambda: '"event": "started"' in self.logs[-1].read_text(errors="replace")), self.log()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return -1

    def end(self) -> None:
        """Whatever happened, leave no process behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """Everything the service wrote, and how the last process ended if it did."""
        end = f"\n(exit {self.process.poll()})" if self.process is not None else ""
        return "".join(path.read_text(errors="replace") for path in self.logs) + end

    def login(self, user: str) -> Address:
        assert self.node is not None
        return Address(self.node.vhost_url(self.vhost, user, PASSWORD))


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SDOH_BRIDGE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}


class Reader:
    """Reads one organisation's queue in a thread, as its own user, and remembers everything in order of arrival."""

    def __init__(self, site: Site, partner: str) -> None:
        hospital = partner in HOSPITALS
        self.partner, self.got = partner, list[Delivered]()
        self.faults: list[str] = []
        self._site, self._user = site, f"engine-{partner}" if hospital else f"partner-{partner}"
        self._queue = ehr_queue(partner) if hospital else partner_queue(partner)
        self._answers = not hospital
        self._answered: dict[str, list[Message]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reader {partner}", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counter[str]:
        """How often each message id came."""
        return Counter(one.message_id for one in self.got)

    @property
    def answers(self) -> list[bytes]:
        """Every record that was sent back, once."""
        return [one.body for messages in self._answered.values() for one in messages]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        consumer = Consumer(self._site.login(self._user), [self._queue], role="reader")
        publisher = Publisher(self._site.login(self._user), role="answers") if self._answers else None
        try:
            while not self._stop.is_set():
                batch = consumer.batch(50, 0.01, 0.2)
                if batch is None:
                    continue
                if publisher is not None:
                    fresh = [answer for one in batch.messages if one.headers.get("kind") == "referral" for answer in self._answer(one)]
                    self._publish(publisher, fresh)
                self.got += batch.messages
                consumer.ack(batch)
        except Exception as error:
            self.faults.append(repr(error))
        finally:
            consumer.drop()
            if publisher is not None:
                publisher.close()

    def _publish(self, publisher: Publisher, messages: list[Message]) -> None:
        for _ in range(50):
            try:
                if all(fate == "acked" for fate in publisher.publish(messages)):
                    return
            except BridgeError:
                time.sleep(0.2)
        raise RuntimeError("the broker takes no answers")

    def _answer(self, delivery: Delivered) -> list[Message]:
        """Accepted, a service and completed, made once for each delivery id, whatever comes twice."""
        if delivery.message_id in self._answered:
            return []
        task = next(entry["resource"] for entry in json.loads(delivery.body)["entry"] if entry["resource"]["resourceType"] == "Task")
        steps: tuple[tuple[str, dict[str, Any]], ...] = (
            ("status", {"status": "accepted", "source_status": "taken"}),
            ("service", {"units": 1, "unit_type": "visit"}),
            ("outcome", {"status": "completed", "source_status": "done", "outcome_code": "need-met"}),
        )
        made = []
        for number, (kind, fields) in enumerate(steps, 1):
            moment = f"2099-01-01T1{number}:00:00-05:00"
            body = json.dumps({
                "schema_version": "1.0", "record_id": f"{task['id']}-{number}", "record_type": kind, "source_system": "stand-in",
                "source_record_id": task["id"], "client_local_id": "L", "updated_at": moment, "event_at": moment,
                "cbo_org_id": self.partner, "bridge_referral_id": task["id"], **fields,
            }).encode()
            made.append(Message(IN_INTAKE, f"{self.partner}.intake", body, f"{task['id']}-{number}", "application/json"))
        self._answered[delivery.message_id] = made
        return made
