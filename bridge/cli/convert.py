"""`convert`: messages to checked FHIR Bundles; nothing is stored or sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from bridge.core.issue import Issue
    from bridge.pipeline.bridge import Bridge


@dataclass(frozen=True, slots=True)
class Converted:
    """One message's Bundle (None when it was refused) and what there is to say about it."""

    bundle: dict[str, Any] | None
    issues: tuple[Issue, ...]

    @property
    def failed(self) -> bool:
        return self.bundle is None or any(issue.severity in ("error", "fatal") for issue in self.issues)


@click.command("convert")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--feed", default="", help="The sender's feed file; without it MSH-3/4 decide, an unknown sender uses the default.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write <file>.json and <file>.issues.json here.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], feed: str, out: Path | None) -> None:
    """Messages (HL7v2, QuestionnaireResponse, CBO record; a file may hold many) to checked FHIR Bundles.

    Without --out: one Bundle per line on stdout, issues on stderr. A file is read piece by piece, `-` is standard input.
    """
    failed = 0
    if out:
        out.mkdir(parents=True, exist_ok=True)
    with context.scratch(ctx) as bridge:
        for path in files:
            with context.opened(path) as file, show.progress(file, Path(path).name, quiet=not out) as watched:
                for number, made in enumerate(convert(watched, feed, bridge), 1):
                    failed += made.failed
                    (write if out else tell)(made, Path(path).name, number, out)
    if failed:
        show.say(f"{failed} not converted, or not whole")
        ctx.exit(1)


def convert(file: BinaryIO, feed: str, bridge: Bridge) -> Iterator[Converted]:
    """Every message of a file, read, mapped and checked, in order; a file without any gives one refusal.

    What there is to say of the file itself, as the counts of a batch, is said with the message before it.
    """
    from bridge.core.issue import Issue
    from bridge.pipeline.read import stream

    said: list[Issue] = []
    last: Converted | None = None
    for kind, part in stream(file, said.append):
        if last is not None:
            yield replace(last, issues=(*last.issues, *said))
            said.clear()
        last = one(kind, part, feed, bridge)
    if last is None:
        last = Converted(None, (Issue("fatal", "BRG-H001", "", "no message in this file", "HL7v2 begins with MSH, JSON with {", "structure"),))
    yield replace(last, issues=(*last.issues, *said))


def one(kind: str, part: bytes, feed: str, bridge: Bridge) -> Converted:
    """One message as a Bundle: `message` when it has a MessageHeader, else `collection`.

    MSH-7 is its timestamp and MSH-10, in the system of the source, its identifier (HL7 v2-to-FHIR 1.0.0, MSH).
    """
    from bridge.core.draft import Draft
    from bridge.core.envelope import HL7V2, Envelope
    from bridge.core.outcome import Rejected
    from bridge.fhir import bundle
    from bridge.hl7v2 import peek
    from bridge.pipeline.check import check
    from bridge.pipeline.draft import draft_of
    from bridge.pipeline.fault import fault_issue
    from bridge.referral import alone

    envelope = Envelope("", feed, bridge.clock(), kind, part)
    try:
        made = draft_of(envelope, bridge)
    except Exception as error:  # noqa: BLE001 - one message never stops the next; it is named by type and place
        return Converted(None, (fault_issue(error),))
    if isinstance(made, Rejected):
        return Converted(None, made.issues)
    if not isinstance(made, Draft):
        made = alone.draft(made, bridge.ids)
    draft = check(made, bridge.profiles)
    headers = draft.of_type("MessageHeader")
    stamp = {"timestamp": draft.event_time} if "T" in draft.event_time else {}
    if headers:
        if sent := headers[0].get("meta", {}).get("lastUpdated"):
            stamp = {"timestamp": sent}
        made_bundle = bundle.message(headers[0], draft.resources, base=bridge.fhir_base, **stamp)
        if kind == HL7V2 and (number := peek.peek(part).control_id):
            source = headers[0]["source"].get("endpoint")
            made_bundle["identifier"] = {**({"system": source} if source else {}), "value": number}
        return Converted(made_bundle, draft.issues)
    return Converted(bundle.collection(draft.resources, base=bridge.fhir_base, **stamp), draft.issues)


def write(made: Converted, name: str, number: int, out: Path | None) -> None:
    """`<file>.json`, `<file>.2.json` ... for further messages, and the OperationOutcome beside each."""
    import orjson

    from bridge.core.issue import operation_outcome

    stem = name if number == 1 else f"{name}.{number}"
    folder = out or Path()
    if made.bundle is not None:
        (folder / f"{stem}.json").write_bytes(orjson.dumps(made.bundle, option=orjson.OPT_INDENT_2))
    (folder / f"{stem}.issues.json").write_bytes(orjson.dumps(operation_outcome(made.issues), option=orjson.OPT_INDENT_2))


def tell(made: Converted, name: str, number: int, _: Path | None) -> None:
    """One Bundle per line; issues for people."""
    if made.bundle is not None:
        show.as_line(made.bundle)
    for issue in made.issues:
        if issue.severity != "information":
            show.say(f"{name}[{number}] {issue}")
