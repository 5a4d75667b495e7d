"""Where the published FHIR definitions are that the independent validator has fetched, when somebody has set it up."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
PACKAGES = Path(os.environ.get("FHIR_VALIDATE_CACHE", CACHE / "fhir-validate")) / "packages"
