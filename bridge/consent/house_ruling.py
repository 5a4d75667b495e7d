"""Applies the rules of the house to what the evaluator decided: per exchange the rules that are about it, per resource what they
leave.

Narrows only; what a contract allows beyond that (`allow`) is asked of the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.consent import criteria, moment
from bridge.consent.criteria import Criteria
from bridge.consent.decide import Scene, Units
from bridge.consent.house import NONE, NOTICE, PREFIX, Exchange, House, Overlay, Rule
from bridge.consent.moment import Span
from bridge.consent.reference import Key
from bridge.consent.request import Policy, Request
from bridge.consent.standing import Prepared
from bridge.consent.terms import Terms
from bridge.consent.terms import load as load_terms
from bridge.consent.trace import Spoken, spoken
from bridge.consent.unit import Unit, named_in
from bridge.consent.verdict import Verdict
from bridge.core.decision import Decision

REMEMBERED = 4096
Taken = tuple[str, ...] | None
"""Paths that a rule takes out; None takes the whole resource."""


def ruling(house: House, exchange: Exchange, request: Request, policy: Policy) -> Ruling | None:
    """What narrows the decisions of such an exchange; None when no rule is about it."""
    key = (exchange, request.purpose, request.action, policy.timezone)
    if key not in house.known:
        if len(house.known) >= REMEMBERED:
            house.known.clear()
        house.known[key] = _ruling(house, exchange, request, policy)
    found: Ruling | None = house.known[key]
    return found


def _ruling(house: House, exchange: Exchange, request: Request, policy: Policy) -> Ruling | None:
    terms = load_terms()
    rules = tuple((rule, rule.span(policy)) for rule in house.every if rule.concerns(exchange, request.purpose, request.action, terms))
    notices = tuple(one for code, one in sorted(house.overlays.items()) if code in exchange.jurisdictions and one.notice)
    sensitive = not notices and all(rule.effect != "allow" and rule.what.sensitive for rule, _ in rules)
    return Ruling(rules, notices, sensitive) if rules or notices else None


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rules that are about one exchange. Called by the evaluator with what it decided (`decide.Narrow`).

    `sensitive`: all of them are about sensitive labels, so that most resources need not be looked at.
    """

    rules: tuple[tuple[Rule, Span], ...]
    notices: tuple[Overlay, ...] = ()
    sensitive: bool = False

    def __call__(self, scene: Scene, patient: frozenset[Key], units: Units, decision: Decision) -> Decision:
        """The decision as far as the rules leave it."""
        if self.sensitive and not any(unit.labels.sensitivities for unit, _ in units):
            return decision
        resource = units[0][0].subject.resource
        rules = self._about(scene, resource)
        allowing = [rule for rule in rules if rule.effect == "allow"]
        if allowing and "D1" in decision.rules:
            scene = as_contracted(scene)
            units, before, decision = scene.units(resource, patient), decision, scene.decide(resource)
            if (decision.effect, decision.redact_paths) != (before.effect, before.redact_paths):
                decision = replace(decision, rules=_with(decision.rules, allowing))
        if decision.effect == "deny" or not (len(rules) > len(allowing) or self.notices):
            return decision
        if any(one.notice_for.asks_codes for one in self.notices):
            units = scene.units(resource, patient, codes=True)
        return _narrowed(decision, self.takes(scene, patient, units), units, self.notices, scene)

    def _about(self, scene: Scene, resource: Mapping[str, Any]) -> list[Rule]:
        at = scene.request.at or 0
        return [rule for rule, span in self.rules if rule.what.fits(resource) and moment.contains(span, at)]

    def takes(self, scene: Scene, patient: frozenset[Key], units: Units) -> list[tuple[Rule, Taken]]:
        """What each rule takes out of a resource whose core the evaluator permits."""
        resource = units[0][0].subject.resource
        rules = [rule for rule in self._about(scene, resource) if rule.effect != "allow"]
        if any(rule.what.asks_codes for rule in rules):
            units = scene.units(resource, patient, codes=True)
        return [(rule, _taken(rule, units, scene, patient)) for rule in rules]


def as_contracted(scene: Scene) -> Scene:
    """The scene as if the partner's contract said `no_consent: permit` (D2); consents remember answers, so they are read anew."""
    policy = replace(scene.policy, no_consent="permit")
    consents = Prepared([paper.consent for paper in scene.consents.papers], policy, scene.consents.labeller)
    return replace(scene, policy=policy, consents=consents, narrow=None, request=replace(scene.request, profile=""))


def _taken(rule: Rule, units: Units, scene: Scene, patient: frozenset[Key]) -> Taken:
    """What one rule takes out of what the evaluator leaves."""
    terms, what = scene.consents.labeller.terms, rule.what
    (core, verdict), *others = units
    if not what.picks or what.meets(core, terms):
        wants = rule.effect != "require" or not _met(rule, core, verdict, scene, patient)
        return _at(core.subject.resource, what.elements) if wants and what.elements else None if wants else ()
    meant = [(unit, said) for unit, said in others if said.permit and what.meets(unit, terms)]
    if rule.effect == "require":
        meant = [(unit, said) for unit, said in meant if not _met(rule, unit, said, scene, patient)]
    return None if meant and rule.effect == "withhold" else tuple(unit.path for unit, _ in meant)


def _at(resource: Mapping[str, Any], elements: Iterable[str]) -> tuple[str, ...]:
    """The elements that are there, by the name that redaction takes; `Type.element` speaks of one type alone."""
    names = {name.partition(".")[2] if name[:1].isupper() else name for name in elements
             if not name[:1].isupper() or name.partition(".")[0] == resource["resourceType"]}
    return tuple(dict.fromkeys(name.removeprefix("_") for name in resource if named_in(name.removeprefix("_"), names)))


def _narrowed(decision: Decision, taken: Sequence[tuple[Rule, Taken]], units: Units, notices: Sequence[Overlay], scene: Scene) -> Decision:
    """Everything that some rule takes out is out, whichever rule comes first."""
    acting = [rule for rule, paths in taken if paths != ()]
    if not acting and not notices:
        return decision
    rules = _with(decision.rules, acting)
    if any(paths is None for _, paths in taken):
        return Decision("deny", rules, consents=decision.consents, review=decision.review)
    out = sorted({*decision.redact_paths, *(path for _, paths in taken for path in paths or ())}, key=_order)
    kept = tuple(path for path in out if not any(path.startswith((f"{other}.", f"{other}[")) for other in out if other != path))
    left = [unit for unit, said in units if said.permit and unit.path not in kept]
    due = [f"{NOTICE}{one.code}" for one in notices if any(one.notice_for.meets(unit, scene.consents.labeller.terms) for unit in left)]
    if not acting:
        return replace(decision, obligations=(*decision.obligations, *due)) if due else decision
    ordered = tuple(path for path in decision.redact_paths if path in kept)
    return replace(decision, effect="redact", rules=rules, redact_paths=(*ordered, *(path for path in kept if path not in ordered)),
                   obligations=(*decision.obligations, *due))


def _order(path: str) -> tuple[Any, ...]:
    """Paths in the order of places, `reason[2]` before `reason[10]`."""
    return tuple((step.partition("[")[0], int(step.partition("[")[2].rstrip("]") or 0)) for step in path.split("."))


def _with(rules: Iterable[str], acting: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*rules, *(f"{PREFIX}{rule.name}" for rule in acting))))


def _met(rule: Rule, unit: Unit, verdict: Verdict, scene: Scene, patient: frozenset[Key]) -> bool:
    """Whether a permit that decided about the unit has all that the rule asks; without a permit nothing is met."""
    said = spoken(scene, patient, unit, verdict)
    papers = {one.paper.name: [each for each in said if each.paper.name == one.paper.name] for one in said}
    return any(not any(missing(rule, one, unit, scene) for one in copies) for copies in papers.values())


def missing(rule: Rule, permit: Spoken, unit: Unit, scene: Scene) -> tuple[str, ...]:
    """What a permit lacks of that which a `require` asks: names of `NEEDS`, and `form`."""
    lacking = [need for need in rule.needs if not _has_need(need, rule, permit, unit, scene)]
    return (*lacking, *(["form"] if rule.forms and rule.forms.isdisjoint(_forms(permit.paper.consent)) else []))


def _has_need(need: str, rule: Rule, permit: Spoken, unit: Unit, scene: Scene) -> bool:
    if need in ("dated", "attached", "verified", "by-patient"):
        return _on_paper(need, permit)
    if not permit.chain:
        return False
    chain = [each for _, each in permit.chain]
    last = chain[-1]
    if need == "period-end":
        return any(each.span is not None and each.span[1] < moment.END for each in chain)
    if need == "names-purpose":
        return last.names_purpose
    if need == "names-content":
        return not last.data.empty
    if need == "names-recipient":
        own = scene.request.recipient.own if scene.request.recipient else frozenset()
        return any(not actor.who.keys.isdisjoint(own) for each in chain for actor in each.actors or () if not actor.custodian)
    return _names_label(rule, last.data, unit, scene.consents.labeller.terms)


def _names_label(rule: Rule, data: Criteria, unit: Unit, terms: Terms) -> bool:
    """Whether a permit describes what the rule speaks of: every such label, or codes, or the record itself."""
    listed = data.label.sensitivities if data.label else NONE
    meant = rule.what.named(unit, terms) or unit.labels.sensitivities
    if meant and all(criteria.covered(one, listed, unit.labels, terms) for one in meant):
        return True
    return data.codes is not None or any(each.meaning == "instance" for each in data.data or ())


def _on_paper(need: str, permit: Spoken) -> bool:
    """What the document itself must say."""
    consent = permit.paper.consent
    if need == "dated":
        return bool(consent.get("dateTime"))
    if need == "attached":
        return bool(consent.get("sourceAttachment") or consent.get("sourceReference"))
    if need == "verified":
        return any(each.get("verified") is True for each in consent.get("verification") or ())
    return any(not each.keys.isdisjoint(permit.paper.patient) for each in permit.paper.performers)


def _forms(consent: Mapping[str, Any]) -> set[str]:
    """The forms a Consent says it is written on: codes of policyRule and category (`code`, `system|code`), policy URIs."""
    concepts = [consent.get("policyRule") or {}, *(consent.get("category") or ())]
    codings = [(coding.get("system") or "", coding.get("code") or "") for concept in concepts for coding in concept.get("coding") or ()]
    uris = {each.get(name) or "" for each in consent.get("policy") or () for name in ("uri", "authority")}
    return uris.union(*({code, f"{system}|{code}"} for system, code in codings)) - {""}
