"""Leases: one process at a time, and another one when it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from bridge.adapters.store.ledger import open_ledger
from tests.services.ledgers import shared_url  # noqa: F401 - a fixture

HOLDER = """
import sys, time
from bridge.adapters.store.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
print(ledger.lease("relay"), flush=True)
time.sleep(60)
"""


@pytest.mark.services
def test_a_lease_is_one_processs_until_it_is_gone(shared_url: str) -> None:
    """While a process has a lease nobody else gets it; when it is killed, the next who asks does."""
    open_ledger(shared_url).upgrade()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, shared_url], stdout=subprocess.PIPE, text=True, env=os.environ)
    ours = open_ledger(shared_url)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        assert not ours.lease("relay")
        assert ours.lease("sender")
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        until = time.monotonic() + 20
        while not ours.lease("relay") and time.monotonic() < until:
            time.sleep(0.05)
        assert ours.lease("relay")
    finally:
        holder.kill()
        ours.close()


def test_a_ledger_in_memory_has_every_lease() -> None:
    """Nobody else can see a ledger in memory, so every lease is its own."""
    ledger = open_ledger("sqlite://")
    assert ledger.lease("relay")
    ledger.close()
