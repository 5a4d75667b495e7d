"""One target in this process: `python -m tests.fuzz.search TARGET FOUND [FOLDER...] [libFuzzer options]`. Ends the process.

An input that breaks the target is written to the folder FOUND: without a sanitizer in the process libFuzzer does not do it.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import atheris

# Only what is imported here is measured, so the targets are not imported above.
with atheris.instrument_imports(include=["bridge"]):
    from tests.fuzz.targets import TARGETS, whole

whole().mappings.compiled()  # else the first message of a kind is as slow as its mapping is to compile
target, found = TARGETS[sys.argv[1]], Path(sys.argv[2])


def once(data: bytes) -> None:
    """The target; what broke it is kept."""
    try:
        target(data)
    except BaseException:
        (found / f"crash-{sha256(data).hexdigest()[:16]}").write_bytes(data)
        raise


atheris.Setup([sys.argv[0], *sys.argv[3:], str(found)], once)
atheris.Fuzz()
