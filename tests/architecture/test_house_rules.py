"""The rules of the house that a machine can check: size, names, docstrings, and what must never appear."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("bridge", "connectors") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
BANNED = re.compile(r"(^|_)(manager|helper|helpers|util|utils|common|base|handler|processor|service|data|info)(_|$)", re.IGNORECASE)
FHIR_WORDS = {"service_request", "service_codes", "service_code", "service_type", "SERVICE_TYPE"}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_are_short() -> None:
    """No file has more than 500 lines, nine of ten no more than 350."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {str(path): size for path, size in sizes.items() if size > 500} == {}
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= 350


def test_functions_fit_on_a_screen() -> None:
    """No function has more than 60 lines, nine of ten no more than 25, half no more than 10."""
    sizes = {f"{path.name}:{node.name}": lines(node) for path in SOURCES for node in functions(path)}
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= 25
    assert statistics.median(sizes.values()) <= 10


def test_names_say_something() -> None:
    """No module, class or function is named after what everything is."""
    found = [str(path.relative_to(ROOT)) for path in SOURCES if BANNED.search(path.stem)]
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.name)
                if BANNED.search(snake) and not any(word in snake.lower() for word in FHIR_WORDS):
                    found.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert found == []


def test_public_functions_have_a_contract() -> None:
    """Every module and every public function or class at module level has a docstring."""
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.stat().st_size and not ast.get_docstring(tree):
            missing.append(str(path.relative_to(ROOT)))
        missing += [f"{path.relative_to(ROOT)}:{node.name}" for node in tree.body
                    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
                    and not ast.get_docstring(node)]
    assert missing == []


def test_every_test_says_which_law_it_proves() -> None:
    """Every test function has a docstring of one sentence or two."""
    missing = [f"{path.relative_to(ROOT)}:{node.name}" for path in TESTS for node in functions(path)
               if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert missing == []


@pytest.mark.parametrize("pattern, why", [
    (r"^\s*except( Exception)?:\s*(pass)?$", "a silent except"),
    (r"#\s*type:\s*ignore\s*$", "an unexplained type: ignore"),
    (r"\b(TODO|FIXME|XXX)\b", "work left in a comment"),
    (r"from fhir\.resources(\.[a-z]+)? import", "R5 instead of R4B"),
    (r"os\.environ|os\.getenv", "the environment read below the command line"),
], ids=["except", "ignore", "todo", "r5", "environ"])
def test_what_must_not_appear(pattern: str, why: str) -> None:
    """Nothing in the sources is quietly ignored, left over or read from the environment outside the command line."""
    allowed = {"os.environ|os.getenv": {"cli"}}
    found = [f"{path.relative_to(ROOT)}:{number}" for path in SOURCES
             for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
             if re.search(pattern, line) and path.parent.name not in allowed.get(pattern.replace("\\", ""), set())]
    assert found == [], why


def test_help_imports_nothing_heavy() -> None:
    """`--help` loads click and our own table of commands, nothing that a worker needs."""
    script = "import sys, bridge.cli\ntry: bridge.cli.main(['--help'])\nexcept SystemExit: pass\nprint(' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(done.stderr.split())
    heavy = {"pika", "sqlalchemy", "pydantic", "structlog", "rich", "yaml", "orjson", "starlette", "hl7apy", "fhir", "jsonschema_rs"}
    assert loaded & heavy == set()
