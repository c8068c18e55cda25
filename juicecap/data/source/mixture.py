"""Several datasets as one, as Data-Juicer writes them: paths in one text, each behind its weight (`0.7 a.jsonl 0.3 b.jsonl`).

All rows of all datasets come, in order. With `max_sample_num` so many are drawn: from each dataset its share by weight, or all
that it has if those are fewer; no row twice. What is drawn depends on the seed and on the numbers of rows alone.
"""

from __future__ import annotations

import os
import random
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from juicecap.data import source
from juicecap.data.source.joined import joined
from juicecap.data.source.options import SourceOptions
from juicecap.errors import DataError
from juicecap.notice import say_once

if TYPE_CHECKING:
    from datasets import Dataset


class Share(NamedTuple):
    """A dataset of a mixture."""

    path: str
    weight: float


def shares_of(path: str) -> list[Share]:
    """The datasets that a text names; none if it is the path of one."""
    if os.path.exists(path) or not any(letter.isspace() for letter in path.strip()):
        return []
    try:
        words = shlex.split(path)
    except ValueError:
        return []
    shares: list[Share] = []
    weight: float | None = None
    for word in words:
        number = _number(word)
        if number is not None and weight is None and not os.path.exists(word):
            weight = number
            continue
        shares.append(Share(word, 1.0 if weight is None else weight))
        weight = None
    weighted = _number(words[0]) is not None
    return shares if weight is None and (weighted or all(os.path.exists(each.path) for each in shares)) else []


def paths_of(path: str) -> list[str]:
    """The path itself, or those of a mixture's datasets."""
    return [each.path for each in shares_of(path)] or [path]


def written(shares: Sequence[Share]) -> str:
    """The text that names these datasets."""
    return " ".join(f"{each.weight:g} {shlex.quote(each.path)}" for each in shares)


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a mixture.

    Raises:
        DataError: one of them cannot be read.
    """
    shares = shares_of(path)
    most = options.max_sample_num
    if most is None and len({share.weight for share in shares}) > 1:
        say_once(f"the weights of {path} do nothing without max_sample_num: all rows of all datasets are taken")
    parts = [source.opened(share.path, replace(options, limit=None, max_sample_num=None)) for share in shares]
    if most is not None:
        counts = sample_numbers([share.weight for share in shares], most)
        parts = [_drawn(part, count, options.seed + index) for index, (part, count) in enumerate(zip(parts, counts, strict=True))]
        parts = [part for part in parts if len(part)]
    whole = joined(parts, [path, most, options.seed if most is not None else 0, options.limit], options.cache_folder)
    return whole if options.limit is None else whole.select(range(min(options.limit, len(whole))), keep_in_memory=True)


def sample_numbers(weights: Sequence[float], most: int) -> list[int]:
    """How many rows each weight gives of `most`: rounded down, and what is left goes to the largest remainders."""
    exact = [weight / sum(weights) * most for weight in weights]
    counts = [int(each) for each in exact]
    by_rest = sorted(range(len(counts)), key=lambda index: (counts[index] - exact[index], index))
    for index in by_rest[: most - sum(counts)]:
        counts[index] += 1
    return counts


def _drawn(part: Dataset, count: int, seed: int) -> Dataset:
    if count >= len(part):
        return part
    rows = sorted(random.Random(seed).sample(range(len(part)), count))  # noqa: S311  (a draw, not a secret)
    return part.select(rows, keep_in_memory=True)


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    if not 0 < number < float("inf"):
        raise DataError(f"the weight {word} of a dataset must be larger than 0.")
    return number
