"""The inbox's first look at a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import Unreadable
from bridge.hl7v2 import batch
from bridge.hl7v2.message import parse
from bridge.hl7v2.peek import peek

BODY = b"MSH|^~\\&|APP^1|FAC|||20240101||ADT^A03|C-1|P|2.5.1\rEVN|A03\rPID|1|8|5^^^A^PI~6^^^B&1.2^MR||DOE\rPV1|1|I\r"


def test_facts() -> None:
    """Sender, control id, event and the first MR with its assigner are seen without a full read."""
    seen = peek(BODY)
    assert (seen.sender, seen.control_id, seen.event, seen.key) == (("APP", "FAC"), "C-1", "ADT^A03", "B|6")


@pytest.mark.parametrize(
    ("numbers", "key"),
    [
        (b"|8|5^^^A^PI~6^^^B^SS", "A|5"),
        (b"||5", "FAC|5"),
        (b"|8|", "FAC|8"),
        (b"||", ""),
        (b"|8~9", "FAC|8"),
        (b"||~7^^^&1.2", "1.2|7"),
        (b"", ""),
        (b"||5\\T\\6^^^A^MR", "A|5&6"),
    ],
)
def test_patient_key(numbers: bytes, key: str) -> None:
    """The key is the first MR, else the first number, else PID-2; the facility stands for a missing assigner."""
    assert peek(BODY[: BODY.index(b"|8|")] + numbers + b"\rPV1|1\r").key == key


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b"\r", b"\n"),
        BODY.replace(b"\r", b"\r\n"),
        b"\x0b" + BODY + b"\x1c\r",
        BODY.rstrip(b"\r"),
        b"\xef\xbb\xbf" + BODY,
        BODY.replace(b"20240101", b"20250202"),
        BODY.decode().encode("utf-16"),
    ],
)
def test_a_resent_message_has_the_same_content(body: bytes) -> None:
    """Transport, line ends, encoding and MSH-7 make no difference to the content."""
    assert peek(body).digest == peek(BODY).digest


@pytest.mark.parametrize("body", [BODY.replace(b"C-1", b"C-2"), BODY.replace(b"DOE", b"ROE"), BODY + b"ZZZ|1\r"])
def test_a_changed_message_has_another(body: bytes) -> None:
    """Any other difference makes other content."""
    assert peek(body).digest != peek(BODY).digest


def test_no_head_is_unreadable() -> None:
    """What has no head raises Unreadable."""
    for body in (b"", b"x", b"MSH||||"):
        with pytest.raises(Unreadable):
            peek(body)


def test_it_says_what_a_full_read_says(shared: Path) -> None:
    """For every message of the corpus the glance agrees with the reader."""
    for file in (shared / "corpus/hl7v2").glob("*.hl7"):
        for body in batch.split(file.read_bytes()):
            seen, message = peek(body), parse(body)
            assert (seen.sender, seen.control_id, seen.event) == (message.sender, message.control_id, message.event)
