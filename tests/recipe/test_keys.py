"""Data-Juicer's recipes: taken as they are, and its other keys answered by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields

import pytest

from juicecap.ops import schema
from juicecap.recipe import Recipe, compat
from juicecap.recipe.compat import data_juicer_defaults
from juicecap.recipe.keys import IGNORED, RecipeKeys

Load = Callable[..., Recipe]
Complain = Callable[..., str]

CONTRACT = {  # key: a value other than the default, as a recipe of Data-Juicer's would have it
    "project_name": "demo",
    "dataset_path": "clips.jsonl",
    "export_path": "out/captions.jsonl",
    "process": "[]",
    "np": "8",
    "text_keys": "[caption]",
    "image_key": "pictures",
    "audio_key": "sounds",
    "video_key": "clips",
    "video_special_token": "<video>",
    "image_special_token": "<image>",
    "audio_special_token": "<audio>",
    "eoc_special_token": "<eoc>",
    "work_dir": "./work",
    "skip_op_error": "false",
    "keep_stats_in_res_ds": "true",
    "use_cache": "false",
    "ds_cache_dir": "cache",
    "temp_dir": "temp",
    "executor_type": "default",
    "ray_address": "local",
    "open_tracer": "true",
    "trace_num": "3",
    "op_fusion": "true",
    "export_shard_size": "1024",
    "export_in_parallel": "true",
    "export_type": "jsonl",
    "custom_operator_paths": "[]",
    "suffixes": "[.mp4]",
}

RECIPE = """\
# Process config example for a video dataset, as Data-Juicer has it
project_name: 'demo-process'
dataset_path: './demos/data/demo-dataset-videos.jsonl'  # path to your dataset directory or file
np: 4  # number of subprocess to process your dataset
export_path: './outputs/demo-process/demo-processed.jsonl'
text_keys: 'text'
video_key: 'videos'
eoc_special_token: '<|__dj__eoc|>'
open_tracer: false
use_cache: true
executor_type: default

# process schedule
# a list of several process operators with their arguments
process:
  - video_duration_filter:
      min_duration: 0
      max_duration: 10
      any_or_all: any
  - whitespace_normalization_mapper:
  - video_captioning_from_vlm_mapper:
      hf_model: 'Qwen/Qwen3-VL-8B-Instruct'
      enable_vllm: false
      caption_num: 1
      keep_candidate_mode: 'random_any'
      keep_original_sample: true
      prompt: null
      prompt_key: null
      model_params: null
      sampling_params: null
      mem_required: '20GB'
  - text_length_filter:
      min_len: 10
      max_len: 10000
"""


DEFAULTS = """\
export_path: a.csv
use_dag: null
strict_preflight: true
load_jsonl_lenient: false
resume: null
mapper_fusion: true
mapper_fusion_vram_limit: 0.9
override_num_blocks: null
encrypt_before_export: false
decrypt_after_reading: false
encryption_key_path: null
elastic_juicer_adaptive_batching: false
elastic_juicer_profile_seed: false
keep_hashes_in_res_ds: false
use_checkpoint: false
op_list_to_trace: []
cache_compress: null
export_original_dataset: false
save_stats_in_one_file: false
percentiles: [0.25, 0.5, 0.75]
turbo: false
debug: false
auto: false
checkpoint: {enabled: true, strategy: every_n_ops, n_ops: 5}
checkpoint.op_names: []
partition: {mode: auto, size: null}
partition.target_size_mb: 256
event_logging: {enabled: true}
process: []
"""


@pytest.mark.parametrize("key", CONTRACT)
def test_a_key_of_the_contract_is_taken(key: str, load: Load) -> None:
    text = (
        f"{key}: {CONTRACT[key]}\n"
        + ("" if key == "process" else "process: []\n")
        + ("" if key == "export_path" else "export_path: a.csv\n")
    )
    reason = [f"{key!r} has no effect: {IGNORED[key]}"] if key in IGNORED else []
    assert list(load(text).notices) == reason


@pytest.mark.parametrize("key", [key for key in CONTRACT if key != "process"])
def test_null_means_that_a_key_is_not_set(key: str, load: Load) -> None:
    assert load(f"{key}: null\nprocess: []\n").notices == load("process: []\n").notices


def test_a_recipe_of_data_juicers_loads_as_it_is(load: Load) -> None:
    recipe = load(RECIPE)
    assert [step.name for step in recipe.steps] == [
        "video_duration_filter",
        "whitespace_normalization_mapper",
        "video_captioning_from_vlm_mapper",
        "text_length_filter",
    ]
    assert recipe.steps[0].op.settings()["max_duration"] == 10.0
    assert recipe.steps[2].op.settings()["keep_original_sample"] is True
    assert recipe.notices == (
        "video_captioning_from_vlm_mapper: 'mem_required' has no effect: juicecap does not reserve resources",
    )


REFUSED = [key for key in compat.DATA_JUICER if key not in compat.EFFECTLESS]


@pytest.mark.parametrize("key", REFUSED)
def test_another_key_of_data_juicers_is_answered_by_name(key: str, complain: Complain) -> None:
    assert complain(f"process: []\n{key}: anything\n") == (
        f"recipe.yaml:2:1: {key!r} is a key of Data-Juicer's that juicecap does not take\n"
        f"    2 | {key}: anything\n"
        f"      | {'^' * len(key)}\n"
        f"   {compat.DATA_JUICER[key]}"
    )


@pytest.mark.parametrize("key", sorted(compat.EFFECTLESS))
def test_a_key_that_changes_no_result_is_said_to_have_no_effect(key: str, load: Load) -> None:
    recipe = load(f"process: []\nexport_path: a.csv\n{key}: {'[0.5]' if key == 'percentiles' else 'anything'}\n")
    silent = key == "percentiles"
    assert list(recipe.notices) == ([] if silent else [f"{key!r} has no effect: {compat.DATA_JUICER[key]}"])


@pytest.mark.parametrize("key", compat.DATA_JUICER)
def test_a_key_of_data_juicers_at_a_harmless_value_is_silent(key: str, load: Load) -> None:
    values = [None, *data_juicer_defaults.HARMLESS.get(key, ())]
    for value in values:
        assert load(f"process: []\nexport_path: a.csv\n{key}: {json.dumps(value)}\n").notices == ()


def test_what_the_release_writes_out_is_silent(load: Load) -> None:
    assert load(DEFAULTS).notices == ()


@pytest.mark.parametrize(
    "line",
    [
        "checkpoint.enabled: false",
        "checkpoint: {enabled: true, strategy: every_partition}",
        "checkpoint: true",
        "partition: {mode: manual}",
        "partition: {new: 1}",
        "partition.mode: manual",
        "partition_size: 100",
        "use_checkpoint: 0",
        "debug: true",
        "resume: job_1",
        "debug.more: null",
    ],
)
def test_what_asks_for_something_is_answered(line: str, complain: Complain) -> None:
    key = line.partition(":")[0]
    assert complain(f"process: []\n{line}\n").endswith(compat.DATA_JUICER[key.partition(".")[0]])


OP_DEFAULTS = """\
process:
  - text_length_filter:
      min_len: 1e1
      max_len: null
      min_closed_interval: true
      max_closed_interval: true
      reversed_range: false
      stats_export_path: null
      accelerator: null
      adaptive_batching: null
      auto_op_parallelism: true
      history_key: history
      image_bytes_key: image_bytes
      instruction_key: instruction
      mem_required: null
      num_proc: null
      prompt_key: prompt
      system_key: system
      turbo: false
  - video_duration_filter: {max_duration: 2e1, video_backend: ffmpeg}
  - video_resolution_filter: {min_width: 0, max_width: 2e3}
  - video_captioning_from_vlm_mapper:
      sampling_params: {max_tokens: 2e2, temperature: 1e-1, top_k: null, stop_token_ids: []}
"""


def test_an_ops_parameters_at_their_defaults_are_silent_and_numbers_are_read(load: Load) -> None:
    recipe = load(f"export_path: a.csv\nmax_rejected: 5e-1\n{OP_DEFAULTS}")
    assert recipe.notices == ()
    assert recipe.max_rejected == 0.5
    text, duration, resolution, caption = (step.op for step in recipe.steps)
    assert (text.min_len, text.max_len) == (10, None)
    assert duration.max_duration == 20.0
    assert (resolution.min_width, resolution.max_width) == (0, 2000)
    sampling = caption.token_sampling(1)
    assert (sampling.max_tokens, sampling.temperature, sampling.top_k) == (200, 0.1, 0)


@pytest.mark.parametrize(
    ("op", "parameter", "value"),
    [
        ("text_length_filter", "stats_export_path", "stats.jsonl"),
        ("text_length_filter", "num_proc", "4"),
        ("text_length_filter", "turbo", "0"),
        ("text_length_filter", "prompt_key", "ask"),
        ("video_duration_filter", "video_backend", "av"),
        ("whitespace_normalization_mapper", "adaptive_batching", "true"),
        ("whitespace_normalization_mapper", "input_columns", "[text]"),
    ],
)
def test_other_values_of_parameters_without_effect_are_told(op: str, parameter: str, value: str, load: Load) -> None:
    (notice,) = load(f"export_path: a.csv\nprocess:\n  - {op}: {{{parameter}: {value}}}\n").notices
    assert notice.startswith(f"{op}: {parameter!r} has no effect: ")


def test_no_key_is_both_taken_and_refused_and_the_table_is_in_order() -> None:
    known = {each.name for each in fields(RecipeKeys)}
    assert known.isdisjoint(compat.DATA_JUICER)
    assert known >= set(IGNORED)
    assert list(compat.DATA_JUICER) == sorted(compat.DATA_JUICER)
    assert set(compat.DATA_JUICER) >= {*data_juicer_defaults.HARMLESS, *data_juicer_defaults.NESTED, *compat.EFFECTLESS}
    assert list(IGNORED) == sorted(IGNORED)


def test_each_key_says_what_it_means() -> None:
    assert [each.name for each in schema.parameters(RecipeKeys) if not each.help.endswith(".")] == []
