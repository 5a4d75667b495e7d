"""Takes withheld elements out of a resource, with everything that would still point at them or retell them.

Applies what a Decision says; decides nothing. Works on copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.consent import labels as labelling
from bridge.consent.mark import REDACTED
from bridge.consent.parts import inline_labels, uncarried
from bridge.consent.reference import Key, identifiers, normalise
from bridge.consent.request import Policy
from bridge.fhir import elements

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_STEP = re.compile(r"([A-Za-z_]\w*)(?:\[(\d+)\])?")
_WHOLE: dict[Any, Any] = {}
"""In a plan: the element goes as a whole."""

Plan = dict[tuple[str, int | None], Any]
"""What to take out, by (name, place or None): a further plan, or _WHOLE."""


def redact(
    resource: Mapping[str, Any], paths: Iterable[str], policy: Policy, withheld: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A copy without these element paths (`reasonCode[1]`, `contained[0]`, `entry[2]`, `item[0].item[1]`).

    References to what went are removed too, and those to the resources `withheld`, which do not go either; narrative is
    dropped, required elements that went say `masked` (data-absent-reason), and meta.security says REDACTED unless the
    policy is silent. Without anything to take out it is a plain copy. Raises ValueError for a path that is none.
    """
    plan: Plan = {}
    for path in paths:
        _add(plan, path)
    gone = frozenset[Key]().union(*(_names({"resource": one}, policy.fhir_base) for one in withheld))
    return _Knife(policy, gone).resource(resource, plan)


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
    """Cuts one resource; `gone` is what is withheld, by reference and by identifier."""

    policy: Policy
    gone: frozenset[Key]

    def resource(self, resource: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        if resource["resourceType"] == "Bundle":
            return self._bundle(resource, plan)
        lost = frozenset[Key](
            f"#{each['id']}"
            for place, each in enumerate(resource.get("contained") or ())
            if each.get("id") and (plan.get(("contained", place)) is _WHOLE or plan.get(("contained", None)) is _WHOLE)
        )
        cut = _Knife(self.policy, self.gone | lost).cut(resource, plan, resource["resourceType"]) or {}
        if cut != resource:
            cut = _untold(_without_orphans(cut, resource))  # narrative retells what was taken out
            self._mark(cut, _stale_inline(resource, cut, self.policy))
        return cut

    def _bundle(self, bundle: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        knife = _Knife(self.policy, self.gone | _dropped(bundle, plan, self.policy.fhir_base))
        kept = []
        for place, entry in enumerate(bundle.get("entry") or ()):
            if plan.get(("entry", place)) is _WHOLE:
                continue
            inner = plan.get(("entry", place), {}).get(("resource", None), {})
            content = knife.resource(entry["resource"], inner) if entry.get("resource") else None
            if plan and content is not None:
                content = _untold(content)
            kept.append({**entry, **({"resource": content} if content is not None else {})})
        cut = {name: value for name, value in bundle.items() if not plan or name not in ("total", "signature")}
        if "entry" in bundle:
            cut["entry"] = kept
        if plan:
            self._mark(cut, _stale_marks(bundle, cut, self.policy))
        return cut

    def cut(self, value: Mapping[str, Any], plan: Plan, parent: str) -> dict[str, Any] | None:
        """A copy of one JSON object without what the plan names and without what points at what is gone.

        None: what it cannot be without is gone, and a silent policy does not say so.
        """
        parent = str(value.get("resourceType") or parent)
        kept: dict[str, Any] = {}
        for name, child in value.items():
            element = name.removeprefix("_")
            cut = None if plan.get((element, None)) is _WHOLE else self._child(child, element, plan, f"{parent}.{element}")
            if cut is not None and not (cut in ([], {}) and child not in ([], {})):
                kept[name] = cut
            elif self._required(parent, element):
                if self.policy.silent and "resourceType" not in value:
                    return None
                self._mask(kept, parent, element)
        if set(kept) == {"url"} and set(value) > {"url"}:
            return None  # an extension whose value is gone
        return kept

    def _child(self, child: Any, name: str, plan: Plan, path: str) -> Any:
        """What is left of a member; None when nothing is."""
        if isinstance(child, list):
            left = [(each, self._child(each, "", plan.get((name, place), {}), path))
                    for place, each in enumerate(child) if plan.get((name, place)) is not _WHOLE]
            if None in child:  # extensions of primitives stand beside their values
                return [cut or None for _, cut in left]
            return [cut for each, cut in left if cut is not None and (cut != {} or each == {})]
        if isinstance(child, str):
            return None if self._names_gone(child, name) else child
        if not isinstance(child, dict):
            return child
        if self._refers_to_gone(child):
            return None
        return self.cut(child, plan.get((name, None), {}) if name else plan, path)

    def _names_gone(self, text: str, name: str) -> bool:
        """Whether a url, uri or canonical is the address of what is gone (an Attachment of a Binary, a form)."""
        return bool(self.gone) and name not in ("id", "fullUrl", "system") and ("/" in text or text[:1] == "#" or ":" in text) and (
            normalise(text.partition("|")[0], self.policy.fhir_base) in self.gone)

    def _refers_to_gone(self, value: Mapping[str, Any]) -> bool:
        """Whether this is a Reference to what is gone, by its address or by its identifier."""
        if not self.gone or "resourceType" in value:
            return False
        reference = value.get("reference")
        if isinstance(reference, str) and normalise(reference, self.policy.fhir_base) in self.gone:
            return True
        identifier = value.get("identifier")
        return isinstance(identifier, dict) and not self.gone.isdisjoint(identifiers(identifier)[0])

    def _required(self, parent: str, name: str) -> bool:
        fact = elements.load().child(parent, name)
        return fact is not None and fact.min > 0

    def _mask(self, kept: dict[str, Any], parent: str, name: str) -> None:
        """A required element says that it is masked; an optional one is just absent (consent.md 2.2)."""
        fact = elements.load().child(parent, name)
        if fact is None:
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


def _untold(value: Any) -> Any:
    """Without narratives, at any depth: a section, an entry or a contained resource may retell what was taken out."""
    if isinstance(value, list):
        return [_untold(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _untold(child) for name, child in value.items() if not (name == "text" and isinstance(child, dict) and "div" in child)}


def _without_orphans(cut: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Without contained resources that only what was taken out referred to (FHIR R4 dom-3)."""
    inner = cut.get("contained")
    while inner:
        named, once = set(_local(cut)), set(_local(before))
        left = [each for each in inner if f"#{each.get('id')}" in named or f"#{each.get('id')}" not in once]
        if len(left) == len(inner):
            return cut
        cut, inner = {**{name: value for name, value in cut.items() if name != "contained"}, **({"contained": left} if left else {})}, left
    return cut


def _local(value: Any) -> Iterator[str]:
    """Every `#id` below a value."""
    if isinstance(value, str):
        if value[:1] == "#":
            yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _local(each)


def _dropped(bundle: Mapping[str, Any], plan: Plan, base: str) -> frozenset[Key]:
    """The names of the entries that go, also of a Bundle within."""
    found = frozenset[Key]()
    for place, entry in enumerate(bundle.get("entry") or ()):
        inner = plan.get(("entry", place), {})
        if inner is _WHOLE:
            found |= _names(entry, base)
        elif (entry.get("resource") or {}).get("resourceType") == "Bundle":
            found |= _dropped(entry["resource"], inner.get(("resource", None), {}), base)
    return found


def _names(entry: Mapping[str, Any], base: str) -> frozenset[Key]:
    """Every way others may refer to this one; of a Bundle that goes, to what is in it."""
    resource = entry.get("resource") or {}
    found: set[Key] = {f"{resource.get('resourceType')}/{resource['id']}"} if resource.get("id") else set()
    if entry.get("fullUrl"):
        found.add(normalise(entry["fullUrl"], base))
    if resource.get("resourceType") == "Questionnaire" and resource.get("url"):
        found.add(resource["url"])
    if resource.get("resourceType") == "Bundle":
        return frozenset(found).union(*(_names(each, base) for each in resource.get("entry") or ()))
    return frozenset(found) | identifiers(resource.get("identifier"))[0]


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
