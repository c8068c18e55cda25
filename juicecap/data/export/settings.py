"""What may stand in an entry of `exports:`: one dataclass for each writer, whose fields are its options.

An entry says `as:` (which writer) or `for:` (a row of `presets`). The recipe's loader reads the fields like an op's parameters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from juicecap.data.export import CsvFormulas, export_target
from juicecap.data.export.media_paths import ExportPaths
from juicecap.data.export.presets import PRESETS

DATASET_INFO = "dataset_info.json"
"""The file in which LLaMA-Factory looks for datasets."""

_NOT_EMPTY = {"not_empty": True}
"""As for the parameters of ops: an empty text is no value."""

MediaMode = Literal["none", "link", "hardlink", "copy"]

MEASURES = (
    "duration", "fps", "frames", "height", "height_over_width", "pixels", "size", "width", "width_over_height",
)  # fmt: skip
"""What a column may hold that is measured. `size` is {height, width}; frames and seconds are those of the part that is shown."""


_SIZE = re.compile(r"(\d{1,15})\s*([KMGT]?)B?", re.IGNORECASE)


def bytes_of(size: str | int) -> int:
    """A size as a number of bytes: `1GB` is 10**9 of them.

    Raises:
        ValueError: it is none; the message is the rest of a sentence.
    """
    found = _SIZE.fullmatch(str(size).strip())
    if not found:
        raise ValueError(f"must be a size such as 500MB or 1GB, or a number of bytes, not {size!r}")
    scale: int = 1000 ** " KMGT".index(found[2].upper() or " ")
    return int(found[1]) * scale


def _size_problems(size: str | int, *, least: int) -> list[tuple[str, str]]:
    try:
        few = bytes_of(size) < least
    except ValueError as error:
        return [("shard_size", f"shard_size {error}")]
    return [("shard_size", f"shard_size must be at least {least}")] if few else []


@dataclass(frozen=True, kw_only=True)
class Export:
    """What every writer takes."""

    to: str | None = field(default=None, metadata=_NOT_EMPTY)
    """Where it goes."""
    caption: str | None = field(default=None, metadata=_NOT_EMPTY)
    """Column with the captions; null: `caption` if there is one, else the text without its special tokens."""
    media: MediaMode = "none"
    """How the media come into the export: not at all, as links, as hard links, or as copies."""
    preset: str = ""
    """The row of `presets` that it was made of; no option, but what an entry says with `for`."""

    kind: ClassVar[str] = ""
    """Its name in recipes."""

    @property
    def target(self) -> Path:
        """Where it goes."""
        return Path(self.to or "")

    @property
    def place(self) -> Path:
        """What the entry names as `to`: of a preset a folder, in which the target may be a file."""
        return self.target.parent if self.preset and PRESETS[self.preset].file else self.target

    @property
    def identity(self) -> str:
        """What tells it from other exports, whose memories of what they wrote are not its own."""
        return f"{self.kind} {os.path.abspath(self.target)}"

    def outputs(self) -> list[Path]:
        """The files, or folders of shards, that it replaces as a whole; single texts and media are not among them."""
        return []

    @property
    def replaces_folder(self) -> bool:
        """Whether its output is a folder, which it replaces as a whole."""
        return False

    @property
    def places_media(self) -> bool:
        """Whether it makes files or links of media."""
        return self.media != "none"

    def problems(self) -> list[tuple[str, str]]:
        """What contradicts itself, as (option, sentence) pairs."""
        return [] if self.to else [("to", f"an export as {self.kind} needs to: where it goes")]


@dataclass(frozen=True, kw_only=True)
class MediaFolderExport(Export):
    """What writers take that name media by their paths."""

    paths: ExportPaths = "auto"
    """Paths of media: as written where they hold from there, else relative (`auto`); `relative`; `absolute`; `as_written`."""
    media_folder: str = ""
    """Folder beside the file into which media are placed; empty: that of the file."""
    parts: Literal["keep", "cut"] = "keep"
    """Parts of films (`film.mp4#t=12.5,20`): named as they are, or cut into files of their own."""

    @property
    def folder(self) -> Path:
        """The folder of its file, from which paths lead to the media."""
        return self.target.parent

    @property
    def media_home(self) -> Path:
        """The folder into which media are placed."""
        return self.folder / self.media_folder

    def problems(self) -> list[tuple[str, str]]:
        """As `Export.problems`; media are placed below the export."""
        bad = self.media_folder.startswith("/") or ".." in self.media_folder.split("/")
        return [*super().problems(), *([("media_folder", "media_folder must be a folder beside the file")] if bad else [])]


@dataclass(frozen=True, kw_only=True)
class TableExport(MediaFolderExport):
    """A table: chosen columns, renamed, with constants, media as texts and measured columns."""

    kind: ClassVar[str] = "table"

    format: Literal["csv", "json", "jsonl", "parquet", "mapping", "lines"] | None = None
    """Format; null: by the suffix. `mapping`: a JSON object whose keys are the first column; `lines`: a text file per column."""
    columns: dict[str, Any] | None = None
    """By name a column of the dataset, or {media: true}, {caption: true}, {measure: fps}, {const: video}; null: all columns."""
    captions: Literal["rows", "list", "first"] | None = None
    """Several captions of a medium: a row each, a list, or the first; null: `rows`, and without `columns` as they are."""
    shard_size: str | int = 0
    """Size of the shards into which the table is cut (`1GB`, or bytes), by the rows in memory; 0: one file."""
    csv_formulas: CsvFormulas = "raw"
    """Texts in a CSV that a spreadsheet takes for formulas: `escape` puts an apostrophe before them, `raw` leaves them alone."""

    @property
    def folder(self) -> Path:
        """The folder of its file; of `lines` it is the folder itself, and of shards theirs."""
        if self.format == "lines":
            return self.target
        shards = bytes_of(self.shard_size)
        return export_target(self.target, shards) if shards else self.target.parent

    @property
    def replaces_folder(self) -> bool:
        """As `Export.replaces_folder`: shards are."""
        return bool(bytes_of(self.shard_size))

    def outputs(self) -> list[Path]:
        """The file, the folder of shards, or the files of the lines."""
        if self.format == "lines":
            return [self.target / f"{name}.txt" for name in self.columns or ()]
        return [export_target(self.target, bytes_of(self.shard_size))]

    def problems(self) -> list[tuple[str, str]]:
        """As `Export.problems`; a format that needs columns has some, and media are placed only where a column names them."""
        found = [*super().problems(), *_size_problems(self.shard_size, least=0)]
        if self.format in ("mapping", "lines") and self.shard_size not in (0, "0"):
            found.append(("shard_size", f"format: {self.format} has no shards"))
        if self.format in ("mapping", "lines") and not self.columns:
            found.append(("format", f"format: {self.format} needs columns"))
        if self.format == "mapping" and self.columns and len(self.columns) == 1:
            found.append(("columns", "format: mapping needs two columns or more: the first one has the keys"))
        if not self.columns and (self.places_media or self.parts == "cut" or self.captions):
            name = "media" if self.places_media else "parts" if self.parts == "cut" else "captions"
            found.append((name, f"{name} needs columns: without them the table has the dataset's own"))
        return found


@dataclass(frozen=True, kw_only=True)
class SidecarExport(Export):
    """A text file for each medium, beside it or in a folder of its own."""

    kind: ClassVar[str] = "sidecar"

    media: MediaMode = "link"
    """How the media come into the folder: as links, hard links or copies; `none`: the texts go beside the media themselves."""
    suffix: str = field(default=".txt", metadata=_NOT_EMPTY)
    """Suffix of the text files."""
    captions: Literal["first", "lines"] = "first"
    """Several captions of a medium: the first, or a line each."""
    newlines: Literal["space", "keep"] = "space"
    """Line breaks in a caption: one space, or kept."""

    @property
    def identity(self) -> str:
        """As `Export.identity`; texts with other suffixes are another export's."""
        return f"{super().identity}/*{self.suffix}"

    def problems(self) -> list[tuple[str, str]]:
        """As `Export.problems`; texts beside the media need no place, and have one only for the sake of the run folder."""
        found = [] if self.media == "none" else super().problems()
        if not self.suffix.startswith(".") or "/" in self.suffix or self.suffix == ".":
            found.append(("suffix", f"suffix must begin with a dot, as .txt does, not be {self.suffix!r}"))
        if self.captions == "lines" and self.newlines == "keep":
            found.append(("newlines", "newlines: keep and captions: lines exclude each other: each line is a caption"))
        return found


@dataclass(frozen=True, kw_only=True)
class ConversationsExport(MediaFolderExport):
    """Conversations about media, whose answer is the caption."""

    kind: ClassVar[str] = "conversations"

    style: Literal["llava", "sharegpt", "messages", "parts"] = "llava"
    """Shape of a sample: LLaVA's, ShareGPT's with lists of media, messages with lists of media, or messages with parts."""
    token: str | None = field(default=None, metadata=_NOT_EMPTY)
    """What stands for a medium in the text; null: <video> for a video, <image> for an image."""
    media_as: Literal["text", "list"] | None = None
    """LLaVA's media: one path as a text, or a list of them; null: a text where there is one medium."""
    prompt: str | None = field(default=None, metadata=_NOT_EMPTY)
    """What is asked; null: the question of the sample's conversation, else "Describe this video." or "… image."."""
    prompt_key: str | None = field(default=None, metadata=_NOT_EMPTY)
    """Column with a question for each sample; wins over prompt where it holds a text."""
    conversation: str | None = field(default=None, metadata=_NOT_EMPTY)
    """Column with conversations into which the captions go; null: `conversations` or `messages` if there is one."""
    old_answer: str | None = field(default=None, metadata=_NOT_EMPTY)
    """Name under which the answer is kept that a conversation had before; null: it is not kept."""
    captions: Literal["rows", "first"] = "rows"
    """Several captions of a medium: a conversation each, or the first."""
    tokens: Literal["escape", "reject"] = "escape"
    """Captions that hold a token of a medium or of a chat template: the token is broken up, or the sample is left out."""
    dataset_info: str | None = field(default=None, metadata=_NOT_EMPTY)
    """Name under which LLaMA-Factory finds the file: writes a `dataset_info.json` beside it; null: none."""

    def outputs(self) -> list[Path]:
        """The file, and the one that tells LLaMA-Factory of it."""
        return [self.target, *([self.folder / DATASET_INFO] if self.dataset_info else [])]

    def problems(self) -> list[tuple[str, str]]:
        """As `Export.problems`; options of one style are set for that style alone."""
        found = super().problems()
        if self.media_as and self.style != "llava":
            found.append(("media_as", "media_as is for style: llava; the other styles have lists"))
        if self.dataset_info and self.target.name == DATASET_INFO:
            found.append(("to", f"{DATASET_INFO} is written beside the conversations; give to another name"))
        if self.dataset_info and self.style not in ("sharegpt", "messages"):
            found.append(("dataset_info", "dataset_info is for the styles sharegpt and messages, which LLaMA-Factory reads"))
        return found


@dataclass(frozen=True, kw_only=True)
class WebdatasetExport(Export):
    """Shards of tar files with numbered samples: medium, text, and JSON."""

    kind: ClassVar[str] = "webdataset"

    shard_size: str | int = "1GB"
    """Size at which a shard ends (`1GB`, or bytes)."""

    @property
    def replaces_folder(self) -> bool:
        """As `Export.replaces_folder`."""
        return True

    def outputs(self) -> list[Path]:
        """The folder of shards."""
        return [self.target]

    def problems(self) -> list[tuple[str, str]]:
        """As `Export.problems`; a shard has some size."""
        return [*super().problems(), *_size_problems(self.shard_size, least=1)]


KINDS: Mapping[str, type[Export]] = {
    each.kind: each for each in (ConversationsExport, SidecarExport, TableExport, WebdatasetExport)
}
"""Writer -> its options."""
