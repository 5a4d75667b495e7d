"""The cases of rows_*.py, written from reference/consent.md: each comes out as it says, in the exact form of the corpus."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.consent import rows_data, rows_parts, rows_who
from tests.unit.consent.build import ask

ROWS = [*rows_who.ROWS, *rows_data.ROWS, *rows_parts.ROWS]
RULES = """V1 R1 R2 R4 L1 L2 L3 X1 X2 F1 F2 F3 F4 F5 F6 C1 C2 D1 D2 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11
    B1 B2 B3 M1 M2 M3 M4 M5 M6 M7 M8 M9 N1 N2 N3 N4 P1""".split()
ONE_WAY = {"D1", "N2", "X2"}
"""Rules that only ever deny."""


@pytest.mark.parametrize(("expect", "named"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_row(expect: str, named: dict[str, Any]) -> None:
    """Decision, paths and obligations are what the row says."""
    answer = ask(**{"consents": [], **named})
    assert " ".join([answer["decision"], *answer["redact_paths"], *answer["obligations"]]) == expect, answer


def test_rows_have_names_of_their_own() -> None:
    """No row stands twice."""
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_rows_of_both_kinds(rule: str) -> None:
    """Each rule id of reference/consent.md 1.2 has a row that lets something out and one that withholds something."""
    said = {row[1].split()[0] for row in ROWS if row[0].startswith(f"{rule} ")}
    assert "deny" in said or "redact" in said
    assert said & {"permit", "redact"} or rule in ONE_WAY
