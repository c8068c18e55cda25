"""The JSON Schema of recipes: valid 2020-12, true of every recipe that ships, and false of broken ones, at the right place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from juicecap.errors import RecipeError
from juicecap.ops import catalog, schema
from juicecap.ops.options.run_options import RunOptions
from juicecap.ops.options.types import json_type
from juicecap.recipe import Recipe, load_recipe
from juicecap.recipe.authoring.schema import DIALECT, op_schema, recipe_schema
from juicecap.recipe.authoring.snippet import settings
from juicecap.recipe.authoring.template import GOALS, TEMPLATES, recipe_text
from juicecap.recipe.yaml.values import parse

Load = Callable[..., Recipe]
ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted((ROOT / "recipes").glob("*.yaml"))

OP = "process:\n  - video_captioning_from_vlm_mapper:\n      "
LENGTH = "process:\n  - text_length_filter: "


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """Of the schema as it is for the built-in ops."""
    return jsonschema.Draft202012Validator(recipe_schema())


def told(validator: jsonschema.Draft202012Validator, text: str) -> list[str]:
    """The places that the schema finds wrong, as deep as it can tell, joined by dots."""
    found = [jsonschema.exceptions.best_match([error]) for error in validator.iter_errors(parse(text, "").values)]
    return [".".join(map(str, error.absolute_path)) for error in found]


def test_it_is_a_schema_of_2020_12(validator: jsonschema.Draft202012Validator) -> None:
    validator.check_schema(validator.schema)
    assert validator.schema["$schema"] == DIALECT == "https://json-schema.org/draft/2020-12/schema"
    assert sorted(validator.schema["$defs"]) == catalog.names()


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_fits(recipe: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert told(validator, recipe.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "goal"),
    [(template, goal) for template in TEMPLATES for goal in GOALS if (template, goal) != ("conversations", "lora")],
)
def test_every_template_fits(template: str, goal: str, validator: jsonschema.Draft202012Validator) -> None:
    assert told(validator, recipe_text("here", template, goal).text) == []


BROKEN = {
    "unknown key": ("exprt_path: a\nprocess: []\n", ""),
    "no process": ("dataset_path: a\n", ""),
    "an empty path": ("media_root: ''\nprocess: []\n", "media_root"),
    "an empty suffix": ("suffixes: [mp4, '']\nprocess: []\n", "suffixes.1"),
    "an empty column": (OP + "prompt_key: ''\n", "process.0.video_captioning_from_vlm_mapper.prompt_key"),
    "a list": ("- a\n", ""),
    "empty": ("", ""),
    "process is a mapping": ("process: {text_length_filter: {}}\n", "process"),
    "process is a word": ("process: text_length_filter\n", "process"),
    "unknown op": ("process: [text_lenght_filter]\n", "process.0"),
    "unknown op with parameters": ("process: [{text_lenght_filter: {min_len: 3}}]\n", "process.0"),
    "an item is a number": ("process: [3]\n", "process.0"),
    "an item is empty": ("process: [{}]\n", "process.0"),
    "an item is null": ("process:\n  -\n", "process.0"),
    "two ops in an item": ("process: [{text_length_filter: , whitespace_normalization_mapper: }]\n", "process.0"),
    "unknown parameter": (f"{LENGTH}{{min_length: 3}}\n", "process.0.text_length_filter"),
    "parameters are a list": (f"{LENGTH}[min_len]\n", "process.0.text_length_filter"),
    "parameters are a number": (f"{LENGTH}3\n", "process.0.text_length_filter"),
    "a word for a number": (f"{LENGTH}{{min_len: many}}\n", "process.0.text_length_filter.min_len"),
    "below its range": (f"{LENGTH}{{min_len: -1}}\n", "process.0.text_length_filter.min_len"),
    "zero where more is needed": (f"{OP}caption_num: 0\n", "process.0.video_captioning_from_vlm_mapper.caption_num"),
    "half a candidate": (f"{OP}caption_num: 1.5\n", "process.0.video_captioning_from_vlm_mapper.caption_num"),
    "null for a number": (f"{OP}caption_num: null\n", "process.0.video_captioning_from_vlm_mapper.caption_num"),
    "no such choice": (f"{OP}backend: tgi\n", "process.0.video_captioning_from_vlm_mapper.backend"),
    "a list for a word": (f"{OP}hf_model: [a]\n", "process.0.video_captioning_from_vlm_mapper.hf_model"),
    "a number for a prompt": (f"{OP}prompt: 3\n", "process.0.video_captioning_from_vlm_mapper.prompt"),
    "a word for true or false": (f"{OP}enable_vllm: perhaps\n", "process.0.video_captioning_from_vlm_mapper.enable_vllm"),
    "a list for a mapping": (f"{OP}model_params: [1]\n", "process.0.video_captioning_from_vlm_mapper.model_params"),
    "frames per second below zero": (f"{OP}fps: 0\n", "process.0.video_captioning_from_vlm_mapper.fps"),
    "batches of nothing": (f"{OP}batch_size: 0\n", "process.0.video_captioning_from_vlm_mapper.batch_size"),
    "temperature below zero": (
        f"{OP}sampling_params: {{temperature: -1}}\n",
        "process.0.video_captioning_from_vlm_mapper.sampling_params.temperature",
    ),
    "a part out of range": (f"{OP}vllm_top_p: 2\n", "process.0.video_captioning_from_vlm_mapper.vllm_top_p"),
    "a parameter that must be set": (
        "process: [{image_caption_generator: {prompt: Say.}}]\n",
        "process.0.image_caption_generator",
    ),
    "an op alone that needs parameters": ("process: [image_caption_generator]\n", "process.0"),
    "no such format": ("export_type: xls\nprocess: []\n", "export_type"),
    "workers below one": ("np: 0\nprocess: []\n", "np"),
    "rejected below zero": ("max_rejected: -1\nprocess: []\n", "max_rejected"),
    "a word for a seed": ("seed: many\nprocess: []\n", "seed"),
    "a mapping for a path": ("dataset_path: {a: b}\nprocess: []\n", "dataset_path"),
    "a number to include": ("include: 3\n", "include"),
    "a key of Data-Juicer's that asks for something": ("use_checkpoint: true\nprocess: []\n", "use_checkpoint"),
}


@pytest.mark.parametrize(("text", "place"), BROKEN.values(), ids=BROKEN)
def test_a_broken_recipe_is_told_at_its_place(
    text: str, place: str, validator: jsonschema.Draft202012Validator, load: Load
) -> None:
    found = told(validator, text)
    assert found
    assert place in found
    with pytest.raises(RecipeError):
        load(text)


@pytest.mark.parametrize(
    "text",
    [
        "include: shared.yaml\n",
        "x-anything: {a: [1]}\nprocess: []\n",
        "dataset_path: null\nseed: null\nprocess: []\n",
        "np: ${CORES:-4}\nmax_rejected: ${SHARE}\nexport_type: ${TYPE}\nprocess: ['${OP}', whitespace_normalization_mapper]\n",
        f"{LENGTH}\n",
        f"{LENGTH}{{min_len: '${{N}}', num_proc: 4, batch_size: null}}\n",
        f"{OP}vllm_temperature: 0.5\n      hf_model_name_or_path: m\n      sampling_params: {{stop: [a], top_k: '${{K}}'}}\n",
        "process: [{image_caption_generator: {include: model.yaml}}]\n",
        "max_rejected: 3\nprocess: []\n",
        "use_checkpoint: false\nresume: null\nmapper_fusion: false\ncheckpoint.n_ops: 5\npartition: {mode: auto}\nprocess: []\n",
        f"{LENGTH}{{min_len: 2, max_len: null, reversed_range: true, stats_export_path: null}}\n",
        f"{OP}sampling_params: {{temperature: null, stop_token_ids: []}}\n",
        "process: [{video_duration_filter: {max_duration: .inf}}]\n",
    ],
)
def test_what_is_allowed_is_not_told(text: str, validator: jsonschema.Draft202012Validator) -> None:
    assert told(validator, text) == []


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("null", True),
        ("[]", True),
        ("{}", True),
        ("{configs: [{path: a.jsonl}]}", True),
        ("{configs: [{type: local, path: a.jsonl, weight: 0.5}], max_sample_num: 3}", True),
        ("{configs: [{type: remote, source: huggingface, path: org/name}], max_sample_num: null}", True),
        ("[a.jsonl]", False),
        ("a.jsonl", False),
        ("{configs: []}", False),
        ("{configs: null}", False),
        ("{configs: a.jsonl}", False),
        ("{max_sample_num: 3}", False),
        ("{configs: [{path: a.jsonl}], max_sample_num: 0}", False),
        ("{configs: [{path: a.jsonl}], seed: 1}", False),
        ("{configs: [{path: ''}]}", False),
        ("{configs: [{type: local}]}", False),
        ("{configs: [{type: null, path: a.jsonl}]}", False),
        ("{configs: [{type: remote, path: org/name}]}", False),
        ("{configs: [{path: a.jsonl, weight: 0}]}", False),
        ("{configs: [{path: a.jsonl, weight: true}]}", False),
        ("{configs: [{path: a.jsonl, wieght: 1}]}", False),
    ],
)
def test_of_the_key_dataset_it_knows_what_load_knows(
    value: str, fits: bool, validator: jsonschema.Draft202012Validator, load: Load
) -> None:
    text = f"dataset: {value}\n{LENGTH}\n"
    assert (told(validator, text) == []) == fits
    if fits:
        load(text)
    else:
        with pytest.raises(RecipeError, match="dataset"):
            load(text)


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_an_ops_schema_knows_what_check_knows(name: str) -> None:
    kind = catalog.find(name)
    known = {*schema.names(kind), *(each.name for each in schema.parameters(RunOptions)), *kind.ignored_parameters, "include"}
    made = op_schema(kind)
    assert set(made["properties"]) == known
    assert all(each["description"].endswith(".") for each in made["properties"].values())
    for parameter in schema.parameters(kind):
        if parameter.name in kind.ignored_parameters:
            assert made["properties"][parameter.name]["deprecated"]
            continue
        assert made["properties"][parameter.name]["description"] == f"[{parameter.group}] {parameter.help}"
    assert jsonschema.Draft202012Validator(made).is_valid(settings(kind))


def test_what_is_said_of_a_parameter_begins_with_its_group() -> None:
    told = {
        name: each["description"]
        for name, each in op_schema(catalog.find("video_captioning_from_vlm_mapper"))["properties"].items()
    }
    assert list(told)[:3] == ["hf_model", "hf_model_name_or_path", "model_name"]
    assert told["fps"] == "[frames] Frames taken per second of video."
    assert told["model_name"].startswith("Another name of hf_model: Hub id")
    assert told["on_error"].startswith("[how it runs] What happens")
    keys = recipe_schema()["properties"]
    assert keys["dataset_path"]["description"].startswith("Dataset file")
    assert keys["allow_remote"]["description"].startswith("[limits] Whether media")


def test_a_registered_op_is_included(label_filter: None, validator: jsonschema.Draft202012Validator) -> None:
    fresh = jsonschema.Draft202012Validator(recipe_schema())
    assert told(fresh, "process: [{label_filter: {label_key: label}}]\n") == []
    assert told(fresh, "process: [{label_filter: {label_kye: label}}]\n")
    assert told(validator, "process: [{label_filter: {label_key: label}}]\n") == ["process.0"]


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, {"type": "string"}),
        (bool | None, {"type": ["boolean", "null"]}),
        (float | int, {"type": ["number", "integer"]}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, Any] | None, {"type": ["object", "null"]}),
        (Any, {}),
    ],
)
def test_types_in_the_words_of_json_schema(hint: Any, words: dict[str, Any]) -> None:
    assert json_type(hint) == words


def test_shipped_recipes_load() -> None:
    assert [load_recipe(path).project_name for path in SHIPPED] == [path.stem for path in SHIPPED]
