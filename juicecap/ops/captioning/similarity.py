"""Which of several texts is most like a reference, by 64-bit simhash as Data-Juicer computes it.

Lower-case, split on spaces (several in a row are one), shingles of two words joined by a space; a shingle's hash is the first 8
bytes of its MD5, big-endian; a bit of the simhash is set if more shingles have it than not; the distance is the number of bits
that differ (Charikar 2002, as in the package simhash).

A text of one word (every Chinese caption) has no such shingle. If any of the texts compared has none, all of them are cut
into shingles of two characters instead.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
from collections.abc import Callable, Sequence

from juicecap.text import valid

Shingles = Callable[[str], list[str]]


def most_similar(reference: str, candidates: Sequence[str]) -> int:
    """The index of the candidate nearest to `reference`, the first one on ties."""
    texts = [valid(text) for text in (reference, *candidates)]
    shingles = _words if all(_words(text) for text in texts) else _characters
    target, *hashes = (simhash(shingles(text)) for text in texts)
    distances = [(target ^ value).bit_count() for value in hashes]
    return distances.index(min(distances))


def simhash(shingles: Sequence[str]) -> int:
    """64-bit simhash of shingles, each counted as often as it occurs; 0 for none."""
    if not shingles:
        return 0
    maker = getattr(importlib.import_module("simhash"), "Simhash", None)
    if maker is not None:
        return int(maker(list(shingles), f=64, hashfunc=_digest).value)
    return _own_simhash(shingles)  # another package uses the same module name


def _own_simhash(shingles: Sequence[str]) -> int:
    hashes = [int.from_bytes(_digest(shingle.encode("utf-8")), "big") for shingle in shingles]
    return sum(1 << bit for bit in range(64) if 2 * sum(value >> bit & 1 for value in hashes) > len(hashes))


def _digest(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()[:8]


def _words(text: str) -> list[str]:
    words = [word for word in text.lower().split(" ") if word]
    return [f"{left} {right}" for left, right in itertools.pairwise(words)]


def _characters(text: str) -> list[str]:
    text = text.lower()
    return [text[index : index + 2] for index in range(max(1, len(text) - 1))]
