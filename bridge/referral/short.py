"""The reference that is printed for people: eight characters that survive a telephone, the last one a check.

Crockford's base 32 (no I, L, O, U) with a Luhn check modulo 32, which finds every single wrong character and almost
every pair that was swapped.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ = {character: index for index, character in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
LENGTH = 8


def make(digest: bytes) -> str:
    """The reference of a keyed digest (at least 5 bytes: 35 of its bits are used)."""
    number = int.from_bytes(digest[:5], "big") >> 5
    body = "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 2), -1, -5))
    return body + ALPHABET[_check(body)]


def read(text: str) -> str:
    """What a person typed, as the reference it stands for; "" when it is none.

    Case, blanks and hyphens do not matter; O reads as 0, I and L as 1.
    """
    kept = text.upper().replace("-", "").replace(" ", "")
    if len(kept) != LENGTH or any(character not in _READ for character in kept):
        return ""
    known = "".join(ALPHABET[_READ[character]] for character in kept)
    return known if ALPHABET[_check(known[:-1])] == known[-1] else ""


def _check(body: str) -> int:
    total = 0
    for place, character in enumerate(reversed(body)):
        value = _READ[character] * (2 - place % 2)
        total += value // 32 + value % 32
    return -total % 32
