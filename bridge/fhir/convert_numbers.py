"""HL7 v2 numbers to FHIR, without a digit more or less than was sent.

FHIR decimals keep their precision, JSON libraries do not. So a number becomes an int, or a float whose shortest
spelling is the number itself; trailing zeros of a Quantity are kept beside it (extension quantity-precision); a number
that no float can hold exactly (`0.1234567890123456789`) is left out and reported rather than changed.
HL7 v2.5.1 chapter 2A, sections 2.A.47 (NM), 2.A.66 (SN), 2.A.14 (CQ).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from bridge.fhir.convert_codes import placed
from bridge.fhir.convert_value import Sender, Value

NOT_A_NUMBER, INEXACT, OUT_OF_RANGE = "BRG-M208", "BRG-M209", "BRG-M210"

UCUM = "http://unitsofmeasure.org"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_PRECISION = "http://hl7.org/fhir/StructureDefinition/quantity-precision"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)\Z", re.ASCII)
_COMPARED = re.compile(r"(<=|>=|<|>)\s*(\S+)\Z")
_COMPARATORS = {"<", "<=", ">", ">="}
_LIMIT = 2**31


def decimal(value: Value, sender: Sender) -> int | float | None:
    """NM -> decimal; see the module for what is exact. A comparator before it is another element (`comparator`)."""
    text = value.text().strip()
    found = _COMPARED.match(text)
    return number(found[2] if found else text, sender)


def comparator(value: Value, _sender: Sender) -> str | None:
    """NM -> code: the comparator that many feeds put before the number."""
    found = _COMPARED.match(value.text().strip())
    return found[1] if found else None


def structured_decimal(value: Value, sender: Sender) -> int | float | None:
    """SN -> decimal: the number of a form that is a Quantity."""
    made = structured_quantity(value, sender)
    return made["value"] if made else None


def structured_comparator(value: Value, _sender: Sender) -> str | None:
    """SN -> code: SN.1 where FHIR has it as a comparator."""
    said = value.text(1)
    return said if said in _COMPARATORS else None


def integer(value: Value, sender: Sender) -> int | None:
    """NM -> integer (32 bit)."""
    return _whole(value, sender, -_LIMIT)


def unsigned(value: Value, sender: Sender) -> int | None:
    """NM -> unsignedInt."""
    return _whole(value, sender, 0)


def positive(value: Value, sender: Sender) -> int | None:
    """NM, SI -> positiveInt."""
    return _whole(value, sender, 1)


def quantity(value: Value, sender: Sender) -> dict[str, Any] | None:
    """NM -> Quantity without a unit; a comparator before the number, which many feeds send, is understood."""
    text = value.text().strip()
    if not text:
        return None
    found = _COMPARED.match(text)
    return _quantity(found[2], sender, found[1]) if found else _quantity(text, sender)


def structured_quantity(value: Value, sender: Sender) -> dict[str, Any] | None:
    """SN -> Quantity: a number with or without a comparator (SN.1 and SN.2); other forms give nothing here."""
    comparator, separator = value.text(1), value.text(3)
    if separator or comparator not in _COMPARATORS | {"", "="}:
        return None
    return _quantity(value.text(2), sender, comparator.replace("=", "") if comparator == "=" else comparator)


def structured_range(value: Value, sender: Sender) -> dict[str, Any] | None:
    """SN -> Range when the separator (SN.3) is a dash."""
    if value.text(3) != "-":
        return None
    low, high = _quantity(value.text(2), sender), _quantity(value.text(4), sender)
    if low and high and low["value"] > high["value"]:
        low, high = high, low
    return {name: edge for name, edge in (("low", low), ("high", high)) if edge} or None


def structured_ratio(value: Value, sender: Sender) -> dict[str, Any] | None:
    """SN -> Ratio when the separator (SN.3) is a colon or a slash."""
    if value.text(3) not in {":", "/"}:
        return None
    over, under = _quantity(value.text(2), sender), _quantity(value.text(4), sender)
    return {"numerator": over, "denominator": under} if over and under else None


def structured_text(value: Value, _sender: Sender) -> str | None:
    """SN -> string, for what no other form says: `2+`, `<>5`."""
    return "".join(value.text(n) for n in range(1, 5)) or None


def composite_quantity(value: Value, sender: Sender) -> dict[str, Any] | None:
    """CQ -> Quantity: the number, and its unit (CQ.2, itself coded)."""
    made = _quantity(value.text(), sender)
    if made is None:
        return None
    units = value.component(2)
    if unit := units.text(2) or units.text(1):
        made["unit"] = unit
    if units.text(1) and units.text(3):
        made |= placed(units.text(1), units.text(3), "", sender)
    return made


def unit(value: Value, sender: Sender) -> dict[str, Any] | None:
    """CE, CWE -> what a Quantity says of its unit: UCUM where a triplet or table `units` has it, else the system named."""
    first, name, other = value.text(1).strip(), value.text(3).strip(), value.text(6).strip().upper()
    words = value.whole(2).strip() or first or value.whole(5).strip()
    if name.upper() == "UCUM" and first:
        coded = {"system": UCUM, "code": first}
    elif other == "UCUM" and (second := value.text(4).strip()):
        coded = {"system": UCUM, "code": second}
    elif first and (row := sender.translate("units", first)) is not None and row.target:
        coded = {"system": UCUM, "code": row.target}
    else:
        coded = placed(first, name, "", sender) if first and name else {}
    return {**({"unit": words} if words else {}), **coded} or None


def series(value: Value, _sender: Sender) -> dict[str, Any] | None:
    """NA, MA -> SampledData: the samples of one channel; v2 says neither the origin nor the time between them."""
    samples = [said for number in range(1, len(value.parts) + 1) if (said := value.text(number).strip())]
    if not samples or not all(_NUMBER.match(said) for said in samples):
        return None
    return {"origin": {"value": 0}, "_period": {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}, "dimensions": 1,
            "data": " ".join(samples)}


def value_range(value: Value, _sender: Sender) -> str | None:
    """VR -> string: `a-b` (HL7 v2-to-FHIR 1.0.0, OBX-5)."""
    return "-".join(said for number in (1, 2) if (said := value.text(number).strip())) or None


def numeric_range(value: Value, sender: Sender) -> dict[str, Any] | None:
    """NR -> Range."""
    edges = (("low", _quantity(value.text(1), sender)), ("high", _quantity(value.text(2), sender)))
    return {name: edge for name, edge in edges if edge} or None


def number(text: str, sender: Sender) -> int | float | None:
    """The exact JSON number a text stands for, or None and a report."""
    text = text.strip()
    if not text:
        return None
    if text.isdigit() and text.isascii() and len(text) < 16:
        return int(text)
    if not _NUMBER.match(text):
        sender.report("warning", NOT_A_NUMBER, "not a number; the element stays out")
        return None
    made = float(text)
    if made.is_integer() and abs(made) < 2**53 and "." not in text:
        return int(text)
    try:
        exact = Decimal(repr(made)) == Decimal(text)
    except InvalidOperation:
        exact = False
    if not exact:
        sender.report("warning", INEXACT, "more digits than a JSON number can hold exactly; the element stays out")
        return None
    return made


def _quantity(text: str, sender: Sender, comparator: str = "") -> dict[str, Any] | None:
    amount = number(text, sender)
    if amount is None:
        return None
    made: dict[str, Any] = {"value": amount}
    decimals = text.strip().partition(".")[2]
    if decimals.endswith("0") and len(decimals) != len(str(amount).partition(".")[2]):
        made["_value"] = {"extension": [{"url": _PRECISION, "valueInteger": len(decimals)}]}
    if comparator:
        made["comparator"] = comparator
    return made


def _whole(value: Value, sender: Sender, least: int) -> int | None:
    made = number(value.text(), sender)
    if made is None:
        return None
    if made != int(made) or not least <= made < _LIMIT:
        sender.report("warning", OUT_OF_RANGE, "not a whole number in the range that FHIR allows here; it stays out")
        return None
    return int(made)
