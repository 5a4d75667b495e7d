"""Why a decision came out as it did: as facts for programs, and as one paragraph for people.

Asks the evaluator again and decides nothing itself. Names rules, consents, paths and labels; never a patient's value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from bridge.consent import tree
from bridge.consent.decide import Consents, Scene, decide, scene
from bridge.consent.house import NEEDS, NOTICE, PREFIX, House, Rule
from bridge.consent.house_ruling import Ruling, as_contracted, missing
from bridge.consent.paper import Paper
from bridge.consent.reference import Key
from bridge.consent.request import Policy, Request
from bridge.consent.standing import CONTEXT_RULES, Asked
from bridge.consent.trace import Spoken, spoken
from bridge.consent.tree import DENY
from bridge.consent.unit import Unit
from bridge.consent.verdict import Verdict
from bridge.core.decision import Decision

Facts = dict[str, Any]
LEAVES_OUT = ("M5", "M6", "M7", "M8", "M9")
"""Rules by which a permit that is about this exchange leaves data out."""


@cache
def sentences() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """`profiles/consent/sentences.yaml`: what each rule and obligation says."""
    found: Mapping[str, Mapping[str, Mapping[str, str]]] = yaml.safe_load(
        files("profiles").joinpath("consent", "sentences.yaml").read_text("utf-8"))
    return found


def says(rule: str, house: House | None = None, permits: bool = False) -> str:
    """What a rule says, as a clause, where it stands for a permit if it `permits`; of a rule of the house its own reason."""
    if rule.startswith(PREFIX):
        found = house.rule(rule) if house else None
        return found.because.rstrip(".") if found else "a rule of the house"
    told = sentences()["rules"].get(rule, {})
    return (told.get("permits", "") if permits else "") or told.get("says", "")


def legend(decided: Iterable[tuple[str, Iterable[str]]], house: House | None = None) -> dict[str, str]:
    """Each rule of these decisions (effect, rules) once, with what it says."""
    return {rule: says(rule, house, effect != "deny") for effect, rules in decided for rule in rules}


def change(rule: str) -> str:
    """What would have to change where a rule stands in the way; "" when nothing can."""
    return sentences()["rules"].get(rule, {}).get("change", "")


def explain(
    request: Request, resource: Mapping[str, Any], consents: Consents, policy: Policy, narrow: Ruling | None = None,
    house: House | None = None,
) -> Facts:
    """The decision on a resource or Bundle with its reasons.

    Keys: `decision`, `deciding` (consent, what it says, where, by which rules), `left_out` (consents on file that do not
    count here, and the rule), `withheld` (path, "" for the whole; labels, rules, consents), `rules`, `obligations`, `review`
    (each with its sentence), `change` (what would have to change). A Bundle has `entries` of the same shape.
    """
    house = house or House()
    decision = decide(request, resource, consents, policy, narrow)
    if decision.rules[:1] in (("V1",), ("evaluation-failed",)):
        return {**_told(decision, house), "withheld": [_part("", (), decision.rules)], "change": [change(decision.rules[0])]}
    here = scene(request, consents, policy, narrow)
    if resource["resourceType"] != "Bundle":
        return _facts(here, resource, decision, house)
    inside = here.inside(resource)
    entries = [
        {"entry": f"entry[{place}]", **_facts(inside, entry.get("resource") or {}, answer, house)}
        for place, (entry, answer) in enumerate(zip(resource.get("entry") or (), here.entries(resource), strict=True))
    ]
    parts = ("deciding", "left_out", "withheld", "change")
    return {**{name: value for name, value in _told(decision, house).items() if name not in parts}, "entries": entries}


def unreadable() -> Facts:
    """The explanation of a case that could not be read."""
    decision = Decision("deny", ("evaluation-failed",))
    return {**_told(decision, House()), "withheld": [_part("", (), decision.rules)], "change": [change("evaluation-failed")]}


def _told(decision: Decision, house: House) -> Facts:
    """What every decision says of itself."""
    notices = {f"{NOTICE}{code}": f"the notice of {one.name} goes with it" for code, one in house.overlays.items()}
    known = {name: one["says"] for name, one in sentences()["obligations"].items()} | notices
    return {
        "decision": decision.effect, "deciding": [], "left_out": [], "withheld": [], "change": [],
        "rules": [{"rule": rule, "says": says(rule, house, decision.effect != "deny")} for rule in decision.rules],
        "obligations": [{"obligation": one, "says": known.get(one, "")} for one in decision.obligations],
        "review": [{"note": note, "says": says(note.partition(" ")[0].partition(":")[0])} for note in decision.review],
    }


def _facts(here: Scene, resource: Mapping[str, Any], decision: Decision, house: House) -> Facts:
    told = _told(decision, house)
    first = decision.rules[0] if decision.rules else ""
    if first in ("X2", "evaluation-failed"):
        return {**told, "withheld": [_part("", (), (first,))], "change": [change(first)]}
    patient = here.people.resolve(resource, here.home, here.full_url) if first != "X1" else frozenset()
    if not patient:
        return told
    return {**told, **_reasons(here, resource, patient, decision)}


def _reasons(here: Scene, resource: Mapping[str, Any], patient: frozenset[Key], decision: Decision) -> Facts:
    """Who decided, who does not count, what is withheld by whom, and what would have to change."""
    if any(rule in decision.rules for rule in _allowing(here)):
        here = replace(as_contracted(here), request=here.request, narrow=here.narrow)
    units = here.units(resource, patient)
    core_unit, core = units[0]
    out = dict(_left_out(here, patient))
    refused = [(unit, said) for unit, said in units if not said.permit and (unit.path in decision.redact_paths or not unit.path)]
    withheld = [_part(unit.path, sorted(unit.labels.sensitivities), said.rules, _named(here, patient, unit, said)) for unit, said in refused]
    acting = _acting(here, resource, patient, units) if core.permit else []
    for rule, unit, paths in acting:
        withheld += [_part(path, sorted(unit.labels.sensitivities), (f"{PREFIX}{rule.name}",)) for path in ([""] if paths is None else paths)]
    known = {one["path"] for one in withheld}
    if decision.effect != "deny":
        withheld += [_part(path, (), ("P1",)) for path in decision.redact_paths if path not in known]
    elif "P1" in decision.rules:
        withheld.append(_part("", (), ("P1",)))
    wanted = [text for unit, said in refused for text in _wanted(here, patient, unit, said, out)]
    wanted += [text for rule, unit, _ in acting for text in _lacking(here, patient, rule, unit, units)]
    return {"deciding": _named(here, patient, core_unit, core), "left_out": [{"consent": name, "rules": rules} for name, rules in out.items()],
            "withheld": withheld, "change": list(dict.fromkeys(filter(None, wanted)))}


def _allowing(here: Scene) -> list[str]:
    """The rules of the house that let ordinary data go as a contract does."""
    return [f"{PREFIX}{rule.name}" for rule, _ in here.narrow.rules if rule.effect == "allow"] if isinstance(here.narrow, Ruling) else []


def _part(path: str, labels: Iterable[str], rules: Iterable[str], consents: Iterable[Facts] = ()) -> Facts:
    return {"path": path, "labels": list(labels), "rules": list(rules), "consents": list(consents)}


def _named(here: Scene, patient: frozenset[Key], unit: Unit, said: Verdict) -> list[Facts]:
    """The consents that decided about a unit, with the rule of each that spoke."""
    return [{"consent": one.paper.name, "says": _word(one, said), "at": one.path, "rules": list(said.rules)}
            for one in spoken(here, patient, unit, said)]


def _word(one: Spoken, said: Verdict) -> str:
    if said.permit:
        return "permit"
    return "deny" if not one.chain or one.chain[-1][1].kind == DENY else "leaves-out"


def _left_out(here: Scene, patient: frozenset[Key]) -> Iterator[tuple[str, list[str]]]:
    """Consents on file that say nothing here, each with the rules for it: not in force, void, or about something else."""
    prepared, request = here.consents, here.request
    at, replaced = request.at or 0, prepared.versions[0]
    standing = prepared.standing(request, patient)
    speaking = {*standing.plain, *(each.name for each in standing.speaking)}
    for place, paper in enumerate(prepared.papers):
        rule = _excluded(paper, place in replaced, patient, request, at)
        if rule:
            yield paper.name, [rule]
        elif paper.tree.has_permit and (void := paper.void(request, at)):
            yield paper.name, list(void)
        elif paper.name not in speaking and paper.tree.root is not None:
            yield paper.name, list(dict.fromkeys(_elsewhere(paper.tree.root, Asked(request, at, prepared.labeller.terms, paper.name, {}))))


def _excluded(paper: Paper, replaced: bool, patient: frozenset[Key], request: Request, at: int) -> str:
    """The rule that keeps a consent out as a whole, or ""."""
    if replaced:
        return "S7"
    if not paper.active:
        return "S1"
    if paper.patient.isdisjoint(patient):
        return "S2"
    return paper.excluded(request, at) or ("B2" if paper.tree.root is None else "")


def _elsewhere(rule: tree.Rule, asked: Asked) -> Iterator[str]:
    """By which of M1 to M4 a rule, or else the rules inside it, are about another exchange."""
    alone = {"M1": "actors", "M2": "purposes", "M3": "actions", "M4": "span"}
    bare = replace(rule, actors=None, purposes=None, actions=None, span=None)
    wrong = [each for each, name in alone.items()
             if not asked.matches(replace(bare, **{name: getattr(rule, name)}), permit=rule.kind != DENY)]
    yield from wrong
    for kid in () if wrong else rule.kids:
        yield from _elsewhere(kid, asked)


def _acting(here: Scene, resource: Mapping[str, Any], patient: frozenset[Key], units: Any) -> list[tuple[Rule, Unit, tuple[str, ...] | None]]:
    """The rules of the house that take something out, with the unit they speak of first."""
    if not isinstance(here.narrow, Ruling):
        return []
    found = []
    for rule, paths in here.narrow.takes(here, patient, units):
        if paths is None or paths:
            meant = [unit for unit, said in units if said.permit and (not rule.what.picks or rule.what.meets(unit, here.consents.labeller.terms))]
            found.append((rule, meant[0] if meant else units[0][0], paths))
    return found


def _wanted(here: Scene, patient: frozenset[Key], unit: Unit, said: Verdict, out: Mapping[str, list[str]]) -> Iterator[str]:
    """What would have to change for one unit that was refused."""
    for one in spoken(here, patient, unit, said):
        if _word(one, said) == "deny":
            yield f"the patient has to change or withdraw what consent {one.paper.name} denies at {one.path or 'its base'}"
        else:
            yield from (f"consent {one.paper.name}, {one.path}: {change(rule)}" for rule in said.rules if rule in LEAVES_OUT)
    if not said.consents:
        yield from (change(rule) for rule in said.rules)
        yield from (f"consent {name}: {change(rule)}" for name, rules in out.items() for rule in rules if rule != "S2" and change(rule))


def _lacking(here: Scene, patient: frozenset[Key], rule: Rule, unit: Unit, units: Any) -> Iterator[str]:
    """What the permit lacks of that which a rule of the house requires."""
    said = next(said for each, said in units if each is unit)
    permits = spoken(here, patient, unit, said) if rule.effect == "require" else []
    for one in permits:
        for need in missing(rule, one, unit, here):
            what = NEEDS[need] if need in NEEDS else f"it is written on one of the forms {', '.join(sorted(rule.forms))}"
            yield f"consent {one.paper.name} has to permit in such a way that {what}"
    if rule.effect == "require" and not permits:
        yield "a consent has to permit it: the contract's default is not enough"


def paragraph(name: str, facts: Facts) -> str:
    """The explanation of one case, for people."""
    if "entries" in facts:
        return "\n".join([" ".join([f"{name}: {WORDS[facts['decision']]}.", *_ends(facts)]),
                          *(f"  {paragraph(one['entry'], one)}" for one in facts["entries"])])
    return " ".join([f"{name}: {WORDS[facts['decision']]}.", *_deciders(facts), *_outs(facts), *_parts(facts), *_ends(facts)])


ALONE = ("V1", "X1", "X2", "D1", "D2", "F1", "F2", "F3", "F4", "F5", "evaluation-failed")
"""Rules that decide without a consent."""
WORDS = {"permit": "it may go", "redact": "it may go in part", "deny": "it may not go"}
SAID = {"permit": "permits it", "deny": "denies it", "leaves-out": "is about this exchange and leaves these data out"}


def _cite(rules: Iterable[Facts | str], listed: Iterable[str]) -> str:
    known = {one["rule"]: one["says"] for one in rules if isinstance(one, dict)}
    return "; ".join(f"{known.get(rule) or says(rule)} ({rule})" for rule in listed)


def _deciders(facts: Facts) -> Iterator[str]:
    for one in facts["deciding"]:
        yield f"Consent {one['consent']} {SAID[one['says']]}{' at ' + one['at'] if one['at'] else ''}: {_cite(facts['rules'], one['rules'])}."
    if not facts["deciding"]:
        named = [one["rule"] for one in facts["rules"] if one["rule"] in ALONE]
        yield from (f"{says(rule)[:1].upper()}{says(rule)[1:]} ({rule})." for rule in named)


def _outs(facts: Facts) -> Iterator[str]:
    for one in facts["left_out"]:
        if one["rules"] and set(one["rules"]) <= set(CONTEXT_RULES):
            yield f"Consent {one['consent']} is about another exchange: {_cite((), one['rules'])}."
        elif one["rules"]:
            yield f"Consent {one['consent']} does not help: {_cite((), one['rules'])}."


def _parts(facts: Facts) -> Iterator[str]:
    for one in facts["withheld"]:
        if one["path"] or any(rule.startswith(PREFIX) or rule == "P1" for rule in one["rules"]):
            labelled = f", labelled {', '.join(one['labels'])}," if one["labels"] else ""
            by = "".join(f" consent {each['consent']} {SAID[each['says']]} at {each['at']}:" for each in one["consents"])
            yield f"Withheld: {one['path'] or 'all of it'}{labelled} because{by} {_cite(facts['rules'], one['rules'])}."


def _ends(facts: Facts) -> Iterator[str]:
    yield from (f"Obligation: {one['says'] or one['obligation']} ({one['obligation']})." for one in facts["obligations"])
    yield from (f"A person should look: {one['says'] or one['note']} ({one['note']})." for one in facts["review"])
    if facts.get("change"):
        yield f"To change this: {'; '.join(facts['change'])}."
