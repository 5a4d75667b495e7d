"""Ledgers and rows for tests: every implementation under one name, and short ways to write a row.

A test module imports the fixtures it uses: `from tests.services.ledgers import ledger, ledger_url`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.core.envelope import HL7V2, Envelope
from bridge.core.rows import Arrival, DecisionRow, HeldItem, Outgoing, Referral
from tests.services import postgres

NOW = datetime(2025, 3, 9, 1, 30, tzinfo=timezone(timedelta(hours=-5)))
"""A clock at an offset that is not UTC, half an hour before the United States change to summer time."""
KINDS = ("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.services))


@pytest.fixture(params=KINDS)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    if request.param == "postgres":
        with postgres.schema(postgres.required_url()) as url:
            yield url
    else:
        yield "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=[kind for kind in KINDS if kind != "memory"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that a second process can open."""
    if request.param == "postgres":
        with postgres.schema(postgres.required_url()) as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    """An empty ledger of each kind, ready for use."""
    opened = open_ledger(ledger_url)
    opened.upgrade()
    yield opened
    opened.close()


def arrival(name: str, *, key: str = "", control: str | None = None, body: str = "", source: str = "EPIC|GH",
            feed: str = "epic-general", event: str = "ADT^A03", received: datetime = NOW) -> Arrival:
    """A message called `name`: its id, its control id unless given, and its body unless given."""
    content = (body or name).encode()
    envelope = Envelope(f"m-{name}", feed, received, HL7V2, content, {"routing-key": "adt.gh.a03"})
    control = name if control is None else control
    return Arrival(envelope, source, control, hashlib.sha256(content).hexdigest(), key, event)


def store(ledger: SqlLedger, *names: str, **options: Any) -> list[str]:
    """Store messages under these names; their ids."""
    return [stored.id for stored in ledger.store([arrival(name, **options) for name in names])]


def finish(ledger: SqlLedger, message_id: str, outcome: str, **options: Any) -> None:
    with ledger.work() as work:
        work.finish(message_id, outcome, **options)


def patient(id_: str, family: str = "Rivera", born: str = "1980-02-29") -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": family}], "birthDate": born}


def resource(type_: str, id_: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": type_, "id": id_, **elements}


def referral(id_: str, *, patient: str = "p1", need: str = "food", recipient: str = "cbo-a", status: str = "requested",
             closed: bool = False, short: str = "", due: str = "") -> Referral:
    return Referral(id_, short or f"S-{id_}", patient, f"ServiceRequest/{id_}", "pantry", need, recipient, status, closed,
                    "m-1", "Encounter/e1", due)


def outgoing(id_: str, *, patient: str = "p1", recipient: str = "cbo-a", message_id: str = "m-1", shard: int = 3) -> Outgoing:
    return Outgoing(id_, recipient, "referral", patient, (f"Task/{id_}", "ServiceRequest/s1"), message_id, shard, "t1")


def decision(resource_: str, *, message_id: str = "m-1", patient: str = "p1", recipient: str = "cbo-a",
             effect: str = "permit", stage: str = "commit") -> DecisionRow:
    return DecisionRow(message_id, stage, NOW.isoformat(), recipient, patient, resource_, 1, "TREAT", effect, ("R1", "R4"),
                       ("Consent/c1/2",), ("reasonCode[1]",) if effect == "redact" else (), ("unreadable",))


def question(id_: str, *, kind: str = "code", code: str = "99", feed: str = "epic-general", message_id: str = "m-1") -> HeldItem:
    return HeldItem(id_, kind, message_id, feed, kind, "no row for this code", NOW.isoformat(), "disposition", "urn:local",
                    code, "PV1-36", ("a", "b"), "pantry")
