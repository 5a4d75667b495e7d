"""All mappings of a site: found in folders, compiled once when they are first needed, chosen by what a message says it is.

An earlier folder stands before a later one: a mapping, table or set of the same name there replaces the packaged one.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from bridge.core.errors import MappingError
from bridge.fhir import elements as element_tables
from bridge.fhir.elements import Elements
from bridge.language import functions as registry
from bridge.language.cases import Result
from bridge.language.scope import Nobody
from bridge.language.source import Fields
from bridge.language.syntax import Node, Scalar, nearest
from bridge.language.table import CodeSet, Table, read_set, read_table
from bridge.mapping import codes, coverage, lint, override, trial
from bridge.mapping.build import Ground, build
from bridge.mapping.finding import Finding
from bridge.mapping.override import Overrides
from bridge.mapping.program import Program, event
from bridge.mapping.sender import Answers, Senders
from bridge.mapping.spec import Spec, extend, lineage, read

Folder = Traversable | Path
FIELDS = "cbo/intake-fields.csv"
SKIPPED = frozenset({"feeds", "examples", "tables", "sets", "programmes", "golden"})
"""Folders of `mappings/` that hold no mappings."""
ANY = "*"
"""The event of a mapping that reads what no other does."""
_TYPES = {"text": "string", "code": "code", "date": "date", "time": "dateTime", "truth": "boolean", "whole": "integer",
          "number": "decimal", "codes": "code*"}


class Programs(Mapping[str, Program]):
    """Compiled mappings by name; each is compiled when it is first asked for, which raises MappingError if it is wrong."""

    __slots__ = ("_compiled", "_ground", "_specs", "whole")

    def __init__(self, specs: Mapping[str, Spec], ground: Ground) -> None:
        self._specs, self._ground = specs, ground
        self._compiled: dict[str, Program] = {}
        self.whole = {name: extend(spec, specs) for name, spec in specs.items() if not spec.abstract}
        """The specs with everything that they take over."""

    def __getitem__(self, name: str) -> Program:
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = build(self.whole[name], self._ground)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole)

    def __len__(self) -> int:
        return len(self.whole)


@dataclass(frozen=True, slots=True)
class Library:
    """Mappings by name, and what they stand on."""

    ground: Ground
    programs: Programs
    specs: Mapping[str, Spec] = field(default_factory=dict)
    folders: tuple[Folder, ...] = ()
    overrides: Overrides = field(default_factory=dict)
    _own: dict[tuple[str, str], Program] = field(default_factory=dict)
    _by_event: Mapping[tuple[str, str], tuple[Spec, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, folders: Sequence[Folder] | None = None, elements: Elements | None = None, fields: Fields | None = None) -> Library:
        """Read everything in the folders (default: the packaged mappings); raises MappingError for what cannot be read.

        A mapping is compiled when a message first needs it; `compiled` does it for all at once. `fields` is the field list of
        partner records; by default `cbo/intake-fields.csv` of the first folder that has it.
        """
        places = tuple(folders) if folders else (files("mappings"),)
        ground = Ground(elements or element_tables.load(), tables(places), sets(places), fields or record_fields(places))
        specs, order = _specs(places)
        programs = Programs(specs, ground)
        overrides = override.load(places)
        override.known(overrides, specs)
        return cls(ground, programs, specs, places, overrides, {}, _events(programs.whole, order))

    def compiled(self) -> Library:
        """The library with every mapping compiled, and every override in the first mapping that has it.

        Raises MappingError with all errors: a wrong mapping stops a start, not the message that needs it.
        """
        _compile(self.programs)
        for feed, own in self.overrides.items():
            for name in own:
                having = (one for one in self.programs if name in [each.name for each in lineage(self.specs[one], self.specs)])
                if (first := next(having, "")):
                    self.of(self.programs[first], Named(feed))
        return self

    def choose(self, message: Any, sender: Any = None) -> Program | None:
        """The mapping for a message by event, record type or resource type; None when there is none.

        Of several for one event the first whose `when:` holds wins; one without `when:` comes last, and behind it what reads any
        event (`from: hl7v2 *`). A `sender` whose feed overrides lines of it gets the mapping with those lines.
        """
        language = "hl7v2" if not isinstance(message, dict) else "fhir" if "resourceType" in message else "record"
        said = event(message).removeprefix("record/")
        found = self._by_event.get((language, said), ())
        if len(found) == 1 and found[0].when is None:
            return self.of(self.programs[found[0].name], sender)
        asked = sender or _NOBODY
        listed = (*found, *self._by_event.get((language, ANY), ()))
        return next((self.of(program, sender) for spec in listed if (program := self.programs[spec.name]).fits(message, asked)), None)

    def of(self, program: Program, sender: Any) -> Program:
        """The mapping as this sender's feed has it: with the feed's overrides, compiled when they are first asked for."""
        feed = getattr(sender, "name", "")
        if feed not in self.overrides:
            return program
        own = self._own.get((feed, program.name))
        if own is None:
            spec = override.applied(self.specs[program.name], self.specs, self.overrides[feed])
            own = self._own[feed, program.name] = build(spec, self.ground) if spec is not None else program
        return own

    def variants(self, names: Iterable[str] = ()) -> Iterator[Program]:
        """These mappings (all without names) as feeds override them; raises MappingError."""
        wanted = frozenset(names or self.programs)
        for feed in self.overrides:
            for name in wanted.intersection(self.programs):
                own = self.of(self.programs[name], Named(feed))
                if own is not self.programs[name]:
                    yield own

    def senders(self, answers: Answers | None = None) -> Senders:
        """The senders over this library's tables and what people have answered."""
        return Senders(self.ground.tables, answers)

    def before(self, program: Program, event: str) -> Spec | None:
        """The mapping that is always chosen for this event before `program` is asked; None when there is none."""
        for other in self._by_event.get((program.language, event), ()):
            if other.name == program.name:
                return None
            if other.when is None or _same_text(other.when, program.spec.when):
                return other
        return None

    def __getitem__(self, name: str) -> Program:
        """The mapping of this name; raises KeyError."""
        return self.programs[name]


@dataclass(frozen=True, slots=True)
class Named:
    """A sender of whom only the feed's name is asked."""

    name: str


def _same_text(one: Node | None, other: Node | None) -> bool:
    return isinstance(one, Scalar) and isinstance(other, Scalar) and one.text == other.text


_NOBODY = Nobody(lambda table, code, system="": None)
"""Asks a file's `when:` before the feed is known."""


def _specs(folders: Sequence[Folder]) -> tuple[dict[str, Spec], dict[str, int]]:
    specs: dict[str, Spec] = {}
    order: dict[str, int] = {}
    for number, folder in enumerate(folders):
        here: dict[str, str] = {}
        texts = {name: (name, file.read_text(encoding="utf-8")) for name, file in walk(folder, (".yaml", ".yml"), SKIPPED)}
        for name, spec in _every(read, texts).items():
            if spec is None:
                continue
            if spec.name in here:
                raise MappingError(f"{name}: the mapping `{spec.name}` is in {here[spec.name]} too")
            here[spec.name] = name
            if spec.name not in specs:
                specs[spec.name], order[spec.name] = spec, number
    return specs, order


def _compile(programs: Programs) -> None:
    """Compile every mapping; raises MappingError with what is wrong in any of them."""
    errors: list[str] = []
    for name in programs:
        try:
            programs[name]
        except MappingError as error:
            errors.append(str(error))
    if errors:
        raise MappingError("\n".join(dict.fromkeys(errors)))


def _events(specs: Mapping[str, Spec], order: Mapping[str, int]) -> dict[tuple[str, str], tuple[Spec, ...]]:
    """Mappings by (language, event): earlier folders first, those with a `when:` before the one without."""
    found: dict[tuple[str, str], list[Spec]] = {}
    for spec in specs.values():
        for event_ in spec.events:
            found.setdefault((spec.language, event_), []).append(spec)
    for key, listed in found.items():
        listed.sort(key=lambda spec: (spec.when is None, order[spec.name]))
        plain = [spec for spec in listed if spec.when is None]
        if len(plain) > 1 and order[plain[0].name] == order[plain[1].name]:
            raise MappingError(f"{plain[1].file}: `{plain[0].name}` and `{plain[1].name}` both read {key[1]}; give one a `when:`")
    return {key: tuple(listed) for key, listed in found.items()}


def walk(folder: Folder, ends: tuple[str, ...], skipped: Iterable[str] = ()) -> Iterator[tuple[str, Folder]]:
    """(path as people know it, file) of every file with these endings, by name, folders below included."""
    yield from _walk(folder, folder.name, ends, frozenset(skipped))


def _walk(folder: Folder, name: str, ends: tuple[str, ...], skipped: frozenset[str]) -> Iterator[tuple[str, Folder]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            if entry.name not in skipped:
                yield from _walk(entry, f"{name}/{entry.name}", ends, skipped)
        elif entry.name.endswith(ends):
            yield f"{name}/{entry.name}", entry


def tables(folders: Sequence[Folder]) -> dict[str, Table]:
    """Code tables by name, from `tables/` of each folder; an earlier folder's replaces a later one's."""
    return _every(read_table, csv_files(folders, "tables"))


def sets(folders: Sequence[Folder]) -> dict[str, CodeSet]:
    """Code sets by name, from `sets/` of each folder."""
    return _every(read_set, csv_files(folders, "sets"))


def _every(act: Callable[[str, str], Any], texts: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """What each file gives, by name; raises one MappingError with what is wrong in any of them."""
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for name, (file, text) in texts.items():
        try:
            found[name] = act(text, file)
        except MappingError as error:
            wrong.append(str(error))
    if wrong:
        raise MappingError("\n".join(wrong))
    return found


def csv_files(folders: Sequence[Folder], below: str) -> dict[str, tuple[str, str]]:
    """(file, text) of the CSV files below each folder, by name; an earlier folder's replaces a later one's."""
    found: dict[str, tuple[str, str]] = {}
    for folder in folders:
        inner = folder / below
        if not inner.is_dir():
            continue
        for name, file in walk(inner, (".csv",)):
            found.setdefault(file.name.removesuffix(".csv"), (f"{folder.name}/{name}", file.read_text(encoding="utf-8")))
    return found


def record_fields(folders: Sequence[Folder]) -> Fields:
    """The field list of partner records, from the first folder that has `cbo/intake-fields.csv`."""
    for folder in folders:
        file = folder / "cbo" / "intake-fields.csv"
        if file.is_file():
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
            return {row["field"]: _TYPES.get(row["type"], "any") for row in csv.DictReader(lines)}
    return {}


def test(paths: Sequence[Path | str] = (), library: Library | None = None, update: bool = False) -> list[Result]:  # noqa: PT028 - no pytest test
    """Run inline tests: of these files, folders or mapping names, or of everything; raises MappingError.

    A file or folder outside the library's folders is loaded in front of the packaged mappings.
    """
    found, names = _selected(paths, library)
    return trial.results(found if names else found.compiled(), names, update)


def check(paths: Sequence[Path | str] = (), library: Library | None = None) -> list[Finding]:
    """Lint these files, folders or mapping names, or everything, with unused tables and sets; raises MappingError."""
    beside = [Path(path) for path in paths if Path(path).parent.name == override.BELOW and Path(path).is_file()]
    found, names = _selected(paths, library)
    if beside and len(beside) == len(paths):
        return [one for file in beside for one in codes.feed(file.read_text(encoding="utf-8"), str(file), found.ground)]
    listed = lint.lint(found if names else found.compiled(), names)
    if not names:
        known = coverage.rows(found.programs.values(), {})
        listed += [*lint.unused(found), *codes.systems(found), *codes.feeds(found),
                   *codes.left(coverage.read_left(found.folders), (row.field for row in known if row.mapped))]
    return listed


def around(paths: Sequence[Path | str], library: Library | None = None) -> Library:
    """The library with the mappings folders that these files and folders are in, in front of its own."""
    home = library or Library.load()
    outside = [_root(Path(path)) for path in paths if Path(path).exists()]
    fresh = [folder for folder in dict.fromkeys(outside) if all(not _same(folder, known) for known in home.folders)]
    return Library.load([*fresh, *home.folders]) if fresh else home


def _selected(paths: Sequence[Path | str], library: Library | None) -> tuple[Library, list[str]]:
    """(library, names of the mappings meant); none means all."""
    home = around(paths, library)
    names: list[str] = []
    for path in paths:
        place = Path(path)
        if not place.exists():
            if str(path) not in home.programs:
                raise MappingError(f"no mapping or file `{path}`\n      {nearest(str(path), home.programs)}")
            names.append(str(path))
        elif not any(_same(place, known) for known in home.folders):
            names += within(place, home)
    return home, names


def within(place: Path, library: Library) -> list[str]:
    """The mappings that are in this file or folder."""
    return [name for name, spec in library.programs.whole.items() if _below(place, spec.file, library.folders)]


def _root(path: Path) -> Path:
    """The mappings folder that a path belongs to: the nearest one above with examples, tables or sets beside it."""
    start = path if path.is_dir() else path.parent
    if start.name in SKIPPED:
        return start.parent
    for folder in (start, *start.parents):
        if any((folder / name).is_dir() for name in ("examples", "tables", "sets")):
            return folder
    return start


def _same(one: Folder, other: Folder) -> bool:
    return isinstance(one, Path) and isinstance(other, Path) and one.resolve() == other.resolve()


def _below(place: Path, file: str, folders: Sequence[Folder]) -> bool:
    """Whether a mapping's file (`mappings/common/visit.yaml`) is this file or in this folder."""
    for folder in folders:
        if isinstance(folder, Path) and file.partition("/")[0] == folder.name:
            full = (folder.parent / file).resolve()
            if full == place.resolve() or place.resolve() in full.parents:
                return True
    return False


def functions() -> list[registry.Function]:
    """Every function of the language, for `mapping functions` and the reference page."""
    return registry.listed()
