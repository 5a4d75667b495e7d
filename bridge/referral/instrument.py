"""Screening instruments as data: which questions, which answers, which of them the author calls a possible need.

A file of `mappings/screening/` is one instrument. Everything is keyed by (instrument, question, answer), since the same
LOINC question has other answer lists in other instruments (reference/gravity.md 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from bridge.core.errors import MappingError
from bridge.language.syntax import load as tree
from bridge.referral.rows import plain


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `answers` empty = any answer. `positive` is answer -> need ("" = a finding, no social need).

    `alone` is an answer that excludes the others. `poverty` names the household question for an income.
    """

    code: str
    label: str
    category: tuple[str, ...] = ()
    text: str = ""
    answers: frozenset[str] = frozenset()
    positive: Mapping[str, str] = field(default_factory=dict)
    many: bool = False
    alone: str = ""
    conditions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    observe: bool = True
    unit: str = ""
    poverty: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """Something computed from answers. `method`: `sum` or `product` of points, or `any` positive answer.

    `start` is the least score that is positive (None: never). `codes` are the answer codes of an `any` result.
    """

    code: str
    label: str
    method: str
    of: tuple[str, ...]
    category: tuple[str, ...] = ()
    text: str = ""
    points: Mapping[str, int] = field(default_factory=dict)
    start: int | None = None
    negative: frozenset[str] = frozenset()
    codes: Mapping[str, str] = field(default_factory=dict)
    need: str = ""
    labels: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One screening instrument; `conditions` are suggested Condition codes (SNOMED CT, ICD-10-CM) by need."""

    name: str
    panels: tuple[str, ...]
    names: tuple[str, ...]
    absent: Mapping[str, str]
    questions: Mapping[str, Question]
    results: Mapping[str, Result]
    conditions: Mapping[str, tuple[str, ...]]


class Folder(Protocol):
    """A folder of files: a pathlib.Path or a package resource."""

    def iterdir(self) -> Iterable[Any]: ...


@cache
def packaged() -> tuple[Instrument, ...]:
    """The instruments that ship with us."""
    return load(files("mappings").joinpath("screening"))


def load(*folders: Folder) -> tuple[Instrument, ...]:
    """Read every `*.yaml` of these folders; an instrument of an earlier folder wins over one of the same name.

    Raises MappingError naming file and key.
    """
    found: dict[str, Instrument] = {}
    for folder in folders:
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith((".yaml", ".yml")):
                instrument = read(file.read_text(encoding="utf-8"), file.name)
                found.setdefault(instrument.name, instrument)
    return tuple(found.values())


def read(text: str, where: str = "instrument") -> Instrument:
    """One instrument from its YAML text; raises MappingError."""
    spec = plain(tree(text, where))
    try:
        return _instrument(spec)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MappingError(f"{where}: {type(error).__name__} {error}") from None


def _instrument(spec: Mapping[str, Any]) -> Instrument:
    kinds = {"": {}, **spec.get("kinds", {})}
    questions = {
        code: _question(code, {**kinds[body.get("like", "")], **body}) for code, body in spec["questions"].items()
    }
    results = {code: _result(code, body) for code, body in spec.get("results", {}).items()}
    for result in results.values():
        unknown = set(result.of) - set(questions)
        if unknown or result.method not in ("sum", "product", "any"):
            raise ValueError(f"result {result.code}: unknown question or method {sorted(unknown) or result.method}")
    return Instrument(
        spec["instrument"], tuple(spec["panels"]), tuple(spec.get("names", ())), spec.get("absent", {}), questions,
        results, {need: tuple(codes) for need, codes in spec.get("conditions", {}).items()},
    )


def _question(code: str, body: Mapping[str, Any]) -> Question:
    answers, positive = frozenset(body.get("answers", ())), dict(body.get("positive", {}))
    if set(positive) - answers:
        raise ValueError(f"question {code}: positive answers that are not answers {sorted(set(positive) - answers)}")
    return Question(
        code, body["label"], tuple(body.get("category", ())), body.get("text", ""), answers, positive,
        body.get("many") == "true", body.get("alone", ""),
        {answer: tuple(codes) for answer, codes in body.get("conditions", {}).items()},
        tuple(body.get("labels", ())), body.get("observe", "true") == "true", body.get("unit", ""),
        body.get("poverty", {}),
    )


def _result(code: str, body: Mapping[str, Any]) -> Result:
    return Result(
        code, body["label"], body["method"], tuple(body["of"]), tuple(body.get("category", ())), body.get("text", ""),
        {answer: int(points) for answer, points in body.get("points", {}).items()},
        int(body["from"]) if "from" in body else None, frozenset(body.get("negative", ())), body.get("codes", {}),
        body.get("need", ""), tuple(body.get("labels", ())), body.get("unit", ""),
    )
