"""Files in a folder, one per delivery, for partners that read a shared or synchronised folder and for the embedded default."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bridge import sdk

NAME = "folder"
SUFFIX = {"application/fhir+json": ".json", "x-application/hl7-v2+er7": ".hl7"}


class Options(sdk.Options):
    """`path` is the folder; without it, `sent/<partner>` in the site's state folder."""

    path: str = ""


class Folder:
    """Writes `<delivery id>.<suffix>` atomically; the same id again replaces the same file, so twice is once."""

    def __init__(self, options: Options, site: sdk.Site) -> None:
        self.path = Path(options.path) if options.path else Path(site.state) / "sent" / site.partner

    def deliver(self, deliveries: Sequence[sdk.Delivery]) -> list[sdk.Receipt]:
        """Write every file, then its directory entry, durably; a full or missing disk is a passing fault."""
        return [self._write(delivery) for delivery in deliveries]

    def close(self) -> None:
        """Nothing is kept open."""

    def _write(self, delivery: sdk.Delivery) -> sdk.Receipt:
        target = self.path / (delivery.id + SUFFIX.get(delivery.content_type, ".bin"))
        unfinished = target.with_suffix(".part")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                file.write(delivery.body)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            return sdk.Receipt(delivery.id, "retry", f"folder: {error.strerror}", after=30.0)
        return sdk.Receipt(delivery.id, "sent")


def connect(options: Options, site: sdk.Site) -> sdk.Connector:
    """A connector for one partner."""
    return Folder(options, site)
