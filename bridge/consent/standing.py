"""Which consents speak about one request for one patient, pruned to the rules whose context matches (S1-S11, M1-M4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.consent import labels, moment
from bridge.consent.labels import Labeller
from bridge.consent.once import Once
from bridge.consent.paper import Paper, superseded
from bridge.consent.reference import NOBODY, Key
from bridge.consent.request import Party, Policy, Request
from bridge.consent.terms import Terms
from bridge.consent.tree import CONTEXT, DENY, PERMIT, Actor, Rule

REVIEWED = ("S7", "S9", "S11")
"""Reasons for a void permit that a person should look at."""

CONTEXT_RULES = ("M1", "M2", "M3", "M4")

_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Live:
    """A rule whose context matches, with those below it whose context matches too."""

    rule: Rule
    kids: tuple[Live, ...]


@dataclass(frozen=True, slots=True)
class Speaking:
    """One consent in force for the request. `rule` None with `contradicts` is a deny of everything (B3)."""

    name: str
    live: Live | None
    void: bool
    contradicts: bool
    has_permit: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything about a request and a patient that no resource changes.

    `speaking` are the consents to ask about each unit. `plain` are those that permit this exchange whatever the data,
    but
    for the floors, with the rules they do it by; they need no asking. `notes` are the rules by which consents were left
    out or their permits voided, `review` what a person should see. `denies_codes`: some deny asks for codes (M7).
    `by_labels`: no rule asks more of the data than labels and class, so answers may be remembered by those in
    `answers`.
    """

    speaking: tuple[Speaking, ...]
    plain: tuple[str, ...]
    plain_rules: tuple[str, ...]
    notes: tuple[str, ...]
    review: tuple[str, ...]
    denies_codes: bool
    by_labels: bool
    answers: dict[Any, Any] = field(default_factory=dict, compare=False)


class Prepared:
    """Consents ready to be asked many times; remembers the standing of the last requests. Never changes once made."""

    def __init__(self, consents: Sequence[Mapping[str, Any]], policy: Policy, labeller: Labeller | None = None) -> None:
        self.policy = policy
        self.labeller = labeller or labels.load(*policy.labels)
        self.papers = tuple(Paper(consent, policy, self.labeller) for consent in consents)
        self._standing: dict[tuple[Request, frozenset[Key]], Standing] = {}

    @Once
    def versions(self) -> tuple[frozenset[int], frozenset[int]]:
        """S7: places of replaced copies, and of copies that cannot be ordered."""
        return superseded(self.papers)

    def standing(self, request: Request, patient: frozenset[Key]) -> Standing:
        """Who speaks about this request for the patient with these keys."""
        key = (request, patient if self.papers else NOBODY)  # without consents everybody stands alike
        found = self._standing.get(key)
        if found is None:
            if len(self._standing) >= _REMEMBERED:
                self._standing.clear()
            found = self._standing[key] = self._work_out(request, patient)
        return found

    def _work_out(self, request: Request, patient: frozenset[Key]) -> Standing:
        at = request.at
        if at is None:
            raise ValueError("a request without an instant")
        replaced, unsure = self.versions
        speaking: list[Speaking] = []
        notes: dict[str, None] = {}
        review: dict[str, None] = {}
        for place, paper in enumerate(self.papers):
            out = _out(paper, place in replaced, patient) or paper.excluded(request, at)
            if out:
                notes[out] = None
                continue
            tree = paper.tree
            if tree.root is None:  # B2: a paper consent computes to nothing
                notes["B2"] = review[f"B2 {paper.name}"] = None
                continue
            void = [*paper.void(request, at), *(["S7"] if place in unsure else [])] if tree.has_permit else []
            for rule in void:
                notes[rule] = None
                if rule in REVIEWED:
                    review[f"{rule} {paper.name}"] = None
            if tree.contradicts:  # B3
                review[f"B3 {paper.name}"] = None
            asked = Asked(request, at, self.labeller.terms, paper.name, review)
            live = asked.prune(tree.root)
            if live is not None or tree.contradicts:
                speaking.append(Speaking(paper.name, live, bool(void), tree.contradicts, tree.has_permit))
            else:
                notes.update(dict.fromkeys(rule for rule in tree.root.why if rule in CONTEXT_RULES))
        return _standing(speaking, notes, review, self.labeller.terms, request)


def _standing(speaking: Iterable[Speaking], notes: Iterable[str], review: Iterable[str], terms: Terms, request: Request) -> Standing:
    """Sorts the consents in force into those to ask each time and those whose answer is known already."""
    named_only = terms.within(request.purpose, terms.facts["named_purposes"])
    plain: list[Speaking] = []
    asked: list[Speaking] = []
    for each in speaking:
        if _is_plain(each, named_only):
            plain.append(each)
        elif not (each.void and _is_single(each)):
            asked.append(each)
    rules = [rule for each in asked if each.live for rule in _every(each.live)]
    return Standing(
        speaking=tuple(asked),
        plain=tuple(each.name for each in plain),
        plain_rules=tuple(dict.fromkeys(rule for each in plain if each.live for rule in each.live.rule.why)),
        notes=tuple(notes),
        review=tuple(review),
        denies_codes=any(rule.kind == DENY and rule.data.codes is not None for rule in rules),
        by_labels=all(_asks_labels_only(rule) for rule in rules),
    )


def _asks_labels_only(rule: Rule) -> bool:
    data = rule.data
    known = data.label is None or not data.label.others
    return known and data.codes is None and data.period is None and data.data is None


def _is_single(each: Speaking) -> bool:
    """A consent of one permit rule."""
    return each.live is not None and not each.live.kids and each.live.rule.kind == PERMIT and not each.contradicts


def _is_plain(each: Speaking, named_only: bool) -> bool:
    """One permit that asks nothing of the data; F6 is settled by the request."""
    if not _is_single(each) or each.void or each.live is None:
        return False
    return each.live.rule.data.empty and (each.live.rule.names_purpose or not named_only)


def _every(live: Live) -> Iterator[Rule]:
    yield live.rule
    for kid in live.kids:
        yield from _every(kid)


def _out(paper: Paper, replaced: bool, patient: frozenset[Key]) -> str:
    if replaced:
        return "S7"
    if not paper.active:
        return "S1"
    return "" if not paper.patient.isdisjoint(patient) else "S2"


@dataclass(frozen=True, slots=True)
class Asked:
    """Asks the rules of one consent whether their context is this request's."""

    request: Request
    at: int
    terms: Terms
    consent: str
    review: dict[str, None]

    def prune(self, rule: Rule) -> Live | None:
        """The rule and what is below it, without what is about someone or something else (evaluate: context, NA).

        A rule is read as its type asks: strictly for a permit, generously for a deny. A root that is context only is
        read both ways, each for the rules below it that ask so.
        """
        strict = rule.kind != DENY and self.matches(rule, permit=True)
        generous = rule.kind != PERMIT and self.matches(rule, permit=False)
        if not strict and not generous:
            return None
        kids = [kid for kid in rule.kids if rule.kind != CONTEXT or (generous if kid.kind == DENY else strict)]
        return Live(rule, tuple(live for kid in kids if (live := self.prune(kid)) is not None))

    def matches(self, rule: Rule, *, permit: bool) -> bool:
        """Whether this node's own context is the request's."""
        if rule.span is not None and not rule.root and not self._period(rule, permit):  # M4
            return False
        if rule.actors is not None and not self._actors(rule.actors, permit):  # M1
            return False
        return self._purpose(rule, permit) and self._action(rule, permit)

    def _period(self, rule: Rule, permit: bool) -> bool:
        span = rule.span
        if span is None or span[0] > span[1]:  # M4: a reversed period never permits and always denies
            return not permit
        return moment.contains(span, self.at)

    def _actors(self, actors: Iterable[Actor], permit: bool) -> bool:
        """M1. Listed actors are alternatives; a permit that names recipients and custodians needs one of each it can
        check."""
        if not permit:
            return any(self._denied(actor) for actor in actors)
        recipients = [actor for actor in actors if not actor.custodian]
        custodians = [actor for actor in actors if actor.custodian]
        if recipients and not any(_is(actor, self.request.recipient) for actor in recipients):
            return False
        if custodians and not (recipients and self.request.custodian is None):
            return any(_is(actor, self.request.custodian) for actor in custodians)
        return True

    def _denied(self, actor: Actor) -> bool:
        """M1 for a deny: also by a bare value, and anyone when nobody can tell who is meant."""
        party = self.request.custodian if actor.custodian else self.request.recipient
        if actor.who.empty or party is None:
            self.review[f"M1 {self.consent}"] = None
            return True
        return not actor.who.keys.isdisjoint(party.keys) or not actor.who.bare.isdisjoint(party.values)

    def _purpose(self, rule: Rule, permit: bool) -> bool:
        """M2: equals or descends from a listed one; never the other way round."""
        listed = rule.purposes
        if listed is None:
            return True
        if not permit and listed.unreadable:
            return True
        return self.terms.within(self.request.purpose, listed.codes if permit else listed.loose)

    def _action(self, rule: Rule, permit: bool) -> bool:
        """M3: listed; `correct` permits access, and denying access blocks disclosure and correction too."""
        listed, action = rule.actions, self.request.action
        if listed is None:
            return True
        if permit:
            return action in listed.codes or (action == "access" and "correct" in listed.codes)
        return listed.unreadable or action in listed.loose or ("access" in listed.loose and action in ("disclose", "correct"))


def _is(actor: Actor, party: Party | None) -> bool:
    return party is not None and not actor.who.keys.isdisjoint(party.keys)
