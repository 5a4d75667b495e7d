"""Whole documents: a message in, every resource and finding out, byte for byte.

`python tests/golden/test_golden.py --update-golden` writes the expected files anew; read what differs first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest

from bridge.core.ids import Ids
from bridge.core.issue import operation_outcome
from bridge.hl7v2 import dialect
from bridge.hl7v2.message import parse
from bridge.mapping.library import Library

HERE = Path(__file__).resolve().parent
MESSAGES = sorted(HERE.glob("*.hl7"))
IDS = Ids(b"a secret for tests only")


def document(file: Path) -> bytes:
    """The Bundle and OperationOutcome of one message under the packaged mappings and feeds."""
    body, library = file.read_bytes(), Library.load()
    feed = dialect.load(HERE.parents[1] / "mappings" / "feeds").of(parse(body).sender)
    message = feed.read(body)
    program = library.choose(message)
    assert program is not None
    draft = program.run(message, library.senders().of(feed, message), IDS)
    made = {
        "bundle": {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": one} for one in draft.resources],
        },
        "outcome": operation_outcome(draft.issues),
        "cleared": dict(draft.cleared),
        "event_time": draft.event_time,
    }
    return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


@pytest.mark.parametrize("file", MESSAGES, ids=lambda file: file.stem)
def test_golden(file: Path) -> None:
    """The document is the one that was read and kept."""
    assert document(file).decode() == file.with_suffix(".json").read_text(encoding="utf-8")


if __name__ == "__main__" and "--update-golden" in sys.argv:
    for message in MESSAGES:
        message.with_suffix(".json").write_bytes(document(message))
