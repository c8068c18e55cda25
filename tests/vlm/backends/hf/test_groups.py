"""Which requests go through the model in one call."""

from __future__ import annotations

import pytest
import torch

from juicecap.vlm.backends.hf import groups
from juicecap.vlm.backends.hf.groups import EncodedRequest, grouped
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling

COLD, WARM = Sampling(max_tokens=10), Sampling(max_tokens=10, temperature=0.5)


def member(place: int, tokens: int = 90, *, pixels: int = 4, sampling: Sampling = COLD, candidates: int = 1) -> EncodedRequest:
    """A member with rows of four bytes of pixels each."""
    request = Request(
        model=ModelSettings(model="m"),
        messages=(Message("user", (Part("text", "T"),)),),
        sampling=sampling,
        candidates=candidates,
    )
    row = {"input_ids": torch.zeros(1, tokens, dtype=torch.long), "pixel_values": torch.zeros(pixels // 4, 1)}
    return EncodedRequest(place, Prepared(request=request, pictures=(), seed=place), row)


def places(members: list[EncodedRequest]) -> list[list[int]]:
    return [[each.place for each in group] for group in grouped(members)]


def test_those_that_sample_alike_stand_together_in_order():
    members = [member(number, sampling=WARM if number % 2 else COLD, tokens=10 * number + 1) for number in range(6)]
    assert places(members) == [[0, 2, 4], [1, 3, 5]]
    assert places([]) == []


def test_greedy_requests_stand_together_whatever_their_number_of_candidates():
    assert places([member(0, candidates=3), member(1)]) == [[0, 1]]
    assert places([member(0, candidates=3, sampling=WARM), member(1, sampling=WARM)]) == [[0], [1]]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([90, 90, 90, 90], [[0, 1, 2], [3]]),
        ([90, 90, 110], [[0, 1], [2]]),  # all three would be as long as the longest
        ([110, 90, 90], [[0, 1], [2]]),
        ([500, 90, 500, 90, 90], [[0], [1], [2], [3, 4]]),
        ([20] * 10, [list(range(10))]),
    ],
)
def test_groups_with_many_tokens_are_cut(monkeypatch, lengths, expected):
    monkeypatch.setattr(groups, "MOST_TOKENS", 300)
    assert places([member(place, length) for place, length in enumerate(lengths)]) == expected


def test_candidates_count_where_they_are_generated(monkeypatch):
    monkeypatch.setattr(groups, "MOST_TOKENS", 400)
    assert places([member(place, candidates=2, sampling=WARM) for place in range(4)]) == [[0, 1], [2, 3]]
    assert places([member(place, candidates=2) for place in range(4)]) == [[0, 1, 2, 3]]


def test_groups_with_many_pixels_are_cut(monkeypatch):
    monkeypatch.setattr(groups, "MOST_BYTES", 100)
    sizes = [40, 40, 40, 400, 8, 92, 4]
    assert places([member(place, pixels=size) for place, size in enumerate(sizes)]) == [[0, 1], [2], [3], [4, 5], [6]]
