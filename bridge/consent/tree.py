"""One Consent as a tree of rules in a single encoding, whichever of the two it came in (B1-B3, N3, N4).

Reads the FHIR resource once; time, recipient and data come later (`standing`, `decide`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.consent import criteria, moment
from bridge.consent.criteria import NOTHING, UNREADABLE, Criteria
from bridge.consent.labels import Labeller
from bridge.consent.moment import Span
from bridge.consent.reference import Named, named
from bridge.consent.request import Policy
from bridge.consent.terms import ACT_CODE, ACT_REASON, ANY_PURPOSE, CONSENT_ACTION, CONSENT_CATEGORY, Terms

DEEPEST, MOST = 32, 1_000
"""Caps on nesting and on rules of one Consent; beyond them nobody meant it (consent.md 5)."""

PERMIT, DENY, CONTEXT = "permit", "deny", ""


class TooLargeError(ValueError):
    """A Consent nests deeper or has more rules than the caps allow."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One provision.actor: who, and whether it speaks of the custodian (M1)."""

    who: Named
    custodian: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """Codes of `purpose` or `action`; `loose` has those without a system too, which only denies use."""

    codes: frozenset[str]
    loose: frozenset[str]
    unreadable: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One provision. Context criteria are its own (the ancestors' are asked on the way down), `data` is in force here
    (N3).

    `kind` is permit, deny or "" (context only). `names_purpose`: it or an ancestor states a purpose (F6). `root`: a
    data
    mismatch of such a permit speaks (WEAK). `blanket`: no criteria but period. `why` are the rule ids it decides by.
    """

    kind: str
    span: Span | None
    actors: tuple[Actor, ...] | None
    purposes: Listed | None
    actions: Listed | None
    data: Criteria
    names_purpose: bool
    root: bool
    blanket: bool
    kids: tuple[Rule, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """The rules of one Consent; `root` None when it says nothing computable (B2). `contradicts`: B3."""

    root: Rule | None
    contradicts: bool
    has_permit: bool


@dataclass(slots=True)
class Reader:
    """Reads the provisions of one Consent, counting them."""

    policy: Policy
    labeller: Labeller
    consent: Mapping[str, Any]
    count: int = 0
    terms: Terms = field(init=False)

    def __post_init__(self) -> None:
        self.terms = self.labeller.terms

    def rule(
        self,
        provision: Mapping[str, Any],
        kind: str,
        inherited: Criteria,
        *,
        depth: int,
        purpose: bool = False,
        root: bool = False,
        base: tuple[str, ...] = (),
        more: Sequence[Mapping[str, Any]] = (),
    ) -> Rule:
        """A provision and all below it; `more` are further nested provisions that its base policy implies."""
        self.count += 1
        if depth > DEEPEST or self.count > MOST:
            raise TooLargeError("too many or too deeply nested provisions")
        own = criteria.read(provision, self.policy.zone, self.policy.fhir_base, self.consent, self.labeller)
        data = own.over(inherited)  # N3
        actors, purposes, actions = self._actors(provision), self._purposes(provision), self._actions(provision)
        purpose = purpose or (purposes is not None and bool(purposes.codes - {ANY_PURPOSE}))
        period = provision.get("period")
        nested = [*(provision.get("provision") or ()), *more]
        why = [name for name, said in (("M4", period and not root), ("M1", actors), ("M2", purposes), ("M3", actions)) if said]
        return Rule(
            kind=kind,
            span=moment.period(period, self.policy.zone) if period else None,
            actors=actors,
            purposes=purposes,
            actions=actions,
            data=data,
            names_purpose=purpose,
            root=root,
            blanket=own.empty and actors is None and purposes is None and actions is None,
            kids=tuple(
                self.rule(kid, _kind(kid, DENY), data, depth=depth + 1, purpose=purpose)  # N4
                for kid in nested
            ),
            why=(
                *base,
                *why,
                *data.rules(),
                *(() if root else ("N1",)),
                *(() if root or provision.get("type") else ("N4",)),
            ),
        )

    def _actors(self, provision: Mapping[str, Any]) -> tuple[Actor, ...] | None:
        """M1: custodian roles ask the custodian, consenter roles are ignored, all others ask the recipient."""
        actors: list[Actor] = []
        for actor in provision.get("actor") or ():
            roles = {coding.get("code") for coding in (actor.get("role") or {}).get("coding") or ()}
            custodian = not roles.isdisjoint(self.terms.facts["custodian_roles"])
            if not custodian and not roles.isdisjoint(self.terms.facts["consenter_roles"]):
                continue
            actors.append(Actor(named(actor.get("reference") or {}, self.policy.fhir_base, self.consent), custodian))
        return tuple(actors) or None

    def _purposes(self, provision: Mapping[str, Any]) -> Listed | None:
        return self._listed(provision.get("purpose") or (), ACT_REASON)

    def _actions(self, provision: Mapping[str, Any]) -> Listed | None:
        concepts = provision.get("action") or ()
        codings = [coding for concept in concepts for coding in concept.get("coding") or (UNREADABLE,)]
        listed = self._listed(codings, CONSENT_ACTION)
        return listed and Listed(_as_access(listed.codes), _as_access(listed.loose), listed.unreadable)

    def _listed(self, codings: Sequence[Mapping[str, Any]], system: str) -> Listed | None:
        if not codings:
            return None
        named_ = [(self.terms.system(coding.get("system") or ""), coding.get("code")) for coding in codings]
        return Listed(
            codes=frozenset(code for name, code in named_ if name == system and code),
            loose=frozenset(code for name, code in named_ if name in (system, "") and code),
            unreadable=any(not code for _, code in named_),
        )


def _as_access(codes: frozenset[str]) -> frozenset[str]:
    return frozenset("access" if code == "read" else code for code in codes)


def _kind(provision: Mapping[str, Any], otherwise: str) -> str:
    """The rule's type; a type nobody knows is a deny, like a missing one on a nested rule (N4)."""
    kind = provision.get("type")
    if kind is None:
        return otherwise
    return PERMIT if kind == PERMIT else DENY


EMERGENCY = {"type": PERMIT, "purpose": [{"system": ACT_REASON, "code": "ETREAT"}]}


def read(consent: Mapping[str, Any], policy: Policy, labeller: Labeller) -> Tree:
    """The tree of one Consent (B1); raises TooLargeError, or what a malformed resource makes Python raise."""
    base, emergency = _policy_rule(consent, labeller.terms)
    provision = consent.get("provision")
    more = [EMERGENCY] if emergency else []
    if not provision and not base:
        return Tree(None, False, False)  # B2
    provision = provision or {}
    kind = _kind(provision, CONTEXT)
    reader = Reader(policy, labeller, consent)
    if base and kind and kind != base:  # B1: a typed root that differs from its base is the exception to it
        root = reader.rule({"type": base, "provision": [*more, provision]}, base, NOTHING, depth=0, root=True, base=("B1",))
        exception = root.kids[-1]
        root = replace(root, kids=(*root.kids[:-1], replace(exception, why=("B1", *exception.why))))
        contradicts = exception.blanket  # B3
        return Tree(root, contradicts, _has_permit(root))
    if kind or base:
        # B1: the root acts with its own type or, without one, with its base's; its elements narrow it. An
        # emergency-only base
        # keeps its exception unless the root is an explicit, narrower deny.
        untyped = not kind
        root = reader.rule(provision, kind or base, NOTHING, depth=1, root=True, base=("B1",) if untyped else ())
        if more and (untyped or root.blanket):
            reader.count = 0
            root = reader.rule(provision, kind or base, NOTHING, depth=1, root=True, base=("B1",), more=more)
        return Tree(root, False, _has_permit(root))
    root = reader.rule(provision, CONTEXT, NOTHING, depth=1, root=True)  # B1: context only; nested rules still count
    return Tree(root if root.kids else None, False, _has_permit(root))


def _policy_rule(consent: Mapping[str, Any], terms: Terms) -> tuple[str, bool]:
    """The base policy (permit, deny or "") and whether it is emergency only (B1)."""
    known = terms.facts["base_policies"]
    found = set[str]()
    for coding in (consent.get("policyRule") or {}).get("coding") or ():
        meaning = known.get(coding.get("code"))
        system = terms.system(coding.get("system") or "")
        if meaning and (system == ACT_CODE or (not system and meaning != PERMIT)):
            found.add(meaning)
    for category in consent.get("category") or ():
        for coding in category.get("coding") or ():
            if coding.get("code") == "emrgonly" and terms.system(coding.get("system") or "") in (CONSENT_CATEGORY, ""):
                found.add("emergency")
    if "emergency" in found:
        return DENY, True
    return (DENY if DENY in found else PERMIT if PERMIT in found else ""), False


def _has_permit(rule: Rule) -> bool:
    return rule.kind == PERMIT or any(_has_permit(kid) for kid in rule.kids)
