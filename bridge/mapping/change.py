"""Patches of an example, so that one example serves twenty cases: HL7 paths in messages, dotted paths in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.hl7v2 import path as paths
from bridge.hl7v2.path import Path

_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?\Z")


def message(body: bytes, change: Mapping[str, Any], append: Sequence[str] = ()) -> bytes:
    """An HL7 v2 body with fields replaced (`PV1-36`, `PID-3[2].4`, `DG1[2]-3`; every segment of the name without a number).

    None empties the field, or removes the segment for `DG1` or `DG1[2]`. `append` are whole segments put at the end. Raises ValueError.
    """
    text = body.decode("utf-8-sig")
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line]
    separators = lines[0][3:8]
    for place, raw in change.items():
        lines = _replace(lines, paths.parse(str(place)), raw, separators)
    return ("\r".join([*lines, *append]) + "\r").encode()


def _replace(lines: list[str], path: Path, raw: Any, separators: str) -> list[str]:
    found, made = 0, []
    for line in lines:
        if line[:3] != path.segment:
            made.append(line)
            continue
        found += 1
        if path.occurrence not in (0, found):
            made.append(line)
        elif path.field:
            made.append(_field(line, path, "" if raw is None else str(raw), separators))
        elif raw is not None:
            made.append(str(raw))
    if not found or path.occurrence > found:
        raise ValueError(f"the example has no {path.segment}{f'[{path.occurrence}]' if path.occurrence else ''} to change")
    return made


def _field(line: str, path: Path, raw: str, separators: str) -> str:
    mark, component, repetition, _, sub = tuple(separators)
    fields = line.split(mark)
    index = path.field - 1 if path.segment == "MSH" else path.field
    fields += [""] * (index + 1 - len(fields))
    if not path.repetition and not path.component:
        fields[index] = raw
    else:
        repetitions = fields[index].split(repetition)
        for number in [path.repetition - 1] if path.repetition else range(len(repetitions)):
            repetitions += [""] * (number + 1 - len(repetitions))
            repetitions[number] = _component(repetitions[number], path, raw, component, sub)
        fields[index] = repetition.join(repetitions)
    return mark.join(fields)


def _component(value: str, path: Path, raw: str, component: str, sub: str) -> str:
    if not path.component:
        return raw
    parts = value.split(component)
    parts += [""] * (path.component - len(parts))
    if path.sub:
        subs = parts[path.component - 1].split(sub)
        subs += [""] * (path.sub - len(subs))
        subs[path.sub - 1] = raw
        raw = sub.join(subs)
    parts[path.component - 1] = raw
    return component.join(parts)


def document(value: Any, change: Mapping[str, Any]) -> Any:
    """A JSON document with members replaced by dotted path (`client.mrn`, `item[0].answer`); None removes. Changes `value`."""
    for place, raw in change.items():
        steps = [_STEP.match(step) for step in str(place).split(".")]
        if not all(steps):
            raise ValueError(f"`{place}` is no path")
        _set(value, [(step[1], step[2]) for step in steps if step], raw)
    return value


def _set(value: Any, steps: list[tuple[str, str | None]], raw: Any) -> None:
    for name, index in steps[:-1]:
        if not isinstance(value, dict):
            raise ValueError(f"the example has no object that could hold `{name}`")  # noqa: TRY004 - of the test, not of our types
        value = value.setdefault(name, {}) if index is None else value.get(name, [])[int(index)]
    name, index = steps[-1]
    if not isinstance(value, dict):
        raise ValueError(f"the example has no object that could hold `{name}`")  # noqa: TRY004
    if index is not None:
        value, name = value.setdefault(name, []), int(index)  # type: ignore[assignment]
    if raw is None:
        if isinstance(value, dict):
            value.pop(name, None)
        else:
            del value[name]
    else:
        value[name] = raw
