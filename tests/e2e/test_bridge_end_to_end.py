"""The whole bridge as it runs: a real broker and database, a service that is killed in the middle, organisations that answer."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.app import build
from bridge.core.rows import InboxRow
from bridge.pipeline.read import Inbound, Incoming, arrive, messages
from bridge.settings import load
from tests.e2e.service import HOSPITALS, ORGANISATIONS, ROOT, Reader, Site, eventually
from tests.services.ledgers import shared_url  # noqa: F401 - a fixture
from tests.services.rabbitmq import shared_node
from tests.unit.pipeline.town import adt, consent

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]
PEOPLE, EARLY = 150, 10
"""Patients of our own, and how many of them signed before anybody knew them."""
EXAMPLES = ROOT / "mappings" / "examples"
CORPUS = ROOT.parent / "shared" / "corpus" / "hl7v2"


@pytest.fixture
def site(tmp_path: Path, shared_url: str) -> Iterator[Site]:
    """A site on a virtual host of its own with the topology applied, over SQLite or PostgreSQL."""
    node = shared_node()
    made = Site(tmp_path, shared_url, node, node.vhost()).write()
    made.call("db", "upgrade")
    made.call("topology", "apply", "--passwords", str(tmp_path / "passwords"))
    yield made
    made.end()


def signed(number: int) -> bytes:
    """A consent without an end, so that this test passes in any year."""
    return consent(f"E{number}", *ORGANISATIONS, name=f"e2e-{number}", dated="2020-01-01T00:00:00Z", ends="")


def discharge(number: int) -> bytes:
    return adt(mrn=f"E{number}", control=f"D-{number}", visit=f"VE{number}", diagnoses=("I50.9", "Z59.41", "Z59.01")[: 1 + number % 3])


def admission(number: int) -> bytes:
    return adt("A01", mrn=f"E{number}", control=f"A-{number}", visit=f"VE{number}", at="20261117091500")


class Engines:
    """What the hospitals publish, and which messages the ledger must know because of it."""

    def __init__(self, site: Site) -> None:
        self.site, self.expected = site, set[str]()
        self._bridge = build(load(str(site.folder / "bridge.toml"), {}), open_ledger("sqlite://"))
        self._inbound = Inbound(self._bridge.feeds, self._bridge.ids)

    def publish(self, name: str, sender: str, *bodies: bytes) -> None:
        """One file of messages, published with confirms by the command."""
        file = self.site.folder / name
        file.write_bytes((b"\n" if name.endswith("json") else b"").join(bodies))
        self.publish_file(file, sender)

    def publish_file(self, file: Path, sender: str) -> None:
        self.site.call("publish", "--from", sender, str(file))
        self.expect(file.read_bytes())

    def expect(self, body: bytes, feed: str = "") -> None:
        for kind, part in messages(body):
            self.expected.add(arrive(Incoming(kind, part, feed), self._bridge.clock(), self._inbound).envelope.id)


def finished(ledger: SqlLedger) -> int:
    return sum(count for name, count in ledger.counts().items() if name in ("inbox.accepted", "inbox.held", "inbox.rejected"))


def known(ledger: SqlLedger) -> dict[str, InboxRow]:
    return {row.envelope.id: row for row in ledger.find()}


def unfinished(ledger: SqlLedger, engines: Engines) -> str:
    """What is missing or not finished, for the text of a failure."""
    rows = known(ledger)
    left = [f"{row.seq} {row.control_id} {row.event} {row.outcome} {row.attempts} {row.due}" for row in rows.values() if row.outcome not in ("accepted", "held", "rejected")]
    return f"{len(engines.expected - rows.keys())} not in the ledger, {len(left)} not finished: {left[:10]}\n"


def settled(ledger: SqlLedger, expected: set[str]) -> bool:
    """Everything published has an outcome and nothing waits to be sent."""
    rows = known(ledger)
    return expected <= rows.keys() and all(row.outcome in ("accepted", "held", "rejected") for row in rows.values()) \
        and not any(row.state == "waiting" for row in ledger.outgoing())


def test_nothing_is_lost_and_nothing_done_twice(site: Site, ledger: SqlLedger) -> None:
    """Two kills in the middle, and still: one outcome for each message, one effect for each delivery id, each answer home once,
    every patient's order kept; and SIGTERM ends the service in order."""
    began = time.monotonic()
    engines = Engines(site)
    engines.publish("early.ndjson", "example-general", *(signed(number) for number in range(EARLY)))
    engines.publish("admissions.hl7", "example-general", *(admission(number) for number in range(PEOPLE)))
    readers = {partner: Reader(site, partner) for partner in (*HOSPITALS, *ORGANISATIONS)}
    try:
        site.start()
        assert eventually(lambda: finished(ledger) >= PEOPLE // 10, pause=0.005), site.log()[-3000:]
        site.kill()
        at_first_kill = finished(ledger)
        site.start()
        assert eventually(lambda: settled(ledger, engines.expected)), site.log()[-3000:]
        engines.publish("signed.ndjson", "example-general", *(signed(number) for number in range(EARLY, PEOPLE)))
        assert eventually(lambda: settled(ledger, engines.expected)), site.log()[-3000:]
        before = finished(ledger)
        publishing = Thread(target=engines.publish, args=("discharges.hl7", "example-general", *(discharge(number) for number in range(PEOPLE))))
        publishing.start()
        assert eventually(lambda: finished(ledger) >= before + PEOPLE // 10, pause=0.005), site.log()[-3000:]
        site.kill()
        publishing.join(60)
        others(engines)
        at_second_kill = finished(ledger) - before
        site.start()
        assert eventually(lambda: all(row.outcome for row in known(ledger).values()) and engines.expected <= known(ledger).keys(), 90), \
            unfinished(ledger, engines) + site.log()[-3000:]
        early = [item.id for item in ledger.held() if item.question_kind == "patient" and known(ledger)[item.message_id].event == "Consent"]
        if early:  # signed before the person was known, and nothing of theirs came since
            site.call("held", "release", *early, expect=None)
        assert eventually(lambda: answered(engines, readers, ledger), 90), summary(ledger, readers, engines) + site.log()[-3000:]
        assert site.stop() == 0, site.log()[-3000:]
    finally:
        for one in readers.values():
            one.close()
    assert [one.faults for one in readers.values() if one.faults] == []
    print(f"{site.store.split(':')[0]}: {time.monotonic() - began:.0f} s, killed at {at_first_kill} of {EARLY + PEOPLE} and {at_second_kill} of {PEOPLE}; "
          + summary(ledger, readers, engines))
    assert_inbox(ledger, engines)
    assert_outbox(ledger, readers)
    assert_answers(ledger, readers)
    assert_order(ledger, readers)


def others(engines: Engines) -> None:
    """Everything else there is: the demo's day, the examples and the corpus."""
    day = sorted((EXAMPLES / "day").iterdir())
    for sender, files in (
        ("lakeside", [file for file in day if "lakeside" in file.name]),
        ("example-general", [*(file for file in day if "lakeside" not in file.name), *sorted(EXAMPLES.glob("*.hl7")),
                             *(sorted(CORPUS.glob("*.hl7")) if CORPUS.is_dir() else ())]),
    ):
        engines.site.call("publish", "--from", sender, *map(str, files))
        for file in files:
            engines.expect(file.read_bytes())


def answered(engines: Engines, readers: dict[str, Reader], ledger: SqlLedger) -> bool:
    """Every answer that the organisations gave has come home, and nothing is left to do."""
    for partner in ORGANISATIONS:
        for body in readers[partner].answers:
            engines.expect(body, partner)
    received = {id_ for one in readers.values() for id_ in one.counts}
    return settled(ledger, engines.expected) and {row.id for row in ledger.outgoing() if row.state == "sent"} <= received \
        and all(referral_answered(readers[row.recipient], row.id) for row in ledger.outgoing()
                if row.kind == "referral" and row.state == "sent")


def referral_answered(reader: Reader, delivery: str) -> bool:
    return delivery in reader.counts and delivery in reader._answered


def summary(ledger: SqlLedger, readers: dict[str, Reader], engines: Engines) -> str:
    counts = {name: count for name, count in ledger.counts().items() if count}
    doubled = sum(count - 1 for one in readers.values() for count in one.counts.values())
    return f"{len(engines.expected)} messages, {sum(len(one.counts) for one in readers.values())} deliveries, {doubled} of them twice on the wire; {counts}\n"


def assert_inbox(ledger: SqlLedger, engines: Engines) -> None:
    """Every message has exactly one row with an outcome, and there is no row that nobody published."""
    rows = ledger.find()
    assert Counter(row.envelope.id for row in rows) == Counter(engines.expected)
    assert {row.outcome for row in rows} <= {"accepted", "held", "rejected"}
    faults = [str(issue) for row in rows for issue in row.issues if issue.code.startswith("BRG-X")]
    assert faults == []


def assert_outbox(ledger: SqlLedger, readers: dict[str, Reader]) -> None:
    """What was sent reached its recipient's queue under its id, and nothing reached a queue that was not sent."""
    rows = ledger.outgoing()
    assert {row.state for row in rows} <= {"sent", "withheld"}
    for partner, reader in readers.items():
        assert set(reader.counts) == {row.id for row in rows if row.recipient == partner and row.state == "sent"}
        bodies = defaultdict(set)
        for one in reader.got:
            bodies[one.message_id].add((one.headers["kind"], one.headers["referral"], one.headers["patient"]))
        assert all(len(kinds) == 1 for kinds in bodies.values())
    sent = Counter(row.refs[0] for row in rows if row.kind == "referral" and row.state == "sent")
    assert sent
    assert set(sent.values()) == {1}
    people = {row.patient for row in ledger.find(feed="example-general-epic") if row.control_id.startswith("D-")}
    assert len(people) == PEOPLE
    referred = Counter(row.patient for row in rows if row.kind == "referral" and row.state == "sent" and row.patient in people)
    assert len(referred) == PEOPLE


def assert_answers(ledger: SqlLedger, readers: dict[str, Reader]) -> None:
    """Each answer moved its Task once and its outcome is at the hospital once in each format it wants; only an answer to
    what the hospital had called off before is refused."""
    answers = [row for row in ledger.find() if row.event.startswith("record/")]
    assert len(answers) == sum(len(readers[partner].answers) for partner in ORGANISATIONS)
    late = [row for row in answers if row.outcome != "accepted"]
    assert {(row.outcome, issue.code) for row in late for issue in row.issues} <= {("rejected", "BRG-R103")}
    called_off = {json.loads(row.envelope.body)["bridge_referral_id"] for row in late}
    assert len(called_off) <= 2
    for row in (one for one in answers if one.outcome == "accepted"):
        home = [one for one in ledger.outgoing(message_id=row.envelope.id) if one.recipient in HOSPITALS]
        hospital = home[0].recipient
        assert sorted(one.kind for one in home) == sorted({"fhir": "outcome", "hl7v2": "oru"}[each] for each in HOSPITALS[hospital])
        assert all(readers[hospital].counts[one.id] for one in home)
    with ledger.work() as work:
        for row in ledger.outgoing():
            if row.kind == "referral" and row.state == "sent":
                task = work.resource(row.refs[0])
                assert task is not None
                assert task["status"] == ("cancelled" if task["id"] in called_off else "completed")


def assert_order(ledger: SqlLedger, readers: dict[str, Reader]) -> None:
    """At each recipient the first copies of one patient's deliveries came in the order in which they were queued; an
    admission was never received after its discharge."""
    number = {row.id: row.seq for row in ledger.outgoing()}
    for reader in readers.values():
        seen: dict[str, list[int]] = defaultdict(list)
        for one in reader.got:
            if number[one.message_id] not in seen[one.headers["patient"]]:
                seen[one.headers["patient"]].append(number[one.message_id])
        assert all(numbers == sorted(numbers) for numbers in seen.values())
    for row in ledger.find():
        if row.control_id.startswith("D-"):
            stored = ledger.outputs(row.envelope.id)
            (visit,) = [then for (kind, _), (then, _) in stored.items() if kind == "Encounter"]
            assert (visit["status"], visit["meta"]["versionId"]) == ("finished", "2")
