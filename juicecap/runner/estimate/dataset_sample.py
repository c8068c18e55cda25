"""A spread of a dataset's samples, and what the headers of their media say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.columns import column_names
from juicecap.data.table import CHUNK
from juicecap.errors import MediaError, UsageError
from juicecap.media.rules import MediaLimits
from juicecap.media.video.probe import VideoInfo
from juicecap.recipe import Recipe, missing_columns, taken_columns
from juicecap.recipe.problems import failure
from juicecap.runner.loading import load
from juicecap.sample import ORIGIN, short_repr
from juicecap.text import nearest
from juicecap.vlm.base import Limits, Outcome, Part, Request
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.pipeline import core

if TYPE_CHECKING:
    from datasets import Dataset

Header = VideoInfo | tuple[int, int] | MediaError
"""The header of a video, of an image (width and height), or why there is none."""

MOST_COMPARED = 10_000
"""Ids among which one is looked for that is like an unknown one."""

NEAR = 3
"""Ids that are offered in place of an unknown one."""

Medium = tuple[Part, float]
"""A medium of a request, and the pictures in a second if it is a film of such."""


def open_dataset(recipe: Recipe, cache: Path | None = None, *, limit: int | None = None) -> Dataset:
    """The recipe's dataset, as a run with this `limit` opens it: the records that can be read.

    Its Arrow file is kept in the folder `cache`.

    Raises:
        RecipeError: an op needs a column that it lacks.
        DataError: it cannot be read.
    """
    dataset = load(recipe, cache, limit).dataset
    columns = column_names(dataset.features)
    if wrong := [*missing_columns(recipe, columns), *taken_columns(recipe, columns)]:
        raise failure(wrong, recipe.source.text)
    return dataset


def spread(total: int, wanted: int) -> list[int]:
    """`wanted` numbers below `total` in order, one at random from each of equal stretches; all of them if there are not more.

    The same for the same arguments. Datasets are often periodic, so that a fixed step would see some kinds of samples only.
    """
    if total <= wanted:
        return list(range(total))
    draw = random.Random(total)  # noqa: S311  (a draw, not a secret)
    edges = [number * total // wanted for number in range(wanted + 1)]
    return [draw.randrange(low, high) for low, high in itertools.pairwise(edges)]


def rows_called(ids: Sequence[str], dataset: Dataset) -> list[int]:
    """The numbers of the rows whose samples have these ids, each once, in the order of the ids.

    Raises:
        UsageError: no sample has one of them; near ids are in the message.
    """
    wanted = dict.fromkeys(ids)
    found: dict[str, int] = {}
    others: list[str] = []
    for row, name in enumerate(_names(dataset)):
        if name in wanted:
            found.setdefault(name, row)
            if len(found) == len(wanted):
                return [found[each] for each in wanted]
        elif len(others) < MOST_COMPARED:
            others.append(name)
    unknown = next(each for each in wanted if each not in found)
    near = " or ".join(map(short_repr, nearest(unknown, others, NEAR)))
    raise UsageError(f"--samples: none of the {len(dataset):,} samples is called {short_repr(unknown)}; did you mean {near}?")


def _names(dataset: Dataset) -> Iterator[str]:
    """The ids of a dataset's samples, in order."""
    return (origin["id"] for batch in dataset.select_columns([ORIGIN]).iter(CHUNK) for origin in batch[ORIGIN])


def media_of(requests: Iterable[Request]) -> list[Medium]:
    """The media of requests, in order."""
    return [(part, request.frames_of(part).picture_fps) for request in requests for part in request.media()]


class Headers:
    """What the headers of media say; each file is read once, in worker processes."""

    def __init__(self) -> None:
        self.known: dict[tuple[Medium, MediaLimits], Header] = {}

    def read(self, media: Iterable[Medium], rules: MediaLimits) -> dict[Medium, Header]:
        """What these media say, which are read if they have not been read within these rules."""
        wanted = list(dict.fromkeys(media))
        new = [each for each in wanted if (each, rules) not in self.known]
        outcomes = core.ask([Measurement.of_medium(*medium) for medium in new], Limits(media=rules))
        self.known |= {(each, rules): _header(outcome) for each, outcome in zip(new, outcomes, strict=True)}
        return {each: self.known[each, rules] for each in wanted}


def _header(outcome: Outcome) -> Header:
    if failure := outcome.failure:
        return MediaError(failure.code, failure.message, retryable=failure.retryable)
    if isinstance(outcome.value, dict):
        return VideoInfo(**outcome.value)
    width, height = outcome.value
    return width, height
