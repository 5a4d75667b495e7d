"""YAML in which every scalar is text and every node knows its line; two equal keys are an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from bridge.core.errors import SettingsError

MISSING: Any = object()
DEPTH = 20
"""Levels of nesting; a feed file needs four."""


@dataclass(frozen=True, slots=True)
class Node:
    """A text, a list of nodes or a table of nodes, and where it stands (`file:line`)."""

    value: Any
    where: str

    def wrong(self, text: str) -> SettingsError:
        """Return the error that says what is wrong here."""
        return SettingsError(f"{self.where}: {text}")

    def get(self, key: str, default: Any = MISSING) -> Node:
        """Return the node under the key; the default as a node when it is not there, SettingsError when it must be."""
        found = self.entries().get(key)
        if found is None and default is MISSING:
            raise self.wrong(f"'{key}' is missing")
        return Node(default, self.where) if found is None else found

    def entries(self) -> dict[str, Node]:
        """Return the table; SettingsError when this is none. Nothing at all is an empty table."""
        if self.value == "":
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("expected a table (key: value)")
        return self.value

    def items(self) -> list[Node]:
        """Return the list; a single text is a list of one, nothing at all an empty one."""
        if isinstance(self.value, dict):
            raise self.wrong("expected a list (- item)")
        return self.value if isinstance(self.value, list) else [self] if self.value else []

    def text(self) -> str:
        """Return the text; SettingsError when this is a list or a table."""
        if not isinstance(self.value, str):
            raise self.wrong("expected a text")
        return self.value

    def texts(self) -> dict[str, str]:
        """Return a table of texts."""
        return {key: node.text() for key, node in self.entries().items()}

    def flag(self) -> bool:
        """Return true or false; SettingsError for anything else."""
        if self.text() not in ("true", "false"):
            raise self.wrong("expected true or false")
        return self.text() == "true"

    def only(self, known: set[str]) -> None:
        """Raise SettingsError when the table has a key that is not known, with those that are."""
        for key, node in self.entries().items():
            if key not in known:
                raise node.wrong(f"'{key}' is not known here; the keys are {', '.join(sorted(known))}")


def load_nodes(text: str, file: str) -> Node:
    """Return the document; SettingsError with file and line when it is no YAML, has a key twice, an alias or no end of depth."""
    try:
        _shallow(text, file)
        root = yaml.compose(text, Loader=yaml.CBaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{file}:{line}: this is no YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise SettingsError(f"{file}: this is no YAML: it holds characters that YAML does not allow") from None
    return Node({}, f"{file}:1") if root is None else _node(root, file)


def _shallow(text: str, file: str) -> None:
    """Refuse what costs more than it says: an alias repeats what its anchor holds, and each level of nesting costs stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise SettingsError(f"{file}:{event.start_mark.line + 1}: aliases are not used here; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise SettingsError(f"{file}:{event.start_mark.line + 1}: nested deeper than {DEPTH} levels")


def _node(node: yaml.Node, file: str) -> Node:
    where = f"{file}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        table: dict[str, Node] = {}
        for key, value in node.value:
            name = _node(key, file).text()
            if name in table:
                raise SettingsError(f"{file}:{key.start_mark.line + 1}: '{name}' stands here twice")
            table[name] = Node(_node(value, file).value, f"{file}:{key.start_mark.line + 1}")
        return Node(table, where)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(item, file) for item in node.value], where)
    return Node(node.value, where)
