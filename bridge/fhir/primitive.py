"""JSON Schemas of the FHIR primitive types.

The published expressions (R4 datatypes.html) are used as they are, except where they let impossible values pass: dates,
whose calendar is written out here, and strings, whose control characters the text forbids but the expression allows.
"""

from __future__ import annotations

from typing import Any

from bridge.fhir.elements import Elements

Schema = dict[str, Any]

YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
MONTH = "(?:0[1-9]|1[0-2])"
MONTH_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
LEAP_DAY = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29"
DAY = f"(?:{YEAR}-{MONTH_DAY}|{LEAP_DAY})"
TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?"
ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

OWN = {
    "date": f"^(?:{YEAR}(?:-{MONTH})?|{DAY})$",
    "dateTime": f"^(?:{YEAR}(?:-{MONTH})?|{DAY}(?:T{TIME}{ZONE})?)$",
    "instant": f"^{DAY}T{TIME}{ZONE}$",
    "time": f"^{TIME}$",
    "string": "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]+$",
    "markdown": "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]+$",
    "uri": "^\\S*$",
    "url": "^\\S*$",
    "canonical": "^\\S*$",
}
FILLED = ("uri", "url", "canonical")
"""Their expression lets an empty text pass, because the validator knows this one by heart; the length is asked beside it."""
LIMITS = {
    "integer": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "positiveInt": {"minimum": 1, "maximum": 2**31 - 1},
    "unsignedInt": {"minimum": 0, "maximum": 2**31 - 1},
}
SCRIPT = "<[sS][cC][rR][iI][pP][tT]|[\\s\"'/][oO][nN][a-zA-Z]+\\s*=|[jJ][aA][vV][aA][sS][cC][rR][iI][pP][tT]\\s*:"
"""R4 narrative.html: no active content. Anything else in a narrative is its author's matter."""


def primitive(elements: Elements, name: str) -> Schema:
    """The schema of one primitive type, marked with the type's name for messages."""
    if name == "xhtml":
        return {"type": "string", "pattern": "^\\s*<div[\\s>/]", "not": {"pattern": SCRIPT}, "x": {"format": name}}
    fact = elements.primitives[name]
    schema: Schema = {"type": fact.json, "x": {"format": name}, **LIMITS.get(name, {})}
    if fact.json == "string":
        schema["pattern"] = OWN.get(name) or f"^(?:{fact.regex})$"
    if name in FILLED:
        schema["minLength"] = 1
    if name == "code":  # most have no blank inside
        schema["anyOf"] = [{"pattern": "^\\S*$", "minLength": 1}, {"pattern": schema.pop("pattern")}]
    return schema
