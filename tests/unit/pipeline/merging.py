"""Messages that merge two records (A40) and part them (A37), for tests."""

from __future__ import annotations


def a40(survivor: str = "GH9", retired: str = "GH1001", control: str = "M-1", at: str = "20261122090000", event: str = "A40") -> bytes:
    """PID-3 survives and MRG-1 is retired; A37 names both and says that they are not one."""
    person = "ADLER^ROSE^M^^^^L||19480214|F|||12 ELM ST^^DAYTON^OH^45402^USA^H^^MONTGOMERY||^PRN^PH^^1^937^5550101"
    other = f"PID|2||{retired}^^^EXGENERALMRN^MRN||ADLER^ROSE^^^^^L||19480214|F" if event == "A37" else f"MRG|{retired}^^^EXGENERALMRN^MRN"
    return "\r".join([
        f"MSH|^~\\&|EPICADT|EXGENERAL|SDOHBRIDGE|HUB|{at}-0500||ADT^{event}|{control}|P|2.5.1|||AL|NE||UNICODE UTF-8",
        f"EVN|{event}|{at}-0500||||{at}-0500", f"PID|1||{survivor}^^^EXGENERALMRN^MRN||{person}", other, ""]).encode()
