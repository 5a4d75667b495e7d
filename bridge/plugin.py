"""The pytest plugin: every inline test of a mappings folder as a test of its own.

    pytest --mappings site/mappings

or, for good, `sdoh_mappings = ["site/mappings"]` in the project's pytest settings. Mappings, feeds and programmes of the
folder are collected; the packaged mappings stand behind them, as they do in the bridge.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bridge.inline import Inline, Suite
    from bridge.language.cases import Result

_SUITE = pytest.StashKey["Suite"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--mappings FOLDER` and the ini value `sdoh_mappings`."""
    about = "a folder of mappings whose inline tests are run"
    parser.getgroup("sdoh-bridge").addoption("--mappings", action="append", default=[], metavar="FOLDER", help=about)
    parser.addini("sdoh_mappings", "folders of mappings whose inline tests are run", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Collect the folders also when they are outside of what is collected anyway."""
    asked = [Path(str(argument).split("::")[0]).resolve() for argument in config.args]
    config.args += [str(folder) for folder in config.getoption("--mappings")
                    if not any(place == Path(folder).resolve() or place in Path(folder).resolve().parents for place in asked)]


def folders(config: pytest.Config) -> list[Path]:
    """The folders of the command line and of the settings, absolute."""
    return [Path(os.path.abspath(folder)) for folder in (*config.getoption("--mappings"), *config.getini("sdoh_mappings"))]  # noqa: PTH100 - links stay


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A YAML file of one of the folders."""
    asked = [folder for folder in folders(parent.config) if folder in file_path.parents]
    if not asked:
        return None
    from bridge.inline import may_test

    return File.from_parent(parent, path=file_path) if any(may_test(file_path, folder) for folder in asked) else None


def suite(config: pytest.Config) -> Suite:
    """The suite of the folders and the packaged mappings, loaded once; raises MappingError or SettingsError."""
    from importlib.resources import files

    from bridge.inline import Suite
    from bridge.mapping.library import Library
    from bridge.referral import register

    if _SUITE not in config.stash:
        places: list[Any] = [*folders(config), files("mappings")]
        sets = [place / "sets" for place in places if (place / "sets").is_dir()]
        config.stash[_SUITE] = Suite(Library.load(places), register.ground(*sets))
    return config.stash[_SUITE]


class File(pytest.File):
    """One mapping, feed or programme file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its tests; what does not load is said as the bridge says it."""
        from bridge.core.errors import MappingError, SettingsError

        try:
            found = list(suite(self.config).file(self.path))
        except (MappingError, SettingsError) as error:
            raise self.CollectError(str(error)) from None
        for one in found:
            yield Item.from_parent(self, name=one.name, inline=one)


class Item(pytest.Item):
    """One inline test."""

    def __init__(self, *, inline: Inline, **more: Any) -> None:
        super().__init__(**more)
        self.inline = inline

    def runtest(self) -> None:
        """Run it; raises Failed."""
        result = self.inline.run()
        if not result.passed:
            raise Failed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The file and line, then what was expected and what was found."""
        return str(excinfo.value) if isinstance(excinfo.value, Failed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands."""
        return self.path, self.inline.line - 1, self.name


class Failed(Exception):
    """An inline test that found something else."""

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
