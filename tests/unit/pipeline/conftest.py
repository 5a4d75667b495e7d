"""A fresh town for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from bridge.adapters.store.ledger import open_ledger
from tests.unit.pipeline.town import Town


@pytest.fixture
def town() -> Iterator[Town]:
    """The example site over an empty ledger in memory."""
    structlog.reset_defaults()  # another test may have pointed the log at a stream that is closed by now
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    yield Town(ledger)
    ledger.close()
