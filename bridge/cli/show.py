"""How results look: tables for people on a terminal, one JSON document or one line per item for programs."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

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


LONG = 1 << 20
"""Bytes from which on reading a file is long work."""


@contextmanager
def progress(file: BinaryIO, name: str, *, quiet: bool = False) -> Iterator[BinaryIO]:
    """The file, with a bar on stderr that follows how far it was read: when a person is looking and it is long work.

    `quiet` keeps it off a terminal that shows results too.
    """
    size = _size(file)
    if not sys.stderr.isatty() or (quiet and sys.stdout.isatty()) or 0 <= size < LONG:
        yield file
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as bar:
        yield bar.wrap_file(file, total=size if size >= 0 else None, description=name.translate(SAFE))


def _size(file: BinaryIO) -> int:
    """Bytes of a file on disk; -1 for a pipe, whose length nobody knows."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, io.UnsupportedOperation):
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


@contextmanager
def steps(total: float, name: str, *, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar on stderr for long work that knows how far it is; the block calls what it gets with the place reached.

    `quiet` keeps it off a terminal that shows results too.
    """
    if not sys.stderr.isatty() or (quiet and sys.stdout.isatty()) or total <= 0:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), redirect_stdout=False, transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda reached: bar.update(task, completed=reached)
