"""What commands share: settings, the bridge, and the example site for a first look."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from bridge.core.ports import Ledger
    from bridge.pipeline.bridge import Bridge
    from bridge.settings import Settings


def settings(ctx: click.Context) -> Settings:
    """The settings this command was called with."""
    from bridge.settings import load

    return load(ctx.find_root().obj, os.environ)


def example_site(state: str) -> Settings:
    """The invented site of the demo, with its state in a folder of the caller's."""
    from importlib.resources import files

    from bridge.settings import load

    return load(str(files("mappings").joinpath("examples/site.toml")), {"SDOH_BRIDGE_STATE": state})


@contextmanager
def bridge(ctx: click.Context) -> Iterator[Bridge]:
    """The bridge of the settings; its ledger is closed when the block ends."""
    from bridge.app import build

    _log_to_stderr()
    made = build(settings(ctx))
    try:
        yield made
    finally:
        made.ledger.close()


@contextmanager
def scratch(ctx: click.Context, ledger_url: str = "sqlite://") -> Iterator[Bridge]:
    """The bridge over a ledger in memory, for commands that must leave nothing behind.

    With settings of one's own it knows their partners and secret; without, those of the example site.
    """
    from tempfile import TemporaryDirectory

    from bridge.adapters.store.ledger import open_ledger
    from bridge.app import build

    _log_to_stderr()
    chosen = settings(ctx)
    with TemporaryDirectory(prefix="sdoh-bridge-") as folder:
        if not chosen.origin:
            click.echo("no bridge.toml: using the example site (invented hospitals and organisations)", err=True)
            chosen = example_site(folder)
        ledger: Ledger = open_ledger(ledger_url)
        ledger.upgrade()
        try:
            yield build(chosen, ledger)
        finally:
            ledger.close()


def _log_to_stderr() -> None:
    """Results alone go to stdout: an unconfigured log would be written there."""
    from bridge.observe import log

    log.configure(level="warning")


def opened(path: str) -> BinaryIO:
    """A file to be read piece by piece, or standard input for `-`; a file that cannot be read is a usage error."""
    if path == "-":
        return sys.stdin.buffer
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from None


def read(path: str) -> bytes:
    """A file's bytes, or standard input for `-`; a file that cannot be read is a usage error."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from None
