"""The tests inside mapping files: given an example, changed, what must come out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bridge.core import json
from bridge.core.draft import Draft
from bridge.core.errors import MappingError
from bridge.core.ids import Ids
from bridge.hl7v2 import dialect
from bridge.hl7v2 import path as paths
from bridge.hl7v2.dialect import Feed, Feeds
from bridge.language import cases
from bridge.language.cases import Case, Observe, Result
from bridge.mapping import change
from bridge.mapping.program import Program

if TYPE_CHECKING:
    from bridge.mapping.library import Folder, Library

IDS = Ids(b"inline tests have a secret of their own")
_BARE = Feed(name="default", default=True)


def results(library: Library, names: Iterable[str] = (), update: bool = False) -> list[Result]:
    """Run the tests of these mappings (all without names); `update` writes goldens anew.

    Raises MappingError for a test that cannot be read.
    """
    trial = Trial(library, update)
    wanted = frozenset(names)
    programs = [library.programs[name] for name in library.programs if not wanted or name in wanted]
    return [result for program in programs for result in trial.program(program)]


class Trial:
    """Examples, feeds and goldens of a library's folders."""

    def __init__(self, library: Library, update: bool = False) -> None:
        self.library, self.update = library, update
        places = [place / "feeds" for place in library.folders if (place / "feeds").is_dir()]
        self.feeds: Feeds | None = dialect.load(*places) if places else None
        self.senders = library.senders()

    def program(self, program: Program) -> list[Result]:
        """The results of one mapping's tests, in order."""
        return cases.run(cases.read(program.spec.tests), lambda case: self.observe(program, case))

    def sent(self, feed: Feed, case: Case) -> Observe:
        """What a test of a feed file asks of the segments it gives: places in the repaired message, and its resources."""
        read = feed.read("\r".join(line.strip() for line in case.given.splitlines()).encode())
        sender = self.senders.of(feed, read)

        @cache
        def resources() -> Observe:
            program = self.library.choose(read, sender)
            if program is None:
                raise MappingError(f"no mapping reads {read.event}")
            return cases.observer(program.run(read, sender, IDS))
        return lambda key: [paths.text(paths.parse(key), read)] if dialect.is_place(key) else resources()(key)

    def observe(self, program: Program, case: Case) -> Observe:
        """What comes of a case, for `cases.judge`; raises MappingError when its golden differs."""
        draft = self.run(program, case)
        observe = cases.observer(draft)
        if not case.golden:
            return observe
        difference = self._golden(case.golden, draft)
        if difference:
            raise MappingError(difference)
        return observe

    def run(self, program: Program, case: Case) -> Draft:
        """The draft of a case's example, changed as it says."""
        body = self.example(case.given)
        if program.language != "hl7v2":
            sender = self.senders.of(self._feed(case.feed, None))
            return self.library.of(program, sender).run(change.document(json.read(body), case.change), sender, IDS)
        body = change.message(body, case.change, case.append)
        feed = self._feed(case.feed, body)
        read = feed.read(body)
        sender = self.senders.of(feed, read)
        return self.library.of(program, sender).run(read, sender, IDS)

    def _feed(self, name: str, body: bytes | None) -> Feed:
        if self.feeds is None:
            return _BARE
        if name:
            return self.feeds.named(name)
        if body is None:
            return next((feed for feed in self.feeds if feed.default), _BARE)
        return self.feeds.of(_BARE.read(body).sender)

    def example(self, name: str) -> bytes:
        """The bytes of an example in `examples/`; raises MappingError with the folders looked at."""
        for folder in self.library.folders:
            file = _inside(folder / "examples", name)
            if file is not None and file.is_file():
                return bytes(file.read_bytes())
        raise MappingError(f"no example {name} in {', '.join(f'{folder}/examples' for folder in self.library.folders)}")

    def _golden(self, name: str, draft: Draft) -> str:
        """What differs from `golden/<name>.json`, "" when nothing does."""
        made = orjson.dumps(list(draft.resources), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        for folder in self.library.folders:
            file = _inside(folder / "golden", f"{name}.json")
            if file is not None and file.is_file() and not self.update:
                return "" if file.read_bytes() == made else first_difference(orjson.loads(file.read_bytes()), orjson.loads(made))
        first = self.library.folders[0]
        if self.update and isinstance(first, Path):
            (first / "golden").mkdir(exist_ok=True)
            (first / "golden" / f"{name}.json").write_bytes(made)
            return ""
        return f"there is no golden/{name}.json; write it with --update-golden"


def _inside(folder: Folder, name: str) -> Folder | None:
    """A file below a folder by a relative name without steps upwards."""
    parts = name.split("/")
    if not name or ".." in parts or any(not part for part in parts):
        return None
    for part in parts:
        folder = folder / part
    return folder


def first_difference(old: Any, new: Any, path: str = "") -> str:
    """The first place where two JSON values differ, in words; "" when they are the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            if name not in old or name not in new:
                return f"{path}.{name}: only in the {'golden' if name in old else 'new'} result"
            if found := first_difference(old[name], new[name], f"{path}.{name}"):
                return found
        return ""
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return f"{path}: {len(old)} in the golden result, {len(new)} now"
        each = (first_difference(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(old, new, strict=True)))
        return next(filter(None, each), "")
    return "" if old == new else f"{path}: golden {old!r}, now {new!r}"
