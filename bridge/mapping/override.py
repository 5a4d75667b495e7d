"""What one sender's feed file changes in the mappings, for that sender alone: `overrides:`, by the name of a mapping.

    overrides:
      visit:
        let: {ended: =ZPV-3}
        emit:
          encounter: {priority: null}

The lines merge into that mapping as those of a file that extends it would; every mapping that extends it has them too,
and its own lines still win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path

from bridge.language import syntax
from bridge.language.syntax import Entries, Scalar, fault
from bridge.language.table import digest
from bridge.mapping.spec import Spec, lineage, merge, over

KEYS = ("let", "emit")
BELOW = "feeds"


@dataclass(frozen=True, slots=True)
class Override:
    """The lines that a feed puts over one mapping."""

    mapping: Scalar
    lets: Entries
    emits: Entries
    digest: str


Overrides = Mapping[str, Mapping[str, Override]]
"""By feed, by mapping."""


def load(folders: Sequence[Path | Traversable]) -> dict[str, dict[str, Override]]:
    """The overrides of every feed file in these folders' `feeds/`; a feed of an earlier folder stands for itself.

    Raises MappingError.
    """
    texts = [(f"{folder.name}/{BELOW}/{file.name}", file.read_text(encoding="utf-8"))
             for folder in folders if (folder / BELOW).is_dir()
             for file in sorted((folder / BELOW).iterdir(), key=lambda entry: entry.name) if file.name.endswith((".yaml", ".yml"))]
    found: dict[str, dict[str, Override]] = {}
    if any("overrides" in text for _, text in texts):
        for name, text in texts:
            feed, own = read(text, name)
            found.setdefault(feed, own)
    return {feed: own for feed, own in found.items() if own}


def read(text: str, file: str) -> tuple[str, dict[str, Override]]:
    """(name of the feed, its overrides by mapping) of a feed file's text; raises MappingError."""
    root = syntax.load(text, file)
    name, node = root.get("name"), root.get("overrides")
    if node is None:
        return syntax.plain(name) if isinstance(name, Scalar) else "", {}
    found = {key.text: _override(key, syntax.entries(value, f"overrides: {key.text}"))
             for key, value in syntax.entries(node, "overrides:")}
    return syntax.word(name, f"{file}: name:"), found


def _override(name: Scalar, node: Entries) -> Override:
    for key, _ in node:
        if key.text not in KEYS:
            raise fault(key.place, f"an override has no `{key.text}`", key.text, KEYS)
    empty = Entries(node.place)
    lines = "\n".join(f"{key.text} {syntax.plain(value)}" for key, value in node)
    return Override(name, syntax.entries(node.get("let") or empty, "let:"), syntax.entries(node.get("emit") or empty, "emit:"),
                    digest(f"{name.text}\n{lines}"))


def applied(spec: Spec, specs: Mapping[str, Spec], own: Mapping[str, Override]) -> Spec | None:
    """The mapping with everything it takes over and a feed's lines; None when the feed says nothing about it."""
    chain = lineage(spec, specs)
    if not any(each.name in own for each in chain):
        return None
    merged = _with(chain[0], own)
    for child in chain[1:]:
        merged = _with(over(merged, child), own)
    return merged


def _with(merged: Spec, own: Mapping[str, Override]) -> Spec:
    """A mapping, merged so far, with the lines for the one of its name."""
    found = own.get(merged.name)
    if found is None:
        return merged
    return replace(merged, lets=merge(merged.lets, found.lets), emits=merge(merged.emits, found.emits), digests=(*merged.digests, found.digest))


def known(overrides: Overrides, specs: Iterable[str]) -> None:
    """Raise MappingError for an override of a mapping that does not exist."""
    names = list(specs)
    for own in overrides.values():
        for name, one in own.items():
            if name not in names:
                raise fault(one.mapping.place, f"no mapping `{name}` to override", name, names)
