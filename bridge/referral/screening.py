"""A completed screening form -> what it says about needs, computed from the answers and never guessed.

Pure: no resource is made here (see finding.py). A declined, unknown or blank answer is never a need; a result that the
sender computed is compared with the answers, and the answers count. Sources: reference/gravity.md 3, reference/cbo.md 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.core.issue import Issue
from bridge.referral.instrument import Instrument, Question, Result, packaged
from bridge.referral.rows import by, rows


@dataclass(frozen=True, slots=True)
class Given:
    """One answer as it was sent: a code or a number or text, and the FHIR `value[x]` it came in."""

    code: str = ""
    number: float | None = None
    text: str = ""
    display: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One question with one answer, or one computed result. `absent` is a data-absent-reason, "" when there is a value.

    `positive`: the author says that it may signal a need. `need` is an SDOHCC category, "" when it opens none.
    `sources` are the question codes that a result came from, `suggested` the Condition codes that fit.
    """

    code: str
    value: Given | None = None
    absent: str = ""
    positive: bool = False
    need: str = ""
    category: tuple[str, ...] = ()
    text: str = ""
    labels: tuple[str, ...] = ()
    unit: str = ""
    sources: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    observe: bool = True
    wording: str = ""


@dataclass(frozen=True, slots=True)
class Screening:
    """What one response says.

    `needs` are SDOHCC category codes, sorted. `scores` and `computed` are results by LOINC code (a number; an answer
    code). `missing`: questions that were asked and left blank, or that a started result lacks. `conflicts`: questions
    whose answers, or results that the sender computed, contradict the answers. `errors`: questions with an answer that
    this instrument does not have, or `questionnaire`, `status` when the whole cannot be read. `issues` explain.
    """

    instrument: str = ""
    needs: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    issues: tuple[Issue, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The result of the `screen` command."""
        return {
            "needs": list(self.needs), "scores": dict(self.scores), "computed": dict(self.computed),
            "missing": list(self.missing), "conflicts": list(self.conflicts), "errors": list(self.errors),
        }


@dataclass(slots=True)
class _Sheet:
    """What has been read so far; lives for one evaluation."""

    instrument: Instrument
    given: dict[str, list[Given]]
    wording: dict[str, str]
    year: str
    findings: list[Finding] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    computed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def note(self, into: list[str], code: str, issue: str, text: str) -> None:
        if code not in into:
            into.append(code)
            severity = "error" if into is self.errors else "warning"
            self.issues.append(Issue(severity, issue, f"QuestionnaireResponse.item({code})", text))  # type: ignore[arg-type]

    def values(self, code: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.code == code and finding.value]


def evaluate(response: Mapping[str, Any], instruments: Sequence[Instrument] | None = None) -> Screening:
    """Read one QuestionnaireResponse against its instrument.

    The instrument is the one whose panel code or name stands in the questionnaire's canonical or in a linkId, else the
    one whose questions and answers fit best. `instruments` defaults to those that ship with us.
    """
    status = response.get("status", "completed")
    if status not in ("completed", "amended"):
        return _unread("status", "BRG-R201", "QuestionnaireResponse.status", f"{status} is not a finished response")
    items = list(_items(response))
    instrument = choose(response, items, packaged() if instruments is None else instruments)
    if instrument is None:
        return _unread("questionnaire", "BRG-R202", "QuestionnaireResponse.questionnaire", "no instrument fits",
                       "add it to mappings/screening/ or name its panel code in the canonical")
    sheet = _Sheet(instrument, {}, {}, str(response.get("authored", ""))[:4])
    for code, answers, wording in items:
        sheet.given.setdefault(code, []).extend(answers)
        sheet.wording.setdefault(code, wording)
    for question in instrument.questions.values():
        if question.code in sheet.given:
            _ask(sheet, question)
    for question in instrument.questions.values():
        if question.poverty:
            _compare_income(sheet, question)
    for result in instrument.results.values():
        _compute(sheet, result)
    return _close(sheet)


def choose(
    response: Mapping[str, Any], items: Sequence[tuple[str, list[Given], str]], instruments: Sequence[Instrument],
) -> Instrument | None:
    """The instrument of a response, or None when nothing fits."""
    canonical = str(response.get("questionnaire", "")).lower()
    links = {code for code, _, _ in items} | set(_PANEL.findall(canonical))
    for instrument in instruments:
        if links & set(instrument.panels):
            return instrument
    for instrument in instruments:
        if any(name in canonical for name in instrument.names):
            return instrument
    ranked = sorted(instruments, key=lambda one: (-_fit(one, items), len(one.questions)))
    return ranked[0] if ranked and _fit(ranked[0], items) > 0 else None


def _fit(instrument: Instrument, items: Sequence[tuple[str, list[Given], str]]) -> float:
    """How many questions are the instrument's own, less those whose answers are not."""
    fit = 0.0
    for code, answers, _ in items:
        question = instrument.questions.get(code)
        known = question is not None or code in instrument.results
        wrong = question and question.answers and any(
            answer.code and answer.code not in question.answers and not _absent(instrument, answer) for answer in answers
        )
        fit += 0 if not known else (-1 if wrong else 1)
    return fit


def _items(node: Mapping[str, Any]) -> Iterator[tuple[str, list[Given], str]]:
    """Each item with its question code, answers and wording; nested items and items below answers too."""
    for item in node.get("item", ()):
        code = _CODE.findall(item.get("linkId", "")) or _CODE.findall(item.get("definition", ""))
        if code and ("answer" in item or "item" not in item):
            yield code[-1], [_given(answer) for answer in item.get("answer", ())], item.get("text", "")
        elif code:
            yield code[-1], [], ""
        yield from _items(item)
        for answer in item.get("answer", ()):
            yield from _items(answer)


def _given(answer: Mapping[str, Any]) -> Given:
    for extension in answer.get("extension", ()):
        if extension.get("url", "").endswith("/data-absent-reason"):
            return Given(code=extension.get("valueCode", "unknown"))
    coding = answer.get("valueCoding")
    if coding is not None:
        return Given(coding.get("code", ""), None, "", coding.get("display", ""), coding.get("system", ""))
    if "valueBoolean" in answer:
        return Given("LA33-6" if answer["valueBoolean"] else "LA32-8")
    for key in ("valueInteger", "valueDecimal"):
        if key in answer:
            return Given(number=float(answer[key]))
    if "valueQuantity" in answer:
        return Given(number=float(answer["valueQuantity"].get("value", 0)))
    text = str(answer.get("valueString", next((answer[key] for key in answer if key.startswith("value")), "")))
    return Given(text.strip()) if _ANSWER.fullmatch(text.strip()) else Given(text=text)


def _absent(instrument: Instrument, answer: Given) -> str:
    row = by("screening/absent.csv", "code").get(answer.code, {})
    return instrument.absent.get(answer.code, "") or row.get("reason", "")


def _ask(sheet: _Sheet, question: Question) -> None:
    """Turn the answers of one question into findings."""
    answers = [answer for answer in sheet.given[question.code] if answer != Given()]
    if not answers:
        sheet.note(sheet.missing, question.code, "BRG-R203", f"{question.label}: no answer")
        sheet.findings.append(_finding(sheet, question, None, "not-asked"))
        return
    kept: list[Given] = []
    for answer in dict.fromkeys(answers):
        reason = "" if answer.code in question.answers else _absent(sheet.instrument, answer)
        if reason:
            absent = _finding(sheet, question, None, reason)
            sheet.findings += [] if absent in sheet.findings else [absent]
        elif _fits(sheet.instrument, question, answer):
            kept.append(answer)
            sheet.findings.append(_finding(sheet, question, answer, ""))
        else:
            sheet.note(sheet.errors, question.code, "BRG-R204",
                       f"{question.label}: an answer that {sheet.instrument.name} does not have for this question")
    codes = {answer.code for answer in kept}
    if (len(kept) > 1 and not question.many) or (len(codes) > 1 and question.alone in codes):
        sheet.note(sheet.conflicts, question.code, "BRG-R205", f"{question.label}: answers that exclude each other")


def _fits(instrument: Instrument, question: Question, answer: Given) -> bool:
    if not question.answers:
        return True
    if answer.number is not None:
        scored = [result for result in instrument.results.values() if question.code in result.of]
        return bool(question.unit) or any(answer.number in result.points.values() for result in scored)
    return answer.code in question.answers


def _finding(sheet: _Sheet, question: Question, answer: Given | None, absent: str) -> Finding:
    need = question.positive.get(answer.code) if answer else None
    suggested: tuple[str, ...] = ()
    if answer and need:
        suggested = question.conditions.get(answer.code, sheet.instrument.conditions.get(need, ()))
    return Finding(
        question.code, answer, absent, need is not None, need or "", question.category, question.text, question.labels,
        question.unit, (), suggested, question.observe, sheet.wording.get(question.code, ""),
    )


def _compute(sheet: _Sheet, result: Result) -> None:
    """Compute one result from the answers and hold it against the one that was sent."""
    sent = next((answer for answer in sheet.given.get(result.code, ()) if answer != Given()), None)
    if sent is not None and _absent(sheet.instrument, sent):
        sent = None
    started = any(code in sheet.given for code in result.of)
    value = _any(sheet, result) if result.method == "any" else _score(sheet, result)
    if value is None and started:
        for code in result.of:
            if code not in sheet.given:
                sheet.note(sheet.missing, code, "BRG-R203", f"{result.label}: no answer to this question")
        if sent is not None:
            sheet.note(sheet.conflicts, result.code, "BRG-R207", f"{result.label}: sent, but the answers do not give it")
            sheet.findings.append(_result(sheet, result, sent, False))
        return
    if value is None:
        value, sent = sent, None
    if value is None:
        return
    if sent is not None and (sent.code, sent.number) != (value.code, value.number):
        sheet.note(sheet.conflicts, result.code, "BRG-R207", f"{result.label}: the sent result contradicts the answers")
        sheet.findings.append(_result(sheet, result, sent, False))
    positive = value.code == result.codes.get("positive") if result.codes else (
        result.start is not None and value.number is not None and value.number >= result.start)
    sheet.findings.append(_result(sheet, result, value, positive, started))
    if value.number is not None:
        sheet.scores[result.code] = int(value.number) if value.number == int(value.number) else value.number
    elif value.code:
        sheet.computed[result.code] = value.code


def _any(sheet: _Sheet, result: Result) -> Given | None:
    """Positive when any answer is; negative only when every question has a negative one; else nothing."""
    found = [finding for code in result.of for finding in sheet.values(code)]
    if any(finding.positive for finding in found):
        return Given(result.codes["positive"])
    negative = {finding.code for finding in found if finding.value and finding.value.code in result.negative}
    return Given(result.codes["negative"]) if negative == set(result.of) else None


def _score(sheet: _Sheet, result: Result) -> Given | None:
    """The sum or product of the points, only if every question has exactly one usable answer."""
    total = 0.0 if result.method == "sum" else 1.0
    for code in result.of:
        found = sheet.values(code)
        answer = found[0].value if len(found) == 1 else None
        points = None if answer is None else result.points.get(answer.code) if answer.code else answer.number
        if points is None:
            return None
        total = total + points if result.method == "sum" else total * points
    return Given(number=total)


def _result(sheet: _Sheet, result: Result, value: Given, positive: bool, derived: bool = False) -> Finding:
    need = result.need if positive else ""
    return Finding(
        result.code, value, "", positive, need, result.category, result.text, result.labels, result.unit,
        result.of if derived else (), sheet.instrument.conditions.get(need, ()), True,
        sheet.wording.get(result.code, ""),
    )


def _compare_income(sheet: _Sheet, question: Question) -> None:
    """An income below the poverty guideline of the household's size is positive (HHS guidelines, newest known year)."""
    income, people = sheet.values(question.code), sheet.values(question.poverty["household"])
    if len(income) != 1 or len(people) != 1:
        return
    sum_, size = income[0].value, people[0].value
    if sum_ is None or size is None or sum_.number is None or size.number is None or size.number < 1:
        return
    known = sorted(rows("screening/poverty.csv"), key=lambda one: one["year"])
    row = next((one for one in reversed(known) if one["year"] <= (sheet.year or "9999")), known[0])
    if sum_.number < int(row["first"]) + (size.number - 1) * int(row["further"]):
        need = question.poverty["need"]
        index = sheet.findings.index(income[0])
        suggested = sheet.instrument.conditions.get(need, ())
        sheet.findings[index] = replace(income[0], positive=True, need=need, suggested=suggested)


def _close(sheet: _Sheet) -> Screening:
    known = {*sheet.instrument.questions, *sheet.instrument.results, *sheet.instrument.panels}
    for code, answers in sheet.given.items():
        if answers and code not in known:
            sheet.issues.append(Issue("information", "BRG-R206", f"QuestionnaireResponse.item({code})",
                                      f"not a question of {sheet.instrument.name}; kept in the response only"))
    needs = sorted({finding.need for finding in sheet.findings if finding.need})
    return Screening(
        sheet.instrument.name, tuple(needs), sheet.scores, sheet.computed, tuple(sheet.missing), tuple(sheet.conflicts),
        tuple(sheet.errors), tuple(sheet.findings), tuple(sheet.issues),
    )


def _unread(key: str, code: str, where: str, text: str, hint: str = "") -> Screening:
    return Screening(errors=(key,), issues=(Issue("error", code, where, text, hint),))


_CODE = re.compile(r"(?<![\w-])(?:LA)?(\d{3,7}-\d)(?![\w-])")
_PANEL = re.compile(r"(?<!\d)\d{3,7}-\d(?!\d)")
_ANSWER = re.compile(r"LA\d{1,6}-\d")
