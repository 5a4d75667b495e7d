"""One feed, one file: who sends it, in which zone, whose numbers and codes it uses, and which repairs it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources.abc import Traversable
from itertools import combinations
from pathlib import Path as Folder
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.errors import SettingsError
from bridge.core.issue import Issue
from bridge.hl7v2 import message as hl7
from bridge.hl7v2 import path
from bridge.hl7v2.message import Message
from bridge.hl7v2.repair import Repair, compile_line
from bridge.hl7v2.yamlfile import Node, load_nodes, together

Sender = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Feed:
    """A file of mappings/feeds. `match` has the namespaces of MSH-3 and MSH-4 that make a message this feed's.

    `zone` is where times without an offset are; None when nobody knows. `systems` gives the URI of an assigning
    authority by namespace or OID, `coding` that of a coding system by its name in CWE.3, `tables` the sender's own rows
    of code tables. `ehr` is the partner that gets the answers.
    """

    name: str
    about: str = ""
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone: ZoneInfo | None = None
    systems: Mapping[str, str] = field(default_factory=dict)
    coding: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    repairs: tuple[Repair, ...] = ()
    ehr: str = ""
    default: bool = False
    tests: tuple[Any, ...] = ()
    file: str = ""

    def read(self, body: bytes) -> Message:
        """Return the message, parsed and repaired; what was done is in its `repairs`. Raises Unreadable."""
        return self.repair(hl7.parse(body))

    def repair(self, message: Message) -> Message:
        """Return the message as this feed's repairs leave it; the same one when none had anything to do."""
        segments = list(message.segments)
        names = message.names
        done: list[Issue] = [repair.issue for repair in self.repairs if repair.fits(names) and repair.run(segments)]
        return Message(message.body, segments, (*message.repairs, *done), changed=True) if done else message

    def failures(self) -> list[str]:
        """Run the tests of the file: each has `name`, `given` (segments), `expect` (path: text). Return what fails."""
        found = []
        for test in self.tests:
            read = self.read("\r".join(line.strip() for line in test["given"].splitlines()).encode())
            for place, expected in test["expect"].items():
                text = path.text(path.parse(place), read)
                if text != expected:
                    found.append(f"{self.file}: test '{test['name']}': {place} is {text!r}, expected {expected!r}")
        return found


class Feeds:
    """All feeds of a bridge, chosen by name or by what MSH-3 and MSH-4 say."""

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        """Raise SettingsError when two feeds claim the same sender, or more than one is the default."""
        self._feeds = dict(feeds)
        defaults = [feed for feed in self._feeds.values() if feed.default]
        if len(defaults) > 1:
            raise SettingsError(
                f"only one feed can be the default: {', '.join(f'{feed.name} ({feed.file})' for feed in defaults)}"
            )
        self._default = defaults[0] if defaults else None
        for one, other in combinations(self._feeds.values(), 2):
            if set(one.match) == set(other.match) != set() and all(
                set(one.match[key]) & set(other.match[key]) for key in one.match
            ):
                raise SettingsError(
                    f"{one.file} and {other.file} match the same sender; give one of them a further MSH-3 or MSH-4"
                )
        self._senders: dict[tuple[str | None, str | None], Feed] = {
            (application, facility): feed
            for feed in self._feeds.values()
            if feed.match
            for application in feed.match.get("MSH-3", (None,))
            for facility in feed.match.get("MSH-4", (None,))
        }

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._feeds.values())

    def __len__(self) -> int:
        return len(self._feeds)

    def named(self, name: str) -> Feed:
        """Return the feed of this name; raises SettingsError with the valid names."""
        found = self._feeds.get(name)
        if found is None:
            raise SettingsError(f"there is no feed '{name}'; the feeds are {', '.join(sorted(self._feeds))}")
        return found

    def of(self, sender: Sender) -> Feed:
        """Return the feed of a sender (MSH-3.1, MSH-4.1): one that names both, else the facility, else the application.

        An unknown sender has the default feed; SettingsError when there is none.
        """
        application, facility = sender
        known = self._senders
        found = (
            known.get((application, facility))
            or known.get((None, facility))
            or known.get((application, None))
            or self._default
        )
        if found is None:
            raise SettingsError(
                "no feed matches the sender and none is the default; add `default: true` to one of the feeds"
            )
        return found


def load(*folders: Traversable | Folder) -> Feeds:
    """Return the feeds in these folders (every .yaml); a feed, or default, of an earlier folder comes first.

    Raises SettingsError with file and line for anything that cannot be meant.
    """
    feeds: dict[str, Feed] = {}
    for folder in folders:
        names: set[str] = set()
        has_default = any(feed.default for feed in feeds.values())
        for file in sorted(
            (entry for entry in folder.iterdir() if entry.name.endswith((".yaml", ".yml"))),
            key=lambda entry: entry.name,
        ):
            feed = read_feed(file.read_text(encoding="utf-8"), str(file))
            if feed.name in names:
                raise SettingsError(f"{file}: a second feed has the name '{feed.name}' in the same folder")
            names.add(feed.name)
            if feed.name not in feeds and not (feed.default and has_default):
                feeds[feed.name] = feed
    return Feeds(feeds)


def read_feed(text: str, file: str) -> Feed:
    """Return the feed that a YAML text describes; `file` is named in errors (SettingsError)."""
    root = load_nodes(text, file)
    known = {"name", "about", "match", "zone", "systems", "coding", "tables", "repairs", "ehr", "default", "tests", "overrides"}
    # `overrides` are lines of mappings: bridge.mapping.override reads them
    _, name, about, match, zone, systems, coding, rows, repairs, ehr, default, tests = together(
        lambda: root.only(known),
        lambda: root.get("name").text(),
        lambda: root.get("about", "").text(),
        lambda: _match(root.get("match", {})),
        lambda: _zone(root.get("zone", "")),
        lambda: _uris(root.get("systems", {})),
        lambda: _uris(root.get("coding", {})),
        lambda: {key: node.texts() for key, node in root.get("tables", {}).entries().items()},
        lambda: tuple(together(*(partial(_repair, item) for item in root.get("repairs", []).items()))),
        lambda: root.get("ehr", "").text(),
        lambda: root.get("default", "false").flag(),
        lambda: tuple(together(*(partial(_test, item) for item in root.get("tests", []).items()))),
    )
    return Feed(name, about, match, zone, systems, coding, rows, repairs, ehr, default, tests, file)


def _match(node: Node) -> dict[str, tuple[str, ...]]:
    node.only({"MSH-3", "MSH-4"})
    return {key: tuple(item.text() for item in value.items()) for key, value in node.entries().items()}


def _zone(node: Node) -> ZoneInfo | None:
    if node.text() in ("", "none"):
        return None
    try:
        return ZoneInfo(node.text())
    except (KeyError, ValueError, OSError):
        raise node.wrong(f"'{node.text()}' is no IANA time zone; write one as America/New_York, or none") from None


def _uris(node: Node) -> dict[str, str]:
    found = node.texts()
    for key, value in found.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+", value):
            raise node.entries()[key].wrong(f"'{key}' must be a URI, as urn:oid:2.16.840.1.113883.4.1 or https://hospital.example/id")
    return found


def _repair(node: Node) -> Repair:
    if isinstance(node.value, dict):
        entries = node.entries()
        if len(entries) != 1:
            raise node.wrong("a repair is one line, or one line with a table after its colon")
        line, table = next(iter(entries.items()))
        return compile_line(line, table.texts(), table.key)
    return compile_line(node.text(), None, node.mark)


def _test(node: Node) -> dict[str, Any]:
    """One test; what it expects of resources (`Patient.name.family`, `count(Condition)`) is asked by bridge.mapping.trial."""
    node.only({"name", "given", "expect", "absent"})
    wanted = {place: value.text() for place, value in node.get("expect", {}).entries().items() if is_place(place)}
    test = {"name": node.get("name").text(), "given": node.get("given").text(), "expect": wanted}
    for place in wanted:
        try:
            path.parse(place)
        except ValueError as error:
            raise node.wrong(f"test '{test['name']}': {error}") from None
    return test


def is_place(key: str) -> bool:
    """Whether a test's key means a place in the message (`PID-3.5`), and not something about its resources."""
    return _RESOURCE.match(key) is None


_RESOURCE = re.compile(r"[A-Z][a-z]\w*(\[|\.|\Z)|count\(|(issues?|questions?|event_time|event|mapping|cleared)\Z")
