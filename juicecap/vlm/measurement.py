"""Measurements of media: CPU work that an op asks for as it asks a model (`Request`), and that is journalled in the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from juicecap.media.tasks.catalog import HEADER, PICTURE_SIZE
from juicecap.media.tasks.task import Task, Work
from juicecap.vlm.base import JOURNAL_VERSION, Part, Request, canonical_json, digest_of


@dataclass(frozen=True)
class Measurement:
    """A task for one medium. Its outcome has the value that the task returns."""

    task: Task
    medium: Part
    params: str = "{}"
    """The task's parameters, as canonical JSON."""

    @classmethod
    def of(cls, task: Task, medium: Part, **params: Any) -> Self:
        """A task with these parameters, for a medium or the part that its path names.

        Raises:
            SampleError: as `Part.located`.
        """
        return cls(task, medium.located(), canonical_json(params))

    @classmethod
    def of_header(cls, path: str, picture_fps: float) -> Self:
        """The header of a video."""
        return cls.of(HEADER, Part("video", path), picture_fps=picture_fps)

    @classmethod
    def of_medium(cls, part: Part, picture_fps: float) -> Self:
        """The header of a video, or the size of an image."""
        return cls.of(PICTURE_SIZE, part) if part.kind == "image" else cls.of(HEADER, part, picture_fps=picture_fps)

    def files(self) -> list[Part]:
        """The files of its medium (`Part.files`)."""
        return self.medium.files()

    def work(self) -> Work:
        """The medium and the parameters as workers get them."""
        medium = self.medium
        return Work(
            kind=medium.kind, path=medium.value, params=json.loads(self.params), pictures=medium.pictures, span=medium.span
        )

    def digest(self, contents: Mapping[str, str]) -> str:
        """A hash of the medium, the task and its parameters; `contents` has what tells each file apart (`Task.known_by`).

        What a task writes has it as its name, and as the digest of its content.
        """
        task = self.task
        facts = [task.name, task.version, task.source, self.params, self.medium.kind, self.medium.content(contents)]
        return digest_of(["measurement", JOURNAL_VERSION, *facts])


Ask = Request | Measurement
"""What an op may ask about a sample."""
