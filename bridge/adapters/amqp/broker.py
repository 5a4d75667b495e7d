"""Make the broker look like the topology, check that it does, or write the topology as a definitions file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bridge.adapters.amqp import management as api
from bridge.adapters.amqp.session import Session
from bridge.adapters.amqp.topology import Topology
from bridge.adapters.amqp.transport import Address, parameters
from bridge.core.errors import SettingsError


def apply(topology: Topology, address: Address, management: api.Management | None = None,
          passwords: Mapping[str, str] | None = None, progress: Callable[[str], None] = lambda _: None) -> list[str]:
    """Declare exchanges, queues and bindings, then policies and users; safe to repeat.

    Returns the rabbitmqctl commands that are left for a person when there is no management API, else []. `passwords`
    are by user name. Raises SettingsError that lists every exchange and queue the broker has in another shape (nothing
    is deleted or changed), and before any policy is set.
    """
    wrong = []
    with Session(address) as session:
        for line, method, arguments in _declarations(topology):
            try:
                session.call(method, **arguments)
            except SettingsError as error:
                wrong.append(f"{line}: {error}")
        if wrong:
            raise SettingsError("the broker has these in another shape:\n  " + "\n  ".join(wrong))
        for binding in topology.bindings:
            session.call("queue_bind", exchange=binding.exchange, queue=binding.queue, routing_key=binding.key)
    progress(f"{len(topology.exchanges)} exchanges, {len(topology.queues)} queues, {len(topology.bindings)} bindings")
    if management is None:
        return api.commands(topology, parameters(address, "session")[0].virtual_host)
    for line in api.put(topology, management, passwords or {}):
        progress(line)
    return []


def verify(topology: Topology, address: Address, management: api.Management | None = None) -> list[str]:
    """What is missing or different at the broker, one line each; [] when all is there. Changes nothing.

    Over AMQP only existence can be seen (passive declare); with a management API the policies and permissions too.
    """
    found = []
    with Session(address) as session:
        for line, method, arguments in _declarations(topology):
            name = {key: arguments[key] for key in ("exchange", "queue") if key in arguments}
            try:
                session.call(method, passive=True, **name)
            except SettingsError:
                found.append(f"{line}: missing")
    return found + (api.differences(topology, management) if management is not None else [])


def _declarations(topology: Topology) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for exchange in topology.exchanges:
        yield f"exchange {exchange.name}", "exchange_declare", {
            "exchange": exchange.name, "exchange_type": exchange.kind, "durable": True}
    for queue in topology.queues:
        yield f"queue {queue.name}", "queue_declare", {
            "queue": queue.name, "durable": True, "arguments": queue.arguments}


def definitions(topology: Topology, vhost: str = "/") -> dict[str, Any]:
    """The topology as RabbitMQ's definitions file. Its users have no password (an empty hash matches none), so they
    cannot log in until one is set at the broker."""
    here = {"vhost": vhost}
    return {
        "vhosts": [{"name": vhost}],
        "users": [{"name": user.name, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256",
                   "tags": [], "limits": api.limits(user)} for user in topology.users],
        "permissions": [{"user": user.name, **here, **api.permissions(user)} for user in topology.users],
        "topic_permissions": [{"user": user.name, **here, "exchange": exchange, "write": write, "read": "^$"}
                              for user in topology.users for exchange, write in user.topics],
        "policies": [{**here, "name": policy.name, **api.body_of(policy)} for policy in topology.policies],
        "exchanges": [{"name": exchange.name, **here, "type": exchange.kind, "durable": True, "auto_delete": False,
                       "internal": False, "arguments": {}} for exchange in topology.exchanges],
        "queues": [{"name": queue.name, **here, "durable": True, "auto_delete": False, "arguments": queue.arguments}
                   for queue in topology.queues],
        "bindings": [{"source": binding.exchange, **here, "destination": binding.queue, "destination_type": "queue",
                      "routing_key": binding.key, "arguments": {}} for binding in topology.bindings],
    }
