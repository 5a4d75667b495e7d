"""What AMQP cannot say: policies, users and permissions, over the management HTTP API or as rabbitmqctl commands."""

from __future__ import annotations

import base64
import json
import shlex
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.adapters.amqp.topology import Policy, Topology, User
from bridge.core.errors import BrokerUnavailable, Refused, SettingsError


@dataclass(frozen=True, slots=True)
class Management:
    """The management API: `url` is `http://host:15672` or https; the user needs the tag `administrator`."""

    url: str
    user: str
    password: str = field(repr=False)
    vhost: str = "/"
    ca_file: Path | None = None
    timeout: float = 10.0


def request(api: Management, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """One call; the decoded JSON, or None for an empty answer and for 404 on GET.

    Raises SettingsError (401, 403, no such API), Refused (the broker does not accept the value) or BrokerUnavailable.
    """
    login = base64.b64encode(f"{api.user}:{api.password}".encode()).decode()
    asked = urllib.request.Request(  # noqa: S310 - the scheme is ours to set
        f"{api.url.rstrip('/')}/api/{path}", method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"})
    context = ssl.create_default_context(cafile=api.ca_file) if api.url.startswith("https:") else None
    try:
        with urllib.request.urlopen(asked, timeout=api.timeout, context=context) as answer:  # noqa: S310
            text = answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 404 and method == "GET":
            return None
        raise _refusal(error, method, path) from None
    except (OSError, ValueError) as error:
        raise BrokerUnavailable(f"no answer from the management API at {api.url} ({type(error).__name__})") from None
    return json.loads(text) if text else None


def _refusal(error: urllib.error.HTTPError, method: str, path: str) -> Exception:
    said = f"management API: {method} {path} answered {error.code}"
    if error.code in {401, 403}:
        return SettingsError(f"{said}; the user needs the tag administrator and access to the virtual host")
    if error.code >= 500 or error.code == 429:
        return BrokerUnavailable(said)
    return Refused(f"{said}: {error.read(400).decode('utf-8', 'replace')}")


def calls(topology: Topology, vhost: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The PUT paths and bodies for policies, permissions, topic permissions and limits; users themselves excepted."""
    home = _quote(vhost)
    for policy in topology.policies:
        yield f"policies/{home}/{_quote(policy.name)}", body_of(policy)
    for user in topology.users:
        yield f"permissions/{home}/{_quote(user.name)}", permissions(user)
        for exchange, write in user.topics:
            yield f"topic-permissions/{home}/{_quote(user.name)}", {"exchange": exchange, "write": write, "read": "^$"}
        for name, value in limits(user).items():
            yield f"user-limits/{_quote(user.name)}/{name}", {"value": value}


def put(topology: Topology, api: Management, passwords: Mapping[str, str]) -> list[str]:
    """Set policies and users; returns what was done, one line each. Safe to repeat.

    A user that exists keeps its password unless `passwords` has one; a new one without a password cannot log in.
    """
    done = []
    for user in topology.users:
        known = request(api, "GET", f"users/{_quote(user.name)}") is not None
        if user.name in passwords or not known:
            secret = {"password": passwords[user.name]} if user.name in passwords else {"password_hash": ""}
            request(api, "PUT", f"users/{_quote(user.name)}", {"tags": "", **secret})
            done.append(f"user {user.name}" + ("" if user.name in passwords else " (no password yet)"))
    for path, body in calls(topology, api.vhost):
        request(api, "PUT", path, body)
    return [*done, f"{len(topology.policies)} policies, permissions of {len(topology.users)} users"]


def differences(topology: Topology, api: Management) -> list[str]:
    """What of the policies and permissions is missing or different at the broker, one line each."""
    home = _quote(api.vhost)
    found = []
    for policy in topology.policies:
        there = request(api, "GET", f"policies/{home}/{_quote(policy.name)}")
        found += _compare(f"policy {policy.name}", body_of(policy), there)
    for user in topology.users:
        there = request(api, "GET", f"permissions/{home}/{_quote(user.name)}")
        found += _compare(f"permissions of {user.name}", permissions(user), there)
    return found


def _compare(what: str, ours: Mapping[str, Any], there: Mapping[str, Any] | None) -> list[str]:
    if there is None:
        return [f"{what}: missing"]
    differing = [key for key in ours if there.get(key) != ours[key]]
    return [f"{what}: {key} is {there.get(key)!r}, ours {ours[key]!r}" for key in differing]


def commands(topology: Topology, vhost: str = "/") -> list[str]:
    """The same as rabbitmqctl commands for a shell; `add_user` asks for the password."""
    made = [["set_policy", "-p", vhost, "--priority", str(policy.priority), "--apply-to", policy.apply_to, policy.name,
             policy.pattern, json.dumps(dict(policy.definition))] for policy in topology.policies]
    for user in topology.users:
        made.append(["add_user", user.name])
        made.append(["set_permissions", "-p", vhost, user.name, user.configure, user.write, user.read])
        made += [["set_topic_permissions", "-p", vhost, user.name, exchange, write, "^$"]
                 for exchange, write in user.topics]
        made.append(["set_user_limits", user.name, json.dumps(limits(user))])
    return [shlex.join(["rabbitmqctl", *words]) for words in made]


def body_of(policy: Policy) -> dict[str, Any]:
    """A policy as the management API and definitions write it."""
    return {"pattern": policy.pattern, "apply-to": policy.apply_to, "definition": dict(policy.definition),
            "priority": policy.priority}


def permissions(user: User) -> dict[str, str]:
    """A user's permissions as the management API writes them."""
    return {"configure": user.configure, "write": user.write, "read": user.read}


def limits(user: User) -> dict[str, int]:
    """A user's limits under RabbitMQ's names."""
    return {"max-connections": user.connections, "max-channels": user.channels}


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")
