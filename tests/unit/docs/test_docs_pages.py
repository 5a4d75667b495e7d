"""The pages themselves: examples parse, links lead somewhere, generated pages are up to date, nothing of a machine shows."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli import group
from bridge.consent import project
from docs import generate
from tests.unit.docs.pages import PAGES, ROOT, blocks, name

PARSERS = {
    "python": ast.parse, "yaml": yaml.safe_load, "toml": tomllib.loads, "json": json.loads,
    "sh": str, "text": str,
}
FORBIDDEN = re.compile(
    r"/(?:work|root|home|tmp|Users)/|\bpypi\b|artifactory|index-url|\.internal\b|https?://localhost|\b(?:10|192\.168|172\.16)\.\d+\.\d+\b", re.IGNORECASE)
SECTIONS = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_examples_parse(page: Path) -> None:
    """Every fenced block is in a language that we check, and parses."""
    for block in blocks(page):
        assert block.language in PARSERS, f"{name(page)}:{block.line}: {block.language}"
        try:
            PARSERS[block.language](block.text)
        except (SyntaxError, ValueError, yaml.YAMLError) as error:
            pytest.fail(f"{name(page)}:{block.line}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or folder of the repository, and its anchor a heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{name(page)}: {target}"
        if anchor:
            heads = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in SECTIONS.findall(file.read_text(encoding="utf-8"))}
            assert anchor in heads, f"{name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_of_a_machine_shows(page: Path) -> None:
    """No page names a path of a machine or a host of a registry."""
    found = [f"{name(page)}:{number}" for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1) if FORBIDDEN.search(line)]
    assert found == []


def test_generated_pages_are_up_to_date() -> None:
    """Commands, codes and functions are what the program says now: `python -m docs.generate` changes nothing."""
    assert generate.stale() == []


def test_every_code_has_a_meaning_and_a_remedy() -> None:
    """docs/errors.csv explains exactly the codes of the sources, each in two columns."""
    known = generate.meanings()
    assert {"missing": sorted(set(generate.codes()) - known.keys()), "gone": sorted(known.keys() - set(generate.codes()))} == {"missing": [], "gone": []}
    assert [code for code, row in known.items() if None in row or not row["meaning"] or not row["remedy"]] == []
    assert {code[4] for code in known} <= generate.AREAS.keys()


def test_readme_shows_the_demo_as_it_is() -> None:
    """Headings, columns and the counts of the README's demo are those of the program; rows of it are left out, none invented."""
    shown = next(one.text for one in blocks(ROOT / "README.md") if one.note == "demo")
    made = CliRunner().invoke(group, ["demo"], terminal_width=140).stdout
    assert made
    real = [skeleton(line) for line in made.splitlines()]
    missing = [line for line in shown.splitlines() if line.strip() not in ("", "...") and not any(fits(skeleton(line), one) for one in real)]
    assert missing == []
    headings = [line.strip() for line in made.split("What to try next")[0].splitlines() if re.fullmatch(r"[A-Z][a-z ]+", line.strip())]
    assert [line for line in shown.splitlines() if line in headings] == headings


def skeleton(line: str) -> str:
    """A line of the demo without what its random key makes, and without how wide its columns are."""
    return re.sub(r"\b[0-9A-Z]{8}\b|^[0-9a-f]{8}\b", "#", re.sub(r" {2,}", " ", line.strip()))


def fits(shown: str, real: str) -> bool:
    """Whether a shown line is the real one, or its beginning when it ends with dots."""
    return real.startswith(shown[:-3].strip()) if shown.endswith("...") else shown == real


def test_recipient_kinds_in_the_docs_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of a recipient kind extends one that exists and compiles to an allow-list."""
    shown = [yaml.safe_load(one.text) for page in PAGES for one in blocks(page) if one.note == "recipient"]
    assert shown
    for content in shown:
        made = project._read(content, project._files())
        assert made.shapes["Patient"].allows("birthDate") == "all"
        assert made.shapes["Patient"].allows("maritalStatus") is None
