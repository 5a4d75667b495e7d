"""Every Bundle of every message in the corpus is valid: by our check, by fhir.resources, and by the published definitions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import group
from bridge.fhir.models import model
from bridge.fhir.profile import Profiles


@pytest.fixture(scope="module")
def converted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Bundle of each message, made by the command that users have."""
    out = tmp_path_factory.mktemp("corpus")
    files = sorted((shared / "corpus" / "hl7v2").glob("*.hl7"))
    ran = CliRunner().invoke(group, ["convert", "--out", str(out), *map(str, files)])
    assert ran.exit_code in (0, 1), ran.output
    for issues in out.glob("*.issues.json"):
        issues.unlink()
    return out


@pytest.fixture(scope="module")
def bundles(converted: Path) -> dict[str, dict[str, Any]]:
    """The Bundles by file name."""
    read = {file.name: json.loads(file.read_bytes()) for file in sorted(converted.glob("*.json"))}
    return {name: document for name, document in read.items() if document.get("resourceType") == "Bundle"}


def test_our_own_check_finds_nothing(bundles: dict[str, dict[str, Any]]) -> None:
    """No error in any Bundle, references between its entries included."""
    profiles = Profiles.load()
    assert len(bundles) >= 30
    for name, bundle in bundles.items():
        assert [str(each) for each in profiles.check(bundle) if each.severity == "error"] == [], name


def test_fhir_resources_reads_every_bundle(bundles: dict[str, dict[str, Any]]) -> None:
    """fhir.resources accepts each Bundle as R4B."""
    for bundle in bundles.values():
        model(bundle)


def test_the_published_definitions_hold(converted: Path, shared: Path) -> None:
    """No error from validators that we did not write, by HL7's own definitions (about 6 s for the corpus)."""
    validate = shared / "tools" / "fhir-validate" / "validate"
    if not validate.exists():
        pytest.skip("no fhir-validate")
    ran = subprocess.run([str(validate), str(converted)], capture_output=True, text=True, timeout=280, check=False)
    if ran.returncode == 2:
        pytest.skip("fhir-validate is not set up")
    assert (ran.returncode, ran.stdout) == (0, "")
