"""What the tests of a whole site share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.adapters.store.ledger import SqlLedger, open_ledger
from tests.e2e.service import Site


@pytest.fixture
def ledger(site: Site) -> Iterator[SqlLedger]:
    """The site's ledger, as a second process sees it."""
    opened = open_ledger(site.store)
    yield opened
    opened.close()
