"""Code tables and code sets: CSV with `#` lines of facts above the header. A table translates, a set contains."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.core.errors import MappingError
from bridge.language.syntax import Place, SourceText, fault

COLUMNS = ("source", "system", "target", "target_system", "display", "note")
SET_COLUMNS = ("code", "system", "display", "note")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what a code (of a system, "" any) becomes. An empty target: deliberately nothing.

    `means` is the code of the table that a sender's own word stands for; its coding is kept beside that of the word.
    """

    source: str
    target: str
    target_system: str = ""
    display: str = ""
    system: str = ""
    means: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A code table. `keep_source` keeps the source coding beside the target in a CodeableConcept."""

    name: str
    rows: dict[tuple[str, str], Row]
    keep_source: bool = False
    source_system: str = ""
    target_system: str = ""
    digest: str = ""
    prefixes: tuple[tuple[str, Row], ...] = ()
    by_code: dict[str, Row | None] = field(default_factory=dict)
    by_target: dict[str, Row] = field(default_factory=dict)

    def find(self, code: str, system: str = "") -> Row | None:
        """The row for this code: of its system, else of any system (when only one claims it), else by `*` prefix."""
        row = self.rows.get((code, system))
        if row is None:
            row = self.rows.get((code, "")) if system else self.by_code.get(code)
        if row is None and self.prefixes:
            for prefix, candidate in self.prefixes:
                if code.startswith(prefix) and candidate.system in ("", system):
                    return candidate
        return row


@dataclass(frozen=True, slots=True)
class CodeSet:
    """Codes that belong together; a code without system in the file belongs in any."""

    name: str
    codes: frozenset[tuple[str, str]]
    anywhere: frozenset[str]
    prefixes: tuple[tuple[str, str], ...] = ()
    digest: str = ""
    starts: tuple[str, ...] = ()

    def has(self, code: str, system: str = "") -> bool:
        """Whether the code is in the set; without a system only the code counts."""
        if not system:
            return code in self.anywhere or code.startswith(self.starts)
        if (code, system) in self.codes or (code, "") in self.codes:
            return True
        return any(code.startswith(start) and of in ("", system) for start, of in self.prefixes)


def read_table(text: str, name: str) -> Table:
    """A table from its CSV text; raises MappingError with the line."""
    head, rows = read_rows(text, name, COLUMNS, "source", ("target",))
    keep, source_system, target_system = head.get("keep", "") == "source", head.get("source-system", ""), head.get("target-system", "")
    lines = tuple(text.removeprefix("\ufeff").splitlines())
    found: dict[tuple[str, str], Row] = {}
    at: dict[tuple[str, str], int] = {}
    twice: list[MappingError] = []
    prefixes: list[tuple[str, Row]] = []
    by_code: dict[str, Row | None] = {}
    by_target: dict[str, Row] = {}
    for line, cells in rows:
        source, system = cells["source"], cells["system"]
        row = Row(source, cells["target"], cells["target_system"] or (target_system if cells["target"] else ""), cells["display"], system)
        if (source, system) in found:
            twice.append(fault(Place(SourceText(name, lines), line, 1), f"`{source}` is in this table already, on line {at[source, system]}"))
        found[source, system], at[source, system] = row, line
        by_code[source] = None if source in by_code else row
        by_target.setdefault(row.target, row)
        if source.endswith("*"):
            prefixes.append((source[:-1], row))
    if twice:
        raise MappingError("\n".join(map(str, twice)))
    prefixes.sort(key=lambda each: -len(each[0]))
    return Table(_stem(name), found, keep, source_system, target_system, digest(text), tuple(prefixes), by_code, by_target)


def read_set(text: str, name: str) -> CodeSet:
    """A set from its CSV text; raises MappingError with the line."""
    _, rows = read_rows(text, name, SET_COLUMNS, "code", ())
    codes: set[tuple[str, str]] = set()
    prefixes: list[tuple[str, str]] = []
    for _, cells in rows:
        code, system = cells["code"], cells["system"]
        if code.endswith("*"):
            prefixes.append((code[:-1], system))
        else:
            codes.add((code, system))
    return CodeSet(_stem(name), frozenset(codes), frozenset(code for code, _ in codes), tuple(prefixes), digest(text),
                   tuple(start for start, _ in prefixes))


def digest(text: str) -> str:
    """16 hex digits over the content, line ends aside."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:16]


def read_rows(text: str, name: str, columns: tuple[str, ...], key: str,
              needed: tuple[str, ...]) -> tuple[dict[str, str], list[tuple[int, dict[str, str]]]]:
    """(facts of the head, rows with their line numbers); raises one MappingError that shows every wrong line."""
    source = SourceText(name, tuple(text.removeprefix("\ufeff").splitlines()))
    head: dict[str, str] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(source.lines, 1):
        if line.startswith("#"):
            if fact := _FACT.match(line):
                head[fact[1]] = fact[2].strip()
        elif line.strip():
            lines.append((number, line))
    if not lines:
        raise fault(Place(source, 1, 1), "no header", hint=f"the columns are {','.join(columns)}")
    for number, line in lines:
        if line.count('"') % 2:
            raise fault(Place(source, number, line.index('"') + 1), "a quote that does not end", hint='a row is one line; a quote in a cell is ""')
    try:
        cells = list(csv.reader((line for _, line in lines), strict=True))
    except csv.Error as error:
        raise fault(Place(source, lines[0][0], 1), f"not CSV: {error}") from None
    header = [cell.strip() for cell in cells[0]]
    _check(header, Place(source, lines[0][0], 1), columns, (key, *needed))
    rows, wrong = [], []
    for (number, line), row in zip(lines[1:], cells[1:], strict=True):
        made = dict.fromkeys(columns, "") | {column: cell.strip() for column, cell in zip(header, row, strict=False)}
        if len(row) > len(header):
            wrong.append(fault(Place(source, number, line.rfind(row[-1]) + 1), f"{len(row)} cells under {len(header)} columns",
                               hint="a cell with a comma stands in quotes"))
        elif not made[key]:
            wrong.append(fault(Place(source, number, 1), f"no {key} in this row"))
        else:
            rows.append((number, made))
    if wrong:
        raise MappingError("\n".join(map(str, wrong)))
    return head, rows


def _check(header: list[str], place: Place, columns: Iterable[str], needed: Iterable[str]) -> None:
    line = place.source.lines[place.line - 1]
    wrong = [fault(place.right(max(line.find(column), 0)), f"no column `{column}`", column, columns,
                   hint="commas stand between the columns" if ";" in column or "\t" in column else "")
             for column in header if column not in columns]
    wrong += [fault(place, f"the column `{column}` is missing") for column in needed if column not in header and not wrong]
    if len(set(header)) != len(header):
        wrong.append(fault(place, "a column twice"))
    if wrong:
        raise MappingError("\n".join(map(str, wrong)))


def _stem(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].removesuffix(".csv")


_FACT = re.compile(r"#\s*(keep|source-system|target-system)\s*:\s*(.*)")
