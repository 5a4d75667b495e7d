"""What is asked (who wants what, for which purpose, when) and the site's policy, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bridge.consent import moment
from bridge.consent.reference import Key, Named, identifiers, named, union

OWN_BASE = "https://bridge.example.org/fhir"
"""The base that the case format means when it names none; a site passes its own."""


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class Policy:
    """The site's (or a partner contract's) defaults; everything that is not exactly `permit` is deny.

    `no_consent` is what happens when no consent speaks (D1, D2), `timezone` the IANA zone in which dates without time
    are
    read, `fhir_base` our own base. `inline_strict`: source labels repeated inline still cover the whole resource (R4).
    `silent`: redaction leaves no mark, because "something was hidden" is a hint too (consent.md 2.2). `labels` are the
    folders of label rules, without any the packaged ones.
    """

    no_consent: str = "deny"
    timezone: str = "UTC"
    fhir_base: str = OWN_BASE
    inline_strict: bool = False
    silent: bool = False
    labels: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        return _zone(self.timezone)

    @staticmethod
    def parse(value: Mapping[str, Any] | None) -> Policy:
        """From the case format; absent fields take the defaults."""
        fields = ("no_consent", "timezone", "fhir_base", "inline_strict", "silent")
        given = value or {}
        return Policy(**{name: given[name] for name in fields if given.get(name) is not None})


@dataclass(frozen=True, slots=True)
class Party:
    """A recipient or custodian. `keys` name itself and every body it belongs to now (M1), `own` itself alone.

    `values` are identifier values whatever their system: a deny that gives no system compares with them.
    """

    keys: frozenset[Key]
    values: frozenset[str]
    own: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the filter; hashable, so that what depends on it alone is worked out once.

    `recipient` None, `at` None (no time with an offset) or an unknown `purpose` or `action` is denied (V1). `at` is in
    microseconds since 1970 UTC. `profile` names the projection of `profiles/recipients` (P1), "" for none.
    """

    recipient: Party | None
    purpose: str
    action: str
    at: int | None
    custodian: Party | None = None
    clearances: frozenset[str] = frozenset()
    profile: str = ""

    @staticmethod
    def parse(value: Mapping[str, Any], policy: Policy) -> Request:
        """From the case format (reference/consent.md, `Case format`)."""
        recipient = value.get("recipient") or {}
        at = moment.point(value.get("at") or "")
        return Request(
            recipient=_party(recipient, policy, at),
            purpose=value.get("purpose") or "",
            action={"read": "access"}.get(value.get("action") or "", value.get("action") or ""),  # M3: read is access
            at=at,
            custodian=_party(value.get("custodian") or {}, policy, at),
            clearances=frozenset(_code(each) for each in recipient.get("clearances") or ()),
            profile=recipient.get("profile") or "",
        )


def _code(clearance: Mapping[str, Any] | str) -> str:
    return clearance if isinstance(clearance, str) else str(clearance.get("code") or "")


def _party(value: Mapping[str, Any] | str, policy: Policy, at: int | None) -> Party | None:
    """One party; None when it has neither a reference nor an identifier."""
    itself = _named(value, policy)
    if itself.empty:
        return None
    bodies = [] if isinstance(value, str) else value.get("memberOf") or []
    member = union([itself, *(_named(body, policy) for body in bodies if _current(body, policy, at))])
    values = member.bare | {key[1] for key in member.keys if isinstance(key, tuple)}
    return Party(keys=member.keys, values=values, own=itself.keys)


def _named(value: Mapping[str, Any] | str, policy: Policy) -> Named:
    """A party or membership: a reference text, or an object with `reference` and `identifier` (one or a list)."""
    if isinstance(value, str):
        return named({"reference": value}, policy.fhir_base)
    inner = value.get("entity") or value.get("reference") or ""
    reference = named({"reference": inner} if isinstance(inner, str) else inner, policy.fhir_base)
    keys, bare = identifiers(value.get("identifier"))
    return Named(reference.keys | keys, reference.bare | bare)


def _current(body: Mapping[str, Any] | str, policy: Policy, at: int | None) -> bool:
    """Whether a membership holds now: not inactive, and its period, if any, contains `at`."""
    if isinstance(body, str):
        return True
    period = body.get("period")
    if body.get("inactive") or body.get("active") is False:
        return False
    return not period or (at is not None and moment.contains(moment.period(period, policy.zone), at))
