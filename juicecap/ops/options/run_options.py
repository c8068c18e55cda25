"""Options that say how an op is run, not what it does: kept apart from its settings and out of its fingerprint."""

from __future__ import annotations

from dataclasses import Field, dataclass, field
from typing import Any, Literal

from juicecap.ops.options.groups import HOW_IT_RUNS
from juicecap.ops.options.numbers import BatchSize
from juicecap.sample import same_value

OnError = Literal["reject", "keep", "stop"]
"""What happens to a sample on which an op fails, and to the run."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of every op, besides its settings."""

    batch_size: BatchSize | None = field(default=None, metadata=HOW_IT_RUNS)
    """Samples in a batch; null: the op's own default. The output does not depend on it."""
    on_error: OnError | None = field(default=None, metadata=HOW_IT_RUNS)
    """What happens to a sample on which the op fails; null: as the recipe says."""
    skip_op_error: bool | None = field(default=None, metadata=HOW_IT_RUNS)
    """Data-Juicer's name for `on_error`: true is `reject`, false is `stop`."""

    @property
    def at_failure(self) -> OnError | None:
        """`on_error`, or its equivalent by `skip_op_error`; None: as the recipe sets it."""
        return at_failure(self.on_error, skip_op_error=self.skip_op_error)

    def problems(self) -> list[tuple[str, str]]:
        """What contradicts itself, as (parameter, sentence) pairs."""
        return contradictions(self.on_error, skip_op_error=self.skip_op_error)


def at_failure(on_error: OnError | None, *, skip_op_error: bool | None) -> OnError | None:
    """The value of `on_error` that the two parameters mean."""
    if on_error is None and skip_op_error is not None:
        return "reject" if skip_op_error else "stop"
    return on_error


def contradictions(on_error: OnError | None, *, skip_op_error: bool | None) -> list[tuple[str, str]]:
    """A problem, as (parameter, sentence), if the two parameters contradict each other."""
    if on_error is None or skip_op_error is None or (on_error == "stop") != skip_op_error:
        return []
    meant = at_failure(None, skip_op_error=skip_op_error)
    told = str(skip_op_error).lower()
    return [("skip_op_error", f"skip_op_error: {told} is Data-Juicer's word for on_error: {meant}, but on_error is {on_error!r}")]


RUN_ONLY = {**HOW_IT_RUNS, "run_only": True}
"""Metadata of an op's field that says how the op is run: the output does not depend on it, so neither does the fingerprint."""


def is_run_only(setting: Field[Any]) -> bool:
    """Whether a field of an op has the metadata `RUN_ONLY`."""
    return bool(setting.metadata.get("run_only"))


IGNORED = {
    "accelerator": "a model runs on the GPU if there is one",
    "adaptive_batching": "batch_size bounds what is under way; the output does not depend on it",
    "auto_op_parallelism": "juicecap does not split ops over processes",
    "batch_mode": "every op works on batches",
    "cpu_required": "juicecap does not reserve resources",
    "gpu_required": "juicecap does not reserve resources",
    "history_key": "juicecap keeps no history column",
    "image_bytes_key": "images are read from the paths in image_key",
    "index_key": "every sample carries its source position already",
    "input_columns": "juicecap knows which columns an op reads",
    "instruction_key": "no op reads an instruction column",
    "mem_required": "juicecap does not reserve resources",
    "memory": "juicecap does not reserve resources",
    "num_cpus": "juicecap does not reserve resources",
    "num_gpus": "juicecap does not reserve resources",
    "num_proc": "decoding uses every core already",
    "output_columns": "juicecap knows which columns an op writes",
    "query_key": "no op reads a query column",
    "ray_execution_mode": "engines stay open on their nodes for the whole run",
    "response_key": "no op reads a response column",
    "runtime_env": "the recipe's ray block has the environment of all engines",
    "system_key": "no op reads a system column",
    "turbo": "there is no slower mode to leave",
    "work_dir": "the run folder belongs to the recipe",
}
"""Data-Juicer's base parameters without an effect here, and why; they are accepted, and reported once as ignored."""

HARMLESS = {
    "auto_op_parallelism": True,
    "history_key": "history",
    "image_bytes_key": "image_bytes",
    "instruction_key": "instruction",
    "prompt_key": "prompt",
    "query_key": "query",
    "response_key": "response",
    "stats_export_path": None,
    "system_key": "system",
    "turbo": False,
    "video_backend": "ffmpeg",
}
"""Defaults there of such parameters; at these, and where they are null, nothing is said."""


def says_nothing(name: str, value: object) -> bool:
    """Whether a parameter that has no effect is written as Data-Juicer has it where nobody sets it."""
    if value is None:
        return name in IGNORED or name in HARMLESS
    return name in HARMLESS and same_value(value, HARMLESS[name])
