"""The groups of parameters: which come first, what is in them, and where the parameters of an op of a user's are."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar

import pytest

from juicecap.ops import catalog, schema
from juicecap.ops.base import Filter, Mapper, Op
from juicecap.ops.mapper.video_captioning_from_vlm_mapper import VideoCaptioningFromVLMMapper
from juicecap.ops.options.groups import FRAMES, GROUPS, OUTPUT, heading, in_order
from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.options.run_options import RUN_ONLY, RunOptions
from juicecap.ops.whole_dataset import Deduplicator, Selector

BUILTIN = [catalog.find(name) for name in catalog.BUILTIN]


def groups(kind: type) -> dict[str, list[str]]:
    """The names of a class's parameters by group, in the order in which they are shown."""
    return {group: [each.name for each in rows] for group, rows in schema.grouped(schema.parameters(kind))}


def test_what_people_set_first_comes_first():
    shown = groups(VideoCaptioningFromVLMMapper)
    assert list(shown) == [
        "model", "question", "candidates", "frames", "output", "limits", "how it runs", "columns and tokens",
    ]  # fmt: skip
    assert shown["model"] == [
        "hf_model", "backend", "sampling_params", "api_base", "api_key_env", "model_params", "seed", "enable_vllm",
    ]  # fmt: skip
    assert shown["question"] == ["prompt", "prompt_key", "system_prompt", "legacy_split_by_text_token"]
    assert shown["candidates"] == ["caption_num", "keep_candidate_mode"]
    assert shown["frames"][:3] == ["fps", "num_frames", "max_frames"]
    assert shown["output"] == ["keep_original_sample", "caption_field", "caption_as", "text_update_strategy", "provenance_field"]
    assert shown["limits"][:2] == ["allow_remote", "media_root"]
    assert shown["limits"][-2:] == ["decode_seconds", "decode_memory_mb"]
    assert shown["how it runs"] == ["max_in_flight", "decode_workers", "frame_memory_mb"]


@pytest.mark.parametrize(
    ("name", "question", "output"),
    [
        (
            "video_to_caption_generator",
            ["prompt_template", "system_prompt", "conversation_mode"],
            ["output_key", "overwrite_output", "conversation_answer", "provenance_field"],
        ),
        (
            "image_caption_generator",
            ["system_prompt", "prompt", "input_modal_key"],
            ["output_key", "overwrite_output", "conversation_answer", "provenance_field"],
        ),
    ],
)
def test_other_ops_that_ask_have_the_same_groups_without_candidates(name: str, question: list[str], output: list[str]):
    shown = groups(catalog.find(name))
    assert list(shown)[:4] == ["model", "question", "frames", "output"]
    assert (shown["question"][:3], shown["output"]) == (question, output)


def test_the_criteria_of_a_filter_come_first():
    assert groups(catalog.find("text_length_filter"))["what is kept"] == ["min_len", "max_len"]
    shown = groups(catalog.find("video_resolution_filter"))
    assert list(shown) == ["what is kept", "ends of the range", "limits", "columns and tokens"]
    assert shown["ends of the range"] == ["min_closed_interval", "max_closed_interval", "reversed_range"]
    assert shown["what is kept"] == ["min_width", "max_width", "min_height", "max_height", "any_or_all"]


@pytest.mark.parametrize("kind", BUILTIN)
def test_every_parameter_has_a_group_and_all_of_a_group_stand_together(kind: type[Op]):
    shown = schema.parameters(kind)
    assert {each.group for each in shown} <= set(GROUPS)
    assert len(groups(kind)) == len({each.group for each in shown})
    assert [each.name for each in shown if each.group == "columns and tokens"] == [each.name for each in fields(Op)]


def test_what_any_op_takes_is_of_how_it_runs():
    assert list(groups(RunOptions)) == ["how it runs"]


@dataclass(frozen=True, kw_only=True)
class LogoMapper(ModelOptions, Mapper):
    """Asks for logos."""

    brand: str = "any"
    """Whose."""
    column: str = field(default="logo", metadata=OUTPUT)
    """Where it is written."""
    volume: int = field(default=3, metadata={"group": "sound"})
    """How loud."""
    pace: int = field(default=1, metadata=RUN_ONLY)
    """How fast."""
    fps: float = 0.5
    """Another default."""

    def process(self, sample, outcomes):
        """The sample as it is."""
        del outcomes
        return [sample]


def test_an_author_names_a_group_or_none():
    shown = groups(LogoMapper)
    assert list(shown) == ["what it does", "sound", "model", "frames", "output", "limits", "how it runs", "columns and tokens"]
    assert (shown["what it does"], shown["sound"], shown["output"]) == (["brand"], ["volume"], ["column"])
    assert shown["frames"][0] == "fps", "a new default is no new group"
    assert shown["how it runs"][-1] == "pace"


def test_a_family_says_where_parameters_without_a_group_are():
    assert (Mapper.default_group, Op.default_group) == ("what it does", "what it does")
    assert {kind.default_group for kind in (Filter, Deduplicator, Selector)} == {"what is kept"}

    @dataclass(frozen=True, kw_only=True)
    class ColourFilter(Filter):
        default_group: ClassVar[str] = "colours"
        hue: int = 0

        def keep(self, sample):
            return bool(sample)

    assert list(groups(ColourFilter)) == ["colours", "columns and tokens"]


def test_a_group_changes_no_fingerprint():
    def made(metadata: dict[str, str]) -> Mapper:
        @dataclass(frozen=True, kw_only=True)
        class SameMapper(Mapper):
            level: int = field(default=1, metadata=metadata)

            def process(self, sample, outcomes):
                del outcomes
                return [sample]

        return SameMapper()

    assert made({}).fingerprint() == made({**FRAMES}).fingerprint() == made({"group": "sound"}).fingerprint()


def test_order_and_headings():
    assert in_order(["limits", "sound", "model", "colours", "what it does", "limits"]) == [
        "what it does", "sound", "colours", "model", "limits",
    ]  # fmt: skip
    assert heading("frames") == "frames: what the model sees of a video"
    assert (heading("what is kept"), heading("sound")) == ("what is kept", "sound")
