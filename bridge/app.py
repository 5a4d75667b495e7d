"""Builds the bridge from settings: the one place that knows every adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import ValidationError

from bridge import sdk
from bridge.adapters.store.ledger import open_ledger
from bridge.consent import house_file
from bridge.consent.house import House
from bridge.core.errors import SettingsError
from bridge.core.ids import Ids
from bridge.core.ports import Connector, Ledger
from bridge.fhir import profile
from bridge.hl7v2 import dialect
from bridge.mapping.library import Library
from bridge.observe.metrics import Metrics
from bridge.pipeline.bridge import Bridge
from bridge.referral import register
from bridge.referral.partner import Partner
from bridge.settings import PartnerRow, Settings, site_secret


def now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


def build(settings: Settings, ledger: Ledger | None = None, clock: Callable[[], datetime] = now) -> Bridge:
    """The whole line from settings. Opens and upgrades the ledger unless one is given.

    Raises SettingsError or MappingError, with file and place, for anything of ours that is wrong.
    """
    if ledger is None:
        ledger = open_ledger(settings.store_url)
        ledger.upgrade()
    partners = {row.id: partner(row) for row in settings.partner}
    ground = register.ground(*settings.folders("mappings", "sets"))
    return Bridge(
        feeds=dialect.load(*settings.folders("mappings", "feeds")),
        mappings=Library.load(settings.folders("mappings")),
        programmes=register.load(*settings.folders("mappings", "programmes"), ground=ground),
        partners=partners,
        profiles=profile.load(*settings.folders("profiles")),
        ledger=ledger,
        ids=Ids(site_secret(settings)),
        clock=clock,
        metrics=Metrics(),
        hospital=Partner("hospital", settings.site.name, kind="ehr"),
        zone=settings.site.zone,
        fhir_base=settings.site.fhir_base,
        house=house(settings),
        jurisdictions=frozenset(settings.site.jurisdictions),
        labels=tuple(map(str, settings.folders("profiles", "consent/labels"))),
    )


def house(settings: Settings) -> House:
    """The rules of the house, the site's before the packaged ones; raises SettingsError for an overlay or flag that is not there."""
    found = house_file.load(settings.folders("profiles", "consent/rules"), settings.folders("profiles", "consent/jurisdictions")).house
    for owner, chosen in (("site", settings.site.jurisdictions), *((f"partner {row.id}", row.jurisdictions) for row in settings.partner)):
        for code in chosen:
            if code not in found.overlays:
                raise SettingsError(f"{owner}: no jurisdiction {code}; there are {', '.join(sorted(found.overlays))}")
    for row in settings.partner:
        for flag in row.flags:
            if flag not in house_file.flags():
                raise SettingsError(f"partner {row.id}: no flag {flag}; there are {', '.join(house_file.flags())}")
    return found


def partner(row: PartnerRow) -> Partner:
    """A row of the settings as the referral layer knows it."""
    own = [tuple(text.split("|", 1)) for text in row.identifiers]
    if any(len(one) != 2 for one in own):
        raise SettingsError(f"partner {row.id}: identifiers are written system|value")
    return Partner(
        id=row.id, name=row.name, kind=row.kind, serves=row.serves, counties=row.counties, states=row.states, zips=row.zips,
        purpose=row.purpose, connector=row.connector, options=row.options, identifiers=tuple((s, v) for s, v in own),
        no_consent=row.no_consent, formats=row.formats, clearances=row.clearances, sdohcc=row.sdohcc,
        flags=row.flags, jurisdictions=row.jurisdictions, aliases=row.aliases,
        consent_max_age=row.consent_max_age_days, address=row.address,
    )


def connector_modules(site: Iterable[str] = ()) -> dict[str, tuple[str, str]]:
    """Connector name -> (module or file, where it comes from).

    The folders of `connectors_path` first, then the packaged ones, then entry points `sdoh_bridge.connectors`.
    """
    import connectors

    found = {file.parent.name: (str(file), "site") for folder in site for file in sorted(Path(folder).glob("*/connector.py"))}
    for one in iter_modules(connectors.__path__):
        if one.ispkg and find_spec(f"connectors.{one.name}.connector"):
            found.setdefault(one.name, (f"connectors.{one.name}.connector", "packaged"))
    for entry in entry_points(group="sdoh_bridge.connectors"):
        found.setdefault(entry.name, (entry.value, entry.dist.name if entry.dist else "installed"))
    return found


def load_connector(where: str) -> Any:
    """The connector's module, by its dotted name or its file."""
    if not where.endswith(".py"):
        return import_module(where)
    spec = spec_from_file_location(f"site_connector_{Path(where).parent.name}", where)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{where} cannot be loaded as a connector")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(slots=True)
class Connectors:
    """Opens a partner's connector when it is first needed, so that a broken one stops one partner, not the bridge."""

    settings: Settings
    publish: sdk.Publish | None = None
    _open: dict[str, Connector] = field(default_factory=dict)

    def __call__(self, partner_id: str) -> Connector:
        if partner_id not in self._open:
            row = next(one for one in self.settings.partner if one.id == partner_id)
            self._open[partner_id] = self.make(row)
        return self._open[partner_id]

    def make(self, row: PartnerRow) -> Connector:
        """Raises SettingsError naming partner and option when the connector cannot be made."""
        modules = connector_modules(self.settings.connectors_path)
        if row.connector not in modules:
            raise SettingsError(f"partner {row.id}: no connector {row.connector}; there are {', '.join(sorted(modules))}")
        module = load_connector(modules[row.connector][0])
        try:
            options = module.Options(**row.options)
            made: Connector = module.connect(options, sdk.Site(row.id, str(self.settings.state), self.publish))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
            raise SettingsError(f"partner {row.id}: connector {row.connector}: {faults}") from None
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return made

    def close(self) -> None:
        """Close every connector that was opened."""
        for one in self._open.values():
            one.close()
        self._open.clear()
