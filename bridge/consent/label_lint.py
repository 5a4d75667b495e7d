"""What is wrong with label rules: a rule that can never match, or that says more than its examples, protects nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources.abc import Traversable

from bridge.consent import labels, registry
from bridge.consent import terms as vocabulary
from bridge.consent.labels import EXTENSION, LINK_ID, VALUE_SET, Labeller, category_range
from bridge.consent.terms import ICD10, PART2, Terms
from bridge.core.errors import SettingsError

COLUMNS = ("id", "labels", "system", "pattern", "except", "about", "basis", "confidence", "source", "reviewed_on", "positive", "negative")
CONFIDENCE = frozenset({"high", "medium", "low"})
BASIS = ("law: ", "policy: ")

_SPREADSHEET = re.compile(r"\d(\.\d+)?E[+-]?\d+|\d+\.0+", re.IGNORECASE)
_DIGIT = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
"""Verhoeff's permutation of the digits."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the file, and the id of the rule or the name of the form."""

    file: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.text}"


@dataclass(frozen=True, slots=True)
class System:
    """What a code of a system looks like, and what its check digit must fulfil."""

    syntax: re.Pattern[str]
    check: Callable[[str], bool]


def lint(folders: Sequence[Traversable] = ()) -> list[Finding]:
    """Findings about the rule files of these folders, without any the packaged ones; none when all is well.

    Rows are checked for columns, known labels and systems, code syntax and check digits, numbers that a spreadsheet made,
    doubles, and examples: `positive` must get the row's labels from the row alone, `negative` none.
    """
    places = list(folders) or [labels.packaged()]
    terms = vocabulary.load()
    systems = {name: system for place in (labels.packaged(), *places) for name, system in _systems(place)}
    found: list[Finding] = []
    seen: dict[tuple[str, ...], str] = {}
    for place in places:
        for table in labels.tables(place):
            rows = vocabulary.rows(table)
            for row in rows:
                found += (Finding(table.name, row.get("id") or "?", text) for text in _row(row, place, systems, terms, seen))
            found += [] if rows else [Finding(table.name, "-", "has no rules")]
        found += [*_forms(place, terms), *_registry(place, terms)]
    return found


def _row(row: Row, folder: Traversable, systems: Mapping[str, System], terms: Terms, seen: dict[tuple[str, ...], str]) -> Iterator[str]:
    """What is wrong with one row; what makes the rest senseless ends it."""
    if tuple(row) != COLUMNS or any(value is None for value in row.values()):
        yield f"its columns are not {', '.join(COLUMNS)}"
        return
    yield from _facts(row, terms)
    system = systems.get(row["system"])
    if system is None:
        yield "the system is not in systems.csv"
        return
    wrong = list(_codes(row, system))
    yield from wrong
    yield from _doubled(row, seen)
    if not wrong:
        yield from _examples(row, folder, systems, terms)


def _facts(row: Row, terms: Terms) -> Iterator[str]:
    """Labels that exist, and why the row is there and since when."""
    given = row["labels"].split()
    if not given or set(given) - set(terms.canonical.values()):
        yield "labels: none, or one that sensitivities.csv does not have"
    if not row["basis"].startswith(BASIS):
        yield "basis: begins with neither law: nor policy:"
    if row["confidence"] not in CONFIDENCE:
        yield "confidence: none of high, medium, low"
    yield from (f"{name}: empty" for name in ("id", "about", "source", "positive", "negative") if not row[name].strip())
    try:
        date.fromisoformat(row["reviewed_on"])
    except ValueError:
        yield "reviewed_on: no date like 2026-11-22"


def _codes(row: Row, system: System) -> Iterator[str]:
    """Codes that cannot exist."""
    if row["except"] and row["system"] != ICD10:
        yield "except: only ICD-10 has prefixes to make exceptions from"
    for name in ("pattern", "positive", "negative"):
        code = row[name]
        if row["system"] == VALUE_SET and name != "pattern":
            continue
        if row["system"] not in (ICD10, EXTENSION, LINK_ID, VALUE_SET) and _SPREADSHEET.fullmatch(code):
            yield f"{name}: a number that a spreadsheet made of a code"
        elif name == "pattern" and row["system"] == ICD10:
            if code != code.upper() or "." in code or not (category_range(code) or system.syntax.fullmatch(code)):
                yield "pattern: neither a dot-free upper-case prefix nor a range like F10-F16"
        elif not system.syntax.fullmatch(code):
            yield f"{name}: not what a code of this system looks like"
        elif not system.check(code):
            yield f"{name}: wrong check digit"


def _doubled(row: Row, seen: dict[tuple[str, ...], str]) -> Iterator[str]:
    """The same id twice, or two rows that give one label to one code."""
    keys = [("id", row["id"]), *((row["system"], each, row["except"], label)
                                 for each in category_range(row["pattern"]) or (row["pattern"],) for label in row["labels"].split())]
    for other in dict.fromkeys(seen[key] for key in keys if key in seen):
        yield f"the same as {other}"
    seen.update(dict.fromkeys(keys, row["id"]))


def _examples(row: Row, folder: Traversable, systems: Mapping[str, System], terms: Terms) -> Iterator[str]:
    """Examples that are not true of the row by itself, and members of its value set that cannot exist."""
    try:
        rules = labels.expanded(dict(row), folder) if row["system"] == VALUE_SET else [dict(row)]
        alone = Labeller(rules, {}, terms)
    except SettingsError as error:
        yield str(error)
        return
    if row["system"] == VALUE_SET:
        strange = sum(1 for rule in rules if (system := systems.get(rule["system"])) is None
                      or not (system.syntax.fullmatch(rule["pattern"]) and system.check(rule["pattern"])))
        if strange:
            yield f"pattern: {strange} codes of the value set cannot exist or are of an unknown system"
    if _reveals(row["positive"], row, alone) != frozenset(row["labels"].split()):
        yield "positive: does not get these labels"
    if _reveals(row["negative"], row, alone):
        yield "negative: gets these labels"


def _reveals(code: str, row: Row, labeller: Labeller) -> frozenset[str]:
    if row["system"] == EXTENSION:
        return labeller.of_url(code)
    if row["system"] == LINK_ID:
        return labeller.of_link_id(code) or frozenset()
    return labeller.of_code("" if row["system"] == VALUE_SET else row["system"], code)


def _forms(folder: Traversable, terms: Terms) -> Iterator[Finding]:
    """Forms that are doubled or give an unknown label."""
    file = folder.joinpath("forms.csv")
    rows = vocabulary.rows(file) if file.is_file() else []
    names = [row["form"] for row in rows]
    for row in rows:
        if set(row["labels"].split()) - set(terms.canonical.values()):
            yield Finding("forms.csv", row["form"], "a label that sensitivities.csv does not have")
        if names.count(row["form"]) > 1:
            yield Finding("forms.csv", row["form"], "twice")


def _registry(folder: Traversable, terms: Terms) -> Iterator[Finding]:
    """Rows of a registry that name nobody, or by an unknown kind or label, or twice."""
    seen: dict[tuple[str, str], str] = {}
    for row in registry.rows(folder):
        given, other = set(row["labels"].split()), seen.setdefault((row["kind"], row["name"].strip().casefold()), row["id"])
        faults = {
            f"kind: none of {', '.join(registry.KINDS)}": row["kind"] not in registry.KINDS,
            "name: empty": not row["name"].strip(),
            "labels: none, or one that sensitivities.csv does not have": not given or bool(given - {*terms.canonical.values(), PART2}),
            "basis: begins with neither law: nor policy:": not row["basis"].startswith(BASIS),
            f"the same as {other}": other != row["id"],
        }
        yield from (Finding("registry.csv", row["id"], text) for text, wrong in faults.items() if wrong)


def _systems(folder: Traversable) -> Iterable[tuple[str, System]]:
    """The code systems that a folder's systems.csv names."""
    file = folder.joinpath("systems.csv")
    for row in vocabulary.rows(file) if file.is_file() else ():
        if row["check"] not in CHECKS:
            raise SettingsError(f"profiles/consent/labels/systems.csv: no such check; there are: {', '.join(filter(None, CHECKS))}")
        yield row["system"], System(re.compile(row["syntax"]), CHECKS[row["check"]])


def mod10(code: str) -> bool:
    """Whether the digit behind the hyphen is the one of LOINC Users' Guide, appendix C: every second digit doubled."""
    number, _, digit = code.partition("-")
    doubled = (int(each) * (2 if place % 2 == 0 else 1) for place, each in enumerate(reversed(number)))
    return -sum(each // 10 + each % 10 for each in doubled) % 10 == int(digit)


def verhoeff(code: str) -> bool:
    """Whether the last digit is right by Verhoeff's dihedral check, as SNOMED CT ids have it."""
    check, permutation = 0, list(range(10))
    for digit in reversed(code):
        check = _dihedral(check, permutation[int(digit)])
        permutation = [_DIGIT[each] for each in permutation]
    return check == 0


def _dihedral(left: int, right: int) -> int:
    """Multiplication in the group of the symmetries of a pentagon."""
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
    return 5 + (left - right) % 5 if right < 5 else (left - right) % 5


CHECKS: dict[str, Callable[[str], bool]] = {"": lambda code: True, "mod10": mod10, "verhoeff": verhoeff}
"""Check digits by their names in systems.csv."""
