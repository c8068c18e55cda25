"""The seeds of candidates. They follow from the recipe's seed and the request's key: the same question gets the same answers.

Neither the batch, nor the order, nor what was answered before changes a seed: candidate i has the seed of candidate 0 plus i, as
vLLM counts them for `n`.
"""

from __future__ import annotations


def first_seed(digest: str) -> int:
    """The seed of candidate 0, below 2**31. `digest` is one of the recipe's seed and the request's key."""
    return int(digest[:8], 16) >> 1


def candidate_seeds(first_seed: int, candidates: int, *, known: int = 0) -> range:
    """The seeds of the candidates of a request, without those of the `known` ones at its beginning."""
    return range(first_seed + known, first_seed + candidates)
