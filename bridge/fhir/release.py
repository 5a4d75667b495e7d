"""Resources of SDOH Clinical Care 3.0.0 in the form of 2.2 or 2.3, and back; what differs is data (`profiles/releases/sdohcc.yaml`).

A resource that comes back is the one that went, but for what `lost` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Resource = dict[str, Any]
Coding = Mapping[str, str]

UNSPECIFIED = "sdoh-category-unspecified"


@cache
def facts() -> dict[str, Any]:
    """The file, read once."""
    content: dict[str, Any] = yaml.safe_load(files("profiles").joinpath("releases", "sdohcc.yaml").read_bytes())
    return content


def releases() -> tuple[str, ...]:
    """The releases that a partner may speak."""
    return tuple(facts()["releases"])


def down(resource: Resource, release: str) -> tuple[Resource, list[str]]:
    """(a resource of 3.0.0 as this release has it, the codes that could not be kept). Raises KeyError for an unknown release."""
    differs = facts()["releases"][release]
    if not differs:
        return resource, []
    lost: list[str] = []
    system, unknown, domain = facts()["system"], set(differs["unknown"]), set(differs["domain"])

    def concept(value: Resource) -> Resource:
        codings = value["coding"]
        gone = [each for each in codings if each.get("system") == system and each.get("code") in unknown | domain]
        if not gone:
            return value
        if "text" in value or len(gone) > 1 or gone[0].keys() > {"system", "code"}:
            lost.extend(each["code"] for each in gone)  # the text can hold one code, and nothing beside it
        kept = [each for each in codings if each not in gone]
        if any(each["code"] in domain for each in gone):
            kept = [*kept, {"system": system, "code": UNSPECIFIED}]
        named = {"text": value.get("text", gone[0]["code"])}
        return {**{key: each for key, each in value.items() if key != "coding"}, **({"coding": kept} if kept else {}), **named}

    made = _concepts(resource, concept)
    claims = _claims(resource)
    for claim, coding in differs.get("category", {}).items():
        if claim in claims:
            made = _with_category(made, coding)
    return _claiming(made, [differs["claims"].get(each, {"use": each})["use"] for each in claims]), lost


def up(resource: Resource, release: str) -> Resource:
    """A resource of this release as 3.0.0 has it; also reads the names that older senders still write."""
    differs, system = facts()["releases"][release], facts()["system"]
    again = {*differs.get("unknown", ()), *differs.get("domain", ())}

    def concept(value: Resource) -> Resource:
        codings = [new for each in value.get("coding", ()) for new in _current(each)]
        text = value.get("text")
        if text in again and not any(each.get("system") == system and each.get("code") != UNSPECIFIED for each in codings):
            codings = [each for each in codings if (each.get("system"), each.get("code")) != (system, UNSPECIFIED)]
            return {"coding": [*codings, {"system": system, "code": text}], **{k: v for k, v in value.items() if k not in ("coding", "text")}}
        return {**value, "coding": codings} if codings else value

    made = _concepts(resource, concept)
    claims = [_signed(made, each, differs.get("claims", {})) for each in _claims(resource)] or [
        found for found in [_signed(made, "", differs.get("claims", {}))] if found]
    for claim, coding in facts()["demanded"].items():
        if claim in claims:
            made = _with_category(made, coding)
    for claim, coding in differs.get("category", {}).items():
        if claim in claims:
            made = made | {"category": [each for each in made["category"] if each != {"coding": [dict(coding)]}]}
    return _claiming(made, claims)


def _current(coding: Resource) -> list[Resource]:
    """A coding under the names of today."""
    system = facts()["systems"].get(coding.get("system"), coding.get("system"))
    if system != facts()["system"]:
        return [coding]
    return [{**coding, "system": system, "code": code} for code in facts()["codes"].get(coding.get("code"), [coding.get("code")])]


def _concepts(value: Any, change: Callable[[Resource], Resource]) -> Any:
    """The value with every CodeableConcept changed; a concept is what has a list of codings, or a text and nothing else."""
    if isinstance(value, dict):
        if isinstance(value.get("coding"), list) or value.keys() == {"text"}:
            return change(value)
        return {name: _concepts(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_concepts(inner, change) for inner in value]
    return value


def _with_category(resource: Resource, coding: Coding) -> Resource:
    """The resource with a category of this coding."""
    categories = resource.get("category", [])
    if any(all(inner.get(key) == part for key, part in coding.items()) for each in categories for inner in each.get("coding", ())):
        return resource
    return resource | {"category": [*categories, {"coding": [dict(coding)]}]}


def _signed(resource: Resource, claim: str, known: Mapping[str, Any]) -> str:
    """The profile of 3.0.0 that a claim stands for: the sign of it is in the resource."""
    for url, fact in known.items():
        sign = fact["sign"]
        listed = resource.get(sign.get("element"), [])
        coded = {inner.get("code") for each in (listed if isinstance(listed, list) else [listed]) for inner in each.get("coding", ())}
        extended = {each.get("url") for each in resource.get("extension", ())}
        if fact["use"] == claim and (sign.get("code") in coded or sign.get("extension") in extended):
            return url
    return claim


def _claims(resource: Resource) -> list[str]:
    """The profiles that a resource claims, without their versions: they differ between releases."""
    return [each.partition("|")[0] for each in resource.get("meta", {}).get("profile", ())]


def _claiming(resource: Resource, claims: list[str]) -> Resource:
    """The resource with these claims."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key != "profile"}
    if listed := [each for each in claims if each]:
        meta["profile"] = listed
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return ({"resourceType": rest.pop("resourceType"), "meta": meta} if meta else {}) | rest
