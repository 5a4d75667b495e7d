"""The language page tells the truth: every expression of its table is compiled and run by the engine."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from bridge.mapping.library import Library
from bridge.mapping.trial import IDS, Trial
from tests.unit.docs.pages import ROOT

PAGE = ROOT / "docs" / "mapping-language.md"
HEAD = {"mapping": "doc", "about": "The rows of the table.", "from": "hl7v2 ADT^A03", "to": "r4", "when": "=true"}


def rows() -> list[tuple[str, str]]:
    """(expression, result) of the table under the comment `expressions`."""
    table = PAGE.read_text(encoding="utf-8").split("<!-- expressions -->")[1].split("\n\n")[0]
    return re.findall(r"^\| `(.+?)` \| (.+?) \|$", table, re.MULTILINE)


def test_every_expression_gives_what_the_page_says(tmp_path: Path) -> None:
    """One Observation per row of the table holds the row's result as its text."""
    shown = rows()
    assert len(shown) >= 15
    emits = {f"row{number}": {"resource": "Observation", "key": [f"row {number}", "=MSH-10"], "status": "final", "code": {"text": str(number)},
                              "valueString": f"={expression}"} for number, (expression, _) in enumerate(shown)}
    (tmp_path / "doc.yaml").write_text(json.dumps({**HEAD, "emit": emits}), encoding="utf-8")
    library = Library.load([tmp_path, files("mappings")])
    trial = Trial(library)
    body = trial.example("a03-two-needs.hl7")
    feed = trial._feed("", body)
    message = feed.read(body)
    made = library["doc"].run(message, trial.senders.of(feed, message), IDS).of_type("Observation")
    found = {int(one["code"]["text"]): one.get("valueString") for one in made}
    assert {expression: found.get(number) for number, (expression, _) in enumerate(shown)} == dict(shown)


def test_the_page_names_every_head_of_a_mapping() -> None:
    """The table of heads has exactly the heads that a file may have."""
    from bridge.mapping.spec import HEADS

    table = PAGE.read_text(encoding="utf-8").split("## The head")[1].split("## Paths")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(HEADS)
