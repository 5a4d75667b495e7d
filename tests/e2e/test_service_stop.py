"""The service under load is told to stop, or killed, and goes on where it was: embedded over a ledger, and with a broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.adapters.store.ledger import SqlLedger
from tests.e2e.service import Site, eventually
from tests.services.rabbitmq import shared_node
from tests.unit.pipeline.town import adt, consent

pytestmark = pytest.mark.timeout(200)
PEOPLE = 250


@pytest.fixture(params=["embedded", pytest.param("broker", marks=pytest.mark.services)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site over SQLite, with a folder for each partner, or with queues at a broker."""
    node = shared_node() if request.param == "broker" else None
    made = Site(tmp_path, f"sqlite:///{tmp_path}/ledger.db", node, node.vhost() if node else "").write()
    made.call("db", "upgrade")
    if node:
        made.call("topology", "apply")
    yield made
    made.end()


def publish(site: Site) -> None:
    """Admissions of many people, and their discharges after."""
    bodies = [adt("A01", mrn=f"S{n}", control=f"A-{n}", visit=f"VS{n}", at="20261117091500") for n in range(PEOPLE)]
    bodies += [adt(mrn=f"S{n}", control=f"D-{n}", visit=f"VS{n}") for n in range(PEOPLE)]
    (site.folder / "feed.hl7").write_bytes(b"".join(bodies))
    site.call("publish", "--from", "example-general", str(site.folder / "feed.hl7"))


def done(ledger: SqlLedger) -> int:
    return ledger.counts().get("inbox.accepted", 0)


def test_stopping_under_load_ends_in_order_and_loses_nothing(site: Site, ledger: SqlLedger) -> None:
    """SIGTERM under load is exit 0 within 30 s; the next process finishes the rest: one outcome and one referral each."""
    publish(site)
    site.start()
    assert eventually(lambda: done(ledger) >= PEOPLE // 10, pause=0.005), site.log()[-2000:]
    assert site.stop(30) == 0, site.log()[-2000:]
    at = done(ledger)
    site.start()
    assert eventually(lambda: done(ledger) == 2 * PEOPLE), f"{at} of {2 * PEOPLE}, then {ledger.counts()}\n{site.log()[-2000:]}"
    assert site.stop(30) == 0
    print(f"stopped at {at} of {2 * PEOPLE}")
    assert_once(ledger)


def test_a_killed_service_goes_on_where_it_was(site: Site, ledger: SqlLedger) -> None:
    """kill -9 three times under load: every message has one outcome, every person one referral, every delivery sent one file."""
    publish(site)
    for share in (0.05, 0.3, 0.6):
        site.start()
        enough = int(2 * PEOPLE * share)
        assert eventually(lambda enough=enough: done(ledger) >= enough, pause=0.005), site.log()[-2000:]
        site.kill()
    site.start()
    assert eventually(lambda: done(ledger) == 2 * PEOPLE), f"{ledger.counts()}\n{site.log()[-2000:]}"
    (site.folder / "c.ndjson").write_bytes(b"\n".join(signed(n) for n in range(20)))
    site.call("publish", "--from", "example-general", str(site.folder / "c.ndjson"))
    assert eventually(lambda: ledger.counts().get("outbox.sent", 0) == 20), f"{ledger.counts()}\n{site.log()[-2000:]}"
    assert site.stop(30) == 0
    assert_once(ledger)
    if site.node is None:
        assert {path.stem for path in (site.folder / "state" / "sent").rglob("*.json")} == {row.id for row in ledger.outgoing() if row.state == "sent"}


def signed(number: int) -> bytes:
    """A consent without an end, so that this test passes in any year."""
    return consent(f"S{number}", name=f"s-{number}", dated="2020-01-01T00:00:00Z", ends="")


def assert_once(ledger: SqlLedger) -> None:
    """Visits (one in twenty is looked at) are finished in their second version, and every person has exactly one open referral."""
    rows = [row for row in ledger.find() if row.event == "ADT^A03"]
    assert len(rows) == PEOPLE
    for row in rows[::20]:
        (visit,) = [then for (kind, _), (then, _) in ledger.outputs(row.envelope.id).items() if kind == "Encounter"]
        assert (visit["status"], visit["meta"]["versionId"]) == ("finished", "2")
    assert ledger.counts()["referrals.open"] == PEOPLE
    assert len({row.refs[0] for row in ledger.outgoing()}) == len(ledger.outgoing()) == PEOPLE
    assert not [issue for row in ledger.find() for issue in row.issues if issue.code.startswith("BRG-X")]
