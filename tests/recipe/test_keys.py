"""Data-Juicer's recipes: taken as they are, and its other keys answered by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from juicecap.ops import schema
from juicecap.recipe import Recipe, compat
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


@pytest.mark.parametrize("key", compat.DATA_JUICER)
def test_another_key_of_data_juicers_is_answered_by_name(key: str, complain: Complain) -> None:
    assert complain(f"process: []\n{key}: null\n") == (
        f"recipe.yaml:2:1: {key!r} is a key of Data-Juicer's that juicecap does not take\n"
        f"    2 | {key}: null\n"
        f"      | {'^' * len(key)}\n"
        f"   {compat.DATA_JUICER[key]}"
    )


def test_a_nested_key_of_data_juicers_written_flat_is_answered_too(complain: Complain) -> None:
    assert complain("process: []\ncheckpoint.enabled: true\n").endswith(compat.DATA_JUICER["checkpoint"])


def test_no_key_is_both_taken_and_refused_and_the_table_is_in_order() -> None:
    known = {each.name for each in fields(RecipeKeys)}
    assert known.isdisjoint(compat.DATA_JUICER)
    assert known >= set(IGNORED)
    assert list(compat.DATA_JUICER) == sorted(compat.DATA_JUICER)
    assert list(IGNORED) == sorted(IGNORED)


def test_each_key_says_what_it_means() -> None:
    assert [each.name for each in schema.parameters(RecipeKeys) if not each.help.endswith(".")] == []
