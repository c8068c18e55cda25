"""Drawing tokens with one generator per candidate, so that an answer does not depend on who else is in the batch.

transformers draws a whole batch from one generator. `SeededSampler` is a logits processor that does all of the sampling
itself and leaves one finite logit for each row, so that the library's own draw has no choice. Own processors run before the
library's warpers; those are left neutral.

Method: logits / temperature, then top-k, top-p and min-p in this order (that of transformers and vLLM), then the Gumbel-max
trick: adding independent Gumbel noise to the logits and taking the largest draws from their softmax (Gumbel 1954; Maddison,
Tarlow and Minka 2014).
"""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from juicecap.vlm.base import Sampling


class SeededSampler(LogitsProcessor):
    """Draws the next token of each row from that row's own generator.

    `seeds` has one seed for each row of the batch, candidates of a request side by side.
    """

    def __init__(self, sampling: Sampling, seeds: list[int]) -> None:
        self._sampling, self._seeds = sampling, seeds
        self._generators: list[torch.Generator] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` (rows, vocabulary) to scores with one finite entry in each row, at the token that was drawn."""
        del input_ids
        if not self._generators:  # scores come on the device of the model's last layer, which is known only now
            self._generators = [torch.Generator(scores.device).manual_seed(seed) for seed in self._seeds]
        logits = warp(scores.float(), self._sampling)
        noise = torch.empty_like(logits)
        for row, generator in zip(noise, self._generators, strict=True):
            row.exponential_(generator=generator)
        noise.clamp_min_(torch.finfo(noise.dtype).tiny)  # a zero would draw a token that was cut
        drawn = (logits - noise.log()).argmax(dim=-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


class RepetitionPenalty(LogitsProcessor):
    """Divides the positive and multiplies the negative logits of all tokens met so far, prompt included (Keskar et al. 2019).

    The library's own one also counts the padding in front of a shorter prompt, so that its answer would depend on its
    neighbours. `mask` (rows, prompt length) is 0 there.
    """

    def __init__(self, penalty: float, mask: torch.Tensor) -> None:
        self._penalty, self._mask = penalty, mask.bool()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(rows, length) ids and (rows, vocabulary) scores to scores."""
        length = self._mask.shape[1]
        met = torch.zeros_like(scores, dtype=torch.bool)
        met.scatter_(1, input_ids[:, length:], torch.ones_like(input_ids[:, length:], dtype=torch.bool))
        met |= torch.zeros_like(scores).scatter_add_(1, input_ids[:, :length], self._mask.to(scores.dtype)) > 0
        return torch.where(met, torch.where(scores > 0, scores / self._penalty, scores * self._penalty), scores)


class PresencePenalty(LogitsProcessor):
    """Lowers the logit of each token that the answer already holds, once, however often it stands there."""

    def __init__(self, penalty: float, prompt_length: int) -> None:
        self._penalty, self._prompt_length = penalty, prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(rows, length) ids and (rows, vocabulary) scores to scores."""
        said = torch.zeros_like(scores)
        said.scatter_(1, input_ids[:, self._prompt_length :], 1.0)
        return scores - self._penalty * said


def warp(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Apply temperature (> 0), top-k, top-p and min-p to (rows, vocabulary) logits; what is cut becomes -inf."""
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if sampling.top_p < 1.0:
        logits = _nucleus(logits, sampling.top_p)
    if sampling.min_p > 0.0:
        probabilities = logits.softmax(dim=-1)
        least = sampling.min_p * probabilities.amax(dim=-1, keepdim=True)
        logits = logits.masked_fill(probabilities < least, -torch.inf)
    return logits


def _nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest tokens whose probabilities reach `top_p`, the likeliest one always."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    return logits.masked_fill(torch.zeros_like(logits, dtype=torch.bool).scatter_(1, order, before >= top_p), -torch.inf)
