"""`mapping`: test, lint and explain mappings without deploying anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.mapping.explain import Explanation
    from bridge.mapping.library import Library
    from bridge.pipeline.bridge import Bridge
    from bridge.referral.register import Ground
    from bridge.settings import Settings

JSON = click.option("--json", "as_json", is_flag=True, help="JSON lines.")


@click.group("mapping")
def command() -> None:
    """Test, lint and explain mappings: files, folders or mapping names; without any, all of them."""


@command.command("test")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--update-goldens", is_flag=True, help="Write the golden documents anew.")
@JSON
@click.pass_context
def test(ctx: click.Context, paths: tuple[str, ...], update_goldens: bool, as_json: bool) -> None:
    """Run the tests inside mapping, programme and feed files."""
    from bridge.inline import Suite
    from bridge.mapping.library import around

    lib = around(paths, load(ctx)) if paths else load(ctx).compiled()
    settings = context.settings(ctx)
    suite = Suite(lib, register_ground(ctx), update_goldens)
    found = [*suite.find(paths)] if paths else [*suite.find([*lib.programs, *beside(settings)])]
    results = [one.run() for one in found]
    failed = [one for one in results if not one.passed]
    for one in results if as_json else failed:
        show.as_line({"file": one.file, "line": one.line, "name": one.name, "passed": one.passed, "failures": list(one.failures)}) \
            if as_json else click.echo(str(one))
    for line in doubts(ctx):
        show.say(line)
    show.say(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        ctx.exit(1)


def register_ground(ctx: click.Context) -> Ground:
    """The code sets that programme rows stand on."""
    from bridge.referral import register

    return register.ground(*context.settings(ctx).folders("mappings", "sets"))


def doubts(ctx: click.Context) -> list[str]:
    """What HL7's own tables (hl7apy) hold against the example messages: said, not failed, for real feeds are like that."""
    from bridge.core.errors import Unreadable
    from bridge.hl7v2 import conformance
    from bridge.hl7v2 import message as hl7

    found = []
    for folder in context.settings(ctx).folders("mappings", "examples"):
        for file in sorted(folder.glob("*.hl7")):
            try:
                issues = conformance.check(hl7.parse(file.read_bytes()))
            except Unreadable as error:
                issues = [error.issue]
            found += [f"{file.name}: {issue}" for issue in issues if issue.severity in ("error", "fatal")]
    return found


def beside(settings: Settings) -> list[str]:
    """Every feed and programme file of the settings' folders."""
    folders = [*settings.folders("mappings", "feeds"), *settings.folders("mappings", "programmes")]
    return [str(file) for folder in folders for file in sorted(folder.glob("*.yaml"))]


@command.command("lint")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@JSON
@click.pass_context
def lint(ctx: click.Context, paths: tuple[str, ...], as_json: bool) -> None:
    """What cannot work, what nothing reaches or uses, what is required and missing, codes that no value set has."""
    from bridge.core.errors import MappingError
    from bridge.mapping import library
    from bridge.mapping.finding import errors

    named = " ".join(Path(path).read_text(encoding="utf-8") for path in beside(context.settings(ctx)))  # programme rows name sets too
    try:
        listed = library.check(paths, load(ctx))
    except MappingError as error:
        listed = errors(error)
    found = [one for one in listed if not (one.place.startswith("sets/") and f"set({Path(one.place).stem})" in named)]
    for one in found:
        show.as_line({"severity": one.severity, "place": one.place, "text": one.text}) if as_json else click.echo(str(one).removeprefix(": "))
    show.say(f"{len(found)} findings")
    if any(one.severity == "error" for one in found):
        ctx.exit(1)


@command.command("explain")
@click.argument("file", metavar="MESSAGE")
@click.option("--element", default="", help="Only elements whose path begins so, e.g. Encounter.period.")
@click.option("--feed", default="", help="The sender's feed file.")
@JSON
@click.pass_context
def explain(ctx: click.Context, file: str, element: str, feed: str, as_json: bool) -> None:
    """Which element came from which field and what stood there, and why an element is not there; never a value."""
    from bridge.mapping import explain as explaining

    missed = 0
    with context.scratch(ctx) as bridge:
        for program, message, sender in read(context.read(file), feed, bridge):
            if program is None:
                missed += 1
                continue
            rows = [one for one in explaining.explain(program, message, sender, bridge.ids) if one.element.startswith(element)]
            for one in rows if as_json else ():
                show.as_line({"resource": one.resource.split("/")[0], "emit": one.emit, "element": one.element, "given": one.given, "why": one.why,
                              "expression": one.expression, "place": one.place,
                              "sources": [{"path": s.path, "shape": s.shape} for s in one.sources]})
            if not as_json:
                explained(program.name, rows, hidden=not element)
    if missed:
        ctx.exit(1)


def explained(name: str, rows: list[Explanation], hidden: bool) -> None:
    """One line an element for people; `hidden` leaves out those of which the message says nothing."""
    click.echo(f"{name}")
    shown = [one for one in rows if not (hidden and one.bare)]
    for one in shown:
        fields = "; ".join(f"{source.path}: {source.shape or 'empty'}" for source in one.sources)
        if one.given:
            click.echo(f"  {one.element} <- {fields or one.expression}  ({one.place})".translate(show.SAFE))
        else:
            click.echo(f"  no {one.element}: {one.why}{f' [{fields}]' if fields and not one.bare else ''}  ({one.place})".translate(show.SAFE))
    if len(shown) < len(rows):
        show.say(f"{len(rows) - len(shown)} more have nothing in this message; --element shows them")


@command.command("coverage")
@click.argument("files", nargs=-1, metavar="[MESSAGE...]")
@click.option("--feed", default="", help="The sender's feed file.")
@click.option("--rows", is_flag=True, help="HL7's segments instead of messages; the same as without a message.")
@click.option("--open", "only_open", is_flag=True, help="Of the segments only the fields that are neither mapped nor left.")
@JSON
@click.pass_context
def coverage(ctx: click.Context, files: tuple[str, ...], feed: str, rows: bool, only_open: bool, as_json: bool) -> None:
    """Which fields of these messages were used, which were not, and why; without a message, of all segments."""
    from bridge.mapping import coverage as covering

    if rows or only_open or not files:
        segments(ctx, only_open, as_json)
        return
    missed = 0
    with context.scratch(ctx) as bridge:
        left = covering.read_left(bridge.mappings.folders)
        for file in files:
            for program, message, sender in read(context.read(file), feed, bridge):
                if program is None:
                    missed += 1
                    continue
                found = covering.coverage(program, message, sender, bridge.ids, left)
                if as_json:
                    show.as_line({"file": file, "mapping": program.name, "used": found.used, "unused": found.unused, "why": found.why,
                                  "share": round(found.share, 3)})
                    continue
                named = covering.named if program.language == "hl7v2" else str
                show.table(f"{program.name}: {found.share:.0%} of the filled fields used", ("not used", "name", "why"),
                           [(name, named(name), found.why[name]) for name in found.unused])
    if missed:
        ctx.exit(1)


def segments(ctx: click.Context, only_open: bool, as_json: bool) -> None:
    """Every field of HL7's segments: where it goes, why nowhere, or that nobody has decided yet (exit 1)."""
    from bridge.mapping import coverage as covering

    library = load(ctx)
    found = covering.rows(library.programs.values(), covering.read_left(library.folders))
    undecided = [row for row in found if row.open]
    for row in undecided if only_open else found:
        if as_json:
            show.as_line({"field": row.field, "name": row.name, "mapped": [{"element": element, "place": place} for element, place in row.mapped],
                          "left": row.reason, "open": row.open})
        else:
            told = "; ".join(f"{element} ({place})" if place else element for element, place in row.mapped)
            click.echo(f"{row.field} {row.name}: {told or (f'left: {row.reason}' if row.reason else 'open')}")
    mapped = sum(bool(row.mapped) for row in found)
    show.say(f"{mapped} fields mapped, {len(found) - mapped - len(undecided)} left with a reason, {len(undecided)} open")
    if undecided:
        ctx.exit(1)


@command.command("functions")
@JSON
def functions(as_json: bool) -> None:
    """The functions and methods of the language, with their types."""
    from bridge.mapping import library

    for one in library.functions():
        if as_json:
            show.as_line({"name": one.name, "signature": one.signature, "takes": one.takes, "gives": one.gives, "text": one.text})
        else:
            click.echo(f"{one.takes}{one.signature} -> {one.gives}\n    {one.text}")


def load(ctx: click.Context) -> Library:
    """The settings' mappings; errors name file, line and column."""
    from bridge.mapping.library import Library

    return Library.load(context.settings(ctx).folders("mappings"))


def read(body: bytes, feed: str, bridge: Bridge) -> Iterator[tuple[Any, Any, Any]]:
    """(mapping, message, sender) of each message of a file; without a mapping (None, None, None), and says why."""
    from bridge.core import json
    from bridge.core.envelope import HL7V2, Envelope
    from bridge.core.errors import Unreadable
    from bridge.hl7v2 import message as hl7
    from bridge.pipeline.read import messages

    for number, (kind, part) in enumerate(messages(body), 1):
        envelope = Envelope("", feed, bridge.clock(), kind, part)
        try:
            raw: Any = hl7.parse(part) if kind == HL7V2 else json.read(part)
        except Unreadable as error:
            show.say(f"[{number}] {error.issue}")
            yield None, None, None
            continue
        chosen = bridge.feed(envelope, raw if kind == HL7V2 else None)
        message = chosen.repair(raw) if kind == HL7V2 else raw
        sender = bridge.sender(chosen, message if kind == HL7V2 else None)
        program = bridge.mappings.choose(message, sender)
        if program is None:
            show.say(f"[{number}] no mapping for this event")
            yield None, None, None
            continue
        yield program, message, sender
