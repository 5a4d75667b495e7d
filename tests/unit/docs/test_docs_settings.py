"""The settings page has every key with its default and its environment variable, and no other."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from bridge.settings import ENVIRONMENT, PartnerRow, Settings
from tests.unit.docs.pages import PAGES, ROOT, blocks, name

PAGE = ROOT / "docs" / "settings.md"
ROW = re.compile(r"^\| `([\w.]+)` \| (?:`([^`]*)`|(required)) \|(?: (?:`(\w+)`)? ?\|)?", re.MULTILINE)
SECTIONS = ("site", "store", "broker", "web")


def wanted() -> dict[str, str]:
    """Key to default, written as TOML writes it; `required` where there is none."""
    found = dict.fromkeys(("mappings_path", "profiles_path", "connectors_path"), "[]")
    for section in SECTIONS:
        found |= {f"{section}.{key}": written(field.default) for key, field in type(getattr(Settings(), section)).model_fields.items()}
    for key, field in PartnerRow.model_fields.items():
        found[f"partner.{key}"] = "required" if field.is_required() else written(field.get_default(call_default_factory=True))
    return found


def written(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def test_every_key_has_its_default_on_the_page() -> None:
    """The tables have exactly the keys of the models, each with its built-in value."""
    shown = {key: default or required for key, default, required, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert shown == wanted()


def test_every_variable_stands_with_its_key() -> None:
    """The column `environment` has exactly the variables that the program reads."""
    shown = {variable: tuple(key.split(".")) for key, _, _, variable in ROW.findall(PAGE.read_text(encoding="utf-8")) if variable}
    assert shown == ENVIRONMENT


def test_toml_examples_are_settings() -> None:
    """Every TOML block of every page is accepted as settings."""
    shown = [one for page in PAGES for one in blocks(page) if one.language == "toml"]
    assert shown
    for one in shown:
        assert Settings(**tomllib.loads(one.text), origin=name(one.page))
