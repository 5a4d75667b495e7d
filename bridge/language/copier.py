"""Copies of JSON values that are made again and again: one generated function per shape, called with the texts in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

SHAPES = 4096
"""Shapes (names and nesting, not values) whose function is kept."""


def copier(value: Any) -> Callable[[], Any]:
    """A function that gives a JSON value anew, sharing no dict and no list with any other."""
    leaves: list[Any] = []
    written = _written(value, leaves)
    return partial(_builder(written, len(leaves)), *leaves)


def _written(value: Any, leaves: list[Any]) -> str:
    """The value as Python source, with a parameter in place of every text, number and truth value."""
    if value.__class__ is dict:
        return "{" + ", ".join([f"{name!r}: {_written(inner, leaves)}" for name, inner in value.items()]) + "}"
    if value.__class__ is list:
        return "[" + ", ".join([_written(inner, leaves) for inner in value]) + "]"
    leaves.append(value)
    return f"v{len(leaves) - 1}"


@lru_cache(maxsize=SHAPES)
def _builder(written: str, count: int) -> Callable[..., Any]:
    """The function of a shape. Nothing of a message is in its source but the names of FHIR elements."""
    made: Callable[..., Any] = eval(f"lambda {', '.join(f'v{number}' for number in range(count))}: {written}")  # noqa: S307
    return made
