"""Read our own tables: CSV files of the packaged `mappings` folder, `#` lines are comments; YAML trees as plain values."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Any

from bridge.language.syntax import Entries, Items, Node


@cache
def rows(path: str) -> tuple[dict[str, str], ...]:
    """The rows of `mappings/<path>`, each a column name to text; read once."""
    text = files("mappings").joinpath(path).read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple(csv.DictReader(lines))


@cache
def by(path: str, column: str) -> dict[str, dict[str, str]]:
    """The same rows by one column; the first row of a value wins."""
    found: dict[str, dict[str, str]] = {}
    for row in rows(path):
        found.setdefault(row[column], row)
    return found


def plain(node: Node) -> Any:
    """A YAML tree as dicts, lists and texts."""
    if isinstance(node, Entries):
        return {key.text: plain(value) for key, value in node}
    return [plain(item) for item in node.items] if isinstance(node, Items) else node.literal
