"""One target in this process: `python -m tests.fuzz.search TARGET [FOLDER...] [libFuzzer options]`. Ends the process."""

from __future__ import annotations

import sys

import atheris

# Only what is imported here is measured, so the targets are not imported above.
with atheris.instrument_imports(include=["bridge"]):
    from tests.fuzz.targets import TARGETS

atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
atheris.Fuzz()
