"""Checks that people outside this repository can run on what they add: the connector laws."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge import sdk
from bridge.app import connector_modules, load_connector
from bridge.core.errors import SettingsError

EXAMPLE = sdk.Delivery("0b5fd3a2-0000-8000-8000-000000000001", "example", "referral", "application/fhir+json",
                       b'{"resourceType": "Bundle", "type": "collection"}', "patient-1", "REF-1")


class Broker:
    """A publish function that remembers, and answers as it is told."""

    def __init__(self, answer: str = "acked") -> None:
        self.answer = answer
        self.messages: list[sdk.Message] = []

    def __call__(self, messages: Sequence[sdk.Message]) -> list[str]:
        self.messages += messages
        return [self.answer] * len(messages)


def connector_faults(name: str, options: str = "{}", site: Iterable[str] = ()) -> list[str]:
    """Send a connector's example deliveries twice and return the laws that do not hold; [] when all do.

    Laws: one receipt per delivery in order, states are known, the second time gives the same states, an empty batch is
    fine, closing twice is fine. Raises SettingsError for an unknown connector or options.
    """
    modules = connector_modules(site)
    if name not in modules:
        raise SettingsError(f"no connector {name}; there are {', '.join(sorted(modules))}")
    module = load_connector(modules[name][0])
    deliveries = examples(Path(module.__file__).parent / "examples")
    with TemporaryDirectory() as state:
        connector = module.connect(module.Options(**json.loads(options)), sdk.Site("example", state, Broker()))
        first, second = connector.deliver(deliveries), connector.deliver(deliveries)
        faults = [] if connector.deliver([]) == [] else ["an empty batch must give no receipt"]
        connector.close()
        connector.close()
    wanted = [one.id for one in deliveries]
    for receipts in (first, second):
        if [one.id for one in receipts] != wanted:
            faults.append("receipts must be one per delivery, in the same order")
        faults += [f"unknown state {one.state}" for one in receipts if one.state not in ("sent", "retry", "refused")]
    if [one.state for one in first] != [one.state for one in second]:
        faults.append("the same delivery twice must end the same way")
    return faults


def examples(folder: Path) -> list[sdk.Delivery]:
    """Example deliveries of a connector (JSON files with the fields of Delivery), or one of ours."""
    found = []
    for file in sorted(folder.glob("*.json")):
        fields = json.loads(file.read_text(encoding="utf-8"))
        body = fields.pop("body")
        found.append(sdk.Delivery(**fields, body=json.dumps(body).encode() if isinstance(body, dict) else str(body).encode()))
    return found or [EXAMPLE]
