"""May this recipient have this resource? The evaluator of reference/consent.md 1.2; the ids beside the lines are its
rules.

Plain values in, a Decision out; it reads no clock, no store and no network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bridge.consent import project
from bridge.consent.labels import Labels
from bridge.consent.parts import Forms, take_apart, uncarried
from bridge.consent.patient import People, people
from bridge.consent.reference import Key, foreign_home
from bridge.consent.request import Policy, Request
from bridge.consent.standing import Prepared, Standing
from bridge.consent.terms import ANY_PURPOSE, PART2, Terms
from bridge.consent.unit import Subject, Unit
from bridge.consent.verdict import Verdict, judge
from bridge.core.decision import Decision

log = logging.getLogger(__name__)

PART2_OBLIGATIONS = ("part2-notice", "copy-of-consent")
"""42 CFR 2.32: what goes with every consented disclosure of a Part 2 record."""

Consents = Prepared | Sequence[Mapping[str, Any]]
Units = Sequence[tuple[Unit, Verdict]]
Narrow = Callable[["Scene", frozenset[Key], Units, Decision], Decision]
"""The site's own rules (`bridge.consent.house`): what they leave of a decision on a patient's resource."""


def prepare(consents: Sequence[Mapping[str, Any]], policy: Policy) -> Prepared:
    """Consents ready to be asked many times: each is read once, and what a request alone decides is worked out once.

    Give every Consent on file, whatever its status (S7). A new Consent means a new Prepared.
    """
    return Prepared(consents, policy)


def decide(
    request: Request, resource: Mapping[str, Any], consents: Consents, policy: Policy, narrow: Narrow | None = None,
) -> Decision:
    """Whether the recipient may have the resource: permit, redact (with the paths to leave out) or deny, and why.

    `resource` is one R4 resource or a Bundle; `narrow` are the site's own rules. Whatever goes wrong inside is a deny
    with a review entry; nothing is raised.
    """
    return closed(lambda: scene(request, consents, policy, narrow).decide(resource))


def decide_each(
    request: Request, resources: Iterable[Mapping[str, Any]], consents: Prepared, policy: Policy, narrow: Narrow | None = None,
) -> list[Decision]:
    """What `decide` says of each of several resources of one exchange, in order."""
    here = scene(request, consents, policy, narrow)
    return [closed(partial(here.decide, resource)) for resource in resources]


def closed(ask: Callable[[], Decision]) -> Decision:
    """Fail closed: an error while evaluating is a deny for a person to look at, logged by its kind alone."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - the one place: any fault must deny, and its text may quote the record
        kind = type(error).__name__
        log.warning("consent evaluation failed: %s", kind)
        return Decision("deny", ("evaluation-failed",), review=(f"evaluation-failed:{kind}",))


def _incomplete(request: Request, terms: Terms) -> bool:
    """V1: a request without a known purpose, action, recipient or instant."""
    known = request.purpose in terms.purposes and request.purpose != ANY_PURPOSE
    return not known or request.action not in terms.actions or request.recipient is None or request.at is None


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a resource stands: the request, the consents, and the Bundle around it, if any.

    `home` is the foreign base of the entry, `full_url` its address; `extra` are labels of the Bundle that no entry
    carries; `narrow` are the site's own rules.
    """

    request: Request
    consents: Prepared
    policy: Policy
    people: People
    forms: Forms
    home: str = ""
    full_url: str = ""
    extra: Labels | None = None
    narrow: Narrow | None = None

    def entries(self, bundle: Mapping[str, Any]) -> list[Decision]:
        """The decision on each entry of a Bundle, under its own patient (R2)."""
        inside = self.inside(bundle)
        return [closed(partial(inside.entry, entry)) for entry in bundle.get("entry") or ()]

    def entry(self, entry: Mapping[str, Any]) -> Decision:
        """One Bundle entry; without content it has no patient to ask for."""
        resource = entry.get("resource")
        if not resource:
            return Decision("deny", ("X2",))
        full_url = entry.get("fullUrl") or ""
        home = foreign_home(full_url, resource["resourceType"], self.policy.fhir_base)
        return replace(self, home=home, full_url=full_url).decide(resource)

    def decide(self, resource: Mapping[str, Any]) -> Decision:
        """One resource, or a Bundle entry by entry, and then the recipient's projection."""
        if _incomplete(self.request, self.consents.labeller.terms):  # V1
            return Decision("deny", ("V1",))
        if resource["resourceType"] == "Bundle":
            return _of_entries(self.entries(resource))
        decision = self._resource(resource)
        if decision.effect == "deny" or not self.request.profile:
            return decision
        return _projected(decision, resource, self.request)  # P1

    def inside(self, bundle: Mapping[str, Any]) -> Scene:
        """The scene of a Bundle's entries: its people, its forms, and its labels that no entry carries (R4)."""
        forms = {
            str(form.get("url") or ""): form
            for entry in bundle.get("entry") or ()
            if (form := entry.get("resource") or {}).get("resourceType") == "Questionnaire"
        }
        labels = self.consents.labeller.asserted(uncarried(bundle, self.consents.labeller))
        extra = labels if self.extra is None else self.extra.join(labels)
        found = people(bundle, self.policy.fhir_base)
        return Scene(self.request, self.consents, self.policy, found, forms, extra=extra, narrow=self.narrow)

    def _resource(self, resource: Mapping[str, Any]) -> Decision:
        elements = self.consents.labeller.terms.elements
        if resource["resourceType"] in elements["non_patient"] and not resource.get("contained"):  # X1
            return Decision("permit", ("X1",))
        patient = self.people.resolve(resource, self.home, self.full_url)
        if resource["resourceType"] in elements["non_patient"]:  # X1, but what it contains may be somebody's
            return self._directory(resource)
        if not patient:  # X2
            return Decision("deny", ("X2",))
        units = self.units(resource, patient)
        decision = _combined(*units[0], units[1:], self.consents.standing(self.request, patient))
        return decision if self.narrow is None else self.narrow(self, patient, units, decision)

    def units(self, resource: Mapping[str, Any], patient: frozenset[Key], codes: bool = False) -> Units:
        """What is said of each unit, the core first, of the others only when the core may go. `codes`: with the codes of
        each, also when no consent asks for them."""
        standing = self.consents.standing(self.request, patient)
        subject = Subject(resource, self.policy, self.home)
        with_codes, by_labels = standing.denies_codes or codes, standing.by_labels and not codes
        parts = take_apart(subject, self.consents.labeller, self.extra, self.forms, with_codes, by_labels)
        core = judge(parts.core, self.request, standing, self.policy, self.consents.labeller.terms)
        others = [(unit, self._judge(unit, patient, standing)) for unit in parts.others] if core.permit else []
        return [(parts.core, core), *others]

    def _judge(self, unit: Unit, patient: frozenset[Key], standing: Standing) -> Verdict:
        """One unit; a contained resource that is about someone else is asked for under that person (R2, L3)."""
        if unit.path.startswith("contained["):
            theirs = self.people.resolve(_without_id(unit.subject.resource), self.home)
            if theirs and theirs.isdisjoint(patient):
                standing = self.consents.standing(self.request, theirs)
        return judge(unit, self.request, standing, self.policy, self.consents.labeller.terms)

    def _directory(self, resource: Mapping[str, Any]) -> Decision:
        """A directory entry with contained resources: those that are bound to a patient are decided for that
        patient."""
        paths, rules = [], ["X1"]
        for place, inner in enumerate(resource["contained"]):
            decision = self._resource(_without_id(inner))
            if decision.effect != "permit":
                paths.append(f"contained[{place}]")
                rules += decision.rules
        return Decision("redact" if paths else "permit", tuple(dict.fromkeys(rules)), tuple(paths))


def _without_id(contained: Mapping[str, Any]) -> dict[str, Any]:
    """A contained resource; its id means nothing outside its container (R4 references, 2.3.0.2)."""
    return {name: value for name, value in contained.items() if name != "id"}


def scene(request: Request, consents: Consents, policy: Policy, narrow: Narrow | None = None) -> Scene:
    """Where a single resource stands: no Bundle around it."""
    prepared = consents if isinstance(consents, Prepared) else Prepared(consents, policy)
    return Scene(request, prepared, policy, People(policy.fhir_base), {}, narrow=narrow)


def _combined(core_unit: Unit, core: Verdict, others: Sequence[tuple[Unit, Verdict]], standing: Standing) -> Decision:
    """core DENY -> DENY; any other unit DENY -> REDACT those paths; else PERMIT (R1)."""
    review = _unique(standing.review, core.review) if standing.review or core.review else ()
    if not core.permit:
        return Decision("deny", _unique(standing.notes, core.rules), consents=core.consents, review=review)
    withheld: list[tuple[Unit, Verdict]] = []
    for unit, verdict in others:
        if not verdict.permit and not any(unit.path.startswith(other.path + ".") for other, _ in withheld):
            withheld.append((unit, verdict))
    kept = [core_unit, *(unit for unit, verdict in others if verdict.permit)]
    part2 = any(PART2 in unit.labels.sensitivities for unit in kept)
    return Decision(
        effect="redact" if withheld else "permit",
        rules=_unique(core.rules, *(("R1", *verdict.rules) for _, verdict in withheld)),
        redact_paths=tuple(unit.path for unit, _ in withheld),
        consents=_unique(core.consents, *(verdict.consents for _, verdict in withheld)),
        obligations=PART2_OBLIGATIONS if part2 else (),
        review=_unique(review, *(verdict.review for _, verdict in withheld)),
    )


def _of_entries(decisions: Sequence[Decision]) -> Decision:
    """R2: drop denied entries; none left = DENY, some dropped = REDACT."""
    paths = [
        path
        for place, decision in enumerate(decisions)
        for path in (
            (f"entry[{place}]",)
            if decision.effect == "deny"
            else tuple(f"entry[{place}].resource.{inner}" for inner in decision.redact_paths)
        )
    ]
    left = any(decision.effect != "deny" for decision in decisions)
    return Decision(
        effect="deny" if not left else "redact" if paths else "permit",
        rules=_unique(("R2",) if paths or not left else (), *(decision.rules for decision in decisions)),
        redact_paths=tuple(paths) if left else (),
        consents=_unique(*(decision.consents for decision in decisions)),
        obligations=_unique(*(decision.obligations for decision in decisions)),
        review=_unique(*(decision.review for decision in decisions)),
    )


def _projected(decision: Decision, resource: Mapping[str, Any], request: Request) -> Decision:
    """P1: what the recipient's kind does not list is dropped as well."""
    dropped = project.load(request.profile).dropped(resource, request)
    if dropped is None:
        return Decision("deny", _unique(decision.rules, ("P1",)), consents=decision.consents, review=decision.review)
    if not dropped:
        return decision
    return Decision(
        "redact",
        _unique(decision.rules, ("P1",)),
        _unique(decision.redact_paths, dropped),
        decision.consents,
        decision.obligations,
        decision.review,
    )


def _unique(*listed: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for one in listed for each in one))
