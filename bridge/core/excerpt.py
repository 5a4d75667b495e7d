"""How a mistake in a file is shown: file:line:column, what is wrong, the line with the word underlined, what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

WIDTH = 160
_WORD = re.compile(r"[A-Za-z_][\w-]*(?:\[\d+\])?(?:-\d+)?(?:\.\d+)*|\d[\w.]*|'[^']*'")


def shown(file: str, lines: Sequence[str], line: int, column: int, text: str, hint: str = "") -> str:
    """The whole message; line and column count from 1, and a line that does not exist has no excerpt."""
    excerpt = ""
    if 0 < line <= len(lines):
        source = lines[line - 1].replace("\t", " ")[:WIDTH]
        margin = f"{line:5} | "
        word = _WORD.match(source, column - 1)
        excerpt = f"\n{margin}{source}\n{' ' * (len(margin) + min(column, WIDTH + 1) - 1)}{'^' * len(word[0]) if word else '^'}"
    return f"{file}:{line}:{column}: {text}{excerpt}" + (f"\n      {hint}" if hint else "")


def nearest(wrong: str, names: Iterable[str]) -> str:
    """`did you mean a, b?` or, when nothing is near, the valid names (at most twelve)."""
    known = sorted(set(names))
    close = difflib.get_close_matches(wrong[:80], known, 4, 0.5)
    if not close:
        folded = {name.lower(): name for name in known}
        close = [folded[name] for name in difflib.get_close_matches(wrong[:80].lower(), list(folded), 4, 0.5)]
    if close:
        close.sort(key=lambda name: sorted(name) != sorted(wrong))  # two letters in the wrong order come first
        return f"did you mean {', '.join(close)}?"
    more = " ..." if len(known) > 12 else ""
    return f"known: {', '.join(known[:12])}{more}" if known else ""
