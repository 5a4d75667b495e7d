"""Security labels: what a code reveals (L1), what a source asserted (meta.security, inline labels), and both together
(L2).

The rules are data in `profiles/consent/labels`, and in folders of that shape that a site adds. Nothing here decides anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from bridge.consent import terms as vocabulary
from bridge.consent.terms import ACT_CODE, ACT_REASON, CONFIDENTIALITY, ICD10, LOINC, PART2, Terms, bare_code
from bridge.core import json
from bridge.core.errors import SettingsError, Unreadable

INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
LINK_ID = "linkId"
EXTENSION = "extension"
VALUE_SET = "valueset"
"""As a rule's system: its pattern names a FHIR ValueSet beside the rules, whose every code has the label."""
NO_RULES = ("forms.csv", "registry.csv", "systems.csv")
RULE = ("id", "labels", "system", "pattern", "except")
"""Columns of a rule that the labeller reads; the others are for people and for lint."""

Code = tuple[str, str]
NONE: frozenset[str] = frozenset()
_LOINC_TOKEN = re.compile(r"(?<![\w-])\d{1,7}-\d(?![\w-])")
_CATEGORY = re.compile(r"[A-Z]\d\d")
_SEEN_MOST = 50_000


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one unit. `rank` is the place in the confidentiality order (U L M N R V); `sensitivities` are
    canonical
    codes, 42CFRPart2 among them when the record is one; the rest are codes of meta.security by family."""

    rank: int
    sensitivities: frozenset[str] = NONE
    refrained: bool = False
    purposes: frozenset[str] = NONE
    compartments: frozenset[str] = NONE

    def plus(self, sensitivities: frozenset[str], restricted: int) -> Labels:
        """With more sensitivities; any of them raises to at least R (L2), whose rank the caller knows."""
        if sensitivities <= self.sensitivities:
            return self
        return Labels(
            max(self.rank, restricted),
            self.sensitivities | sensitivities,
            self.refrained,
            self.purposes,
            self.compartments,
        )

    def join(self, other: Labels) -> Labels:
        """The high-water mark of both."""
        return Labels(
            max(self.rank, other.rank),
            self.sensitivities | other.sensitivities,
            self.refrained or other.refrained,
            self.purposes | other.purposes,
            self.compartments | other.compartments,
        )


class Labeller:
    """Answers which sensitivities a code, an extension URL or a linkId carries; remembers what it was asked."""

    __slots__ = ("_exact", "_icd", "_seen", "forms", "normal", "restricted", "terms", "unlabelled")

    def __init__(self, rules: Iterable[Mapping[str, str]], forms: Mapping[str, frozenset[str]], terms: Terms) -> None:
        self.terms = terms
        self.forms = forms
        self.normal, self.restricted = terms.ranks["N"], terms.ranks["R"]
        self.unlabelled = Labels(self.normal)
        """L2: no label is N."""
        self._exact: dict[Code, frozenset[str]] = {}
        self._icd: dict[str, list[tuple[frozenset[str], tuple[str, ...]]]] = {}
        self._seen: dict[Code, frozenset[str]] = {}
        for rule in rules:
            self._add(rule)

    def _add(self, rule: Mapping[str, str]) -> None:
        labels = frozenset(rule["labels"].split())
        unknown = labels - set(self.terms.canonical.values())
        if unknown or not rule["pattern"]:
            raise SettingsError(f"profiles/consent/labels: rule {rule['id']} has an unknown label or no pattern")
        if rule["system"] != ICD10:
            key = (rule["system"], rule["pattern"])
            self._exact[key] = self._exact.get(key, NONE) | labels
            return
        for prefix in _prefixes(rule["pattern"], rule["id"]):
            self._icd.setdefault(prefix, []).append((labels, tuple(rule["except"].split())))

    def of_code(self, system: str, code: str) -> frozenset[str]:
        """Sensitivities of one coding; a coding without a system is tried in every system, since a label may only
        raise."""
        key = (system, code)
        found = self._seen.get(key)
        if found is None:
            if len(self._seen) >= _SEEN_MOST:
                self._seen.clear()
            found = self._seen[key] = self._look_up(self.terms.system(system), code)
        return found

    def _look_up(self, system: str, code: str) -> frozenset[str]:
        found = set[str]()
        if system:
            found |= self._exact.get((system, code), NONE)
        else:
            found = {label for (_, known), labels in self._exact.items() if known == code for label in labels}
        if system in ("", ICD10):
            found |= self._of_icd(bare_code(ICD10, code))
        return frozenset(found)

    def _of_icd(self, code: str) -> set[str]:
        found = set[str]()
        for length in range(3, len(code) + 1):
            for labels, excepted in self._icd.get(code[:length], ()):
                if not any(fnmatchcase(code, pattern) for pattern in excepted):
                    found |= labels
        return found

    def of_url(self, url: str) -> frozenset[str]:
        """Sensitivities of an extension by its URL."""
        return self._exact.get((EXTENSION, url), NONE)

    def of_link_id(self, link_id: str) -> frozenset[str] | None:
        """Sensitivities of a form item by its linkId: a rule of its own, or LOINC codes in it; None when it says
        nothing."""
        known = self._exact.get((LINK_ID, link_id))
        if known is not None:
            return known
        tokens = _LOINC_TOKEN.findall(link_id)
        return frozenset().union(*(self.of_code(LOINC, token) for token in tokens)) if tokens else None

    def of_panel(self, canonical: str) -> frozenset[str]:
        """What a form reveals by being this form: the labels of its panel code, when the canonical ends in one."""
        return self.of_code(LOINC, canonical.partition("|")[0].rpartition("/")[2])

    def of_form(self, canonical: str) -> frozenset[str]:
        """Everything a form can reveal, for responses whose linkIds cannot be resolved (consent.md 2.1)."""
        name = canonical.partition("|")[0].rpartition("/")[2]
        return self.forms.get(name, NONE) | self.of_panel(canonical)

    def asserted(self, codings: Iterable[Mapping[str, Any]]) -> Labels:
        """The labels a source put on a resource or, inline, on an element (R4); rank -1 when it names no level."""
        rank, sensitivities, purposes, compartments, refrained = -1, set[str](), set[str](), set[str](), False
        for coding in codings:
            code = coding.get("code") or ""
            system = self.terms.system(coding.get("system") or "")
            rank = max(rank, self._rank(system, code))
            sensitivity = self.sensitivity(system, code)
            if sensitivity:
                sensitivities.add(sensitivity)
            if system == ACT_REASON or (not system and code in self.terms.purposes):
                purposes.add(code)
            if system in (ACT_CODE, ""):
                refrained = refrained or code in self.terms.refrains
                compartments |= {code} & self.terms.compartments
        if sensitivities:
            rank = max(rank, self.restricted)  # L2
        return Labels(
            rank,
            frozenset(sensitivities),
            refrained,
            frozenset(purposes),
            frozenset(compartments),
        )

    def sensitivity(self, system: str, code: str) -> str:
        """The canonical sensitivity a label names, or ""."""
        if code == PART2 and system in (ACT_CODE, ""):
            return PART2
        if system == CONFIDENTIALITY:
            return str(self.terms.facts["confidentiality_aliases"].get(code, ""))
        return self.terms.canonical.get((system, code), "")

    def _rank(self, system: str, code: str) -> int:
        """Place in the confidentiality order; -1 for other labels. An unknown confidentiality code is read as the
        highest."""
        if system == "":
            return self.terms.ranks.get(code, -1)
        if system != CONFIDENTIALITY or code in self.terms.facts["confidentiality_aliases"]:
            return -1
        if code in self.terms.facts["confidentiality_raised"]:
            return self.restricted
        return self.terms.ranks.get(code, len(self.terms.ranks) - 1)


def _prefixes(pattern: str, rule: str) -> list[str]:
    """Prefixes of the dot-free code: the pattern itself, or each category of `F10-F16`."""
    if "-" not in pattern:
        return [pattern]
    listed = category_range(pattern)
    if not listed:
        raise SettingsError(f"profiles/consent/labels: rule {rule} has a range that is not like F10-F16")
    return listed


def category_range(pattern: str) -> list[str]:
    """The three-character categories of a range like `F10-F16`; none when it is no such range."""
    first, _, last = pattern.partition("-")
    if not (_CATEGORY.fullmatch(first) and _CATEGORY.fullmatch(last) and first[0] == last[0]) or first > last:
        return []
    return [f"{first[0]}{number:02d}" for number in range(int(first[1:]), int(last[1:]) + 1)]


@cache
def load(*folders: str) -> Labeller:
    """The rules of these folders, without any the packaged ones; read once per process.

    Raises SettingsError for a file that cannot be read, an unknown label, or a value set without codes.
    """
    places = [Path(each) for each in folders] or [packaged()]
    rules = [row for place in places for row in rules_of(place)]
    forms = dict[str, frozenset[str]]()
    for place in places:
        for row in vocabulary.rows(place.joinpath("forms.csv")) if place.joinpath("forms.csv").is_file() else ():
            forms[row["form"]] = forms.get(row["form"], NONE) | frozenset(row["labels"].split())
    return Labeller(rules, forms, vocabulary.load())


def packaged() -> Traversable:
    """The folder of the rules that come with the bridge."""
    return files("profiles").joinpath("consent", "labels")


def tables(folder: Traversable) -> list[Traversable]:
    """The rule files of a folder, by name."""
    found = (each for each in folder.iterdir() if each.name.endswith(".csv") and each.name not in NO_RULES)
    return sorted(found, key=lambda each: each.name)


def rules_of(folder: Traversable) -> list[dict[str, str]]:
    """The rows of a folder's rule files, with those that name a value set written out code by code."""
    rules = [row for table in tables(folder) for row in vocabulary.rows(table)]
    if short := [row.get("id") for row in rules if any(row.get(name) is None for name in RULE)]:
        raise SettingsError(f"profiles/consent/labels: rule {short[0]} lacks a column; `consent lint` says which are needed")
    return [each for row in rules for each in (expanded(row, folder) if row["system"] == VALUE_SET else (row,))]


def expanded(row: dict[str, str], folder: Traversable) -> list[dict[str, str]]:
    """A rule for each code of the value set that a row names: its expansion, or what it lists itself."""
    system = vocabulary.load().system
    try:
        listed = list(_members(json.read(folder.joinpath(row["pattern"]).read_bytes())))
    except (OSError, Unreadable):
        raise SettingsError(f"profiles/consent/labels: rule {row['id']} names a value set that cannot be read") from None
    if not listed:
        raise SettingsError(f"profiles/consent/labels: rule {row['id']} names a value set without codes; load its expansion")
    rules = []
    for name, code in listed:
        folded = system(name)
        bare = bare_code(folded, code)
        rules.append({**row, "system": folded, "pattern": bare, "except": f"{bare}?*" if folded == ICD10 else ""})
    return rules


def _members(value_set: Any) -> Iterator[Code]:
    waiting = list((value_set.get("expansion") or {}).get("contains") or ())
    for each in waiting:
        waiting += each.get("contains") or ()
        if each.get("code") and not each.get("abstract"):
            yield each.get("system") or "", each["code"]
    if not waiting:
        for include in (value_set.get("compose") or {}).get("include") or ():
            yield from ((include.get("system") or "", each["code"]) for each in include.get("concept") or ())
