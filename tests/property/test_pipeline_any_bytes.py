"""Whatever comes from outside ends as one of four outcomes; a fault of ours (BRG-X500) is never one of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.adapters.store.ledger import open_ledger
from bridge.core.draft import Draft
from bridge.core.envelope import FHIR, HL7V2, RECORD, Envelope
from bridge.core.errors import Transient, Unreadable
from bridge.core.outcome import Accepted, Held, Rejected, Retry
from bridge.core.rows import Referral
from bridge.hl7v2 import batch
from bridge.pipeline.check import check
from bridge.pipeline.draft import draft_of
from bridge.pipeline.fault import fault_issue
from bridge.pipeline.receive import receive
from bridge.pipeline.send import send
from bridge.roles import store
from tests.unit.pipeline.town import NOON, Mailbox, Town, adt, consent, record, screening, whole

EXAMPLES = Path(__file__).parents[2] / "mappings" / "examples"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FEW = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
MUTANTS = 2500
"""Of all messages together; `python -m tests.fuzz conversion` looks for as long as one likes."""


@pytest.fixture(autouse=True)
def plain_log() -> None:
    """Another test may have pointed the log at a stream that is closed by now."""
    structlog.reset_defaults()


@cache
def town() -> Town:
    """One town for all examples, with a person, a referral and a form in it, so that state is read as well."""
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    made = Town(ledger)
    made.take(adt(diagnoses=("I50.9", "Z59.41")), adt("A08", control="C-2", mrn="GH2", visit="V2"))
    made.take(consent("GH1001", "valley-elders", "harbor-pantry"), screening(), kind=FHIR)
    made.send()
    return made


@cache
def referral() -> Referral:
    return town().referrals()[0]


def take(body: bytes, kind: str, feed: str = "") -> None:
    """Store and receive one body; only the four outcomes are allowed, and none is a fault of ours."""
    found = town()
    arrival, _ = store([(kind, body, feed)], found.bridge)[0]
    rows = found.bridge.ledger.inbox([arrival.envelope.id])
    for _ in range(2):  # the second time stands on what the first one left
        (outcome,) = receive(rows, found.bridge)
        assert isinstance(outcome, Accepted | Held | Retry | Rejected)
        faults = [issue for issue in getattr(outcome, "issues", ()) if issue.code == "BRG-X500"]
        assert not faults, faults
    out = found.bridge.ledger.waiting(sorted(found.bridge.partners), 500, found.now)
    send(out, found.bridge, lambda _: Mailbox())
    failed = [row.why for row in found.outbox(message_id=arrival.envelope.id) if "BRG-X500" in row.why]
    assert not failed, failed


@cache
def hl7() -> tuple[bytes, ...]:
    """Every HL7v2 message of the examples and, where it is there, of the corpus."""
    files = [*sorted(EXAMPLES.rglob("*.hl7")), *(sorted((CORPUS / "hl7v2").glob("*.hl7")) if CORPUS.is_dir() else ())]
    return tuple(part for file in files for part in batch.split(file.read_bytes()))


def documents() -> list[Any]:
    """Records, forms and consents that are fine as they are."""
    given = [consent(), screening(), consent(effect="deny"), record(referral(), status="accepted"),
             record(referral(), 2, record_type="outcome", status="completed", outcome_code="need-met"),
             record(referral(), 3, record_type="service", units=2, unit_type="visit", service_start="2026-11-20")]
    return [json.loads(one) for one in given]


WORDS = st.sampled_from(["", '""', "|", "^", "~", "\\", "&", "\\X0D\\", "\\X", "\r", "\n", "\x00", "\ud7ff", "é", "20260230", "99999999999999", "-1",
                         "2026-02-30T25:61:00-99:99", "0000", "1e999", "A" * 3000, "urn:oid:", "ADT^A03", "' OR 1=1", "=1+1", "{{}}", "\u202e"])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message with fields replaced, removed, doubled, shifted, segments shuffled, or cut."""
    lines = draw(st.sampled_from(hl7())).decode("utf-8", "surrogateescape").replace("\n", "\r").split("\r")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        fields = lines[at].split("|")
        place = draw(st.integers(0, len(fields) - 1))
        act = draw(st.sampled_from(["word", "drop", "double", "swap", "line", "cut"]))
        if act == "word":
            fields[place] = draw(WORDS)
        elif act == "drop":
            del fields[place]
        elif act == "double":
            fields[place] = f"{fields[place]}~{fields[place]}"
        elif act == "swap":
            other = draw(st.integers(0, len(fields) - 1))
            fields[place], fields[other] = fields[other], fields[place]
        elif act == "line":
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        else:
            lines = [*lines[:at], lines[at][: draw(st.integers(0, len(lines[at])))]]
            return "\r".join(lines).encode("utf-8", "surrogateescape")
        lines[at] = "|".join(fields)
    return "\r".join(lines).encode("utf-8", "surrogateescape")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12) | WORDS,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every place in a document."""
    for key, inner in list(value.items()) if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(inner)


@st.composite
def bent(draw: st.DrawFn) -> tuple[bytes, str]:
    """A record, form or consent with one to three places changed to something else."""
    document = json.loads(json.dumps(draw(st.sampled_from(documents()))))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(places(document)) or [(document, "x")]))
        act = draw(st.sampled_from(["value", "value", "drop", "list", "extra"]))
        if act == "drop" and isinstance(container, dict):
            container.pop(key, None)
        elif act == "list" and (isinstance(container, list) or key in container):
            container[key] = [container[key], container[key]]
        elif act == "extra" and isinstance(container, dict):
            container[draw(st.text(max_size=10))] = draw(JSON)
        else:
            container[key] = draw(JSON)
    return json.dumps(document).encode("utf-8", "surrogatepass"), FHIR if "resourceType" in document else RECORD


@FEW
@given(st.binary(max_size=300), st.sampled_from([HL7V2, FHIR, RECORD, "", "text/plain"]), st.sampled_from(["", "valley-elders", "no such feed"]))
def test_any_bytes_end_as_an_outcome(body: bytes, kind: str, feed: str) -> None:
    """Raw bytes under any content type and any feed end as an outcome that is no fault of ours."""
    take(body, kind, feed)


@FEW
@given(mutated())
def test_any_mutated_message_ends_as_an_outcome(body: bytes) -> None:
    """A message with fields, segments or ends in the wrong place ends as an outcome that is no fault of ours."""
    take(body, HL7V2)


@FEW
@given(st.binary(min_size=1, max_size=40), st.sampled_from(range(12)))
def test_any_bytes_behind_a_head_end_as_an_outcome(tail: bytes, cut: int) -> None:
    """Noise behind a good MSH, or in the middle of a good message, ends as an outcome that is no fault of ours."""
    body = adt()
    place = len(body) * cut // 12
    take(body[:60] + tail, HL7V2)
    take(body[:place] + tail + body[place:], HL7V2)


@settings(FEW, max_examples=500)
@given(bent())
def test_any_bent_document_ends_as_an_outcome(made: tuple[bytes, str]) -> None:
    """Records, forms and consents with anything in any place end as outcomes that are no fault of ours."""
    take(*made, feed="" if made[1] == FHIR else referral().recipient)


@FEW
@given(st.dictionaries(st.sampled_from(["resourceType", "subject", "patient", "record_type", "identifier", "item", "status"]), JSON, max_size=5))
def test_any_small_document_ends_as_an_outcome(document: dict[str, Any]) -> None:
    """JSON objects with the right names and the wrong values end as outcomes that are no fault of ours."""
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    take(body, FHIR)
    take(body, RECORD, "valley-elders")


def scrambled(body: bytes, chance: random.Random) -> bytes:
    """A message with one to six random changes of any kind, bytes included."""
    text = bytearray(body)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(text) or 1)
        end = place + chance.randint(1, 12)
        act = chance.randrange(7)
        if act == 0:
            text[place:end] = b""
        elif act == 1:
            text[place:place] = bytes(text[place:end]) * 2
        elif act == 2:
            text[place:end] = bytes(chance.choice(b"|^~\\&\r\n\x00\"0123456789AZaz \xe9\xff-+.") for _ in range(chance.randint(1, 6)))
        elif act == 3:
            lines = bytes(text).replace(b"\n", b"\r").split(b"\r")
            chance.shuffle(lines)
            text = bytearray(b"\r".join([*(one for one in lines if one.startswith(b"MSH")), *(one for one in lines if not one.startswith(b"MSH"))]))
        elif act == 4:
            fields = bytes(text).split(b"|")
            one, other = chance.randrange(len(fields)), chance.randrange(len(fields))
            fields[one] = chance.choice([fields[other], b"", b'""', fields[one] + b"~" + fields[other], fields[one] + b"^" + fields[other]])
            text = bytearray(b"|".join(fields))
        elif act == 5:
            text = text[: chance.randint(1, len(text) or 1)]
        else:
            text[place:end] = chance.choice(hl7())[place:end]
    return bytes(text)


def test_scrambled_messages_make_no_fault() -> None:
    """Seeded mutants of every message we have are read, mapped and checked without any exception of ours."""
    chance, bridge, faults = random.Random(20261121), whole(), Counter[str]()
    for _ in range(MUTANTS):
        envelope = Envelope("", "", NOON, HL7V2, scrambled(chance.choice(hl7()), chance))
        try:
            found = draft_of(envelope, bridge)
            if isinstance(found, Draft):
                json.dumps(check(found, bridge.profiles).resources, default=str)
        except (Unreadable, Transient):
            pass
        except Exception as error:
            faults[fault_issue(error).text] += 1
    assert not faults, faults.most_common()
