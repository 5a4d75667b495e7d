"""What every test may use: the shared corpus when it is there, ids with a fixed secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.ids import Ids

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder beside the repository; tests that read it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the repository")
    return folder


@pytest.fixture
def ids() -> Ids:
    """Keyed ids under a secret that only tests use."""
    return Ids(b"a secret for tests only")
