"""A Consent as a document: who it is about, whether it counts at all, and whether its permits do (S1-S11).

Everything is read on first use, so a malformed Consent that does not matter never gets in the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from bridge.consent import moment, shape, tree
from bridge.consent.labels import Labeller
from bridge.consent.moment import Span
from bridge.consent.once import Once
from bridge.consent.reference import Key, Named, identifiers, named, union
from bridge.consent.request import Party, Policy, Request
from bridge.consent.terms import CONSENT_SCOPE
from bridge.consent.tree import Tree


class Paper:
    """One Consent on file."""

    def __init__(self, consent: Mapping[str, Any], policy: Policy, labeller: Labeller) -> None:
        self.consent = consent
        self.policy = policy
        self.labeller = labeller

    @Once
    def name(self) -> str:
        """`id/version`, or the id alone when the copy has no version."""
        version = (self.consent.get("meta") or {}).get("versionId")
        return f"{self.consent.get('id', '')}/{version}" if version else str(self.consent.get("id", ""))

    @Once
    def active(self) -> bool:
        status = self.consent.get("status", "")
        if self.consent["resourceType"] != "Consent" or not isinstance(status, str):
            raise ValueError("not a Consent with a status")
        return status == "active"  # S1

    @Once
    def patient(self) -> frozenset[Key]:
        return self._named(self.consent.get("patient") or {}).keys  # S2

    @Once
    def business_identifiers(self) -> frozenset[Key]:
        return identifiers(self.consent.get("identifier"))[0]

    @Once
    def stamp(self) -> Span | None:
        """When this copy was made (S7): meta.lastUpdated, else dateTime; None when it does not say."""
        text = (self.consent.get("meta") or {}).get("lastUpdated") or self.consent.get("dateTime")
        return moment.span(text, self.policy.zone) if text else None

    @Once
    def tree(self) -> Tree:
        shape.check(self.consent)
        return tree.read(self.consent, self.policy, self.labeller)

    @Once
    def period(self) -> Span | None:
        period = (self.consent.get("provision") or {}).get("period")
        return moment.period(period, self.policy.zone) if period else None

    @Once
    def scope(self) -> str:
        """S3: `privacy`, `research`, `other` (never counts) or `unknown`."""
        codings = (self.consent.get("scope") or {}).get("coding") or ()
        system = self.labeller.terms.system
        codes = {coding.get("code") for coding in codings if system(coding.get("system") or "") == CONSENT_SCOPE}
        if "patient-privacy" in codes:
            return "privacy"
        if "research" in codes:
            return "research"
        return "other" if codes & {"treatment", "adr"} else "unknown"

    @Once
    def acknowledges(self) -> bool:
        """S4: every category is an acknowledgement or an advance directive."""
        known = self.labeller.terms.acknowledgements
        categories = self.consent.get("category") or ()
        return bool(categories) and all(
            any(coding.get("code") in known for coding in category.get("coding") or ()) for category in categories
        )

    @Once
    def signed(self) -> Span | None:
        text = self.consent.get("dateTime")
        return moment.span(text, self.policy.zone) if text else None

    @Once
    def void_anyway(self) -> tuple[str, ...]:
        """Reasons, whatever the request, for which the permits do not count."""
        reasons = []
        if self.scope == "unknown":
            reasons.append("S3")
        if self.period is not None and self.period[0] > self.period[1]:
            reasons.append("S5")
        if self.consent.get("implicitRules") or _modified(self.consent):
            reasons.append("S9")
        verified = [each.get("verified") for each in self.consent.get("verification") or ()]
        if verified and all(each is False for each in verified):
            reasons.append("S10")
        return tuple(reasons)

    @Once
    def organizations(self) -> tuple[Named, ...]:
        return tuple(self._named(each) for each in self.consent.get("organization") or ())

    @Once
    def performers(self) -> tuple[Named, ...]:
        return tuple(self._named(each) for each in self.consent.get("performer") or ())

    def _named(self, reference: Mapping[str, Any]) -> Named:
        return named(reference, self.policy.fhir_base, self.consent)

    def excluded(self, request: Request, at: int) -> str:
        """The rule that keeps the whole Consent out of this decision, or "" (S3, S4, S5)."""
        if self.acknowledges:
            return "S4"
        if self.scope == "other":
            return "S3"
        if self.scope == "research" and not self.labeller.terms.within(request.purpose, ("HRESCH",)):
            return "S3"
        if self.period is not None and self.period[0] <= self.period[1] and not moment.contains(self.period, at):
            return "S5"
        return ""

    def void(self, request: Request, at: int) -> tuple[str, ...]:
        """The rules for which its permits do not count now, its denies still do (S3, S5, S6, S8-S11)."""
        reasons = list(self.void_anyway)
        if self.signed is not None and self.signed[0] > at:
            reasons.append("S6")
        if request.custodian is not None and self.organizations and not _names(self.organizations, request.custodian):
            reasons.append("S8")
        recipient = request.recipient
        if recipient is not None and self.performers and all(_names((each,), recipient) for each in self.performers):
            reasons.append("S11")
        return tuple(reasons)


def _names(listed: Iterable[Named], party: Party) -> bool:
    return not union(listed).keys.isdisjoint(party.keys)


def _modified(consent: Mapping[str, Any]) -> bool:
    """S9: a modifierExtension anywhere in the Consent; we understand none."""
    if b'"modifierExtension"' not in orjson.dumps(consent):
        return False
    waiting: list[Any] = [{name: value for name, value in consent.items() if name != "contained"}]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("modifierExtension"):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def superseded(papers: Sequence[Paper]) -> tuple[frozenset[int], frozenset[int]]:
    """S7 over all copies: places of those that a newer copy replaces, and of those that cannot be ordered against one.

    Copies share a business identifier. A copy that is newer replaces, whatever its status; on a tie the one that is not
    active does. Where a copy has no date, its active sisters keep their denies only.
    """
    sharing: dict[Key, list[int]] = {}
    for place, each in enumerate(papers):
        for identifier in each.business_identifiers:
            sharing.setdefault(identifier, []).append(place)
    replaced, unsure = set[int](), set[int]()
    for places in sharing.values():
        for one in places:
            for other in places:
                if one == other:
                    continue
                order = _order(papers[one], papers[other])
                if order == "newer":
                    replaced.add(one)
                elif order == "unsure":
                    unsure.add(one)
    return frozenset(replaced), frozenset(unsure)


def _order(one: Paper, other: Paper) -> str:
    """Whether `other` is `newer`, does not touch `one` (""), or cannot be placed (`unsure`)."""
    if one.stamp is None or other.stamp is None:
        return "unsure" if not other.active else ""
    if one.stamp[1] < other.stamp[0]:
        return "newer"
    tie = other.stamp[1] >= one.stamp[0]
    return "newer" if tie and not other.active else ""
