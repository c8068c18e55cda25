"""WebDataset shards: tar files in which neighbours of one name are one sample, `000.mp4`, `000.txt` and `000.json`.

Videos, pictures and sounds are unpacked into files of their own as they are met, and stand in the columns of their kind as
`SHARD/MEMBER`; texts and JSON stand in columns that are named by their suffix, and the name in `__key__`. Members of other
kinds (arrays, pickles) are left out, and that is said once; nothing is ever unpickled.

`path` is a shard, a folder of shards, or a pattern with `*` or `{000..012}`.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import posixpath
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from juicecap.data.record import BrokenRecord, Record, decoded, not_json, parse_object, reason_of, unreadable
from juicecap.data.source.options import Options
from juicecap.data.source.unpack import media_folder, put
from juicecap.data.table import dataset_of_records, file_key, fingerprint_of
from juicecap.errors import DataError
from juicecap.notice import say_once

if TYPE_CHECKING:
    from datasets import Dataset

SUFFIXES = (".tar", ".tar.gz", ".tgz")
TEXTS = ("caption", "cls", "cls2", "id", "index", "text", "transcript", "txt")
"""Suffixes of members that are text."""

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of the shards; media are below a folder beside its Arrow file."""
    shards = shards_of(path)

    def key() -> list[object]:
        return [path, options.video_key, options.image_key, options.audio_key, *map(file_key, shards)]

    folder = media_folder(options.cache_folder, fingerprint_of(*key()))
    return dataset_of_records(
        partial(records, shards, folder, options),
        key=key,
        folder=folder,
        empty=f"{path} has no samples. Give shards with at least one.",
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )


def is_pattern(path: str) -> bool:
    """Whether a path names several shards."""
    return path.lower().endswith(SUFFIXES) and ("*" in path or _RANGE.search(path) is not None)


def shards_of(path: str) -> list[Path]:
    """The shards that a path names, in order of names.

    Raises:
        DataError: one does not exist, or there are none.
    """
    place = Path(path)
    if place.is_dir():
        return sorted(each for each in place.iterdir() if each.name.lower().endswith(SUFFIXES) and each.name[0] != ".")
    if not is_pattern(path):
        return [place]
    found = [each for name in _expanded(path) for each in _matching(name)]
    if missing := next((each for each in found if not each.is_file()), None):
        raise DataError(f"{missing} does not exist, which {path} names.")
    if not found:
        raise DataError(f"{path} matches no file.")
    return found


def records(shards: list[Path], folder: Path, options: Options) -> Iterator[Record]:
    """The samples of the shards; their media are unpacked into `folder`.

    Raises:
        DataError: a shard cannot be read, or a member would be written elsewhere.
        EnvironmentFailure: a medium cannot be written.
    """
    root = os.path.commonpath([shard.absolute().parent for shard in shards])
    for shard in shards:
        try:
            yield from _samples(shard, os.path.relpath(shard.absolute(), root), folder, options)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise DataError(f"{shard} cannot be read as a tar file: {reason_of(error)}. Fetch or write it again.") from error
        except OSError as error:
            raise unreadable(shard, error) from error


def _samples(shard: Path, name: str, folder: Path, options: Options) -> Iterator[Record]:
    seen: set[str] = set()
    for sample, members in itertools.groupby(_members(shard), key=lambda member: _key(member[0].name)):
        if sample in seen:
            raise DataError(f"{shard}: the members of {sample!r} do not stand together. Write it again, sorted by name.")
        seen.add(sample)
        where = f"{shard}:{sample}"
        values: dict[str, Any] = {"__key__": sample}
        broken = ""
        for member, stream in members:
            try:
                _take(values, member, stream, f"{name}/{member.name}", folder, options, where)
            except BrokenRecord as error:
                broken = error.reason
        yield Record(f"{name}:{sample}", where, {} if broken else values, broken)


def _members(shard: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with tarfile.open(shard) as tar:
        for member in tar:
            if posixpath.basename(member.name).startswith(("__", ".")) or member.isdir():
                continue
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is None:
                say_once(f"{shard.name}: members that are no files, such as {member.name!r}, are left out")
                continue
            _check_name(member, shard)
            yield member, stream
            tar.members = []  # type: ignore[attr-defined]  # else it remembers every one of them


def _check_name(member: tarfile.TarInfo, shard: Path) -> None:
    name = member.name
    if posixpath.isabs(name) or ".." in name.split("/") or not name.isprintable():
        raise DataError(f"{shard}: the member {name!r} would be unpacked elsewhere. Write the shard again with plain names.")


def _key(name: str) -> str:
    """The name up to the first dot of its last part."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _take(
    values: dict[str, Any], member: tarfile.TarInfo, stream: IO[bytes], path: str, folder: Path, options: Options, where: str
) -> None:
    column = options.media_column(member.name)
    suffix = posixpath.basename(member.name).partition(".")[2].lower()
    if column:
        put(folder / path, member.size, partial(_copy, stream))
        values.setdefault(column, []).append(path)
    elif suffix in TEXTS:
        values[suffix] = decoded(stream.read(), where)
    elif suffix == "json":
        values[suffix] = _json(decoded(stream.read(), where), where)
    else:
        _say_left_out(suffix)


def _copy(source: IO[bytes], target: BinaryIO) -> None:
    shutil.copyfileobj(source, target, 1 << 20)


def _json(text: str, where: str) -> Any:
    if text.lstrip().startswith("{"):
        return parse_object(text, where)
    try:
        return json.loads(text)
    except ValueError as error:
        raise BrokenRecord(where, not_json(reason_of(error))) from None


@functools.cache
def _say_left_out(suffix: str) -> None:
    say_once(f"members of shards with the suffix {suffix!r} are left out: they are neither media, nor text, nor JSON")


def _expanded(path: str) -> list[str]:
    match = _RANGE.search(path)
    if not match:
        return [path]
    first, last = match.groups()
    numbers = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return [name for number in numbers for name in _expanded(path[: match.start()] + number + path[match.end() :])]


def _matching(name: str) -> list[Path]:
    place = Path(name)
    return sorted(place.parent.glob(place.name)) if "*" in place.name else [place]
