"""The publisher's bookkeeping, against a channel that the test answers for."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.adapters.amqp.message import Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.core.errors import BrokerUnavailable, Refused, SettingsError


class Wire:
    """Stands for the link and the channel: keeps what is published; runs the link's steps in the caller's thread."""

    def __init__(self, _address: Any, _role: str, setup: Any, lost: Any, _jitter: Any) -> None:
        self.up, self.blocked, self.error, self.lost = True, False, None, lost
        self.sent: list[tuple[str, str, bytes, str]] = []
        self.answer: Any = lambda tag: None
        self.connection = self
        setup(self)

    def add_on_return_callback(self, callback: Any) -> None:
        self.on_return = callback

    def add_on_connection_unblocked_callback(self, callback: Any) -> None:
        self.on_unblocked = callback

    def confirm_delivery(self, on_confirm: Any, callback: Any) -> None:
        self.on_confirm = on_confirm

    def basic_publish(self, exchange: str, key: str, body: bytes, properties: Any, mandatory: bool) -> None:
        assert mandatory
        assert properties.delivery_mode == 2
        self.sent.append((exchange, key, body, properties.message_id))
        self.answer(len(self.sent))

    def confirm(self, tag: int, ack: bool = True, multiple: bool = False) -> None:
        name = "Basic.Ack" if ack else "Basic.Nack"
        self.on_confirm(SimpleNamespace(method=SimpleNamespace(delivery_tag=tag, multiple=multiple, NAME=name)))

    def give_back(self, tag: int) -> None:
        exchange, key, body, id_ = self.sent[tag - 1]
        self.on_return(None, SimpleNamespace(exchange=exchange, routing_key=key), SimpleNamespace(message_id=id_), body)

    def wait(self, _timeout: float) -> None: ...
    def ready(self) -> None: ...

    def call(self, step: Any) -> bool:
        step()
        return True


def messages(count: int, key: str = "k") -> list[Message]:
    """`count` messages with ids of their own."""
    return [Message("x", key, b"b", f"m{number}") for number in range(count)]


def connected(window: int = 500) -> tuple[Publisher, Wire]:
    """A publisher and its wire."""
    publisher = Publisher(None, window=window, link=Wire)  # type: ignore[arg-type]
    return publisher, publisher.link


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_order_of_answers_gives_each_message_its_own_fate(data: st.DataObject) -> None:
    """Single and multiple acks and nacks in any order, returns before their ack: fates stand in the order given, and
    never more than the window is in flight."""
    count, window = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 12))
    publisher, wire = connected(window)
    result: list[Any] = []
    caller = threading.Thread(target=lambda: result.append(publisher.publish(messages(count), timeout=20)))
    caller.start()
    expected: dict[int, str] = {}
    while len(expected) < count:
        while len(wire.sent) == len(expected):
            threading.Event().wait(0.0005)
        open_ = [tag for tag in range(1, len(wire.sent) + 1) if tag not in expected]
        assert len(open_) <= window
        tag, ack, multiple = data.draw(st.sampled_from(open_)), data.draw(st.booleans()), data.draw(st.booleans())
        covered = [each for each in open_ if each <= tag] if multiple else [tag]
        back = [each for each in covered if ack and data.draw(st.booleans())]
        for each in back:
            wire.give_back(each)
        expected |= {each: ("returned" if each in back else "acked") if ack else "nacked" for each in covered}
        wire.confirm(tag, ack, multiple)
    caller.join(20)
    assert result == [[expected[tag] for tag in range(1, count + 1)]]
    assert [id_ for _, _, _, id_ in wire.sent] == [f"m{number}" for number in range(count)]
    assert publisher.confirmed + publisher.nacked + publisher.returned == count


def test_a_lost_connection_leaves_the_unconfirmed_unknown_and_sends_nothing_of_them_later() -> None:
    """What was confirmed stays acked, the rest is unknown, also what had not been sent: nothing may overtake."""
    publisher, wire = connected(window=4)

    def answer(tag: int) -> None:
        if tag == 2:
            wire.confirm(1)
        if tag == 5:
            wire.lost(BrokerUnavailable("gone"))

    wire.answer = answer
    assert publisher.publish(messages(10), timeout=1) == ["acked"] + ["unknown"] * 9
    assert len(wire.sent) == 5
    assert publisher.unknown == 9


def test_a_refusing_broker_raises_what_it_said() -> None:
    """When nothing of a batch was confirmed and the channel was closed for good, the caller gets the reason."""
    publisher, wire = connected()
    wire.answer = lambda tag: wire.lost(SettingsError("no exchange"))
    with pytest.raises(SettingsError):
        publisher.publish(messages(1), timeout=1)


def test_nothing_is_sent_while_blocked() -> None:
    """Under an alarm a batch is not written into the socket, and the caller learns that nothing was sent."""
    publisher, wire = connected()
    wire.blocked = True
    with pytest.raises(BrokerUnavailable):
        publisher.publish(messages(2), timeout=0.01)
    wire.blocked = False
    wire.on_unblocked()
    assert wire.sent == []


def test_a_batch_that_ran_out_of_time_is_not_sent_later() -> None:
    """After the timeout the unsent tail is forgotten, so the caller's resend comes first."""
    publisher, wire = connected(window=3)
    assert publisher.publish(messages(5), timeout=0.01) == ["unknown"] * 5
    for tag in (1, 2, 3):
        wire.confirm(tag)
    assert len(wire.sent) == 3


def test_one_id_twice_in_flight_is_told_apart_by_its_key() -> None:
    """The same id to two queues: the return of one is not taken for the other."""
    publisher, wire = connected()

    def answer(tag: int) -> None:
        if tag == 2:
            wire.give_back(2)
            wire.confirm(2, multiple=True)

    wire.answer = answer
    assert publisher.publish([Message("x", "a", b"", "same"), Message("x", "b", b"", "same")]) == ["acked", "returned"]


@pytest.mark.parametrize(
    "bad",
    [
        Message("x", "k", b"b", ""),
        Message("x" * 256, "k", b"b", "1"),
        Message("x", "\u20ac" * 90, b"b", "1"),
        Message("x", "k", "text", "1"),  # type: ignore[arg-type]
    ],
)
def test_what_amqp_cannot_carry_is_refused(bad: Message) -> None:
    """Refused before anything of the batch is sent, and without quoting the message."""
    publisher, wire = connected()
    with pytest.raises(Refused, match="message 1 has"):
        publisher.publish([*messages(1), bad])
    assert wire.sent == []


def test_no_messages_need_no_broker() -> None:
    """An empty batch returns at once."""
    publisher, _ = connected()
    assert publisher.publish([]) == []
