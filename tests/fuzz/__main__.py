"""Looks for inputs that break a target: `python -m tests.fuzz --minutes 10 [TARGET...]`. Not part of the test suite.

Needs atheris (`pip install atheris`), which is not in the lock: it has no wheel for every platform. Each target runs in a
process of its own; what it finds is written to `tests/fuzz/<target>/`, where `test_fuzz_corpus.py` replays it. Cut the file
down, mend the fault, and commit both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tests.fuzz.targets import TARGETS, seeds

HERE = Path(__file__).parent
LONGEST, SECONDS, MEGABYTES = 8192, 10, 2000
"""Bytes of one input, and what one input may cost before it counts as a finding."""


def main() -> int:
    """Run each target for its minutes; exit 1 when anything was found."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    chosen = arguments.parse_args()
    failed = [name for name in chosen.targets or TARGETS if search(name, chosen.minutes)]
    print(f"found something in {', '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


def search(name: str, minutes: float) -> bool:
    """Whether the search found an input that breaks the target."""
    known = HERE / name
    known.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        for seed in seeds(name):
            Path(folder, sha256(seed).hexdigest()[:16]).write_bytes(seed)
        print(f"{name}: {minutes:g} minutes", flush=True)
        done = subprocess.run([
            sys.executable, "-m", "tests.fuzz.search", name, str(known), folder,
            f"-max_total_time={int(minutes * 60)}", f"-max_len={LONGEST}", f"-timeout={SECONDS}",
            f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={known}/", "-print_final_stats=1", "-verbosity=1",
        ], check=False)
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
