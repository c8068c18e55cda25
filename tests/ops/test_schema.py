"""The signature is the schema: every field of every op is typed and documented, and values are parsed against it."""

from __future__ import annotations

import sys
from dataclasses import MISSING, dataclass, field, fields

import pytest

from juicecap.ops import catalog, schema
from juicecap.ops.base import Filter, Op
from juicecap.ops.options.run_options import IGNORED, RunOptions
from juicecap.ops.whole_dataset import Deduplicator
from juicecap.sample import Sample

BUILTIN = [catalog.find(name) for name in catalog.BUILTIN]


@dataclass(frozen=True, kw_only=True)
class LoudFilter(Filter):
    """Keeps what is loud."""

    loudness: int = field(default=3, metadata={"aliases": ["volume"]})
    """How loud
    it must be."""
    names: list[str] = field(default_factory=list)
    """Whose."""

    def keep(self, sample: Sample) -> bool:
        """Keep all."""
        del sample
        return True


@pytest.mark.parametrize("kind", [*BUILTIN, RunOptions])
def test_every_field_is_documented_and_typed(kind):
    for parameter in schema.parameters(kind):
        assert parameter.help.endswith("."), parameter
        assert parameter.help == parameter.help.strip()
        assert parameter.type not in ("", "Any"), parameter


@pytest.mark.parametrize("kind", BUILTIN)
def test_own_parameters_come_first_and_in_a_group_in_the_order_of_the_fields(kind):
    shown = schema.parameters(kind)
    written = [each.name for each in fields(kind)]
    shared = [each.name for each in fields(Op)]
    own = [each for each in written if each not in shared]
    assert sorted(each.name for each in shown[: len(own)]) == sorted(own)
    assert [each.name for each in shown[len(own) :]] == shared
    for _, rows in schema.grouped(shown):
        assert [each.name for each in rows] == sorted((each.name for each in rows), key=written.index)
    assert [each.inherited for each in schema.parameters(kind)] == [False] * len(own) + [True] * len(shared)


def test_a_parameter():
    loudness, names, *_ = schema.parameters(LoudFilter)
    assert loudness == schema.Parameter(
        "loudness", "int", 3, "How loud it must be.", ("volume",), inherited=False, group="what is kept"
    )
    assert (names.type, names.default, names.help) == ("list", [], "Whose.")


def test_values_are_converted():
    kind = catalog.find("video_duration_filter")
    assert schema.parse(kind, {"min_duration": 2, "max_duration": float("inf"), "any_or_all": "all"}) == (
        {"min_duration": 2.0, "max_duration": float("inf"), "any_or_all": "all"},
        [],
    )


def test_every_problem_is_found_and_the_rest_is_kept():
    kind = catalog.find("video_captioning_from_vlm_mapper")
    values, problems = schema.parse(
        kind,
        {"caption_num": 0, "keep_candidate_mode": "best", "prompt": "P", "fps": "fast", "model_params": [1], "hf_model": None},
    )
    assert values == {"prompt": "P"}
    assert problems == [
        ("caption_num", "caption_num must be int > 0, not 0"),
        ("keep_candidate_mode", "keep_candidate_mode must be random_any | similar_one_simhash | all, not 'best'"),
        ("fps", "fps must be float > 0, not 'fast'"),
        ("model_params", "model_params must be dict or null, not [1]"),
        ("hf_model", "hf_model must be str, not None"),
    ]


def test_names_of_one_entry_of_a_parameter():
    kind = catalog.find("video_to_caption_generator")
    assert schema.names(kind)["vllm_top_k"].parts["vllm_top_k"] == "top_k"
    assert schema.parse(kind, {"vllm_top_k": 3, "sampling_params": {"temperature": 1}, "vllm_seed": 7}) == (
        {"sampling_params": {"temperature": 1, "top_k": 3, "seed": 7}},
        [],
    )
    assert schema.parse(kind, {"vllm_top_k": 3, "sampling_params": {"top_k": 4}})[1] == [
        ("vllm_top_k", "vllm_top_k is another name of 'sampling_params.top_k', which is set as well")
    ]


def test_aliases():
    assert schema.parse(LoudFilter, {"volume": 5}) == ({"loudness": 5}, [])
    assert schema.parse(LoudFilter, {"loudness": 4, "volume": 5}) == (
        {"loudness": 4},
        [("volume", "volume is another name of 'loudness', which is set as well")],
    )


@pytest.mark.parametrize("kind", BUILTIN)
def test_what_is_parsed_makes_an_op(kind):
    needed = {each.name: "text" for each in schema.parameters(kind) if each.default is MISSING}
    written = {each.name: each.default for each in schema.parameters(kind) if each.default not in (None, MISSING)}
    values, problems = schema.parse(kind, {**written, **needed})
    assert not problems
    assert kind(**values) == kind(**needed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (float("inf"), ".inf"),
        (sys.maxsize, "no limit"),
        (2.0, "2.0"),
        (MISSING, "none, must be set"),
    ],
)
def test_defaults_as_a_recipe_writes_them(value, text):
    assert schema.default_text(value) == text


def test_families():
    found = {kind.name: schema.family(kind) for kind in BUILTIN}
    assert found["video_captioning_from_vlm_mapper"] == "mappers"
    assert found["text_length_filter"] == "filters"
    assert schema.family(Deduplicator) == "deduplicators"
    assert schema.family(Op) == "other ops"


def test_run_options_and_ignored_parameters_are_no_settings():
    for kind in BUILTIN:
        settings = {each.name for each in fields(kind)}
        assert not settings & {each.name for each in fields(RunOptions)}
        assert not settings & set(IGNORED)
    assert list(IGNORED) == sorted(IGNORED)
    assert {"num_proc", "accelerator", "memory"} <= set(IGNORED)
    assert RunOptions().batch_size is None
    assert schema.parse(RunOptions, {"batch_size": 0})[1] == [("batch_size", "batch_size must be int > 0 or null, not 0")]
