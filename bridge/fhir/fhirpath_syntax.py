"""Reads FHIRPath (http://hl7.org/fhirpath/N1) into a tree: the grammar that invariants are written in.

A tree is a tuple, its head says what it is: `("literal", value)`, `("variable", name)`, `("this",)`, `("member", name)`,
`("call", name, arguments)`, `("dot", left, right)`, `("index", left, inner)`, `("type", word, left, name)` or
`("operator", word, left, right)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bridge.core.errors import SettingsError

Tree = tuple[Any, ...]

TOKEN = re.compile(r"""\s*(?:
    (?P<string>'(?:[^'\\]|\\.)*')
  | (?P<number>[0-9]+(?:\.[0-9]+)?)
  | (?P<variable>%(?:[A-Za-z0-9_-]+|`[^`]*`|'[^']*'))
  | (?P<name>\$this|[A-Za-z_][A-Za-z0-9_]*|`[^`]*`)
  | (?P<sign><=|>=|!=|!~|[-+*/&|=~<>().,{}\[\]])
)""", re.VERBOSE)

LEVELS = (("implies",), ("or", "xor"), ("and",), ("in", "contains"), ("=", "!=", "~", "!~"), ("<=", "<", ">=", ">"), ("|",),
          ("is", "as"), ("+", "-", "&"), ("*", "/", "div", "mod"))
"""Binary operators, loosest first (N1 operations, precedence)."""

ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


def read(text: str) -> Tree:
    """The tree of an expression. Raises SettingsError for text that is not FHIRPath, with the place."""
    reader = Reader(text)
    tree = reader.binary(0)
    if reader.here is not None:
        raise reader.error("an operator or the end")
    return tree


class Reader:
    """One pass over the tokens of an expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(tokens(text))
        self.position = 0

    @property
    def here(self) -> str | None:
        """The token at hand; None at the end."""
        return self.tokens[self.position][1] if self.position < len(self.tokens) else None

    def error(self, due: str) -> SettingsError:
        """What is due at the token at hand."""
        at = self.tokens[self.position][2] if self.position < len(self.tokens) else len(self.text)
        return SettingsError(f"FHIRPath, character {at + 1}: {due} is due in {self.text}")

    def take(self, due: str = "") -> tuple[str, str]:
        """Step over the token at hand, which must be `due` when that is given."""
        if self.here is None or (due and self.here != due):
            raise self.error(due or "a value")
        kind, token, _ = self.tokens[self.position]
        self.position += 1
        return kind, token

    def binary(self, level: int) -> Tree:
        """An expression whose operators bind at least as tightly as `level`."""
        if level == len(LEVELS):
            return self.postfix()
        left = self.binary(level + 1)
        while self.here in LEVELS[level] and self.tokens[self.position][0] != "string":
            word = self.take()[1]
            if word in ("is", "as"):
                left = ("type", word, left, self.type_name())
            else:
                left = ("operator", word, left, self.binary(level + 1))
        return left

    def postfix(self) -> Tree:
        """A term with what follows its dots and brackets."""
        left = self.term()
        while self.here in (".", "["):
            if self.take()[1] == ".":
                left = ("dot", left, self.invocation())
            else:
                left = ("index", left, self.binary(0))
                self.take("]")
        return left

    def term(self) -> Tree:
        """A literal, variable, bracket, sign or invocation."""
        if self.here is None:
            raise self.error("a value")
        kind, found, _ = self.tokens[self.position]
        if kind == "name":
            return self.invocation()
        self.take()
        if kind == "string":
            return "literal", re.sub(r"\\(.)", lambda pair: ESCAPES.get(pair[1], pair[1]), found[1:-1])
        if kind == "number":
            return "literal", float(found) if "." in found else int(found)
        if kind == "variable":
            return "variable", found[1:].strip("`'")
        if found == "(":
            inner = self.binary(0)
            self.take(")")
            return inner
        if found == "{":
            self.take("}")
            return "literal", None
        if found in ("-", "+"):
            return "operator", found, ("literal", 0), self.postfix()
        self.position -= 1
        raise self.error("a value")

    def invocation(self) -> Tree:
        """A member or a call."""
        kind, token = self.take()
        if kind != "name":
            self.position -= 1
            raise self.error("a name")
        name = token.strip("`")
        if name == "$this":
            return ("this",)
        if name in ("true", "false"):
            return "literal", name == "true"
        if self.here != "(":
            return "member", name
        self.take()
        arguments = []
        while self.here != ")":
            arguments.append(self.binary(0))
            if self.here != ")":
                self.take(",")
        self.take(")")
        return "call", name, tuple(arguments)

    def type_name(self) -> str:
        """The name of a type; `FHIR.` and `System.` say nothing more."""
        name = self.take()[1]
        while self.here == ".":
            self.take()
            name = self.take()[1]
        return name.strip("`")


def tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, place) of every token."""
    at, end = 0, len(text.rstrip())
    while at < end:
        found = TOKEN.match(text, at)
        if not found:
            raise SettingsError(f"FHIRPath, character {at + 1}: not a token in {text}")
        yield str(found.lastgroup), found[str(found.lastgroup)], found.start(str(found.lastgroup))
        at = found.end()
