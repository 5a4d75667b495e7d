"""Which permit or deny of which Consent spoke about a unit, and where it stands in the resource (`provision.provision[1]`).

Asks the evaluator; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.consent.decide import Scene
from bridge.consent.paper import Paper
from bridge.consent.reference import Key
from bridge.consent.standing import Live, Speaking
from bridge.consent.tree import Rule
from bridge.consent.unit import Unit
from bridge.consent.verdict import Verdict, deciding

EXCEPTION = "B1"
"""The first rule id of a typed root that stands as the exception to its base policy."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One Consent that decided about a unit: `chain` leads from its root to the rule that spoke, each with its path."""

    paper: Paper
    chain: tuple[tuple[str, Rule], ...]

    @property
    def path(self) -> str:
        """Where the rule that spoke stands, e.g. `provision.provision[1]`; `policyRule` for a base policy."""
        return self.chain[-1][0] if self.chain else ""


def spoken(scene: Scene, patient: frozenset[Key], unit: Unit, verdict: Verdict) -> list[Spoken]:
    """The Consents that a verdict names, with the rule of each that spoke; a consent without computable rules has no chain."""
    standing = scene.consents.standing(scene.request, patient)
    speaking = {each.name: each for each in standing.speaking}
    return [
        Spoken(paper, _chain(paper, speaking.get(paper.name), scene, unit))
        for name in verdict.consents
        for paper in scene.consents.papers
        if paper.name == name
    ]


def _chain(paper: Paper, consent: Speaking | None, scene: Scene, unit: Unit) -> tuple[tuple[str, Rule], ...]:
    root = paper.tree.root
    if root is None:
        return ()
    if consent is None or consent.live is None or consent.contradicts:  # one permit that asks nothing, or B3: the root speaks
        return (next(_paths(root, paper)),)
    found = deciding(consent.live, unit, scene.request, scene.consents.labeller.terms, consent)
    paths = {id(rule): path for path, rule in _paths(root, paper)}
    return tuple((paths.get(id(rule), ""), rule) for rule in _way(consent.live, found))


def _way(live: Live, wanted: Live) -> list[Rule]:
    """The rules from here down to the wanted one; [] when it is not below."""
    if live is wanted:
        return [live.rule]
    return next(([live.rule, *below] for kid in live.kids if (below := _way(kid, wanted))), [])


def _paths(root: Rule, paper: Paper) -> Iterator[tuple[str, Rule]]:
    """Every rule of a tree with its element path, the root first."""
    exception = root.kids[-1] if root.kids and root.kids[-1].why[:1] == (EXCEPTION,) else None
    if exception is None:
        yield from _below(root, "provision" if paper.consent.get("provision") else "policyRule", paper.consent.get("provision") or {})
        return
    yield "policyRule", root
    for kid in root.kids[:-1]:
        yield "policyRule", kid
    yield from _below(exception, "provision", paper.consent["provision"])


def _below(rule: Rule, path: str, provision: dict[str, object]) -> Iterator[tuple[str, Rule]]:
    yield path, rule
    written = _written(provision)
    for place, kid in enumerate(rule.kids):
        if place < len(written):
            yield from _below(kid, f"{path}.provision[{place}]", written[place])
        else:  # what the base policy adds: emergency only
            yield "policyRule", kid


def _written(provision: dict[str, object]) -> list[dict[str, object]]:
    nested = provision.get("provision")
    return nested if isinstance(nested, list) else []
