"""A private RabbitMQ node for tests: own folder, cookie, ports and epmd; no system service, as root or not.

    with rabbitmq() as node:
        Address(node.url)

What is special about it is written in reference/reliability.md section 4.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODES = Path(tempfile.gettempdir()) / f"sdoh-bridge-rabbitmq-{os.getuid()}"
PLUGINS = ("rabbitmq_management",)


def find_server() -> Path | None:
    """The folder `rabbitmq_server-x.y.z` of an installed or unpacked server, or None."""
    homes = [os.environ.get("SDOH_RABBITMQ_HOME", ""), str(ROOT / ".services"), "/usr/lib/rabbitmq"]
    for home in filter(None, homes):
        inside = [*Path(home).glob("lib/rabbitmq_server-*"), *Path(home).glob("usr/lib/rabbitmq/lib/rabbitmq_server-*")]
        for server in (Path(home), *sorted(inside, reverse=True)):
            if (server / "sbin" / "rabbitmq-server").is_file():
                return server
    return None


def _search_path(server: Path) -> str:
    """PATH with the Erlang that lies beside an unpacked server in front."""
    prefix = server.parents[4] if len(server.parents) > 4 else server
    beside = [prefix / "usr/bin", prefix / "usr/lib/erlang/bin", *sorted(prefix.glob("usr/lib/erlang/erts-*/bin"))]
    erts = sorted(Path("/usr/lib/erlang").glob("erts-*/bin"))
    return os.pathsep.join(
        [
            *(str(path) for path in beside if path.is_dir()),
            os.environ.get("PATH", os.defpath),
            "/usr/sbin",
            "/sbin",
            *map(str, erts),
        ]
    )


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class Node:
    """A running node; `url` and `management_url` are for guest, who may do everything."""

    server: Path
    folder: Path
    plugins: tuple[str, ...]
    config: str
    port: int = 0
    management_port: int = 0
    tls_port: int = 0
    authority: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    vm: subprocess.Popen[bytes] | None = None
    epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.vhost_url("%2F")

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    def vhost_url(self, vhost: str, user: str = "guest", password: str = "guest") -> str:
        """The AMQP URL for a virtual host (already percent-encoded)."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/{vhost}"

    def prepare(self) -> None:
        """Write the node's files and choose its ports."""
        self.port, self.management_port, distribution, epmd = free_ports(4)
        for name in ("mnesia", "log"):
            (self.folder / name).mkdir()
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "raft.wal_max_size_bytes = 64000000"]
        if "rabbitmq_management" in self.plugins:
            lines += ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {self.management_port}"]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, self.config]) + "\n")
        (self.folder / "plugins").write_text(f"[{','.join(self.plugins)}].\n")
        (self.folder / "env.conf").write_text("")
        self.environment = {
            **{name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ},
            "PATH": _search_path(self.server),
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"t{epmd}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ALLOW_INPUT": "1",
        }
        self.epmd = self._spawn("epmd", "-port", str(epmd))

    def start(self, timeout: float = 60.0) -> None:
        """Boot the VM (our own child, as the script replaces itself by it) and wait until it speaks AMQP."""
        self.vm = self._spawn(str(self.server / "sbin" / "rabbitmq-server"), "-noinput")
        self._register()
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self.vm.poll() is not None:
                break
            if self._speaks():
                return
            time.sleep(0.1)
        log = (self.folder / "out").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the RabbitMQ node did not start (exit {self.vm.poll()}):\n{log}")

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl against this node and return what it prints."""
        done = subprocess.run(
            [str(self.server / "sbin" / "rabbitmqctl"), "-q", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {words[0]}: {done.stderr or done.stdout}")
        return done.stdout

    def api(self, method: str, path: str, body: object = None) -> object:
        """One call of the management API as guest."""
        asked = urllib.request.Request(
            f"{self.management_url}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q=", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def vhost(self) -> str:
        """A fresh virtual host in which guest may do everything."""
        name = f"v{uuid.uuid4().hex[:10]}"
        self.api("PUT", f"vhosts/{name}")
        self.api("PUT", f"permissions/{name}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        return name

    def kill(self) -> None:
        """kill -9 the VM."""
        assert self.vm is not None
        self.vm.kill()
        self.vm.wait()

    def restart(self) -> None:
        """Boot again in the same folder; ends the VM first (kill -9) if it still runs."""
        assert self.vm is not None
        if self.vm.poll() is None:
            self.kill()
        self.start()

    def stop(self) -> None:
        """End the node and its epmd and remove everything."""
        for process in (self.vm, self.epmd):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("ab") as out:
            return subprocess.Popen(
                words,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )

    def _register(self) -> None:
        children = [process.pid for process in (self.vm, self.epmd) if process is not None]
        (self.folder / "owner").write_text(
            json.dumps(
                {
                    "owner": os.getpid(),
                    "born": _born(os.getpid()),
                    "children": {str(pid): _born(pid) for pid in children},
                }
            )
        )

    def _speaks(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as talk:
                talk.sendall(b"AMQP\x00\x00\x09\x01")
                return talk.recv(1) == b"\x01"
        except OSError:
            return False


def _born(pid: int) -> str:
    """When a process started (field 22 of /proc/pid/stat), as a pid may be used again; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def clear_orphans() -> None:
    """End the nodes of test runs that were killed, by the pids they registered, and remove their folders."""
    for note in NODES.glob("*/owner"):
        try:
            left = json.loads(note.read_text())
        except (OSError, ValueError):
            continue
        if left["born"] and _born(left["owner"]) == left["born"]:
            continue
        for pid, born in left["children"].items():
            if born and _born(int(pid)) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        shutil.rmtree(note.parent, ignore_errors=True)


@contextlib.contextmanager
def rabbitmq(plugins: tuple[str, ...] = PLUGINS, config: str = "") -> Iterator[Node]:
    """Start a node of its own; `config` are further lines of rabbitmq.conf. Skips without a server, fails in CI."""
    server = find_server()
    if server is None:
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail("no RabbitMQ server found and CI is set (SDOH_RABBITMQ_HOME names another place)")
        pytest.skip("no RabbitMQ server found (apt-get install --no-install-recommends rabbitmq-server)")
    clear_orphans()
    NODES.mkdir(mode=0o700, exist_ok=True)
    node = Node(server, Path(tempfile.mkdtemp(dir=NODES)), plugins, config)
    try:
        node.prepare()
        node.start()
        yield node
    finally:
        node.stop()


@cache
def shared_node() -> Node:
    """One node for all tests of this process, ended with it; each test takes a `vhost()` of its own.

    It also listens with TLS (`tls_url`, `authority`) where openssl can make a certificate.
    """
    stack = contextlib.ExitStack()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    atexit.register(stack.close)
    port = free_ports(1)[0]
    secured = make_certificate(folder)
    node = stack.enter_context(rabbitmq(config=TLS.format(port=port, folder=folder) if secured else ""))
    if secured:
        node.tls_port, node.authority = port, folder / "ca.pem"
    return node


TLS = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/ca.pem
ssl_options.keyfile = {folder}/key.pem
ssl_options.verify = verify_none
"""


def make_certificate(folder: Path) -> bool:
    """A self-signed certificate for `localhost` (ca.pem, key.pem); False without openssl."""
    if shutil.which("openssl") is None:
        return False
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(folder / "key.pem"),
            "-out",
            str(folder / "ca.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return True


if __name__ == "__main__":
    with rabbitmq() as running:
        sys.stdout.write(f"{running.url}\n{running.management_url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
