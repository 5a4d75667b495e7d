"""The topology as a value: names, rules that the design asks for, and its generated files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapters.amqp.broker import definitions
from bridge.adapters.amqp.management import calls, commands
from bridge.adapters.amqp.topology import describe, show, work_key, work_queues
from bridge.core.errors import SettingsError

FOLDER = Path(__file__).resolve().parents[3] / "docker" / "rabbitmq"
TOPOLOGY = describe(["general", "north-2"], ["pantry", "housing_1"])


def test_every_queue_is_quorum_and_only_two_things_are_arguments() -> None:
    """Limits, delays and dead-lettering are never arguments, which cannot change."""
    assert all(queue.arguments.keys() <= {"x-queue-type", "x-single-active-consumer"} for queue in TOPOLOGY.queues)
    assert all(queue.arguments["x-queue-type"] == "quorum" for queue in TOPOLOGY.queues)
    assert all(queue.single_active == queue.name.startswith(("work.", "ingest.")) for queue in TOPOLOGY.queues)


def test_one_policy_at_most_fits_each_object_and_every_queue_has_one() -> None:
    """RabbitMQ applies one policy to an object, so patterns may not overlap; delivery limits are set, for 4.x."""
    for queue in TOPOLOGY.queues:
        fitting = [p for p in TOPOLOGY.policies if p.apply_to == "queues" and re.search(p.pattern, queue.name)]
        assert len(fitting) == 1, queue.name
        if not queue.name.startswith("retry."):
            assert fitting[0].definition["delivery-limit"] >= 100
    for exchange in TOPOLOGY.exchanges:
        fitting = [p for p in TOPOLOGY.policies if p.apply_to == "exchanges" and re.search(p.pattern, exchange.name)]
        assert bool(fitting) == exchange.name.startswith("in."), "an alternate exchange would swallow returns"


def test_dead_letters_are_kept() -> None:
    """Whatever is dead-lettered is so at least once, which needs reject-publish; a rung keeps the shard's key."""
    for policy in TOPOLOGY.policies:
        if "dead-letter-exchange" in policy.definition:
            assert policy.definition["dead-letter-strategy"] == "at-least-once"
            assert policy.definition["overflow"] == "reject-publish"
            assert "dead-letter-routing-key" not in policy.definition


def test_bindings_join_what_is_declared() -> None:
    """Every binding's ends exist, every queue is bound, and each shard's key has one queue."""
    exchanges, queues = {e.name for e in TOPOLOGY.exchanges}, {q.name for q in TOPOLOGY.queues}
    assert {b.exchange for b in TOPOLOGY.bindings} <= exchanges
    assert {b.queue for b in TOPOLOGY.bindings} == queues
    assert [b.key for b in TOPOLOGY.bindings if b.exchange == "work"] == [f"s{n:02d}" for n in range(64)]


@given(st.text())
def test_every_patient_key_has_a_shard_that_is_declared(key: str) -> None:
    """Whatever the key, its routing key belongs to a work queue."""
    assert f"work.{work_key(key)}" in work_queues()


def test_the_shard_function_never_changes() -> None:
    """Pinned values: a change would break the order of every patient in flight."""
    assert [work_key(key) for key in ("", "mrn-1", "urn:oid:1.2|X")] == ["s00", "s09", "s16"]
    assert (work_key("a"), work_key("MRN12345")) == ("s03", "s22")


@pytest.mark.parametrize("name", ["", "a.b", "A", "a b", "#", "*", "a/b", "-a", "x" * 64, "é"])
def test_a_name_that_could_reach_another_is_refused(name: str) -> None:
    """A name with a dot or wildcard could match another's routing keys."""
    with pytest.raises(SettingsError):
        describe([name], [])
    with pytest.raises(SettingsError):
        describe([], [name])


def test_a_name_used_twice_is_refused() -> None:
    """A facility and a partner of one name would share a queue."""
    with pytest.raises(SettingsError, match="general"):
        describe(["general"], ["general"])


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), min_size=2, max_size=6, unique=True))
def test_a_partner_can_reach_nothing_of_another(names: list[str]) -> None:
    """No read, write or topic pattern of one login fits a queue or key of another."""
    topology = describe([], names)
    for user, name in zip(topology.users, names, strict=True):
        readable = [queue.name for queue in topology.queues if re.search(user.read, queue.name)]
        assert readable == [f"cbo.{name}.tasks"]
        assert [e.name for e in topology.exchanges if re.search(user.write, e.name)] == ["in.intake"]
        assert not re.search(user.write, "")
        ((exchange, keys),) = user.topics
        assert exchange == "in.intake"
        assert [other for other in names if re.search(keys, f"{other}.intake")] == [name]
        assert not any(re.search(user.configure, each) for each in (*readable, "in.intake", "new"))


def test_show_is_json() -> None:
    """show() can be written as JSON and holds every part."""
    shown = json.loads(json.dumps(show(TOPOLOGY)))
    assert {part: len(rows) for part, rows in shown.items()} == {
        part: len(getattr(TOPOLOGY, part)) for part in ("exchanges", "queues", "bindings", "policies", "users")
    }
    assert shown["queues"][0]["arguments"] == {"x-queue-type": "quorum", "x-single-active-consumer": True}


def test_commands_and_calls_say_the_same() -> None:
    """Each policy and each user is in the rabbitmqctl commands and in the API calls."""
    text, paths = "\n".join(commands(TOPOLOGY)), [path for path, _ in calls(TOPOLOGY, "/")]
    for policy in TOPOLOGY.policies:
        assert f" {policy.name} " in text
        assert f"policies/%2F/{policy.name}" in paths
    for user in TOPOLOGY.users:
        assert f"rabbitmqctl add_user {user.name}" in text
        assert f"permissions/%2F/{user.name}" in paths


def test_the_definitions_file_in_docker_is_generated() -> None:
    """docker/rabbitmq/definitions.json is what the topology gives for the names in its own header, with no password.

    To write it again: python -m tests.unit.amqp.test_amqp_topology_value
    """
    assert (FOLDER / "definitions.json").read_text() == generated()
    assert all(user["password_hash"] == "" for user in json.loads(generated())["users"])


def generated() -> str:
    """The demo's definitions file."""
    names = json.loads((FOLDER / "names.json").read_text())
    return json.dumps(definitions(describe(names["feeds"], names["partners"])), indent=1) + "\n"


if __name__ == "__main__":
    (FOLDER / "definitions.json").write_text(generated())
