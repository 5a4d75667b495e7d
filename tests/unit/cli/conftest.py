"""A site in a folder of its own and a way to run commands in this process, with mappings and profiles read once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog

from bridge import app, cli
from bridge.fhir import profile
from bridge.mapping.library import Library

SITE = """
[site]
name = "test"
zone = "America/New_York"
state = "{folder}/state"
[[partner]]
id = "example-general"
name = "General"
kind = "ehr"
no_consent = "permit"
[[partner]]
id = "valley-elders"
name = "Elders"
kind = "cbo-minimum"
serves = ["evctp"]
[[partner]]
id = "harbor-pantry"
name = "Pantry"
kind = "cbo-minimum"
serves = ["food-insecurity"]
"""


class Done(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


Call = Callable[..., Done]


@cache
def _library(folders: tuple[Path, ...]) -> Library:
    return _load(list(folders))


@cache
def _profiles(*folders: Path) -> Any:
    return _load_profiles(*folders)


_load, _load_profiles = Library.load, profile.load


def read_once(folders: Sequence[Path]) -> Library:
    return _library(tuple(folders))


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mappings and profiles do not change between commands; logging is as it was afterwards."""
    monkeypatch.setattr(app.Library, "load", staticmethod(read_once))
    monkeypatch.setattr(app.profile, "load", _profiles)
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A bridge.toml over a SQLite ledger in a folder of its own."""
    (tmp_path / "bridge.toml").write_text(SITE.format(folder=tmp_path), encoding="utf-8")
    return tmp_path / "bridge.toml"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run a command as a shell would; without `config` there are no settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("SDOH_BRIDGE_CONFIG", "SDOH_BRIDGE_STORE_URL", "SDOH_BRIDGE_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str | Path, config: Path | None = None) -> Done:
        capsys.readouterr()
        arguments = [*(["--config", str(config)] if config else []), *map(str, words)]
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run
