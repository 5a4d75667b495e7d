"""The cases of rows_*.py, written from reference/consent.md: each comes out as it says, in the exact form of the corpus.

rows_why.txt has, by row, the rules, consents and review notes that the answer gives; `python -m tests.unit.consent.test_consent_rows`
writes it anew. Read the difference: it is what a person is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.consent import rows_data, rows_parts, rows_who
from tests.unit.consent.build import Json, ask

ROWS = [*rows_who.ROWS, *rows_data.ROWS, *rows_parts.ROWS]
WHY = Path(__file__).parent / "rows_why.txt"
RULES = """V1 R1 R2 R4 L1 L2 L3 X1 X2 F1 F2 F3 F4 F5 F6 C1 C2 D1 D2 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11
    B1 B2 B3 M1 M2 M3 M4 M5 M6 M7 M8 M9 N1 N2 N3 N4 P1""".split()
ONE_WAY = {"D1", "N2", "X2"}
"""Rules that only ever deny."""


def said(named: Json) -> tuple[str, str]:
    """What a row's case comes to, and why."""
    answer = ask(**{"consents": [], **named})
    reasons = (" ".join(answer[name]) for name in ("rules", "consents"))
    return " ".join([answer["decision"], *answer["redact_paths"], *answer["obligations"]]), " | ".join([*reasons, ", ".join(answer["review"])]).rstrip(" |")


def reasons() -> dict[str, str]:
    """rows_why.txt by row."""
    return dict(line.split(" = ", 1) for line in WHY.read_text("utf-8").splitlines())


KNOWN = reasons()


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row(row: tuple[str, str, Any]) -> None:
    """Decision, paths and obligations are what the row says; rules, consents and review notes what they were."""
    assert said(row[2]) == (row[1], KNOWN[row[0]])


def test_rows_have_names_of_their_own() -> None:
    """No row stands twice, and no reason is of a row that is gone."""
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert set(KNOWN) == {row[0] for row in ROWS}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_rows_of_both_kinds(rule: str) -> None:
    """Each rule id of reference/consent.md 1.2 has a row that lets something out and one that withholds something."""
    decisions = {row[1].split()[0] for row in ROWS if row[0].startswith(f"{rule} ")}
    assert "deny" in decisions or "redact" in decisions
    assert decisions & {"permit", "redact"} or rule in ONE_WAY


if __name__ == "__main__":
    WHY.write_text("".join(f"{name} = {said(named)[1]}\n" for name, _, named in ROWS), "utf-8")
