"""Publishing against a real broker: fates, faults, and nothing confirmed is ever lost."""

from __future__ import annotations

import threading
import time

import pytest

from bridge.adapters.amqp.message import Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.relay import feed
from bridge.adapters.amqp.subscription import Consumer
from bridge.core.errors import BrokerUnavailable, Refused, SettingsError
from tests.services.amqp_place import Place, drain, eventually, numbered
from tests.services.proxy import proxy

pytestmark = pytest.mark.services


@pytest.fixture
def publisher(place: Place):
    """A publisher with a window smaller than most batches."""
    made = Publisher(place.address, window=50)
    yield made
    made.close()


def test_a_batch_larger_than_the_window_is_confirmed_in_order(place: Place, publisher: Publisher) -> None:
    """Every message is acked, stored once and in the order given, however small the window."""
    queue = place.declare("window")
    assert publisher.publish(numbered(queue, 0, 1000)) == ["acked"] * 1000
    consumer = Consumer(place.address, [queue])
    got = drain(consumer, 1000)
    consumer.drop()
    assert [message.message_id for message in got] == [f"{n:05d}" for n in range(1000)]
    assert publisher.confirmed == 1000


def test_what_was_put_in_comes_out(place: Place, publisher: Publisher) -> None:
    """Body, id, content type, type and headers arrive unchanged; a first delivery counts nothing."""
    queue = place.declare("same")
    sent = Message("", queue, b"MSH|\x0b\xff\r", "id-\u00e9", "x-application/hl7-v2+er7", "ADT", {"feed": "g", "n": 7})
    assert publisher.publish([sent]) == ["acked"]
    consumer = Consumer(place.address, [queue])
    got = drain(consumer, 1)[0]
    consumer.drop()
    assert (got.body, got.message_id, got.content_type, got.type) == (
        sent.body,
        sent.message_id,
        sent.content_type,
        "ADT",
    )
    assert (dict(got.headers), got.routing_key, got.redelivered, got.delivery_count) == (
        {"feed": "g", "n": 7},
        queue,
        False,
        0,
    )


def test_two_threads_share_one_publisher(place: Place, publisher: Publisher) -> None:
    """Each caller gets the fates of its own batch, and its own order is kept."""
    queues = [place.declare("left"), place.declare("right")]
    fates: dict[str, list[str]] = {}
    threads = [
        threading.Thread(target=lambda q=queue: fates.update({q: publisher.publish(numbered(q, 0, 400))}))
        for queue in queues
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fates == {queue: ["acked"] * 400 for queue in queues}


def test_an_unroutable_message_is_returned_alone(place: Place, publisher: Publisher) -> None:
    """A key without a queue is `returned` at its own place in the list, its neighbours are acked."""
    messages = [
        Message("work", "s01", b"a", "1"),
        Message("work", "s99", b"b", "2"),
        Message("out", "cbo.nobody.task", b"c", "3"),
        Message("out", "cbo.pantry.task", b"d", "4"),
        Message("work", "s99", b"e", "2"),
    ]
    assert publisher.publish(messages) == ["acked", "returned", "returned", "acked", "returned"]
    assert publisher.returned == 3


def test_a_full_partner_queue_nacks_that_partner_alone(place: Place, publisher: Publisher) -> None:
    """Past max-length-bytes one partner's messages are nacked while another's are still acked."""
    fates: list[str] = []
    for number in range(60):
        fates += publisher.publish([Message("out", "cbo.housing.task", b"x" * 10_000, f"h{number}")])
    assert "nacked" in fates
    assert publisher.publish(
        [Message("out", "cbo.housing.task", b"x" * 10_000, "h"), Message("out", "cbo.pantry.task", b"x", "p")]
    ) == ["nacked", "acked"]


def test_a_missing_exchange_is_a_settings_error(place: Place, publisher: Publisher) -> None:
    """Publishing to an exchange that does not exist raises SettingsError naming it, and the publisher recovers."""
    with pytest.raises(SettingsError, match="nowhere"):
        publisher.publish([Message("nowhere", "k", b"x", "1")])
    queue = place.declare("after")
    assert eventually(lambda: publisher.link.up)
    assert publisher.publish(numbered(queue, 0, 3)) == ["acked"] * 3


def test_a_message_that_amqp_cannot_carry_is_refused_before_anything_is_sent(publisher: Publisher) -> None:
    """No id, a key over 255 bytes and a header that cannot be encoded raise Refused without losing the connection."""
    for bad in (
        Message("work", "s00", b"x", ""),
        Message("work", "k" * 256, b"x", "1"),
        Message("work", "s00", b"x", "1", headers={"h": object()}),
    ):
        with pytest.raises(Refused):
            publisher.publish([bad])
    assert publisher.publish([Message("work", "s02", b"x", "1")]) == ["acked"]


def test_a_lost_confirm_is_unknown_and_the_resend_is_acked(place: Place) -> None:
    """When the connection goes between publish and confirm the fate is unknown; the same id can be sent again."""
    queue = place.declare("lost")
    with proxy("127.0.0.1", place.node.port) as between:
        address = type(place.address)(f"amqp://guest:guest@127.0.0.1:{between.port}/{place.vhost}", heartbeat=4)
        publisher = Publisher(address, window=50)
        assert publisher.publish(numbered(queue, 0, 1)) == ["acked"]
        between.mode = "mute"
        threading.Timer(0.5, between.cut).start()
        assert publisher.publish(numbered(queue, 1, 120)) == ["unknown"] * 120
        between.mode = "pass"
        assert publisher.publish(numbered(queue, 1, 120)) == ["acked"] * 120
        assert publisher.link.reconnects == 1
        publisher.close()
    consumer = Consumer(place.address, [queue])
    ids = [message.message_id for message in drain(consumer, 171, 5)]
    consumer.drop()
    first = list(dict.fromkeys(ids))
    assert first == sorted(first)
    assert len(first) == 121
    assert len(ids) <= 121 + 50, "what was beyond the window was never sent"


def test_a_hanging_network_is_noticed_by_heartbeat(place: Place) -> None:
    """Without a byte from the broker the connection is given up and the fate is unknown, not waited for."""
    queue = place.declare("hang")
    with proxy("127.0.0.1", place.node.port) as between:
        address = type(place.address)(f"amqp://guest:guest@127.0.0.1:{between.port}/{place.vhost}", heartbeat=1)
        publisher = Publisher(address)
        assert publisher.publish(numbered(queue, 0, 1)) == ["acked"]
        between.mode = "hang"
        assert publisher.publish(numbered(queue, 1, 1), timeout=20) == ["unknown"]
        assert not publisher.link.up
        with pytest.raises(BrokerUnavailable):
            publisher.publish(numbered(queue, 1, 1), timeout=0.2)
        between.mode = "pass"
        assert publisher.publish(numbered(queue, 1, 1)) == ["acked"]
        publisher.close()


def test_an_alarm_blocks_publishing_but_not_consuming(place: Place) -> None:
    """Under a disk alarm a publish ends as unknown, the next is refused at once, consuming and acking go on."""
    queue = place.declare("alarm")
    publisher, consumer = Publisher(place.address), Consumer(place.address, [queue], prefetch=20)
    assert publisher.publish(numbered(queue, 0, 200)) == ["acked"] * 200
    place.node.ctl("set_disk_free_limit", "900GB")
    try:
        assert publisher.publish(numbered(queue, 200, 1), timeout=10) == ["unknown"]
        assert not publisher.link.up or publisher.link.blocked
        assert len(drain(consumer, 200, 10)) == 200
        assert eventually(lambda: consumer.acked == 200)
    finally:
        place.node.ctl("set_disk_free_limit", "50MB")
    assert eventually(lambda: publisher.publish(numbered(queue, 200, 1)) == ["acked"])
    ids = {message.message_id for message in drain(consumer, 1, 5)}
    consumer.drop()
    publisher.close()
    assert ids == {"00200"}


def test_everything_confirmed_survives_kill_of_the_broker(place: Place) -> None:
    """kill -9 of the broker under load loses nothing that was confirmed and keeps the order of first copies."""
    # A queue that is some seconds old: RabbitMQ 3.10 writes the name of a new quorum queue to disk half a second late.
    queue = "work.s05"
    publisher = Publisher(place.address, window=100)
    confirmed: list[str] = []
    number, fates = 0, ["acked"]
    killer = threading.Timer(0.4, place.node.kill)
    killer.start()
    while set(fates) == {"acked"}:
        part = numbered(queue, number, 100)
        fates = publisher.publish(part)
        confirmed += [message.message_id for message, fate in zip(part, fates, strict=True) if fate == "acked"]
        number += 100
    killer.join()
    place.node.restart()
    *_, counts = feed(publisher, numbered(queue, number - 100, 100), pause=time.sleep)
    assert counts["acked"] == 100
    consumer = Consumer(place.address, [queue])
    ids = [message.message_id for message in drain(consumer, 10**6, 3)]
    consumer.drop()
    publisher.close()
    first = list(dict.fromkeys(ids))
    assert set(confirmed) <= set(first)
    assert first == sorted(first)
