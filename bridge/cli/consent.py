"""`consent`: ask the filter about cases, test and lint rules of the house, and see what a change of rules would have done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import context, show, transcribe
from bridge.cli.check import documents

if TYPE_CHECKING:
    from bridge.consent.cases import Rulings
    from bridge.consent.house import House
    from bridge.consent.house_file import Shelf
    from bridge.pipeline.bridge import Bridge

FOLDER = click.Path(exists=True, file_okay=False)
RULES = click.option("--rules", type=FOLDER, default=None, help="A folder of rules in front of the site's and the packaged ones.")
JURISDICTION = click.option("--jurisdiction", "jurisdictions", multiple=True, metavar="XX", help="An overlay of local law; may be repeated.")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON lines.")


@click.group("consent")
def command() -> None:
    """Ask the consent filter; test, lint and simulate rules of the house."""


@command.command("decide")
@click.argument("file", metavar="FILE")
@click.option("--explain", is_flag=True, help="Say why: a paragraph a case; with --json an `explanation` in each line.")
@RULES
@JURISDICTION
@click.option("--json", "as_json", is_flag=True, help="JSON lines (always so without --explain).")
@click.pass_context
def decide(ctx: click.Context, file: str, explain: bool, rules: str | None, jurisdictions: tuple[str, ...], as_json: bool) -> None:
    """Cases (consents, request, resource, policy), a list or one a line; one JSON line each:
    id, decision, redact_paths, obligations, rules, consents, review. Whatever goes wrong with a case is a deny for review;
    exit 1 when one is none (no request, no resource).

    Rules of the house apply when --rules or --jurisdiction is given, or the case has a `house` (jurisdictions, recipient,
    custodian, programme).
    """
    from bridge.consent.cases import run_case

    failed, house = False, None
    for each in documents(context.read(file)):
        case = each if isinstance(each, dict) else {}
        if house is None and (rules or jurisdictions or "house" in case):
            house = shelf(ctx, rules, jurisdictions).house
        asked = _rulings(case, house, jurisdictions) if house and (rules or jurisdictions or "house" in case) else None
        answer = run_case(case, asked)
        failed |= not (isinstance(case.get("request"), dict) and isinstance(case.get("resource"), dict))
        if explain:
            facts = _explained(case, asked, house)
            show.as_line({**answer, "explanation": facts}) if as_json else click.echo(_paragraph(answer, facts) + "\n")
        else:
            show.as_line(answer)
    if failed:
        ctx.exit(1)


def shelf(ctx: click.Context, rules: str | None, jurisdictions: tuple[str, ...] = ()) -> Shelf:
    """The rules of a folder, of the site and the packaged ones. Raises SettingsError for an overlay that is not there."""
    from bridge.consent import house_file
    from bridge.core.errors import SettingsError

    settings = context.settings(ctx)
    first = [Path(rules)] if rules else []
    found = house_file.load([*first, *settings.folders("profiles", "consent/rules")], settings.folders("profiles", "consent/jurisdictions"))
    for code in jurisdictions:
        if code not in found.overlays:
            raise SettingsError(f"no jurisdiction {code}; there are {', '.join(sorted(found.overlays))}")
    return found


def _rulings(case: Mapping[str, Any], house: House, jurisdictions: tuple[str, ...]) -> Rulings:
    """The rules of the house for one case: who the recipient is stands in the case."""
    from bridge.consent.house import Exchange, side
    from bridge.consent.house_ruling import ruling

    own = case.get("house") or {}
    recipient = (case.get("request") or {}).get("recipient") or {}
    told = {"kind": recipient.get("profile") or recipient.get("type") or "", "partner": str(recipient.get("reference") or "").rpartition("/")[2],
            **(own.get("recipient") or {})}
    custodian = own.get("custodian")
    sides = [side(str(one.get("partner") or ""), str(one.get("kind") or ""), tuple(one.get("flag") or ())) if one is not None else None
             for one in (told, custodian)]
    overlays = frozenset((*jurisdictions, *(own.get("jurisdictions") or ())))
    exchange = Exchange(sides[0] or side("", ""), sides[1], str(own.get("programme") or ""), overlays)
    return lambda request, policy: ruling(house, exchange, request, policy)


def _explained(case: Mapping[str, Any], asked: Rulings | None, house: House | None) -> dict[str, Any]:
    """The explanation of a case; what cannot be read is explained as that."""
    from bridge.consent.explain import explain, unreadable
    from bridge.consent.house_ruling import Ruling
    from bridge.consent.request import Policy, Request

    try:
        policy = Policy.parse(case.get("policy"))
        request = Request.parse(case["request"], policy)
        narrow = asked(request, policy) if asked else None
        return explain(request, case["resource"], case.get("consents") or (), policy, narrow if isinstance(narrow, Ruling) else None, house)
    except Exception:  # noqa: BLE001 - the case was decided already; what cannot be read cannot be explained further
        return unreadable()


def _paragraph(answer: Mapping[str, Any], facts: dict[str, Any]) -> str:
    from bridge.consent.explain import paragraph

    return paragraph(str(answer["id"]), facts)


@command.command("test")
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=click.Path(exists=True))
@JSON
@click.pass_context
def test(ctx: click.Context, paths: tuple[str, ...], as_json: bool) -> None:
    """Run the tests inside rules of the house and jurisdictions: files or folders; without any, the site's and the packaged."""
    from bridge.consent import house_case

    results = house_case.test_all(_chosen(ctx, paths))
    failed = [one for one in results if not one.passed]
    for one in results if as_json else failed:
        show.as_line({"file": one.file, "line": one.line, "name": one.name, "passed": one.passed, "failures": list(one.failures)}) \
            if as_json else click.echo(str(one))
    show.say(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        ctx.exit(1)


@command.command("lint")
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=click.Path(exists=True))
@JSON
@click.pass_context
def lint(ctx: click.Context, paths: tuple[str, ...], as_json: bool) -> None:
    """Doubts about rules of the house: untested, never acting, contradicting another. Notes are said and fail nothing.

    Without paths also about label rules and registries: impossible codes, wrong check digits, unknown systems, numbers that a
    spreadsheet made, doubles, examples that are not true."""
    from bridge.consent import house_lint, label_lint

    found = house_lint.lint(_chosen(ctx, paths))
    labels = [] if paths else label_lint.lint(context.settings(ctx).folders("profiles", "consent/labels"))
    found += [house_lint.Doubt(one.file, one.rule, one.text) for one in labels]
    for one in found:
        if as_json:
            show.as_line({"where": one.where, "rule": one.rule, "text": one.text, "note": one.note})
        else:
            click.echo(f"{one.where}: {'note: ' if one.note else ''}{one.rule}{': ' if one.rule else ''}{one.text}")
    doubts = [one for one in found if not one.note]
    show.say(f"{len(doubts)} doubts, {len(found) - len(doubts)} notes")
    if doubts:
        ctx.exit(1)


def _chosen(ctx: click.Context, paths: tuple[str, ...]) -> Shelf:
    from bridge.consent import house_file

    return house_file.at(map(Path, paths)) if paths else shelf(ctx, "")


@command.command("simulate")
@RULES
@JURISDICTION
@click.option("--no-consent", type=click.Choice(["deny", "permit"]), default=None, help="Another contract default, for every partner.")
@click.option("--since", default="", metavar="TIME", help="Messages received from then on (default: a week before --until).")
@click.option("--until", default="", metavar="TIME", help="Messages received before then (default: now).")
@click.option("--limit", type=click.IntRange(min=1), default=1_000_000, help="At most so many messages, oldest first.")
@click.option("--list", "listed", type=click.IntRange(min=0), default=50, show_default=True, help="How many single changes to print.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each change, then the summary.")
@click.pass_context
def simulate(ctx: click.Context, rules: str | None, jurisdictions: tuple[str, ...], no_consent: str | None, since: str, until: str, limit: int,
             listed: int, as_json: bool) -> None:
    """What other rules would have released or withheld of the deliveries on record; nothing is written or sent.

    Give --rules, --jurisdiction (in place of those in the settings) or --no-consent. Counts by recipient, kind of resource and
    rule, then single changes by id. `otherwise` counts decisions that differ from the record whatever the rules: consents or
    records have changed since.
    """
    from bridge.cli.try_ import instant
    from bridge.pipeline import simulate as simulation

    if not (rules or jurisdictions or no_consent):
        raise click.UsageError("say what to change: --rules FOLDER, --jurisdiction XX or --no-consent deny|permit")
    with context.bridge(ctx) as present:
        last = instant(until) or present.clock()
        first = instant(since) or last - timedelta(days=7)
        changed = simulation.with_rules(present, house=shelf(ctx, rules, jurisdictions).house, no_consent=no_consent or "",
                                        jurisdictions=frozenset(jurisdictions) if jurisdictions else None)
        total, counts, rows = Counter[str](), Counter[tuple[str, str, str, str]](), list[dict[str, Any]]()
        with show.steps((last - first).total_seconds(), "simulate", quiet=as_json) as reached:
            for seen in simulation.simulate(present, changed, first, last, limit):
                reached((seen.received - first).total_seconds())
                _count(seen, total, counts)
                for row in seen.changes:
                    if as_json:
                        show.as_line(row)
                    elif len(rows) < listed:
                        rows.append(row)
    _tell(total, counts, rows, as_json, changed)
    if total["failed"]:
        ctx.exit(1)


def _count(seen: Any, total: Counter[str], counts: Counter[tuple[str, str, str, str]]) -> None:
    total.update({"messages": 1, "decisions": seen.compared, "otherwise": seen.otherwise, "failed": seen.failed})
    total.update({f"deliveries {name}": count for name, count in (seen.deliveries or {}).items()})
    for row in seen.changes:
        total[row["change"]] += 1
        for rule in row["rules"]:
            counts[(row["change"], row["recipient"], row["resource"].split("/")[0], rule)] += 1


def _tell(total: Counter[str], counts: Counter[tuple[str, str, str, str]], rows: list[dict[str, Any]], as_json: bool, changed: Bridge) -> None:
    from bridge.consent.explain import says

    numbers = {name: total[name] for name in ("messages", "decisions", "withheld", "released", "cut", "opened", "otherwise", "failed")}
    numbers |= {"deliveries_withheld": total["deliveries withheld"], "deliveries_released": total["deliveries released"]}
    if as_json:
        show.as_line({**numbers, "counts": [
            {"change": change, "recipient": recipient, "resource": resource, "rule": rule, "count": count}
            for (change, recipient, resource, rule), count in sorted(counts.items())]})
        return
    if counts:
        show.table("would be different", ("change", "recipient", "resource", "rule", "decisions", "because"),
                   [(*key, count, says(key[3], changed.house)) for key, count in sorted(counts.items())])
        show.table("single changes", ("message", "recipient", "resource", "was", "would", "paths", "rules"),
                   [(one["message"], one["recipient"], one["resource"], one["was"] or one["now"], one["would"], ", ".join(one["paths"]),
                     ", ".join(one["rules"])) for one in rows])
    click.echo(f"{numbers['messages']} messages, {numbers['decisions']} decisions: {numbers['withheld']} would be withheld, "
               f"{numbers['released']} released, {numbers['cut']} cut, {numbers['opened']} opened; "
               f"{numbers['deliveries_withheld']} deliveries would stay here, {numbers['deliveries_released']} would go")
    if total["otherwise"]:
        click.echo(f"{total['otherwise']} decisions differ from the record whatever the rules: consents or records have changed since")


command.add_command(transcribe.command)
