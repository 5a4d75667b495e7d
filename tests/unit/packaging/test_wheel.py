"""What `pip install .` gives: one wheel that carries code, mappings, profiles and connectors, and works from anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("bridge", "connectors", "mappings", "profiles")
PATIENT = {"resourceType": "Patient", "gender": "female", "birthDate": "1980-02-29"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the locked builder."""
    folder = tmp_path_factory.mktemp("wheel")
    run = subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
                         cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index",
                          "--no-deps", "--target", str(folder), str(wheel)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


def call(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed bridge, with the repository out of reach (-P: no working directory on the path)."""
    return subprocess.run([sys.executable, "-P", "-m", "bridge", *words], cwd=site, capture_output=True, text=True,
                          check=False, env={"PYTHONPATH": str(site), "PATH": os.defpath, "HOME": "/nonexistent"})


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Code, every mapping, profile, connector and table, README files included, and nothing from elsewhere."""
    names = set(zipfile.ZipFile(wheel).namelist())
    there = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*")
             if path.is_file() and "__pycache__" not in path.parts}
    assert there - names == set()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)


def test_the_wheel_says_that_it_is_typed_and_licensed(wheel: Path) -> None:
    """Type checkers see our annotations (PEP 561), and the licence travels along."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "bridge/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_gives_the_command(wheel: Path) -> None:
    """`sdoh-bridge` starts bridge.cli:main; no other command is taken on the system."""
    archive = zipfile.ZipFile(wheel)
    entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "sdoh-bridge = bridge.cli:main" in archive.read(entry).decode().splitlines()


def test_help_works_where_only_the_wheel_is(site: Path) -> None:
    """The installed package starts outside the repository."""
    run = call(site, "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert "topology" in run.stdout


def test_check_finds_its_profiles_in_the_wheel(site: Path, tmp_path: Path) -> None:
    """A sound resource passes and a wrong one does not, by the profiles that were installed."""
    sound, wrong = tmp_path / "sound.json", tmp_path / "wrong.json"
    sound.write_text(json.dumps(PATIENT))
    wrong.write_text(json.dumps({**PATIENT, "gender": "F"}))
    run = call(site, "check", str(sound))
    assert run.returncode == 0, run.stdout + run.stderr
    assert call(site, "check", str(wrong)).returncode == 1
