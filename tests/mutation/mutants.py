"""Small wrongs done to a module's source, one at a time: a comparison turned, a condition dropped, a statement left out."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}
COMBINED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr}
CALLED = {"any": "all", "all": "any", "min": "max", "max": "min"}
SKIPPED = (ast.Raise, ast.Import, ast.ImportFrom, ast.Global)
"""What a raise says is text for people; leaving it out is a mutant of its own."""


@dataclass(frozen=True)
class Mutant:
    """One wrong. `name` says which, without a line number, so that a reason for its survival can be found again."""

    name: str
    line: int
    source: str
    place: int
    wrong: ast.stmt | ast.expr

    def tree(self) -> ast.Module:
        """The module with this one wrong."""
        tree = ast.parse(self.source)
        _put(_nodes(tree)[self.place][1], self.wrong)
        return ast.fix_missing_locations(tree)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    times = Counter[str]()
    for place, (scope, node) in enumerate(_nodes(ast.parse(source))):
        for wrong in _wrongs(node):
            name = f"{scope}: {_text(node)} -> {_text(wrong)}"
            times[name] += 1
            yield Mutant(name if times[name] == 1 else f"{name} #{times[name]}", node.lineno, source, place, wrong)


def _nodes(tree: ast.Module) -> list[tuple[str, ast.stmt | ast.expr]]:
    """Statements and expressions that may be changed, with the function they stand in."""
    found: list[tuple[str, ast.stmt | ast.expr]] = []

    def walk(node: ast.AST, scope: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            scope = f"{scope}.{node.name}".removeprefix(".")
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_text(child):
                    if isinstance(child, (ast.stmt, ast.expr)):
                        found.append((scope or "module", child))
                    if not isinstance(child, SKIPPED):
                        walk(child, scope)

    walk(tree, "")
    return found


def _is_text(node: ast.AST) -> bool:
    """A docstring, a type written as an expression, or a log line: words for people."""
    if isinstance(node, ast.Expr):
        value = node.value
        log = isinstance(value, ast.Call) and ast.unparse(value.func).startswith("log.")
        return log or (isinstance(value, ast.Constant) and isinstance(value.value, str))
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in ("set", "dict", "list", "frozenset")


def _wrongs(node: ast.stmt | ast.expr) -> Iterator[ast.stmt | ast.expr]:
    if isinstance(node, (ast.Expr, ast.Raise, ast.AugAssign, ast.Continue)):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_no(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        if not isinstance(node.test, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
            turned = copy.deepcopy(node)
            turned.test = ast.UnaryOp(ast.Not(), turned.test)
            yield turned
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            turned = copy.deepcopy(node)
            turned.ops[place] = COMPARED[type(operator)]()
            yield turned
    elif isinstance(node, ast.BoolOp):
        turned = copy.deepcopy(node)
        turned.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield turned
        for place in range(len(node.values)):
            rest = [copy.deepcopy(each) for each in node.values[:place] + node.values[place + 1 :]]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(copy.deepcopy(node.op), rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMBINED:
        turned = copy.deepcopy(node)
        turned.op = COMBINED[type(node.op)]()
        yield turned
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLED:
        turned = copy.deepcopy(node)
        turned.func = ast.Name(CALLED[node.func.id], ast.Load())
        yield turned
    elif isinstance(node, ast.Constant):
        yield from _constants(node)


def _constants(node: ast.Constant) -> Iterator[ast.expr]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(f"{value}?")


def _is_no(node: ast.expr) -> bool:
    """None, or what no caller here tells from it."""
    return ast.unparse(node) in ("None", "False", "''", "()", "frozenset()")


def _put(target: ast.AST, wrong: ast.AST) -> None:
    """Turns one node into another where it stands."""
    target.__class__ = type(wrong)  # type: ignore[assignment]
    for name in list(vars(target)):
        if name not in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            delattr(target, name)
    for name, value in ast.iter_fields(wrong):
        setattr(target, name, value)


def _text(node: ast.AST) -> str:
    """The node in one line; of a branch, its condition."""
    if isinstance(node, (ast.If, ast.While)):
        return f"{'while' if isinstance(node, ast.While) else 'if'} {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())
