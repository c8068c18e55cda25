"""Which of a batch's requests go through the model in one call.

Requests stand together if they sample alike and their tensors fit each other. A large group is halved by the length of its
prompts, since every prompt is padded to the longest of its call, and one that would be too heavy is cut. Neither depends on
time or memory, so that the same batch is always cut alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from juicecap.vlm.backends.hf.inputs import PER_TOKEN, Row, shape_key
from juicecap.vlm.base import Prepared

HALVED_ABOVE = 16
"""Requests above which a group goes through the model in two calls, shorter prompts first."""

MOST_TOKENS = 2**18
"""Tokens that one call may hold, padding, candidates and answers included: some 30 GB of cache in a model of 8 B parameters."""

MOST_BYTES = 2**30
"""Bytes of pixels that one call may read."""


class EncodedRequest(NamedTuple):
    """A request with its tensors, and its place in the batch."""

    place: int
    prepared: Prepared
    row: Row

    @property
    def tokens(self) -> int:
        """Length of the prompt."""
        return int(self.row["input_ids"].shape[1])

    @property
    def candidates(self) -> int:
        """How many answers are generated: greedy ones are all alike."""
        return len(self.prepared.seeds) if self.prepared.request.sampling.temperature > 0 else 1

    @property
    def pixels(self) -> int:
        """Bytes of what is not text."""
        return sum(tensor.nbytes for name, tensor in self.row.items() if name not in PER_TOKEN)


def grouped(members: Iterable[EncodedRequest]) -> list[list[EncodedRequest]]:
    """The members by how they sample, each group halved or cut. A member stands alone if it must."""
    alike: dict[object, list[EncodedRequest]] = {}
    for member in members:
        key = (member.prepared.request.sampling, member.candidates, shape_key(member.row))
        alike.setdefault(key, []).append(member)
    return [part for group in alike.values() for half in _halved(group) for part in _cut(half)]


def _halved(group: list[EncodedRequest]) -> list[list[EncodedRequest]]:
    if len(group) <= HALVED_ABOVE:
        return [group]
    by_length = sorted(group, key=lambda member: member.tokens)
    middle = len(group) // 2
    return [by_length[:middle], by_length[middle:]]


def _cut(group: list[EncodedRequest]) -> list[list[EncodedRequest]]:
    parts: list[list[EncodedRequest]] = []
    longest = pixels = 0
    for member in group:
        longest, pixels = max(longest, member.tokens), pixels + member.pixels
        rows = (len(parts[-1]) + 1 if parts else 1) * member.candidates
        heavy = rows * (longest + member.prepared.request.sampling.max_tokens) > MOST_TOKENS or pixels > MOST_BYTES
        if heavy or not parts:
            parts.append([])
            longest, pixels = member.tokens, member.pixels
        parts[-1].append(member)
    return parts
