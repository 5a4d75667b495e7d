"""Which fields must be there for an expression to give anything: found when a mapping is compiled, so that a run can pass
over everything that a message has no fields for.

The answer is a tuple of sets, each of which must have a field in the message; () says nothing. It may be too careful,
never wrong: what it passes over would have given nothing, filed nothing and asked nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.language.expr import Call, FieldPath, Listing, Literal, Member, Name, Operation, Tree
from bridge.language.segment import located

Field = tuple[str, int]
"""(segment, field); field 0 is the segment itself."""
Clauses = tuple[frozenset[Field], ...]

ALWAYS: Clauses = ()
_MOST = 12
_DEEP = 12
_TRUTHS = frozenset({"exists", "matches", "starts", "ends", "contains"})
_UNSURE = frozenset({"count", "empty", "or_default"})
_JUDGED = frozenset({"and", "or", "not", "=", "!=", "<", ">", "<=", ">=", "in"})


@dataclass(slots=True)
class Presence:
    """What names stand for: lets as trees, emits as what they need, segments and repetitions as themselves."""

    lets: Mapping[str, Tree]
    emits: Callable[[str], Clauses | None]
    hl7: bool = True
    _open: set[str] = field(default_factory=set)
    _known: dict[tuple[str, bool], Clauses] = field(default_factory=dict)

    def value(self, tree: Tree, lets: Mapping[str, Tree]) -> Clauses:
        """What an expression needs to have a value."""
        if isinstance(tree, FieldPath):
            path = located(tree)
            return (frozenset({(path.segment, path.field)}),)
        if isinstance(tree, Name):
            return self._name(tree, lets, self.value)
        if isinstance(tree, Member):
            return self.value(tree.of, lets)
        if isinstance(tree, Call):
            return self._call(tree, lets)
        if isinstance(tree, Listing):
            return either([self.value(item, lets) for item in tree.items])
        if isinstance(tree, Operation) and tree.sign == "??":
            return either([self.value(operand, lets) for operand in tree.operands])
        if isinstance(tree, Operation) and tree.sign == "+":
            parts = [self.value(operand, lets) for operand in tree.operands if not isinstance(operand, Literal)]
            return either(parts) if parts else ALWAYS
        return ALWAYS

    def truth(self, tree: Tree, lets: Mapping[str, Tree]) -> Clauses:
        """What a condition needs to be able to hold."""
        if isinstance(tree, Name):
            return self._name(tree, lets, self.truth)
        if isinstance(tree, Call) and tree.of is not None and tree.name in _TRUTHS:
            return self.value(tree.of, lets)
        if isinstance(tree, Operation) and tree.sign in _JUDGED:
            if tree.sign == "and":
                return every([self.truth(operand, lets) for operand in tree.operands])
            if tree.sign == "or":
                return either([self.truth(operand, lets) for operand in tree.operands])
            if tree.sign in ("not", "!="):
                return ALWAYS
            return every([self.value(operand, lets) for operand in tree.operands])
        if isinstance(tree, Call) and tree.of is None and tree.name == "if":
            return ALWAYS
        return self.value(tree, lets)

    def _name(self, name: Name, lets: Mapping[str, Tree], ask: Callable[[Tree, Mapping[str, Tree]], Clauses]) -> Clauses:
        text = name.text
        let = lets.get(text) or self.lets.get(text)
        if let is not None:
            key = (text, ask == self.truth)
            if text in lets or key not in self._known:
                found = self._let(text, let, lets if text in lets else {}, ask)
                if text in lets:
                    return found
                self._known[key] = found
            return self._known[key]
        emitted = self.emits(text)
        if emitted is not None:
            return emitted
        if self.hl7 and len(text) >= 3 and text[:3].isupper():
            return (frozenset({(text[:3], 0)}),)
        return ALWAYS

    def _let(self, text: str, tree: Tree, lets: Mapping[str, Tree], ask: Callable[[Tree, Mapping[str, Tree]], Clauses]) -> Clauses:
        if text in self._open or len(self._open) > _DEEP:
            return ALWAYS
        self._open.add(text)
        try:
            return ask(tree, lets)
        finally:
            self._open.discard(text)

    def _call(self, tree: Call, lets: Mapping[str, Tree]) -> Clauses:
        if tree.of is not None:
            if tree.name in _UNSURE or tree.name in _TRUTHS:
                return ALWAYS
            own = self.value(tree.of, lets)
            return every([own, self.value(tree.arguments[0], lets)]) if tree.name == "age" else own
        values = [self.value(argument, lets) for argument in tree.arguments]
        if tree.name == "if":
            first = every([self.truth(tree.arguments[0], lets), values[1]])
            return either([first, values[2]]) if len(values) > 2 else first
        if tree.name == "code":
            return every(values[:2])
        return either(values) if tree.name == "coalesce" else ALWAYS


def every(parts: Iterable[Clauses]) -> Clauses:
    """All of these must be met."""
    return tuple(dict.fromkeys(clause for part in parts for clause in part))


def either(parts: Sequence[Clauses]) -> Clauses:
    """One of these must be met; with too many combinations only the first clause of each is kept."""
    if not parts or any(not part for part in parts):
        return ALWAYS
    made: Clauses = parts[0]
    for part in parts[1:]:
        few = len(made) * len(part) <= _MOST
        made = tuple(dict.fromkeys(one | other for one in (made if few else made[:1]) for other in (part if few else part[:1])))
    return made


def met(clauses: Clauses, masks: Mapping[str, int]) -> bool:
    """Whether a message with these fields (a byte of 0 or 1 per field, by segment) can meet all of them."""
    return all(any(masks.get(segment, 0) >> 8 * number & 1 for segment, number in clause) for clause in clauses)
