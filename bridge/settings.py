"""One commented file, `bridge.toml`, environment overrides, secrets from files."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bridge.core.errors import SettingsError

ENVIRONMENT = {
    "SDOH_BRIDGE_STORE_URL": ("store", "url"),
    "SDOH_BRIDGE_BROKER_URL": ("broker", "url"),
    "SDOH_BRIDGE_BROKER_PASSWORD_FILE": ("broker", "password_file"),
    "SDOH_BRIDGE_BROKER_MANAGEMENT": ("broker", "management"),
    "SDOH_BRIDGE_SECRET_FILE": ("site", "secret_file"),
    "SDOH_BRIDGE_STATE": ("site", "state"),
    "SDOH_BRIDGE_WEB": ("web", "listen"),
}
"""Environment variable to (section, key); SDOH_BRIDGE_CONFIG names the file itself."""


class Section(BaseModel):
    """A part of the file; an unknown key is refused, because a misspelt setting is worse than none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Section):
    """Who we are: name, state folder, secret, zone, the base of our fullUrls, and whose local law applies."""

    name: str = "sdoh-bridge"
    state: str = "var"
    secret_file: str = ""
    zone: str = "UTC"
    fhir_base: str = "https://bridge.invalid/fhir"
    jurisdictions: tuple[str, ...] = ()

    @field_validator("zone")
    @classmethod
    def known(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("not an IANA time zone, e.g. America/New_York")
        return zone


class Store(Section):
    """Where the ledger is; empty means SQLite in the state folder."""

    url: str = ""


class Broker(Section):
    """RabbitMQ, if there is one; the password comes from a file."""

    url: str = ""
    password_file: str = ""
    management: str = ""


class Web(Section):
    """Where health and metrics are served."""

    listen: str = "127.0.0.1:8080"


class PartnerRow(Section):
    """One organisation that receives or answers: a CBO, or a hospital's EHR (kind `ehr`)."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,40}$")
    name: str
    kind: str
    serves: tuple[str, ...] = ()
    counties: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    zips: tuple[str, ...] = ()
    purpose: str = "TREAT"
    no_consent: Literal["deny", "permit"] = "deny"
    clearances: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    formats: tuple[Literal["fhir", "hl7v2"], ...] = ("fhir",)
    sdohcc: Literal["2.2", "2.3", "3.0"] = "3.0"
    consent_max_age_days: int = Field(default=0, ge=0, le=36_500)
    address: str = ""
    connector: str = "folder"
    options: dict[str, Any] = Field(default_factory=dict)


class Settings(Section):
    """Everything the bridge can be told. `origin` is the file it came from ("" for built-in defaults)."""

    site: Site = Site()
    store: Store = Store()
    broker: Broker = Broker()
    web: Web = Web()
    mappings_path: tuple[str, ...] = ()
    profiles_path: tuple[str, ...] = ()
    connectors_path: tuple[str, ...] = ()
    partner: tuple[PartnerRow, ...] = ()
    origin: str = ""

    @property
    def state(self) -> Path:
        return Path(self.site.state)

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite:///{self.state / 'ledger.db'}"

    def folders(self, package: Literal["mappings", "profiles"], below: str = "") -> list[Path]:
        """Site folders first, the packaged one last; with `below`, those of its subfolders of that name that exist."""
        own = self.mappings_path if package == "mappings" else self.profiles_path
        places = [*map(Path, own), Path(str(files(package)))]
        return [place / below for place in places if (place / below).is_dir()] if below else places


def load(path: str | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings; without a path: SDOH_BRIDGE_CONFIG, else ./bridge.toml if there is one, else defaults.

    Raises SettingsError naming file, key and remedy. Values of `partner.options` and secrets are never quoted.
    """
    chosen = path or environ.get("SDOH_BRIDGE_CONFIG") or ("bridge.toml" if Path("bridge.toml").is_file() else "")
    content: dict[str, Any] = {}
    if chosen:
        try:
            content = tomllib.loads(Path(chosen).read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"{chosen}: cannot be read ({error.strerror})") from None
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{chosen}: not TOML: {error}") from None
    for variable, (section, key) in ENVIRONMENT.items():
        if variable in environ:
            content.setdefault(section, {})[key] = environ[variable]
    try:
        settings = Settings(**content, origin=chosen)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise SettingsError(f"{chosen or 'environment'}: {faults}") from None
    doubled = {row.id for row in settings.partner if [p.id for p in settings.partner].count(row.id) > 1}
    if doubled:
        raise SettingsError(f"{chosen}: partner ids used twice: {', '.join(sorted(doubled))}")
    return settings


def site_secret(settings: Settings) -> bytes:
    """The key behind every id: from `site.secret_file`, else made once in the state folder (mode 0600).

    Losing it means that a replay makes other ids; `doctor` reminds to keep a copy.
    """
    path = Path(settings.site.secret_file) if settings.site.secret_file else settings.state / "site.key"
    if not path.is_file():
        if settings.site.secret_file:
            raise SettingsError(f"site.secret_file {path}: no such file; make one with 32 random bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent) as fresh:  # mode 0600
            fresh.write(secrets.token_bytes(32))
            fresh.flush()
            with suppress(FileExistsError):  # another process of ours was first; its key is the key
                os.link(fresh.name, path)
    secret = path.read_bytes()
    if len(secret) < 16:
        raise SettingsError(f"{path}: the site secret needs at least 16 bytes")
    return secret
