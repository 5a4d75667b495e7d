"""Keyed identities: the same input gives the same id, and nobody who holds an id can guess what is behind it."""

from __future__ import annotations

import hashlib
import zlib

SHARDS = 64
"""Chosen once; changing it means draining every shard first (DESIGN decision 6)."""

BLOCK = 64
"""Bytes of a block of SHA-256, to which HMAC fills its key (RFC 2104)."""

VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The digit of a UUID that says its variant, by the digit it replaces (RFC 9562 section 4.1)."""


class Ids:
    """HMAC-SHA256 with the site's secret over length-prefixed parts, written as a UUID (version 8, RFC 9562)."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        key = (secret if len(secret) <= BLOCK else hashlib.sha256(secret).digest()).ljust(BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]))
        self._outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]))

    def digest(self, *parts: str) -> bytes:
        """32 keyed bytes; parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(b"".join([len(raw).to_bytes(4, "big") + raw for raw in map(str.encode, parts)]))
        outer.update(inner.digest())
        return outer.digest()

    def uuid(self, *parts: str) -> str:
        """A keyed UUID, for example `uuid("epic-general", "Patient", system, value)`."""
        text = self.digest(*parts).hex()
        return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"

    def pairwise(self, recipient: str, type_: str, id_: str) -> str:
        """The id this recipient sees for a resource; two recipients cannot compare notes (DESIGN decision 7)."""
        return self.uuid("pairwise", recipient, type_, id_)


def shard(key: str) -> int:
    """The shard of a patient key: crc32 modulo 64, frozen, so an order kept once is kept for ever."""
    return zlib.crc32(key.encode()) % SHARDS
