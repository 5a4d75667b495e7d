"""References inside resources: replacing them, and what those to contained resources lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Resource = dict[str, Any]


def rewrite(value: Any, names: Mapping[str, str]) -> Any:
    """The value with each reference that `names` knows replaced; parts without one are shared, not copied."""
    if isinstance(value, dict):
        return _same(value, {name: _renamed(name, inner, names) for name, inner in value.items()})
    if isinstance(value, list):
        changed = [rewrite(inner, names) for inner in value]
        return value if all(new is old for new, old in zip(changed, value, strict=True)) else changed
    return value


def _renamed(name: str, inner: Any, names: Mapping[str, str]) -> Any:
    if name == "reference" and isinstance(inner, str):
        return names.get(inner, inner)
    return rewrite(inner, names) if isinstance(inner, dict | list) else inner


def _same(old: Resource, new: Resource) -> Resource:
    return old if all(new[name] is old[name] for name in old) else new


def strings(value: Any) -> Iterator[str]:
    """Every text in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def local(resource: Resource) -> dict[str, Resource]:
    """What `#id` and `#` lead to in a resource with contained ones (R4 references.html#contained)."""
    names = {"#": resource}
    contained = resource.get("contained")
    for inner in contained if isinstance(contained, list) else ():
        if isinstance(inner, dict) and isinstance(inner.get("id"), str):
            names["#" + inner["id"]] = inner
    return names


def kind_of(resource: Any) -> str:
    """The resourceType; "" when there is none to be read."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return kind if isinstance(kind, str) else ""
