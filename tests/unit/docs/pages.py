"""The documentation as tests see it: pages, and their fenced blocks with the note that stands above each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "mappings" / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"(?:<!-- (?P<note>[^>]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `note` is the comment above it: `file: path`, `exit: 1`, `not run: reason`, or a word of a test."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    @property
    def file(self) -> str:
        """The file that the block is, "" if it is none."""
        return self.note.removeprefix("file: ") if self.note.startswith("file: ") else ""

    @property
    def not_run(self) -> str:
        """Why the block is not run, "" when it is."""
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else ""

    @property
    def exit(self) -> int:
        """The exit code that the page promises."""
        return int(self.note.removeprefix("exit: ")) if self.note.startswith("exit: ") else 0


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match["language"], match["note"] or "", match["text"])


def name(page: Path) -> str:
    """A page as people know it."""
    return str(page.relative_to(ROOT))
