"""The typed view is R4B's, and refusals are ValueErrors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from bridge.fhir.models import model


def test_model_is_r4b() -> None:
    """A resource becomes the model of its type, from R4B."""
    made = model({"resourceType": "Patient", "birthDate": "1980"})
    assert type(made).__module__ == "fhir.resources.R4B.patient"


@pytest.mark.parametrize("resource", [{}, {"resourceType": 5}, {"resourceType": "Banana"}, {"resourceType": "../x"}, {"resourceType": "Patient", "colour": 1},
                                      {"resourceType": "Patient", "contained": [{"resourceType": "Banana"}]}])
def test_refusals_are_value_errors(resource: dict[str, Any]) -> None:
    """What fhir.resources refuses, or has no type for, is a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        model(resource)


def test_checking_does_not_import_the_library() -> None:
    """Loading profiles imports neither fhir.resources nor pydantic."""
    code = "import sys, bridge.fhir.profile as p, bridge.fhir.models; p.load(); sys.exit(any(n.startswith(('fhir.', 'pydantic')) for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
