"""HL7 v2 codes to FHIR: every triplet that was sent becomes a Coding, in a system that can hold it.

A CWE holds up to three codings (components 1-3, 4-6 and, from 2.7, 10-12), the sender's own words in 9. A code that
cannot be of the system it claims (its check digit or form is wrong) is kept under a system owned by the sender and
reported; it is never dropped, and never passed on as what it is not. Displays are the sender's.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from bridge.fhir.convert_value import Sender, Value

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ICD10, ICD9 = "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-9-cm"
LANGUAGE = "urn:ietf:bcp:47"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"
MALFORMED = "BRG-M206"

_LOINC = re.compile(r"(\d{1,7})-(\d)\Z", re.ASCII)
_ANSWER = re.compile(r"L[APLG]\d+-\d\Z", re.ASCII)
_SNOMED = re.compile(r"[1-9]\d{3,15}[01]0\d\Z", re.ASCII)
_ICD10 = re.compile(r"[A-TV-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?\Z", re.ASCII)
_ICD9 = re.compile(r"(\d{3}|V\d\d)(\.\d{1,2})?\Z|E\d{3}(\.\d)?\Z|\d\d(\.\d{1,2})?\Z", re.ASCII)
_TAG = re.compile(r"[a-zA-Z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", re.ASCII)

_TURN = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
         "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")
_SHIFT = ("0123456789", "1576283094", "5803796142", "8916043527",
          "9453126870", "4286573901", "2793806415", "7046913258")


def concept(value: Value, sender: Sender) -> dict[str, Any] | None:
    """CE, CWE, CNE or CF -> CodeableConcept: all codings, and as text what the sender wrote (CWE.9, else its words)."""
    parts = value.parts
    count = len(parts)
    found = codings(value, sender)
    text = (count > 8 and value.whole(9)) or (count > 1 and value.whole(2)) or (count > 4 and value.whole(5)) or ""
    if not found:
        return {"text": text} if text else None
    return {"coding": found, "text": text} if text else {"coding": found}


def codings(value: Value, sender: Sender) -> list[dict[str, Any]]:
    """Every Coding of a CE, CWE, CNE or CF, in order."""
    parts = value.parts
    return [made for start in (0, 3, 9) if start < len(parts) and (made := _triplet(value, parts, start, sender))]


def coding(value: Value, sender: Sender) -> dict[str, Any] | None:
    """CE, CWE, CNE or CF -> Coding: the first triplet that has a code."""
    parts = value.parts
    for start in (0, 3, 9):
        if start < len(parts) and (made := _triplet(value, parts, start, sender)):
            return made
    return None


def specimen_source(value: Value, sender: Sender) -> dict[str, Any] | None:
    """SPS -> CodeableConcept of the specimen (SPS.1); senders that put a CWE into the field are understood."""
    first = value.component(1)
    if len(first.parts) == 1 and sender.translate("coding-systems", value.text(3)) is not None:
        return concept(value, sender)
    return concept(first, sender)


def one_or_more(value: Value, sender: Sender) -> dict[str, Any] | list[dict[str, Any]] | None:
    """CE, CWE, CNE or CF -> Coding: the one it has, or all of them; an element that takes one takes the first."""
    found = codings(value, sender)
    return found if len(found) > 1 else found[0] if found else None


def local_concept(value: Value, sender: Sender) -> dict[str, Any] | None:
    """ID or IS -> CodeableConcept: a code of the sender's own, since no table was named to read it by."""
    made = coding(value, sender)
    return {"coding": [made], "text": made["code"]} if made else None


def text_concept(value: Value, _sender: Sender) -> dict[str, Any] | None:
    """ST, TX or FT -> CodeableConcept with text alone."""
    text = value.whole().strip()
    return {"text": text} if text else None


def code(value: Value, _sender: Sender) -> str | None:
    """ID, IS, ST or the first component of a CWE -> code: no outer blanks, single inner ones (FHIR R4 code)."""
    return " ".join(value.text().split()) or None


def placed(code: str, name: str, display: str, sender: Sender) -> dict[str, Any]:
    """One code with the name of its system, as CWE.1-3 have them -> Coding."""
    system = sender.coding_system(name)
    proper = form(system, code)
    if proper is None or (system.startswith(V2) and not _in_table(system, code, sender)):
        sender.report("warning", MALFORMED, f"no code of {system}; kept as the sender's own code",
                      "check the code and the coding system that is named with it")
        system, proper = sender.coding_system(""), code
    made = {"system": system, "code": proper} if system else {"code": proper}
    if display:
        made["display"] = display
    return made


@lru_cache(maxsize=8192)
def form(system: str, code: str) -> str | None:
    """The code as its system writes it (ICD codes get their dot), or None when it cannot be one of that system's."""
    check = _FORMS.get(system)
    return check(code) if check else code


def _triplet(value: Value, parts: list[str], start: int, sender: Sender) -> dict[str, Any] | None:
    if not parts[start] or not (code := " ".join(value.text(start + 1).split())):
        return None
    count = len(parts)
    display = value.whole(start + 2) if count > start + 1 and parts[start + 1] else ""
    name = value.text(start + 3) if count > start + 2 and parts[start + 2] else ""
    oid = _OIDS[start]
    if not name and count > oid - 1 and parts[oid - 1]:
        name = value.text(oid)
    made = placed(code, name, display, sender)
    version = 13 if start == 9 else 7 + start // 3
    if count >= version and parts[version - 1] and (said := value.text(version)):
        made["version"] = said
    return made


_OIDS = {0: 14, 3: 17, 9: 20}
"""From 2.7 each triplet may name its system by an OID besides: CWE.14, .17 and .20."""


def _in_table(system: str, code: str, sender: Sender) -> bool:
    """Whether an HL7 table has the code, as far as table hl7-codes lists it."""
    return bool(sender.translate("hl7-codes", code, system) or not sender.translate("hl7-codes", "listed", system))


def _loinc(code: str) -> str | None:
    code = code.upper()
    if _ANSWER.match(code):
        return code
    if not (found := _LOINC.match(code)):
        return None
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(found[1]))]
    return code if (sum(n - 9 if n > 9 else n for n in doubled) + int(found[2])) % 10 == 0 else None


def _snomed(code: str) -> str | None:
    if any(sign in code for sign in ":+="):
        return code
    if not _SNOMED.match(code):
        return None
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = int(_TURN[check][int(_SHIFT[place % 8][int(digit)])])
    return code if check == 0 else None


def _icd10(code: str) -> str | None:
    code = code.upper()
    if "." not in code and len(code) > 3:
        code = f"{code[:3]}.{code[3:]}"
    return code if _ICD10.match(code) else None


def _icd9(code: str) -> str | None:
    code = code.upper()
    whole = 4 if code.startswith("E") else 3
    if "." not in code and len(code) > whole:
        code = f"{code[:whole]}.{code[whole:]}"
    return code if _ICD9.match(code) else None


def _tag(code: str) -> str | None:
    return code.lower() if len(code) < 4 and _TAG.match(code) else code if _TAG.match(code) else None


_FORMS = {LOINC: _loinc, SNOMED: _snomed, ICD10: _icd10, ICD9: _icd9, LANGUAGE: _tag}
