"""Codes that lint looks at: what a mapping or table writes into a bound element, systems that are no URI, rows of feeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bridge.core.errors import MappingError, SettingsError
from bridge.fhir.elements import Element
from bridge.hl7v2 import dialect, tables
from bridge.hl7v2 import path as paths
from bridge.language import expr, syntax
from bridge.language.expr import Call, Literal, Member, Name, Operation, Tree
from bridge.language.source import into
from bridge.language.syntax import Entries, Items, Node, Scalar, nearest
from bridge.language.table import COLUMNS, SET_COLUMNS, read_rows
from bridge.mapping.build import CONTROLS, Ground
from bridge.mapping.finding import Finding, errors

if TYPE_CHECKING:
    from bridge.mapping.library import Library

Found = tuple[str, str, str]
"""(system, code, place) that an expression can give; system "" when a plain code."""
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+\Z")
_PLACE = re.compile(r"\b[A-Z][A-Z0-9]{2}-\d[0-9.]*")


def bound(node: Entries, type_: str, ground: Ground) -> Iterator[Finding]:
    """Codes that a shape writes into elements with a required binding and that the value set does not have."""
    for key, value in node:
        element = ground.elements.child(type_, key.text)
        if element is None or (key.text in CONTROLS and type_ in ground.elements.resources):
            continue
        for entry in value.items if isinstance(value, Items) else [value]:
            if element.binding in ground.elements.codes:
                for system, code, place in _given(entry, ground):
                    if not _has(ground.elements.codes[element.binding], system, code):
                        yield Finding("error", place, _said(element, system, code, ground))
            if isinstance(entry, Entries) and into(element) not in ("Resource", *ground.elements.primitives):
                yield from bound(entry, into(element), ground)


def _has(systems: Mapping[str, tuple[str, ...]], system: str, code: str) -> bool:
    return code in systems.get(system, ()) if system else any(code in codes for codes in systems.values())


def _said(element: Element, system: str, code: str, ground: Ground) -> str:
    known = [each for codes in ground.elements.codes[element.binding].values() for each in codes]
    hint = f"did you mean `={code}`?" if _PLACE.match(code) else nearest(code, known)
    return f"{element.path} is bound to {element.binding}, which has no {f'{system}|' if system else ''}{code}\n      {hint}"


def _given(node: Node, ground: Ground) -> Iterator[Found]:
    """The codes that are written in a literal, an object with codings, or an expression."""
    if isinstance(node, Scalar):
        if node.expression is None:
            if not node.null:
                yield "", node.literal, str(node.place)
        else:
            yield from _results(expr.parse(node), ground)
    elif isinstance(node, Entries):
        listed = node.get("coding")
        for coding in listed.items if isinstance(listed, Items) else [listed or node]:
            code, system = (coding.get("code"), coding.get("system")) if isinstance(coding, Entries) else (None, None)
            if isinstance(code, Scalar) and code.expression is None:
                yield (system.literal if isinstance(system, Scalar) and system.expression is None else ""), code.literal, str(code.place)


def _results(tree: Tree, ground: Ground) -> Iterator[Found]:
    """What an expression gives where it is not the message that says it."""
    if isinstance(tree, Literal):
        if tree.kind == "text" and tree.text:
            yield "", tree.text, str(tree.place)
    elif isinstance(tree, Operation) and tree.sign == "??":
        for part in tree.operands:
            yield from _results(part, ground)
    elif isinstance(tree, Member):
        yield from _results(tree.of, ground)
    elif isinstance(tree, Call) and tree.of is None and tree.name in ("if", "coalesce"):
        for part in tree.arguments[tree.name == "if":]:
            yield from _results(part, ground)
    elif isinstance(tree, Call) and tree.name == "code" and all(isinstance(each, Literal) for each in tree.arguments[:2]):
        yield tree.arguments[0].text, tree.arguments[1].text, str(tree.place)  # type: ignore[union-attr]
    elif isinstance(tree, Call) and tree.name == "map" and isinstance(tree.arguments[0], Name | Literal):
        table = ground.tables.get(tree.arguments[0].text)
        for row in table.rows.values() if table is not None else ():
            if row.target:
                yield row.target_system, row.target, f"tables/{tree.arguments[0].text}.csv: {row.source}"
    elif isinstance(tree, Call) and tree.of is not None:
        yield from _results(tree.of, ground)
        if tree.name == "or_default" and isinstance(tree.arguments[0], Literal):
            yield "", tree.arguments[0].text, str(tree.arguments[0].place)


def systems(library: Library) -> Iterator[Finding]:
    """Systems in tables and sets that are bare words: a coding system is a URI."""
    from bridge.mapping.library import csv_files

    for below, columns, key, looked in (("tables", COLUMNS, "source", ("target_system",)), ("sets", SET_COLUMNS, "code", ())):
        for file, text in csv_files(library.folders, below).values():
            head, rows = read_rows(text, file, columns, key, ())
            for name in ("source-system", "target-system"):
                if head.get(name) and not _URI.match(head[name]):
                    yield Finding("warning", f"{file}:1:1", f"{name} `{head[name]}` is no URI")
            for line, cells in rows:
                for column in (*looked, *(("target",) if file.endswith("/coding-systems.csv") else ())):
                    if cells.get(column) and not _URI.match(cells[column]):
                        yield Finding("warning", f"{file}:{line}:1", f"{column} `{cells[column]}` is a bare word; a system is a URI")


def feeds(library: Library) -> Iterator[Finding]:
    """Feed files: what does not load, tables that do not exist, targets that no table has, repairs of fields that do not exist."""
    for folder in library.folders:
        if not (folder / "feeds").is_dir():
            continue
        for file in sorted((folder / "feeds").iterdir(), key=lambda entry: entry.name):
            if file.name.endswith((".yaml", ".yml")):
                yield from feed(file.read_text(encoding="utf-8"), f"{folder.name}/feeds/{file.name}", library.ground)


def feed(text: str, name: str, ground: Ground) -> Iterator[Finding]:
    """The findings of one feed file."""
    try:
        root = syntax.load(text, name)
        dialect.read_feed(text, name)
    except (MappingError, SettingsError) as error:
        yield from errors(error)
        return
    listed = root.get("tables")
    for key, rows in listed if isinstance(listed, Entries) else ():
        table = ground.tables.get(key.text)
        if table is None:
            yield Finding("warning", str(key.place), f"there is no table `{key.text}`; {nearest(key.text, ground.tables)}")
        elif isinstance(rows, Entries):
            for code, target in rows:
                if isinstance(target, Scalar) and target.text and target.text not in table.by_target and table.find(target.text) is None:
                    said = f"table {key.text} neither gives nor knows `{target.text}`, which `{code.text}` becomes"
                    yield Finding("information", str(target.place), f"{said}; {nearest(target.text, table.by_target)}")
    repairs = root.get("repairs")
    for item in repairs.items if isinstance(repairs, Items) else ():
        line = next(iter(item))[0] if isinstance(item, Entries) and item.keys else item
        if isinstance(line, Scalar):
            yield from _fields(line)


def _fields(line: Scalar) -> Iterator[Finding]:
    for match in _PLACE.finditer(line.text):
        path = paths.parse(match[0].rstrip("."))
        known = tables.segment_fields(path.segment)
        if path.segment[0] != "Z" and path.field > known:
            hint = f"{path.segment} has {known} fields" if known else f"no such segment; {nearest(path.segment, tables.segments())}"
            yield Finding("warning", str(line.at(match.start())), f"{match[0]} is no field: {hint}")


def left(reasons: Iterable[str], mapped: Iterable[str]) -> Iterator[Finding]:
    """Rows of left.csv whose field a mapping takes after all."""
    taken = set(mapped)
    return (Finding("warning", "left.csv", f"{name} is left with a reason and mapped as well; remove the row") for name in reasons if name in taken)
