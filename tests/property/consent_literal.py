"""reference/consent.md 1.2 once more, as literally and as slowly as it reads: what the evaluator is compared with.

Shares no code with the evaluator. Knows only the elements and codes that its test generates.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
PERMIT, DENY, WEAK, NA = "permit", "deny", "weak", "na"
LEVELS = "ULMNRV"
REVEALS = {"F10.20": {"ETHUD"}, "F11.10": {"OPIOIDUD"}, "B20": {"HIV"}, "F33.1": {"MH"}, "T74.11XA": {"SDV"}}
UNDER = {"ETHUD": "SUD", "OPIOIDUD": "SUD", "SUD": "BH", "MH": "BH", "PSYTHPN": "MH", "BH": "SPI", "SDV": "VIO"}
SAME = {"ETH": "SUD", "PSY": "MH"}
KINDS = {*UNDER, *UNDER.values(), *SAME, "HIV", "42CFRPart2"}
PURPOSES = {"COC": "TREAT", "ETREAT": "TREAT", "BTG": "ETREAT", "CAREMGT": "HOPERAT", "CLINTRCH": "HRESCH"}
TOP = {"TREAT", "HOPERAT", "HPAYMT", "HRESCH", "HMARKT"}
REFRAIN = {"NODSCLCD", "NORDSCLCD", "NOAUTH"}
CONTEXT = ("actor", "purpose", "action")
DATA = ("securityLabel", "class", "code", "dataPeriod", "data")
Found = list[tuple[str, Json]]


def decide(case: Json) -> tuple[str, list[str]]:
    """The decision and the redacted paths."""
    asked, policy, consents = case["request"], case.get("policy", {}), case["consents"]
    if asked["purpose"] not in {*PURPOSES, *TOP}:  # V1
        return DENY, []
    resource = case["resource"]
    if resource["resourceType"] == "Bundle":  # R2
        entries = [decide({**case, "resource": entry["resource"]}) for entry in resource["entry"]]
        paths = [f"entry[{n}]" if said == DENY else f"entry[{n}].resource.{path}" for n, (said, inner) in enumerate(entries) for path in inner or [""][: said == DENY]]
        return (DENY, []) if all(said == DENY for said, _ in entries) else ("redact" if paths else PERMIT, paths)
    if resource["resourceType"] == "Organization":  # X1
        return PERMIT, []
    if not resource.get("subject"):  # X2
        return DENY, []
    said = {path: decide_unit(unit, asked, policy, consents) for path, unit in units(resource)}
    if not said[""]:
        return DENY, []
    paths = [path for path, permitted in said.items() if not permitted]
    return ("redact" if paths else PERMIT), paths


def units(resource: Json) -> Found:
    """The core, then each reason and each contained resource (R1, L3), with their labels (L1, L2) and codes."""
    tags = [tag["code"] for tag in resource.get("meta", {}).get("security", [])]
    core = codes_of(resource.get("code"))
    found = [("", {"of": resource, "codes": core, "labels": labels(tags, core)})]
    for place, reason in enumerate(resource.get("reasonCode", [])):
        found.append((f"reasonCode[{place}]", {"of": resource, "codes": codes_of(reason), "labels": labels(tags, core + codes_of(reason))}))
    for place, inner in enumerate(resource.get("contained", [])):
        codes = codes_of(inner["code"])
        part = {**inner, "authoredOn": resource.get("authoredOn"), "named": name(resource)}
        found.append((f"contained[{place}]", {"of": part, "codes": codes, "labels": labels(tags, core + codes)}))
    return found


def codes_of(concept: Json | None) -> list[str]:
    return [coding["code"] for coding in (concept or {}).get("coding", [])]


def labels(tags: list[str], codes: list[str]) -> Json:
    kinds = {SAME.get(tag, tag) for tag in tags if tag in KINDS} | {kind for code in codes for kind in REVEALS.get(code, ())}
    level = max([LEVELS.index(tag) for tag in tags if tag in LEVELS], default=LEVELS.index("N"))
    return {"level": max(level, LEVELS.index("R")) if kinds else level, "kinds": kinds, "tags": set(tags)}


def lineage(code: str, under: dict[str, str]) -> set[str]:
    return {code} | (lineage(under[code], under) if code in under else set())


def decide_unit(unit: Json, asked: Json, policy: Json, consents: list[Json]) -> bool:
    tags = unit["labels"]["tags"]
    purposes = tags & {*PURPOSES, *TOP}
    if purposes and not lineage(asked["purpose"], PURPOSES) & purposes:  # F4
        return False
    if not {tag for tag in tags if tag == "CTCOMPT"} <= set(asked["recipient"].get("clearances", [])):  # F5
        return False
    outs = [evaluate_consent(each, unit, asked, policy) for each in in_force(consents, unit, asked, policy)]
    for out in (DENY, PERMIT, WEAK):  # C1
        if out in outs:
            return out == PERMIT
    if policy.get("no_consent") != "permit":  # D1
        return False
    ordinary = unit["labels"]["level"] <= LEVELS.index("N") and not unit["labels"]["kinds"] and not tags & REFRAIN  # D2 F1
    return ordinary and bool(lineage(asked["purpose"], PURPOSES) & {"TREAT", "HPAYMT", "HOPERAT"})


def in_force(consents: list[Json], unit: Json, asked: Json, policy: Json) -> list[Json]:
    newest = [each for each in consents if not any(beaten(each, other, policy) for other in consents if other is not each)]  # S7
    return [each for each in newest if counts(each, unit, asked, policy)]


def beaten(one: Json, other: Json, policy: Json) -> bool:
    if not one.get("identifier") or one.get("identifier") != other.get("identifier"):
        return False
    mine, theirs = stamp(one, policy), stamp(other, policy)
    return mine < theirs or (mine == theirs and one["status"] == "active" and other["status"] != "active")


def stamp(consent: Json, policy: Json) -> datetime:
    return span(consent.get("meta", {}).get("lastUpdated") or consent["dateTime"], policy)[0]


def counts(consent: Json, unit: Json, asked: Json, policy: Json) -> bool:
    if consent["status"] != "active" or consent["patient"]["reference"] != unit["of"]["subject"]["reference"]:  # S1 S2
        return False
    scope = codes_of(consent["scope"])[0]
    if scope in ("treatment", "adr") or (scope == "research" and "HRESCH" not in lineage(asked["purpose"], PURPOSES)):  # S3
        return False
    if all(codes_of(each)[0] in ("npp", "acd") for each in consent["category"]):  # S4
        return False
    period = consent.get("provision", {}).get("period")
    return within(period, asked["at"], policy) or turned(period, policy)  # S5; a reversed period contains nothing and, as in M4, still denies


def void(consent: Json, asked: Json, policy: Json) -> bool:
    custodian, mine = asked.get("custodian"), parties(asked["recipient"])
    return (
        codes_of(consent["scope"])[0] not in ("patient-privacy", "research")  # S3
        or turned(consent.get("provision", {}).get("period") or {}, policy)  # S5
        or span(consent["dateTime"], policy)[0] > instant(asked["at"])  # S6
        or bool(custodian and consent.get("organization") and not any(each["reference"] == custodian["reference"] for each in consent["organization"]))  # S8
        or bool(consent.get("implicitRules") or consent.get("modifierExtension") or modified(consent.get("provision", {})))  # S9
        or bool(consent.get("verification") and not any(each["verified"] for each in consent["verification"]))  # S10
        or bool(consent.get("performer") and all(each["reference"] in mine for each in consent["performer"]))  # S11
    )


def modified(node: Json) -> bool:
    return bool(node.get("modifierExtension")) or any(modified(kid) for kid in node.get("provision", []))


def evaluate_consent(consent: Json, unit: Json, asked: Json, policy: Json) -> str:
    root = tree(consent)
    if root in (DENY, NA):
        return str(root)
    return evaluate(root, {}, unit, asked, policy, {"void": void(consent, asked, policy), "permits": has_permit(root), "root": root})


def tree(consent: Json) -> Any:
    """B1-B3: one encoding, or `deny` for a contradiction, `na` for paper."""
    code = (codes_of(consent.get("policyRule")) or [""])[0]
    base = PERMIT if code in ("OPTIN", "IMPLIED") else DENY if code in ("OPTOUT", "EMRGONLY") else ""
    emergency = [{"type": PERMIT, "purpose": [{"code": "ETREAT"}]}] if code == "EMRGONLY" else []
    root = consent.get("provision")
    if root is None and not base:  # B2
        return NA
    root = root or {}
    if not root.get("type"):
        kids = [*root.get("provision", []), *emergency]
        return {**root, "type": base, "provision": kids}
    if base and root["type"] != base:
        if not any(root.get(element) for element in (*CONTEXT, *DATA)):  # B3
            return DENY
        return {"type": base, "provision": [root, *emergency]}
    if emergency and not any(root.get(element) for element in (*CONTEXT, *DATA)):
        return {**root, "provision": [*root.get("provision", []), *emergency]}
    return root


def has_permit(node: Json) -> bool:
    return node.get("type") == PERMIT or any(has_permit(kid) for kid in node.get("provision", []))


def evaluate(node: Json, inherited: Json, unit: Json, asked: Json, policy: Json, of: Json, stated: bool = False, sides: tuple[bool, bool] = (True, True)) -> str:
    is_root = node is of["root"]
    kind = node.get("type") or ("" if is_root else DENY)  # N4
    strict, generous = (in_context(node, asked, policy, side, is_root) and sides[not side] for side in (True, False))
    if not ({PERMIT: strict, DENY: generous}.get(kind, strict or generous)):
        return NA
    data = inherited | {element: node[element] for element in DATA if element in node}  # N3
    stated = stated or bool(node.get("purpose"))
    outs = []
    for kid in node.get("provision", []):
        below = (True, True) if kind else (strict, generous)  # a root that is context only is read as each rule below it asks
        if below[0] if kid.get("type") == PERMIT else below[1]:
            outs.append(evaluate(kid, data, unit, asked, policy, of, stated))
    for out in (DENY, PERMIT):  # N1 N2
        if out in outs:
            return out
    if kind == DENY and matches(data, unit, policy, permit=False):
        bare = not any(node.get(element) for element in (*CONTEXT, *DATA))
        return WEAK if is_root and bare and of["permits"] else DENY  # C2
    if kind == PERMIT and not of["void"]:
        if matches(data, unit, policy, permit=True):
            return PERMIT if floors(data, unit, asked, stated) else NA
        return WEAK if is_root and data else NA
    return NA


def floors(data: Json, unit: Json, asked: Json, stated: bool) -> bool:
    kinds, listed = unit["labels"]["kinds"], {SAME.get(label["code"], label["code"]) for label in data.get("securityLabel", [])}
    if "42CFRPart2" in kinds and not (listed & {"42CFRPart2", "SUD", "ETHUD", "OPIOIDUD", "BH", "SPI"} or data.get("code") or any(each["meaning"] == "instance" for each in data.get("data", []))):  # F2
        return False
    if "PSYTHPN" in kinds and "PSYTHPN" not in listed:  # F3
        return False
    return stated or not lineage(asked["purpose"], PURPOSES) & {"HMARKT", "HRESCH"}  # F6


def parties(recipient: Json) -> set[str]:
    return {recipient["reference"], *recipient.get("memberOf", [])}


def in_context(node: Json, asked: Json, policy: Json, permit: bool, is_root: bool) -> bool:
    period = node.get("period")
    if period and not is_root:  # M4
        if turned(period, policy):
            return not permit
        if not within(period, asked["at"], policy):
            return False
    if node.get("actor") and not any(is_meant(each, asked["recipient"], permit) for each in node["actor"]):  # M1
        return False
    if node.get("purpose") and not lineage(asked["purpose"], PURPOSES) & {each["code"] for each in node["purpose"]}:  # M2
        return False
    if not node.get("action"):
        return True
    listed = {codes_of(each)[0] for each in node["action"]}  # M3
    if permit:
        return asked["action"] in listed or (asked["action"] == "access" and "correct" in listed)
    return asked["action"] in listed or ("access" in listed and asked["action"] in ("disclose", "correct"))


def is_meant(actor: Json, recipient: Json, permit: bool) -> bool:
    """M1: reference, or identifier by system and value; a deny also by a bare value, and by nothing at all."""
    who = actor["reference"]
    if who.get("reference") in parties(recipient):
        return True
    mine, theirs = recipient.get("identifier", []), who.get("identifier", {})
    if theirs.get("system"):
        return theirs in mine
    if permit or who.get("reference"):
        return False
    return not theirs.get("value") or theirs["value"] in {each["value"] for each in mine}


def matches(data: Json, unit: Json, policy: Json, *, permit: bool) -> bool:
    return all(ONE[element](wanted, unit, policy, permit) for element, wanted in data.items())


def label_matches(wanted: list[Json], unit: Json, _: Json, permit: bool) -> bool:  # M5
    listed = {SAME.get(label["code"], label["code"]) for label in wanted}
    levels, have = [LEVELS.index(code) for code in listed if code in LEVELS], unit["labels"]
    if not permit:
        covered = any(lineage(kind, UNDER) & listed or (kind == "42CFRPart2" and listed & {"SUD", "BH", "SPI"}) for kind in have["kinds"])
        return any(have["level"] >= level for level in levels) or covered
    narrow = {code: parent for code, parent in UNDER.items() if code != "SDV"}
    part2 = {"42CFRPart2", "SUD", "ETHUD", "OPIOIDUD", "BH", "SPI"}

    def covers(kind: str) -> bool:
        if kind == "42CFRPart2":
            return bool(listed & part2)
        named = "42CFRPart2" in listed and "42CFRPart2" in have["kinds"] and "SUD" in lineage(kind, narrow)
        return bool(lineage(kind, narrow) & listed) or named

    return bool(levels and have["level"] <= max(levels)) or (bool(have["kinds"]) and all(covers(kind) for kind in have["kinds"]))


def class_matches(wanted: list[Json], unit: Json, _: Json, permit: bool) -> bool:  # M6
    return unit["of"]["resourceType"] in {each["code"] for each in wanted}


def code_matches(wanted: list[Json], unit: Json, _: Json, permit: bool) -> bool:  # M7
    codes = codes_of(unit["of"].get("code")) if permit else unit["codes"]
    return any(code.startswith(listed) for each in wanted for listed in codes_of(each) for code in codes)


def time_matches(wanted: Json, unit: Json, policy: Json, permit: bool) -> bool:  # M8
    written = unit["of"].get("authoredOn")
    if turned(wanted, policy) or not written:
        return not permit
    first, last = span(written, policy)
    start, end = bounds(wanted, policy)
    return start <= first and last <= end if permit else first <= end and start <= last


def name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def data_matches(wanted: list[Json], unit: Json, _: Json, permit: bool) -> bool:  # M9
    names = {name(unit["of"]), unit["of"].get("named")}
    return any(each["reference"]["reference"] in names for each in wanted)


ONE = {"securityLabel": label_matches, "class": class_matches, "code": code_matches, "dataPeriod": time_matches, "data": data_matches}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def span(text: str, policy: Json) -> tuple[datetime, datetime]:
    """First and last microsecond of a year, month, day or second."""
    zone = ZoneInfo(policy.get("timezone", "UTC"))
    if "T" in text:
        return instant(text), instant(text) + timedelta(microseconds=999_999)
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    first = datetime(year, month or 1, day or 1, tzinfo=zone)
    after = first + timedelta(days=1) if day else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone) if month else datetime(year + 1, 1, 1, tzinfo=zone)
    return first.astimezone(UTC), after.astimezone(UTC) - timedelta(microseconds=1)


def bounds(period: Json, policy: Json) -> tuple[datetime, datetime]:
    start, end = period.get("start"), period.get("end")
    return (
        span(start, policy)[0] if start else datetime.min.replace(tzinfo=UTC),
        span(end, policy)[1] if end else datetime.max.replace(tzinfo=UTC),
    )


def turned(period: Json, policy: Json) -> bool:
    start, end = bounds(period, policy)
    return start > end


def within(period: Json | None, at: str, policy: Json) -> bool:
    if not period:
        return True
    start, end = bounds(period, policy)
    return start <= instant(at) <= end
