"""Work on media for the writers of exports: measures, and parts of films as files. It is asked of the decoding workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from juicecap.data.export.writers.captioned import Medium
from juicecap.errors import DataError, SampleError
from juicecap.media.tasks.catalog import CUT, FRAMES, HEADER, PICTURE_SIZE
from juicecap.media.tasks.task import Task
from juicecap.ops.options.media_options import MediaOptions
from juicecap.sample import display_path
from juicecap.vlm.base import Outcome, Part
from juicecap.vlm.journal import Journal
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.pipeline import core


class MediaTools:
    """See `data.export.writers.job.MediaTools`. What is measured is kept in the journal, and cut files in a folder."""

    def __init__(self, options: MediaOptions, media_folder: Path, journal: Journal | None) -> None:
        self._options, self._folder, self._journal = options, media_folder, journal

    def measured(self, names: Sequence[str], media: Sequence[Medium]) -> list[Mapping[str, Any]]:
        """The measures of these names for each medium."""
        headers = self._values(media, [self._header(medium) for medium in media])
        counts: list[Any] = [None] * len(media)
        if "frames" in names:
            films = [number for number, medium in enumerate(media) if medium.kind == "video"]
            asks = [self._of(FRAMES, media[number], picture_fps=self._options.picture_fps) for number in films]
            for number, count in zip(films, self._values([media[each] for each in films], asks), strict=True):
                counts[number] = count
        return [_facts(medium, value, count) for medium, value, count in zip(media, headers, counts, strict=True)]

    def cut(self, media: Sequence[Medium]) -> list[Path]:
        """A file for each part of a film."""
        values = self._values(media, [self._of(CUT, medium, copy=False) for medium in media])
        return [Path(value["path"]) for value in values]

    def _header(self, medium: Medium) -> Measurement:
        if medium.kind == "image":
            return self._of(PICTURE_SIZE, medium)
        return self._of(HEADER, medium, picture_fps=self._options.picture_fps)

    @staticmethod
    def _of(task: Task, medium: Medium, **params: Any) -> Measurement:
        try:
            return Measurement.of(task, Part(medium.kind, medium.path), **params)
        except SampleError as error:
            raise _not_exported(medium, error) from error

    def _values(self, media: Sequence[Medium], asks: Sequence[Measurement]) -> list[Any]:
        """The values of measurements.

        Raises:
            DataError: one cannot be made; names the medium.
        """
        if not asks:
            return []
        outcomes = core.ask(asks, self._options.limits(), self._journal, self._folder)
        return [_value(medium, outcome) for medium, outcome in zip(media, outcomes, strict=True)]


def _value(medium: Medium, outcome: Outcome) -> Any:
    try:
        outcome.raise_failure()
    except SampleError as error:
        raise _not_exported(medium, error) from error
    return outcome.value


def _not_exported(medium: Medium, error: SampleError) -> DataError:
    return DataError(f"{display_path(medium.path)} cannot be exported: {error}. Nothing was exported there.")


def _facts(medium: Medium, value: Any, count: int | None) -> dict[str, Any]:
    """All measures of a medium, from its header or its size, and the number of its frames."""
    is_image = medium.kind == "image"
    width, height = value if is_image else (value["width"], value["height"])
    return {
        "duration": None if is_image else value["duration"],
        "fps": None if is_image else value["fps"],
        "frames": 1 if is_image else count,
        "height": height,
        "height_over_width": height / width,
        "pixels": width * height,
        "size": {"height": height, "width": width},
        "width": width,
        "width_over_height": width / height,
    }
