"""`--set`: what it reaches, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from juicecap.errors import UsageError
from juicecap.recipe import Recipe

Load = Callable[..., Recipe]
Complain = Callable[..., str]

SERVED = "process.1.video_captioning_from_vlm_mapper"

TWO = """\
dataset_path: clips.jsonl
export_path: out/captions.jsonl
process:
  - text_length_filter: {min_len: 3}
  - video_captioning_from_vlm_mapper:
  - text_length_filter
"""


@pytest.mark.parametrize(
    ("override", "index", "parameter", "value"),
    [
        ("process.0.text_length_filter.min_len=4", 0, "min_len", 4),
        ("process.0.text_length_filter={max_len: 20}", 0, "max_len", 20),
        ("process.2.text_length_filter.min_len=4", 2, "min_len", 4),
        ("text_length_filter[1].min_len=4", 0, "min_len", 4),
        ("text_length_filter[3].min_len=4", 2, "min_len", 4),
        ("video_captioning_from_vlm_mapper[2].sampling_params.top_k=4", 1, "sampling_params", {"top_k": 4}),
        ("video_captioning_from_vlm_mapper.caption_num=5", 1, "caption_num", 5),
        ("video_captioning_from_vlm_mapper.prompt=a=b", 1, "prompt", "a=b"),
        ("video_captioning_from_vlm_mapper.prompt='3'", 1, "prompt", "3"),
        ("video_captioning_from_vlm_mapper.sampling_params={temperature: 0.5}", 1, "sampling_params", {"temperature": 0.5}),
        ("video_captioning_from_vlm_mapper.sampling_params.top_k=4", 1, "sampling_params", {"top_k": 4}),
        (f"{SERVED}={{backend: openai, api_base: [http://a/v1, http://b/v1]}}", 1, "api_base", ["http://a/v1", "http://b/v1"]),
        ("video_key= clips", 1, "video_key", "clips"),
    ],
)
def test_a_parameter_is_set(override: str, index: int, parameter: str, value: object, load: Load) -> None:
    assert load(TWO, override).steps[index].op.settings()[parameter] == value


def test_a_part_of_a_mapping_is_set_and_the_rest_stays(load: Load) -> None:
    text = TWO.replace("mapper:\n", "mapper: {sampling_params: {temperature: 0.5, top_k: 3}}\n")
    recipe = load(text, "video_captioning_from_vlm_mapper.sampling_params.top_k=4", "seed=3", "seed=2")
    assert recipe.steps[1].op.settings()["sampling_params"] == {"temperature": 0.5, "top_k": 4}
    assert recipe.seed == 2


def test_the_resolved_recipe_has_what_was_set(load: Load) -> None:
    recipe = load(TWO, "process.2.text_length_filter.min_len=4", "video_captioning_from_vlm_mapper.seed=1", "export_path=b.csv")
    assert recipe.resolved == {
        "dataset_path": "clips.jsonl",
        "export_path": "b.csv",
        "process": [
            {"text_length_filter": {"min_len": 3}},
            {"video_captioning_from_vlm_mapper": {"seed": 1}},
            {"text_length_filter": {"min_len": 4}},
        ],
    }
    assert str(recipe.work_dir) == "b.run"
    assert [(step.line, step.column) for step in recipe.steps] == [(4, 5), (5, 5), (6, 5)]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("np", "--set takes KEY=VALUE, such as seed=4, not 'np'"),
        ("=4", "--set takes KEY=VALUE, such as seed=4, not '=4'"),
        ("process..x=4", "--set takes KEY=VALUE, such as seed=4, not 'process..x=4'"),
        (
            "exprt_path=x",
            "--set exprt_path=x: 'exprt_path' is neither a key of a recipe nor an op of this one; did you mean 'export_path'?",
        ),
        ("zzz=1", "--set zzz=1: 'zzz' is neither a key of a recipe nor an op of this one"),
        (
            "video_captioning_from_vml_mapper.seed=1",
            "--set video_captioning_from_vml_mapper.seed=1: 'video_captioning_from_vml_mapper' is neither "
            "a key of a recipe nor an op of "
            "this one; did you mean 'video_captioning_from_vlm_mapper'?",
        ),
        (
            "text_length_filter.min_len=4",
            "--set text_length_filter.min_len=4: 'text_length_filter' stands in process 2 times; "
            "give --set 'text_length_filter[1].min_len=4' or --set 'text_length_filter[3].min_len=4'",
        ),
        (
            "text_length_filter[2].min_len=4",
            "--set text_length_filter[2].min_len=4: op 2 is not 'text_length_filter'; "
            "give --set 'text_length_filter[1].min_len=4' or --set 'text_length_filter[3].min_len=4'",
        ),
        (
            "text_lenght_filter[1].min_len=4",
            "--set text_lenght_filter[1].min_len=4: 'text_lenght_filter' is neither a key of a recipe nor an op of this one; "
            "did you mean 'text_length_filter'?",
        ),
        (
            "video_captioning_from_vlm_mapper=4",
            "--set video_captioning_from_vlm_mapper=4: 'video_captioning_from_vlm_mapper' is an op; name one of its parameters: "
            "video_captioning_from_vlm_mapper.PARAMETER=VALUE",
        ),
        (
            "process.3.text_length_filter.min_len=4",
            "--set process.3.text_length_filter.min_len=4: process is a list of 3, counted from 0; it has no '3'",
        ),
        (
            "process.0.text_lenght_filter.min_len=4",
            "--set process.0.text_lenght_filter.min_len=4: process.0 has no "
            "'text_lenght_filter'; did you mean 'text_length_filter'?",
        ),
        ("export_path.x=4", "--set export_path.x=4: export_path is 'out/captions.jsonl', which has no parts"),
        ("np.x=4", "--set np.x=4: the recipe has no 'np' to set a part of"),
        ("np=[1", "--set np=[1: not valid YAML: the recipe ends while parsing a flow sequence that begins here"),
        (
            "np=!!python/name:os.system ''",
            "--set np=!!python/name:os.system '': the tag '!!python/name:os.system' is not allowed: a recipe holds plain values",
        ),
    ],
)
def test_an_override_that_leads_nowhere_is_a_wrong_command(override: str, sentence: str, load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(TWO, override)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "report"),
    [
        ("np=many", "--set np=many: np must be int > 0, not 'many'"),
        (
            "max_rejected=true",
            "--set max_rejected=true: max_rejected must be a share from 0.0 to 1.0 or a number of samples, not true",
        ),
        (
            "process.2.text_length_filter.lens.min=3",
            "--set process.2.text_length_filter.lens.min=3: text_length_filter[3] has no parameter 'lens'\n"
            "   (juicecap ops text_length_filter)",
        ),
        (
            "video_captioning_from_vlm_mapper.caption_nmu=3",
            "--set video_captioning_from_vlm_mapper.caption_nmu=3: "
            "video_captioning_from_vlm_mapper[2] has no parameter 'caption_nmu'\n"
            "   did you mean 'caption_num'?  (juicecap ops video_captioning_from_vlm_mapper)",
        ),
        (
            "process.0.text_length_filter.max_len=2",
            "recipe.yaml:4:26: text_length_filter[1]: min_len (3) is larger than max_len (2): nothing can pass\n"
            "    4 |   - text_length_filter: {min_len: 3}\n"
            "      |                          ^^^^^^^",
        ),
        (
            "process=[text_length_filter: {min_len: x}]",
            "--set process=[text_length_filter: {min_len: x}]: text_length_filter[1]: min_len must be int >= 0 or null, not 'x'",
        ),
        (
            "turbo=true",
            "--set turbo=true: 'turbo' is a key of Data-Juicer's that juicecap does not take\n"
            "   there is no slower mode to leave",
        ),
        (
            "dataset=a",
            "--set dataset=a: dataset must be dict or null, not 'a'\n"
            "--set dataset=a: dataset and dataset_path are both set: keep one of them",
        ),
    ],
)
def test_a_problem_of_a_set_value_names_the_option(override: str, report: str, complain: Complain) -> None:
    assert complain(TWO, override) == report


def test_problems_of_the_file_come_before_those_of_options(complain: Complain) -> None:
    assert complain(TWO + "zz: 1\n", "np=0") == (
        "recipe.yaml:7:1: a recipe has no key 'zz'\n    7 | zz: 1\n      | ^^\n--set np=0: np must be int > 0, not 0"
    )


def test_a_later_block_takes_the_place_of_an_earlier_parameter(complain: Complain) -> None:
    overrides = ["process.0.text_length_filter.min_len=x", "process.0.text_length_filter={min_len: y}"]
    assert complain(TWO, *overrides) == (
        "--set process.0.text_length_filter={min_len: y}: text_length_filter[1]: min_len must be int >= 0 or null, not 'y'"
    )


def test_setting_the_value_that_was_wrong_mends_the_recipe(load: Load) -> None:
    assert load(TWO + "seed: many\n", "seed=3").seed == 3


def test_a_hint_fits_the_command_line(complain: Complain) -> None:
    assert complain(TWO, "process.0.min_len=4") == (
        "--set process.0.min_len=4: an item of process is one op; beside 'text_length_filter' there is 'min_len'\n"
        "   a parameter of it is set as process.0.text_length_filter.min_len"
    )
    assert complain(TWO, "process={text_length_filter: {min_len: 3}}") == (
        "--set process={text_length_filter: {min_len: 3}}: process must be a list of ops"
    )
