"""The topology on a real broker: applied, checked, refused, and what its policies and permissions really do."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.adapters.amqp import broker
from bridge.adapters.amqp.management import Management
from bridge.adapters.amqp.message import Delivered, Message
from bridge.adapters.amqp.publisher import Publisher
from bridge.adapters.amqp.relay import attempts, to_rung
from bridge.adapters.amqp.session import Session
from bridge.adapters.amqp.subscription import Consumer
from bridge.adapters.amqp.topology import describe
from bridge.adapters.amqp.transport import Address
from bridge.core.errors import BrokerUnavailable, Refused, SettingsError
from tests.services.amqp_place import RUNGS, Place, drain, eventually

pytestmark = pytest.mark.services


def test_applying_twice_changes_nothing(place: Place) -> None:
    """A second apply succeeds, and afterwards nothing is missing or different."""
    assert broker.apply(place.topology, place.address, place.management) == []
    assert broker.verify(place.topology, place.address, place.management) == []


def test_an_empty_broker_is_missing_everything(place: Place) -> None:
    """verify names every exchange, queue and policy that is not there, and creates none."""
    empty = Place(place.node)
    found = broker.verify(empty.topology, empty.address, empty.management)
    assert {"exchange work: missing", "queue work.s63: missing", "policy work: missing"} <= set(found)
    assert broker.verify(empty.topology, empty.address, empty.management) == found


def test_another_shape_is_refused_with_the_difference(place: Place) -> None:
    """A queue or exchange of another kind stops the apply; the error lists each with the broker's own words."""
    other = Place(place.node)
    with Session(other.address) as session:
        session.call("queue_declare", queue="work.s07", durable=True)
        session.call("exchange_declare", exchange="out", exchange_type="direct", durable=True)
    with pytest.raises(SettingsError) as refused:
        broker.apply(other.topology, other.address, other.management)
    text = str(refused.value)
    assert "queue work.s07" in text
    assert "exchange out" in text
    assert "x-single-active-consumer" in text, "the first argument that differs, in the broker's words"
    assert "'direct'" in text
    assert "policy work: missing" in broker.verify(other.topology, other.address, other.management)


def test_a_changed_policy_is_reported(place: Place) -> None:
    """verify with a management API says which policy differs and how."""
    other = describe(["general"], ["pantry", "housing"], rungs=RUNGS, partner_bytes=1)
    found = broker.verify(other, place.address, place.management)
    assert [line.split(":")[0] for line in found] == ["policy cbo", "policy ehr"]


def test_the_commands_do_what_the_api_does(place: Place) -> None:
    """Without a management API the returned rabbitmqctl commands, run one by one, lead to the same state."""
    other = Place(place.node, feeds=(), partners=("clinic",))
    one_of_each = [policy for policy in other.topology.policies if policy.name in {"work", "inbound"}]
    other.topology = replace(other.topology, policies=tuple(one_of_each))
    commands = broker.apply(other.topology, other.address, None)
    for command in commands:
        words = shlex.split(command)[1:]
        place.node.ctl(*words, *(["secret"] if words[0] == "add_user" else []))
    assert len(commands) == 6
    assert broker.verify(other.topology, other.address, other.management) == []


def test_the_definitions_file_is_the_topology(place: Place, tmp_path: Path) -> None:
    """Importing the generated definitions into an empty virtual host leaves nothing missing or different."""
    other = Place(place.node, feeds=("south",), partners=("shelter",))
    file = tmp_path / "definitions.json"
    file.write_text(json.dumps(broker.definitions(other.topology, other.vhost)))
    place.node.ctl("import_definitions", str(file))
    assert broker.verify(other.topology, other.address, other.management) == []


def test_a_user_without_a_password_cannot_log_in(place: Place) -> None:
    """A new partner's login exists without a password and lets nobody in."""
    other = Place(place.node, partners=("fresh",))
    broker.apply(other.topology, other.address, other.management)
    for password in ("", "guest"):
        with pytest.raises(SettingsError):
            Session(Address(place.node.vhost_url(other.vhost, "partner-fresh", password)), 5).__enter__()


def test_every_rung_returns_to_the_right_shard(place: Place, publisher: Publisher) -> None:
    """A message put on any rung comes back, after its delay, to the shard it came from, with its attempt counted."""
    sent = [Message("work", f"s{10 + n}", b"x", f"m{n}", headers={"feed": "general"}) for n in range(len(RUNGS))]
    publisher.publish(sent)
    queues = [f"work.s{10 + n}" for n in range(len(RUNGS))]
    worker = Consumer(place.address, queues)
    first = sorted(drain(worker, len(RUNGS)), key=lambda message: message.message_id)
    copies = [to_rung(message, rung) for message, rung in zip(first, RUNGS, strict=True)]
    assert publisher.publish(copies) == ["acked"] * len(RUNGS)
    back = drain(worker, len(RUNGS))
    worker.finish(None)
    assert [message.message_id for message in back] == [message.message_id for message in sent], "shortest rung first"
    assert [message.queue for message in back] == queues
    assert {(attempts(message), message.headers["feed"]) for message in back} == {(1, "general")}
    assert attempts(Delivered(b"", "", "", to_rung(back[0], "5s").headers, "", False, 0)) == 2


def test_what_the_broker_gives_up_is_parked(place: Place, publisher: Publisher) -> None:
    """Beyond the delivery limit a message goes to `parked` with its shard's key; none is dropped."""
    limited = [
        replace(policy, definition={**policy.definition, "delivery-limit": 1}) if policy.name == "work" else policy
        for policy in place.topology.policies
    ]
    broker.apply(replace(place.topology, policies=tuple(limited)), place.address, place.management)
    publisher.publish([Message("work", "s40", b"x", "worn")])
    for _ in range(2):
        consumer = Consumer(place.address, ["work.s40"])
        assert eventually(lambda each=consumer: each.delivered == 1)
        consumer.drop()
    parked = Consumer(place.address, ["parked"])
    got = drain(parked, 1)
    parked.finish(None)
    broker.apply(place.topology, place.address, place.management)
    assert [(message.message_id, message.routing_key) for message in got] == [("worn", "s40")]
    assert got[0].headers["x-first-death-reason"] == "delivery_limit"


def test_inbound_without_a_queue_is_kept(place: Place, publisher: Publisher) -> None:
    """What nobody is bound for on an inbound exchange waits in `unrouted`, as outside publishers ask for no returns."""
    assert publisher.publish([Message("in.adt", "adt.unknown.a03", b"x", "lost")]) == ["acked"]
    unrouted = Consumer(place.address, ["unrouted"])
    assert [message.routing_key for message in drain(unrouted, 1)] == ["adt.unknown.a03"]
    unrouted.finish(None)


def test_a_partner_reads_its_own_queue_and_writes_its_own_key_only(place: Place, publisher: Publisher) -> None:
    """Of all that a partner may try, reading its tasks and publishing under its own name work; the rest is refused."""
    login = place.login("partner-pantry")
    publisher.publish(
        [Message("out", "cbo.pantry.task", b"task", "t1"), Message("out", "cbo.housing.task", b"task", "t2")]
    )
    own = Consumer(login, ["cbo.pantry.tasks"])
    assert [message.message_id for message in drain(own, 1)] == ["t1"]
    own.finish(None)
    writer = Publisher(login)
    assert writer.publish([Message("in.intake", "pantry.intake", b"{}", "r1")]) == ["acked"]
    for exchange, key in (
        ("in.intake", "housing.intake"),
        ("in.adt", "adt.general.a03"),
        ("", "cbo.pantry.tasks"),
        ("out", "cbo.pantry.task"),
        ("work", "s00"),
        ("dlx", "x"),
    ):
        assert eventually(lambda: writer.link.up)
        with pytest.raises(Refused):
            writer.publish([Message(exchange, key, b"{}", "bad")])
    writer.close()
    for queue in ("cbo.housing.tasks", "ingest.pantry", "parked", "work.s00"):
        reader = Consumer(login, [queue])
        with pytest.raises(Refused):
            reader.wait(10)
        reader.drop()
    with Session(login) as session:
        for method, arguments in (
            ("queue_declare", {"queue": "mine"}),
            ("queue_delete", {"queue": "cbo.pantry.tasks"}),
            ("queue_bind", {"queue": "cbo.pantry.tasks", "exchange": "in.adt", "routing_key": "#"}),
        ):
            with pytest.raises(Refused):
                session.call(method, **arguments)


def test_an_engine_reads_and_writes_its_own_facility_only(place: Place) -> None:
    """A hospital's login may publish its own facility's messages, not another's nor a partner's."""
    writer = Publisher(place.login("engine-general"))
    assert writer.publish(
        [Message("in.adt", "adt.general.a03", b"MSH|", "1"), Message("in.ehr", "general.ack", b"x", "2")]
    ) == ["acked", "acked"]
    for exchange, key in (("in.adt", "adt.other.a03"), ("in.ehr", "other.ack"), ("in.intake", "pantry.intake")):
        assert eventually(lambda: writer.link.up)
        with pytest.raises(Refused):
            writer.publish([Message(exchange, key, b"x", "bad")])
    writer.close()


def test_wrong_logins_and_places_say_what_is_wrong(place: Place) -> None:
    """A wrong password or vhost is a SettingsError at once, a closed port BrokerUnavailable; no secret is shown."""
    for url in (place.node.vhost_url(place.vhost, "guest", "hunter2"), place.node.vhost_url("nowhere")):
        with pytest.raises(SettingsError) as wrong:
            Session(Address(url), 10).__enter__()
        assert "hunter2" not in str(wrong.value)
    with pytest.raises(BrokerUnavailable):
        Session(Address("amqp://guest:guest@127.0.0.1:1/"), 0.5).__enter__()
    with pytest.raises(SettingsError):
        broker.verify(
            place.topology, place.address, Management(place.node.management_url, "guest", "wrong", place.vhost)
        )
    with pytest.raises(BrokerUnavailable):
        broker.verify(place.topology, place.address, Management("http://127.0.0.1:1", "guest", "guest", place.vhost))


def test_a_password_file_and_a_second_host(place: Place, tmp_path: Path) -> None:
    """The password may come from a file, and when the first host is away the second is used."""
    secret = tmp_path / "password"
    secret.write_text("guest\n")
    url = f"amqp://guest@127.0.0.1:1/{place.vhost},amqp://guest@127.0.0.1:{place.node.port}/{place.vhost}"
    with Session(Address(url, password_file=secret), 10) as session:
        session.call("exchange_declare", exchange="work", passive=True)


def test_tls_verifies_the_broker(place: Place) -> None:
    """amqps works against the authority's file for the right name, and refuses an unknown authority or another name."""
    if not place.node.tls_port:
        pytest.skip("no openssl to make a certificate")
    right = f"amqps://guest:guest@localhost:{place.node.tls_port}/{place.vhost}"
    with Session(Address(right, ca_file=place.node.authority), 10) as session:
        session.call("exchange_declare", exchange="work", passive=True)
    with pytest.raises(SettingsError):
        Session(Address(right), 10).__enter__()
    with pytest.raises(SettingsError):
        Session(Address(right.replace("localhost", "127.0.0.1"), ca_file=place.node.authority), 10).__enter__()
