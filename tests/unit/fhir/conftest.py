"""Profiles, loaded once, and the minimal resources."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridge.core.issue import Issue
from bridge.fhir.profile import Profiles


@pytest.fixture(scope="session")
def profiles() -> Profiles:
    """The packaged profiles."""
    return Profiles.load()


@pytest.fixture(scope="session")
def ours() -> ModuleType:
    """The module of minimal resources beside this file (tests are no package, so it is loaded by path)."""
    spec = importlib.util.spec_from_file_location("resources_ours", Path(__file__).with_name("resources_ours.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def errors(profiles: Profiles) -> Callable[[dict[str, Any]], list[Issue]]:
    """The errors of a resource, without warnings."""
    return lambda resource: [each for each in profiles.check(resource) if each.severity == "error"]
