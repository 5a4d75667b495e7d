"""Expression text -> a small tree; a Pratt parser with bounded depth. Knows no source, no type and no function.

Binding, loosest first: `or`, `and`, `not`, comparison (`=` `!=` `<` `>` `<=` `>=` `in` `not in`), `??`, `+`, then
`.name` and `.name(...)`. Chains of one operator are one node, so a long line is no deep tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from bridge.language.syntax import Place, Scalar, fault

LIMIT = 4000
"""Characters of one expression."""
DEPTH = 60
"""Levels of one tree."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number or truth value written in the expression; `kind` is `text`, `number` or `boolean`."""

    place: Place
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class FieldPath:
    """An HL7 path as written: `PID-3[2].4.1`."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A bare name: a let, an emitted resource, a field of the source, a table."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`: an element of what `of` gives."""

    place: Place
    of: Tree
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`, or `of.name(arguments)` when `of` is set."""

    place: Place
    of: Tree | None
    name: str
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its operands; `??`, `+`, `and`, `or` take two or more, `not` one, comparisons two."""

    place: Place
    sign: str
    operands: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """`(a, b, c)`."""

    place: Place
    items: tuple[Tree, ...]


Tree = Literal | FieldPath | Name | Member | Call | Operation | Listing

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<path>[A-Z][A-Z0-9]{2}(?:\[\d{1,4}\])?-\d{1,3}(?:\[\d{1,4}\])?(?:\.\d{1,3}){0,2}(?![\w\[]))
      | (?P<segment>[A-Z][A-Z0-9]{2}\[\d{1,4}\](?!-))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*)
      | (?P<number>-?\d{1,15}(?:\.\d{1,15})?(?![\w]))
      | (?P<text>'(?:[^']|'')*'|"[^"]*")
      | (?P<sign>\?\?|!=|<=|>=|[=<>+().,\[\]])""",
    re.VERBOSE,
)
_INSTEAD = {"&": "write `and`", "|": "write `or`", "!": "write `not`, or != between two values", "/": "there is no division", "*": "there is no *",
            "%": "there is no %", ";": "one expression ends with its line", "{": "write the object as YAML, not inside an expression"}
_WORDS = frozenset({"and", "or", "not", "in"})
_TIGHT = {"or": 1, "and": 2, "=": 4, "!=": 4, "<": 4, ">": 4, "<=": 4, ">=": 4, "in": 4, "not": 4, "??": 5, "+": 6, ".": 8}
_CHAIN = frozenset({"or", "and", "??", "+"})
_NOT = 3


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


def parse(scalar: Scalar) -> Tree:
    """The tree of a scalar that begins with `=`; raises MappingError at the very character."""
    if not scalar.parsed:
        text = scalar.expression
        scalar.parsed.append(parse_text(scalar.text, scalar) if text is None else parse_text(text, scalar, 1))
    tree: Tree = scalar.parsed[0]
    return tree


def parse_text(text: str, scalar: Scalar, start: int = 0) -> Tree:
    """The tree of `text`, which begins at character `start` of `scalar`."""
    if len(text) > LIMIT:
        raise fault(scalar.place, f"an expression longer than {LIMIT} characters")
    return _Parser(text, scalar, start).whole()


class _Parser:
    """One expression while it is read."""

    def __init__(self, text: str, scalar: Scalar, start: int) -> None:
        self.scalar, self.start, self.position, self.depth = scalar, start, 0, 0
        self.tokens = list(self._split(text))

    def _split(self, text: str) -> list[_Token]:
        tokens, at = [], 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                what = "a text that does not end" if text[at] in "'\"" else f"unexpected {text[at]!r}"
                hint = _INSTEAD.get(text[at], "texts stand in 'single quotes'") if text[at] not in "'\"" else ""
                raise fault(self._place(at), what, hint=hint)
            kind = match.lastgroup or ""
            if kind != "blank":
                word = match.group()
                tokens.append(_Token("sign" if kind == "name" and word in _WORDS else kind, word, at))
            at = match.end()
        tokens.append(_Token("end", "", len(text)))
        return tokens

    def _place(self, offset: int) -> Place:
        return self.scalar.at(self.start + offset)

    def whole(self) -> Tree:
        tree = self.expression(0)
        token = self.tokens[self.position]
        if token.kind != "end":
            self._unexpected(token)
        return tree

    def _unexpected(self, token: _Token, wanted: str = "") -> NoReturn:
        place = self._place(token.offset)
        if token.kind == "end":
            lines = place.source.lines
            behind = lines[place.line - 1][place.column - 1:][:1] if 0 < place.line <= len(lines) else ""
            hint = "in { } and [ ] a comma or bracket ends a text; put the expression in \"double quotes\"" if behind and behind in ",]}" else ""
            raise fault(place, f"the expression ends too early{wanted and f'; {wanted} is missing'}", hint=hint)
        hint = "equal is one =" if token.text == "=" else ""
        raise fault(place, f"unexpected `{token.text[:40]}`{wanted and f', wanted {wanted}'}", hint=hint)

    def _next(self) -> _Token:
        token = self.tokens[self.position]
        self.position += token.kind != "end"
        return token

    def _is(self, sign: str) -> bool:
        token = self.tokens[self.position]
        return token.kind == "sign" and token.text == sign

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            self._unexpected(self.tokens[self.position], f"`{sign}`")
        self.position += 1

    def expression(self, floor: int) -> Tree:
        self.depth += 1
        if self.depth > DEPTH:
            raise fault(self._place(self.tokens[self.position].offset), f"nested deeper than {DEPTH} levels")
        left, steps = self._prefix(), 0
        while True:
            token = self.tokens[self.position]
            tight = _TIGHT.get(token.text, -1) if token.kind == "sign" else -1
            if tight <= floor:
                break
            steps += 1
            if steps > DEPTH:
                raise fault(self._place(token.offset), f"a chain of more than {DEPTH} steps")
            left = self._infix(left, self._next(), tight)
        self.depth -= 1
        return left

    def _prefix(self) -> Tree:
        token = self._next()
        place = self._place(token.offset)
        if token.kind == "path":
            return FieldPath(place, token.text)
        if token.kind == "text":
            body = token.text[1:-1]
            return Literal(place, "text", body.replace("''", "'") if token.text[0] == "'" else body)
        if token.kind == "number":
            return Literal(place, "number", token.text)
        if token.kind in ("name", "segment"):
            return self._word(token, place)
        if token.text == "not" and token.kind == "sign":
            return Operation(place, "not", (self.expression(_NOT),))
        if token.text != "(" or token.kind != "sign":
            self._unexpected(token, "a path, a name or a 'text'")
        return self._bracket(place)

    def _word(self, token: _Token, place: Place) -> Tree:
        if token.text in ("true", "false"):
            return Literal(place, "boolean", token.text)
        if token.kind == "name" and self._is("("):
            self.position += 1
            return Call(place, None, token.text, self._arguments())
        return Name(place, token.text)

    def _bracket(self, place: Place) -> Tree:
        first = self.expression(0)
        if not self._is(","):
            self._expect(")")
            return first
        items = [first]
        while self._is(","):
            self.position += 1
            items.append(self.expression(0))
        self._expect(")")
        return Listing(place, tuple(items))

    def _arguments(self) -> tuple[Tree, ...]:
        found: list[Tree] = []
        if not self._is(")"):
            found.append(self.expression(0))
            while self._is(","):
                self.position += 1
                found.append(self.expression(0))
        self._expect(")")
        return tuple(found)

    def _infix(self, left: Tree, token: _Token, tight: int) -> Tree:
        place = self._place(token.offset)
        if token.text == ".":
            return self._member(left)
        if token.text == "not":
            self._expect("in")
            inner = Operation(place, "in", (left, self.expression(tight)))
            return Operation(place, "not", (inner,))
        right = self.expression(tight)
        if tight == _TIGHT["="]:
            following = self.tokens[self.position]
            if following.kind == "sign" and _TIGHT.get(following.text) == tight:
                raise fault(self._place(following.offset), "comparisons do not chain", hint="join them with `and`")
            return Operation(place, token.text, (left, right))
        if token.text in _CHAIN and isinstance(left, Operation) and left.sign == token.text:
            return Operation(left.place, token.text, (*left.operands, right))
        return Operation(place, token.text, (left, right))

    def _member(self, left: Tree) -> Tree:
        token = self._next()
        place = self._place(token.offset)
        if token.kind == "number" and not token.text.startswith("-"):
            return Call(place, left, "component", (Literal(place, "number", token.text),))
        if token.kind != "name" and not (token.kind == "sign" and token.text in _WORDS):
            self._unexpected(token, "a name after `.`")
        if self._is("("):
            self.position += 1
            return Call(place, left, token.text, self._arguments())
        return Member(place, left, token.text)
