"""Takes out of a resource the smallest part that is wrong, so that the rest of it stays."""

from __future__ import annotations

import re
from typing import Any

Resource = dict[str, Any]

STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")


def without(resource: Resource, where: str) -> Resource | None:
    """A copy without the element at a place as issues name it (`Patient.name[1].period`); None when nothing would be left of it.

    What is missing cannot be taken out: then the element that lacks it goes, and of a resource nothing is left. An object or
    list that becomes empty goes too, and with an item of a list of primitives the whole list, for `_name` counts its items.
    """
    steps = [name or int(index) for name, index in STEP.findall(where)]
    found = _without(resource, steps)
    return found if isinstance(found, dict) and len(found) > 1 else None


def _without(value: Any, steps: list[Any]) -> Any:
    """The value without what the steps lead to; None when it goes whole."""
    if not steps:
        return None
    step, rest = steps[0], steps[1:]
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        inner = _without(value[step], rest) if isinstance(value[step], dict | list) else None
        if inner is None and not isinstance(value[step], dict):
            return None
        kept = [*value[:step], *([] if inner is None else [inner]), *value[step + 1:]]
        return kept or None
    if isinstance(value, dict) and step in value:
        inner = _without(value[step], rest)
        kept_ = {name: each for name, each in value.items() if name not in (step, f"_{step}")}
        if inner is not None:
            kept_ = {name: inner if name == step else each for name, each in value.items()}
        return kept_ or None
    return None
