"""Reads rules of the house and jurisdiction overlays from YAML; mistakes are shown with file, line, caret and what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from bridge.consent import moment, project
from bridge.consent.house import EFFECTS, NEEDS, Between, Code, House, Overlay, Rule, What, Who
from bridge.consent.terms import ANY_PURPOSE, ICD10, LOINC, bare_code, rows
from bridge.consent.terms import load as load_terms
from bridge.core.errors import MappingError, SettingsError
from bridge.fhir.elements import load as load_elements
from bridge.language.syntax import Entries, Node, Place, Scalar, entries, fault, items, word
from bridge.language.syntax import load as load_tree

KEYS = ("rule", "because", "effect", "who", "what", "purpose", "action", "needs", "form", "since", "until", "jurisdiction", "tests")
WHO = ("kind", "partner", "flag", "custodian", "except")
WHAT = ("label", "type", "category", "code", "element", "programme")
OVERLAY = ("jurisdiction", "name", "about", "verified", "labels", "rules", "notice")
SYSTEMS = {"icd10": ICD10, "loinc": LOINC, "snomed": "http://snomed.info/sct"}
"""Short names of code systems in `code:`; any other is written as its URL."""
Local = Mapping[str, frozenset[Code]]


@dataclass(frozen=True, slots=True)
class Written:
    """A rule with where it stands and its tests, not yet read."""

    rule: Rule
    place: Place
    tests: Sequence[Node] = ()


@dataclass(frozen=True, slots=True)
class Shelf:
    """What some folders hold: the rules by name, and the overlays by code."""

    rules: Mapping[str, Written]
    overlays: Mapping[str, Overlay]
    more: Mapping[str, Written]
    """The rules of the overlays."""

    @property
    def house(self) -> House:
        """As the pipeline asks it."""
        return House(tuple(each.rule for each in self.rules.values()), self.overlays)

    @property
    def written(self) -> list[Written]:
        """Every rule, those of overlays last."""
        return [*self.rules.values(), *self.more.values()]


@cache
def packaged() -> Shelf:
    """What ships with us."""
    folder = files("profiles").joinpath("consent")
    return load([folder.joinpath("rules")], [folder.joinpath("jurisdictions")])


def load(rules: Iterable[Any], overlays: Iterable[Any] = ()) -> Shelf:
    """Every rule and overlay of these folders; of one name, that of the earlier folder counts. Raises MappingError."""
    found: dict[str, Written] = {}
    for folder in rules:
        for name, each in _folder(folder).items():
            found.setdefault(name, each)
    chosen: dict[str, tuple[Overlay, list[Written]]] = {}
    for folder in overlays:
        for file in _files(folder):
            overlay, written = read_overlay(file.read_text(encoding="utf-8"), str(file))
            chosen.setdefault(overlay.code, (overlay, written))
    more = {each.rule.name: each for _, written in chosen.values() for each in written}
    return Shelf(found, {code: overlay for code, (overlay, _) in chosen.items()}, more)


def at(paths: Iterable[Path]) -> Shelf:
    """The rules and overlays of these files and folders, whatever their names; raises MappingError."""
    rules: dict[str, Written] = {}
    overlays: dict[str, Overlay] = {}
    more: dict[str, Written] = {}
    for place in paths:
        for file in sorted(place.rglob("*.y*ml")) if place.is_dir() else [place]:
            text = file.read_text(encoding="utf-8")
            keys = load_tree(text, str(file)).keys
            if "rule" in keys or (place == file and "rules" not in keys):
                one = read(text, str(file))
                rules[one.rule.name] = one
            elif "rules" in keys and "jurisdiction" in keys:
                overlay, written = read_overlay(text, str(file))
                overlays[overlay.code] = overlay
                more.update({each.rule.name: each for each in written})
    return Shelf(rules, overlays, more)


def _folder(folder: Any) -> dict[str, Written]:
    found: dict[str, Written] = {}
    for file in _files(folder):
        one = read(file.read_text(encoding="utf-8"), str(file))
        if one.rule.name in found:
            raise fault(one.place, f"a rule `{one.rule.name}` is in {found[one.rule.name].place.source.name} too", hint="give it a name of its own")
        found[one.rule.name] = one
    return found


def _files(folder: Any) -> Iterator[Any]:
    yield from sorted((file for file in folder.iterdir() if file.name.endswith((".yaml", ".yml"))), key=lambda file: file.name)


def read(text: str, name: str) -> Written:
    """One rule from its file's text; raises MappingError."""
    return rule(load_tree(text, name), {})


def rule(tree: Entries, local: Local, jurisdiction: str = "") -> Written:
    """One rule from its tree. `local` are labels that its jurisdiction defines."""
    _only(tree, KEYS)
    name, effect = _text(tree, "rule", needed=True), _one(tree, "effect", EFFECTS)
    made = Rule(
        name=name, effect=effect, because=_text(tree, "because", needed=True),
        who=tuple(_between(entries(each, "who:")) for each in items(tree.get("who"))),
        what=_what(tree.get("what"), local),
        purposes=_listed(tree, "purpose", set(load_terms().purposes) - {ANY_PURPOSE}),
        actions=_listed(tree, "action", load_terms().actions),
        needs=tuple(sorted(_listed(tree, "needs", NEEDS))), forms=frozenset(word(each, "form:") for each in items(tree.get("form"))),
        since=_date(tree, "since"), until=_date(tree, "until"), jurisdiction=jurisdiction or _text(tree, "jurisdiction"))
    _sensible(made, tree)
    return Written(made, tree.keys["rule"].place, tuple(items(tree.get("tests"))))


def _sensible(made: Rule, tree: Entries) -> None:
    """An effect has what it needs, and nothing it cannot use."""
    place, what = (tree.get("effect") or tree).place, made.what
    if made.effect == "require" and not (made.needs or made.forms):
        raise fault(place, "`require` says what the permit must have", hint=f"needs: [{', '.join(NEEDS)}], or form: [code or URI]")
    if made.effect != "require" and (made.needs or made.forms):
        raise fault(place, f"`needs:` and `form:` go with `effect: require`, not with `{made.effect}`")
    if made.effect == "redact" and not (what.elements or what.picks):
        hint = "to keep back everything write: effect: withhold"
        raise fault(place, "`redact` takes something out: it needs an element, a label or a code", hint=hint)
    if made.effect in ("withhold", "allow") and what.elements:
        raise fault(place, f"`{made.effect}` is about whole resources", hint="to take out an element write: effect: redact")
    if made.effect == "allow":
        reach = load_terms().facts["default_purposes"]
        if what.picks:
            raise fault(place, "`allow` reaches data without labels only, so it cannot be about a label or a code")
        if not made.purposes or not all(load_terms().within(each, reach) for each in made.purposes):
            raise fault(place, f"`allow` names its purposes, and they are within {', '.join(reach)}", hint="purpose: [TREAT]")


def _between(tree: Entries) -> Between:
    _only(tree, WHO)
    custodian, but = tree.get("custodian"), tree.get("except")
    others = [None if node is None else _side(_sub(node, what)) for node, what in ((custodian, "custodian:"), (but, "except:"))]
    return Between(_side(tree), *others)


def _sub(node: Node, what: str) -> Entries:
    tree = entries(node, what)
    _only(tree, WHO[:3])
    return tree


def _side(tree: Entries) -> Who:
    return Who(frozenset(_kind(each) for each in items(tree.get("kind"))),
               frozenset(word(each, "partner:") for each in items(tree.get("partner"))), _listed(tree, "flag", flags()))


def _kind(node: Node) -> str:
    """A kind of recipient by its own name, whichever of its names is written."""
    said = word(node, "kind:")
    try:
        return project.load(said).kind
    except SettingsError as error:
        raise fault(node.place, f"there is no kind of recipient `{said}`", said, str(error).partition("there are: ")[2].split(", ")) from None


@cache
def flags() -> Mapping[str, str]:
    """What a partner can be besides its kind, with what it means."""
    return {row["flag"]: row["meaning"] for row in rows(files("profiles").joinpath("consent", "flags.csv"))}


@cache
def categories() -> frozenset[str]:
    """The categories of SDOH Clinical Care."""
    sets = yaml.safe_load(files("profiles").joinpath("sdohcc", "sets.yaml").read_text("utf-8"))["sets"]
    return frozenset(code for codes in sets["SDOHCC-ValueSetSDOHCategory"].values() for code in codes)


def _what(node: Node | None, local: Local) -> What:
    if node is None:
        return What()
    tree = entries(node, "what:")
    _only(tree, WHAT)
    terms, labels = load_terms(), items(tree.get("label"))
    known = {*terms.canonical.values(), *(code for _, code in terms.canonical), *terms.ranks, *terms.refrains, "42CFRPart2", *local}
    said = [_known(each, known, "a label") for each in labels]
    others = {*terms.ranks, *terms.refrains, *local}
    return What(
        types=_listed(tree, "type", load_elements().known), categories=_listed(tree, "category", categories()),
        programmes=frozenset(word(each, "programme:") for each in items(tree.get("programme"))),
        labels=frozenset(terms.canonical.get(("", one), one) for one in said if one not in others),
        levels=frozenset(terms.ranks[one] for one in said if one in terms.ranks),
        tags=frozenset(one for one in said if one in terms.refrains),
        local=frozenset(code for one in said for code in local.get(one, ())),
        codes=frozenset(_code(each) for each in items(tree.get("code"))),
        elements=frozenset(_element(each) for each in items(tree.get("element"))))


def _code(node: Node) -> Code:
    said = word(node, "code:")
    system, bar, code = said.partition("|")
    if not bar or not code or not (system in SYSTEMS or ":" in system):
        raise fault(node.place, f"`{said}` is no code", hint=f"write system|code with {', '.join(SYSTEMS)} or a URL, e.g. icd10|Z59.41")
    name = load_terms().system(SYSTEMS.get(system, system))
    return name, bare_code(name, code)


def _element(node: Node) -> str:
    said = word(node, "element:")
    type_, dot, name = said.partition(".")
    known = load_elements()
    if not dot or type_ not in known.known:
        raise fault(node.place, f"`{said}` is no element", type_, known.resources, hint="" if dot else "write Type.element, e.g. Patient.identifier")
    names = {each.name for each in known.children(type_)} | {each.choice for each in known.children(type_) if each.choice}
    if type_ in known.resources and name.removesuffix("[x]") not in names:
        raise fault(node.place, f"{type_} has no element `{name}`", name, names)
    return said


def read_overlay(text: str, name: str) -> tuple[Overlay, list[Written]]:
    """One jurisdiction from its file's text, with its rules as written; raises MappingError."""
    tree = load_tree(text, name)
    _only(tree, OVERLAY)
    code = _text(tree, "jurisdiction", needed=True)
    local = {key.text: _local(entries(node, "a label")) for key, node in entries(tree.get("labels") or Entries(tree.place), "labels:")}
    written = [rule(entries(each, "a rule"), local, code) for each in items(tree.get("rules"))]
    notice = entries(tree.get("notice") or Entries(tree.place), "notice:")
    _only(notice, ("for", "text"))
    made = Overlay(code, _text(tree, "name", needed=True), _one(tree, "verified", ("yes", "no")) == "yes", tuple(each.rule for each in written),
                   _text(notice, "text"), _what(notice.get("for"), local))
    return made, written


def _local(tree: Entries) -> frozenset[Code]:
    """A label of a jurisdiction's own: codes by system."""
    found = set[Code]()
    for key, node in tree:
        if key.text not in SYSTEMS and ":" not in key.text:
            raise fault(key.place, f"`{key.text}` is no code system", key.text, SYSTEMS)
        name = load_terms().system(SYSTEMS.get(key.text, key.text))
        found |= {(name, bare_code(name, word(each, "a code"))) for each in items(node)}
    return frozenset(found)


def _only(tree: Entries, known: Iterable[str]) -> None:
    for key, _ in tree:
        if key.text not in known:
            raise fault(key.place, f"no key `{key.text}` here", key.text, known)


def _text(tree: Entries, key: str, needed: bool = False) -> str:
    node = tree.get(key)
    if node is None and needed:
        raise fault(tree.place, f"`{key}:` is missing")
    return "" if node is None else word(node, f"{key}:")


def _one(tree: Entries, key: str, known: Iterable[str]) -> str:
    _text(tree, key, needed=True)
    return _known(tree.values[key], known, f"`{key}:`")


def _known(node: Node, known: Iterable[str], what: str) -> str:
    said = word(node, what)
    if said not in set(known):
        raise fault(node.place, f"`{said}` is not known as {what}", said, known)
    return said


def _listed(tree: Entries, key: str, known: Iterable[str]) -> frozenset[str]:
    return frozenset(_known(each, known, f"`{key}:`") for each in items(tree.get(key)))


def _date(tree: Entries, key: str) -> str:
    said = _text(tree, key)
    if said:
        try:
            moment.span(said, ZoneInfo("UTC"))
        except ValueError:
            raise fault(_scalar(tree, key).place, f"`{said}` is no date", hint="write 2026, 2026-11 or 2026-11-21; both ends are included") from None
    return said


def _scalar(tree: Entries, key: str) -> Scalar:
    node = tree.get(key)
    if not isinstance(node, Scalar):
        raise MappingError(f"{key}: is a single word")
    return node
