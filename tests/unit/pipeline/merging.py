"""Messages that merge records and part them (A40, A37), for tests: what a mapping makes of them, made by hand.

The shape is that of hl7v2.md a8: the survivor replaces, the retired record is inactive and replaced-by.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.core.draft import Draft
from bridge.core.envelope import Envelope
from bridge.core.outcome import Rejected
from bridge.pipeline import draft as line
from bridge.pipeline.bridge import Bridge
from tests.unit.pipeline.town import MRN

true = line.draft_of


def a40(survivor: str = "GH9", retired: str = "GH1001", control: str = "M-1", at: str = "20261122090000", event: str = "A40") -> bytes:
    """PID-3 survives and MRG-1 is retired; with A37 both are named and no longer one."""
    return "\r".join([
        f"MSH|^~\\&|EPICADT|EXGENERAL|SDOHBRIDGE|HUB|{at}-0500||ADT^{event}|{control}|P|2.5.1|||AL|NE||UNICODE UTF-8",
        f"EVN|{event}|{at}-0500||||{at}-0500",
        f"PID|1||{survivor}^^^EXGENERALMRN^MRN||ADLER^ROSE^M^^^^L||19480214|F|||12 ELM ST^^DAYTON^OH^45402^USA^H^^MONTGOMERY||^PRN^PH^^1^937^5550101",
        f"MRG|{retired}^^^EXGENERALMRN^MRN", ""]).encode()


STAND_INS = {"A02": "A01", "A31": "A08"}
"""Whose mapping reads an event that has none of its own yet."""


def draft_of(envelope: Envelope, bridge: Bridge) -> Any:
    """As the line's own, but for merges, and with a stand-in for an event without a mapping."""
    if b"\rMRG|" not in envelope.body:
        read = true(envelope, bridge)
        event = envelope.body.split(b"|ADT^", 1)[-1][:3].decode("ascii", "replace")
        if isinstance(read, Rejected) and read.issues[0].code == "BRG-M404" and event in STAND_INS:
            body = envelope.body.replace(f"|ADT^{event}|".encode(), f"|ADT^{STAND_INS[event]}|".encode())
            read = replace(true(replace(envelope, body=body), bridge), event=f"ADT^{event}")
        return read
    lines = {line[:3]: line.split("|") for line in envelope.body.decode().split("\r") if line}
    at = lines["EVN"][2]
    moment = f"{at[:4]}-{at[4:6]}-{at[6:8]}T{at[8:10]}:{at[10:12]}:{at[12:14]}-05:00"
    one, other = (bridge.ids.uuid("Patient", f"{MRN}|{lines[name][field].split('^')[0]}") for name, field in (("PID", 3), ("MRG", 1)))
    number = {"system": MRN, "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}}
    new, old = ({**number, "value": lines[name][field].split("^")[0]} for name, field in (("PID", 3), ("MRG", 1)))
    apart = lines["EVN"][1] == "A37"
    survivor = {
        "resourceType": "Patient", "id": one, "identifier": [new], "name": [{"use": "official", "family": "ADLER", "given": ["ROSE", "M"]}],
        "gender": "female", "birthDate": "1948-02-14",
        "address": [{"use": "home", "line": ["12 ELM ST"], "city": "DAYTON", "state": "OH", "postalCode": "45402", "district": "MONTGOMERY"}],
        **({} if apart else {"identifier": [new, {**old, "use": "old"}], "link": [{"other": {"reference": f"Patient/{other}"}, "type": "replaces"}]})}
    retired = {
        "resourceType": "Patient", "id": other, "identifier": [old],
        **({} if apart else {"active": False, "link": [{"other": {"reference": f"Patient/{one}"}, "type": "replaced-by"}]})}
    return Draft((survivor, retired), f"ADT^{lines['EVN'][1]}", moment, "merge", "", one)
