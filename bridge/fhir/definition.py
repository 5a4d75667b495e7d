"""Reads profile files: YAML facts in the vocabulary of `profiles/README.md`, compiled when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from bridge.core.errors import SettingsError
from bridge.fhir import domain
from bridge.fhir.elements import Elements, load
from bridge.fhir.rules import Rules, both
from bridge.fhir.schema import R4, Schema

Folder = Path | Traversable

PACKAGED = ("us-core", "sdohcc")


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile file: what it is called, what it is for and what it adds to its parent."""

    name: str
    url: str
    version: str
    type: str
    parent: str
    overlay: Schema


def read(folders: Sequence[Folder]) -> tuple[Elements, R4, dict[str, Profile]]:
    """R4 with its invariants, and the packaged profiles with those of `folders`, by URL.

    Raises SettingsError for a file that does not fit the vocabulary.
    """
    elements = load()
    packaged = files("profiles")
    places = [*(packaged.joinpath(name) for name in PACKAGED), *folders]
    sets: dict[str, Any] = {}
    systems: dict[str, list[str]] = {}
    for place in places:
        listed = place.joinpath("sets.yaml")
        if listed.is_file():
            content = _yaml(listed)
            sets |= content.get("sets", {})
            systems |= content.get("systems", {})
    additions = _invariants(Rules(elements, sets, "profiles/r4/rules.yaml"), _yaml(packaged.joinpath("r4", "rules.yaml")))
    if systems:
        additions.setdefault("Coding", []).append(_listed(systems))
    facts = [(where, fact) for place in places for where, fact in _facts(place, elements)]
    named = {fact["profile"]: (fact["type"], fact["url"]) for _, fact in facts}
    domains = domain.read(places)
    profiles = {fact["url"]: _profile(Rules(elements, sets, where, named), fact, domains) for where, fact in facts}
    for profile in profiles.values():
        if profile.parent and profile.parent not in profiles:
            raise SettingsError(f"profile {profile.name}: its parent {profile.parent} is in none of the folders")
    return elements, R4(elements, additions), profiles


def _yaml(file: Folder) -> Any:
    try:
        return yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: not YAML: {error}") from error


def _facts(folder: Folder, elements: Elements) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name of the file, what it says) for each profile file of a folder; its subfolders are other things."""
    if not folder.is_dir():
        raise SettingsError(f"profiles_path: no folder {folder}")
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".yaml") or file.name == "sets.yaml":
            continue
        fact = _yaml(file)
        where = f"{folder.name}/{file.name}"
        if missing := {"profile", "url", "type"} - fact.keys():
            raise SettingsError(f"{where}: missing {', '.join(sorted(missing))}")
        if fact["type"] not in elements.resources:
            raise SettingsError(f"{where}: no table for type {fact['type']}")
        yield where, fact


def _profile(rules: Rules, fact: Mapping[str, Any], domains: Mapping[str, domain.Members]) -> Profile:
    """One profile file, compiled."""
    overlay = both(rules.overlay(fact["type"], fact.get("elements") or {}),
                   *(rules.invariant(fact["type"], each) for each in fact.get("invariants", ())),
                   *(_domain(rules, fact, of, element, domains) for of, element in fact.get("domain", {}).items()))
    return Profile(fact["profile"], fact["url"], str(fact.get("version", "")), fact["type"], fact.get("parent", ""), overlay)


def _domain(rules: Rules, fact: Mapping[str, Any], of: str, element: str, domains: Mapping[str, domain.Members]) -> Schema:
    """The binding by SDOH category: `domain: {Condition: code}` reads the members listed for Condition."""
    if of not in domains or not rules.elements.child(fact["type"], element):
        raise SettingsError(f"{rules.where}: domain: no members for {of}, or {fact['type']} has no {element}")
    members = [[system, code, categories] for (system, code), categories in domains[of].items()]
    return {"domain": {"element": element, "members": members}}


def _invariants(rules: Rules, facts: Mapping[str, Any]) -> dict[str, list[Schema]]:
    """R4 R4 invariants by type or backbone path."""
    return {path: [rules.invariant(path, each) for each in fact["invariants"]] for path, fact in facts.items()}


def _listed(systems: Mapping[str, list[str]]) -> Schema:
    """A Coding of a system that we list in full has a code that exists."""
    def of(system: str, codes: list[str]) -> Schema:
        return {"properties": {"system": {"const": system}, "code": {"enum": codes}}}

    named = {"properties": {"system": {"enum": list(systems)}}, "required": ["system", "code"]}
    return {"anyOf": [{"not": named}, *(of(system, codes) for system, codes in systems.items())], "x": {"system": True}}
