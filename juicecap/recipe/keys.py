"""The keys of a recipe: names, types, defaults and meanings. `ops.schema` reads them like an op's parameters.

Names and defaults are Data-Juicer's wherever it has the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from juicecap.data.export import CsvFormulas
from juicecap.data.export.media_paths import ExportPaths
from juicecap.ops.options.common_options import ColumnsAndTokens
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.numbers import Seed
from juicecap.ops.options.run_options import OnError
from juicecap.ops.options.types import NOT_EMPTY


@dataclass(frozen=True, kw_only=True)
class RecipeKeys(MediaOptions, ColumnsAndTokens):
    """What may stand at the top level of a recipe."""

    project_name: str = "hello_world"
    """Name of the recipe, as in Data-Juicer; it changes nothing in a run."""
    dataset_path: str = ""
    """Dataset file, folder of videos, or name of a dataset on the HuggingFace Hub."""
    dataset: dict[str, Any] | None = None
    """Several datasets in place of dataset_path: `configs`, a list of {type: local, path, weight}, and `max_sample_num`."""
    export_path: str = field(default="./outputs/hello_world/hello_world.jsonl", metadata=NOT_EMPTY)
    """Where the captions go; with `exports` and without this key there is no such table."""
    exports: list[Any] | None = None
    """Exports for trainers: `{to: …, as: table | sidecar | conversations | webdataset}` or `{to: …, for: TRAINER}` each."""
    process: list[Any] = field(default_factory=list)
    """The ops, applied in order: `op_name: {parameters}` each."""
    custom_operator_paths: str | list[str] = field(default_factory=list)
    """Python files, or folders of them, that register ops of your own."""
    include: str | list[str] = field(default_factory=list)
    """YAML files whose keys hold here as well, unless this file sets them."""

    text_keys: str | list[str] = field(default="text", metadata=NOT_EMPTY)
    """Column that holds the text; of several the first."""

    work_dir: str | None = field(default=None, metadata=NOT_EMPTY)
    """Run folder; null: the export path (or the place of the first of `exports`) without its suffix, and `.run`."""
    seed: Seed = 0
    """Seed of the ops that have one and do not set it."""
    max_rejected: float | int = 0.05
    """How many samples may be rejected before a run counts as failed: a share (0.05) or a number (3)."""
    on_error: OnError = "reject"
    """What happens to a sample on which an op fails."""
    skip_op_error: bool | None = None
    """Data-Juicer's name for `on_error`: true is `reject`, false is `stop`."""
    journal: str | None = field(default=None, metadata=NOT_EMPTY)
    """File that keeps every answer, which several runs may share; null: journal.sqlite in the run folder."""
    use_cache: bool = True
    """Whether steps that an earlier run finished are taken from the run folder."""
    pipeline: Literal["auto", "on", "off"] | bool = "auto"
    """Whether a sample goes on to the next op at once: `auto`, unless that takes a second local engine; `on`; `off`."""
    keep_steps: Literal["jsonl", "parquet"] | None = None
    """Format of a readable table of what each op left, beside its step file; null: none."""
    suffixes: str | list[str] = field(default_factory=list, metadata=NOT_EMPTY)
    """Suffixes of the files that are taken from a folder; empty: those of videos."""
    sidecar_suffix: str | list[str] = field(default_factory=list, metadata=NOT_EMPTY)
    """Suffixes of texts beside the media of a folder, which become columns of that name (`.txt`: `txt`); empty: none."""
    export_type: Literal["csv", "json", "jsonl", "parquet"] | None = None
    """Format of the export; null: by the suffix of `export_path`."""
    export_shard_size: NonNegativeInt = 0
    """Size in bytes of the shards into which the export is cut, by the rows in memory; 0: one file."""
    export_paths: ExportPaths = "auto"
    """Paths of media in the export: `auto`, as written where they hold from there, else `relative`; `absolute`; `as_written`."""
    export_csv_formulas: CsvFormulas = "raw"
    """Texts in a CSV that a spreadsheet takes for formulas: `escape` puts an apostrophe before them, `raw` leaves them alone."""
    executor_type: str = "default"
    """Where engines and decoders are: `default`, in this machine; `ray`, on the nodes of a Ray cluster."""
    ray: dict[str, Any] | None = None
    """The cluster of `executor_type: ray`: `address`, `engines`, `cpus_per_engine`, `gpus_per_engine`, `runtime_env`."""
    ray_address: str = "auto"
    """Address of the cluster, as in Data-Juicer; the same as `address` in `ray`."""

    np: PositiveInt = 4
    """No effect."""
    keep_stats_in_res_ds: bool = False
    """No effect."""
    ds_cache_dir: str | None = None
    """No effect."""
    temp_dir: str | None = None
    """No effect."""
    open_tracer: bool = False
    """No effect."""
    trace_num: int = 10
    """No effect."""
    op_fusion: bool = False
    """No effect."""
    export_in_parallel: bool = False
    """No effect."""


IGNORED = {
    "ds_cache_dir": "what a run keeps lies in its work_dir",
    "export_in_parallel": "an export is written in one pass",
    "keep_stats_in_res_ds": "filters add no columns to the result",
    "np": "decoding uses every core, and the other ops run in this process",
    "op_fusion": "ops are not fused",
    "open_tracer": "the run folder keeps what each op left",
    "temp_dir": "temporary files lie in the work_dir",
    "trace_num": "the run folder keeps what each op left",
}
"""Keys of Data-Juicer that have no effect here, and why; reported once if they are not at their default."""
