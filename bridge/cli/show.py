"""How results look: tables for people on a terminal, one JSON document or one line per item for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import orjson

SAFE = str.maketrans({**dict.fromkeys(range(32), "�"), 127: "\N{REPLACEMENT CHARACTER}"})
"""Control characters never reach a terminal: a message could move the cursor or forge a line."""


def as_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def as_line(document: Any) -> None:
    """One JSON line on stdout."""
    click.echo(orjson.dumps(document).decode())


def say(text: str) -> None:
    """A message to people, on stderr."""
    click.echo(text.translate(SAFE), err=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> None:
    """A plain table on stdout that survives a narrow terminal and a pipe."""
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(str(cell).translate(SAFE) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False)
    console.print(made)
    if note:
        console.print(note)
    console.print()
