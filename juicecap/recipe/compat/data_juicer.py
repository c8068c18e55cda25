"""Data-Juicer's other recipe keys, each answered by name: what juicecap does instead, or that it has no such thing.

The keys are those of `data_juicer/config/config.py` of release 1.6; those that juicecap takes stand in `keys.py`.
"""

from __future__ import annotations

_ANALYSIS = "juicecap has no analyzer; the run's summary and manifest.json tell what each op kept, dropped and rejected"
_MINING = "juicecap has no insight mining; the run's summary and manifest.json tell what each op kept, dropped and rejected"
_CHECKPOINT = "finished ops are always kept in the run folder; running again resumes"
_EVENTS = "a run always writes log.jsonl into its run folder"
_LOGS = "juicecap does not rotate logs; each run has its own log.jsonl"
_PARTITION = "juicecap does not partition a dataset; rows stream through the ops"
_PROBE = "juicecap does not draw samples of a dataset; write the rows that you want into dataset_path"
_RAY_ENVIRONMENTS = "juicecap runs all ops in one environment"
_STEPS = "the run folder keeps what each op left in steps/"
_TRACER = "juicecap has no tracer; the run folder keeps what each op left in steps/"

ANSWERS = {
    "adaptive_batch_size": "batch_size can be set in an op's block; the output does not depend on it",
    "auto": _ANALYSIS,
    "auto_num": _ANALYSIS,
    "auto_op_parallelism": "juicecap does not split ops over processes",
    "backup_count": _LOGS,
    "cache_compress": "what juicecap keeps is not compressed",
    "checkpoint": _CHECKPOINT,
    "checkpoint_dir": _CHECKPOINT,
    "config": "a recipe is one file, named on the command line",
    "conflict_resolve_strategy": _RAY_ENVIRONMENTS,
    "data_probe_algo": _PROBE,
    "data_probe_ratio": _PROBE,
    "debug": "juicecap has no debug mode; log.jsonl in the run folder tells all",
    "event_log_dir": _EVENTS,
    "event_logging": _EVENTS,
    "export_aws_credentials": "juicecap exports to local paths only",
    "export_extra_args": "juicecap has no such thing; an export holds the columns as they are",
    "export_original_dataset": "the input dataset is never changed and not exported again",
    "fusion_strategy": "ops are not fused; they run in the order of process",
    "generated_dataset_config": "juicecap has no dataset generators; give dataset_path",
    "hpo_config": "juicecap has no tuning of parameters",
    "image_bytes_key": "images are read from the paths in image_key",
    "intermediate_storage": _STEPS,
    "job_id": "a run is named by its work_dir; running again resumes it",
    "keep_hashes_in_res_ds": "deduplicators add no columns to the result",
    "load_dataset_kwargs": "juicecap reads files as they are written; there is nothing to pass on",
    "max_log_size_mb": _LOGS,
    "max_partition_size_mb": _PARTITION,
    "min_common_dep_num_to_combine": _RAY_ENVIRONMENTS,
    "op_list_to_mine": _MINING,
    "op_list_to_trace": _TRACER,
    "open_insight_mining": _MINING,
    "open_monitor": "juicecap does not record the use of resources",
    "partition": _PARTITION,
    "partition_dir": _PARTITION,
    "partition_size": _PARTITION,
    "percentiles": _ANALYSIS,
    "preserve_intermediate_data": _STEPS,
    "read_options": "juicecap reads files as they are written; there is nothing to pass on",
    "resource_optimization": "juicecap does not size itself; batch_size in an op's block bounds what is under way",
    "save_stats_in_one_file": _ANALYSIS,
    "trace_keys": _TRACER,
    "turbo": "there is no slower mode to leave",
    "use_checkpoint": _CHECKPOINT,
    "validators": "juicecap check tells what is wrong with the data",
}


def answer(key: object) -> str | None:
    """What to say to somebody who knows the key from Data-Juicer; None if it is no key of Data-Juicer's.

    Nested keys may be written flat there: `checkpoint.enabled`.
    """
    return ANSWERS.get(str(key)) or ANSWERS.get(str(key).partition(".")[0])
