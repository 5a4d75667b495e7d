"""The worker loop, the ingest loop and resending, with a consumer and a publisher that live in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

import pytest

from bridge.adapters.amqp.consumer import Progress, forwarding, run_worker
from bridge.adapters.amqp.message import Delivered, Fate, Message
from bridge.adapters.amqp.relay import ATTEMPT, Sending, attempts, carried, feed, to_parked, to_rung, to_work
from bridge.adapters.amqp.subscription import Batch, _Inflow
from bridge.core.errors import BrokerUnavailable, StoreUnavailable, Transient


def message(number: int, count: int = 0, **headers: object) -> Delivered:
    """A delivery with tag and id `number`."""
    return Delivered(b"b", f"m{number}", "t", headers, "s07", count > 0, count, "work.s07", tag=number)


class Memory:
    """A consumer over ready batches; `log` has what was called in order. Sets `stop` when the batches are out."""

    def __init__(self, stop: Event, *batches: list[Delivered]) -> None:
        self.inflow, self.stop, self.log = _Inflow(None, ()), stop, list[tuple[str, object]]()
        self.batches, self.stale = list(batches), set[int]()

    def batch(self, size: int = 100, linger: float = 0.02, wait: float = 1.0) -> Batch | None:
        if len(self.batches) <= 1:
            self.stop.set()
        return Batch(self.batches.pop(0), self.inflow) if self.batches else None

    def current(self, batch: Batch) -> bool:
        return batch.messages[-1].tag not in self.stale

    def ack(self, batch: Batch) -> None:
        self.log.append(("ack", batch.messages[-1].tag))

    def finish(self, last: Batch | None, timeout: float = 10.0) -> None:
        self.log.append(("finish", last and last.messages[-1].tag))

    def drop(self) -> None:
        self.log.append(("drop", None))


class Outbox:
    """A publisher that answers by `fate(message)`."""

    def __init__(self, fate: Callable[[Message], Fate] = lambda _: "acked") -> None:
        self.fate, self.sent = fate, list[Message]()

    def publish(self, messages: Sequence[Message], timeout: float = 30.0) -> list[Fate]:
        self.sent += messages
        return [self.fate(each) for each in messages]


def test_each_batch_is_committed_before_its_ack_and_the_last_is_acked_by_the_stop() -> None:
    """Order of events: take, ack, take, ack; once the stop is asked for take without ack, then finish with the last."""
    stop, taken = Event(), list[str]()
    consumer = Memory(stop, [message(1), message(2)], [message(3)], [message(4)], [message(5)])

    def take(messages: list[Delivered]) -> list[str]:
        taken.extend(each.message_id for each in messages)
        consumer.log.append(("take", messages[-1].tag))
        if messages[-1].tag == 3:
            stop.set()
        return [""] * len(messages)

    run_worker(consumer, take, Outbox(), stop)
    assert taken == ["m1", "m2", "m3", "m4", "m5"]
    assert consumer.log == [("take", 2), ("ack", 2), ("take", 3), ("take", 4), ("take", 5), ("finish", 5)]


def test_a_rung_is_confirmed_before_the_ack() -> None:
    """A message to retry is published to its rung with its key and an attempt more; only then the batch is acked."""
    stop, outbox = Event(), Outbox()
    consumer = Memory(stop, [message(1), message(2)], [message(3)])
    outbox.fate = lambda each: consumer.log.append(("sent", each.exchange)) or "acked"
    progress = run_worker(consumer, lambda batch: ["", "30s"][: len(batch)], outbox, stop)
    assert consumer.log == [("sent", "retry.30s"), ("ack", 2), ("finish", 3)]
    assert (outbox.sent[0].routing_key, outbox.sent[0].message_id, outbox.sent[0].headers[ATTEMPT]) == ("s07", "m2", 1)
    assert progress.retried == 1


def test_an_unconfirmed_rung_is_sent_again_without_a_second_commit() -> None:
    """When the copy is not confirmed the batch is not acked and not taken again; only the missing copy is repeated."""
    stop, calls = Event(), list[int]()
    fates: list[Fate] = ["acked", "nacked", "acked"]
    outbox = Outbox(lambda _: fates.pop(0))
    consumer = Memory(stop, [message(1), message(2)], [])
    consumer.batches = [[message(1), message(2)], [message(3)]]

    def take(batch: list[Delivered]) -> list[str]:
        calls.append(len(batch))
        return ["5s", "5s"] if len(batch) == 2 else [""]

    run_worker(consumer, take, outbox, stop)
    assert calls == [2, 1]
    assert [each.message_id for each in outbox.sent] == ["m1", "m2", "m2"]


def test_a_fault_at_the_stop_leaves_the_batch_to_the_next_consumer() -> None:
    """A Transient while stopping ends without acking what was not committed."""
    stop = Event()
    consumer = Memory(stop, [message(1)], [message(2)], [message(3)])

    def take(messages: list[Delivered]) -> list[str]:
        if messages[0].tag == 2:
            stop.set()
            raise StoreUnavailable("away", after=60)
        return [""]

    progress = run_worker(consumer, take, Outbox(), stop)
    assert consumer.log == [("ack", 1), ("finish", None)]
    assert (progress.ready, progress.why) == (False, "BRG-T002")


def test_a_stale_batch_is_given_up() -> None:
    """When the channel went while we waited, the batch is not tried again: the broker delivers it anew."""
    stop, calls = Event(), list[int]()
    consumer = Memory(stop, [message(1)], [message(2)], [message(3)])

    def take(messages: list[Delivered]) -> list[str]:
        calls.append(messages[0].tag)
        if messages[0].tag == 1:
            consumer.stale.add(1)
            raise Transient("away", after=0.01)
        return [""]

    progress = run_worker(consumer, take, Outbox(), stop)
    assert calls == [1, 2, 3]
    assert progress.stale == 1
    assert ("ack", 1) not in consumer.log


def test_the_grace_of_a_stop_is_bounded() -> None:
    """Past the grace nothing more is taken; what is committed is acked, the rest comes again elsewhere."""
    stop, now = Event(), [0.0]
    consumer = Memory(stop, *[[message(number)] for number in range(1, 9)])

    def take(messages: list[Delivered]) -> list[str]:
        stop.set()
        now[0] += 2.0
        return [""]

    run_worker(consumer, take, Outbox(), stop, grace=4.0, clock=lambda: now[0])
    assert consumer.log == [("finish", 3)]


def test_a_bug_drops_the_socket_but_a_lone_repeater_is_parked() -> None:
    """An unexpected exception ends the loop unacked; the same from a message that came back three times parks it."""

    def take(messages: list[Delivered]) -> list[str]:
        raise KeyError("patient name")

    stop = Event()
    consumer = Memory(stop, [message(1)], [message(2)])
    with pytest.raises(KeyError):
        run_worker(consumer, take, Outbox(), stop)
    assert consumer.log == [("drop", None)]
    stop, outbox, progress = Event(), Outbox(), Progress()
    run_worker(Memory(stop, [message(1, count=3)]), take, outbox, stop, progress=progress)
    assert [(each.exchange, each.headers["x-bridge-why"]) for each in outbox.sent] == [("dlx", "KeyError")]
    assert progress.parked == 1


def test_a_disposition_for_each_message_is_required() -> None:
    """Fewer answers than messages is a bug, and nothing is acked on it."""
    stop = Event()
    consumer = Memory(stop, [message(1), message(2)], [message(3)])
    with pytest.raises(ValueError, match="zip"):
        run_worker(consumer, lambda _: [""], Outbox(), stop)
    assert consumer.log == [("drop", None)]


def test_forwarding_stores_once_and_repeats_only_what_is_not_confirmed() -> None:
    """After a nack the same batch is not stored again, and confirmed copies are not sent again."""
    stored, fates = list[int](), ["acked", "nacked", "acked"]
    outbox = Outbox(lambda _: fates.pop(0))  # type: ignore[return-value]

    def store(batch: list[Delivered]) -> list[Message | None]:
        stored.append(len(batch))
        return [None, *(to_work(each, f"id-{each.message_id}", "key") for each in batch[1:])]

    take, batch = forwarding(store, outbox), [message(1), message(2), message(3)]
    with pytest.raises(BrokerUnavailable):
        take(batch)
    assert take(batch) == ["", "", ""]
    assert stored == [3]
    assert [each.message_id for each in outbox.sent] == ["id-m2", "id-m3", "id-m3"]


def test_a_second_send_of_other_messages_starts_afresh() -> None:
    """Confirmed copies are remembered for one batch only: the same id is sent again for the next."""
    outbox = Outbox()
    sending = Sending(outbox)
    for _ in range(2):
        sending.send([Message("work", "s00", b"b", "m1")])
    assert len(outbox.sent) == 2


def test_copies_keep_our_headers_and_drop_the_brokers() -> None:
    """Counters and traces of the first copy do not travel on; our own attempt count does."""
    first = message(
        1, 2, **{"x-death": [1], "x-first-death-queue": "q", "x-delivery-count": 2, "feed": "g", ATTEMPT: 4}
    )
    assert carried(first) == {"feed": "g", ATTEMPT: 4}
    assert attempts(first) == 4
    assert to_rung(first, "2m").headers[ATTEMPT] == 5
    assert to_parked(first, "BRG-M001").headers["x-bridge-queue"] == "work.s07"
    assert to_work(first, "new", "key").message_id == "new"


def test_feed_counts_everything_once() -> None:
    """Chunks, unknowns sent again under the same id, faults waited for: the counts add up to the messages."""
    seen: dict[str, int] = {}
    waits: list[float] = []

    def fate(each: Message) -> Fate:
        seen[each.message_id] = seen.get(each.message_id, 0) + 1
        if each.message_id == "m3" and seen["m3"] < 3:
            return "unknown"
        return "returned" if each.message_id == "m4" else "nacked" if each.message_id == "m5" else "acked"

    class Flaky(Outbox):
        def publish(self, messages: Sequence[Message], timeout: float = 30.0) -> list[Fate]:
            if not waits:
                raise BrokerUnavailable("away", after=0.5)
            return super().publish(messages, timeout)

    counts = list(feed(Flaky(fate), (Message("x", "k", b"", f"m{n}") for n in range(10)), chunk=4, pause=waits.append))
    assert [sum(each.values()) for each in counts] == [4, 8, 10]
    assert counts[-1] == {"acked": 8, "nacked": 1, "returned": 1, "unknown": 0}
    assert waits == [0.5]
    lost = list(feed(Outbox(lambda _: "unknown"), [Message("x", "k", b"", "m")], tries=2, pause=waits.append))
    assert lost[-1]["unknown"] == 1
