"""The one registry of functions: name, what it takes, what it gives, one sentence, and how it compiles.

METHODS are written behind a value (`PID-3.first()`), FUNCTIONS alone (`if(a, b, c)`). `listed()` is what people see.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from bridge.fhir.convert import CONVERTERS
from bridge.language import convert, operator, pattern, translate
from bridge.language.expr import Call, Literal, Name
from bridge.language.flat import flat
from bridge.language.memory import OTHER
from bridge.language.scope import Scope
from bridge.language.syntax import fault, nearest
from bridge.language.term import FHIR, NOTHING, SEGMENT, V2, Reads, Step, Target, Term, Truth, boolean, strings

if TYPE_CHECKING:
    from bridge.language.compile import Compiler
    from bridge.language.context import Context

_MINUTES = re.compile(r"[0-9]{1,6}(\.0*)?\Z", re.ASCII)
"""Whole minutes, as NM writes them; up to two years."""
Build = Callable[["Compiler", Call, "Context"], Term]
Push = Callable[["Compiler", Call, "Context", Target], "Reads | None"]


@dataclass(frozen=True, slots=True)
class Function:
    """One function as people see it: `takes` is empty for a function, the type of the value before the dot for a method."""

    name: str
    takes: str
    arguments: str
    gives: str
    text: str
    build: Build
    least: int = 0
    most: int = 0
    push: Push | None = None

    @property
    def signature(self) -> str:
        """`.first()`, `if(condition, a, b)`."""
        return f"{'.' if self.takes else ''}{self.name}({self.arguments})"


def build(compiler: Compiler, tree: Call, context: Context) -> Term:
    """The Term of a call; raises MappingError for an unknown name or a wrong number of arguments."""
    return _find(tree).build(compiler, tree, context)


def push(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads | None:
    """The call converted to a target in its own way; None when it has none and its natural type is to be converted."""
    found = _find(tree)
    return found.push(compiler, tree, context, target) if found.push else None


def listed() -> list[Function]:
    """Every function, methods first, by name."""
    return [*METHODS.values(), *FUNCTIONS.values()]


def _find(tree: Call) -> Function:
    known = METHODS if tree.of is not None else FUNCTIONS
    found = known.get(tree.name)
    if found is None:
        other = FUNCTIONS if tree.of is not None else METHODS
        hint = f"write {other[tree.name].signature}" if tree.name in other else nearest(tree.name, known)
        raise fault(tree.place, f"no function {tree.name}()", hint=hint)
    if not found.least <= len(tree.arguments) <= found.most:
        raise fault(tree.place, f"{tree.name}() takes {found.arguments or 'nothing'}", hint=f"write {found.signature}")
    return found


def _of(compiler: Compiler, tree: Call, context: Context) -> Term:
    assert tree.of is not None
    return compiler.natural(tree.of, context)


def _texts(compiler: Compiler, tree: Call, context: Context) -> Callable[[Scope], list[str]]:
    assert tree.of is not None
    return compiler.texts(tree.of, context)


def _text_argument(tree: Call, index: int, what: str) -> str:
    argument = tree.arguments[index]
    if not isinstance(argument, Literal | Name):
        raise fault(argument.place, f"{tree.name}() takes {what}")
    return argument.text


def _number_argument(tree: Call, index: int) -> int:
    argument = tree.arguments[index]
    if not isinstance(argument, Literal) or argument.kind != "number" or not re.fullmatch(r"\d{1,6}", argument.text):
        raise fault(argument.place, f"{tree.name}() takes whole numbers from 0")
    return int(argument.text)


def _pick(cut: slice) -> tuple[Build, Push]:
    """first() and last(): of the natural values, or of the converted ones when the branches differ in type."""
    def build(compiler: Compiler, tree: Call, context: Context) -> Term:
        term = _of(compiler, tree, context)
        read, texts = term.read, term.texts
        return term.over(flat("{0}[{cut}]", read, cut=cut), many=False, texts=flat("{0}[{cut}]", texts, cut=cut) if texts else None)

    def push(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads | None:
        assert tree.of is not None
        if isinstance(tree.of, Call) and (tree.of.name == "map" or tree.of.name.startswith("or_")):
            read = compiler.give(tree.of, context, target)
            return flat("{0}[{cut}]", read, cut=cut)
        return None
    return build, push


def _where(compiler: Compiler, tree: Call, context: Context) -> Term:
    term = _of(compiler, tree, context)
    if term.kind == SEGMENT:
        _refuse_segment(tree)
    body = term.over(_bodies(term)) if term.kind == "made" else term
    if term.kind == "made":
        context.needs.add(("body", term.label))
        context.inputs.add(OTHER)
    slot = compiler.slot(2)
    item = Step(term.path, slot, V2 if term.kind == V2 else FHIR, term.type)
    holds = compiler.truth(tree.arguments[0], replace(context, item=item))
    read = body.read

    def select(scope: Scope) -> list[Any]:
        found, slots = [], scope.slots
        for value in read(scope):
            slots[slot] = value
            if holds(scope):
                found.append(value)
        return found
    return body.over(select, kind=item.kind)


def _bodies(term: Term) -> Reads:
    read = term.read
    return flat("{bodies}({0})", read, bodies=lambda found: [made.body for made in found if made.body is not None])


def _refuse_segment(tree: Call) -> NoReturn:
    raise fault(tree.place, f"{tree.name}() works on values, not on whole segments", hint="walk over them with `each:` and `when:`")


def _exists(compiler: Compiler, tree: Call, context: Context) -> Term:
    term = _of(compiler, tree, context)
    read = term.texts or term.read
    if tree.arguments:
        read = _where(compiler, tree, context).read
    return boolean(flat("not not {0}", read))


def _empty(compiler: Compiler, tree: Call, context: Context) -> Term:
    term = _of(compiler, tree, context)
    read = term.texts or term.read
    return boolean(flat("not {0}", read))


def _count(compiler: Compiler, tree: Call, context: Context) -> Term:
    read = _of(compiler, tree, context).read
    return Term(flat("[len({0})]", read), FHIR, "integer", False)


def _distinct(compiler: Compiler, tree: Call, context: Context) -> Term:
    term = _of(compiler, tree, context)
    read = term.read

    def distinct(scope: Scope) -> list[Any]:
        found: list[Any] = []
        for value in read(scope):
            if value not in found:
                found.append(value)
        return found
    texts = term.texts
    return term.over(distinct, texts=(lambda scope: list(dict.fromkeys(texts(scope)))) if texts else None)


def _each_text(act: Callable[[str], str]) -> Build:
    def build(compiler: Compiler, tree: Call, context: Context) -> Term:
        read = _texts(compiler, tree, context)
        return strings(flat("{every}({0})", read, every=lambda texts: [made for text in texts if (made := act(text))]))
    return build


def _substring(compiler: Compiler, tree: Call, context: Context) -> Term:
    start = _number_argument(tree, 0)
    end = start + _number_argument(tree, 1) if len(tree.arguments) > 1 else None
    return _each_text(lambda text: text[start:end])(compiler, tree, context)


def _test(act: Callable[[str, str], bool]) -> Build:
    def build(compiler: Compiler, tree: Call, context: Context) -> Term:
        wanted = _text_argument(tree, 0, "a 'text'")
        read = _texts(compiler, tree, context)
        return boolean(flat("{some}({0})", read, some=lambda texts: any([act(text, wanted) for text in texts])))
    return build


def _matches(compiler: Compiler, tree: Call, context: Context) -> Term:
    match = pattern.compiled(_text_argument(tree, 0, "a 'pattern'"), tree.arguments[0].place)
    read = _texts(compiler, tree, context)
    return boolean(flat("{some}({0})", read, some=lambda texts: any([match(text) for text in texts])))


def _replace(compiler: Compiler, tree: Call, context: Context) -> Term:
    old, new = _text_argument(tree, 0, "two texts"), _text_argument(tree, 1, "two texts")
    if not old:
        raise fault(tree.place, "replace() cannot replace an empty text")
    return _each_text(lambda text: text.replace(old, new))(compiler, tree, context)


def _split(compiler: Compiler, tree: Call, context: Context) -> Term:
    mark = _text_argument(tree, 0, "the separator")
    if not mark:
        raise fault(tree.place, "split() needs a separator")
    read = _texts(compiler, tree, context)
    return strings(lambda scope: [part for text in read(scope) for piece in text.split(mark) if (part := piece.strip())])


def _join(compiler: Compiler, tree: Call, context: Context) -> Term:
    mark = _text_argument(tree, 0, "the separator")
    assert tree.of is not None
    whole = compiler.natural(tree.of, context).kind == V2
    read = compiler.give(tree.of, context, Target(("string",), "text")) if whole else _texts(compiler, tree, context)
    return strings(lambda scope: [mark.join(found)] if (found := read(scope)) else NOTHING, many=False)


def _age(compiler: Compiler, tree: Call, context: Context) -> Term:
    assert tree.of is not None
    born = convert.moments(compiler, _of(compiler, tree, context), tree.of)
    on = convert.moments(compiler, compiler.natural(tree.arguments[0], context), tree.arguments[0])

    def age(scope: Scope) -> list[int]:
        birth, day = born(scope), on(scope)
        if not birth or not day:
            return NOTHING
        first, last = birth[0], day[0]
        years = last.year - first.year - ((last.month, last.day) < (first.month, first.day))
        return [years] if years >= 0 else NOTHING
    return Term(age, FHIR, "integer", False)


def _later(compiler: Compiler, tree: Call, context: Context) -> Term:
    assert tree.of is not None
    moments = convert.convert(compiler, _of(compiler, tree, context), Target(("dateTime",), "later"), tree.of)
    amounts = compiler.texts(tree.arguments[0], context)

    def later(scope: Scope) -> list[str]:
        starts, minutes = moments(scope), amounts(scope)
        if not starts or not minutes or "T" not in starts[0] or not _MINUTES.match(minutes[0]):
            return NOTHING
        try:
            return [(datetime.datetime.fromisoformat(starts[0]) + datetime.timedelta(minutes=int(minutes[0].partition(".")[0]))).isoformat()]
        except (ValueError, OverflowError):  # a leap second, or beyond the last year that Python knows
            return NOTHING
    return Term(later, FHIR, "dateTime", False)


def _as(compiler: Compiler, tree: Call, context: Context) -> Term:
    term = _of(compiler, tree, context)
    if term.varies is None:
        raise fault(tree.place, "as() chooses among the types of a field whose type varies", hint="OBX-5.as(NM)")
    wanted = [_text_argument(tree, index, "HL7 types, as(NM)") for index in range(len(tree.arguments))]
    known = {source for source, _ in CONVERTERS}
    for name, argument in zip(wanted, tree.arguments, strict=True):
        if name not in known:
            raise fault(argument.place, f"no HL7 type {name}", name, known)
    names, read, varies = frozenset(wanted), term.read, term.varies
    made = flat("{0} if {1} in {names} else {nothing}", read, varies, names=names, nothing=NOTHING)
    return term.over(made, type=wanted[0] if len(wanted) == 1 else "varies")


def _component(compiler: Compiler, tree: Call, context: Context) -> Term:
    argument = tree.arguments[0]
    if not isinstance(argument, Literal) or argument.kind != "number" or argument.text.startswith("-"):
        raise fault(argument.place, "component() takes a number", hint=".component(4) or .component(4.1)")
    return compiler.part(_of(compiler, tree, context), argument.text, tree)


def _in_unit(compiler: Compiler, tree: Call, context: Context) -> Term:
    read = _in_unit_push(compiler, tree, context, Target(("Quantity",), "quantity"))
    return Term(read, FHIR, "Quantity")


def _in_unit_push(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads:
    """Quantities, or Ranges and Ratios of them, each with the unit that the argument names."""
    assert tree.of is not None
    read = compiler.give(tree.of, context, target)
    unit = compiler.give(tree.arguments[0], context, Target(("Quantity",), target.path))

    def measured(scope: Scope) -> list[Any]:
        found = read(scope)
        units = unit(scope) if found else NOTHING
        return [_measured(value, units[0]) for value in found] if units else found
    return measured


def _measured(value: dict[str, Any], unit: dict[str, Any]) -> dict[str, Any]:
    if "value" in value:
        return {**value, **unit}
    return {name: _measured(inner, unit) if inner.__class__ is dict and name != "denominator" else inner for name, inner in value.items()}


def _map_push(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads | None:
    return translate.mapped(compiler, tree, context, target)


def _if(compiler: Compiler, tree: Call, context: Context) -> Term:
    holds = compiler.truth(tree.arguments[0], context)
    terms = compiler.joined([compiler.natural(argument, context) for argument in tree.arguments[1:]], tree)
    return terms[0].over(_either(holds, *[term.read for term in terms]), path="", many=True)


def _if_push(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads:
    holds = compiler.truth(tree.arguments[0], context)
    return _either(holds, *[compiler.give(argument, context, target) for argument in tree.arguments[1:]])


def _either(holds: Truth, *branches: Reads) -> Reads:
    return flat("{1} if {0} else {2}" if len(branches) > 1 else "{1} if {0} else {nothing}", holds, *branches, nothing=NOTHING)


def _coalesce(compiler: Compiler, tree: Call, context: Context) -> Term:
    terms = compiler.joined([compiler.natural(argument, context) for argument in tree.arguments], tree)
    return terms[0].over(operator.either([term.read for term in terms]), path="", many=True)


def _coalesce_push(compiler: Compiler, tree: Call, context: Context, target: Target) -> Reads:
    return operator.either([compiler.give(argument, context, target) for argument in tree.arguments])


def _or_use(compiler: Compiler, tree: Call, context: Context) -> Term:
    """Contact points of telephone numbers; those whose sender names no use (XTN.2) get this one."""
    term, use = _of(compiler, tree, context), _text_argument(tree, 0, "a 'use'")
    if term.kind != V2 or term.type not in ("XTN", "TN"):
        raise fault(tree.place, f"or_use() stands behind telephone numbers, not {term.shown()}", hint="PID-13.or_use('home')")
    slot, read = compiler.slot(), term.read
    one = convert.convert(compiler, term.over(lambda scope: scope.slots[slot], path="", texts=None), Target(("ContactPoint",), "or_use()"), tree)

    def points(scope: Scope) -> list[Any]:
        found: list[Any] = []
        for value in read(scope):
            scope.slots[slot] = (value,)
            made = one(scope)
            found += made if value.text(2) else [point if "use" in point else {**point, "use": use} for point in made]
        return found
    return Term(points, FHIR, "ContactPoint", True, term.label)


def _with_use(compiler: Compiler, tree: Call, context: Context) -> Term:
    """Identifiers, names, addresses or contact points, with this use."""
    term, use = _of(compiler, tree, context), _text_argument(tree, 0, "a 'use'")
    type_ = next((to for to in ("Identifier", "HumanName", "Address", "ContactPoint") if (term.type, to) in CONVERTERS), "")
    if term.kind != V2 or not type_ or convert.textual(term):
        raise fault(tree.place, f"{term.shown()} has no use", hint="MRG-1.with_use('old')")
    read = convert.convert(compiler, term, Target((type_,), "with_use()"), tree)
    return Term(lambda scope: [{**made, "use": use} for made in read(scope)], FHIR, type_, True, term.label)


def _codings(compiler: Compiler, tree: Call, context: Context) -> Term:
    """Every coding of a coded value: the alternate ones too."""
    term = _of(compiler, tree, context)
    read = convert.convert(compiler, term, Target(("CodeableConcept",), "codings()"), tree)
    return Term(lambda scope: [coding for made in read(scope) for coding in made.get("coding", ())], FHIR, "Coding", True, term.label)


def _code(compiler: Compiler, tree: Call, context: Context) -> Term:
    """A Coding of each code; an empty system or code gives none."""
    reads = [compiler.texts(argument, context) for argument in tree.arguments]

    def coding(systems: list[str], codes: list[str], words: list[str] = NOTHING) -> list[Any]:
        made = [{"system": systems[0], "code": each} for each in codes]
        if words and len(made) == 1:
            made[0]["display"] = words[0]
        return made
    rest = ", ".join(f"{{{number}}}" for number in range(1, len(reads)))
    return Term(flat(f"{{coding}}(found, {rest}) if (found := {{0}}) else {{nothing}}", *reads, coding=coding, nothing=NOTHING), FHIR, "Coding")


def _set(compiler: Compiler, tree: Call, context: Context) -> Term:
    raise fault(tree.place, "a set stands behind `in`", hint="DG1-3.1 in set(name)")


def _table(rows: Iterator[Function]) -> dict[str, Function]:
    return {row.name: row for row in rows}


_FIRST, _LAST = _pick(slice(0, 1)), _pick(slice(-1, None))

METHODS: dict[str, Function] = _table(iter([
    Function("first", "any", "", "same", "The first value.", _FIRST[0], push=_FIRST[1]),
    Function("last", "any", "", "same", "The last value.", _LAST[0], push=_LAST[1]),
    Function("where", "any", "condition", "same",
             "The values for which the condition holds; inside it a bare number on the left is a component of an HL7 value, "
             "a name an element of a FHIR one, `this` the value.", _where, 1, 1),
    Function("exists", "any", "[condition]", "boolean", "Whether there is a value (for which the condition holds).", _exists, 0, 1),
    Function("empty", "any", "", "boolean", "Whether there is none.", _empty),
    Function("count", "any", "", "integer", "How many values there are.", _count),
    Function("distinct", "any", "", "same", "Each different value once.", _distinct),
    Function("component", "HL7 value", "number", "its type",
             "A component, 4 or 4.1, of a value that has no path of its own.", _component, 1, 1),
    Function("as", "OBX-5", "type, ...", "that type", "The value when OBX-2 names one of these types, otherwise nothing.", _as, 1, 20),
    Function("in_unit", "number, range or ratio", "unit", "Quantity, Range or Ratio",
             "With the unit of a coded field, in UCUM where that is known; of a ratio the numerator has it.", _in_unit, 1, 1, _in_unit_push),
    Function("map", "code or coding", "table", "code, Coding or CodeableConcept",
             "The code by a table; an unmapped one keeps its source coding and files a question.", translate.natural, 1, 1, _map_push),
    Function("or_text", "map", "", "same", "Behind map: an unmapped code leaves only its text.", translate.natural, 0, 0, _map_push),
    Function("or_hold", "map", "", "same",
             "Behind map: an unmapped code holds the message until somebody answers.", translate.natural, 0, 0, _map_push),
    Function("or_default", "map", "'target'", "same",
             "Behind map: this target when nothing came of the code.", translate.natural, 1, 1, _map_push),
    Function("codings", "coded value", "", "Coding, several", "All its codings, the alternate ones too.", _codings),
    Function("or_use", "telephone numbers", "'use'", "contact points",
             "As contact points; those whose sender names no use (XTN.2) get this one.", _or_use, 1, 1),
    Function("with_use", "identifier, name, address or telephone number", "'use'", "as FHIR has it",
             "With this use, whatever the sender says.", _with_use, 1, 1),
    Function("lower", "text", "", "text", "In lower case.", _each_text(str.lower)),
    Function("upper", "text", "", "text", "In upper case.", _each_text(str.upper)),
    Function("trim", "text", "", "text", "Without blanks at both ends.", _each_text(str.strip)),
    Function("substring", "text", "start[, length]", "text", "From a character (the first is 0), all or so many.", _substring, 1, 2),
    Function("replace", "text", "'old', 'new'", "text", "Every `old` as `new`.", _replace, 2, 2),
    Function("split", "text", "'separator'", "text, several", "The parts between the separators, without empty ones.", _split, 1, 1),
    Function("join", "text, several", "'separator'", "text", "All texts as one.", _join, 1, 1),
    Function("matches", "text", "'pattern'", "boolean",
             "Whether the whole text is of this pattern (a bounded regular expression).", _matches, 1, 1),
    Function("starts", "text", "'text'", "boolean", "Whether it begins so.", _test(str.startswith), 1, 1),
    Function("ends", "text", "'text'", "boolean", "Whether it ends so.", _test(str.endswith), 1, 1),
    Function("contains", "text", "'text'", "boolean", "Whether it holds this text.", _test(lambda text, wanted: wanted in text), 1, 1),
    Function("age", "date", "on", "integer", "Whole years from the date to the other date.", _age, 1, 1),
    Function("later", "time", "minutes", "dateTime", "So many minutes later; nothing when the time is a day only.", _later, 1, 1),
]))

FUNCTIONS: dict[str, Function] = _table(iter([
    Function("if", "", "condition, then[, else]", "the branch", "One of two, by a condition.", _if, 2, 3, _if_push),
    Function("coalesce", "", "a, b, ...", "same", "The first that has a value; the same as `??`.", _coalesce, 1, 20, _coalesce_push),
    Function("code", "", "system, code[, display]", "Coding",
             "A coding; where a CodeableConcept is due, one with this coding.", _code, 2, 3),
    Function("set", "", "name", "set", "A named set of codes, behind `in`.", _set, 1, 1),
]))
