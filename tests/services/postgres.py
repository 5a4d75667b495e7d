"""A private PostgreSQL: `with postgres() as url`, as root or not, without Docker and without the system's own server."""

from __future__ import annotations

import atexit
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
GIVEN = "SDOH_BRIDGE_TEST_POSTGRES"
"""Set to a `postgresql+psycopg://` URL to use a running server instead of a private one."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1", "max_connections": "40", "shared_buffers": "128MB", "fsync": "on",
    "autovacuum": "on", "log_min_messages": "fatal", "timezone": "UTC",
}


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest version first; None when PostgreSQL is not installed.

    Looked for where Debian puts it, where `.ci/services` unpacks it for an ordinary user, and on PATH.
    """
    roots = (Path("/usr/lib/postgresql"), ROOT / ".services/usr/lib/postgresql")
    numbered = [folder for root in roots for folder in root.glob("*/bin") if folder.parent.name.isdigit()]
    on_path = shutil.which("initdb")
    folders = sorted(numbered, key=lambda folder: -int(folder.parent.name))
    folders += [Path(on_path).resolve().parent] if on_path else []
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


@contextmanager
def postgres() -> Iterator[str]:
    """A server of its own (UTF8, trust, loopback, full sync), ended and deleted afterwards; yields its SQLAlchemy URL.

    Raises RuntimeError with the server's own words when it does not start. Servers that a killed run left behind are
    ended first.
    """
    folder_of_programs = programs()
    if folder_of_programs is None:
        raise RuntimeError("PostgreSQL is not installed: no initdb in /usr/lib/postgresql/*/bin or on PATH")
    sweep()
    folder = Path(tempfile.mkdtemp(prefix="sdoh-bridge-pg-", dir="/tmp"))
    try:
        account = _account(folder)
        _initialise(folder_of_programs, folder, account)
        server, port = _start(folder_of_programs, folder, account)
        try:
            yield f"postgresql+psycopg://bridge@127.0.0.1:{port}/postgres"
        finally:
            _stop(server)
    finally:
        _record(folder).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def schema(url: str) -> Iterator[str]:
    """A URL whose tables are in a fresh schema of that server: a clean database for one test in milliseconds."""
    name = f"t{uuid.uuid4().hex}"
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def required_url() -> str:
    """The one server of this test run, started at first use; skips when there is no PostgreSQL, fails under CI=true."""
    if GIVEN not in os.environ and programs() is None:
        text = "PostgreSQL is not installed"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{text}, and CI must not skip it")
        pytest.skip(text)
    return _session_url()


@cache
def _session_url() -> str:
    if GIVEN in os.environ:
        return os.environ[GIVEN]
    server = postgres()
    url = server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return url


def _account(folder: Path) -> pwd.struct_passwd | None:
    """The user to run as when we are root, because PostgreSQL refuses root; the folder becomes that user's."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            os.chown(folder, account.pw_uid, account.pw_gid)
            return account
    raise RuntimeError("root needs a user `postgres` or `nobody` to run PostgreSQL as")


def _options(folder: Path, account: pwd.struct_passwd | None) -> dict[str, object]:
    """Popen's arguments: the user, a private HOME, nothing of the caller's PG* variables."""
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**who, "cwd": folder, "env": {**inherited, "HOME": str(folder), "LC_ALL": "C"}}


def _initialise(bin_: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
    command = [bin_ / "initdb", "-D", folder / "data", "-U", "bridge", "-A", "trust", "-E", "UTF8", "--locale=C",
               "--no-sync"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, **_options(folder, account))  # type: ignore[call-overload]
    if run.returncode:
        raise RuntimeError(f"initdb failed: {run.stderr.strip()}")


def _start(bin_: Path, folder: Path, account: pwd.struct_passwd | None) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(3):  # another process can take the free port before the server does
        port = _free_port()
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [bin_ / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, *settings]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                **_options(folder, account),  # type: ignore[call-overload]
            )
        _register(folder, server.pid)
        if _ready(server, port):
            return server, port
        _stop(server)
    raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(server: subprocess.Popen[bytes], port: int, patience: float = 30.0) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(psycopg.OperationalError), psycopg.connect(
            host="127.0.0.1", port=port, user="bridge", dbname="postgres", connect_timeout=2,
        ):
            return True
        time.sleep(0.05)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate, then kill: each with its time."""
    for sign, patience in ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            server.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            server.wait(patience)
            return


def _registry() -> Path:
    folder = Path(tempfile.gettempdir()) / f"sdoh-bridge-services-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{folder} belongs to somebody else")
    return folder


def _record(folder: Path) -> Path:
    return _registry() / f"{folder.name}.json"


def _register(folder: Path, server: int) -> None:
    """Write down whose server this is, so that a later run can end it if we are killed."""
    note = {"owner": os.getpid(), "owner_started": _started(os.getpid()), "server": server, "folder": str(folder)}
    _record(folder).write_text(json.dumps(note))


def sweep() -> None:
    """End the servers whose owner is gone, and only those: pid, start time and data folder must all agree."""
    for record in _registry().glob("sdoh-bridge-pg-*.json"):
        try:
            note = json.loads(record.read_text())
        except (OSError, ValueError):
            continue  # being written, or already swept by another run
        if note["owner_started"] and _started(note["owner"]) == note["owner_started"]:
            continue
        if note["folder"] in _command(note["server"]):
            with suppress(ProcessLookupError):
                os.kill(note["server"], signal.SIGQUIT)
        shutil.rmtree(note["folder"], ignore_errors=True)
        record.unlink(missing_ok=True)


def _started(pid: int) -> str:
    """When the process began, in the system's own count; "" when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout
