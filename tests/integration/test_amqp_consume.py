"""Consuming from a real broker: order per shard through kills and stops, recovery, batches, poison."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from bridge.adapters.amqp.consumer import Progress, forwarding, run_worker
from bridge.adapters.amqp.message import Delivered, Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.relay import to_work
from bridge.adapters.amqp.session import Session
from bridge.adapters.amqp.subscription import Consumer
from bridge.adapters.amqp.topology import work_queues
from bridge.core.errors import SettingsError, StoreUnavailable
from tests.services.amqp_place import Place, drain, eventually, numbered, spawn

pytestmark = pytest.mark.services


def journal_of(path: Path) -> list[str]:
    """The ids in the order of their commits."""
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def first_copies(ids: list[str]) -> list[str]:
    """Each id once, where it came first."""
    return list(dict.fromkeys(ids))


def test_order_holds_when_consumers_are_killed_mid_batch(place: Place, publisher: Publisher, tmp_path: Path) -> None:
    """With a standby beside it, three SIGKILLs in mid-batch lose nothing and first effects stay in order."""
    queue, journal = place.declare("killed"), tmp_path / "journal"
    workers: list[subprocess.Popen[bytes]] = [spawn(place, queue, journal, 0.001, 50) for _ in range(2)]
    for round_ in range(3):
        before = len(journal_of(journal))
        publisher.publish(numbered(queue, round_ * 300, 200))
        assert eventually(lambda seen=before: len(journal_of(journal)) >= seen + 60)
        pid = int(journal.read_text().splitlines()[-1].split()[1])
        active = next(worker for worker in workers if worker.pid == pid)
        active.send_signal(signal.SIGKILL)
        active.wait()
        workers.append(spawn(place, queue, journal, 0.001, 50))
        publisher.publish(numbered(queue, round_ * 300 + 200, 100))
    done = eventually(lambda: len(set(journal_of(journal))) == 900, 30)
    for worker in workers:
        worker.kill()
        worker.wait()
    ids = journal_of(journal)
    assert done
    assert first_copies(ids) == [f"{n:05d}" for n in range(900)]


def test_an_ordered_stop_hands_over_without_a_copy_or_a_swap(
    place: Place, publisher: Publisher, tmp_path: Path
) -> None:
    """SIGTERM under load: every message is committed once and in order, across the old worker and the new one."""
    queue, journal = place.declare("stopped"), tmp_path / "journal"
    workers = [spawn(place, queue, journal, 0.001, 20) for _ in range(2)]
    number = 0
    for _ in range(4):
        before = len(journal_of(journal))
        publisher.publish(numbered(queue, number, 150))
        assert eventually(lambda seen=before: len(journal_of(journal)) >= seen + 40)
        pid = int(journal.read_text().splitlines()[-1].split()[1])
        active = next(worker for worker in workers if worker.pid == pid)
        active.send_signal(signal.SIGTERM)
        publisher.publish(numbered(queue, number + 150, 100))
        number += 250
        assert active.wait(30) == 0
        workers.append(spawn(place, queue, journal, 0.001, 20))
    done = eventually(lambda: len(set(journal_of(journal))) == number, 30)
    for worker in workers:
        worker.kill()
        worker.wait()
    assert done
    assert journal_of(journal) == [f"{n:05d}" for n in range(number)]


def test_a_stop_at_low_load_leaves_late_messages_in_front(place: Place, publisher: Publisher) -> None:
    """What arrives after the last batch of a stop is not cancelled away: the next consumer gets it first."""
    queue = place.declare("late")
    first = Consumer(place.address, [queue], prefetch=50)
    first.wait()
    second = Consumer(place.address, [queue], prefetch=50)
    second.wait()
    publisher.publish(numbered(queue, 0, 10))
    assert eventually(lambda: first.delivered == 10)
    batch = first.batch(10)
    assert batch is not None
    publisher.publish(numbered(queue, 10, 10))
    assert eventually(lambda: first.delivered == 20)
    first.finish(batch)
    publisher.publish(numbered(queue, 20, 5))
    got = drain(second, 15)
    second.drop()
    assert [message.message_id for message in got] == [f"{n:05d}" for n in range(10, 25)]


def test_one_consumer_is_active_the_other_waits(place: Place, publisher: Publisher) -> None:
    """Of two consumers of a shard one gets everything; when it goes the other continues in order."""
    queue = place.declare("single")
    first = Consumer(place.address, [queue])
    first.wait()
    second = Consumer(place.address, [queue])
    second.wait()
    publisher.publish(numbered(queue, 0, 50))
    assert [message.message_id for message in drain(first, 50)] == [f"{n:05d}" for n in range(50)]
    assert second.delivered == 0
    assert eventually(lambda: first.acked == 50)
    first.drop()
    publisher.publish(numbered(queue, 50, 50))
    assert [message.message_id for message in drain(second, 50)] == [f"{n:05d}" for n in range(50, 100)]
    second.drop()


def test_all_shards_are_consumed_on_one_channel(place: Place, publisher: Publisher) -> None:
    """One consumer registers on all 64 shards and acks across them with one frame."""
    consumer = Consumer(place.address, work_queues(), prefetch=20)
    consumer.wait()
    publisher.publish([Message("work", f"s{n % 64:02d}", b"x", f"{n}") for n in range(640)])
    assert len(drain(consumer, 640)) == 640
    assert eventually(lambda: consumer.acked == 640)
    consumer.finish(None)
    assert all(place.depth(queue) == 0 for queue in work_queues(range(0, 64, 9)))


def test_closed_connections_come_back_and_nothing_is_lost(place: Place, publisher: Publisher) -> None:
    """After close_all_connections both sides reconnect; a batch in hand turns stale and its messages come again."""
    queue = place.declare("closed")
    consumer = Consumer(place.address, [queue], prefetch=100)
    consumer.wait()
    publisher.publish(numbered(queue, 0, 100))
    batch = consumer.batch(30, wait=10)
    assert batch is not None
    place.node.ctl("close_all_connections", "--vhost", place.vhost, "test")
    assert eventually(lambda: consumer.link.reconnects >= 1 and consumer.link.up and publisher.link.up)
    assert not consumer.current(batch)
    consumer.ack(batch)
    assert publisher.publish(numbered(queue, 100, 10)) == ["acked"] * 10
    got = drain(consumer, 110)
    consumer.drop()
    assert [message.message_id for message in got] == [f"{n:05d}" for n in range(110)]
    assert got[0].redelivered
    assert got[0].delivery_count == 1


def test_a_deleted_queue_is_noticed_and_taken_up_again(place: Place, publisher: Publisher) -> None:
    """A consumer whose queue is deleted goes down saying so, and consumes again once the queue is back."""
    queue = place.declare("deleted")
    consumer = Consumer(place.address, [queue])
    consumer.wait()
    with Session(place.address) as session:
        session.call("queue_delete", queue=queue)
    assert eventually(lambda: isinstance(consumer.link.error, SettingsError))
    with pytest.raises(SettingsError, match="deleted"):
        consumer.wait()
    place.declare("deleted")
    assert eventually(lambda: consumer.link.up)
    publisher.publish(numbered(queue, 0, 5))
    assert len(drain(consumer, 5)) == 5
    consumer.drop()


def test_a_message_that_keeps_coming_back_is_handed_out_alone(place: Place, publisher: Publisher) -> None:
    """After three hard ends every message of the window is in a batch of its own, still in order."""
    queue = place.declare("poison")
    publisher.publish(numbered(queue, 0, 5))
    for _ in range(3):
        consumer = Consumer(place.address, [queue])
        assert eventually(lambda each=consumer: each.delivered == 5)
        consumer.drop()
    consumer = Consumer(place.address, [queue])
    assert eventually(lambda: consumer.delivered == 5)
    batches = [consumer.batch(10, 0.0) for _ in range(5)]
    consumer.drop()
    assert [[message.message_id for message in batch.messages] for batch in batches if batch] == [
        [f"{n:05d}"] for n in range(5)
    ]
    assert batches[0] is not None
    assert batches[0].messages[0].delivery_count == 3


def test_a_passing_fault_pauses_and_the_same_batch_is_tried_again(place: Place, publisher: Publisher) -> None:
    """A Transient from the pipeline neither acks nor requeues: the very batch comes again and the order holds."""
    queue = place.declare("paused")
    publisher.publish(numbered(queue, 0, 40))
    calls: list[list[str]] = []
    committed: list[str] = []
    stop, progress = threading.Event(), Progress()
    readiness: list[bool] = []

    def take(messages: list[Delivered]) -> list[str]:
        calls.append([message.message_id for message in messages])
        readiness.append(progress.ready)
        if len(calls) in {1, 2}:
            raise StoreUnavailable("database is away", after=0.05)
        committed.extend(calls[-1])
        if len(committed) == 40:
            stop.set()
        return [""] * len(messages)

    run_worker(Consumer(place.address, [queue]), take, publisher, stop, size=20, progress=progress)
    assert calls[0] == calls[1] == calls[2]
    assert readiness[1:3] == [False, False]
    assert committed == [f"{n:05d}" for n in range(40)]
    assert (progress.pauses, progress.messages, progress.why) == (2, 40, "")
    assert eventually(lambda: place.depth(queue) == 0)


def test_a_crash_of_the_pipeline_returns_everything(place: Place, publisher: Publisher) -> None:
    """Any other exception ends the loop with nothing acked, so the next worker sees all of it in order."""
    queue = place.declare("crash")
    publisher.publish(numbered(queue, 0, 10))

    def take(messages: list[Delivered]) -> list[str]:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        run_worker(Consumer(place.address, [queue]), take, publisher, threading.Event())
    consumer = Consumer(place.address, [queue])
    assert [message.message_id for message in drain(consumer, 10)] == [f"{n:05d}" for n in range(10)]
    consumer.drop()


def test_poison_is_parked_and_its_neighbours_live(place: Place, publisher: Publisher) -> None:
    """A message that ends the worker each time is parked by its fourth delivery; the others are committed."""
    queue = place.declare("toxic")
    publisher.publish(numbered(queue, 0, 3))
    done: list[str] = []

    def take(messages: list[Delivered]) -> list[str]:
        if any(message.message_id == "00001" for message in messages):
            raise KeyError("poison")
        done.extend(message.message_id for message in messages)
        if "00002" in done:
            stop.set()
        return [""] * len(messages)

    stop, progress = threading.Event(), Progress()
    for _ in range(8):
        try:
            run_worker(Consumer(place.address, [queue]), take, publisher, stop, progress=progress)
            break
        except KeyError:
            continue
    assert sorted(done) == ["00000", "00002"]
    assert progress.parked == 1
    parked = Consumer(place.address, ["parked"])
    got = drain(parked, 1)
    parked.drop()
    assert [(m.message_id, m.headers["x-bridge-why"], m.headers["x-bridge-queue"]) for m in got] == [
        ("00001", "KeyError", queue)
    ]


def test_ingest_forwards_to_the_shard_and_acks_after_the_confirm(place: Place, publisher: Publisher) -> None:
    """Raw messages are stored, forwarded under the ledger's id to the patient's shard, then acked; duplicates end."""
    publisher.publish(
        [
            Message("in.adt", "adt.general.a03", f"raw {n}".encode(), f"c{n}", "x-application/hl7-v2+er7")
            for n in range(20)
        ]
    )
    stop, stored = threading.Event(), []

    def store(messages: list[Delivered]) -> list[Message | None]:
        stored.extend(message.message_id for message in messages)
        if len(stored) == 20:
            stop.set()
        return [
            None if message.message_id == "c7" else to_work(message, f"id-{message.message_id}", "mrn-1")
            for message in messages
        ]

    run_worker(Consumer(place.address, ["ingest.general"]), forwarding(store, publisher), publisher, stop)
    assert stored == [f"c{n}" for n in range(20)]
    assert eventually(lambda: place.depth("ingest.general") == 0)
    worker = Consumer(place.address, work_queues())
    got = drain(worker, 19)
    worker.finish(None)
    assert [message.message_id for message in got] == [f"id-c{n}" for n in range(20) if n != 7]
    assert {message.queue for message in got} == {f"work.{got[0].routing_key}"}


def test_readiness_follows_the_link(place: Place) -> None:
    """A consumer of a missing queue is not up and says what to do about it."""
    consumer = Consumer(place.address, ["work.s00", "nowhere"])
    with pytest.raises(SettingsError, match="topology apply"):
        consumer.wait(20)
    assert not consumer.link.up
    consumer.drop()
