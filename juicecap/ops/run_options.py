"""Options that say how an op is run, not what it does: kept apart from its settings and out of its fingerprint."""

from __future__ import annotations

from dataclasses import Field, dataclass
from typing import Any

from jsonargparse.typing import PositiveInt


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What any op of a recipe takes besides its settings."""

    batch_size: PositiveInt | None = None
    """Samples in a batch; null: the op's own default. The output does not depend on it."""


RUN_ONLY = {"run_only": True}
"""Metadata of an op's field that says how the op is run: the output does not depend on it, so neither does the fingerprint."""


def is_run_only(setting: Field[Any]) -> bool:
    """Whether a field of an op has the metadata `RUN_ONLY`."""
    return bool(setting.metadata.get("run_only"))


IGNORED = {
    "accelerator": "a model runs on the GPU if there is one",
    "auto_op_parallelism": "juicecap does not split ops over processes",
    "batch_mode": "every op works on batches",
    "cpu_required": "juicecap does not reserve resources",
    "gpu_required": "juicecap does not reserve resources",
    "history_key": "juicecap keeps no history column",
    "index_key": "every sample carries its source position already",
    "mem_required": "juicecap does not reserve resources",
    "memory": "juicecap does not reserve resources",
    "num_cpus": "juicecap does not reserve resources",
    "num_gpus": "juicecap does not reserve resources",
    "num_proc": "decoding uses every core already",
    "query_key": "no op reads a query column",
    "ray_execution_mode": "there is no Ray runner yet",
    "response_key": "no op reads a response column",
    "runtime_env": "there is no Ray runner yet",
    "skip_op_error": "a sample that fails is always rejected alone, with its reason",
    "turbo": "there is no slower mode to leave",
    "work_dir": "the run folder belongs to the recipe",
}
"""Data-Juicer's base parameters that mean nothing here, and why; they are accepted and said once to be ignored."""
