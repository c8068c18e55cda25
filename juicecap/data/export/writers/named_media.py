"""Media that an export names by paths: as they lie, or placed beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from juicecap.data.export.media_paths import path_rule
from juicecap.data.export.settings import MediaFolderExport, MediaMode
from juicecap.data.export.writers.captioned import Medium
from juicecap.data.export.writers.job import Job
from juicecap.data.export.writers.memory import Memory, Written
from juicecap.data.export.writers.names import Names
from juicecap.data.export.writers.placing import Placing, coming, remove_placed
from juicecap.data.writing.atomic import remove_temporaries
from juicecap.errors import DataError
from juicecap.naming import missing
from juicecap.sample import display_path, is_remote


class NamedMedia:
    """The paths of media in an export, and the media that it places."""

    def __init__(self, export: MediaFolderExport, job: Job) -> None:
        self._export, self._owner = export, job.owner
        self._base = os.path.realpath(export.folder)
        self._home = export.media_home
        self._memory = Memory(job.memory)
        mode: MediaMode = export.media if export.places_media else "hardlink"  # of parts that are cut
        self._placing = Placing(self._home, mode, self._memory, job, Names(self._memory.stems()))

    def paths(self, media: Sequence[tuple[str, Medium]]) -> list[str]:
        """The paths of media, which come with the names of their samples.

        Raises:
            DataError: one is missing, or cannot be placed.
            UsageError: as `Placing.add`.
        """
        self._placing.add([(name, medium) for name, medium in media if self._is_placed(medium)])
        return [self._path(name, medium) for name, medium in media]

    def write(self) -> None:
        """Place the media, and remove those that the export placed before and does not name any more.

        Raises:
            DataError, EnvironmentFailure: as `placing.put`.
        """
        if not self._placing.places and not self._memory.entries:
            return
        remove_temporaries(self._home, self._owner)
        self._memory.begin(coming(self._placing.places))
        gone = {name: entry for name, entry in self._memory.entries.items() if name not in self._placing.places}
        left = self._placing.write()
        self._memory.finish({**left, **self._not_removed(gone)})

    def _not_removed(self, gone: Mapping[str, Written]) -> dict[str, Written]:
        safe = {name: entry for name, entry in gone.items() if entry.medium and "/" not in entry.medium}
        return {name: entry for name, entry in safe.items() if not remove_placed(self._home, entry)}

    def _is_placed(self, medium: Medium) -> bool:
        return self._export.places_media or (medium.is_part and self._export.parts == "cut")

    def _path(self, name: str, medium: Medium) -> str:
        if self._is_placed(medium):
            target = os.path.abspath(self._placing.places[medium.path].target)
            return target if self._export.paths == "absolute" else os.path.relpath(target, os.path.abspath(self._export.folder))
        if not is_remote(medium.path) and not os.path.exists(medium.file):
            raise DataError(f"{name}: {display_path(medium.file)} {missing(medium.file)}. Nothing was exported there.")
        if self._export.paths == "as_written":
            return medium.written
        if self._export.paths == "auto" and os.path.abspath(medium.folder) == os.path.abspath(self._export.folder):
            return medium.written
        return path_rule(medium.folder, self._base, self._export.paths)(medium.written)
