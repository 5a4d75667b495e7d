"""A typed view of a resource for library users, by fhir.resources.

fhir.resources has R5 (its root), R4B and STU3, but no R4 4.0.1. R4B is used: for the types in use it has the same
elements, cardinalities, types and required codes as R4 (the checker of `bridge.fhir.profile` refuses the few additions).
The root package is R5 and never right here. Resources travel as plain dicts; these models are for reading and building,
for writing one back alters decimals (1.00 becomes 1.0) and fractions of seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhir.resources.R4B.resource import Resource


def model(resource: dict[str, Any]) -> Resource:
    """The resource as a fhir.resources.R4B model.

    Raises ValueError when fhir.resources refuses it (its pydantic error is one) or has no such type. Imported here, not at
    the head: the library costs 400 ms.
    """
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not kind.isalpha():
        raise ValueError("resourceType is missing")
    try:
        module = import_module(f"fhir.resources.R4B.{kind.lower()}")
        made: Resource = getattr(module, kind).model_validate(resource)
    except (ModuleNotFoundError, AttributeError, KeyError) as error:
        # A contained resource of an unknown type surfaces as KeyError in fhir.resources 8.3.
        raise ValueError("fhir.resources has no model for this type") from error
    return made
