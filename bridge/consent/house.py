"""Rules of the house: what a site's privacy officer decides on top of the patients' consents, and what local law adds.

A rule only narrows what the evaluator permits. The one exception, `allow`, is a contract's default for ordinary data (D2)
and is asked of the evaluator itself, so it never overrides a deny. The order of rules makes no difference. They are data:
`profiles/consent/rules/*.yaml`, read by `house_file` and applied by `ruling`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from bridge.consent import moment, project
from bridge.consent.moment import Span
from bridge.consent.once import Once
from bridge.consent.request import Policy
from bridge.consent.terms import ICD10, Terms
from bridge.consent.unit import Unit
from bridge.core.errors import SettingsError

PREFIX = "house:"
"""Before the name of a rule of the house among the rules of a Decision."""
NOTICE = "notice:"
"""Before the code of a jurisdiction whose notice goes with a disclosure, among the obligations."""
EFFECTS = ("withhold", "redact", "require", "allow")
NEEDS = {
    "period-end": "it ends: the provision that permits, or one above it, has period.end",
    "names-label": "it names the label, the code or the record itself",
    "names-recipient": "it names this recipient itself, not a group that it belongs to",
    "names-purpose": "it states a purpose",
    "names-content": "it says which records it is about",
    "dated": "it has a date (dateTime)",
    "attached": "the signed form is attached or referred to (source)",
    "verified": "somebody verified it with the patient (verification.verified)",
    "by-patient": "the patient gave it (performer), not somebody else for the patient",
}
"""What `require` can ask of the permit that decides."""
NONE: frozenset[str] = frozenset()
Code = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an exchange as rules see it: a partner's id, kind (a file of profiles/recipients) and flags."""

    id: str = ""
    kind: str = ""
    flags: frozenset[str] = NONE


@lru_cache(1024)
def side(id_: str, kind: str, flags: tuple[str, ...] = ()) -> Side:
    """A partner as rules name it, by its kind's own name; a kind that there is no file for stays as it is."""
    try:
        return Side(id_, project.load(kind).kind, frozenset(flags))
    except SettingsError:
        return Side(id_, kind, frozenset(flags))


@dataclass(frozen=True, slots=True)
class Exchange:
    """Who gives what to whom: `custodian` None when it is the site itself. `jurisdictions` are the overlays that apply."""

    recipient: Side = Side()
    custodian: Side | None = None
    programme: str = ""
    jurisdictions: frozenset[str] = NONE


@dataclass(frozen=True, slots=True)
class Who:
    """Partners that pass every key given; within a key one of the values is enough."""

    kinds: frozenset[str] = NONE
    ids: frozenset[str] = NONE
    flags: frozenset[str] = NONE

    def fits(self, side: Side) -> bool:
        """Whether a partner is meant."""
        return ((not self.kinds or side.kind in self.kinds) and (not self.ids or side.id in self.ids)
                and (not self.flags or not self.flags.isdisjoint(side.flags)))


@dataclass(frozen=True, slots=True)
class Between:
    """A recipient and, when it is given, the custodian of the data; `but` are recipients that are not meant."""

    recipient: Who = Who()
    custodian: Who | None = None
    but: Who | None = None

    def fits(self, exchange: Exchange) -> bool:
        """Whether this exchange is meant; a rule about a custodian is not about the site's own data."""
        if self.custodian is not None and (exchange.custodian is None or not self.custodian.fits(exchange.custodian)):
            return False
        return self.recipient.fits(exchange.recipient) and not (self.but is not None and self.but.fits(exchange.recipient))


@dataclass(frozen=True, slots=True)
class What:
    """The data a rule is about: every key given must fit; within a key one of the values is enough.

    `labels` are sensitivities (a family covers its members, as in a patient's deny), `levels` the confidentiality from
    which on, `tags` other codes of meta.security. `local` are the codes of labels that a jurisdiction has of its own.
    `elements` are taken out; they do not select. ICD-10 codes cover those below them.
    """

    types: frozenset[str] = NONE
    categories: frozenset[str] = NONE
    programmes: frozenset[str] = NONE
    labels: frozenset[str] = NONE
    levels: frozenset[int] = frozenset()
    tags: frozenset[str] = NONE
    local: frozenset[Code] = frozenset()
    codes: frozenset[Code] = frozenset()
    elements: frozenset[str] = NONE

    @property
    def labelled(self) -> bool:
        """Whether a label is asked for."""
        return bool(self.labels or self.levels or self.tags or self.local)

    @property
    def sensitive(self) -> bool:
        """Whether only data with a sensitivity can be meant."""
        return bool(self.labels) and not (self.levels or self.tags or self.local)

    @property
    def picks(self) -> bool:
        """Whether it is about parts of a resource: a label or a code."""
        return self.labelled or bool(self.codes)

    @property
    def asks_codes(self) -> bool:
        """Whether the codes of each part have to be looked at."""
        return bool(self.codes or self.local)

    def fits(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource as a whole can be meant."""
        if self.types and resource["resourceType"] not in self.types:
            return False
        return not self.categories or not self.categories.isdisjoint(_categories(resource))

    def meets(self, unit: Unit, terms: Terms) -> bool:
        """Whether a part has the label and the code."""
        if self.codes and not _has(unit, self.codes):
            return False
        return not self.labelled or bool(self.named(unit, terms)) or self._marked(unit)

    def named(self, unit: Unit, terms: Terms) -> frozenset[str]:
        """The sensitivities of a part that the rule speaks of."""
        return frozenset(one for one in unit.labels.sensitivities if not terms.covered_by_deny[one].isdisjoint(self.labels))

    def _marked(self, unit: Unit) -> bool:
        if any(unit.labels.rank >= level for level in self.levels):
            return True
        tagged = bool(self.tags) and any(code in self.tags for _, code in unit.subject.tags)
        return tagged or (bool(self.local) and _has(unit, self.local))


def _has(unit: Unit, wanted: Iterable[Code]) -> bool:
    """Whether a part has one of these codes; ICD-10 by category, a coding without a system in every system."""
    return any(
        code.startswith(listed) if name == ICD10 and system in (ICD10, "") else code == listed and system in (name, "")
        for name, listed in wanted
        for system, code in ((system, code.replace(".", "").upper() if name == ICD10 else code) for system, code in unit.codes)
    )


def _categories(resource: Mapping[str, Any]) -> set[str]:
    listed = resource.get("category") or ()
    concepts = listed if isinstance(listed, list) else [listed]
    return {coding.get("code") or "" for each in concepts if isinstance(each, dict) for coding in each.get("coding") or ()}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `who` are alternatives, none means everybody. `needs` and `forms` are what `require` asks of the permit.

    `since` and `until` are dates, both included, in the site's zone. `jurisdiction`: only where this overlay applies.
    """

    name: str
    effect: str
    because: str
    who: tuple[Between, ...] = ()
    what: What = What()
    purposes: frozenset[str] = NONE
    actions: frozenset[str] = NONE
    needs: tuple[str, ...] = ()
    forms: frozenset[str] = NONE
    since: str = ""
    until: str = ""
    jurisdiction: str = ""

    def concerns(self, exchange: Exchange, purpose: str, action: str, terms: Terms) -> bool:
        """Whether it is about such an exchange at all, whatever the data and the moment."""
        if self.jurisdiction and self.jurisdiction not in exchange.jurisdictions:
            return False
        if self.who and not any(each.fits(exchange) for each in self.who):
            return False
        if self.what.programmes and exchange.programme not in self.what.programmes:
            return False
        return (not self.purposes or terms.within(purpose, self.purposes)) and (not self.actions or action in self.actions)

    def span(self, policy: Policy) -> Span:
        """From when until when it holds, in the site's zone."""
        given = {name: text for name, text in (("start", self.since), ("end", self.until)) if text}
        return moment.period(given, policy.zone)


@dataclass(frozen=True, slots=True)
class Overlay:
    """What one jurisdiction adds: rules of its own, and a notice that goes with data of some labels."""

    code: str
    name: str
    verified: bool
    rules: tuple[Rule, ...] = ()
    notice: str = ""
    notice_for: What = What()


@dataclass(frozen=True)
class House:
    """All rules of a site, and the overlays that it or a partner may choose."""

    rules: tuple[Rule, ...] = ()
    overlays: Mapping[str, Overlay] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What `ruling` has found out about exchanges."""

    @Once
    def every(self) -> tuple[Rule, ...]:
        """The rules with those of every overlay, by name."""
        return tuple(sorted((*self.rules, *(rule for one in self.overlays.values() for rule in one.rules)), key=lambda each: each.name))

    @Once
    def by_programme(self) -> bool:
        """Whether some rule asks for a programme."""
        return any(rule.what.programmes for rule in self.every)

    def rule(self, name: str) -> Rule | None:
        """The rule of this name, with or without the prefix."""
        return next((one for one in self.every if one.name == name.removeprefix(PREFIX)), None)
