"""Runs consent cases in the format of reference/consent.md: what `consent decide FILE` prints, and what tests are
written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bridge.consent.decide import Narrow, closed, decide
from bridge.consent.request import Policy, Request
from bridge.core.decision import Decision

Rulings = Callable[[Request, Policy], Narrow | None]
"""Which rules of the house a case is decided under, if it asks for any."""


def run_case(case: Mapping[str, Any], rulings: Rulings | None = None) -> dict[str, Any]:
    """Decide one case: `id`, `decision` (permit, deny, redact), `redact_paths`, `obligations`, `rules`, `consents`,
    `review`.

    Never raises for what a case contains: a case that cannot be read is a deny for review.
    """
    decision = closed(lambda: _decide(case, rulings))
    return {
        "id": case.get("id") if isinstance(case, Mapping) else None,
        "decision": decision.effect,
        "redact_paths": list(decision.redact_paths),
        "obligations": list(decision.obligations),
        "rules": list(decision.rules),
        "consents": list(decision.consents),
        "review": list(decision.review),
    }


def _decide(case: Mapping[str, Any], rulings: Rulings | None) -> Decision:
    policy, consents = Policy.parse(case.get("policy")), case.get("consents", [])
    if not isinstance(consents, list):
        raise TypeError("consents are no list")
    request = Request.parse(case["request"], policy)
    narrow = rulings(request, policy) if rulings else None
    return decide(request, case["resource"], consents, policy, narrow)
