"""Opening the dataset of a run: readable records go to the first op, and each unreadable one is a rejection."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.broken import broken_rows, sound_rows
from juicecap.data.source import open_source
from juicecap.ops.apply.fate import rejection
from juicecap.ops.apply.table import Counts
from juicecap.ops.options.media_options import MediaOptions
from juicecap.recipe import Recipe
from juicecap.runner.result import StepResult
from juicecap.sample import BROKEN, FATE

if TYPE_CHECKING:
    from datasets import Dataset

LOADING = "load_dataset"
"""The name in place of an op's in rejections of records that cannot be read."""

CODE = "BROKEN_RECORD"


@dataclass(frozen=True)
class LoadedDataset:
    """The dataset of a run."""

    everything: Dataset
    """All rows, including those of records that cannot be read."""
    dataset: Dataset
    """The records that could be read: the input of the first op."""
    seconds: float

    @property
    def results(self) -> tuple[StepResult, ...]:
        """The result of loading as a step before the first op, if any record was rejected."""
        taken, kept = len(self.everything), len(self.dataset)
        if taken == kept:
            return ()
        counts = Counts(
            taken=taken,
            kept=kept,
            filtered=0,
            rejected=taken - kept,
            given=kept,
            **dict.fromkeys(("captions", "truncated", "prompt_tokens", "completion_tokens", "failed"), 0),
        )
        reasons = Counter({CODE: taken - kept})
        return (StepResult(op=LOADING, counts=counts, seconds=self.seconds, finished_before=False, reasons=reasons),)

    def rejections(self) -> Iterator[dict[str, Any]]:
        """A `rejected.jsonl` record for each record that cannot be read, in order."""
        for row in broken_rows(self.everything):
            broken = row.pop(BROKEN)
            message = f"{broken['where']}: {broken['reason']}"
            row[FATE] = {"code": CODE, "message": message, "attempts": 1, "retryable": False, "when": broken["when"]}
            yield rejection(row, LOADING, ())


def load(recipe: Recipe, cache: Path | None, limit: int | None, media: Path | None = None) -> LoadedDataset:
    """Open the dataset; its Arrow file is kept in the folder `cache`, by default in the cache of `datasets`.

    Media that lie inside of it are written into the folder `media`, by default beside the Arrow file.

    Raises:
        DataError: it cannot be read, or not one of its records can, or one cannot and the recipe says `on_error: stop`.
        EnvironmentFailure: the disk is full or the Hub cannot be reached.
    """
    began = time.monotonic()
    limits = [step.op.media_max_mb for step in recipe.steps if isinstance(step.op, MediaOptions)]
    everything = open_source(
        recipe.dataset_path,
        cache_folder=cache,
        media_home=media,
        video_key=recipe.video_key,
        image_key=recipe.image_key,
        audio_key=recipe.audio_key,
        suffixes=recipe.suffixes,
        sidecar_suffix=recipe.sidecar_suffixes,
        limit=limit,
        media_max_mb=max(limits, default=MediaOptions.media_max_mb),
        keep_broken=recipe.on_error != "stop",
        max_sample_num=recipe.max_sample_num,
        seed=recipe.seed,
    )
    dataset = sound_rows(everything, everything._fingerprint)  # noqa: SLF001  (there is no public name for it)
    return LoadedDataset(everything, dataset, time.monotonic() - began)
