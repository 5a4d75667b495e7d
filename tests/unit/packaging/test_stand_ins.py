"""The demo's stand-ins against a real broker: each with its own login, and answers that the bridge can read."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from bridge.adapters.amqp.message import Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.session import Session
from bridge.adapters.amqp.subscription import Consumer
from bridge.referral import intake
from tests.services.amqp_place import Place, drain, eventually
from tests.services.rabbitmq import shared_node

DEMO = Path(__file__).resolve().parents[3] / "docker/demo"
FACILITY, PARTNER = "example-general", "harbor-pantry"
TASK = {"resourceType": "Task", "id": "3f0c8a4e-0000-4000-8000-000000000001", "status": "requested", "intent": "order"}


def bundle(**task: str) -> dict[str, object]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": {"resourceType": "Patient", "id": "p"}}, {"resource": {**TASK, **task}}]}


def module(name: str) -> ModuleType:
    """A stand-in, imported from its file."""
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@contextmanager
def running(place: Place, folder: Path, *words: str) -> Iterator[Path]:
    """A stand-in in a process of its own, ended afterwards; yields the file of what it prints."""
    password, printed = folder / "password", folder / f"{words[0]}.out"
    password.write_text("open-sesame\n")
    script, who, *rest = words
    with printed.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", str(DEMO / script), who, f"127.0.0.1:{place.node.port}/{place.vhost}", str(password), *rest],
            stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(DEMO.parents[1])})
        try:
            yield printed
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def place() -> Place:
    return Place(shared_node(), feeds=(FACILITY,), partners=(PARTNER,)).apply()


def test_answers_are_records_that_the_bridge_reads() -> None:
    """Accepted and then completed, each a sound canonical record about this very Task, in time order."""
    records = list(module("cbo").answers(PARTNER, "d1", bundle(), datetime(2026, 11, 21, 17, tzinfo=UTC)))
    read = [intake.read(record) for record in records]
    assert [one.get("status") for one in read if isinstance(one, intake.Answer)] == ["accepted", "completed"]
    assert {one.referral for one in read if isinstance(one, intake.Answer)} == {TASK["id"]}
    assert records[0]["updated_at"] < records[1]["updated_at"]


def test_the_same_delivery_is_answered_under_the_same_ids() -> None:
    """A redelivery makes no second answer: the record ids depend on the delivery alone."""
    one, other = (list(module("cbo").answers(PARTNER, "d1", bundle(), datetime(2026, 11, day, tzinfo=UTC))) for day in (1, 2))
    assert [record["record_id"] for record in one] == [record["record_id"] for record in other]


def test_a_cancelled_task_is_not_answered() -> None:
    """A recall asks for nothing."""
    assert list(module("cbo").answers(PARTNER, "d1", bundle(status="cancelled"), datetime.now(UTC))) == []


def test_the_summary_says_nothing_about_the_patient() -> None:
    """What the engine prints is message and resource types only."""
    ehr = module("ehr")
    assert ehr.summary(ehr.HL7V2, b"MSH|^~\\&|A|B|C|D|2024||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||5001||DOE^JO") == "ORU^R01^ORU_R01"
    assert ehr.summary(ehr.FHIR, json.dumps(bundle()).encode()) == "Patient, Task requested"


@pytest.mark.services
def test_the_organisation_answers_accepted_then_completed(place: Place, tmp_path: Path) -> None:
    """A task on its queue comes back as two records in order on its ingest queue, and the task is acknowledged."""
    publisher = Publisher(place.address)
    assert list(publisher.publish([Message("out", f"cbo.{PARTNER}.referral", json.dumps(bundle()).encode(), "d1")])) == ["acked"]
    publisher.close()
    consumer = Consumer(place.address, [f"ingest.{PARTNER}"])
    with running(place, tmp_path, "cbo.py", PARTNER) as printed:
        taken = drain(consumer, 2)
        assert [json.loads(one.body)["status"] for one in taken] == ["accepted", "completed"], printed.read_text()
        assert {one.routing_key for one in taken} == {f"{PARTNER}.intake"}
        assert eventually(lambda: place.depth(f"cbo.{PARTNER}.tasks") == 0)
    consumer.drop()


@pytest.mark.services
def test_the_engine_publishes_its_day_and_reads_what_comes_home(place: Place, tmp_path: Path) -> None:
    """Each example message is confirmed on the facility's ingest queue; an answer on its own queue is read and printed."""
    queue = f"ingest.{FACILITY}"
    with running(place, tmp_path, "ehr.py", FACILITY, "0[123]-*.hl7", "00-*.ndjson") as printed:
        lines = len((DEMO.parents[1] / "mappings/examples/day/00-consents.ndjson").read_bytes().splitlines())
        assert eventually(lambda: place.depth(queue) == 3 + lines), printed.read_text()
        publisher = Publisher(place.address)
        answer = Message("out", f"ehr.{FACILITY}.outcome", json.dumps(bundle(status="completed")).encode(), "d2",
                         "application/fhir+json", headers={"kind": "outcome"})
        assert list(publisher.publish([answer])) == ["acked"]
        publisher.close()
        assert eventually(lambda: "received outcome: Patient, Task completed" in printed.read_text())
    with Session(place.address) as session:
        session.call("queue_purge", queue=queue)
