"""Facts: one tiny message per row of the maps, and what the standard says it becomes.

A file in `facts/` holds a `base` message (segments by line) and `facts`: cases in the form of inline tests, where `change`
sets fields of the base, `append` adds segments, and `given` replaces the base. The feed is the sender's unless `feed` names
one. Expectations are written from the standard.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.language import cases, syntax
from bridge.language.cases import Case
from bridge.mapping import change
from tests.unit.mappings import packaged

HERE = Path(__file__).resolve().parent


def facts() -> list[tuple[str, Case]]:
    """(base message, case) of every fact of every file."""
    found = []
    for file in sorted((HERE / "facts").glob("*.yaml")):
        root = syntax.load(file.read_text(encoding="utf-8"), file.name)
        base = root.get("base")
        text = syntax.word(base, "base:") if base is not None else ""
        found += [(case.given or text, case) for case in cases.read(root.get("facts"))]
    return found


def observe(base: str, case: Case) -> cases.Observe:
    body = change.message("\r".join(base.strip().splitlines()).encode(), case.change, case.append)
    return cases.observer(packaged.draft(body, packaged.feeds().named(case.feed) if case.feed else packaged.feed_of(body)))


@pytest.mark.parametrize(("base", "case"), facts(), ids=lambda each: f"{each.place.source.name}: {each.name}" if isinstance(each, Case) else "")
def test_fact(base: str, case: Case) -> None:
    """What the standard says of this row is what the bridge says."""
    assert cases.judge(case, observe(base, case)).failures == ()
