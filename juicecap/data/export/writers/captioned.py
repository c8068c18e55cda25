"""Media with their captions, as the rows of a dataset have them.

A row names media in its columns of videos and images, and has captions in one column: a text, a list of texts (a video each, or
the several captions of one), or Data-Juicer's text with special tokens. What is read here is plain: no token, and each medium by
its path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from juicecap.data.export.rows import samples
from juicecap.errors import DataError, SampleError
from juicecap.fragment import split, without_fragment
from juicecap.naming import missing
from juicecap.nested import value_of
from juicecap.sample import (
    ORIGIN,
    Sample,
    display_path,
    is_remote,
    list_in_cell,
    media_entries,
    media_paths,
    sample_name,
    short_repr,
)
from juicecap.text import any_of

if TYPE_CHECKING:
    from datasets import Dataset

Kind = Literal["image", "video"]

CAPTION = "caption"
"""The column of captions, unless an export names another."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a dataset are for."""

    video_key: str = "videos"
    image_key: str = "images"
    text_key: str = "text"
    tokens: tuple[str, ...] = ("<__dj__video>", "<__dj__image>", "<__dj__audio>")
    """Special tokens that stand in texts."""
    end_of_chunk: str = "<|__dj__eoc|>"
    video_paths: Callable[[Sample, str], list[str]] = media_paths
    """The paths of a sample's videos, with the fragments that columns of times name."""


@dataclass(frozen=True)
class Medium:
    """A medium of a sample."""

    kind: Kind
    path: str
    """From the folder of the sample's source, with its fragment; or an address."""
    written: str
    """As the sample has it, with its fragment."""
    folder: str
    """What `written` is relative to."""

    @property
    def file(self) -> str:
        """The path without the fragment."""
        return without_fragment(self.path)

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a film."""
        return bool(split(self.path)[1])


@dataclass(frozen=True)
class Captioned:
    """Media that belong together, with their captions; None is a caption that is missing."""

    name: str
    """The sample's."""
    media: tuple[Medium, ...]
    captions: tuple[str | None, ...]

    @property
    def medium(self) -> Medium:
        """The one medium.

        Raises:
            DataError: there are several, or none.
        """
        if len(self.media) == 1:
            return self.media[0]
        if not self.media:
            raise DataError(f"{self.name} cannot be exported: it has no video and no image")
        counts = f"{len(self.media)} media and {len(self.captions)} captions"
        raise DataError(
            f"{self.name} cannot be exported: it has {counts}, and here each medium needs its own; "
            "give each video a row, or caption each video"
        )


def caption_column(dataset: Dataset, wanted: str | None, roles: Roles) -> str:
    """The column with the captions.

    Raises:
        DataError: there is none.
    """
    named = wanted or (CAPTION if CAPTION in dataset.column_names else roles.text_key)
    if named not in dataset.column_names and "." not in named:
        has = ", ".join(name for name in dataset.column_names if not name.startswith("__juicecap"))
        raise DataError(f"there is no column {named!r} with captions; the dataset has {has}. Name another with caption.")
    return named


def captioned_rows(dataset: Dataset, roles: Roles, column: str) -> Iterator[tuple[Sample, list[Captioned]]]:
    """Each sample with its media and their captions (none without a `column`); media that have a caption each are apart.

    Raises:
        DataError: a sample's column holds something else; names the sample.
    """
    for sample in samples(dataset):
        try:
            yield sample, _captioned(sample, roles, column)
        except SampleError as error:
            raise DataError(f"{sample_name(sample)} cannot be exported: {error.message}") from error


def check_there(media: Sequence[Medium], name: str, what: str) -> None:
    """Make sure that media are files on this machine, since `what` needs them.

    Raises:
        DataError: one is an address, a folder, or missing.
    """
    for medium in media:
        if is_remote(medium.path):
            raise DataError(f"{name}: {display_path(medium.path)} is an address, and {what} needs files on this machine")
        if os.path.isdir(medium.file):
            raise DataError(f"{name}: {display_path(medium.file)} is a folder of pictures, and {what} needs a file")
        if not os.path.isfile(medium.file):
            raise DataError(f"{name}: {display_path(medium.file)} {missing(medium.file)}. Nothing was exported there.")


def _captioned(sample: Sample, roles: Roles, column: str) -> list[Captioned]:
    name, captions = sample_name(sample), _captions(sample, roles, column) if column else ()
    media = [
        *_media(sample, roles.image_key, "image", media_paths(sample, roles.image_key)),
        *_media(sample, roles.video_key, "video", roles.video_paths(sample, roles.video_key)),
    ]
    if len(media) > 1 and len(captions) == len(media):
        return [Captioned(name, (medium,), (caption,)) for medium, caption in zip(media, captions, strict=True)]
    return [Captioned(name, tuple(media), captions)]


def _media(sample: Sample, key: str, kind: Kind, paths: list[str]) -> Iterator[Medium]:
    folder = (sample.get(ORIGIN) or {}).get("folder") or ""
    for entry, path in zip(media_entries(sample, key), paths, strict=True):
        whole = entry if is_remote(entry) else os.path.join(folder, entry)
        yield Medium(kind, path, entry + path[len(whole) :], folder)


def _captions(sample: Sample, roles: Roles, column: str) -> tuple[str | None, ...]:
    """The captions in a column; one that is missing where it holds nothing.

    Raises:
        DataError: it holds something else; names the sample.
    """
    value: Any = value_of(sample, column)
    if isinstance(listed := list_in_cell(value), list) and _are_texts(listed):
        value = listed
    if isinstance(value, str):
        return _texts(value, roles)
    if value is None or (isinstance(value, list | tuple) and _are_texts(value)):
        texts = [None if text is None else _texts(text, roles)[0] for text in value or ()]
        return tuple(texts) or (None,)
    what = f"column {column!r} holds {short_repr(value)}, not a text or a list of texts"
    raise DataError(f"{sample_name(sample)} cannot be exported: {what}")


def _are_texts(values: Sequence[Any]) -> bool:
    return all(each is None or isinstance(each, str) for each in values)


def _texts(text: str, roles: Roles) -> tuple[str, ...]:
    """The text, or those of its chunks, without special tokens."""
    tokens = any_of([*roles.tokens, roles.end_of_chunk])
    if not tokens.search(text):
        return (text,)
    chunks = [tokens.sub("", chunk).strip() for chunk in text.split(roles.end_of_chunk)]
    return tuple(filter(None, chunks)) or ("",)
