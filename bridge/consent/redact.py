"""Takes withheld elements out of a resource, with everything that would still point at them or retell them.

Applies what a Decision says; decides nothing. Works on copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.consent import labels as labelling
from bridge.consent.mark import REDACTED
from bridge.consent.parts import inline_labels, uncarried
from bridge.consent.reference import normalise
from bridge.consent.request import Policy
from bridge.fhir import elements

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_STEP = re.compile(r"([A-Za-z_]\w*)(?:\[(\d+)\])?")
_WHOLE: dict[Any, Any] = {}
"""In a plan: the element goes as a whole."""

Plan = dict[tuple[str, int | None], Any]
"""What to take out, by (name, place or None): a further plan, or _WHOLE."""


def redact(resource: Mapping[str, Any], paths: Iterable[str], policy: Policy) -> dict[str, Any]:
    """A copy without these element paths (`reasonCode[1]`, `contained[0]`, `entry[2]`, `item[0].item[1]`).

    References to what went are removed too, narrative is dropped, required elements that went say `masked`
    (data-absent-reason), and meta.security says REDACTED unless the policy is silent. Without paths it is a plain copy.
    Raises ValueError for a path that is none.
    """
    plan: Plan = {}
    for path in paths:
        _add(plan, path)
    return _Knife(policy, frozenset()).resource(resource, plan)


def _add(plan: Plan, path: str) -> None:
    steps = path.split(".")
    for place, step in enumerate(steps):
        match = _STEP.fullmatch(step)
        if match is None:
            raise ValueError("not an element path")
        key = (match[1], None if match[2] is None else int(match[2]))
        if place == len(steps) - 1 or plan.get(key) is _WHOLE:
            plan[key] = _WHOLE
            return
        plan = plan.setdefault(key, {})


@dataclass(frozen=True, slots=True)
class _Knife:
    """Cuts one resource; `gone` are normalised references of what the Bundle around it lost."""

    policy: Policy
    gone: frozenset[str]

    def resource(self, resource: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        if resource["resourceType"] == "Bundle":
            return self._bundle(resource, plan)
        lost = {
            f"#{each.get('id', '')}"
            for place, each in enumerate(resource.get("contained") or ())
            if plan.get(("contained", place)) is _WHOLE or plan.get(("contained", None)) is _WHOLE
        }
        knife = _Knife(self.policy, self.gone | lost)
        cut = knife.cut(resource, plan, resource["resourceType"])
        if cut != resource:
            cut.pop("text", None)  # narrative retells what was taken out
            for each in cut.get("contained") or ():
                each.pop("text", None)
            self._mark(cut, _stale_inline(resource, cut, self.policy))
        return cut

    def _bundle(self, bundle: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        entries = bundle.get("entry") or []
        dropped = {place for place in range(len(entries)) if plan.get(("entry", place)) is _WHOLE}
        gone = self.gone.union(*(_names(entries[place], self.policy.fhir_base) for place in dropped))
        knife = _Knife(self.policy, gone)
        kept = []
        for place, entry in enumerate(entries):
            if place in dropped:
                continue
            inner = plan.get(("entry", place), {}).get(("resource", None), {})
            content = knife.resource(entry["resource"], inner) if entry.get("resource") else None
            if plan and content is not None:
                content.pop("text", None)
            kept.append({**entry, **({"resource": content} if content is not None else {})})
        cut = {name: value for name, value in bundle.items() if not plan or name not in ("total", "signature")}
        if "entry" in bundle:
            cut["entry"] = kept
        if plan:
            self._mark(cut, _stale_marks(bundle, cut, self.policy))
        return cut

    def cut(self, value: Mapping[str, Any], plan: Plan, parent: str) -> dict[str, Any]:
        """A copy of one JSON object without what the plan names and without references to what is gone."""
        parent = str(value.get("resourceType") or parent)
        kept: dict[str, Any] = {}
        for name, child in value.items():
            element = name.removeprefix("_")
            if plan.get((element, None)) is _WHOLE:
                self._mask(kept, parent, element)
                continue
            cut = self._child(child, element, plan, f"{parent}.{element}")
            if cut is None or (cut in ([], {}) and child not in ([], {})):
                self._mask(kept, parent, element)
            else:
                kept[name] = cut
        return kept

    def _child(self, child: Any, name: str, plan: Plan, path: str) -> Any:
        if isinstance(child, list):
            cut = [
                self._child(each, "", plan.get((name, place), {}), path)
                for place, each in enumerate(child)
                if plan.get((name, place)) is not _WHOLE
            ]
            return [each for was, each in zip(_left(child, name, plan), cut, strict=True) if each is not None or was is None]
        if not isinstance(child, dict):
            return child
        reference = child.get("reference")
        if isinstance(reference, str) and normalise(reference, self.policy.fhir_base) in self.gone:
            return None
        return self.cut(child, plan.get((name, None), {}) if name else plan, path)

    def _mask(self, kept: dict[str, Any], parent: str, name: str) -> None:
        """A required element says that it is masked; an optional one is just absent (consent.md 2.2)."""
        fact = elements.load().child(parent, name)
        if fact is None or fact.min == 0:
            return
        reason = {"extension": [{"url": ABSENT, "valueCode": "unknown" if self.policy.silent else "masked"}]}
        key = name if fact.into else f"_{name}"
        kept[key] = reason if fact.max == 1 else [reason]

    def _mark(self, cut: dict[str, Any], stale: frozenset[tuple[str, str]]) -> None:
        """meta.security of a redacted copy: without labels that only what is gone carried, with REDACTED."""
        meta = dict(cut.get("meta") or {})
        security = [each for each in meta.get("security") or () if (each.get("system") or "", each.get("code") or "") not in stale]
        if not self.policy.silent and REDACTED not in security:
            security.append(REDACTED)
        meta["security"] = security
        cut["meta"] = meta if security else {name: each for name, each in meta.items() if name != "security"}
        if not cut["meta"]:
            del cut["meta"]


def _left(listed: list[Any], name: str, plan: Plan) -> list[Any]:
    return [each for place, each in enumerate(listed) if plan.get((name, place)) is not _WHOLE]


def _names(entry: Mapping[str, Any], base: str) -> frozenset[str]:
    """Every way other entries may refer to this one."""
    resource = entry.get("resource") or {}
    found = {f"{resource.get('resourceType')}/{resource['id']}"} if resource.get("id") else set()
    if entry.get("fullUrl"):
        found.add(normalise(entry["fullUrl"], base))
    return frozenset(found)


def _stale_marks(before: Mapping[str, Any], after: Mapping[str, Any], policy: Policy) -> frozenset[tuple[str, str]]:
    """Labels of a Bundle that were the mark of entries which went; left behind they would cover the others."""
    labeller = labelling.load(*policy.labels)
    was = {(each.get("system") or "", each.get("code") or "") for each in uncarried(before, labeller)}
    now = {(each.get("system") or "", each.get("code") or "") for each in uncarried(after, labeller)}
    return frozenset(now - was)


def _stale_inline(before: Mapping[str, Any], after: Mapping[str, Any], policy: Policy) -> frozenset[tuple[str, str]]:
    """R4: sensitivities of meta.security that only elements which went repeated inline; elsewhere they would cover
    everything."""
    codings = (before.get("meta") or {}).get("security") or ()
    if policy.inline_strict or "PROCESSINLINELABEL" not in {each.get("code") for each in codings}:
        return frozenset()
    labeller = labelling.load(*policy.labels)
    gone = inline_labels(before, labeller) - inline_labels(after, labeller)
    return frozenset(
        (each.get("system") or "", each.get("code") or "")
        for each in codings
        if labeller.sensitivity(labeller.terms.system(each.get("system") or ""), each.get("code") or "") in gone
    )
