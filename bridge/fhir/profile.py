"""Checks resources and Bundles against base R4 and the profiles they claim.

A valid resource costs one pass of a compiled validator; words for people are made only when something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions

from bridge.core.issue import Issue
from bridge.fhir.bundle import addresses, broken_rules
from bridge.fhir.definition import Profile, read
from bridge.fhir.domain import Domain
from bridge.fhir.elements import Elements
from bridge.fhir.fhirpath import compiled
from bridge.fhir.finding import findings, issue
from bridge.fhir.reference import kind_of, local, strings
from bridge.fhir.schema import R4, Schema
from bridge.fhir.target import HERE, Fits, Target, asked, within

Resource = dict[str, Any]
Ways = dict[Any, tuple[Callable[[Any], bool], ...]]
"""The validators of what a resource claims, by type and claims."""

MOST_ISSUES = 100
MOST_CLAIMS = 500
"""Combinations of claimed profiles that are remembered; they come from outside, so their number must have an end."""
RECURRING = frozenset({"Organization", "Location", "Practitioner", "PractitionerRole"})
MOST_SOUND = 4096
"""Resources of these types that are remembered as valid."""
UNSAYABLE = "the resource holds something that JSON cannot say, or is nested too deeply"


class Expression:
    """The schema keyword `fhirpath`: an invariant as a closure, called for the elements that its schema leaves to it."""

    def __init__(self, parent: Any, text: str, path: Any) -> None:
        self._holds = compiled(text)

    def validate(self, value: Any) -> None:
        """Raise where the invariant does not hold."""
        if not self._holds(value):
            raise ValueError("invariant")


class Profiles:
    """The profiles of some folders, compiled when first claimed. Safe to share between threads."""

    __slots__ = ("_alone", "_base", "_elements", "_kinds", "_lines", "_ready", "_sound", "_together", "by_url")

    def __init__(self, elements: Elements, base: R4, profiles: Mapping[str, Profile]) -> None:
        self.by_url = profiles
        self._elements = elements
        self._base = base
        self._ready: dict[tuple[str, str, bool], tuple[Draft202012Validator, Schema]] = {}
        self._kinds: frozenset[str] | None = None
        self._alone: Ways = {}
        self._together: Ways = {}
        self._lines = {url: frozenset(each.url for each in self._lineage(url)) for url in profiles}
        self._sound: dict[str, Resource] = {}

    @classmethod
    def load(cls, *folders: Path | Traversable) -> Profiles:
        """The packaged profiles and those of `folders`, later ones replacing earlier ones of the same URL.

        Raises SettingsError for a file that does not fit the vocabulary of `profiles/README.md`.
        """
        return load(*folders)

    def check(self, resource: Resource) -> list[Issue]:
        """What is wrong with a resource by the profiles it claims, else by base R4; a Bundle with all its entries."""
        if _known(resource, self._alone):
            return []
        kind = kind_of(resource)
        try:
            return self.bundle(resource) if kind == "Bundle" else self._examine(resource, self._root(kind))
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

        A reference that an entry answers to leads to the type and the profile that are asked for; `urn:uuid` and `urn:oid`
        references must resolve inside; a relative one that does not is a warning.
        """
        found = [] if self._outline(bundle) else self._examine(bundle, "Bundle")
        entries = bundle.get("entry") if isinstance(bundle, dict) else None
        listed = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
        found += broken_rules(bundle, listed)
        return found + self._entries([each.get("resource") for each in listed], addresses(listed))

    def among(self, resources: Sequence[Resource]) -> dict[int, list[Issue]]:
        """The references between these resources that lead to one which does not meet the profile asked for, by place.

        Only a resource that claims nothing can be such a one, so a draft without any costs a look at each.
        """
        if all("profile" in each.get("meta", ()) or each["resourceType"] not in self._asked() for each in resources):
            return {}
        held = {f"{each['resourceType']}/{each['id']}": each for each in resources if "id" in each}
        found = {place: self._entries([each], held, "{1}") for place, each in enumerate(resources)}
        return {place: wrong for place, issues in found.items() if (wrong := [each for each in issues if each.code == "BRG-P021"])}

    def _asked(self) -> frozenset[str]:
        """The resource types of which some profile asks that the target of a reference meets a profile."""
        if self._kinds is None:
            self._kinds = frozenset(kind for each in self.by_url.values() for kind in asked(each.overlay))
        return self._kinds

    def _outline(self, bundle: Resource) -> bool:
        """Whether the Bundle itself, without what its entries hold, is valid."""
        try:
            return kind_of(bundle) == "Bundle" and "meta" not in bundle and self._validator("Bundle", "", together=False)[0].is_valid(bundle)
        except (ValueError, TypeError):
            return False

    def _entries(self, resources: Sequence[Any], held: Mapping[str, Resource], where: str = "Bundle.entry[{0}].resource") -> list[Issue]:
        """What is wrong with the resources of a Bundle whose entries answer to the addresses in `held`."""
        found: list[Issue] = []
        before = HERE.entries, HERE.fits
        HERE.entries, HERE.fits = held, self._fitting()
        try:
            for index, resource in enumerate(resources):
                if isinstance(resource, dict) and not _known(resource, self._together):
                    found += self._examine(resource, where.format(index, resource.get("resourceType")))
        finally:
            HERE.entries, HERE.fits = before
        return found

    def _fitting(self) -> Fits:
        """Whether a resource conforms to a profile, each pair asked once: by what it claims, else by what it holds."""
        known: dict[tuple[int, str], bool] = {}

        def fits(resource: Resource, kind: str, url: str) -> bool:
            meta = resource.get("meta")
            claims = meta.get("profile") if isinstance(meta, dict) else None
            if isinstance(claims, list) and any(url in self._lines.get(each, ()) for each in claims if isinstance(each, str)):
                return True  # a claim that does not hold is an error where it is made
            if (said := known.get((id(resource), url))) is None:
                said = known[id(resource), url] = url not in self.by_url or not self._errors(resource, kind, [url], kind)
            return said

        return fits

    def _examine(self, resource: Any, where: str, container: Resource | None = None) -> list[Issue]:
        """Every finding of one resource; a contained one refers to its container's."""
        kind = kind_of(resource)
        if kind not in self._elements.known:
            return [issue("BRG-P016", where, "not a FHIR R4 resource: resourceType is missing or unknown")]
        if kind not in self._elements.resources:
            return [issue("BRG-P016", where, f"{kind} is not among the types in use; its content is not checked", severity="warning")]
        found, urls = self._claimed(resource, kind, where)
        before = HERE.contained
        HERE.contained = local(container or resource) if "contained" in (container or resource) else {}
        try:
            if "contained" in resource:
                found += self._contained(resource, where)
            found += self._errors(resource, kind, urls, where)
        finally:
            HERE.contained = before
        if not found and container is None:
            self._remember(resource, kind, urls)
        return _distinct(found)

    def _errors(self, resource: Any, kind: str, urls: Sequence[str], where: str) -> list[Issue]:
        """What the validators of these profiles ("" for base R4) object to."""
        together = HERE.entries is not None or bool(HERE.contained)
        found: list[Issue] = []
        for url in urls:
            validator, schema = self._validator(kind, url, together=together)
            found += _errors(validator, schema, resource, where, self._elements.known)
        return found

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

    def _contained(self, resource: Resource, where: str) -> Iterator[Issue]:
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
            yield from self._examine({k: v for k, v in inner.items() if k != "contained"}, at, resource)

    def _validator(self, kind: str, url: str, *, together: bool) -> tuple[Draft202012Validator, Schema]:
        """The compiled validator of a profile (base R4 for ""), with its schema for messages.

        `together`: for a resource among others, whose references are judged by what they lead to (`bridge.fhir.target`).
        """
        ready = self._ready.get((kind, url, together))
        if ready is None:
            schema = self._base.schema(kind)
            chain = [{"allOf": [each.overlay], "x": {"profile": each.name}} for each in self._lineage(url)]
            schema |= {"allOf": chain} if chain else {}
            keywords: dict[str, type] = {"fhirpath": Expression, "domain": Domain}
            if together:
                schema, keywords = within(schema), {**keywords, "targets": Target}
            ready = Draft202012Validator(schema, pattern_options=RegexOptions(), keywords=keywords), schema
            self._ready[kind, url, together] = ready
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
        together = HERE.entries is not None
        ways = self._together if together else self._alone
        if kind != "Bundle" and len(ways) < MOST_CLAIMS:
            ways[(kind, *claims) if claims else kind] = tuple(self._validator(kind, url, together=together)[0].is_valid for url in urls)


def _known(resource: Any, ways: Ways) -> bool:
    """Whether the resource is valid by validators that its claims have been through before; False when that is not known."""
    try:
        kind = resource["resourceType"]
        meta = resource.get("meta")
        checks = ways.get((kind, *meta["profile"]) if meta and "profile" in meta else kind)
        return checks is not None and "contained" not in resource and all([valid(resource) for valid in checks])
    except (KeyError, TypeError, AttributeError, ValueError):
        return False  # not even the outline of a resource: `_examine` says so, with the place


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
