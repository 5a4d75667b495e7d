"""A YAML file as a tree in which every scalar knows its file, line and column; no value is interpreted here.

Reads YAML 1.1 through libyaml's event stream: no tags, anchors, aliases or doubled keys, bounded size and depth. All
scalars stay text (`01`, `NO`, `1:30` as written). Errors are `MappingError` with an excerpt, a caret and the nearest names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from bridge.core.errors import MappingError
from bridge.core.excerpt import nearest, shown

LIMIT = 512 * 1024
"""Characters of one file."""
DEPTH = 40
"""Levels of nesting; the deepest FHIR element in use is at 12."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's name, as people know it, and its lines for excerpts."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; line and column count from 1."""

    source: SourceText
    line: int
    column: int

    def right(self, columns: int) -> Place:
        """The place this many columns further on, but never past the end of the line."""
        lines = self.source.lines
        width = len(lines[self.line - 1]) if 0 < self.line <= len(lines) else self.column
        return Place(self.source, self.line, max(self.column, min(self.column + columns, width + 1)))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as written; `plain` when it had no quotes. `parsed` keeps its expression's tree once somebody parsed it."""

    place: Place
    text: str
    plain: bool = True
    parsed: list[Any] = field(default_factory=list, compare=False, repr=False)

    @property
    def null(self) -> bool:
        """Whether it stands for nothing: empty, `null` or `~` without quotes."""
        return self.plain and self.text in ("", "null", "~", "Null", "NULL")

    @property
    def expression(self) -> str | None:
        """The expression text when it begins with one `=`, else None."""
        if self.text.startswith("=") and not self.text.startswith("=="):
            return self.text[1:]
        return None

    @property
    def literal(self) -> str:
        """The text itself; `==` at the beginning stands for one `=`."""
        return self.text[1:] if self.text.startswith("==") else self.text

    def at(self, offset: int) -> Place:
        """The place of a character of the text (quotes before it and doubled quotes allowed for roughly)."""
        return self.place.right(offset + (0 if self.plain else 1))


@dataclass(frozen=True, slots=True)
class Items:
    """A YAML sequence."""

    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entries:
    """A YAML mapping; keys are unique and in file order."""

    place: Place
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Node] = field(default_factory=dict)

    def get(self, name: str) -> Node | None:
        """The node under this key; None when it is absent or null."""
        node = self.values.get(name)
        return None if isinstance(node, Scalar) and node.null else node

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return ((key, self.values[name]) for name, key in self.keys.items())

    def put(self, key: Scalar, value: Node) -> None:
        """Set one entry, keeping its first position."""
        self.keys[key.text] = key
        self.values[key.text] = value


Node = Scalar | Items | Entries


def fault(place: Place, text: str, wrong: str = "", names: Iterable[str] = (), hint: str = "") -> MappingError:
    """A MappingError with file:line:column, the line, a caret and, for a `wrong` name, the nearest valid ones."""
    if names and not hint:
        hint = nearest(wrong, names)
    return MappingError(shown(place.source.name, place.source.lines, place.line, place.column, text, hint))


def load(text: str, name: str) -> Entries:
    """Read one file's text into a tree; raises MappingError. The top must be a mapping."""
    if len(text) > LIMIT:
        raise MappingError(f"{name}:1:1: larger than {LIMIT} characters")
    source = SourceText(name, tuple(text.splitlines()))
    try:
        node = _build(yaml.parse(text, Loader=yaml.CBaseLoader), source)
    except yaml.MarkedYAMLError as error:
        raise _broken(error, source) from None
    except (yaml.YAMLError, UnicodeError):
        raise MappingError(f"{name}:1:1: not YAML: a character that text cannot hold") from None
    if not isinstance(node, Entries):
        raise fault(Place(source, 1, 1), "a file is a mapping: `name: value` lines")
    return node


_BROKEN = (
    ("expected ',' or '}'", False, "a `,` or `}` is missing", "in { } a text with a comma, a bracket or a colon stands in \"double quotes\""),
    ("expected ',' or ']'", False, "a `,` or `]` is missing", "in [ ] a text with a comma, a bracket or a colon stands in \"double quotes\""),
    ("tab", False, "a tab", "indent with blanks"),
    ("cannot start any token", False, "a text cannot begin so", "put it in quotes; indent with blanks, not tabs"),
    ("mapping values are not allowed", False, "a second `: ` in one entry",
     "a line indented deeper than the one above it belongs to that one; a text with `: ` stands in quotes"),
    ("could not find expected ':'", True, "a key without `: `", "write `name: value`, with a blank behind the colon"),
    ("unexpected end of stream", True, "a quote that does not end", ""),
    ("did not find expected key", False, "not a line of this list or mapping", "lines that belong together begin in the same column"),
)
"""What libyaml says, whether the beginning of the entry is the place to show, and how we say it."""


def _broken(error: yaml.MarkedYAMLError, source: SourceText) -> MappingError:
    """What is wrong with the YAML, in words that say what to do."""
    problem = error.problem or "not YAML"
    early, text, hint = next(((early, text, hint) for part, early, text, hint in _BROKEN if part in problem), (False, problem, ""))
    mark = (error.context_mark if early else None) or error.problem_mark or error.context_mark
    return fault(Place(source, mark.line + 1, mark.column + 1) if mark else Place(source, 1, 1), text, hint=hint)


def plain(node: Node) -> Any:
    """The tree as dicts, lists, texts and None, without positions."""
    if isinstance(node, Scalar):
        return None if node.null else node.literal
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node}


def _build(events: Iterable[Any], source: SourceText) -> Node | None:
    """Build the tree with a stack of our own, so that depth is checked before it costs anything."""
    root: Node | None = None
    stack: list[Items | Entries] = []
    keys: list[Scalar | None] = []
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise fault(_place(event, source), "one document per file")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            keys.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(event, source)
        if not stack:
            root = node
        else:
            _attach(stack[-1], keys, node)
        if not isinstance(node, Scalar):
            if len(stack) >= DEPTH:
                raise fault(node.place, f"nested deeper than {DEPTH} levels")
            stack.append(node)
            keys.append(None)
    return root


def _node(event: Any, source: SourceText) -> Node:
    place = _place(event, source)
    if isinstance(event, yaml.AliasEvent) or event.anchor:
        raise fault(place, "anchors and aliases are not used here", hint="name it under `let:`")
    if event.tag:
        raise fault(place, "tags are not used here; every scalar is text")
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(place, event.value, not event.style)
    return Items(place) if isinstance(event, yaml.SequenceStartEvent) else Entries(place)


def _attach(parent: Items | Entries, keys: list[Scalar | None], node: Node) -> None:
    if isinstance(parent, Items):
        parent.items.append(node)
    elif keys[-1] is None:
        if not isinstance(node, Scalar):
            raise fault(node.place, "a key is a plain word")
        if node.text in parent.keys:
            raise fault(node.place, f"`{node.text}` is already set on line {parent.keys[node.text].place.line}")
        keys[-1] = node
    else:
        parent.put(keys[-1], node)
        keys[-1] = None


def _place(event: Any, source: SourceText) -> Place:
    return Place(source, event.start_mark.line + 1, event.start_mark.column + 1)


def entries(node: Node | None, what: str) -> Entries:
    """The node as a mapping; raises MappingError naming `what` otherwise."""
    if not isinstance(node, Entries):
        refuse(node, f"{what} is a mapping: `name: value` lines")
    return node


def items(node: Node | None) -> list[Node]:
    """A list's items, a single node as a list of one, nothing as an empty list."""
    if node is None or (isinstance(node, Scalar) and node.null):
        return []
    return node.items if isinstance(node, Items) else [node]


def word(node: Node | None, what: str) -> str:
    """The node's literal text; raises MappingError naming `what` when it is no scalar."""
    if not isinstance(node, Scalar):
        refuse(node, f"{what} is a single word or line")
    return node.literal


def refuse(node: Node | None, text: str) -> NoReturn:
    """Raise MappingError at a node."""
    if node is None:
        raise MappingError(text)
    raise fault(node.place, text)
