"""Read programme rows (`mappings/programmes/*.yaml`) with the language of the mappings, and run their inline tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from bridge.core.draft import Draft, Question
from bridge.fhir.elements import Elements
from bridge.fhir.elements import load as load_elements
from bridge.language.compile import Compiler, Context
from bridge.language.source import DraftSource, Fields
from bridge.language.syntax import Entries, Items, Node, Scalar, fault
from bridge.language.syntax import load as load_tree
from bridge.language.table import CodeSet, digest, read_set
from bridge.referral.need import CATEGORIES
from bridge.referral.partner import Partner
from bridge.referral.programme import Check, Checklist, No, Opening, Row, Rule, Truth, Waiting, evaluate
from bridge.referral.rows import plain
from bridge.referral.state import STATUSES

FACTS: Fields = {
    "event": "string", "at": "dateTime", "needs": "code*",
    "partner": {"id": "string", "name": "string", "kind": "string", "serves": "string*", "counties": "string*",
                "states": "string*", "zips": "string*"},
}
KEYS = frozenset({
    "programme", "about", "trigger", "let", "eligible", "for", "need", "recipient", "service", "category",
    "domain", "priority", "opens", "payload", "consent", "clock", "unit", "measures", "checklist", "tests",
})


@dataclass(frozen=True, slots=True)
class Ground:
    """What rows are compiled against: the element table, and the code sets that expressions may name."""

    elements: Elements
    sets: Mapping[str, CodeSet] = field(default_factory=dict)


@cache
def packaged() -> tuple[Row, ...]:
    """The rows that ship with us, over the packaged sets."""
    folder = files("mappings")
    return load(folder.joinpath("programmes"), ground=ground(folder.joinpath("sets")))


def ground(*folders: Any) -> Ground:
    """The element table with the sets of these folders; the first folder that has a set wins."""
    sets: dict[str, CodeSet] = {}
    for folder in folders:
        for file in _files(folder, ".csv"):
            sets.setdefault(file.name.removesuffix(".csv"), read_set(file.read_text(encoding="utf-8"), file.name))
    return Ground(load_elements(), sets)


def load(*folders: Any, ground: Ground) -> tuple[Row, ...]:
    """Every row of these folders, by file name; a row of an earlier folder wins over one of the same name.

    Raises MappingError with file, line and column.
    """
    found: dict[str, Row] = {}
    for folder in folders:
        for file in _files(folder, ".yaml"):
            row = read(file.read_text(encoding="utf-8"), file.name, ground)
            found.setdefault(row.programme, row)
    return tuple(found.values())


def read(text: str, name: str, ground: Ground) -> Row:
    """One row from its YAML text; raises MappingError with file, line and column."""
    tree = load_tree(text, name)
    _only(tree, KEYS)
    compiler = Compiler(DraftSource(ground.elements, FACTS), ground.elements, {}, ground.sets)
    compiler.lets.update({key.text: compiler.expression(_scalar(node)) for key, node in _entries(tree, "let")})
    trigger, consent, clock, opens = (_under(tree, key) for key in ("trigger", "consent", "clock", "opens"))
    service = _under(tree, "service")
    return Row(
        _text(tree, "programme", needed=True), _text(tree, "about", needed=True), _words(trigger, "events"),
        _condition(compiler, trigger, "when"), tuple(_checks(compiler, tree)), _one(tree, "for", ("visit", "need"), "visit"),
        _categories(tree), _rule(compiler, tree), compiler.slots, compiler.caches,
        domain=_text(tree, "domain"), category=_text(tree, "category") or "sdoh-category-unspecified",
        service=(_text(service, "code", needed=True), _text(service, "text")) if "service" in tree.values else None,
        priority=_one(tree, "priority", ("routine", "urgent", "asap", "stat"), "routine"),
        status=_one(opens, "status", STATUSES, "requested"), business=_text(opens, "business") or "sent",
        payload=_text(tree, "payload"), purpose=_text(consent, "purpose") or "TREAT", scope=_words(consent, "scope"),
        hours=_hours(clock), unit=_text(tree, "unit"), measures=_words(tree, "measures"), checklist=_checklist(tree),
        version=digest(text), tests=tuple(plain(item) for item in _items(tree, "tests")),
    )


def cases(row: Row) -> Iterator[tuple[str, list[str]]]:
    """Run the row's inline tests: (name, what is wrong), an empty list when the case holds.

    A case gives resources by type, open `questions` (code tables), `partners` and an `event`, and expects `openings`
    (`need partner` or `partner`), `no` (reasons) and `waiting` (tables).
    """
    for case in row.tests:
        found = evaluate(_draft(case), row, _partners(case), _questions(case), case.get("at", "2026-05-01T12:00:00Z"))
        openings = [f"{one.need} {one.recipient.id}".strip() for one in found if isinstance(one, Opening)]
        no = [reason for one in found if isinstance(one, No) for reason in one.reasons]
        waiting = [one.question.table for one in found if isinstance(one, Waiting)]
        expect = case.get("expect", {})
        wrong = [
            f"{key}: expected {expect.get(key, [])}, found {got}"
            for key, got in (("openings", openings), ("no", no), ("waiting", waiting)) if got != expect.get(key, [])
        ]
        yield case.get("name", "?"), wrong


def _draft(case: Mapping[str, Any]) -> Draft:
    resources = []
    for type_, given in case.get("given", {}).items():
        for index, one in enumerate(given if isinstance(given, list) else [given]):
            resources.append({"resourceType": type_, "id": f"{type_.lower()}{index or ''}", **one})
    return Draft(tuple(resources), case.get("event", ""), case.get("at", "2026-05-01T12:00:00Z"), "case", "", "patient")


def _questions(case: Mapping[str, Any]) -> list[Question]:
    return [Question("code", "no row", table=table) for table in case.get("questions", ())]


def _partners(case: Mapping[str, Any]) -> list[Partner]:
    return [
        Partner(
            id_, id_, facts.get("kind", "cbo-minimum"), tuple(facts.get("serves", ())), tuple(facts.get("counties", ())),
            tuple(facts.get("states", ())), tuple(facts.get("zips", ())),
        )
        for id_, facts in case.get("partners", {}).items()
    ]


def _checks(compiler: Compiler, tree: Entries) -> Iterator[Check]:
    for key, node in _entries(tree, "eligible"):
        if isinstance(node, Scalar):
            yield Check(key.text, compiler.truth(compiler.expression(node), Context()))
        else:
            body = _mapping(node)
            _only(body, {"when", "needs"})
            truth = _condition(compiler, body, "when")
            if truth is None:
                raise fault(key.place, f"the check `{key.text}` has no `when:`")
            yield Check(key.text, truth, _words(body, "needs"))


def _rule(compiler: Compiler, tree: Entries) -> Rule:
    body = _under(tree, "recipient")
    _only(body, {"partner", "kind", "serves", "area", "when"})
    return Rule(_text(body, "partner"), _text(body, "kind"), _text(body, "serves"),
                _one(body, "area", ("home", ""), "") == "home", _condition(compiler, body, "when"))


def _checklist(tree: Entries) -> Checklist | None:
    if "checklist" not in tree.values:
        return None
    body = _under(tree, "checklist")
    _only(body, {"items", "required"})
    listed = _under(body, "items")
    items = {key.text: _one(listed, key.text, ("true", "false"), "") == "true" for key, _ in listed}
    return Checklist(items, _words(body, "required"))


def _categories(tree: Entries) -> tuple[str, ...]:
    found = _words(tree, "need")
    for word in found:
        if word not in CATEGORIES:
            raise fault(tree.place, f"`{word}` is no SDOHCC category", word, CATEGORIES)
    return found


def _hours(clock: Entries) -> int:
    """`contact: PT48H` as hours."""
    text = _text(clock, "contact")
    if text and not (text.startswith("PT") and text.endswith("H") and text[2:-1].isdigit()):
        raise fault(clock.place, "a clock is written in hours: PT48H")
    return int(text[2:-1]) if text else 0


def _condition(compiler: Compiler, tree: Entries, key: str) -> Truth | None:
    node = tree.get(key)
    return None if node is None else compiler.truth(compiler.expression(_scalar(node)), Context())


def _files(folder: Any, ending: str) -> Iterable[Any]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(ending)), key=lambda file: file.name)


def _only(tree: Entries, known: Iterable[str]) -> None:
    for key, _ in tree:
        if key.text not in known:
            raise fault(key.place, f"no key `{key.text}` here", key.text, known)


def _scalar(node: Node) -> Scalar:
    if not isinstance(node, Scalar):
        raise fault(node.place, "a text is due here")
    return node


def _mapping(node: Node) -> Entries:
    if not isinstance(node, Entries):
        raise fault(node.place, "`name: value` lines are due here")
    return node


def _under(tree: Entries, key: str) -> Entries:
    node = tree.get(key)
    return Entries(tree.place) if node is None else _mapping(node)


def _entries(tree: Entries, key: str) -> Iterator[tuple[Scalar, Node]]:
    return iter(_under(tree, key))


def _items(tree: Entries, key: str) -> Sequence[Node]:
    node = tree.get(key)
    if node is None:
        return ()
    return node.items if isinstance(node, Items) else [node]


def _words(tree: Entries, key: str) -> tuple[str, ...]:
    return tuple(_scalar(item).literal for item in _items(tree, key))


def _text(tree: Entries, key: str, needed: bool = False) -> str:
    node = tree.get(key)
    if node is None and needed:
        raise fault(tree.place, f"`{key}:` is missing")
    return "" if node is None else _scalar(node).literal


def _one(tree: Entries, key: str, known: Iterable[str], default: str) -> str:
    node, text = tree.get(key), _text(tree, key)
    if text and text not in known and node is not None:
        raise fault(node.place, f"`{text}` is not known here", text, known)
    return text or default

