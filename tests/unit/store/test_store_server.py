"""The private PostgreSQL of the tests is private, and is found again after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.services import postgres

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(postgres.programs() is None and os.environ.get("CI") != "true", reason="PostgreSQL is not installed"),
]
ROOT = Path(__file__).resolve().parents[3]


def test_a_server_is_utf8_private_and_gone_afterwards() -> None:
    """The server listens on the loopback only, syncs, speaks UTF8, and leaves neither process nor folder."""
    with postgres.postgres() as url:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            shown = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in (
                "server_encoding", "listen_addresses", "fsync", "data_directory")}
        with postgres.schema(url) as one, postgres.schema(url) as two:
            assert one != two
    assert (shown["server_encoding"], shown["listen_addresses"], shown["fsync"]) == ("UTF8", "127.0.0.1", "on")
    assert not Path(shown["data_directory"]).parent.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2)


def test_the_server_of_a_killed_run_is_ended_and_only_that() -> None:
    """The next start ends an orphan and deletes its folder; a server whose owner lives stays."""
    code = "import time\nfrom tests.services.postgres import postgres\nwith postgres():\n    print('up', flush=True)\n    time.sleep(99)"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    note = next(one for one in map(_note, postgres._registry().glob("*.json")) if one["owner"] == child.pid)
    postgres.sweep()
    assert _alive(note["server"])
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert _alive(note["server"])
    postgres.sweep()
    deadline = time.monotonic() + 20
    while _alive(note["server"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(note["server"])
    assert not Path(note["folder"]).exists()


def _note(record: Path) -> dict:
    return json.loads(record.read_text())


def _alive(pid: int) -> bool:
    return "postgres" in postgres._command(pid)
