"""The copy that may leave: redacted as decided, projected for the recipient's kind, and decided once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge.consent import project
from bridge.consent.decide import Consents, Narrow, decide
from bridge.consent.project import Projection
from bridge.consent.redact import redact
from bridge.consent.request import Policy, Request
from bridge.core.decision import Decision


def release(
    resource: Mapping[str, Any],
    decision: Decision,
    kind: str = "",
    *,
    policy: Policy | None = None,
    request: Request | None = None,
    withheld: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any] | None:
    """The redacted, projected copy of a resource or Bundle; None when nothing of it may go.

    `kind` names the projection of `profiles/recipients` ("" for none); `request` lets a projection keep what the recipient
    issued itself; `withheld` are resources of the same delivery that do not go: nothing may point at them. Raises SettingsError for a kind
    that does not exist. The caller still asks `verify_release`.
    """
    if decision.effect == "deny":
        return None
    policy = policy or Policy()
    projection = project.load(kind) if kind else None
    further = () if projection is None else _dropped(resource, projection, request)
    if further is None:
        return None
    cut = redact(resource, dict.fromkeys((*decision.redact_paths, *further)), policy, withheld)
    return cut if projection is None else _project(cut, projection, request)


def held_back(
    decided: Sequence[tuple[Mapping[str, Any], Decision]], kind: str, request: Request | None = None,
) -> list[Mapping[str, Any]]:
    """The resources of a delivery that do not go at all: denied, or nothing that this kind of recipient may have."""
    projection = project.load(kind)
    return [one for one, decision in decided if decision.effect == "deny" or _dropped(one, projection, request) is None]


def verify_release(
    request: Request, released: Mapping[str, Any], consents: Consents, policy: Policy, narrow: Narrow | None = None,
) -> bool:
    """Whether what is about to leave is a plain permit when it is decided again (consent.md 1.2, after redaction)."""
    return decide(request, released, consents, policy, narrow).effect == "permit"


def _dropped(resource: Mapping[str, Any], projection: Projection, request: Request | None) -> tuple[str, ...] | None:
    """Paths that the projection takes out; None when it leaves nothing."""
    if resource["resourceType"] != "Bundle":
        return projection.dropped(resource, request)
    paths: list[str] = []
    entries = resource.get("entry") or ()
    for place, entry in enumerate(entries):
        inner = _dropped(entry["resource"], projection, request) if entry.get("resource") else None
        paths += [f"entry[{place}]"] if inner is None else [f"entry[{place}].resource.{path}" for path in inner]
    gone = {path for path in paths if path.endswith("]") and path.count("[") == 1}
    return tuple(paths) if len(gone) < len(entries) else None


def _project(resource: Mapping[str, Any], projection: Projection, request: Request | None) -> dict[str, Any] | None:
    if resource["resourceType"] != "Bundle":
        return projection.project(resource, request)
    entries = [
        {**entry, "resource": inner}
        for entry in resource.get("entry") or ()
        if (inner := _project(entry["resource"], projection, request)) is not None
    ]
    return {**resource, "entry": entries} if entries else None
