"""Checks resources and Bundles against base R4 and the profiles they claim.

A valid resource costs one pass of a compiled validator; words for people are made only when something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions

from bridge.core.issue import Issue
from bridge.fhir.bundle import addresses, broken_rules, unresolved
from bridge.fhir.definition import Profile, read
from bridge.fhir.elements import Elements
from bridge.fhir.finding import findings, issue
from bridge.fhir.reference import kind_of, local, rewrite, strings
from bridge.fhir.schema import R4, Schema

Resource = dict[str, Any]

MOST_ISSUES = 100
MOST_CLAIMS = 500
"""Combinations of claimed profiles that are remembered; they come from outside, so their number must have an end."""
RECURRING = frozenset({"Organization", "Location", "Practitioner", "PractitionerRole"})
MOST_SOUND = 4096
"""Resources of these types that are remembered as valid."""
UNSAYABLE = "the resource holds something that JSON cannot say, or is nested too deeply"


class Profiles:
    """The profiles of some folders, compiled when first claimed. Safe to share between threads."""

    __slots__ = ("_base", "_claims", "_elements", "_ready", "_sound", "by_url")

    def __init__(self, elements: Elements, base: R4, profiles: Mapping[str, Profile]) -> None:
        self.by_url = profiles
        self._elements = elements
        self._base = base
        self._ready: dict[tuple[str, str], tuple[Draft202012Validator, Schema]] = {}
        self._claims: dict[Any, tuple[Callable[[Any], bool], ...]] = {}
        self._sound: dict[str, Resource] = {}

    @classmethod
    def load(cls, *folders: Path | Traversable) -> Profiles:
        """The packaged profiles and those of `folders`, later ones replacing earlier ones of the same URL.

        Raises SettingsError for a file that does not fit the vocabulary of `profiles/README.md`.
        """
        return load(*folders)

    def check(self, resource: Resource) -> list[Issue]:
        """What is wrong with a resource by the profiles it claims, else by base R4; a Bundle with all its entries."""
        try:
            kind = resource["resourceType"]
            meta = resource.get("meta")
            claim = (kind, *meta["profile"]) if meta and "profile" in meta else kind
            checks = self._claims.get(claim)
            if checks and "contained" not in resource and all([valid(resource) for valid in checks]):
                return []
        except (KeyError, TypeError, AttributeError, ValueError):
            pass  # not even the outline of a resource: said below, with the place
        kind = kind_of(resource)
        try:
            return self.bundle(resource) if kind == "Bundle" else self._examine(resource, self._root(kind), {})
        except RecursionError:
            return [issue("BRG-P016", self._root(kind), UNSAYABLE)]

    def made(self, resource: Resource) -> list[Issue]:
        """As `check`, for what our own mappings make: a place, an organisation or a member of staff that was valid before and
        is the same again is not examined again."""
        if resource["resourceType"] not in RECURRING:
            return self.check(resource)
        if self._sound.get(resource["id"]) == resource:
            return []
        found = self.check(resource)
        if not found:
            if len(self._sound) >= MOST_SOUND:
                self._sound.clear()
            self._sound[resource["id"]] = deepcopy(resource)
        return found

    def _root(self, kind: str) -> str:
        """The head of every path; a type that R4 does not have is not repeated, for it may be anything."""
        return kind if kind in self._elements.known else "Resource"

    def bundle(self, bundle: Resource) -> list[Issue]:
        """What is wrong with a Bundle: its own rules, each entry's resource, and references between entries.

        `urn:uuid` and `urn:oid` references must resolve inside; a relative one that does not is a warning.
        """
        found = self._examine(bundle, "Bundle", {})
        entries = bundle.get("entry") if isinstance(bundle, dict) else None
        listed = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
        names, within = addresses(listed)
        found += broken_rules(bundle, listed)
        for index, entry in enumerate(listed):
            resource = entry.get("resource")
            if not isinstance(resource, dict):
                continue
            where = f"Bundle.entry[{index}].resource"
            if kind_of(resource) == "Bundle" or names or self.check(resource):
                found += self._examine(resource, where, names)
            found += unresolved(resource, where, names, within)
        return found

    def _examine(self, resource: Any, where: str, names: Mapping[str, str]) -> list[Issue]:
        """Every finding of one resource; `names` give addresses that name no type as `Type/id`."""
        kind = kind_of(resource)
        if kind not in self._elements.known:
            return [issue("BRG-P016", where, "not a FHIR R4 resource: resourceType is missing or unknown")]
        if kind not in self._elements.resources:
            return [issue("BRG-P016", where, f"{kind} is not among the types in use; its content is not checked", severity="warning")]
        found, urls = self._claimed(resource, kind, where)
        if "contained" in resource:
            names = {**names, **local(resource)}
            found += self._contained(resource, where, names)
        subject = rewrite(resource, names) if names else resource
        for url in urls:
            validator, schema = self._validator(kind, url)
            found += _errors(validator, schema, subject, where, self._elements.known)
        if not found:
            self._remember(resource, kind, urls)
        return _distinct(found)

    def _claimed(self, resource: Resource, kind: str, where: str) -> tuple[list[Issue], list[str]]:
        """The known profiles a resource claims ("" for base R4 alone), and what is wrong with the claims."""
        meta = resource.get("meta")
        claims = meta.get("profile") if isinstance(meta, dict) else None
        found, urls = [], []
        for index, claim in enumerate(claims if isinstance(claims, list) else ()):
            url = claim.partition("|")[0] if isinstance(claim, str) else ""
            profile = self.by_url.get(url)
            at = f"{where}.meta.profile[{index}]"
            if profile is None:
                found.append(issue("BRG-P017", at, "profile is not known here; the resource is checked as base R4", severity="warning"))
            elif profile.type != kind:
                found.append(issue("BRG-P020", at, f"profile is for {profile.type}", profile.name))
            elif url not in urls:
                urls.append(url)
        return found, urls or [""]

    def _contained(self, resource: Resource, where: str, names: Mapping[str, str]) -> Iterator[Issue]:
        """Contained resources by their own rules, and R4 dom-2 to dom-5."""
        contained = resource["contained"]
        if not isinstance(contained, list):
            return
        used = set(strings(resource))
        for index, inner in enumerate(contained):
            at = f"{where}.contained[{index}]"
            if not isinstance(inner, dict):
                continue
            meta = inner.get("meta")
            if "contained" in inner:
                yield issue("BRG-P018", at, "dom-2: a contained resource contains none")
            if f"#{inner.get('id')}" not in used and "#" not in set(strings(inner)):
                yield issue("BRG-P018", at, "dom-3: a contained resource is referred to from its container")
            if isinstance(meta, dict) and {"versionId", "lastUpdated", "security"} & meta.keys():
                yield issue("BRG-P018", at, "dom-4, dom-5: a contained resource has no version, update time or security label")
            yield from self._examine({k: v for k, v in inner.items() if k != "contained"}, at, names)

    def _validator(self, kind: str, url: str) -> tuple[Draft202012Validator, Schema]:
        """The compiled validator of a profile (base R4 for ""), with its schema for messages."""
        ready = self._ready.get((kind, url))
        if ready is None:
            schema = self._base.schema(kind)
            chain = [{"allOf": [each.overlay], "x": {"profile": each.name}} for each in self._lineage(url)]
            schema |= {"allOf": chain} if chain else {}
            ready = Draft202012Validator(schema, pattern_options=RegexOptions()), schema
            self._ready[kind, url] = ready
        return ready

    def _lineage(self, url: str) -> Iterator[Profile]:
        """The profile and its parents, nearest first."""
        while url:
            profile = self.by_url[url]
            yield profile
            url = profile.parent

    def _remember(self, resource: Resource, kind: str, urls: list[str]) -> None:
        """Keep the way to these validators for the next resource that claims the same."""
        claims = resource.get("meta", {}).get("profile")
        claim = (kind, *claims) if claims else kind
        if kind != "Bundle" and len(self._claims) < MOST_CLAIMS:
            self._claims[claim] = tuple(self._validator(kind, url)[0].is_valid for url in urls)


def _errors(validator: Draft202012Validator, schema: Schema, subject: Any, where: str, known: frozenset[str]) -> list[Issue]:
    found: list[Issue] = []
    try:
        for error in validator.iter_errors(subject):
            found += findings(error, schema, where, known)
            if len(found) >= MOST_ISSUES:
                break
    except (ValueError, TypeError):
        found.append(issue("BRG-P016", where, UNSAYABLE))
    return found


def _distinct(found: list[Issue]) -> list[Issue]:
    """One issue per place and rule: a profile, its parent and base R4 often object to the same thing, the nearest first."""
    broken = any(each.code == "BRG-P004" for each in found)
    kept: dict[tuple[str, str, str], Issue] = {}
    for each in found:
        if broken and each.code == "BRG-P014":
            continue  # an invariant says nothing about a resource whose outline is broken
        several = each.code in ("BRG-P009", "BRG-P014", "BRG-P018")
        kept.setdefault((each.code, each.where, each.text if several else ""), each)
    return list(kept.values())


def load(*folders: Path | Traversable) -> Profiles:
    """The packaged profiles and those of `folders` (see `Profiles.load`)."""
    return Profiles(*read(folders))
