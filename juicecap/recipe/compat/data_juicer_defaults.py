"""Values at which Data-Juicer's other recipe keys ask for nothing: recipes often write defaults out, which is no news to anybody.

They are those of `data_juicer/config/config.py` of release 1.6.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from juicecap.sample import same_value

_ANY = "any value"

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "adaptive_batch_size": (False,),
    "auto": (False,),
    "auto_num": (1000,),
    "auto_op_parallelism": (True,),
    "conflict_resolve_strategy": ("split",),
    "data_probe_algo": ("uniform",),
    "data_probe_ratio": (1,),
    "debug": (False,),
    "decrypt_after_reading": (False,),
    "elastic_juicer_adaptive_batching": (False,),
    "elastic_juicer_profile_seed": (False,),
    "encrypt_before_export": (False,),
    "export_extra_args": ({},),
    "export_original_dataset": (False,),
    "fusion_strategy": ("probe",),
    "image_bytes_key": ("image_bytes",),
    "keep_hashes_in_res_ds": (False,),
    "load_dataset_kwargs": ({},),
    "load_jsonl_lenient": (False,),
    "mapper_fusion": (True,),
    "mapper_fusion_vram_limit": (0.9,),
    "min_common_dep_num_to_combine": (-1,),
    "op_list_to_mine": ([],),
    "op_list_to_trace": ([],),
    "open_insight_mining": (False,),
    "open_monitor": (False,),
    "percentiles": (_ANY,),
    "preserve_intermediate_data": (False,),
    "read_options": ({},),
    "save_stats_in_one_file": (False,),
    "strict_preflight": (True,),
    "trace_keys": ([],),
    "turbo": (False,),
    "use_checkpoint": (False,),
    "use_dag": (False,),
    "validators": ([],),
}
"""Values at which a key asks for nothing that juicecap does not do: its defaults, mostly. Null always is one."""

NESTED: Mapping[str, Mapping[str, Any]] = {
    "checkpoint": {"enabled": True, "strategy": "every_n_ops", "n_ops": 5, "op_names": []},
    "event_logging": {"enabled": True},
    "partition": {
        "mode": "auto",
        "num_of_partitions": None,
        "partitions_per_node": "auto",
        "max_concurrent_partitions": "auto",
        "max_gpu_workers_per_device": 5,
        "max_concurrent_gpu_probes": "auto",
        "gpu_preflight_enabled": True,
        "gpu_probe_warmup_batches": 1,
        "gpu_probe_steady_batches": 3,
        "gpu_probe_sample_offset": 0,
        "gpu_probe_sample_shuffle": False,
        "gpu_probe_sample_seed": 42,
        "execution_group_size": "auto",
        "max_initialization_overhead_ratio": 0.1,
        "target_size_mb": 256,
        "size": None,
    },
}
"""The same for keys in keys."""


def is_harmless(key: object, value: Any) -> bool:
    """Whether one of `DATA_JUICER` asks for nothing at this value. Nested keys may be written flat."""
    name, _, inner = str(key).partition(".")
    if name in NESTED:
        entries = {inner: value} if inner else value
        known = NESTED[name]
        return value is None or (
            isinstance(entries, dict)
            and all(each is None or (entry in known and same_value(each, known[entry])) for entry, each in entries.items())
        )
    if inner:
        return False
    return value is None or any(each is _ANY or same_value(value, each) for each in HARMLESS.get(name, ()))
