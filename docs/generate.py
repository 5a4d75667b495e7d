"""Writes the pages that follow from the program: `python -m docs.generate`; `--check` says which are out of date."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
AREAS = {
    "H": "HL7v2 and JSON: what came cannot be read, or was read with care", "M": "Mapping: what was read cannot become FHIR as it is",
    "L": "The mapping language at run time", "P": "Profiles: FHIR that is not what it claims to be", "C": "Consent",
    "R": "People, referrals, screenings and partners' records", "S": "Settings and the store", "T": "Passing faults",
    "X": "Faults for good",
}
CODE = re.compile(r"BRG-[A-Z]\d{3}\b")
NOTE = "<!-- generated: python -m docs.generate -->"


def commands() -> str:
    """docs/commands.md: every command with its own help text."""
    from bridge.cli import group

    lines = ["# Commands", "", NOTE, "", "Results go to stdout, messages to people to stderr. Exit 0: done. 1: something was held,",
             "rejected or failed, and said so. 2: wrong usage or settings. `python -m bridge` is the same as `sdoh-bridge`.", ""]
    for depth, path, command in walk(group, "sdoh-bridge", None):
        lines += [f"{'#' * (depth + 2)} `{path}`", "", "```text", help_of(command, path), "```", ""]
    return "\n".join(lines)


def walk(command: click.Command, path: str, parent: click.Context | None, depth: int = 0) -> Iterator[tuple[int, str, click.Command]]:
    """(depth, full name, command) of a command and everything below it."""
    yield min(depth, 2), path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path, parent=parent)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from walk(below, f"{path} {name}", context, depth + 1)


def help_of(command: click.Command, path: str) -> str:
    """The help text at a fixed width, whatever the terminal; defaults that depend on the machine are not shown by click."""
    context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"])
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def codes() -> list[str]:
    """Every code in the sources, sorted."""
    sources = [path for folder in ("bridge", "connectors") for path in sorted((ROOT / folder).rglob("*.py"))]
    return sorted({code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))})


def meanings() -> dict[str, dict[str, str]]:
    """The hand-written table by code."""
    with (DOCS / "errors.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: row for row in csv.DictReader(file)}


def errors() -> str:
    """docs/errors.md: every code of the sources with what it means and what to do."""
    known = meanings()
    lines = ["# Issue and error codes", "", NOTE, "",
             "A code is stable and never reused. It stands in issues (`convert`, `try`, the inbox), in OperationOutcomes as a coding of",
             "`urn:sdoh-bridge:issue`, in logs, and behind `sdoh-bridge:` when a command fails. No text ever holds a patient's value."]
    for letter, title in AREAS.items():
        found = [code for code in codes() if code[4] == letter and code in known]
        if found:
            lines += ["", f"## {title}", "", "| code | what it means | what to do |", "|---|---|---|"]
            lines += [f"| {code} | {cell(known[code]['meaning'])} | {cell(known[code]['remedy'])} |" for code in found]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text that a Markdown table can hold."""
    return text.replace("|", "\\|")


def functions() -> str:
    """docs/functions.md: every function of the mapping language."""
    from bridge.language.functions import listed

    lines = ["# Functions of the mapping language", "", NOTE, "",
             "A name with a dot follows a value of the type in the first column: `PID-8.lower()`. The others stand alone. Arguments in",
             "single quotes are texts that are written there; `[ ]` may be left out. An HL7 value where a text is due gives its first",
             "component. [The language](mapping-language.md) shows them at work, `sdoh-bridge mapping functions` prints them.",
             "", "| on | function | gives | which is |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {one.takes} | `{one.signature}` | {one.gives} | {cell(one.text)} |" for one in listed())]) + "\n"


PAGES = {"commands.md": commands, "errors.md": errors, "functions.md": functions}


def stale() -> list[str]:
    """Names of generated pages that differ from what the program says now."""
    return [name for name, make in PAGES.items() if not (DOCS / name).is_file() or (DOCS / name).read_text(encoding="utf-8") != make()]


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check only say which would change (exit 1)."""
    if "--check" in arguments:
        found = stale()
        click.echo("\n".join(found) or "up to date")
        return int(bool(found))
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
