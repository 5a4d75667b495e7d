"""Broken copies of published and of our own examples: what fhir.resources refuses for structure, we refuse too."""

from __future__ import annotations

import json
import random
import tarfile
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.issue import operation_outcome
from bridge.fhir.elements import load
from bridge.fhir.models import model
from bridge.fhir.profile import Profiles

DEFINITIONS = Path(__file__).resolve().parents[2].parent / "shared" / "fhir-definitions"
PROFILES = Profiles.load()
Step = tuple[Any, Any]

pytestmark = pytest.mark.skipif(not DEFINITIONS.is_dir(), reason="no ../shared beside the repository")


@cache
def examples() -> tuple[dict[str, Any], ...]:
    """Published examples of the types in use that have no contained resource, without narrative."""
    found = []
    for name in ("sdohcc-3.0.0", "us-core-7.0.0"):
        with tarfile.open(DEFINITIONS / f"{name}.tgz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(".json") else None
                if content is None or ("us-core" in name and "/example/" not in member.name):
                    continue
                resource = json.load(content)
                if resource.get("resourceType") in load().resources - {"Bundle", "Questionnaire"} and "contained" not in resource:
                    found.append({key: value for key, value in resource.items() if key != "text"})
    return tuple(found)


def places(value: Any) -> list[Step]:
    """Every (container, key) of a resource."""
    found: list[Step] = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


def unknown(container: Any, key: Any) -> None:
    """An element that FHIR does not have."""
    target = container[key] if isinstance(container[key], dict) else container
    if isinstance(target, dict):
        target["notAnElement"] = "x"


def swap(container: Any, key: Any) -> None:
    """An object for a text and the reverse."""
    container[key] = "x" if isinstance(container[key], dict | list) else {"x": "y"}


def wrap(container: Any, key: Any) -> None:
    """A list for one value, one value for a list."""
    container[key] = container[key][0] if isinstance(container[key], list) else [container[key]]


def impossible(container: Any, key: Any) -> None:
    """A day that no calendar has in place of a date."""
    if isinstance(container[key], str) and str(key).endswith(("Date", "DateTime", "start", "end", "recorded", "authoredOn")):
        container[key] = "2026-02-30"


def remove(container: Any, key: Any) -> None:
    """Nothing there."""
    if isinstance(container, dict):
        del container[key]


MUTATIONS = (unknown, swap, wrap, impossible, remove)


def refused(resource: dict[str, Any]) -> bool:
    """Whether fhir.resources refuses it."""
    try:
        model(resource)
    except (ValueError, AssertionError, TypeError):
        return True
    return False


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_whatever_the_model_refuses_we_refuse(seed: int) -> None:
    """A mutant that fhir.resources refuses has an error here."""
    choose = random.Random(seed)
    resource = deepcopy(choose.choice(examples()))
    container, key = choose.choice([place for place in places(resource) if place[1] != "resourceType"])
    mutation = choose.choice(MUTATIONS)
    mutation(container, key)
    if refused(resource):
        assert any(each.severity == "error" for each in PROFILES.check(resource)), (mutation.__name__, key)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("id", "meta", "profile", "name", "entry", "resource", "contained",
                                                                                "resourceType", "reference", "extension", "url")), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON, st.sampled_from(("Patient", "Bundle", "Task", "Parameters", "Banana")))
def test_anything_gives_issues_never_an_exception(content: Any, kind: str) -> None:
    """Whatever JSON comes in, the answer is a list of issues that make a valid OperationOutcome."""
    resource = {**content, "resourceType": kind} if isinstance(content, dict) else content
    found = PROFILES.check(resource)
    assert PROFILES.check(operation_outcome(found)) == []


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.text(alphabet="QZ", min_size=8, max_size=12))
def test_no_value_of_a_mutant_is_repeated(seed: int, canary: str) -> None:
    """A text put anywhere into an example never comes back in an issue."""
    choose = random.Random(seed)
    resource = deepcopy(choose.choice(examples()))
    container, key = choose.choice([place for place in places(resource) if isinstance(place[0][place[1]], str)])
    container[key] = f"{canary} {canary}"
    assert not any(canary in str(each) for each in PROFILES.check(resource))
