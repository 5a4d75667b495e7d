"""What tests against a real broker share: a topology for each module, a publisher for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.adapters.amqp.publisher import Publisher
from tests.services.amqp_place import Place
from tests.services.rabbitmq import shared_node


@pytest.fixture(scope="module")
def place() -> Place:
    """The topology in a virtual host of this module."""
    return Place(shared_node()).apply()


@pytest.fixture
def publisher(place: Place) -> Iterator[Publisher]:
    """A publisher with the bridge's own login."""
    made = Publisher(place.address)
    yield made
    made.close()
