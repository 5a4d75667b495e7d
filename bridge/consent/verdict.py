"""What the consents that speak say about one unit: evaluate() and its combination of reference/consent.md 1.2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.consent import criteria
from bridge.consent.labels import Labels
from bridge.consent.request import Policy, Request
from bridge.consent.standing import Live, Speaking, Standing
from bridge.consent.terms import PART2, Terms
from bridge.consent.tree import DENY, PERMIT, Rule
from bridge.consent.unit import Unit

Rules = tuple[str, ...]
WEAK = "weak"
NA = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one unit, with the rules and consents that gave it."""

    permit: bool
    rules: Rules
    consents: Rules = ()
    review: Rules = ()


_REMEMBERED = 512


def judge(unit: Unit, request: Request, standing: Standing, policy: Policy, terms: Terms) -> Verdict:
    """decide_unit. Answers that depend on labels and class alone are worked out once per standing."""
    if not standing.by_labels:
        return _judge(unit, request, standing, policy, terms)
    key = (unit.labels, unit.subject.type, unit.subject.profiles)
    found: Verdict | None = standing.answers.get(key)
    if found is None:
        if len(standing.answers) >= _REMEMBERED:
            standing.answers.clear()
        found = standing.answers[key] = _judge(unit, request, standing, policy, terms)
    return found


def _judge(unit: Unit, request: Request, standing: Standing, policy: Policy, terms: Terms) -> Verdict:
    """Labels that bind by themselves first, then the consents, then the default."""
    labels = unit.labels
    if labels.purposes and not any(terms.within(request.purpose, (tag,)) for tag in labels.purposes):  # F4
        return Verdict(False, ("F4",))
    if not labels.compartments <= request.clearances:  # F5
        return Verdict(False, ("F5",))
    said: dict[str, list[tuple[str, Rules]]] = {DENY: [], PERMIT: [], WEAK: [], NA: []}
    if standing.plain:
        floors = [rule for rule, floored in (("F2", PART2), ("F3", "PSYTHPN")) if floored in labels.sensitivities]
        floors += [] if labels.sensitivities.isdisjoint(terms.flags) else ["F7"]
        said[NA if floors else PERMIT] += [(name, tuple(floors) or standing.plain_rules) for name in standing.plain]
    for each in standing.speaking:
        outcome, rules = _ask(each, unit, request, terms)
        said[outcome].append((each.name, rules))
    if said[DENY]:  # C1: deny overrides, and a permit beside it is for a person to look at
        conflict = bool(said[PERMIT])
        consents = tuple(name for name, _ in said[DENY])
        review = tuple(f"C1 {name}" for name in consents) if conflict else ()
        return Verdict(False, _merged(said[DENY]) + (("C1",) if conflict else ()), consents, review)
    for outcome, permit in (
        (PERMIT, True),
        (WEAK, False),
    ):  # C1: a permit beats a weak deny, a weak deny beats the default
        if said[outcome]:
            return Verdict(permit, _merged(said[outcome]), tuple(name for name, _ in said[outcome]))
    return _default(labels, request, policy, terms, _merged(said[NA]))


def _merged(said: Iterable[tuple[str, Rules]]) -> Rules:
    return tuple(dict.fromkeys(rule for _, rules in said for rule in rules)) or ("S1",)


def _default(labels: Labels, request: Request, policy: Policy, terms: Terms, notes: Rules) -> Verdict:
    """No consent speaks. D1: deny; D2: permit what is ordinary, if the contract says so."""
    floors = tuple(rule for rule in notes if rule.startswith("F"))
    if policy.no_consent != "permit":  # D1
        return Verdict(False, (*floors, "D1"))
    if labels.refrained:  # F1
        return Verdict(False, (*floors, "D2", "F1"))
    ordinary = labels.rank <= terms.ranks["N"] and not labels.sensitivities
    allowed = terms.within(request.purpose, terms.facts["default_purposes"])
    return Verdict(ordinary and allowed, (*floors, "D2"))  # D2


def _ask(consent: Speaking, unit: Unit, request: Request, terms: Terms) -> tuple[str, Rules]:
    """What one consent says: permit, deny, weak, or "" for nothing."""
    if consent.contradicts:  # B3
        return DENY, ("B3",)
    if consent.live is None:
        return NA, ()
    return _evaluate(consent.live, unit, request, terms, consent)


def _evaluate(live: Live, unit: Unit, request: Request, terms: Terms, consent: Speaking) -> tuple[str, Rules]:
    """evaluate(node): nested rules first, a deny among them before a permit (N1, N2), then the node itself."""
    rule = live.rule
    permitted: Rules | None = None
    floors: Rules = ()
    for kid in live.kids:
        outcome, rules = _evaluate(kid, unit, request, terms, consent)
        if outcome == DENY:  # N2
            return DENY, (*rules, *(("N2",) if permitted is not None else ()))
        if outcome == PERMIT and permitted is None:
            permitted = rules
        elif outcome == NA:
            floors += rules
    if permitted is not None:  # N1
        return PERMIT, permitted
    if rule.kind == PERMIT:
        return _permit(rule, unit, request, terms, consent, floors)
    if rule.kind == DENY and criteria.match(rule.data, unit, False, terms):
        if rule.root and rule.blanket and consent.has_permit:  # C2: a closed world's base is no veto
            return WEAK, (*rule.why, "C2")
        return DENY, rule.why or ("C1",)
    return NA, floors


def _permit(rule: Rule, unit: Unit, request: Request, terms: Terms, consent: Speaking, floors: Rules) -> tuple[str, Rules]:
    """A permit whose context matches: permits the data it describes, subject to the floors."""
    if consent.void:
        return NA, floors
    if criteria.match(rule.data, unit, True, terms):
        floor = _floor(rule, unit, request, terms)
        if floor:
            return NA, (*floors, floor)
        return PERMIT, (*rule.why, *(("F2",) if PART2 in unit.labels.sensitivities else ()))
    if rule.root:  # this exchange is addressed, and this data left out
        return WEAK, rule.why
    return NA, floors


def _floor(rule: Rule, unit: Unit, request: Request, terms: Terms) -> str:
    """The floor that a permit fails, or ""."""
    sensitivities = unit.labels.sensitivities
    listed = rule.data.label.sensitivities if rule.data.label else frozenset()
    if PART2 in sensitivities and not _describes(rule, listed, terms):  # F2
        return "F2"
    if "PSYTHPN" in sensitivities and "PSYTHPN" not in listed:  # F3
        return "F3"
    flagged = sensitivities & terms.flags
    if flagged and not all(criteria.covered(each, listed, unit.labels, terms) for each in flagged):  # F7
        return "F7"
    if not rule.names_purpose and terms.within(request.purpose, terms.facts["named_purposes"]):  # F6
        return "F6"
    return ""


def _describes(rule: Rule, listed: frozenset[str], terms: Terms) -> bool:
    """F2: the permit's effective criteria name the Part 2 data: by label, by code, or the instance itself."""
    if rule.data.codes is not None or not terms.part2_described_by.isdisjoint(listed):
        return True
    return any(each.meaning == "instance" for each in rule.data.data or ())


def deciding(live: Live, unit: Unit, request: Request, terms: Terms, consent: Speaking) -> Live:
    """The rule that gave what `judge` heard from this consent, at or below `live`: for those who explain it."""
    said, _ = _evaluate(live, unit, request, terms, consent)
    for kid in live.kids if said in (DENY, PERMIT) else ():
        if _evaluate(kid, unit, request, terms, consent)[0] == said:
            return deciding(kid, unit, request, terms, consent)
    return live
