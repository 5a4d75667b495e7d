"""Every command block of the documentation runs as it stands, page by page, in a folder that looks like a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, ROOT, Block, blocks, name

REASONS = {
    "installs a package": "tests install nothing",
    "needs a broker": "RabbitMQ has tests of its own under tests/integration",
    "needs PostgreSQL": "it has tests of its own under tests/contract",
    "runs until it is stopped": "a service is no test",
}
"""Why a block may stand unrun; any other reason is refused."""

RUN = [page for page in PAGES if any(one.language == "sh" and not one.not_run for one in blocks(page))]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A working folder with what a checkout has; `connectors` and `profiles` may be written to."""
    for folder in ("bridge", "mappings"):
        (tmp_path / folder).symlink_to(ROOT / folder, target_is_directory=True)
    for folder in ("connectors", "profiles"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    script = tmp_path / "bin" / "sdoh-bridge"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from bridge.cli import main; main()' \"$@\"\n", encoding="utf-8")
    script.chmod(0o755)
    return tmp_path


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as a shell script that stops at the first command that fails."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SDOH_BRIDGE")}
    environment = {**kept, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(["sh", "-eu", "-c", block.text], capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.mark.parametrize("page", RUN, ids=name)
def test_commands_run_as_the_page_says(page: Path, checkout: Path) -> None:
    """Files are written and commands run in the page's order; exit codes and shown output are those of the page."""
    wrong, output = [], ""
    for block in blocks(page):
        if block.file:
            target = checkout / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.language == "sh" and not block.not_run:
            done = run(block, checkout)
            output = done.stdout + done.stderr
            if done.returncode != block.exit or "Traceback" in output:
                wrong.append(f"{name(page)}:{block.line} ended with {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        elif block.note == "output":
            real = [" ".join(line.split()) for line in output.splitlines()]
            wrong += [f"{name(page)}:{block.line} not said: {line}" for line in block.text.splitlines() if " ".join(line.split()) not in real]
    assert not wrong, "\n\n".join(wrong)


def test_what_is_not_run_says_why() -> None:
    """A command block that is not run names one of the accepted reasons."""
    wrong = [f"{name(page)}:{one.line}: {one.not_run}" for page in PAGES for one in blocks(page) if one.not_run and one.not_run not in REASONS]
    assert wrong == []
