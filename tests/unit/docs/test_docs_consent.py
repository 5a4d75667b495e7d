"""The privacy officer's page: its cases give the decisions it shows, and its list of kinds is that of the files."""

from __future__ import annotations

import csv
import json
import re

from bridge.consent import labels, project, terms
from bridge.consent.cases import run_case
from tests.unit.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "consent.md"


def test_decisions_are_those_of_the_filter() -> None:
    """Each case of the page gives the line that stands below it."""
    cases = json.loads(next(one.text for one in blocks(PAGE) if one.file == "cases.json"))
    shown = [json.loads(line) for line in next(one.text for one in blocks(PAGE) if one.note == "decisions").splitlines()]
    assert [run_case(case) for case in cases] == shown


def test_every_kind_of_recipient_is_on_the_page() -> None:
    """The table of kinds names exactly the files of profiles/recipients."""
    table = PAGE.read_text(encoding="utf-8").split("## What a kind of recipient may see")[1]
    kinds = {content["kind"] for content in project._files().values()}
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == kinds


def table(after: str, width: int = 1) -> list[tuple[str, ...]]:
    """The first cells, in backquotes, of the rows of the first table after this text."""
    rows = PAGE.read_text(encoding="utf-8").split(after, 1)[1].lstrip().split("\n\n", 1)[0].splitlines()
    found = [re.findall(r"`([^`]+)`", "|".join(row.split(" | ")[:width])) for row in rows[2:]]
    return [tuple(cells[:width]) for cells in found]


def test_the_words_of_a_rule_are_those_of_the_page() -> None:
    """The tables have exactly the keys that a rule may have, and the needs that a permit can be asked."""
    from bridge.consent import house_file
    from bridge.consent.house import NEEDS

    page = PAGE.read_text(encoding="utf-8")
    assert {key for (key,) in table("0 doubts, 0 notes\n```\n")} == set(house_file.KEYS)
    assert set(table("<!-- who and what -->", 2)) == {("who", key) for key in house_file.WHO} | {("what", key) for key in house_file.WHAT}
    assert all(f"| `{need}` | {says} |" in page for need, says in NEEDS.items())
    assert all(f"`{flag}`" in page for flag in house_file.flags())


def test_the_packaged_rules_and_overlays_are_on_the_page() -> None:
    """Every packaged rule and every overlay is listed, and nothing else."""
    from bridge.consent import house_file

    shelf = house_file.packaged()
    assert {name for (name,) in table("<!-- packaged rules -->")} == set(shelf.rules)
    assert {code for (code,) in table("<!-- overlays -->")} == set(shelf.overlays)


def test_the_label_of_the_readme_works() -> None:
    """The row of the README is read like ours and labels the code it names, and no other."""
    text = next(one.text for one in blocks(ROOT / "README.md") if one.note == "label")
    labeller = labels.Labeller(list(csv.DictReader(text.splitlines())), {}, terms.load())
    assert labeller.of_code(terms.ICD10, "Z63.0") == {"SDV"}
    assert labeller.of_code(terms.ICD10, "Z63.1") == set()
    assert text.splitlines()[0] in (ROOT / "profiles/consent/labels/icd10.csv").read_text(encoding="utf-8").splitlines()


def test_records_of_the_readme_are_complete() -> None:
    """Each example of an intake record is one that the bridge accepts as it is."""
    from bridge.referral.intake import Answer, read

    shown = [json.loads(one.text) for one in blocks(ROOT / "README.md") if one.language == "json"]
    assert [one["record_type"] for one in shown] == ["status", "service", "outcome", "status"]
    assert [answer for answer in map(read, shown) if not isinstance(answer, Answer)] == []
