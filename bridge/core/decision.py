"""Who may see which resource, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Effect = Literal["permit", "redact", "deny"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the consent filter for one resource and one recipient.

    `redact_paths` are element paths below the resource (`reasonCode[1]`), set only when `effect` is redact.
    `rules` are rule ids of reference/consent.md 1.2 in the order they decided; `consents` are `id/version` of the
    consents that decided; `obligations` e.g. `part2-notice`; `review` asks a person to look.
    """

    effect: Effect
    rules: tuple[str, ...]
    redact_paths: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
