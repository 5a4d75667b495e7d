"""Errors as the best compilers write them: the place, the line with the word underlined, what was meant; all of a file at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import MappingError
from bridge.language.table import read_table
from bridge.mapping.library import Library

HEAD = "mapping: m\nfrom: hl7v2 ADT^A03\n"
PATIENT = HEAD + "emit:\n  p:\n    resource: Patient\n    key: =PID-3.first()\n"


def said(folder: Path, text: str) -> str:
    site = folder / "site"
    for name, body in (("m.yaml", text), ("tables/sex.csv", "source,target\nF,female\n"), ("sets/z.csv", "code\nZ59\n")):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(body)
    with pytest.raises(MappingError) as caught:
        Library.load([site]).compiled()
    return str(caught.value)


@pytest.mark.parametrize(("line", "shown"), [
    ("gender: =PID-8.mapp(sex)", """site/m.yaml:7:20: no function mapp()
    7 |     gender: =PID-8.mapp(sex)
                           ^^^^
      did you mean map?"""),
    ("gender: =PID-8.map(sexx)", """site/m.yaml:7:24: no table `sexx`
    7 |     gender: =PID-8.map(sexx)
                               ^^^^
      did you mean sex?"""),
    ("name: =PDI-5", """site/m.yaml:7:12: unknown segment PDI
    7 |     name: =PDI-5
                   ^^^^^
      did you mean PID, """),
    ("birthDate: =PID-7.3", """site/m.yaml:7:17: TS has no component 3
    7 |     birthDate: =PID-7.3
                        ^^^^^^^
      TS has .1 time, .2 degree of precision"""),
    ("gender: =pid-8", """site/m.yaml:7:14: unknown name `pid-8` in an HL7 v2 message
    7 |     gender: =pid-8
                     ^^^^^
      HL7 writes it in capitals: PID-8"""),
    ("name: =PID-5.family", """      its family name is component 1"""),
    ("gender: =if(PID-8 == 'F', 'female')", """      equal is one ="""),
    ("gender: =if(PID-8 = 'F' && PID-7.exists(), 'female')", """site/m.yaml:7:29: unexpected '&'
    7 |     gender: =if(PID-8 = 'F' && PID-7.exists(), 'female')
                                    ^
      write `and`"""),
    ("contact: {gender: =if(PID-8 = 'F', 'female')}", """site/m.yaml:7:48: a `,` or `}` is missing
    7 |     contact: {gender: =if(PID-8 = 'F', 'female')}
                                                       ^
      in { } a text with a comma, a bracket or a colon stands in "double quotes\""""),
    ("contact: {gender: =PID-8.map(sex, name: =PID-5}", """site/m.yaml:7:37: the expression ends too early; `)` is missing
    7 |     contact: {gender: =PID-8.map(sex, name: =PID-5}
                                            ^
      in { } and [ ] a comma or bracket ends a text; put the expression in "double quotes\""""),
    ("gender:male", """site/m.yaml:7:5: a key without `: `
    7 |     gender:male
            ^^^^^^
      write `name: value`, with a blank behind the colon"""),
    (" gender: male", """      a line indented deeper than the one above it belongs to that one; a text with `: ` stands in quotes"""),
    ("gendre: male", """site/m.yaml:7:5: unknown element Patient.gendre
    7 |     gendre: male
            ^^^^^^
      did you mean gender?"""),
    ("birthDate: =PID-5", """      XPN becomes HumanName, """),
])
def test_a_mistake_is_shown_as_it_was_made(tmp_path: Path, line: str, shown: str) -> None:
    """The place to the column, the line, the word underlined, and what to write instead."""
    assert shown in said(tmp_path, f"{PATIENT}    {line}\n")


def test_all_mistakes_of_all_files_are_shown_at_once(tmp_path: Path) -> None:
    """Three wrong lines of one mapping are three errors; a broken file does not hide another broken file."""
    found = said(tmp_path, f"{PATIENT}    gendre: male\n    birthDate: =PID-99\n    name: =PID-5.first(\n")
    assert [line.split(": ")[0] for line in found.split("\n") if line.startswith("site/")] == ["site/m.yaml:7:5", "site/m.yaml:8:17", "site/m.yaml:9:24"]
    (tmp_path / "site" / "n.yaml").write_text("mapping: [\n")
    (tmp_path / "site" / "o.yaml").write_text("mapping: o\nemitt: {}\n")
    both = said(tmp_path, "mapping: m\nfrom: hl8\n")
    assert all(place in both for place in ("site/m.yaml:2:7", "site/n.yaml:2:1", "site/o.yaml:2:1"))


def test_all_mistakes_of_a_table_are_shown_at_once() -> None:
    """Too many cells, an empty code: each with its line; a row that stands twice names the first one."""
    with pytest.raises(MappingError) as caught:
        read_table("source,target\nA,b,c\n,d\n", "tables/t.csv")
    assert str(caught.value) == """tables/t.csv:2:5: 3 cells under 2 columns
    2 | A,b,c
            ^
      a cell with a comma stands in quotes
tables/t.csv:3:1: no source in this row
    3 | ,d
        ^"""
    with pytest.raises(MappingError, match=r"t\.csv:4:1: `A` is in this table already, on line 2"):
        read_table("source,target\nA,b\nB,c\nA,d\n", "tables/t.csv")
    with pytest.raises(MappingError, match="commas stand between the columns"):
        read_table("source;target\nA;b\n", "tables/t.csv")
