"""Inline tests: `given`, `change`, `expect`. One reader and one judge for mappings, programme rows and consent rules.

A kind of file says how a case is run (a callable from given and change to facts) and how a key of `expect` is read off the
facts; comparing, and saying what differs, happens here. Test examples are synthetic, so failures may show their values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.core.draft import Draft
from bridge.language.lift import spoken
from bridge.language.syntax import Entries, Items, Node, Place, Scalar, entries, fault, items, plain, word

KEYS = ("name", "given", "feed", "change", "append", "expect", "absent", "golden")


@dataclass(frozen=True, slots=True)
class Case:
    """One inline test as written. `change` is path -> new text (None deletes); `expect` key -> texts, in order."""

    name: str
    place: Place
    given: str
    feed: str = ""
    change: Mapping[str, Any] = field(default_factory=dict)
    append: tuple[str, ...] = ()
    expect: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    golden: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a case ended: `failures` are sentences, none when it passed."""

    file: str
    line: int
    name: str
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}: {self.name}"
        return head if self.passed else "\n".join([head, *(f"  {failure}" for failure in self.failures)])


Observe = Callable[[str], Sequence[str]]
"""(key of expect) -> the texts found; raises KeyError for a key that it cannot read."""


def read(node: Node | None, more: Iterable[str] = ()) -> list[Case]:
    """The cases of a `tests:` list; `more` are further keys, kept as plain data. Raises MappingError."""
    known = (*KEYS, *more)
    return [_case(entries(item, "a test"), known) for item in items(node)]


def _case(node: Entries, known: tuple[str, ...]) -> Case:
    for key, _ in node:
        if key.text not in known:
            raise fault(key.place, f"no key `{key.text}` in a test", key.text, known)
    expect = node.get("expect") or Entries(node.place)
    wanted = entries(expect, "expect:")
    change = node.get("change")
    absent = [word(item, "absent:") for item in [*items(node.get("absent")), *items(wanted.get("absent"))]]
    golden = node.get("golden") or wanted.get("golden")
    listed = [(key, value) for key, value in wanted if key.text not in ("absent", "golden")]
    if not listed and not absent and golden is None and not any(name not in KEYS for name in node.keys):
        raise fault(node.place, "a test expects something", hint="expect: {path: value}, absent: [path] or golden: name")
    return Case(
        _word(node, "name") or f"line {node.place.line}", node.place, _word(node, "given"), _word(node, "feed"),
        plain(entries(change, "change:")) if change is not None else {},
        tuple(word(item, "append:") for item in items(node.get("append"))),
        {key.text: _wanted(value) for key, value in listed}, {key.text: key.place for key, _ in listed},
        tuple(absent), word(golden, "golden:") if golden is not None else "",
        {name: plain(value) for name, value in node.values.items() if name not in KEYS})


def _word(node: Entries, name: str) -> str:
    found = node.get(name)
    return "" if found is None else word(found, f"{name}:")


def _wanted(node: Node) -> tuple[str, ...]:
    if isinstance(node, Items):
        return tuple(word(item, "an expected value") for item in node.items)
    if isinstance(node, Scalar):
        return () if node.null else (node.literal,)
    raise fault(node.place, "expect: takes paths with values, not nested mappings", hint="Encounter.period.end: 2026-05-01")


def judge(case: Case, observe: Observe) -> Result:
    """Compare what a case expects with what is observed."""
    failures: list[str] = []
    for key, wanted in case.expect.items():
        try:
            found = tuple(observe(key))
        except KeyError as error:
            failures.append(f"{key}: {error.args[0]}")
            continue
        if key in ("issue", "question"):
            missing = [text for text in wanted if not any(text in each for each in found)]
            failures += [f"{key}: none says `{text}`; there are {shown(found)}" for text in missing]
        elif found != wanted:
            failures.append(f"{key}: expected {shown(wanted)}, found {shown(found)}")
    for path in case.absent:
        try:
            if found := tuple(observe(path)):
                failures.append(f"{path}: expected nothing, found {shown(found)}")
        except KeyError as error:
            failures.append(f"{path}: {error.args[0]}")
    return Result(case.place.source.name, case.place.line, case.name, tuple(failures))


def run(cases: Iterable[Case], act: Callable[[Case], Observe]) -> list[Result]:
    """Run every case; `act` runs one and gives what to observe. What `act` raises fails that case alone."""
    results = []
    for case in cases:
        try:
            results.append(judge(case, act(case)))
        except Exception as error:  # noqa: BLE001 - a test runner reports whatever a case breaks on
            results.append(Result(case.place.source.name, case.place.line, case.name, (f"{type(error).__name__}: {error}",)))
    return results


def shown(texts: Sequence[str]) -> str:
    """`nothing`, `a` or `[a, b]`."""
    return "nothing" if not texts else texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


_COUNT = re.compile(r"count\((\w+)\)\Z")
_STEP = re.compile(r"(_?\w+)(?:\[(\d+)\])?\Z")


def observer(draft: Draft) -> Observe:
    """Read paths (`Patient.name[0].family`), `count(Type)`, `issue`, `question`, `event_time` and `cleared` off a draft."""
    def observe(key: str) -> Sequence[str]:
        if counted := _COUNT.match(key):
            return [str(len(draft.of_type(counted[1])))]
        if key in ("issue", "issues"):
            return [f"{issue.code} {issue.where} {issue.text}" for issue in draft.issues]
        if key in ("question", "questions"):
            return [" ".join(part for part in (question.table or question.kind, question.code) if part) for question in draft.questions]
        if key == "cleared":
            return [name for names in draft.cleared.values() for name in names]
        if key in ("event_time", "event", "mapping"):
            return [text] if (text := getattr(draft, key)) else []
        return values(key, draft.resources)
    return observe


def values(path: str, resources: Iterable[Mapping[str, Any]]) -> list[str]:
    """The texts at a path that begins with a resource type, over all resources of the type; raises KeyError for no path."""
    type_, *steps = path.split(".")
    pick = _STEP.match(type_)
    if pick is None or not pick[1][:1].isupper():
        raise KeyError("not a path; write Type.element, count(Type), issue, question, cleared or event_time")
    found: list[Any] = [resource for resource in resources if resource.get("resourceType") == pick[1]]
    if pick[2]:
        found = found[int(pick[2]):int(pick[2]) + 1]
    for step in steps:
        match = _STEP.match(step)
        if match is None:
            raise KeyError(f"`{step}` is no element")
        found = [inner for value in found for inner in _below(value, match[1], match[2])]
    return [spoken(value) if value.__class__ not in (dict, list) else "{...}" for value in found]


def _below(value: Any, name: str, index: str | None) -> list[Any]:
    inner = value.get(name) if isinstance(value, dict) else None
    if inner is None:
        return []
    listed = inner if isinstance(inner, list) else [inner]
    return listed[int(index):int(index) + 1] if index else listed
