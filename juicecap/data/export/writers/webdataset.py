"""WebDataset: tar files of numbered samples, each a medium, its caption as a text, and what is known of it as JSON.

Keys are numbers, since a dot in a key would begin the name of a field. Samples follow each other in the order of the dataset, and
nothing in a tar file tells of the time or the machine, so equal datasets have equal bytes. The index is YAML, as that of
`export.shards`: readers that take a whole folder would take JSON for samples.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from juicecap.data.export.settings import WebdatasetExport, bytes_of
from juicecap.data.export.shards import check_folder, replacing_shards
from juicecap.data.export.writers.captioned import Medium, caption_column, captioned_rows, check_there
from juicecap.data.export.writers.job import NO_CAPTION, ExportResult, Job
from juicecap.data.export.writers.names import suffix_of
from juicecap.data.table import chunks
from juicecap.data.writing.lines import json_text
from juicecap.errors import BugError, DataError
from juicecap.sample import Sample, visible

_CUT_AT_ONCE = 256


@dataclass
class _Entry:
    """A medium, its captions, and its sample without them."""

    name: str
    medium: Medium
    sample: Sample
    captions: list[str] = field(default_factory=list)


def prepare(export: WebdatasetExport, job: Job) -> PreparedShards:
    """Look at all samples.

    Raises:
        DataError: a medium is missing, a sample has several, or the folder holds something else.
    """
    check_folder(export.target)
    column = caption_column(job.dataset, export.caption, job.roles)
    media_keys = (job.roles.video_key, job.roles.image_key, column)
    found: dict[str, _Entry] = {}
    for sample, several in captioned_rows(job.dataset, job.roles, column):
        for about in several:
            rest = {key: value for key, value in visible(sample).items() if key not in media_keys}
            entry = found.setdefault(about.medium.path, _Entry(about.name, about.medium, rest))
            entry.captions += [caption for caption in about.captions if caption is not None]
    entries = [entry for entry in found.values() if entry.captions]
    for entry in entries:
        check_there([entry.medium], entry.name, "a shard")
        if not suffix_of(entry.medium):
            raise DataError(f"{entry.name}: {entry.medium.file} has no suffix, which is the name of its field in a shard")
    return PreparedShards(export, job, entries, len(found) - len(entries))


class PreparedShards:
    """Shards that are ready to be written."""

    def __init__(self, export: WebdatasetExport, job: Job, entries: Sequence[_Entry], left_out: int) -> None:
        self._export, self._job, self._entries, self._left_out = export, job, entries, left_out

    def write(self) -> ExportResult:
        """Write all shards and their index, in one step."""
        target, size = self._export.target, bytes_of(self._export.shard_size)
        shards: list[Mapping[str, Any]] = []
        with replacing_shards(target, self._job.owner, self._job.ready(target)) as folder:
            samples = self._samples()
            first = next(samples, None)
            while first:
                file = folder.path / f"shard-{len(shards):06d}.tar"
                rows, first = _write_shard(file, first, samples, size)
                shards.append({"file": file.name, "rows": rows, "bytes": file.stat().st_size})
            folder.write_index("webdataset", len(self._entries), shards)
        return ExportResult(
            to=target,
            kind=self._export.kind,
            preset=self._export.preset,
            rows=len(self._entries),
            left_out={NO_CAPTION: self._left_out} if self._left_out else {},
        )

    def _samples(self) -> Iterator[_Sample]:
        """The samples with the files of their media; a part of a film is cut."""
        number = 0
        for some in chunks(self._entries, _CUT_AT_ONCE):
            parts = [entry.medium for entry in some if entry.medium.is_part]
            cut = dict(zip((medium.path for medium in parts), self._job.tools.cut(parts), strict=True)) if parts else {}
            for entry in some:
                yield _Sample(f"{number:09d}", entry, cut.get(entry.medium.path) or Path(entry.medium.file))
                number += 1


@dataclass(frozen=True)
class _Sample:
    """A sample as it is written."""

    key: str
    entry: _Entry
    medium: Path

    def texts(self) -> dict[str, bytes]:
        """Its small members, by their suffixes."""
        facts = {**self.entry.sample, "captions": self.entry.captions, "name": Path(self.entry.medium.file).name}
        return {".json": json_text(facts).encode(), ".txt": self.entry.captions[0].encode()}


def _write_shard(file: Path, first: _Sample, samples: Iterator[_Sample], size: int) -> tuple[int, _Sample | None]:
    """Write samples until the shard is full; returns how many, and the sample that follows."""
    written = rows = 0
    following: _Sample | None = first
    with file.open("xb") as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            while following and (not rows or written < size):
                written += _add(tar, following)
                rows, following = rows + 1, next(samples, None)
        stream.flush()
        os.fsync(stream.fileno())
    with tarfile.open(file) as tar:
        found = sum(member.name.endswith(".txt") for member in tar)
    if found != rows:
        raise BugError(f"{file}: {rows} samples were written but {found} were read back. Nothing was exported.")
    return rows, following


def _add(tar: tarfile.TarFile, sample: _Sample) -> int:
    """Add a sample; returns its bytes."""
    with sample.medium.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        tar.addfile(_member(sample.key + suffix_of(sample.entry.medium), size), stream)
    for suffix, content in sample.texts().items():
        tar.addfile(_member(sample.key + suffix, len(content)), io.BytesIO(content))
        size += len(content)
    return size


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member
