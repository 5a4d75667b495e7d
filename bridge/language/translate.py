"""`.map(table)`: a code by a table, into whatever is due, and what becomes of a code that the table does not have.

An unmapped code never stops a message: the source coding is kept where a coding may stand, a code element stays out and
its source is kept beside it (extension alternate-codes), and a question is filed for a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bridge.core.draft import Question
from bridge.fhir.convert import CONVERTERS
from bridge.language import convert
from bridge.language.expr import Call, Literal, Tree
from bridge.language.lift import from_text
from bridge.language.scope import Scope
from bridge.language.syntax import fault
from bridge.language.table import Row, Table
from bridge.language.term import FHIR, V2, Reads, Target, Term, strings

if TYPE_CHECKING:
    from bridge.language.compile import Compiler
    from bridge.language.context import Context

UNMAPPED = "BRG-L110"
ALTERNATE = "http://hl7.org/fhir/StructureDefinition/alternate-codes"
_CODE = re.compile(r"[A-Za-z0-9][\w.\-]{0,19}\Z", re.ASCII)
_ASKED = re.compile(r"(?!.* .*\d{3})\w[\w.+&()/'\- ]{0,59}\Z")
"""What a question can be about: feeds write words where a code is due (`Home or Self Care`). Several words with a comma or
a number among them may be about a person: they stay in the resource alone."""

Write = Callable[[Row | None, str, str, str, Any, Scope], Any]
"""(row or None when unmapped, code, system as sent, words, source value, scope) -> JSON value or None."""


def split(tree: Call) -> tuple[Call, str, Tree | None] | None:
    """(the `.map(table)` call, policy, default) of `x.map(t)` or `x.map(t).or_...`; None when it is something else."""
    policy, default, inner = "", None, tree
    if tree.name in ("or_text", "or_hold", "or_default"):
        if not isinstance(tree.of, Call) or tree.of.name != "map":
            raise fault(tree.place, f"{tree.name} stands behind .map(table)")
        wanted = 1 if tree.name == "or_default" else 0
        if len(tree.arguments) != wanted:
            raise fault(tree.place, f"{tree.name} takes {'one text' if wanted else 'nothing'}")
        policy, inner, default = tree.name, tree.of, tree.arguments[0] if wanted else None
    if inner.name != "map" or inner.of is None:
        return None
    if len(inner.arguments) != 1:
        raise fault(inner.place, "map(table) takes the name of one table")
    return inner, policy, default


def mapped(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads | None:
    """(scope) -> JSON values for the target; None when `tree` is no map."""
    parts = split(tree)
    if parts is None:
        return None
    call, policy, default = parts
    assert call.of is not None
    table = compiler.table(call.arguments[0])
    term = compiler.natural(call.of, context)
    write, type_ = _writer(compiler, table, term, target, policy, tree)
    read = _run(table, term, convert.coded(term, call.of), write, policy)
    if default is None:
        return read
    fixed = _default(compiler, table, type_, default, target)

    def defaulted(scope: Scope) -> list[Any]:
        found = read(scope)
        if found:
            return found
        scope.side = None
        return fixed()
    return defaulted


def natural(compiler: Compiler, tree: Call, context: Context) -> Term:
    """The target codes as texts."""
    read = mapped(compiler, tree, context, Target(("string",), "text"))
    if read is None:
        raise fault(tree.place, f"{tree.name} needs a value before it", hint="write PID-8.map(table)")
    return strings(read)


def _run(table: Table, term: Term, coded: Any, write: Write, policy: str) -> Reads:
    name, label, kind = table.name, term.label, "message" if policy == "or_hold" else "code"
    hold = "" if kind == "code" else "; the message waits"

    def translate(scope: Scope) -> list[Any]:
        found: list[Any] = []
        for code, system, words, value in coded(scope):
            if not code:
                if words and (made := write(None, "", system, words, value, scope)) is not None:
                    found.append(made)
                continue
            row = scope.translate(name, code, system)
            if row is None:
                scope.where = label
                shown = _shown(code)
                scope.report("warning", UNMAPPED, f"unmapped {name} {shown}{hold}",
                             f"answer the question, or add a row to the feed or to tables/{name}.csv")
                scope.ask(Question(kind, f"what is {shown} in {name}?", scope.place(), name, system, code if _ASKED.match(code) else ""))
            made = write(row, code, system, words, value, scope)
            if made is not None:
                found.append(made)
        return found
    return translate


def _shown(code: str) -> str:
    """What an issue may quote: a code with a digit or of three letters at most. A longer word may be a name that slipped
    into a field of codes; the work list alone has it."""
    if not _CODE.match(code):
        return "(a text)"
    return code if len(code) <= 3 or any(char.isdigit() for char in code) else "(a word)"


def _writer(compiler: Compiler, table: Table, term: Term, target: Target, policy: str, tree: Tree) -> tuple[Write, str]:
    for type_ in target.types:
        if type_ == "CodeableConcept":
            return _concept(table, term, policy), type_
        if type_ == "Coding":
            return _coding(table, term, policy), type_
        if type_ in compiler.elements.primitives:
            return _code(compiler, table, term, type_, policy), type_
    raise fault(tree.place, f"{target.path}: a table gives a code, Coding or CodeableConcept, not {target.shown()}")


def _target(row: Row) -> dict[str, Any]:
    made = {"system": row.target_system} if row.target_system else {}
    made["code"] = row.target
    if row.display:
        made["display"] = row.display
    return made


def _source(table: Table, term: Term) -> Callable[[str, str, str, Any, Scope], dict[str, Any]]:
    """The coding as it was sent: its own system, else that of the table which lists it, else one owned by the sender."""
    convert_ = CONVERTERS.get(("CWE", "Coding")) if term.kind == V2 else None

    def source(code: str, system: str, words: str, value: Any, scope: Scope) -> dict[str, Any]:
        if system and convert_ is not None and value is not None and (made := convert_(value, scope)) is not None:
            return dict(made[0] if made.__class__ is list else made)
        if term.kind == FHIR and value is not None:
            return dict(value)
        known = table.source_system and table.find(code, system) is not None
        made = {"system": table.source_system if known else scope.coding_system(table.name), "code": code}
        return {**made, "display": words} if words else made
    return source


def _concept(table: Table, term: Term, policy: str) -> Write:
    source, keep = _source(table, term), table.keep_source

    def write(row: Row | None, code: str, system: str, words: str, value: Any, scope: Scope) -> Any:
        if row is not None and not row.target:
            return None
        if row is None and policy == "or_hold":
            return None
        if row is None and (policy == "or_text" or not code):
            return {"text": words or code}
        codings = [_target(row)] if row is not None else []
        if row is not None and row.means and keep and table.source_system:
            codings.append({"system": table.source_system, "code": row.means})
        if row is None or keep:
            own = source(code, system, words, value, scope)
            if not codings or (own.get("system"), own["code"]) != (codings[0].get("system"), codings[0]["code"]):
                codings.append(own)
        return {"coding": codings, "text": words} if words else {"coding": codings}
    return write


def _coding(table: Table, term: Term, policy: str) -> Write:
    source = _source(table, term)

    def write(row: Row | None, code: str, system: str, words: str, value: Any, scope: Scope) -> Any:
        if row is not None:
            return _target(row) if row.target else None
        if policy or not code:
            return None
        return source(code, system, words, value, scope)
    return write


def _code(compiler: Compiler, table: Table, term: Term, type_: str, policy: str) -> Write:
    read, source, side = from_text(type_, compiler.elements), _source(table, term), type_ == "code"

    def write(row: Row | None, code: str, system: str, words: str, value: Any, scope: Scope) -> Any:
        if row is not None:
            return read(row.target) if row.target else None
        if policy == "or_text" and type_ == "string":
            return words or code
        if side and code and policy != "or_hold":
            kept = {"coding": [source(code, system, words, value, scope)]}
            scope.side = {"extension": [{"url": ALTERNATE, "valueCodeableConcept": kept}]}
        return None
    return write


def _default(compiler: Compiler, table: Table, type_: str, default: Tree, target: Target) -> Callable[[], list[Any]]:
    """What `or_default('x')` gives: x as the table writes it, with its system and display."""
    if not isinstance(default, Literal):
        raise fault(default.place, "or_default takes a 'text'", hint="for an expression write `?? other` behind the map")
    row = table.by_target.get(default.text)
    if type_ not in ("Coding", "CodeableConcept"):
        values = convert.literal(compiler.elements, default.text, target, default.place)
        return lambda: list(values)
    if row is None and not table.target_system:
        raise fault(default.place, f"`{default.text}` is no target of table {table.name}, so its system is not known",
                    default.text, table.by_target)
    known = row or Row("", default.text, table.target_system)
    return (lambda: [_target(known)]) if type_ == "Coding" else (lambda: [{"coding": [_target(known)]}])
