"""The loops of the embedded service: they finish what a crash left, park what ends the process, and end when told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
import structlog

from bridge import roles, wiring
from bridge.adapters.amqp.consumer import Progress
from bridge.cli.run import _until
from bridge.core.envelope import FHIR
from bridge.core.errors import StoreUnavailable
from bridge.core.outcome import Retry, name
from tests.unit.pipeline.town import Town, adt, consent


def run(loop: Callable[[Event], None], until: Callable[[], bool]) -> None:
    """Run a loop in a thread until something is true, then stop it in order."""
    stop = Event()
    thread = Thread(target=loop, args=(stop,), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not until() and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def receiving(town: Town) -> Callable[[Event], None]:
    return lambda stop: roles.receiver(town.bridge, stop, roles.Turns())


def done(town: Town) -> bool:
    return all(row.outcome for row in town.messages())


def test_the_receiver_takes_what_a_crash_left_in_order(town: Town) -> None:
    """Unfinished messages of an earlier process are taken, oldest first."""
    town.put(adt(), adt("A13", control="C-2", at="20261121103000"))
    run(receiving(town), lambda: done(town))
    assert [row.outcome for row in town.messages()] == ["accepted", "accepted"]
    assert [one.status for one in town.referrals()] == ["cancelled"]


def test_the_sweeper_finds_a_consent_that_has_ended(town: Town) -> None:
    """The loop of the service withholds what waits under a consent whose period is over."""
    provision = {**json.loads(consent("GH1001", "valley-elders"))["provision"], "period": {"end": "2026-11-25"}}
    town.take(adt())
    town.take(consent("GH1001", "valley-elders", provision=provision), kind=FHIR)
    town.later(days=10)
    run(lambda stop: roles.sweeper(town.bridge, stop, roles.Turns()), lambda: town.outbox()[0].state == "withheld")
    assert [row.state for row in town.outbox()] == ["withheld"]


def test_a_message_that_ends_the_process_is_parked_by_name(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun too often and never ended is rejected by code without being begun again; the next are taken."""
    town.put(adt(mrn="1", control="C-1"), adt(mrn="2", control="C-2"))
    poison = town.messages()[0].envelope.id
    for _ in range(roles.ATTEMPTS):
        town.bridge.ledger.attempt([poison])
    begun: list[str] = []
    true = roles.receive
    monkeypatch.setattr(roles, "receive", lambda rows, bridge: begun.extend(row.envelope.id for row in rows) or true(rows, bridge))
    run(receiving(town), lambda: done(town))
    assert poison not in begun
    first, second = town.messages()
    assert (first.outcome, [issue.code for issue in first.issues]) == ("rejected", ["BRG-X501"])
    assert second.outcome == "accepted"


def test_each_begin_of_a_left_message_is_counted_first(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt is on record before the message is begun, so that a crash is counted too."""
    town.put(adt())
    seen: list[int] = []
    true = roles.receive
    monkeypatch.setattr(roles, "receive", lambda rows, bridge: seen.append(town.messages()[0].attempts) or true(rows, bridge))
    run(receiving(town), lambda: done(town))
    assert seen == [1]


def test_a_ledger_that_is_away_pauses_the_loops_and_loses_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passing fault of the ledger is waited out; then everything is taken."""
    town.put(adt())
    true, faults = roles.receive, [StoreUnavailable("away", after=0.01)] * 2

    def flaky(rows: Any, bridge: Any) -> Any:
        if faults:
            raise faults.pop()
        return true(rows, bridge)

    monkeypatch.setattr(roles, "receive", flaky)
    run(receiving(town), lambda: done(town))
    assert [row.outcome for row in town.messages()] == ["accepted"]


def test_a_message_that_ends_the_process_is_parked_among_others_of_its_patient(town: Town) -> None:
    """What the ledger hands out together is judged one by one: the poisonous is parked, the others are received."""
    town.put(adt(control="C-1"), adt("A08", control="C-2"))
    poison = town.messages()[0].envelope.id
    for _ in range(roles.ATTEMPTS):
        town.bridge.ledger.attempt([poison])
    outcomes = roles.attempted(town.bridge.ledger.unfinished([poison], town.now), town.bridge)
    assert [name(one) for one in outcomes] == ["rejected", "accepted"]


def test_a_retry_is_no_crash(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a passing fault comes, the message is tried again and never parked."""
    town.put(adt())
    monkeypatch.setattr("bridge.pipeline.receive.refer", lambda *_, **__: (_ for _ in ()).throw(StoreUnavailable("busy", after=1.0)))
    for _ in range(roles.ATTEMPTS * 2):
        (outcome,) = roles.attempted(town.bridge.ledger.pending(1, town.now), town.bridge)
        assert isinstance(outcome, Retry)
        town.later(hours=2)


@pytest.mark.parametrize("fault", [RuntimeError("ADLER"), SystemExit(1)])
def test_a_loop_that_ends_by_itself_ends_the_service_as_broken(fault: BaseException, capfd: pytest.CaptureFixture[str]) -> None:
    """A loop that raises stops the others and makes the process end with a failure; its text stays unsaid."""
    structlog.reset_defaults()
    stop, running = Event(), wiring.Running()

    def loop() -> None:
        raise fault

    _until(loop, stop, running)()
    assert stop.is_set()
    assert running.broken
    assert "ADLER" not in "".join(capfd.readouterr())


def test_a_loop_that_was_told_to_end_is_not_broken() -> None:
    """Ending after the stop is the ordinary end."""
    stop, running = Event(), wiring.Running()
    stop.set()
    _until(lambda: None, stop, running)()
    assert not running.broken


def test_liveness_sees_a_loop_at_the_broker_that_no_longer_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop whose turns stand still for a minute is dead; one that turns is alive."""
    running = wiring.Running(progress={"receiver": Progress(turns=3)})
    monkeypatch.setattr(wiring.time, "monotonic", lambda: 1000.0)
    assert [fine for _, fine, _ in wiring.alive(running)] == [True]
    monkeypatch.setattr(wiring.time, "monotonic", lambda: 1000.0 + wiring.STALE)
    assert [fine for _, fine, _ in wiring.alive(running)] == [False]
    running.progress["receiver"].turns += 1
    assert [fine for _, fine, _ in wiring.alive(running)] == [True]
