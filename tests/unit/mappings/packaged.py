"""The packaged mappings and feeds, read once, and what they make of a message."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.hl7v2 import dialect
from bridge.hl7v2.dialect import Feed
from bridge.hl7v2.message import parse
from bridge.mapping.library import Library

FOLDER = Path(str(files("mappings")))
EXAMPLES = FOLDER / "examples"
IDS = Ids(b"a secret for tests only")


@cache
def library() -> Library:
    return Library.load()


@cache
def feeds() -> dialect.Feeds:
    return dialect.load(FOLDER / "feeds")


def feed_of(body: bytes) -> Feed:
    """The feed of the message's sender."""
    return feeds().of(parse(body).sender)


def draft(body: bytes, feed: Feed | None = None) -> Draft:
    """What the packaged mappings make of a message, read as a feed says: the default one unless another is given."""
    sender = feed or feeds().named("default")
    message = sender.read(body)
    program = library().choose(message)
    assert program is not None, "no mapping reads this event"
    return program.run(message, library().senders().of(sender, message), IDS)
