"""Drawing tokens: what is cut, who draws from which generator, and how often each token comes."""

from __future__ import annotations

import math

import pytest
import torch

from juicecap.vlm.backends.hf.sampler import PresencePenalty, RepetitionPenalty, SeededSampler, warp
from juicecap.vlm.base import Sampling

PROBABILITIES = [0.5, 0.2, 0.15, 0.1, 0.05]
LOGITS = torch.tensor([PROBABILITIES]).log()


def left(**sampling) -> list[int]:
    """The tokens that `warp` leaves."""
    return torch.isfinite(warp(LOGITS, Sampling(temperature=1.0, **sampling)))[0].nonzero()[:, 0].tolist()


@pytest.mark.parametrize(
    ("sampling", "tokens"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"top_k": 2}, [0, 1]),
        ({"top_k": 9}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.6}, [0, 1]),
        ({"top_p": 0.71}, [0, 1, 2]),
        ({"top_p": 0.01}, [0]),
        ({"min_p": 0.35}, [0, 1]),
        ({"min_p": 0.25}, [0, 1, 2]),
        ({"min_p": 1.0}, [0]),
        ({"top_k": 3, "top_p": 0.75}, [0, 1]),
        ({"top_p": 0.9, "min_p": 0.35}, [0, 1]),
    ],
)
def test_what_is_cut(sampling, tokens):
    assert left(**sampling) == tokens


def test_top_p_counts_what_top_k_left():
    # of 0.5, 0.2, 0.15 alone the first two are 0.82
    assert left(top_k=3, top_p=0.82) == [0, 1]
    assert left(top_p=0.82) == [0, 1, 2]


def test_temperature_comes_first():
    flat = warp(LOGITS, Sampling(temperature=2.0))
    assert torch.allclose(flat, LOGITS / 2)
    roots = [math.sqrt(each) for each in PROBABILITIES]
    assert torch.allclose(flat.softmax(-1)[0], torch.tensor(roots) / sum(roots))
    sharp = torch.isfinite(warp(LOGITS, Sampling(temperature=0.1, top_p=0.99)))[0]
    assert sharp.tolist() == [True, False, False, False, False]


def test_rows_are_cut_each_by_itself():
    both = warp(torch.cat([LOGITS, LOGITS.flip(1)]), Sampling(temperature=1.0, top_p=0.6))
    assert torch.isfinite(both).tolist() == [[True, True, False, False, False], [False, False, False, True, True]]


def draw(seeds, rows, steps=1, **sampling) -> list[list[int]]:
    sampler = SeededSampler(Sampling(**{"temperature": 1.0, **sampling}), list(seeds))
    drawn = []
    for _ in range(steps):
        scores = sampler(torch.zeros(len(rows), 1, dtype=torch.long), rows)
        assert torch.isfinite(scores).sum(1).tolist() == [1] * len(rows)
        drawn.append(scores.argmax(-1).tolist())
    return [list(row) for row in zip(*drawn, strict=True)]


def test_a_rows_draws_do_not_depend_on_the_other_rows():
    rows = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    together = draw(range(6), rows, steps=20)
    alone = [draw([seed], rows[seed : seed + 1], steps=20)[0] for seed in range(6)]
    backwards = draw(range(5, -1, -1), rows.flip(0), steps=20)[::-1]
    assert together == alone == backwards
    assert len(set(map(tuple, together))) == 6


def test_rows_of_one_seed_draw_alike_and_others_do_not():
    rows = LOGITS.repeat(3, 1)
    first, second, third = draw([7, 7, 8], rows, steps=40)
    assert first == second != third


def test_tokens_come_as_often_as_their_probability_says():
    count = 20_000
    drawn = torch.tensor(draw(range(count), LOGITS.repeat(count, 1)))[:, 0]
    shares = torch.bincount(drawn, minlength=5) / count
    assert torch.allclose(shares, torch.tensor(PROBABILITIES), atol=0.015)


def test_one_generator_draws_as_often_too():
    drawn = torch.tensor(draw([3], LOGITS, steps=10_000)[0])
    shares = torch.bincount(drawn, minlength=5) / len(drawn)
    assert torch.allclose(shares, torch.tensor(PROBABILITIES), atol=0.02)


def test_what_is_cut_is_never_drawn():
    drawn = {token for row in draw(range(2000), LOGITS.repeat(2000, 1), top_k=2) for token in row}
    assert drawn == {0, 1}


def test_a_noise_of_zero_draws_no_token_that_was_cut(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, **_: self.zero_())
    assert draw([1], LOGITS, top_k=1) == [[0]]


def test_scores_keep_their_type():
    scores = SeededSampler(Sampling(temperature=1.0), [1])(torch.zeros(1, 1, dtype=torch.long), LOGITS.to(torch.bfloat16))
    assert scores.dtype == torch.bfloat16


def test_presence_is_penalised_once_and_only_in_the_answer():
    ids = torch.tensor([[4, 4, 0, 1, 1], [4, 4, 2, 2, 2]])  # two tokens of prompt
    scores = PresencePenalty(0.5, 2)(ids, torch.ones(2, 5))
    assert scores.tolist() == [[0.5, 0.5, 1, 1, 1], [1, 1, 0.5, 1, 1]]
    assert PresencePenalty(0.5, 2)(ids[:, :2], torch.ones(2, 5)).tolist() == torch.ones(2, 5).tolist()


def test_repetition_is_the_librarys_where_nothing_is_padded():
    from transformers import RepetitionPenaltyLogitsProcessor

    ids = torch.tensor([[1, 3, 3, 0], [2, 2, 4, 4]])
    scores = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    ours = RepetitionPenalty(1.7, torch.ones(2, 2))(ids, scores)
    assert torch.equal(ours, RepetitionPenaltyLogitsProcessor(1.7)(ids, scores))


def test_padding_is_no_repetition():
    scores = torch.ones(1, 6)
    padded = RepetitionPenalty(2.0, torch.tensor([[0, 0, 1]]))(torch.tensor([[5, 5, 3, 1]]), scores)
    assert padded.tolist() == [[1, 0.5, 1, 0.5, 1, 1]]
    said = RepetitionPenalty(2.0, torch.tensor([[0, 0, 1]]))(torch.tensor([[5, 5, 3, 5]]), scores)
    assert said.tolist() == [[1, 1, 1, 0.5, 1, 0.5]]
