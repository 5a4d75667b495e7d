"""A partner: an organisation that we refer to, or that answers us, as the settings describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.core.ids import Ids
from bridge.referral.terms import PARTNER, US_ORGANIZATION


@dataclass(frozen=True, slots=True)
class Partner:
    """One row of the partner register.

    `id` is the settings' key, `kind` the payload projection (`cbo-minimum`, `meals`, `housing`, `ehr`, ...).
    `serves` are SDOHCC category codes, or programme names of its own. The area is covered as `covers` says.
    `purpose` is a v3 PurposeOfUse code. `connector` and `options` say how it is reached. `identifiers` are
    (system, value) of the organisation. `no_consent` is what its contract says when no consent speaks (`deny`, or `permit`
    for data of normal confidentiality). `formats` are those in which a hospital wants answers. `clearances` are compartments
    it may see. `sdohcc` is the release of SDOH Clinical Care that it speaks. `flags` and `jurisdictions` are what rules of the
    house ask about it. `consent_max_age`: days after which our copy of a consent permits nothing for it (0: no limit). `address`
    is for the accounting of disclosures. `aliases` are references by which others name it: absolute ones, or
    `hospital-id/Organization/123` for a relative one of that hospital's server.
    """

    id: str
    name: str
    kind: str = "cbo-minimum"
    serves: tuple[str, ...] = ()
    counties: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    zips: tuple[str, ...] = ()
    purpose: str = "TREAT"
    connector: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    identifiers: tuple[tuple[str, str], ...] = ()
    no_consent: str = "deny"
    formats: tuple[str, ...] = ("fhir",)
    clearances: tuple[str, ...] = ()
    sdohcc: str = "3.0"
    flags: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    consent_max_age: int = 0
    address: str = ""
    aliases: tuple[str, ...] = ()

    def covers(self, address: Mapping[str, Any]) -> bool:
        """Whether a FHIR Address lies in the partner's area.

        A partner without an area serves everywhere. Counties and ZIP codes each name what is covered (a ZIP entry may
        be a prefix, `010`); `states` narrows them, since county names repeat across states, and stands alone if it is
        all there is. A county is `York`, `York County` or `VA/York`.
        """
        state, narrow = _fold(address.get("state", "")), bool(self.counties or self.zips)
        in_state = state in [_fold(entry) for entry in self.states]
        if not narrow:
            return in_state or not self.states
        if self.states and state and not in_state:
            return False
        county, code = _county(address.get("district", "")), _zip(address.get("postalCode", ""))
        known = {county, f"{state}/{county}"} if county else set()
        return any(_county(entry) in known for entry in self.counties) or any(
            code.startswith(entry.strip()) for entry in self.zips if code and entry.strip()
        )


def organization(partner: Partner, ids: Ids) -> dict[str, Any]:
    """The US Core Organization that stands for a partner; its id is keyed by the partner's."""
    own = [{"system": system, "value": value} for system, value in partner.identifiers]
    return {
        "resourceType": "Organization", "id": ids.uuid("Organization", PARTNER, partner.id),
        "meta": {"profile": [US_ORGANIZATION]},
        "identifier": [{"system": PARTNER, "value": partner.id}, *own], "active": True, "name": partner.name,
    }


def reference(partner: Partner, ids: Ids) -> dict[str, Any]:
    """A Reference to a partner's Organization that also names the partner, so that ownership can be read off it."""
    return {
        "reference": f"Organization/{ids.uuid('Organization', PARTNER, partner.id)}",
        "identifier": {"system": PARTNER, "value": partner.id}, "display": partner.name,
    }


def owner(task: Mapping[str, Any]) -> str:
    """The partner id of Task.owner; "" for an open Task that nobody has claimed."""
    identifier = task.get("owner", {}).get("identifier", {})
    return identifier.get("value", "") if identifier.get("system") == PARTNER else ""


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


def _county(text: str) -> str:
    head, slash, tail = _fold(text).rpartition("/")
    return head.strip() + slash + tail.strip().removesuffix(" county").removesuffix(" parish")


def _zip(text: str) -> str:
    digits = "".join(character for character in text if character.isdigit())
    return digits[:5].zfill(5) if 3 <= len(digits) < 5 else digits[:5]
