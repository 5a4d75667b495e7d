"""Where each element of a result comes from: element <- field <- the value's shape, per message. Never a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bridge.core.ids import Ids
from bridge.hl7v2 import path as paths
from bridge.hl7v2.path import Path
from bridge.language.scope import Asked, Scope
from bridge.mapping.program import Program

_NAMED = re.compile(r"(\w+)(?:\[\d+\])?\Z")


@dataclass(frozen=True, slots=True)
class Source:
    """One source path with the shape of what the message has there, "" when it has nothing."""

    path: str
    shape: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One element of one emitted resource: which emit, which item, whether it was given, and from what."""

    resource: str
    emit: str
    element: str
    given: bool
    expression: str
    place: str
    sources: tuple[Source, ...]


def explain(program: Program, message: Any, sender: Asked, ids: Ids) -> list[Explanation]:
    """Every element of every resource that the message gives, in order."""
    scope, _ = program.execute(message, sender, ids)
    return [explanation for name in program.emits for explanation in _emit(program, name, message, scope)]


def _emit(program: Program, name: str, message: Any, scope: Scope) -> Iterator[Explanation]:
    emit = program.emits[name]
    for made in scope.made[emit.face.number].values():
        made.enter(scope)
        for line in program.lines[name]:
            sources = tuple(Source(read, _shape(program, read, message, scope, emit.face.steps)) for read in line.reads)
            given = _has(made.body, line.element.split(".")[1:])
            yield Explanation(made.ref, name, line.element, given, line.text, f"{line.file}:{line.line}", sources)


def _has(value: Any, steps: list[str]) -> bool:
    if not steps:
        return value is not None
    if isinstance(value, list):
        return any(_has(item, steps) for item in value)
    return isinstance(value, dict) and steps[0] in value and _has(value[steps[0]], steps[1:])


def _shape(program: Program, read: str, message: Any, scope: Scope, steps: Any) -> str:
    if program.language != "hl7v2":
        return described(_json(message, read.split(".")))
    try:
        path = paths.parse(read)
    except ValueError:
        return ""
    if not path.field:
        return f"{len(message.all(path.segment))} segments"
    return "~".join(hl7_shape(value.raw) for value in _values(path, message, scope, steps))


def _values(path: Path, message: Any, scope: Scope, steps: Any) -> list[Any]:
    """The values that the expression saw: those of the current segment or repetition inside an `each`."""
    source = message
    for step in steps:
        if step.segment != path.segment or path.occurrence:
            continue
        item = scope.slots[step.slot]
        if not step.field:
            source = item
        elif step.field == path.field:
            return [item.component(path.component) if path.component else item]
    return paths.values(path, source)


def _json(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, dict) and step in item), None)
        value = value.get(step) if isinstance(value, dict) else None
    return value


def hl7_shape(raw: str) -> str:
    """Runs of letters as A, of digits as N, with their lengths; separators stay: `A6^A8^A5^^A2`, `N14-N4`."""
    return re.sub(r"[^\W\d_]+|\d+", lambda run: f"{'N' if run[0][0].isdigit() else 'A'}{len(run[0])}", _masked(raw))


def _masked(raw: str) -> str:
    """Only letters, digits and separators are told apart; any other sign is a dot."""
    return re.sub(r"[^\w^&~\-+.:/ ]", ".", raw)


def described(value: Any) -> str:
    """The kind and size of a JSON value: `text of 12`, `list of 2`, `true or false`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"text of {len(value)}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return f"object of {len(value)}" if isinstance(value, dict) else "number"
