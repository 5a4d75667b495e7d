"""Code tables and sets: what a file may look like, which row wins."""

from __future__ import annotations

import pytest

from bridge.core.errors import MappingError
from bridge.language.table import read_set, read_table


def test_the_row_of_the_system_wins_then_any_then_a_prefix() -> None:
    """A code is looked up with its system, then without, then by the longest `*` prefix."""
    table = read_table("# target-system: urn:t\nsource,system,target,target_system\nA,urn:a,one,\nA,,any,urn:u\nB,urn:b,two,\nC*,,three,\nC1*,,four,\n", "x/t.csv")
    assert table.name == "t"
    found = {(code, system): row.target if (row := table.find(code, system)) else None
             for code, system in [("A", "urn:a"), ("A", "urn:z"), ("A", ""), ("B", ""), ("B", "urn:z"), ("C9", ""), ("C12", "x"), ("D", "")]}
    assert found == {("A", "urn:a"): "one", ("A", "urn:z"): "any", ("A", ""): "any", ("B", ""): "two", ("B", "urn:z"): None,
                     ("C9", ""): "three", ("C12", "x"): "four", ("D", ""): None}
    first, second = table.find("A", "urn:a"), table.find("A")
    assert first and second
    assert (first.target_system, second.target_system) == ("urn:t", "urn:u")


def test_the_head_says_what_the_table_is() -> None:
    """`keep`, `source-system` and `target-system` are facts of the head; other comments are comments."""
    table = read_table("\ufeff# Facts: somewhere\n# keep: source\n# source-system: urn:s\n#target-system: urn:t\nsource,target\nA,b\n", "t.csv")
    assert (table.keep_source, table.source_system, table.target_system) == (True, "urn:s", "urn:t")


@pytest.mark.parametrize(("text", "said"), [
    ("", "t.csv:1:1: no header"),
    ("# only facts\n", "no header"),
    ("sauce,target\n", "no column `sauce`"),
    ("source\n", "the column `target` is missing"),
    ("source,target,target\n", "a column twice"),
    ("source,target\nA,b\nA,c\n", "t.csv:3:1: `A` is in this table already"),
    ("source,target\nA,b,c\n", "t.csv:2:5: 3 cells under 2 columns"),
    ("source,target\n,b\n", "t.csv:2:1: no source"),
    ('source,target\n"A\nB",b\n', "cell"),
    ('source,target\n"A"x,b\n', "not CSV"),
])
def test_a_wrong_table_says_its_line(text: str, said: str) -> None:
    """Headers, doubled rows and broken CSV are refused with file and line."""
    with pytest.raises(MappingError, match=r"t\.csv") as caught:
        read_table(text, "t.csv")
    assert said in str(caught.value)


def test_a_set_has_codes_systems_and_prefixes() -> None:
    """Without a system only the code counts; with one it must be the set's, or the set must not care."""
    codes = read_set("code,system\nA,urn:a\nB,\nZ5*,\nY*,urn:y\n", "s.csv")
    assert [codes.has(code, system) for code, system in
            [("A", ""), ("A", "urn:a"), ("A", "urn:b"), ("B", "urn:b"), ("Z59.0", "urn:q"), ("Y1", "urn:y"), ("Y1", "urn:z"), ("Y1", ""), ("C", "")]
            ] == [True, True, False, True, True, True, False, True, False]


def test_the_digest_does_not_see_line_ends() -> None:
    """The same table saved elsewhere is the same table."""
    assert read_table("source,target\r\nA,b\r\n", "t.csv").digest == read_table("source,target\nA,b\n", "t.csv").digest
    assert read_table("source,target\nA,c\n", "t.csv").digest != read_table("source,target\nA,b\n", "t.csv").digest
