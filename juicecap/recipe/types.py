"""A valid recipe: settings and ops, ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from juicecap.data.export import CsvFormulas, export_target
from juicecap.data.export.media_paths import ExportPaths
from juicecap.data.export.settings import Export
from juicecap.hidden import Hidden
from juicecap.ops.base import Op
from juicecap.ops.options.run_options import OnError, RunOptions
from juicecap.recipe.yaml.source import Source
from juicecap.text import numbered
from juicecap.vlm.cluster.options import ClusterOptions


@dataclass(frozen=True, kw_only=True)
class Step:
    """One op of a recipe."""

    name: str
    op: Op
    options: RunOptions
    settings: Mapping[str, Any]
    """The op's block as it was written."""
    index: int
    """Position in `process`."""
    line: int
    """Where its name stands, from 1; 0 where the command line put it."""
    column: int

    @property
    def number(self) -> int:
        """Its number in messages and files, from 1."""
        return self.index + 1

    @property
    def label(self) -> str:
        """The op as messages and files name it: `video_captioning_from_vlm_mapper[3]`."""
        return numbered(self.name, self.number)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What `load_recipe` returns. The meaning of each key stands in `keys.RecipeKeys`."""

    path: Path
    """The file that was read; of a recipe given as a dict the one that its run writes into the run folder."""
    project_name: str
    dataset_path: str
    """Of several datasets the text that names them (see `data/source/mixture.py`)."""
    max_sample_num: int | None = None
    """How many rows are drawn of several datasets; null: all are taken."""
    export_path: Path | None
    """None: only `exports` are written."""
    exports: tuple[Export, ...] = ()
    work_dir: Path
    steps: tuple[Step, ...]
    custom_operator_paths: tuple[str, ...]

    text_keys: tuple[str, ...]
    video_key: str
    image_key: str
    audio_key: str
    video_special_token: str
    image_special_token: str
    audio_special_token: str
    eoc_special_token: str

    seed: int
    max_rejected: float | int
    """A share of the samples if a float, a number of samples if an int."""
    on_error: OnError
    """What happens to a sample on which an op fails, unless the op sets it."""
    journal: Path
    use_cache: bool
    cluster: ClusterOptions | None
    """The cluster on which engines run; null: they run on this machine."""
    pipeline: Literal["auto", "on", "off"]
    keep_steps: str | None
    suffixes: tuple[str, ...]
    sidecar_suffixes: tuple[str, ...] = ()
    """With their dots."""
    export_type: str | None
    export_shard_size: int
    """In bytes; 0: one file."""
    export_csv_formulas: CsvFormulas
    export_paths: ExportPaths

    notices: tuple[str, ...]
    """What is ignored or assumed, a sentence each, to be reported once."""
    resolved: Mapping[str | int, Any]
    """The recipe as plain data, with what it includes and what the command line set; `${NAME}` as it is written."""
    source: Source = field(repr=False, compare=False)
    """Where each value was set."""

    @property
    def hidden(self) -> Hidden:
        """Removes the values of variables from messages."""
        return self.source.named.hidden

    @property
    def table(self) -> Path | None:
        """The file at `export_path`, or the folder of its shards; None: there is no such table."""
        return export_target(self.export_path, self.export_shard_size) if self.export_path else None

    @property
    def output(self) -> Path:
        """The table, or else the place of the first export."""
        return self.table or self.exports[0].place

    def path_columns(self) -> tuple[set[str], set[str]]:
        """The columns that hold paths of media, and those of conversations, whose parts name some."""
        columns = {self.video_key, self.image_key, self.audio_key}
        columns |= {each for step in self.steps for each in step.op.media_columns()}
        return columns, {each for step in self.steps for each in step.op.media_sources()} - columns

    @property
    def text_key(self) -> str:
        """The column that ops take for the text."""
        return self.text_keys[0]
