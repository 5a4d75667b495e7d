"""YAML in which every scalar is text and every node knows its line; two equal keys are an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from bridge.core.errors import SettingsError
from bridge.core.excerpt import nearest, shown

MISSING: Any = object()
DEPTH = 20
"""Levels of nesting; a feed file needs four."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    lines: tuple[str, ...] = ()
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def wrong(self, text: str, hint: str = "") -> SettingsError:
        """Return the error that says what is wrong here, with the line."""
        return SettingsError(shown(self.file, self.lines, self.line, self.column, text, hint))


@dataclass(frozen=True, slots=True)
class Node:
    """A text, a list of nodes or a table of nodes, where it stands, and where its key does."""

    value: Any
    mark: Mark
    key: Mark

    @property
    def where(self) -> str:
        """`file:line:column`."""
        return str(self.mark)

    def wrong(self, text: str, hint: str = "") -> SettingsError:
        """Return the error that says what is wrong here."""
        return self.mark.wrong(text, hint)

    def get(self, key: str, default: Any = MISSING) -> Node:
        """Return the node under the key; the default as a node when it is not there, SettingsError when it must be."""
        found = self.entries().get(key)
        if found is None and default is MISSING:
            raise self.wrong(f"'{key}' is missing")
        return Node(default, self.mark, self.key) if found is None else found

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
        """Raise SettingsError when the table has keys that are not known, with the nearest ones that are."""
        wrong = [str(node.key.wrong(f"'{key}' is not known here", nearest(key, known)))
                 for key, node in self.entries().items() if key not in known]
        if wrong:
            raise SettingsError("\n".join(wrong))


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Return what each gives; raises one SettingsError with all that they raise."""
    found, wrong = [], []
    for act in acts:
        try:
            found.append(act())
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return found


def load_nodes(text: str, file: str) -> Node:
    """Return the document; SettingsError with file and line when it is no YAML, has a key twice, an alias or no end of depth."""
    lines = tuple(text.splitlines())
    try:
        _shallow(text, file, lines)
        root = yaml.compose(text, Loader=yaml.CBaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = _mark(error.problem_mark, file, lines) if error.problem_mark else Mark(file, lines)
        raise mark.wrong(f"this is no YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise SettingsError(f"{file}: this is no YAML: it holds characters that YAML does not allow") from None
    return Node({}, Mark(file, lines), Mark(file, lines)) if root is None else _node(root, file, lines)


def _mark(mark: Any, file: str, lines: tuple[str, ...]) -> Mark:
    return Mark(file, lines, mark.line + 1, mark.column + 1)


def _shallow(text: str, file: str, lines: tuple[str, ...]) -> None:
    """Refuse what costs more than it says: an alias repeats what its anchor holds, and each level of nesting costs stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _mark(event.start_mark, file, lines).wrong("aliases are not used here; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise _mark(event.start_mark, file, lines).wrong(f"nested deeper than {DEPTH} levels")


def _node(node: yaml.Node, file: str, lines: tuple[str, ...]) -> Node:
    mark = _mark(node.start_mark, file, lines)
    if isinstance(node, yaml.MappingNode):
        table: dict[str, Node] = {}
        for key, value in node.value:
            name = _node(key, file, lines).text()
            if name in table:
                raise _mark(key.start_mark, file, lines).wrong(f"'{name}' stands here twice")
            inner = _node(value, file, lines)
            table[name] = Node(inner.value, inner.mark, _mark(key.start_mark, file, lines))
        return Node(table, mark, mark)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(item, file, lines) for item in node.value], mark, mark)
    return Node(node.value, mark, mark)
