"""What a provision says about the data (M5-M9): read once from FHIR, then matched against units.

Permits are strict, denies generous: an entry that nobody can read never helps a permit and always triggers a deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from bridge.consent import moment
from bridge.consent.labels import Labeller, Labels
from bridge.consent.moment import Span
from bridge.consent.reference import Named, named
from bridge.consent.terms import CONFIDENTIALITY, ICD10, PART2, Terms, bare_code
from bridge.consent.unit import Unit

Code = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """securityLabel: confidentiality ranks and sensitivity codes listed; `described` when it names Part 2 data (F2).

    `loose` are the same with labels that give no system counted in: only denies use those.
    """

    ranks: frozenset[int]
    sensitivities: frozenset[str]
    loose_ranks: frozenset[int]
    loose: frozenset[str]
    others: frozenset[Code]
    unreadable: bool


@dataclass(frozen=True, slots=True)
class CodeRule:
    """`class` and `code`: listed (system, code) pairs, ICD-10 without dots; pairs without system serve denies only."""

    codes: frozenset[Code]
    icd: tuple[str, ...]
    unreadable: bool


@dataclass(frozen=True, slots=True)
class InstanceRule:
    """One provision.data: which instance, and what it means (`instance`, `related`, `dependents`, `authoredby`)."""

    meaning: str
    who: Named


@dataclass(frozen=True, slots=True)
class Criteria:
    """The data criteria in force at one node; None where neither it nor an ancestor says anything (N3)."""

    label: LabelRule | None = None
    classes: CodeRule | None = None
    codes: CodeRule | None = None
    period: Span | None = None
    data: tuple[InstanceRule, ...] | None = None

    @property
    def empty(self) -> bool:
        return self == NOTHING

    def over(self, inherited: Criteria) -> Criteria:
        """N3: the ancestor's criteria overlaid element by element with our own."""
        if self is NOTHING or inherited is NOTHING:
            return inherited if self is NOTHING else self
        own = {name: value for name in Criteria.__slots__ if (value := getattr(self, name)) is not None}
        return replace(inherited, **own)

    def rules(self) -> tuple[str, ...]:
        """The rule ids that these criteria are matched by."""
        if self is NOTHING:
            return ()
        said = (self.label, self.classes, self.codes, self.period, self.data)
        return tuple(rule for rule, value in zip(("M5", "M6", "M7", "M8", "M9"), said, strict=True) if value is not None)


NOTHING = Criteria()
UNREADABLE: Mapping[str, Any] = {}
"""A CodeableConcept that has only text: nothing a permit can use, and anything to a deny."""

_DATA_ELEMENTS = frozenset({"securityLabel", "class", "code", "dataPeriod", "data"})


def read(provision: Mapping[str, Any], zone: ZoneInfo, base: str, consent: Mapping[str, Any], labeller: Labeller) -> Criteria:
    """The data criteria a provision states itself."""
    if _DATA_ELEMENTS.isdisjoint(provision):
        return NOTHING
    period, data = provision.get("dataPeriod"), provision.get("data")
    concepts = [coding for concept in provision.get("code") or () for coding in concept.get("coding") or (UNREADABLE,)]
    return Criteria(
        label=_labels(provision["securityLabel"], labeller) if provision.get("securityLabel") else None,
        classes=_codes(provision["class"], labeller.terms) if provision.get("class") else None,
        codes=_codes(concepts, labeller.terms) if provision.get("code") else None,
        period=moment.period(period, zone) if period else None,
        data=tuple(InstanceRule(each.get("meaning") or "", named(each.get("reference") or {}, base, consent)) for each in data)
        if data
        else None,
    )


def _labels(codings: Iterable[Mapping[str, Any]], labeller: Labeller) -> LabelRule:
    ranks, sensitivities, loose_ranks, loose, others = set[int](), set[str](), set[int](), set[str](), set[Code]()
    unreadable = False
    for coding in codings:
        system, code = labeller.terms.system(coding.get("system") or ""), coding.get("code") or ""
        unreadable = unreadable or not code
        sensitivity = labeller.sensitivity(system, code)
        rank = labeller.terms.ranks.get(code) if system in (CONFIDENTIALITY, "") else None
        if sensitivity:
            loose.add(sensitivity)
            sensitivities |= {sensitivity} if system else set()
        elif rank is not None:
            loose_ranks.add(rank)
            ranks |= {rank} if system else set()
        else:
            others.add((system, code))
    return LabelRule(
        frozenset(ranks),
        frozenset(sensitivities),
        frozenset(loose_ranks),
        frozenset(loose),
        frozenset(others),
        unreadable,
    )


def _codes(codings: Iterable[Mapping[str, Any]], terms: Terms) -> CodeRule:
    codes, unreadable = set[Code](), False
    for coding in codings:
        system, code = terms.system(coding.get("system") or ""), coding.get("code")
        unreadable = unreadable or not code
        if code:
            codes.add((system, bare_code(system, code)))
    return CodeRule(frozenset(codes), tuple(code for system, code in codes if system == ICD10), unreadable)


def match(criteria: Criteria, unit: Unit, permit: bool, terms: Terms) -> bool:
    """Whether the unit's data meet every stated criterion (elements are ANDed)."""
    if criteria.label is not None and not _label_matches(criteria.label, unit, permit, terms):  # M5
        return False
    if criteria.classes is not None and not _class_matches(criteria.classes, unit, permit):  # M6
        return False
    if criteria.codes is not None and not _code_matches(criteria.codes, unit, permit):  # M7
        return False
    if criteria.period is not None and not _time_matches(criteria.period, unit, permit):  # M8
        return False
    if criteria.data is None:
        return True
    return any(_instance_matches(rule, unit, permit) for rule in criteria.data)  # M9


def _label_matches(rule: LabelRule, unit: Unit, permit: bool, terms: Terms) -> bool:
    labels = unit.labels
    if permit:  # M5: at most the highest level listed, or every sensitivity is covered
        if rule.ranks and labels.rank <= max(rule.ranks):
            return True
        return bool(labels.sensitivities) and all(covered(each, rule.sensitivities, labels, terms) for each in labels.sensitivities)
    if rule.unreadable or any(labels.rank >= rank for rank in rule.loose_ranks):  # M5: at least any level listed
        return True
    if any(not terms.covered_by_deny[each].isdisjoint(rule.loose) for each in labels.sensitivities):  # M5: any sensitivity
        return True
    return bool(rule.others) and not rule.others.isdisjoint(unit.subject.tags)  # a label we do not know matches itself


def covered(sensitivity: str, listed: frozenset[str], labels: Labels, terms: Terms) -> bool:
    """Whether a permit that lists these covers the sensitivity; naming Part 2 covers what a Part 2 record says of it
    (S14)."""
    lineage = terms.covered_by_permit[sensitivity]
    if not lineage.isdisjoint(listed):
        return True
    return PART2 in listed and PART2 in labels.sensitivities and "SUD" in lineage


def _class_matches(rule: CodeRule, unit: Unit, permit: bool) -> bool:
    if rule.unreadable and not permit:
        return True
    subject = unit.subject
    return any(
        code in subject.profiles or (code == subject.type and (system in (_TYPES, "") or not permit))
        for system, code in rule.codes
    )


_TYPES = "http://hl7.org/fhir/resource-types"


def _code_matches(rule: CodeRule, unit: Unit, permit: bool) -> bool:
    if permit:  # M7: the primary concept of the unit's resource
        return any(_is_listed(system, code, rule) for system, code in unit.subject.primary if system)
    if rule.unreadable:
        return True
    bare = {code for system, code in rule.codes if not system}  # M7, deny: anywhere in the unit
    return any(
        _is_listed(system, code, rule) or code in bare or (not system and any(code == listed for _, listed in rule.codes))
        for system, code in unit.codes
    )


def _is_listed(system: str, code: str, rule: CodeRule) -> bool:
    if (system, code) in rule.codes:
        return True
    return system == ICD10 and any(code.startswith(category) for category in rule.icd)  # a category subsumes its codes


def _time_matches(period: Span, unit: Unit, permit: bool) -> bool:
    groups = unit.subject.times
    reverse = period[0] > period[1]
    if permit:  # M8: entirely inside; undated never
        return not reverse and bool(groups) and all(period[0] <= first and last <= period[1] for first, last in groups[0])
    if reverse or not groups:  # M8: any overlap; undated always
        return True
    return any(first <= period[1] and period[0] <= last for group in groups for first, last in group)


def _instance_matches(rule: InstanceRule, unit: Unit, permit: bool) -> bool:
    if rule.who.empty:
        return not permit
    subject, keys = unit.subject, rule.who.keys
    instance = not keys.isdisjoint(subject.keys)
    if rule.meaning == "instance":
        return instance
    if rule.meaning in ("related", "dependents"):
        return instance or not keys.isdisjoint(subject.references)
    if rule.meaning == "authoredby":
        return not keys.isdisjoint(subject.authors)
    return not permit and (instance or not keys.isdisjoint(subject.references))
