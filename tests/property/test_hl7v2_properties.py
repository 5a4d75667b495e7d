"""Laws of the reader and writer for every input."""

from __future__ import annotations

import io

import hl7
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.errors import Unreadable
from bridge.hl7v2 import batch, build
from bridge.hl7v2.message import encode, parse
from bridge.hl7v2.peek import peek
from bridge.hl7v2.separators import DEFAULT, Separators, declared, escape, unescape
from bridge.hl7v2.text import printable

FAST = settings(max_examples=150, deadline=None)
MARKS = st.permutations(list("|^~\\&#!$%*+,;:<=>?@_`{}[]()-./'")).map("".join)
SEPARATORS = MARKS.map(lambda marks: declared(marks[0], marks[1:5]))
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
COMPONENT = st.one_of(TEXT, st.lists(TEXT, min_size=2, max_size=3).map(tuple))
REPETITION = st.one_of(TEXT, st.lists(COMPONENT, min_size=1, max_size=4).map(tuple))
FIELD = st.one_of(REPETITION, st.lists(REPETITION, min_size=2, max_size=3))
SEGMENT = st.tuples(st.sampled_from(["PID", "PV1", "OBX", "ZZ9"]), st.lists(FIELD, max_size=5)).map(
    lambda pair: [pair[0], *pair[1]]
)
BODY = st.lists(SEGMENT, min_size=1, max_size=4)
HEAD = [
    "MSH",
    None,
    None,
    "APP",
    "FAC",
    "",
    "",
    "20240101",
    "",
    ("ADT", "A03"),
    "C1",
    "P",
    "2.5.1",
    "",
    "",
    "",
    "",
    "",
    "UNICODE UTF-8",
]


def flat(field: object) -> list[list[list[str]]]:
    """A field as repetitions of components of subcomponents."""
    repetitions = field if isinstance(field, list) else [field]
    return [
        [list(part) if isinstance(part, tuple) else [part] for part in (one if isinstance(one, tuple) else (one,))]
        for one in repetitions
    ]


@FAST
@given(st.data(), SEPARATORS)
def test_what_is_written_is_read(data: st.DataObject, seps: Separators | None) -> None:
    """Whatever the separators and the values, reading gives every value at its place and no further segment."""
    assert seps is not None
    body = data.draw(BODY)
    message = parse(build.write([HEAD, *body], seps))
    assert [segment.name for segment in message.segments] == ["MSH", *(segment[0] for segment in body)]
    for written, read in zip(body, message.segments[1:], strict=True):
        for number, field in enumerate(written[1:], 1):
            values = read.values(number)
            for index, repetition in enumerate(flat(field)):
                for component, subs in enumerate(repetition, 1):
                    for sub, text in enumerate(subs, 1):
                        found = values[index].text(component, sub) if index < len(values) else ""
                        assert found == printable(text)


@FAST
@given(TEXT, SEPARATORS)
def test_unescape_undoes_escape(text: str, seps: Separators | None) -> None:
    """unescape(escape(x)) is x, and escape(x) has no separator, line end or null in it."""
    assert seps is not None
    written = escape(text, seps)
    assert unescape(written, seps) == text
    assert not set(written) & {seps.field, seps.component, seps.repetition, seps.sub, "\r", "\n", "\x0b", "\x1c"}
    assert written != '""'


@FAST
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=80).map(lambda raw: b"MSH|^~\\&|" + raw),
        st.text(max_size=80).map(
            lambda text: ("MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5\rPID|" + text).encode("utf-8", "surrogatepass")
        ),
    )
)
def test_any_bytes_are_a_message_or_unreadable(raw: bytes) -> None:
    """Reading, glancing and splitting never end in another exception, and give the same bytes back."""
    try:
        message = parse(raw)
    except Unreadable:
        message = None
    try:
        peek(raw)
    except Unreadable:
        assert message is None
    if message is not None:
        assert encode(message) == raw
        for segment in message.segments:
            for number in range(len(segment.fields)):
                for value in segment.values(number):
                    assert isinstance(value.text(), str)
    for part in batch.split(raw):
        assert part


@FAST
@given(
    st.lists(st.tuples(BODY, st.sampled_from(["\r", "\n", "\r\n"])), min_size=1, max_size=4),
    st.sampled_from([b"", b"\r\r", b"\n\n"]),
)
def test_joined_messages_split_into_themselves(messages: list[tuple[list[list[object]], str]], gap: bytes) -> None:
    """Messages put one after the other come apart as they were, whatever their line ends and content."""
    parts = [build.write([HEAD, *body]).replace(b"\r", end.encode()) for body, end in messages]  # type: ignore[list-item]
    if gap == b"\n\n":
        parts = [part.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for part in parts]
    assert list(batch.split(gap.join(parts))) == parts
    framed = b"".join(b"\x0b" + part + b"\x1c\r" for part in parts)
    assert list(batch.split(framed)) == parts


@FAST
@given(st.integers(1, 40), st.integers(7, 400))
def test_blocks_make_no_difference(count: int, block: int) -> None:
    """A stream read in blocks of any size gives the messages that the whole gives."""
    body = b"".join(
        b"MSH|^~\\&|A|B|||1||ADT^A03|%d|P|2.5\rPID|1||see MSH|^\rPV1|1\r" % number for number in range(count)
    )
    small, batch.BLOCK = batch.BLOCK, block
    try:
        parts = list(batch.split_stream(io.BytesIO(body)))
    finally:
        batch.BLOCK = small
    assert b"".join(parts) == body
    assert len(parts) == count


SIMPLE = st.text(st.sampled_from("ABCxyz 019.-"), max_size=6)


@FAST
@given(st.lists(st.lists(st.lists(SIMPLE, min_size=1, max_size=3), min_size=1, max_size=2), min_size=1, max_size=6))
def test_python_hl7_reads_the_same(fields: list[list[list[str]]]) -> None:
    """On simple messages python-hl7 finds the same text in every repetition and component."""
    raw = "|".join("~".join("^".join(parts) for parts in repetitions) for repetitions in fields)
    text = f"MSH|^~\\&|A|B|||1||ADT^A03|1|P|2.5\rPID|{raw}\rZZZ|1\r"
    theirs, ours = hl7.parse(text).segment("PID"), parse(text.encode()).all("PID")[0]
    for number, repetitions in enumerate(fields, 1):
        for index, parts in enumerate(repetitions):
            for component, part in enumerate(parts, 1):
                values = ours.values(number)
                assert (values[index].text(component) if index < len(values) else "") == part
        assert str(theirs[number]) == ours.field(number)


def test_default_separators_are_declared() -> None:
    """The default separators are those that MSH|^~\\& declares."""
    assert declared("|", "^~\\&") == DEFAULT
