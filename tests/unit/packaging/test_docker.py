"""The container files, checked without a container engine: what they name exists, and what they run can be parsed."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bridge.adapters.amqp.topology import ehr_queue, partner_queue
from bridge.cli import group
from bridge.settings import load
from bridge.wiring import topology

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SETTINGS = load(str(DOCKER / "demo/bridge.toml"), {})
OWN = {name for name, one in SERVICES.items() if "build" in one}
KEYS = {
    "build": dict, "image": str, "init": bool, "read_only": bool, "tmpfs": list, "cap_drop": list, "security_opt": list,
    "entrypoint": list, "command": list, "restart": str, "healthcheck": dict, "volumes": list, "depends_on": dict,
    "hostname": str, "secrets": list, "ports": list, "environment": dict, "stop_grace_period": str,
}
"""Keys of a service in the Compose specification that we use, with the form in which we use them."""
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), continuation lines joined and comments gone."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def mounts(service: dict[str, Any]) -> list[list[str]]:
    """The volumes of a service as [source, target, mode...]."""
    return [one.split(":") for one in service.get("volumes", [])]


def secret_names(service: dict[str, Any]) -> list[str]:
    return [one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])]


def made_secrets() -> set[str]:
    """The files that docker/demo/secrets makes, by its text."""
    text = (DOCKER / "demo/secrets").read_text().replace("\\\n", " ")
    loop = re.search(r"for name in (.*?); do", text)
    assert loop
    return {*loop[1].split(), *re.findall(r">\.secrets/([a-z_]+)", text)}


def test_compose_has_known_keys_only() -> None:
    """Every key is one of the specification in the form it takes, so a misspelt one is found here."""
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "volumes", "secrets"}
    wrong = [(name, key) for name, one in SERVICES.items() for key, value in one.items()
             if not isinstance(value, KEYS.get(key, type(None)))]
    assert wrong == []


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_exists(name: str) -> None:
    """Build context, files, volumes, secrets and other services."""
    one = SERVICES[name]
    if "build" in one:
        context = DOCKER / one["build"]["context"]
        assert (context / one["build"]["dockerfile"]).is_file()
    for source, target, *_ in mounts(one):
        assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], source
        assert target.startswith("/")
    assert set(secret_names(one)) <= set(COMPOSE["secrets"])
    for other, how in one.get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] in CONDITIONS
        assert how["condition"] != "service_healthy" or "test" in SERVICES[other]["healthcheck"]


@pytest.mark.parametrize("name", sorted(OWN))
def test_the_command_of_our_image_can_be_parsed(name: str) -> None:
    """A `sdoh-bridge` command line is one that click accepts; a stand-in is a file of docker/demo that compiles."""
    one = SERVICES[name]
    words = one["command"]
    if one.get("entrypoint") == ["python"]:
        mounted = {target: source for source, target, *_ in mounts(one)}
        ast.parse((DOCKER / mounted["/opt/demo"] / Path(words[0]).name).read_text())
        return
    result = CliRunner().invoke(group, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert [word for word in words if word.startswith("--") and word not in result.output] == []


def test_images_have_a_major_version_and_services_a_health() -> None:
    """No `latest`; every service says how its health is seen or that it has none to see."""
    for name, one in SERVICES.items():
        assert re.search(r":(\d+|\d+-management|demo)$", one["image"]), name
        assert "healthcheck" in one or name == "bridge", name  # the bridge's is in its image
    for instruction, rest in instructions():
        if instruction == "FROM":
            assert re.match(r"python:3\.\d+-slim( AS \w+)?$", rest)


def test_no_secret_is_in_environment_image_or_settings() -> None:
    """Passwords come from files that docker/demo/secrets makes, and that git and the image never see."""
    assert {Path(one["file"]).name for one in COMPOSE["secrets"].values()} == made_secrets()
    assert all(one["file"].startswith("./demo/.secrets/") for one in COMPOSE["secrets"].values())
    assert (DOCKER / "demo/.gitignore").read_text().split() == [".secrets/"]
    for one in SERVICES.values():
        assert [key for key in one.get("environment", {}) if re.search("PASS|SECRET|TOKEN", key) and not key.endswith("_FILE")] == []
    assert not re.search(r"://[^/@]*:[^/@]*@", (DOCKER / "demo/bridge.toml").read_text())
    assert not [rest for instruction, rest in instructions() if instruction in ("ENV", "ARG") and "PASSWORD" in rest]


def test_secrets_are_made_once_and_for_us_alone(tmp_path: Path) -> None:
    """Random, stable at the second run, in a folder that nobody else can enter."""
    script = tmp_path / "secrets"
    script.write_text((DOCKER / "demo/secrets").read_text())
    seen = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True)
        seen.append({path.name: path.read_text() for path in (tmp_path / ".secrets").iterdir()})
    assert seen[0] == seen[1]
    assert seen[0].keys() == made_secrets()
    assert len(set(seen[0].values())) == len(seen[0])
    assert (tmp_path / ".secrets").stat().st_mode & 0o777 == 0o700
    assert f"default_pass = {seen[0]['broker_password']}" in seen[0]["broker_login"].splitlines()


def test_only_management_and_health_are_published_and_only_here() -> None:
    """Neither AMQP nor the database can be reached from outside; what is published listens on loopback."""
    published = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert sorted(published) == ["127.0.0.1:15672:15672", "127.0.0.1:8080:8080"]


def test_our_containers_have_no_rights() -> None:
    """Not root, no capabilities, a file system that cannot be written."""
    assert [rest for instruction, rest in instructions() if instruction == "USER"] == ["10001"]
    for name in OWN:
        one = SERVICES[name]
        assert (one["read_only"], one["cap_drop"], one["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
        assert all(mode == ["ro"] for source, _, *mode in mounts(one) if source.startswith("."))


def test_the_image_is_built_from_locks_and_files_that_exist() -> None:
    """Every COPY source exists and is let through by the ignore file; every pip install is hashed or our own wheel."""
    allowed = set((DOCKER / "Dockerfile.dockerignore").read_text().split())
    assert "*" in allowed
    copied = [word for instruction, rest in instructions() if instruction == "COPY" and "--from" not in rest for word in rest.split()[:-1]]
    assert [one for one in copied if not (ROOT / one).exists() or f"!{one}" not in allowed] == []
    installs = [part for instruction, rest in instructions() if instruction == "RUN" for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert all("--require-hashes -r " in one or "--no-deps /tmp/wheel/" in one for one in installs)


def test_the_image_builds_with_what_the_builder_needs() -> None:
    """The Dockerfile takes hatchling and all that it requires out of the development lock."""
    kept = re.search(r"\^\(([a-z|-]+)\)==", (DOCKER / "Dockerfile").read_text())
    assert kept
    needed = {re.split(r"[^A-Za-z0-9-]", one)[0] for one in requires("hatchling") or () if "python_version <" not in one}
    assert {"hatchling", *needed} == set(kept[1].split("|"))
    locked = (ROOT / "requirements-dev.lock").read_text()
    assert all(f"\n{one}==" in locked for one in kept[1].split("|"))


def test_each_organisation_of_the_demo_has_its_login_and_its_stand_in() -> None:
    """Settings, topology, secrets and stand-ins agree about who takes part."""
    users = {user.name for user in topology(SETTINGS).users}
    given = set(secret_names(SERVICES["topology"]))
    assert users == {name for name in given if name.startswith(("engine-", "partner-"))}
    queues = {queue.name for queue in topology(SETTINGS).queues}
    for name in OWN - {"bridge", "topology"}:
        script, who, where, password = SERVICES[name]["command"][:4]
        side, queue = ("engine", ehr_queue) if script.endswith("ehr.py") else ("partner", partner_queue)
        assert (queue(who) in queues, where, password) == (True, "rabbitmq", f"/run/secrets/{side}-{who}")
        assert secret_names(SERVICES[name]) == [f"{side}-{who}"]
        users.discard(f"{side}-{who}")
    assert users == set()
    assert {row.connector for row in SETTINGS.partner} == {"rabbit_tasks"}


def test_the_settings_name_the_secrets_that_the_bridge_gets() -> None:
    """Every /run/secrets path of bridge.toml and of the entry point is a secret of the service."""
    named = re.findall(r"/run/secrets/([\w-]+)", (DOCKER / "demo/bridge.toml").read_text() + (DOCKER / "entrypoint").read_text())
    assert set(named) == set(secret_names(SERVICES["bridge"]))


def test_the_broker_files_are_there() -> None:
    """The definitions, settings and plugins for the broker, and the plugins that health and `topology apply` need."""
    assert (DOCKER / "rabbitmq/definitions.json").is_file()
    assert (DOCKER / "rabbitmq/rabbitmq.conf").is_file()
    assert "rabbitmq_management" in (DOCKER / "rabbitmq/enabled_plugins").read_text()


def test_the_entry_point_hands_the_password_over_in_a_private_file(tmp_path: Path) -> None:
    """The client's password file holds the secret, escaped as libpq wants it, readable by us alone, and the command runs."""
    secret, program = tmp_path / "ledger_password", tmp_path / "sdoh-bridge"
    secret.write_text("a:b\\c")
    program.write_text('#!/bin/sh\nstat -c %a "$PGPASSFILE"; cat "$PGPASSFILE"; rm "$PGPASSFILE"; echo "$@"\n')
    program.chmod(0o755)
    script = (DOCKER / "entrypoint").read_text().replace("/run/secrets/ledger_password", str(secret))
    run = subprocess.run(["sh", "-c", script, "entrypoint", "run", "--role", "all"], capture_output=True, text=True, check=True,
                         env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert run.stdout.splitlines() == ["600", "*:*:*:*:a\\:b\\\\c", "run --role all"]


def test_the_demo_sends_only_messages_that_are_in_the_wheel() -> None:
    """The engine's patterns each choose a file of mappings/examples/day, which the image has."""
    assert "mappings" in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for pattern in SERVICES["engine"]["command"][4:]:
        assert list((ROOT / "mappings/examples/day").glob(pattern)), pattern
