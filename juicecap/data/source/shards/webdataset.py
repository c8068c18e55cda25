"""WebDataset shards: tar files in which neighbours of one name are one sample, `000.mp4`, `000.txt` and `000.json`.

A name ends at its first dot, so that `000.left.png` and `000.right.png` are one sample. But where a medium and its text come
first under a name that has dots itself (`clip.v1.0.mp4`, `clip.v1.0.txt`), such names are samples up to their last dot.

Videos, pictures and sounds are unpacked into files of their own, and stand in the columns of their kind as `SHARD/MEMBER`; texts
and JSON stand in columns that are named by their suffix, and the name in `__key__`. Members of other kinds (arrays, pickles) are
left out, which is logged once; nothing is ever unpickled.

`path` is a shard, a folder of shards, or a pattern with `*` or `{000..012}`.
"""

from __future__ import annotations

import itertools
import math
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.compressed import Allowance, unpacked
from juicecap.data.record import LONGEST, BrokenRecord, Record, decoded, parse_object, parse_value, unreadable
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.shards.tar import Member, Tar, TarError
from juicecap.data.source.unpack import MediaFolder, media_folder
from juicecap.data.table import dataset_of_records, file_key, fingerprint_of
from juicecap.errors import DataError
from juicecap.notice import say_few, say_once
from juicecap.sample import short_repr

if TYPE_CHECKING:
    from datasets import Dataset

SUFFIXES = (".tar", ".tar.gz", ".tgz")
TEXTS = ("caption", "cls", "cls2", "id", "index", "text", "transcript", "txt")
"""Suffixes of members that are text."""

MEMBERS = 10_000
"""Members of one sample."""

SHARDS = 1_000_000
"""Names that a pattern of ranges may stand for."""

_NAME, _PART = 1000, 255
"""Bytes of a member's name, and of a part of it: what file systems take, beside a folder."""

_NEITHER = "they are neither media, nor text, nor JSON"

RANGE = re.compile(r"\{(\d{1,18})\.\.(\d{1,18})\}")
"""A range in a pattern: `{000..012}`."""

_GZIP = b"\x1f\x8b"
_OTHER_PACKERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of the shards; media are below a folder beside its Arrow file."""
    shards = shards_of(path)

    def key() -> list[object]:
        keys = (options.video_key, options.image_key, options.audio_key)
        return [path, *keys, options.media_max_bytes, *map(file_key, shards)]

    folder = media_folder(options.media_home or options.cache_folder, fingerprint_of(*key()))
    return dataset_of_records(
        partial(records, shards, None, options),
        unpack=partial(records, shards, folder, options),
        key=key,
        size=lambda: sum(shard.stat().st_size for shard in shards),
        folder=folder,
        empty=f"{path} has no samples. Give shards with at least one.",
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )


def is_pattern(path: str) -> bool:
    """Whether a path names several shards."""
    return path.lower().endswith(SUFFIXES) and ("*" in path or RANGE.search(path) is not None)


def shards_of(path: str) -> list[Path]:
    """The shards that a path names, in order of names.

    Raises:
        DataError: one does not exist, or there are none.
    """
    location = Path(path)
    if location.is_dir():
        return sorted(each for each in location.iterdir() if each.name.lower().endswith(SUFFIXES) and each.name[0] != ".")
    if not is_pattern(path):
        return [location]
    found = [each for name in expanded(path) for each in _matching(name)]
    if missing := next((each for each in found if not each.is_file()), None):
        raise DataError(f"{missing} does not exist, which {path} names.")
    if not found:
        raise DataError(f"{path} matches no file.")
    return found


def records(
    shards: list[Path], folder: Path | None, options: SourceOptions, enough: Callable[[], bool] | None = None
) -> Iterator[Record]:
    """The samples of the shards; their media are unpacked into `folder`, if there is one. From `enough` on members are left out.

    Raises:
        DataError: a shard cannot be read, or a member would be written elsewhere.
        EnvironmentFailure: a medium cannot be written.
    """
    root = os.path.commonpath([shard.absolute().parent for shard in shards])
    for shard in shards:
        name = os.path.relpath(shard.absolute(), root)
        try:
            with (
                unpacked(shard, packed := _packed(shard)) as stream,
                MediaFolder(folder, names_are_foreign=True) if folder else nullcontext() as media,
            ):
                allowance = Allowance(str(shard), shard.stat().st_size) if packed else None
                tar = Tar(stream, allowance)
                members = itertools.takewhile(lambda _: not (enough and enough()), _members(tar, shard))
                yield from _samples(tar, members, shard, name, media, options)
        except TarError as error:
            raise DataError(f"{shard} cannot be read as a tar file: {error}. Fetch or write it again.") from error


def _packed(shard: Path) -> str:
    """How a shard is packed, as its first bytes tell: `.gz`, or not at all."""
    try:
        with shard.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise unreadable(shard, error) from error
    for sign, packer in _OTHER_PACKERS.items():
        if start.startswith(sign):
            raise DataError(f"{shard} is packed by {packer}, and shards are packed by gzip or not at all. Pack it again.")
    return ".gz" if start.startswith(_GZIP) else ""


def _samples(
    tar: Tar, all_members: Iterable[Member], shard: Path, name: str, media: MediaFolder | None, options: SourceOptions
) -> Iterator[Record]:
    seen: set[bytes] = set()
    for sample, members in itertools.groupby(all_members, key=lambda member: _key(member.name)):
        known = blake2b(sample.encode(), digest_size=16).digest()  # names themselves would fill the memory
        if known in seen:
            raise DataError(f"{shard}: the members of {sample!r} do not stand together. Write it again, sorted by name.")
        seen.add(known)
        yield from _parted(sample, members, tar, lambda key: _Sample(key, name, f"{shard}:{key}", media, options))


def _parted(key: str, members: Iterable[Member], tar: Tar, begin: Callable[[str], _Sample]) -> Iterator[Record]:
    """The samples of members with one name up to its first dot: one, or one for each name up to its last dot."""
    whole = begin(key)
    apart: bool | None = None
    for stem, part in itertools.groupby(members, key=lambda member: posixpath.splitext(member.name)[0]):
        own = begin(stem)
        for member in part:
            content = _Content(member, tar)
            if not apart:
                whole.take(content)
            if apart or (apart is None and stem != key):
                own.take(content)
        if apart is None:
            apart = own.is_medium_with_text
        if apart:
            yield own.record()
    if not apart:
        yield whole.record()


def _members(tar: Tar, shard: Path) -> Iterator[Member]:
    said = False
    for member in tar:
        if posixpath.basename(member.name).startswith(("__", ".")) or member.kind == "folder":
            continue
        if member.kind == "other":
            if not said:
                say_once(f"{shard.name}: members that are no files, such as {short_repr(member.name)}, are left out")
            said = True
            continue
        _check_name(member.name, shard)
        yield member


def _check_name(name: str, shard: Path) -> None:
    parts = name.split("/")
    if posixpath.isabs(name) or ".." in parts or not name.isprintable():
        what = f"the member {short_repr(name)} would be unpacked elsewhere"
        raise DataError(f"{shard}: {what}. Write the shard again with plain names.")
    if len(name.encode()) > _NAME or max(len(part.encode()) for part in parts) > _PART:
        what = f"the member {short_repr(name)} has a name that is longer than a file's can be"
        raise DataError(f"{shard}: {what}. Write the shard again with shorter names.")


def _key(name: str) -> str:
    """The name up to the first dot of its last part."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


class _Content:
    """The content of a member, which the tar gives once."""

    def __init__(self, member: Member, tar: Tar) -> None:
        self.member = member
        self._tar = tar
        self._bytes: bytes | None = None
        self._is_put = False

    def read(self) -> bytes:
        """The content as a whole. Whoever calls this looks at its size first."""
        if self._bytes is None:
            self._bytes = self._tar.read()
        return self._bytes

    def put(self, path: str, media: MediaFolder) -> None:
        """Write it as the medium of this path, unless that was done."""
        if not self._is_put:
            media.put(path, self.member.size, self._tar.blocks())
        self._is_put = True


class _Sample:
    """What the members of a sample amount to."""

    def __init__(self, key: str, shard: str, where: str, media: MediaFolder | None, options: SourceOptions) -> None:
        self._values: dict[str, Any] = {"__key__": key}
        self._broken = ""
        self._key, self._shard, self._where = key, shard, where
        self._media, self._options = media, options
        self._names: set[str] = set()
        self._room = LONGEST
        self._media_seen = self._texts_seen = False
        self._left_out: dict[str, None] = {}

    @property
    def is_medium_with_text(self) -> bool:
        """Whether there are both, readable or not."""
        return self._media_seen and self._texts_seen

    def record(self) -> Record:
        """What was taken."""
        for suffix in self._left_out:
            say_few("suffixes", f"members of shards with the suffix {short_repr(suffix)} are left out: {_NEITHER}")
        return Record(f"{self._shard}:{self._key}", self._where, {} if self._broken else self._values, self._broken)

    def take(self, content: _Content) -> None:
        """Take one member. What is wrong with it is wrong with the sample."""
        try:
            self._take(content)
        except BrokenRecord as error:
            self._broken = self._broken or error.reason

    def _take(self, content: _Content) -> None:
        member = content.member
        if len(self._names) == MEMBERS:
            raise BrokenRecord(self._where, f"has more than {MEMBERS:,} members. Make several samples of it.")
        if member.name in self._names:
            raise BrokenRecord(self._where, f"has the member {member.name!r} twice. Write the shard again.")
        self._names.add(member.name)
        column = self._options.media_column(member.name)
        suffix = member.name[len(self._key) + 1 :].lower()
        self._media_seen |= column is not None
        self._texts_seen |= suffix in (*TEXTS, "json")
        if column:
            self._medium(column, content)
        elif suffix in TEXTS:
            self._add(suffix, self._text(content))
        elif suffix == "json":
            self._add(suffix, _json(self._text(content), self._where))
        else:
            self._left_out[suffix] = None

    def _medium(self, column: str, content: _Content) -> None:
        member = content.member
        self._refuse_sparse(member)
        most = self._options.media_max_bytes
        if most is not None and member.size > most:
            raise BrokenRecord(self._where, f"{member.name!r} has {member.size:,} bytes, more than {most:,} (media_max_mb).")
        path = f"{self._shard}/{member.name}"
        if self._media and not self._broken:
            content.put(path, self._media)
        self._values.setdefault(column, []).append(path)

    def _text(self, content: _Content) -> str:
        member = content.member
        self._refuse_sparse(member)
        self._room -= member.size
        if self._room < 0:
            raise BrokenRecord(self._where, f"texts of more than {LONGEST:,} bytes. Mend the sample or remove it.")
        return decoded(content.read(), self._where)

    def _add(self, suffix: str, value: Any) -> None:
        if suffix in self._values:
            raise BrokenRecord(self._where, f"has two members with the suffix {suffix!r}. Write the shard again.")
        self._values[suffix] = value

    def _refuse_sparse(self, member: Member) -> None:
        if member.kind == "sparse":
            raise BrokenRecord(self._where, f"{member.name!r} is a sparse member. Write the shard again without --sparse.")


def _json(text: str, where: str) -> Any:
    return parse_object(text, where) if text.lstrip().startswith("{") else parse_value(text, where)


def expanded(path: str) -> list[str]:
    """The names that a pattern with ranges stands for.

    Raises:
        DataError: they are too many.
    """
    if math.prod(abs(int(last) - int(first)) + 1 for first, last in RANGE.findall(path)) > SHARDS:
        raise DataError(f"{path} stands for more than {SHARDS:,} names. Give a pattern with fewer, or with `*`.")
    match = RANGE.search(path)
    if not match:
        return [path]
    first, last = match.groups()
    numbers = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return [name for number in numbers for name in expanded(path[: match.start()] + number + path[match.end() :])]


def _matching(name: str) -> list[Path]:
    pattern_path = Path(name)
    if "*" not in pattern_path.name:
        return [pattern_path]
    try:
        return sorted(pattern_path.parent.glob(pattern_path.name))
    except (ValueError, re.error) as error:
        raise DataError(f"{name} is no pattern of files: {error}. Write one `*` for any characters of a name.") from None
