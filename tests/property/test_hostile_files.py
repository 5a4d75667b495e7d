"""Files that nobody should send: bounded time and memory, a clear issue, and the next message unharmed."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cli.check import documents
from bridge.cli.convert import Converted, convert
from bridge.core import json
from bridge.core.issue import Issue
from bridge.hl7v2 import batch, lines, text, yamlfile
from bridge.language import expr, syntax
from tests.unit.pipeline.town import adt, whole

HEAD = b"MSH|^~\\&|ADT|EASTSIDE|||20260301101500-0500||ADT^A03|X-1|P|2.5.1\rEVN|A03|20260301101500-0500\r"
PERSON = b"PID|1||E1^^^EASTSIDE^MR||DOE^JO\r"
VISIT = b"PV1|1|I\r"
GOOD = adt()
READ = {
    "a megabyte in a name": HEAD + b"PID|1||E1^^^EASTSIDE^MR||" + b"D" * 1_000_000 + b"^JO\r" + VISIT,
    "ten megabytes of text": HEAD + PERSON + VISIT + b"OBX|1|TX|N^n^L||" + b"x" * 10_000_000 + b"||||||F\r",
    "a megabyte of escapes": HEAD + PERSON + VISIT + b"OBX|1|TX|N^n^L||" + b"\\E\\" * 350_000 + b"||||||F\r",
    "escapes in escapes": HEAD + PERSON + VISIT + b"OBX|1|TX|N^n^L||" + b"\\E" * 40_000 + b"\\E\\" * 40_000 + b"||||||F\r",
    "repetitions of a number": HEAD + b"PID|1||" + b"~".join(b"E%d^^^EASTSIDE^MR" % n for n in range(5000)) + b"||DOE^JO\r" + VISIT,
    "empty repetitions": HEAD + b"PID|1||E1" + b"~" * 90_000 + b"||DOE^JO\r" + VISIT,
    "components without end": HEAD + b"PID|1||E1" + b"^" * 1_000_000 + b"||DOE^JO\r" + VISIT,
    "segments of one kind": HEAD + PERSON + VISIT + b"".join(b"DG1|%d||Z%d^x^L\r" % (n, n) for n in range(2000)),
    "segments nobody knows": HEAD + PERSON + VISIT + b"ZZ1|1\r" * 40_000,
    "a person again and again": HEAD + PERSON * 20_000 + VISIT,
    "lines that are no segments": HEAD + PERSON + VISIT + b"OBX|1|TX|N^n^L||" + b"a\n" * 30_000 + b"||||||F\r",
    "control characters": HEAD + PERSON.replace(b"DOE", b"\x01\x02\x1bDOE\x7f") + VISIT + b"ZZ1|" + b"\x03" * 500_000 + b"\r",
    "NULs": HEAD + PERSON.replace(b"DOE", b"DO\0E") + VISIT + b"\0" * 500_000,
    "bytes of no character set": HEAD + PERSON.replace(b"DOE", b"\xff\xfe\x81DOE") + VISIT,
}
REFUSED = {
    "too large": (HEAD + b"NTE|1||" + b"x" * text.LARGEST + b"\r", "BRG-H003"),
    "a million repetitions": (HEAD + b"PID|1||" + b"1~" * 1_000_000 + b"\r" + VISIT, "BRG-H003"),
    "a million segments": (HEAD + PERSON + b"OBX|1\r" * 1_000_000, "BRG-H003"),
    "fields without end": (HEAD + b"PID|" + b"|" * (lines.MOST_FIELDS + 1) + b"\r", "BRG-H003"),
    "separators that clash": (b"MSH||||||\rPID|1\r", "BRG-H002"),
    "a head alone": (HEAD[:HEAD.index(b"\r") + 1], "BRG-H008"),
}


def converted(*parts: bytes) -> list[Converted]:
    return list(convert(io.BytesIO(b"".join(parts)), "", whole()))


@pytest.mark.parametrize("body", READ.values(), ids=list(READ))
def test_what_is_only_large_is_read(body: bytes) -> None:
    """A message of strange size becomes a Bundle, and the one after it is converted as always."""
    large, good = converted(body, GOOD)
    assert large.bundle is not None
    assert not any(issue.code == "BRG-X500" for issue in large.issues)
    assert good.bundle == converted(GOOD)[0].bundle


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_fit_is_refused_alone(body: bytes, code: str) -> None:
    """A message beyond the limits is refused with place and remedy, and the one after it is converted as always."""
    refused, good = converted(body, GOOD)
    assert refused.bundle is None
    assert [issue.code for issue in refused.issues if issue.severity in ("fatal", "error")] == [code]
    assert all(issue.where and issue.hint for issue in refused.issues)
    assert good.bundle == converted(GOOD)[0].bundle


def test_a_file_is_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred messages take a small part of the memory that their Bundles would: one is held at a time."""
    monkeypatch.setattr(batch, "BLOCK", 4096)
    one = len(orjson.dumps(converted(GOOD)[0].bundle))
    file = io.BytesIO(GOOD * 200)
    tracemalloc.start()
    assert sum(made.bundle is not None for made in convert(file, "", whole())) == 200
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 200 * one / 2


def test_limits_are_what_the_documentation_says() -> None:
    """docs/operations.md names the limits as the code has them."""
    said = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert (f"| {text.LARGEST >> 20} MiB, {lines.MOST_SEGMENTS:,} segments, {lines.MOST_FIELDS:,} fields, "
            f"{lines.MOST_REPETITIONS:,} repetitions |") in said
    assert f"| {batch.MOST_SKIPPED >> 20} MiB |" in said
    assert f"| {json.LIMIT >> 20} MiB |" in said
    assert f"| {syntax.LIMIT >> 10} KiB and {syntax.DEPTH} levels, {expr.LIMIT:,} characters and {expr.DEPTH} levels |" in said
    assert f"| {yamlfile.DEPTH} levels, no aliases |" in said


@settings(max_examples=200, deadline=None)
@given(st.lists(st.recursive(st.none() | st.text() | st.integers(-2**53, 2**53), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)))
def test_the_elements_of_a_list_are_found_without_reading_them(listed: list[Any]) -> None:
    """An array taken apart unread has the elements that a reader finds in it, however they are written."""
    for written in (orjson.dumps(listed), orjson.dumps(listed, option=orjson.OPT_INDENT_2)):
        assert [json.read(one) for one in json.elements(written)] == listed


def test_one_case_nested_too_deeply_leaves_the_others_whole() -> None:
    """A document that cannot be read stands as its Issue between those that can; a list that is cut off says so."""
    deep = b"[" * 5000 + b"]" * 5000
    first, broken, last = documents(b'[{"id": "a"}, ' + deep + b', {"id": "]"}]')
    assert (first, isinstance(broken, Issue), last) == ({"id": "a"}, True, {"id": "]"})
    assert [isinstance(one, Issue) for one in documents(b'[{"id": "a"}, {"id": ')] == [False, True]
