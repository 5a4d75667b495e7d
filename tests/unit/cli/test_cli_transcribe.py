"""`consent transcribe`: a form from a file, first as a dry run, then stored, approved by another, withdrawn."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.conftest import Call
from tests.unit.pipeline.town import MRN, adt

FORM = f"""
patient: {MRN}|GH1
original: binder 4, page 2
signed: 2026-01-05
until: 2036-01-05
verified: {{with: patient, on: 2026-01-06}}
permit:
  - who: [valley-elders]
    purpose: [TREAT]
    labels: [MH]
deny:
  - who: ["kind:cbo-minimum"]
    labels: [HIV]
"""


def lived(call: Call, site: Path, folder: Path) -> Path:
    """The site with one person on file; the form's path."""
    from bridge import app
    from bridge.roles import store
    from bridge.settings import load

    bridge = app.build(load(str(site), {}))
    store([("x-application/hl7-v2+er7", adt(mrn="GH1"), "")], bridge)
    from bridge.roles import drain

    drain(bridge, None)
    bridge.ledger.close()
    (folder / "form.yaml").write_text(FORM, encoding="utf-8")
    return folder / "form.yaml"


def consents(call: Call, site: Path) -> list[str]:
    from bridge.adapters.store.ledger import open_ledger
    from bridge.settings import load

    ledger = open_ledger(load(str(site), {}).store_url)
    with ledger.work() as work:
        patient = work.persons([(MRN, "GH1")])[(MRN, "GH1")]
        found = [one["status"] for one in work.consents(patient)]
    ledger.close()
    return sorted(found)


def test_a_form_is_examined_before_it_is_stored(call: Call, site: Path, tmp_path: Path) -> None:
    """A dry run says what each partner could receive and stores nothing; without --dry-run the Consent is on file."""
    form = lived(call, site, tmp_path)
    tried = call("consent", "transcribe", form, "--dry-run", "--json", config=site)
    assert tried.code == 0
    said = json.loads(tried.out)
    answers = {(line["partner"], line["about"]): line["decision"] for line in said["lines"]}
    assert said["outcome"] == "dry-run"
    assert answers[("valley-elders", "referral")] == answers[("valley-elders", "MH")] == "permit"
    assert answers[("valley-elders", "HIV")] == answers[("harbor-pantry", "referral")] == "deny"
    assert consents(call, site) == []
    stored = call("consent", "transcribe", form, config=site)
    assert (stored.code, "accepted" in stored.out) == (0, True)
    assert consents(call, site) == ["active"]


def test_a_second_person_approves(call: Call, site: Path, tmp_path: Path) -> None:
    """--propose stores it without effect, --approve by somebody else puts it in force, by the same person it is refused."""
    form = lived(call, site, tmp_path)
    assert call("consent", "transcribe", form, "--propose", "--by", "kim", config=site).code == 0
    assert consents(call, site) == ["proposed"]
    from bridge.adapters.store.ledger import open_ledger
    from bridge.settings import load

    ledger = open_ledger(load(str(site), {}).store_url)
    with ledger.work() as work:
        (proposal,) = work.consents(work.persons([(MRN, "GH1")])[(MRN, "GH1")])
    ledger.close()
    assert call("consent", "transcribe", proposal["id"], "--approve", "--by", "kim", config=site).code != 0
    assert call("consent", "transcribe", proposal["id"], "--approve", "--by", "lee", config=site).code == 0
    assert consents(call, site) == ["active", "proposed"]
    assert call("consent", "transcribe", proposal["id"], "--withdraw", config=site).code == 0
    assert consents(call, site) == ["active", "inactive", "proposed"]


def test_what_cannot_be_meant_is_a_usage_error(call: Call, site: Path, tmp_path: Path) -> None:
    """No form, a form that is no mapping, and a person whom nobody knows are refused with words."""
    form = lived(call, site, tmp_path)
    assert call("consent", "transcribe", config=site).code == 2
    (tmp_path / "list.yaml").write_text("- a", encoding="utf-8")
    assert call("consent", "transcribe", tmp_path / "list.yaml", config=site).code == 2
    form.write_text(FORM.replace("GH1\n", "GH2\n"), encoding="utf-8")
    refused = call("consent", "transcribe", form, config=site)
    assert refused.code != 0
    assert "GH2" not in refused.err + refused.out
