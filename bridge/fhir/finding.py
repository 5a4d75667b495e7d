"""Turns what the validator found into issues for people: the element's path and the rule, never the value.

Knows the notes (`x`) that `bridge.fhir.schema` and `bridge.fhir.rules` leave in schemas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsonschema_rs import ValidationError

from bridge.core.issue import Issue, Severity

CODES = {
    "BRG-P001": ("structure", "an element that the type does not have"),
    "BRG-P002": ("required", "a mandatory element is missing"),
    "BRG-P003": ("structure", "an element, or too many of it, where the profile allows none or fewer"),
    "BRG-P004": ("structure", "another JSON type is due: object, list, text, number, true or false"),
    "BRG-P005": ("value", "a text or number that its primitive type does not allow"),
    "BRG-P006": ("structure", "more than one type of a choice"),
    "BRG-P007": ("code-invalid", "a code outside a required value set or its code system"),
    "BRG-P008": ("value", "another value than the profile fixes"),
    "BRG-P009": ("required", "too few or too many items of a slice"),
    "BRG-P010": ("value", "a reference to a resource type that is not allowed there"),
    "BRG-P011": ("not-found", "a reference that is malformed or leads to nothing"),
    "BRG-P012": ("structure", "an empty object, empty list or null"),
    "BRG-P013": ("extension", "an extension without exactly one of value and nested extensions"),
    "BRG-P014": ("invariant", "an invariant of the type or profile does not hold"),
    "BRG-P015": ("security", "active content in a narrative"),
    "BRG-P016": ("structure", "not a FHIR resource of a known type"),
    "BRG-P017": ("not-supported", "a claimed profile is not known here"),
    "BRG-P018": ("business-rule", "a rule of Bundles or contained resources does not hold"),
    "BRG-P019": ("not-found", "a relative reference that the Bundle does not resolve"),
    "BRG-P020": ("invalid", "a claimed profile is for another resource type"),
    "BRG-P022": ("code-invalid", "a code of another SDOH category than the resource has"),
    "BRG-P021": ("business-rule", "a reference to a resource that does not meet the profile asked for"),
}
"""Stable issue codes of this folder: the kind (http://hl7.org/fhir/issue-type) and what each means."""

TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
JSON_TYPES = {
    "array": "a list", "object": "an object", "string": "a text", "boolean": "true or false", "integer": "a whole number",
    "number": "a number",
}

DEEPEST = 40
"""Steps of a path that are written out."""

Note = Mapping[str, Any]
Path = Sequence[str | int]


def issue(code: str, where: str, text: str, hint: str = "", severity: Severity = "error") -> Issue:
    """An issue with the kind that belongs to its code."""
    return Issue(severity, code, where, text, hint, CODES[code][0])


def located(root: str, path: Path) -> str:
    """`Observation.category[1].coding`; a key that is no element name is not repeated, for it may be data."""
    parts = [root]
    for step in path[:DEEPEST]:
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}" if NAME.match(step) else ".?")
    return "".join(parts)


def findings(error: ValidationError, schema: Mapping[str, Any], root: str, known: frozenset[str]) -> list[Issue]:
    """The issues that one validation error stands for; `root` is where the resource is, `known` the R4 resource types."""
    if error.kind.name == "targets":
        return [_astray(error, root)]
    if error.kind.name == "domain":
        says = "the code belongs to another SDOH category than the resource has"
        return [issue("BRG-P022", f"{root}.{error.message}", says, "SDOH Clinical Care, additional bindings", severity="warning")]
    nodes = _nodes(schema, error.evaluation_path)
    hint = next((node["x"]["profile"] for node, _ in nodes if "profile" in node.get("x", {})), "R4 4.0.1")
    for node, depth in nodes:
        if "invariant" in (note := node.get("x", {})):
            # A keyword of ours reports its place in the schema, not the way there; it stands where the invariant does.
            where = located(root, error.instance_path if error.kind.name == "fhirpath" else error.instance_path[:depth])
            return [issue("BRG-P014", where, f"{note['invariant']}: {note['says']}", hint)]
    for node, depth in reversed(nodes):
        note, where = node.get("x", {}), located(root, error.instance_path[:depth])
        if found := next((explain(note, error, known) for key, explain in NOTED.items() if key in note), None):
            return [issue(code, _moved(where, move), text, hint) for code, move, text in found]
        if "object" in note or "profile" in note:
            break
    where = located(root, error.instance_path)
    return [issue(code, _moved(where, move), text, hint) for code, move, text in _plain(error, nodes[-1][0])]


ASTRAY = {
    "BRG-P010": "it leads to a type that is not allowed here",
    "BRG-P011": "no entry of the Bundle and no contained resource has this address",
    "BRG-P019": "the Bundle does not hold the resource referred to",
    "BRG-P021": "it leads to a resource that does not meet the profile asked for here",
}
"""What the keyword `targets` (`bridge.fhir.target`) objects to."""


def _astray(error: ValidationError, root: str) -> Issue:
    code = str(error.message)
    return issue(code, located(root, error.instance_path[:-1]), ASTRAY[code], severity="warning" if code == "BRG-P019" else "error")


def _moved(where: str, move: str) -> str:
    """The path with `move` appended; `^` at its head goes up one element first."""
    return where.rpartition(".")[0] + move[1:] if move.startswith("^") else where + move


def _nodes(schema: Mapping[str, Any], path: Path) -> list[tuple[Mapping[str, Any], int]]:
    """The schemas along an evaluation path, each with its depth in the instance; the last holds the keyword that failed."""
    here: Any = schema
    found: list[tuple[Mapping[str, Any], int]] = [(schema, 0)]
    depth, named = 0, False
    for step in path[:-1]:
        if named or step == "items":
            depth += 1
        named = step == "properties" and not named
        here = schema["$defs"][here["$ref"].removeprefix("#/$defs/")] if step == "$ref" else here[step]
        if isinstance(here, Mapping) and not named:
            found.append((here, depth))
    return found


Said = list[tuple[str, str, str]]


def _format(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    if error.kind.name == "type":
        return _plain(error, {"type": _json_type(note["format"])})
    if note["format"] == "xhtml":
        return [("BRG-P015", "", "active content in the narrative")] if error.kind.name == "not" else [("BRG-P005", "", "a narrative is one div")]
    return [("BRG-P005", "", f"not a valid {note['format']}")]


def _json_type(name: str) -> str:
    return {"boolean": "boolean", "integer": "integer", "positiveInt": "integer", "unsignedInt": "integer", "decimal": "number"}.get(name, "string")


def _targets(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    text = error.instance
    if not isinstance(text, str):
        return _plain(error, {"type": "string"})
    if text.startswith("#"):
        return [("BRG-P011", "^", ASTRAY["BRG-P011"])]
    named = TYPED.search(text)
    if named and named[1] in known:
        return [("BRG-P010", "^", f"reference to {named[1]}, allowed: {', '.join(note['targets'])}")]
    return [("BRG-P011", "^", "not a reference: Type/id, an absolute URL, urn:uuid or urn:oid is due")]


def _slice(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    return [("BRG-P009", "", f"slice {note['slice']}: {note['card']} due")]


def _forbidden(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    if note["types"]:
        return [("BRG-P003", "", f"{note['forbidden']} must be {' or '.join(note['types'])}")]
    return [("BRG-P003", "", "the profile does not allow this element")]


def _extension(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    return [("BRG-P013", "", "an extension has either one value[x] or nested extensions")]


def _counted(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    return [("BRG-P006", "", f"{note['counted']}[x] must be there with exactly one type, or not at all where it is optional")]


def _binding(note: Note, error: ValidationError, known: frozenset[str]) -> Said:
    if error.kind.name == "type":
        return _plain(error, {"type": "string"})
    return [("BRG-P007", "", f"no code of the required value set {note['binding']}")]


NOTED: dict[str, Callable[[Note, ValidationError, frozenset[str]], Said]] = {
    "format": _format,
    "targets": _targets,
    "slice": _slice,
    "forbidden": _forbidden,
    "extension": _extension,
    "counted": _counted,
    "binding": _binding,
    "type": lambda note, error, known: [("BRG-P010", "^", f"a reference of another type, allowed: {', '.join(note['type'])}")],
    "system": lambda note, error, known: [("BRG-P007", "", "the code system does not have this code")],
    "fixed": lambda note, error, known: [("BRG-P008", "", "another value is fixed here")],
    "regex": lambda note, error, known: [("BRG-P005", "", "the text does not have the form that the profile asks for")],
    "missing": lambda note, error, known: [("BRG-P002", f".{note['missing']}", "mandatory element is missing")],
    "choice": lambda note, error, known: [("BRG-P006", f"^.{note['choice']}[x]", f"only one type of {note['choice']}[x] may be there")],
    "null": lambda note, error, known: [("BRG-P012", f".{note['null']}", "null in a list without an extension in its place")],
}


def _plain(error: ValidationError, node: Mapping[str, Any]) -> Said:
    """What the keyword alone says."""
    word = error.kind.name
    if error.instance is None:
        return [("BRG-P012", "", "null is not a value")]
    if word == "additionalProperties":
        return [("BRG-P001", located("", [name]), "unknown element") for name in error.kind.as_dict()["unexpected"]]
    if word == "required":
        return [("BRG-P002", f".{error.kind.as_dict()['property']}", "mandatory element is missing")]
    if word in ("minProperties", "minItems"):
        least = node.get("minItems", 1)
        return [("BRG-P002", "", f"at least {least} due")] if least > 1 else [("BRG-P012", "", "empty")]
    if word == "maxItems":
        return [("BRG-P003", "", f"at most {node['maxItems']} allowed")]
    if word == "type":
        due = node.get("type", "")
        return [("BRG-P004", "", f"{JSON_TYPES.get(due if isinstance(due, str) else due[0], 'another JSON type')} is due")]
    return [("BRG-P008", "", "the value does not fit the profile")]
