"""Compiled expressions as generated Python: where closures would call closures, one function holds all of their texts.

`flat("{0} or {1}", one, other)` is (scope) -> value. A part that is flat itself is written into the text, any other is called
with the scope; `{name}` is a constant. A mapping's text never gets into the source but as a constant.
"""

from __future__ import annotations

import builtins
import linecache
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from types import CodeType, FunctionType
from typing import Any

MOST = 400
"""Pieces of one function; what is longer is called."""
_HOLE = re.compile(r"\{(\w+)\}")
_NUMBERS = count(1)


class Constant:
    """A value that the text of a function names."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Piece = str | Constant


def flat(text: str, /, *parts: Callable[[Any], Any], **constants: Any) -> Callable[[Any], Any]:
    """(scope) -> what `text` says, an expression over `scope` with `{0}`, `{1}` for parts and `{name}` for constants.

    A name bound in the text (`:=`) may be read only before the next part is.
    """
    pieces: list[Piece] = []
    for index, said in enumerate(_HOLE.split(text)):
        if index % 2 == 0:
            pieces.append(said)
        elif said.isdigit():
            pieces += _part(parts[int(said)])
        else:
            pieces.append(Constant(constants[said]))
    made = _function(pieces)
    made.__dict__["pieces"] = pieces
    return made


def source(function: Callable[[Any], Any]) -> str:
    """The Python text of a flat function, "" for any other."""
    return "".join(_numbered(function.__dict__["pieces"])[0]) if "pieces" in getattr(function, "__dict__", {}) else ""


def _part(part: Callable[[Any], Any]) -> list[Piece]:
    inner: list[Piece] | None = getattr(part, "pieces", None)
    if inner is None or len(inner) > MOST:
        return [Constant(part), "(scope)"]
    return ["(", *inner, ")"]


def _numbered(pieces: list[Piece]) -> tuple[list[str], dict[str, Any]]:
    """The text with names for its constants, and the constants by name."""
    names: dict[int, str] = {}
    values: dict[str, Any] = {"__builtins__": builtins}
    text = []
    for piece in pieces:
        if isinstance(piece, str):
            text.append(piece)
            continue
        name = names.setdefault(id(piece.value), f"k{len(names)}")
        values[name] = piece.value
        text.append(name)
    return text, values


def _function(pieces: list[Piece]) -> Callable[[Any], Any]:
    text, values = _numbered(pieces)
    return FunctionType(_code("lambda scope: " + "".join(text)), values)


@lru_cache(maxsize=16384)
def _code(text: str) -> CodeType:
    """The code of a lambda; one text for all mappings. Tracebacks show it."""
    name = f"<expression {next(_NUMBERS)}>"
    linecache.cache[name] = (len(text), None, [text], name)
    found: CodeType = compile(text, name, "eval").co_consts[0]
    return found
