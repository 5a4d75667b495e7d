"""The named repairs of a feed: what a sender always does its own way, put right before anything reads it.

A repair is one line of the feed's file. `FORMS` lists them all; a line that fits none stops the start of the bridge.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from bridge.core.issue import Issue
from bridge.hl7v2 import edit, path, tables
from bridge.hl7v2.edit import Change, Edit
from bridge.hl7v2.path import Path
from bridge.hl7v2.separators import Separators
from bridge.hl7v2.yamlfile import Mark

Table = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Repair:
    """One line of a feed file, ready to run. `run` edits the list of segments and says whether it changed any.

    `needs` are sets of segments of each of which one must be in the message for `run` to find anything to do.
    """

    line: str
    issue: Issue
    run: Edit
    needs: tuple[frozenset[str], ...] = ()

    def fits(self, names: Collection[str]) -> bool:
        """Whether a message of these segments has what the repair needs."""
        return not any([need.isdisjoint(names) for need in self.needs])


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of repair: how its line is written, its issue code, and what makes it run."""

    shape: str
    code: str
    make: Callable[..., Edit]

    @property
    def about(self) -> str:
        """What it does, in one sentence."""
        return (self.make.__doc__ or "").partition("\n")[0]


def compile_line(line: str, table: Table | None, mark: Mark) -> Repair:
    """Return the repair that a line of a feed file names; `table` is what follows its colon.

    Raises SettingsError with the valid forms when there is none such, or when its paths cannot be what it needs.
    """
    for form in FORMS:
        match = _pattern(form.shape).fullmatch(line.strip())
        if match and (table is not None) == form.shape.endswith(": {table}"):
            arguments = _arguments(match, line, mark)
            if table is not None:
                arguments["table"] = table
            listed = [value if isinstance(value, list) else [value] for value in arguments.values()]
            named = [found for value in listed if (found := [one for one in value if isinstance(one, Path)])]
            place, needs = str(named[0][0]), tuple(frozenset(one.segment for one in found) for found in named)
            issue = Issue("information", form.code, place, f"repaired as the feed says: {line}", kind="informational")
            try:
                return Repair(line, issue, form.make(**arguments), needs)
            except ValueError as error:
                raise mark.wrong(f"repair '{line}': {error}") from None
    forms = "\n        ".join(form.shape for form in FORMS)
    raise mark.wrong(f"no repair is written '{line}'", f"the forms are\n        {forms}")


def _pattern(shape: str) -> re.Pattern[str]:
    """Return the pattern of a form: {path} a field or component, {paths} several, {word} one word, {words} several."""
    text = re.escape(shape.removesuffix(": {table}")).replace(r"\ ", r"\s+").replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub(r"\\\{(\w+?)(s?)\\\}", _slot, text))


def _slot(match: re.Match[str]) -> str:
    one = r"[A-Z][A-Z0-9]{2}-[0-9.\[\]]+" if match[1] in ("path", "source", "target") else r"[^\s:]\S*"
    return f"(?P<{match[1]}{match[2]}>{one}{f'(?:[ ,]+{one})*?' if match[2] else ''})"


def _arguments(match: re.Match[str], line: str, mark: Mark) -> dict[str, object]:
    arguments: dict[str, object] = {}
    for name, text in match.groupdict().items():
        if text is None:
            continue
        try:
            if name in ("path", "source", "target"):
                arguments[name] = _place(text)
            elif name == "paths":
                arguments[name] = [_place(one) for one in re.split(r"[ ,]+", text)]
            else:
                arguments[name] = re.split(r"[ ,]+", text) if name.endswith("s") else text
        except ValueError as error:
            raise mark.wrong(f"repair '{line}': {error}") from None
    return arguments


def _place(text: str) -> Path:
    found = path.parse(text)
    if not found.field or found.sub or found.repetition or found.occurrence:
        raise ValueError(f"{text} must name a field or a component, as PID-3 or PID-3.4")
    return found


def move(source: Path, target: Path, word: str = "") -> Edit:
    """Put the identifiers of one field with those of another, typed as said if untyped, and empty the first."""
    _fields(source, target)

    def run(segments: edit.Segments) -> bool:
        return edit.append(segments, source, target, word) and edit.put(segments, source, "")

    return run


def use(source: Path, target: Path, word: str = "") -> Edit:
    """Copy a field into another one that is empty."""
    _fields(source, target)

    def run(segments: edit.Segments) -> bool:
        return not edit.read(segments, target) and edit.append(segments, source, target, word)

    return run


def set_from(target: Path, source: Path, words: tuple[str, ...] = (), buts: tuple[str, ...] = ()) -> Edit:
    """Fill an empty field, or the empty component of every repetition that has a first one, from another place."""

    def run(segments: edit.Segments) -> bool:
        raw = edit.read(segments, source)
        if not raw:
            return False
        seps = segments[0].seps
        if target.component and not source.component:
            raw = raw.replace(seps.component, seps.sub) if seps.sub else raw.split(seps.component)[0]
        return edit.fill(segments, target, raw, words, buts)

    return run


def set_to(target: Path, word: str, words: tuple[str, ...] = (), buts: tuple[str, ...] = ()) -> Edit:
    """Fill an empty field, or the empty component of every repetition that has a first one, with a word."""
    return lambda segments: edit.fill(segments, target, edit.written(word, segments), words, buts)


def translate(paths: list[Path], table: Table) -> Edit:
    """Replace the codes of a sender by others, as the table says; codes that it does not list stay."""

    def swap(raw: str, _seps: Separators) -> str:
        return table.get(raw.strip(), raw)

    return _each(paths, swap)


def retype(paths: list[Path], table: Table) -> Edit:
    """Replace a sender's identifier types (CX.5) by those of HL7 table 0203: MRN is MR, CSN is VN."""
    _fields(*paths)
    return translate([Path(one.segment, field=one.field, component=5) for one in paths], table)


def split_names(paths: list[Path]) -> Edit:
    """Split `FAMILY,GIVEN MIDDLE` in one component into the components of a name."""
    starts = {"XPN": 1, "PN": 1, "XCN": 2, "CN": 2}
    _fields(*paths)
    found = {one: starts.get(tables.field_type(one.segment, one.field), 0) for one in paths}
    if wrong := [str(one) for one, start in found.items() if not start]:
        raise ValueError(f"{', '.join(wrong)} is no name (XPN or XCN)")

    def run(segments: edit.Segments) -> bool:
        return _any(edit.rewrite(segments, one, edit.comma_name(start)) for one, start in found.items())

    return run


def cut(paths: list[Path]) -> Edit:
    """Keep year, month and day of a time whose hours are noise."""
    days = [one if one.component else Path(one.segment, field=one.field, component=1) for one in paths]
    return _each(days, lambda raw, _seps: raw[:8] if raw[:8].isdigit() else raw)


def drop(paths: list[Path]) -> Edit:
    """Forget what stands there."""
    return _each(paths, lambda _raw, _seps: "")


def upper(paths: list[Path]) -> Edit:
    """Write codes in capital letters."""
    return _each(paths, lambda raw, _seps: raw.upper())


def blank(word: str, paths: list[Path]) -> Edit:
    """Empty the components and subcomponents that look like this (`CD:*`)."""
    like = re.compile(fnmatch.translate(word))
    start = re.split(r"[*?\[]", word)[0]

    def change(raw: str, seps: Separators) -> str:
        return raw if start not in raw else edit.mapped(raw, seps, lambda part: "" if like.match(part) else part)

    return _each(paths, change)


def merge(paths: list[Path]) -> Edit:
    """Keep one repetition of people (XCN) of the same name: the one whose assigner or type is NPI, else the first."""
    _fields(*paths)
    return lambda segments: _any(edit.one_per_name(segments, one) for one in paths)


def prefer(word: str, paths: list[Path]) -> Edit:
    """Put the code of this coding system (CWE.3) first when a sender has it second."""
    _fields(*paths)
    return _each(paths, edit.triplet_first(word))


def _each(paths: list[Path], change: Change) -> Edit:
    return lambda segments: _any(edit.rewrite(segments, one, change) for one in paths)


def _any(changes: Iterable[bool]) -> bool:
    """Carry out every change, then say whether there was one; `any` would stop at the first."""
    return sum(changes) > 0


def _fields(*paths: Path) -> None:
    if wrong := [str(one) for one in paths if one.component]:
        raise ValueError(f"{', '.join(wrong)} must be a whole field")


FORMS = (
    Form("move {source} to {target}[ as {word}]", "BRG-H020", move),
    Form("use {source} as {target} when empty[, typed {word}]", "BRG-H021", use),
    Form("set {target} from {source}[ for {words}][ but {buts}]", "BRG-H022", set_from),
    Form("set {target} to {word}[ for {words}][ but {buts}]", "BRG-H023", set_to),
    Form("translate {paths}: {table}", "BRG-H024", translate),
    Form("retype {paths}: {table}", "BRG-H025", retype),
    Form("split comma names in {paths}", "BRG-H026", split_names),
    Form("cut {paths} to the day", "BRG-H027", cut),
    Form("drop {paths}", "BRG-H028", drop),
    Form("upper {paths}", "BRG-H029", upper),
    Form("blank parts like {word} in {paths}", "BRG-H030", blank),
    Form("merge {paths} by name", "BRG-H031", merge),
    Form("prefer {word} in {paths}", "BRG-H032", prefer),
)
"""Every kind of repair. [ ] may be left out; {paths} and {words} are one or more; {table} is a YAML table."""
