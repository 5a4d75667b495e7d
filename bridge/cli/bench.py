"""`bench`: how fast, under which conditions, against which yardstick of the same run."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show
from bridge.cli.variety import PLACES, STAFF, varied

if TYPE_CHECKING:
    from bridge.core.draft import Draft
    from bridge.pipeline.bridge import Bridge

HL7 = "x-application/hl7-v2+er7"
WARM, PARTS = 200, 500
"""Messages before the clock starts, as a service has seen them; messages over which the parts of the work are measured."""


@click.group("bench")
def command() -> None:
    """Benchmarks; each prints its conditions and a yardstick measured in the same run."""


def conditions() -> dict[str, Any]:
    """Machine, interpreter and load, without which a figure says nothing."""
    return {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(),
            "load": [round(one, 2) for one in os.getloadavg()], "clock": "CPU time of the process"}


def clocked(step: Callable[[], Any], times: int) -> dict[str, float]:
    """Microseconds of CPU of one step: least, median and 99th percentile of many."""
    return over(lambda _: step(), range(max(3, times // 20)), range(times))


def over(step: Callable[[Any], Any], before: Iterable[Any], things: Iterable[Any]) -> dict[str, float]:
    """Microseconds of CPU of one step over each of many things, after some `before` that are not counted."""
    for thing in before:
        step(thing)
    taken = []
    for thing in things:
        started = time.process_time_ns()
        step(thing)
        taken.append((time.process_time_ns() - started) / 1e3)
    taken.sort()
    return {"least_us": round(taken[0], 1), "median_us": round(statistics.median(taken), 1), "p99_us": round(taken[int(len(taken) * 0.99)], 1)}


def memory() -> float:
    """MiB resident at most so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def tell(name: str, budget: str, figures: dict[str, Any], as_json: bool) -> None:
    """Conditions, figures and the budget they are held against."""
    made = {"bench": name, "conditions": conditions(), "budget": budget, **figures, "memory_mib": memory()}
    if as_json:
        show.as_json(made)
        return
    show.table(f"bench {name}", ("what", "figure"), [(key, value) for key, value in made.items() if key != "bench"])


@command.command("convert")
@click.argument("file", required=False)
@click.option("--times", default=2000, show_default=True)
@click.option("--batch", default=0, metavar="N", help="Also convert a batch file of N messages, and compare its first and last tenth.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def convert(ctx: click.Context, file: str | None, times: int, batch: int, as_json: bool) -> None:
    """Read, map, check and serialise a message, each time of another person; yardsticks: what others need for the same one."""
    body = context.read(file) if file else example("own-a03-basic.hl7")
    with context.scratch(ctx) as bridge:
        figures = conversion(body, times, bridge)
        if batch:
            figures["batch"] = batched(body, batch, bridge)
    tell("convert", "0.3 ms for a 10-segment A03 with 8 resources or more", figures, as_json)


def conversion(body: bytes, times: int, bridge: Bridge) -> dict[str, Any]:
    """The figures of `bench convert`: the whole, and its parts measured one after the other."""
    import orjson

    from bridge.fhir import bundle
    from bridge.hl7v2 import message
    from bridge.pipeline.check import check
    from bridge.roles import settle

    before, bodies = ([varied(body, number) for number in span] for span in (range(times, times + WARM), range(times)))
    whole = converter(bridge)
    made = whole(bodies[0])
    settle()
    figures = over(whole, before, bodies)
    drafts = [mapped(each, bridge) for each in bodies[:PARTS]]
    bundles = [bundle.collection(draft.resources, base=bridge.fhir_base) for draft in drafts]
    found: dict[str, Any] = {
        "message": f"{len(body)} bytes; person, numbers and times differ each time, {STAFF} people of staff and {PLACES} beds come again",
        "resources": len(drafts[0].resources), "bundle_bytes": len(made),
        "whole": figures, "per_second": round(1e6 / figures["median_us"]),
        "read": over(message.parse, (), bodies[:PARTS]),
        "read_and_map": over(lambda each: mapped(each, bridge), (), bodies[:PARTS]),
        "check": over(lambda draft: check(draft, bridge.profiles), (), drafts),
        "serialise": over(orjson.dumps, (), bundles),
    }
    found["yardsticks"] = yardsticks(body, made)
    found["ratio_to_split"] = round(figures["median_us"] / found["yardsticks"]["split"]["median_us"], 1)
    return found


def mapped(body: bytes, bridge: Bridge) -> Draft:
    """The draft of one message; a usage error when there is none."""
    from bridge.core.draft import Draft
    from bridge.core.envelope import Envelope
    from bridge.pipeline.draft import draft_of

    made = draft_of(Envelope("", "", bridge.clock(), HL7, body), bridge)
    if not isinstance(made, Draft):
        raise click.UsageError("this message is not converted; see `sdoh-bridge convert`")
    return made


def converter(bridge: Bridge) -> Callable[[bytes], bytes]:
    """(message) -> its checked Bundle, as `convert` writes it."""
    import orjson

    from bridge.fhir import bundle
    from bridge.pipeline.check import check

    return lambda body: orjson.dumps(
        bundle.collection(check(mapped(body, bridge), bridge.profiles).resources, base=bridge.fhir_base))


def batched(body: bytes, count: int, bridge: Bridge) -> dict[str, Any]:
    """A file of so many messages, read piece by piece: messages a second in its first and last tenth, and the memory it took."""
    from bridge.hl7v2.batch import split_stream

    whole, started = converter(bridge), memory()
    tenths = [0.0]
    with TemporaryFile() as file:
        for number in range(count):
            file.write(varied(body, number))
        file.seek(0)
        begun = time.process_time()
        for number, each in enumerate(split_stream(file), 1):
            whole(each)
            if number * 10 // count >= len(tenths):
                tenths.append(time.process_time() - begun)
    return {"messages": count, "per_second": round(count / tenths[-1]), "first_tenth_per_second": round(count / 10 / tenths[1]),
            "last_tenth_per_second": round(count / 10 / (tenths[-1] - tenths[-2])), "memory_before_mib": started, "memory_after_mib": memory()}


def yardsticks(body: bytes, bundle: bytes) -> dict[str, Any]:
    """What others need in this run only to parse the same message, or only to validate the same Bundle."""
    import hl7apy.parser
    import orjson

    from bridge.fhir.models import model

    text = body.decode("utf-8", "replace").replace("\r\n", "\r").replace("\n", "\r")
    made = {"split": clocked(lambda: [line.split("|") for line in text.split("\r")], 500)}
    try:
        import hl7

        made["python_hl7_parse"] = clocked(lambda: hl7.parse(text), 100)
    except ImportError:
        show.say("python-hl7 is not installed: no yardstick from it")
    made["hl7apy_parse"] = clocked(lambda: hl7apy.parser.parse_message(text, find_groups=False), 5)
    checked = orjson.loads(bundle)
    made["fhir_resources_validation"] = clocked(lambda: model(checked), 20)
    return made


@command.command("consent")
@click.option("--consents", default=20, show_default=True)
@click.option("--times", default=2000, show_default=True)
@click.option("--entries", default=10_000, show_default=True, help="Of the large Bundle; the small one has a tenth.")
@click.option("--json", "as_json", is_flag=True)
def consent(consents: int, times: int, entries: int, as_json: bool) -> None:
    """One decision for one resource with many consents on file, and Bundles entry by entry; yardstick: a thousand additions."""
    tell("consent", "0.05 ms per resource with 20 consents, 99 % within 1 ms, a Bundle linear", decisions(consents, times, entries), as_json)


def decisions(consents: int, times: int, entries: int) -> dict[str, Any]:
    """The figures of `bench consent`: `plain` consents each name a recipient, `nested` ones except labels, codes and stays."""
    from bridge.consent.decide import decide, prepare
    from bridge.consent.request import Policy, Request

    policy = Policy()
    asked = Request.parse({"recipient": {"reference": "Organization/pantry"}, "purpose": "TREAT", "action": "disclose",
                           "at": "2026-11-21T12:00:00Z"}, policy)
    plain, nested = [_permit(number) for number in range(consents)], [_nested(number) for number in range(consents)]
    ready, careful = prepare(plain, policy), prepare(nested, policy)
    small, large = ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": _coded(n)} for n in range(count)]}
                    for count in (entries // 10, entries))
    parts = [clocked(lambda bundle=bundle: decide(asked, bundle, careful, policy), 5)["median_us"] / len(bundle["entry"])
             for bundle in (small, large)]
    return {
        "decision": clocked(lambda: decide(asked, _referral(0), ready, policy), times),
        "decision_nested": over(lambda each: decide(asked, each, careful, policy), map(_coded, range(50)), map(_coded, range(50, times + 50))),
        "bundle_us_per_entry": {len(bundle["entry"]): round(part, 1) for bundle, part in zip((small, large), parts, strict=True)},
        "bundle_growth": round(parts[1] / parts[0], 2),
        "prepare_and_decide": clocked(lambda: decide(asked, _referral(0), prepare(plain, policy), policy), max(20, times // 20)),
        "prepare_and_decide_nested": clocked(lambda: decide(asked, _coded(0), prepare(nested, policy), policy), max(20, times // 20)),
        "yardstick_sum_1000": clocked(lambda: sum(range(1000)), 500),
    }


def _referral(number: int) -> dict[str, Any]:
    return {"resourceType": "ServiceRequest", "id": str(number), "status": "active", "intent": "order", "subject": {"reference": "Patient/p"}}


def _coded(number: int) -> dict[str, Any]:
    """A referral with three reasons and a contained Condition; every number another code."""
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    reasons = [{"coding": [{"system": icd, "code": code}]} for code in (f"Z59.{number % 1000}", "F10.20", f"E11.{number % 100}")]
    inner = {"resourceType": "Condition", "id": "k", "code": {"coding": [{"system": icd, "code": f"I{number % 90 + 10}.9"}]},
             "subject": {"reference": "Patient/p"}}
    return {**_referral(number), "authoredOn": "2026-11-20", "code": {"coding": [{"system": "http://snomed.info/sct", "code": str(number)}]},
            "reasonCode": reasons, "contained": [inner], "reasonReference": [{"reference": "#k"}]}


def _permit(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Consent", "id": f"c{number}", "status": "active", "patient": {"reference": "Patient/p"},
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
        "dateTime": "2026-01-01T00:00:00Z", "policy": [{"uri": "https://example.org/policy"}],
        "provision": {"type": "permit", "actor": [{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": "Organization/pantry" if number == 0 else f"Organization/other-{number}"}}]},
    }


def _nested(number: int) -> dict[str, Any]:
    """A permit for this recipient that excepts a label, a code and the days of a stay."""
    made = _permit(0)
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    made["id"], rule = f"n{number}", made["provision"]
    rule["provision"] = [
        {"type": "deny", "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD" if number else "HIV"}]},
        {"type": "deny", "code": [{"coding": [{"system": icd, "code": f"G{number:02d}"}]}]},
        {"type": "deny", "dataPeriod": {"start": f"2024-{number % 12 + 1:02d}-03", "end": f"2024-{number % 12 + 1:02d}-09"}},
    ]
    return made


@command.command("pipeline")
@click.option("--messages", default=3000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def pipeline(ctx: click.Context, messages: int, as_json: bool) -> None:
    """Inbox to outbox on the embedded default (SQLite, full sync), one process; yardstick: raw SQLite commits in batches."""
    with TemporaryDirectory(prefix="sdoh-bridge-bench-") as folder:
        with context.scratch(ctx, f"sqlite:///{folder}/ledger.db") as bridge:
            figures = through(messages, bridge)
        figures["yardstick_sqlite_batches_per_second"] = raw_sqlite(Path(folder) / "yardstick.db", messages)
    tell("pipeline", "1,500 messages a second", figures, as_json)


def through(count: int, bridge: Bridge) -> dict[str, Any]:
    """Store and receive `count` discharges of as many people, each with a need and a referral."""
    from bridge.observe import log
    from bridge.pipeline.receive import receive
    from bridge.roles import BATCH, settle, store

    log.configure(level="error")
    bodies = discharges(count + BATCH)
    store(bodies[count:], bridge)
    receive(bridge.ledger.pending(BATCH, bridge.clock()), bridge)
    settle()
    started = time.perf_counter()
    for first in range(0, count, BATCH):
        store(bodies[first:first + BATCH], bridge)
    stored = time.perf_counter()
    batches = []
    while rows := bridge.ledger.pending(BATCH, bridge.clock()):
        begun = time.perf_counter()
        receive(rows, bridge)
        batches.append((time.perf_counter() - begun) * 1e3)
    ended = time.perf_counter()
    return {"messages": count, "messages_per_second": round(count / (ended - started)), "store_us": round((stored - started) / count * 1e6),
            "receive_us": round((ended - stored) / count * 1e6), "batch_p99_ms": round(sorted(batches)[int(len(batches) * 0.99)], 1),
            "deliveries": sum(value for name, value in bridge.ledger.counts().items() if name.startswith("outbox."))}


def discharges(count: int) -> list[tuple[str, bytes, str]]:
    """One discharge per person, made from the demo's."""
    text = example("day/02-general-adler-discharge.hl7").decode()
    return [(HL7, text.replace("G-0002", f"B-{n}").replace("GH1001", f"B{n}").replace("V5001", f"BV{n}").encode(), "") for n in range(count)]


def raw_sqlite(path: Path, count: int) -> int:
    """Rows a second of a bare SQLite table, full sync, a commit per hundred rows of 2 kB."""
    import sqlite3

    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
    started = time.perf_counter()
    for _ in range(0, count, 100):
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany("INSERT INTO rows (body) VALUES (?)", [(b"x" * 2000,)] * 100)
        raw.execute("COMMIT")
    taken = time.perf_counter() - started
    raw.close()
    return round(count / taken)


def example(name: str) -> bytes:
    """A packaged example."""
    from importlib.resources import files

    return files("mappings").joinpath("examples", name).read_bytes()
