"""The tests inside mapping, programme, feed and rule files: found by name, file or folder, each run on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.consent import house_case, house_file
from bridge.core.errors import MappingError
from bridge.hl7v2.dialect import read_feed
from bridge.language import cases, syntax
from bridge.language.cases import Case, Observe, Result
from bridge.language.syntax import items, nearest
from bridge.mapping import library as libraries
from bridge.mapping.library import Library
from bridge.mapping.trial import Trial
from bridge.referral import register

KINDS = ("mapping", "programme", "rule", "jurisdiction", "name")
"""The first key of a file with tests: a mapping, a programme row, a rule of the house, an overlay of local law, a feed."""


@dataclass(frozen=True, slots=True)
class Inline:
    """One test as it stands in its file; `run` says how it ended."""

    file: str
    line: int
    name: str
    run: Callable[[], Result]


class Suite:
    """The inline tests of a library's folders, and of the programmes and feeds beside them."""

    def __init__(self, library: Library, ground: register.Ground, update: bool = False) -> None:
        self.library, self.ground = library, ground
        self.trial = Trial(library, update)

    def find(self, paths: Iterable[str | Path]) -> Iterator[Inline]:
        """The tests of these mappings (by name), files and folders, in order; raises MappingError or SettingsError."""
        for path in paths:
            place = Path(path)
            if place.is_dir():
                yield from self.find(yaml_files(place))
            elif place.is_file():
                yield from self.file(place)
            elif str(path) in self.library.programs:
                yield from self.mapping(str(path))
            else:
                raise MappingError(f"no mapping or file `{path}`\n      {nearest(str(path), self.library.programs)}")

    def file(self, place: Path) -> Iterator[Inline]:
        """The tests of one file; none of a file that is something else."""
        text = place.read_text(encoding="utf-8")
        kind = head(text)
        if kind == "mapping":
            for name in libraries.within(place, self.library):
                yield from self.mapping(name)
        elif kind == "programme":
            yield from self._programme(text, place)
        elif kind == "name":
            feed = read_feed(text, str(place))
            yield from self._cases(text, str(place), lambda case: self.trial.sent(feed, case))
        elif kind in ("rule", "jurisdiction"):
            for result in house_case.test_all(house_file.at([place])):
                yield Inline(str(place), result.line, result.name, lambda result=result: result)  # type: ignore[misc]

    def mapping(self, name: str) -> Iterator[Inline]:
        """The tests of one mapping."""
        program = self.library.programs[name]
        for case in cases.read(program.spec.tests):
            yield _inline(case, lambda case: self.trial.observe(program, case))

    def _cases(self, text: str, file: str, act: Callable[[Case], Observe]) -> Iterator[Inline]:
        return (_inline(case, act) for case in cases.read(syntax.load(text, file).get("tests")))

    def _programme(self, text: str, place: Path) -> Iterator[Inline]:
        lines = [item.place.line for item in items(syntax.load(text, str(place)).get("tests"))]
        for line, (name, wrong) in zip(lines, register.cases(register.read(text, str(place), self.ground)), strict=True):
            result = Result(str(place), line, name, tuple(wrong))
            yield Inline(str(place), line, name, lambda result=result: result)  # type: ignore[misc]


def _inline(case: Case, act: Callable[[Case], Observe]) -> Inline:
    return Inline(case.place.source.name, case.place.line, case.name, lambda: cases.run([case], act)[0])


def yaml_files(folder: Path) -> list[Path]:
    """The YAML files of a folder that may hold tests, those of the folders below included."""
    return sorted(file for file in folder.rglob("*.y*ml") if may_test(file, folder))


def may_test(file: Path, folder: Path) -> bool:
    """Whether a file below the folder may hold tests: YAML, and not an example or a golden."""
    return file.suffix in (".yaml", ".yml") and {"examples", "golden"}.isdisjoint(file.relative_to(folder).parts)


def head(text: str) -> str:
    """The first of `KINDS` among the keys of a YAML file, "" for any other file."""
    firsts = (line.split(":")[0] for line in text.splitlines() if line[:1].isalpha() and ":" in line)
    return next((key for key in firsts if key in KINDS), "")
