"""Keys of Data-Juicer and DataFlow that are none here, each answered by name: what juicecap does instead, if anything.

The keys of Data-Juicer are those of `data_juicer/config/config.py` of release 1.6.1; those that juicecap takes are in `keys.py`.
Recipes often write defaults out: which values ask for nothing stands in `data_juicer_defaults.py`.
"""

from __future__ import annotations

_ANALYSIS = "juicecap has no analyzer; the run's summary and manifest.json tell what each op kept, dropped and rejected"
_MINING = "juicecap has no insight mining; the run's summary and manifest.json tell what each op kept, dropped and rejected"
_CHECKPOINT = "finished ops are always kept in the run folder; running again resumes"
_ELASTIC = "juicecap does not size itself; batch_size in an op's block bounds what is under way"
_ENCRYPTION = "juicecap neither encrypts nor decrypts files; do that before and after a run"
_EVENTS = "a run always writes log.jsonl into its run folder"
_FUSION = "ops are not fused; they run in the order of process"
_LOGS = "juicecap does not rotate logs; each run has its own log.jsonl"
_PARTITION = "juicecap does not partition a dataset; rows stream through the ops"
_PROBE = "juicecap does not draw samples of a dataset; write the rows that you want into dataset_path"
_RAY_ENVIRONMENTS = "juicecap runs all ops in one environment"
_STEPS = "the run folder keeps what each op left in steps/"
_TRACER = "juicecap has no tracer; the run folder keeps what each op left in steps/"

DATA_JUICER = {
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
    "decrypt_after_reading": _ENCRYPTION,
    "elastic_juicer_adaptive_batching": _ELASTIC,
    "elastic_juicer_profile_seed": _ELASTIC,
    "encrypt_before_export": _ENCRYPTION,
    "encryption_key_path": _ENCRYPTION,
    "event_log_dir": _EVENTS,
    "event_logging": _EVENTS,
    "export_aws_credentials": "juicecap exports to local paths only",
    "export_extra_args": "juicecap has no such thing; an export holds the columns as they are",
    "export_original_dataset": "the input dataset is never changed and not exported again",
    "fusion_strategy": _FUSION,
    "generated_dataset_config": "juicecap has no dataset generators; give dataset_path",
    "hpo_config": "juicecap has no tuning of parameters",
    "image_bytes_key": "images are read from the paths in image_key",
    "intermediate_storage": _STEPS,
    "job_id": "a run is named by its work_dir; running again resumes it",
    "keep_hashes_in_res_ds": "deduplicators add no columns to the result",
    "load_dataset_kwargs": "juicecap reads files as they are written; there is nothing to pass on",
    "load_jsonl_lenient": "a line that cannot be read is always rejected alone, with its reason",
    "mapper_fusion": _FUSION,
    "mapper_fusion_vram_limit": _FUSION,
    "max_log_size_mb": _LOGS,
    "max_partition_size_mb": _PARTITION,
    "min_common_dep_num_to_combine": _RAY_ENVIRONMENTS,
    "op_list_to_mine": _MINING,
    "op_list_to_trace": _TRACER,
    "open_insight_mining": _MINING,
    "open_monitor": "juicecap does not record the use of resources",
    "override_num_blocks": _PARTITION,
    "partition": _PARTITION,
    "partition_dir": _PARTITION,
    "partition_size": _PARTITION,
    "percentiles": _ANALYSIS,
    "preserve_intermediate_data": _STEPS,
    "read_options": "juicecap reads files as they are written; there is nothing to pass on",
    "resource_optimization": _ELASTIC,
    "resume": "running again with the same work_dir resumes; there are no numbers of jobs",
    "save_stats_in_one_file": _ANALYSIS,
    "strict_preflight": "juicecap check always looks at all of the recipe, and so does a run",
    "trace_keys": _TRACER,
    "turbo": "there is no slower mode to leave",
    "use_checkpoint": _CHECKPOINT,
    "use_dag": "ops run in the order of process; there is no graph to plan",
    "validators": "juicecap check tells what is wrong with the data",
}


EFFECTLESS = frozenset(
    {
        "auto_num",
        "conflict_resolve_strategy",
        "data_probe_algo",
        "fusion_strategy",
        "load_jsonl_lenient",
        "mapper_fusion",
        "mapper_fusion_vram_limit",
        "percentiles",
    }
)
"""Those that change no result, whatever they say: accepted, and said once to have no effect."""

DATAFLOW = {
    "cache_path": "work_dir is the run folder, whose steps/ holds what each op left",
    "cache_type": (
        "keep_steps is the format of readable tables of what each op left; export_path has that of the result as its suffix"
    ),
    "file_name_prefix": "keep_steps writes a readable table of what each op left; step files are named by number and op",
    "first_entry_file_name": "dataset_path is the file that is read",
}
"""Settings of its storage."""


def answer(key: object) -> str | None:
    """The message for a user who knows the key from Data-Juicer; None if Data-Juicer has no such key.

    Nested keys may be written flat there: `checkpoint.enabled`.
    """
    return DATA_JUICER.get(str(key)) or DATA_JUICER.get(str(key).partition(".")[0])
