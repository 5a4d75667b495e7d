"""What is fuzzed: one function of bytes per target. It returns for anything that is read or refused, and raises for a fault."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

from bridge.core.draft import Draft
from bridge.core.envelope import HL7V2, Envelope
from bridge.core.errors import MappingError, SettingsError, Unreadable
from bridge.core.ids import Ids
from bridge.hl7v2 import batch, dialect
from bridge.hl7v2.message import Message, encode, parse
from bridge.hl7v2.peek import peek
from bridge.language.table import read_set, read_table
from bridge.mapping.build import build
from bridge.mapping.library import Library
from bridge.mapping.program import Program
from bridge.mapping.spec import extend, read
from bridge.pipeline.check import check
from bridge.pipeline.draft import draft_of
from tests.unit.pipeline.town import whole

MAPPINGS = Path(str(files("mappings")))
EXAMPLES = MAPPINGS / "examples"
IDS = Ids(b"a secret for tests only")
SMALL_BLOCK = 11
WHOLE_MAPPING = "mapping: m\nabout: a\nfrom: hl7v2 ADT^A03\nto: r4\nemit:\n  one:\n    resource: Patient\n    key: =PID-3\n    gender: {}\n"


@cache
def library() -> Library:
    return Library.load()


@cache
def feeds() -> dialect.Feeds:
    return dialect.load(MAPPINGS / "feeds")


@cache
def example() -> Message:
    return parse((EXAMPLES / "a03-two-needs.hl7").read_bytes())


def reader(data: bytes) -> None:
    """Any bytes are a message, which gives its bytes back, or are refused; every feed can repair what was read."""
    try:
        message = parse(data)
    except Unreadable:
        return
    if encode(message) != data:
        raise AssertionError("the bytes received are not kept")
    peek(data)
    for feed in feeds():
        for segment in feed.repair(message).segments:
            for number in range(len(segment.fields)):
                for value in segment.values(number):
                    for part in range(1, len(value.parts) + 1):
                        value.text(part)
                        value.whole(part)


def splitter(data: bytes) -> None:
    """Any bytes split into messages that are not empty, the same ones whatever the size of a block."""
    parts = list(batch.split(data))
    if not all(parts) or sum(map(len, parts)) > len(data) + 2 * len(parts):
        raise AssertionError("a message is empty, or more came out than went in")
    usual, batch.BLOCK = batch.BLOCK, SMALL_BLOCK
    try:
        if list(batch.split_stream(io.BytesIO(data))) != parts:
            raise AssertionError("the size of a block makes a difference")
    finally:
        batch.BLOCK = usual


def expression(data: bytes) -> None:
    """Any text as an expression compiles and runs, or is refused with its place."""
    text = data.decode("utf-8", "replace")
    _mapped(WHOLE_MAPPING.format(json.dumps("=" + text)))


def mapping(data: bytes) -> None:
    """Any text as a mapping file is read, compiled and run, or is refused with its place."""
    _mapped(data.decode("utf-8", "replace"))


def _mapped(text: str) -> None:
    try:
        spec = read(text, "fuzz.yaml")
        if spec is None or spec.abstract or spec.language != "hl7v2":
            return
        program: Program = build(extend(spec, {**library().specs, spec.name: spec}), library().ground)
    except MappingError as error:
        if "fuzz.yaml" not in str(error) and "mapping" not in str(error):
            raise AssertionError("the error does not say where") from error
        return
    program.run(example(), library().senders().of(feeds().named("default"), example()), IDS)


def feed(data: bytes) -> None:
    """Any text as a feed file is read or refused, and a feed that was read repairs a message."""
    try:
        found = dialect.read_feed(data.decode("utf-8", "replace"), "fuzz.yaml")
    except SettingsError:
        return
    found.repair(example())
    for test in found.tests:
        try:
            found.read(test["given"].encode())
        except Unreadable:
            pass


def table(data: bytes) -> None:
    """Any text as a code table or code set is read or refused."""
    text = data.decode("utf-8", "replace")
    for load in (read_table, read_set):
        try:
            load(text, "fuzz.csv")
        except MappingError:
            pass


def conversion(data: bytes) -> None:
    """Any message becomes resources that are all valid R4, or is refused; nothing else happens."""
    made = draft_of(Envelope("", "", datetime(2026, 11, 21, tzinfo=UTC), HL7V2, data), whole())
    if isinstance(made, Draft):
        checked = check(made, whole().profiles)
        if len(checked.resources) != len(made.resources):
            raise AssertionError(f"a resource is not valid: {checked.issues[-1]}")


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (reader, splitter, expression, mapping, feed, table, conversion)
}


def seeds(target: str) -> list[bytes]:
    """Where the search begins: the files of this repository that the target is made for."""
    if target in ("reader", "splitter", "conversion"):
        return [file.read_bytes() for file in sorted(EXAMPLES.glob("*.hl7"))]
    if target == "table":
        return [file.read_bytes() for file in sorted(MAPPINGS.glob("tables/*.csv"))]
    if target == "feed":
        return [file.read_bytes() for file in sorted(MAPPINGS.glob("feeds/*.yaml"))]
    texts = [file.read_text(encoding="utf-8") for file in sorted((*MAPPINGS.glob("common/*.yaml"), *MAPPINGS.glob("adt/*.yaml")))]
    written = [line.partition(": =")[2] for text in texts for line in text.splitlines() if ": =" in line]
    if target == "mapping":
        return [WHOLE_MAPPING.format("=" + one).encode() for one in written if one and " #" not in one]
    return [one.encode() for one in written]
