"""What a broken recipe is answered, word for word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.errors import RecipeError
from juicecap.recipe import Recipe, load_recipe

Load = Callable[..., Recipe]
Complain = Callable[..., str]

HEAD = """\
dataset_path: clips.jsonl
export_path: out/captions.jsonl
process:
"""
OP = "  - video_captioning_from_vlm_mapper:\n"

BROKEN = {
    "a misspelt parameter": (
        HEAD + OP + "      caption_nmu: 3\n",
        """\
recipe.yaml:5:7: video_captioning_from_vlm_mapper[1] has no parameter 'caption_nmu'
    5 |       caption_nmu: 3
      |       ^^^^^^^^^^^
   did you mean 'caption_num'?  (juicecap ops video_captioning_from_vlm_mapper)""",
    ),
    "a parameter like no other": (
        HEAD + OP + "      zzz: 3\n",
        """\
recipe.yaml:5:7: video_captioning_from_vlm_mapper[1] has no parameter 'zzz'
    5 |       zzz: 3
      |       ^^^
   (juicecap ops video_captioning_from_vlm_mapper)""",
    ),
    "a misspelt run option": (
        HEAD + "  - text_length_filter:\n      batchsize: 3\n",
        """\
recipe.yaml:5:7: text_length_filter[1] has no parameter 'batchsize'
    5 |       batchsize: 3
      |       ^^^^^^^^^
   did you mean 'batch_size'?  (juicecap ops text_length_filter)""",
    ),
    "a number out of range": (
        HEAD + OP + "      caption_num: 0\n",
        """\
recipe.yaml:5:20: video_captioning_from_vlm_mapper[1]: caption_num must be int > 0, not 0
    5 |       caption_num: 0
      |                    ^""",
    ),
    "a word that is no choice": (
        HEAD + OP + "      keep_candidate_mode: best\n",
        """\
recipe.yaml:5:28: video_captioning_from_vlm_mapper[1]: keep_candidate_mode must be random_any | similar_one_simhash | all, \
not 'best'
    5 |       keep_candidate_mode: best
      |                            ^^^^""",
    ),
    "null for a number": (
        HEAD + "  - video_captioning_from_vlm_mapper:\n      caption_num: null\n",
        """\
recipe.yaml:5:20: video_captioning_from_vlm_mapper[1]: caption_num must be int > 0, not null
    5 |       caption_num: null
      |                    ^^^^""",
    ),
    "nothing for a number": (
        HEAD + "  - video_captioning_from_vlm_mapper:\n      caption_num:\n",
        """\
recipe.yaml:5:7: video_captioning_from_vlm_mapper[1]: caption_num must be int > 0, not null
    5 |       caption_num:
      |       ^^^^^^^^^^^""",
    ),
    "a run option out of range": (
        HEAD + "  - text_length_filter:\n      batch_size: -1\n",
        """\
recipe.yaml:5:19: text_length_filter[1]: batch_size must be int > 0 or null, not -1
    5 |       batch_size: -1
      |                   ^^""",
    ),
    "settings that contradict each other": (
        HEAD + "  - text_length_filter: {max_len: 3, min_len: 5}\n",
        """\
recipe.yaml:4:38: text_length_filter[1]: min_len (5) is larger than max_len (3): nothing can pass
    4 |   - text_length_filter: {max_len: 3, min_len: 5}
      |                                      ^^^^^^^""",
    ),
    "a contradiction with a default": (
        HEAD + "  - text_length_filter: {max_len: 3}\n",
        """\
recipe.yaml:4:5: text_length_filter[1]: min_len (10) is larger than max_len (3): nothing can pass
    4 |   - text_length_filter: {max_len: 3}
      |     ^^^^^^^^^^^^^^^^^^""",
    ),
    "a misspelt op": (
        HEAD + "  - video_durtion_filter:\n",
        """\
recipe.yaml:4:5: there is no op 'video_durtion_filter'
    4 |   - video_durtion_filter:
      |     ^^^^^^^^^^^^^^^^^^^^
   did you mean 'video_duration_filter'?  (juicecap ops lists all)""",
    ),
    "a misspelt op without a block": (
        HEAD + "  - text_lenth_filter\n",
        """\
recipe.yaml:4:5: there is no op 'text_lenth_filter'
    4 |   - text_lenth_filter
      |     ^^^^^^^^^^^^^^^^^
   did you mean 'text_length_filter'?  (juicecap ops lists all)""",
    ),
    "an op like no other": (
        HEAD + "  - zzz:\n",
        """\
recipe.yaml:4:5: there is no op 'zzz'
    4 |   - zzz:
      |     ^^^
   (juicecap ops lists all)""",
    ),
    "parameters that are not indented": (
        HEAD + "  - text_length_filter:\n    min_len: 5\n",
        """\
recipe.yaml:5:5: an item of process is one op; beside 'text_length_filter' there is 'min_len'
    5 |     min_len: 5
      |     ^^^^^^^
   indent parameters deeper than the op's name, and write '- ' in front of each op""",
    ),
    "a list of parameters": (
        HEAD + "  - text_length_filter: [5]\n",
        """\
recipe.yaml:4:25: the parameters of text_length_filter[1] must be written as 'name: value', not [5]
    4 |   - text_length_filter: [5]
      |                         ^^^""",
    ),
    "an item that is no op": (
        HEAD + "  - 7\n",
        """\
recipe.yaml:4:5: an item of process is an op's name and its parameters, not 7
    4 |   - 7
      |     ^""",
    ),
    "an item of null": (
        HEAD + "  -\n",
        """\
recipe.yaml:4:4: an item of process is an op's name and its parameters, not null
    4 |   -
      |    ^""",
    ),
    "an empty item": (
        HEAD + "  - {}\n",
        """\
recipe.yaml:4:5: an item of process is an op's name and its parameters, not {}
    4 |   - {}
      |     ^^""",
    ),
    "process without dashes": (
        HEAD + "  text_length_filter:\n    min_len: 5\n",
        """\
recipe.yaml:3:1: process must be a list of ops
    3 | process:
      | ^^^^^^^
   write '- ' in front of each op""",
    ),
    "no process": (
        "dataset_path: clips.jsonl\nexport_path: c.jsonl\n",
        "recipe.yaml: process is missing: the list of ops",
    ),
    "an empty process": (
        HEAD,
        """\
recipe.yaml:3:1: process is missing: the list of ops
    3 | process:
      | ^^^^^^^""",
    ),
    "a misspelt key": (
        HEAD + "  - text_length_filter\nexprt_path: x\n",
        """\
recipe.yaml:5:1: a recipe has no key 'exprt_path'
    5 | exprt_path: x
      | ^^^^^^^^^^
   did you mean 'export_path'?""",
    ),
    "a key like no other": (
        HEAD + "  - text_length_filter\nzzz: x\n",
        """\
recipe.yaml:5:1: a recipe has no key 'zzz'
    5 | zzz: x
      | ^^^""",
    ),
    "an op at the top level": (
        HEAD + "  - text_length_filter\nvideo_duration_filter:\n",
        """\
recipe.yaml:5:1: a recipe has no key 'video_duration_filter'
    5 | video_duration_filter:
      | ^^^^^^^^^^^^^^^^^^^^^
   ops stand in the list 'process'""",
    ),
    "a key of the wrong type": (
        HEAD + "  - text_length_filter\nnp: many\n",
        """\
recipe.yaml:5:5: np must be int > 0, not 'many'
    5 | np: many
      |     ^^^^""",
    ),
    "an unknown export format": (
        HEAD + "  - text_length_filter\nexport_type: xlsx\n",
        """\
recipe.yaml:5:14: export_type must be csv | json | jsonl | parquet or null, not 'xlsx'
    5 | export_type: xlsx
      |              ^^^^""",
    ),
    "an empty name of a column": (
        HEAD + "  - text_length_filter\ntext_keys: []\n",
        """\
recipe.yaml:5:12: text_keys must not be empty
    5 | text_keys: []
      |            ^^""",
    ),
    "a share above one": (
        HEAD + "  - text_length_filter\nmax_rejected: 1.5\n",
        """\
recipe.yaml:5:15: max_rejected must be a share from 0.0 to 1.0 or a number of samples, not 1.5
    5 | max_rejected: 1.5
      |               ^^^""",
    ),
    "a cluster with too few engines": (
        HEAD + "  - text_length_filter\nexecutor_type: ray\nray: {engines: [3, 2]}\n",
        """\
recipe.yaml:6:16: ray.engines must be a number from 1 to 10,000, or [FEWEST, MOST], not [3, 2]
    6 | ray: {engines: [3, 2]}
      |                ^^^^^^""",
    ),
    "an unknown setting of a cluster": (
        HEAD + "  - text_length_filter\nexecutor_type: ray\nray: {adress: auto}\n",
        """\
recipe.yaml:6:15: ray has no setting 'adress'; did you mean 'address'?
    6 | ray: {adress: auto}
      |               ^^^^""",
    ),
    "Data-Juicer's partitions": (
        HEAD + "  - text_length_filter\nexecutor_type: ray_partitioned\n",
        """\
recipe.yaml:5:16: executor_type must be 'default' or 'ray', not 'ray_partitioned'
    5 | executor_type: ray_partitioned
      |                ^^^^^^^^^^^^^^^""",
    ),
    "an unknown executor": (
        HEAD + "  - text_length_filter\nexecutor_type: spark\n",
        """\
recipe.yaml:5:16: executor_type must be 'default' or 'ray', not 'spark'
    5 | executor_type: spark
      |                ^^^^^""",
    ),
    "a missing file of ops": (
        HEAD + "  - text_length_filter\ncustom_operator_paths: [my_ops.py]\n",
        """\
recipe.yaml:5:24: custom_operator_paths: my_ops.py does not exist
    5 | custom_operator_paths: [my_ops.py]
      |                        ^^^^^^^^^^^""",
    ),
    "a key that is set twice": (
        HEAD + "  - text_length_filter\nnp: 3\nnp: 4\n",
        """\
recipe.yaml:6:1: 'np' is set twice; first in line 5
    6 | np: 4
      | ^^""",
    ),
    "a Python object": (
        HEAD + "  - text_length_filter\nproject_name: !!python/object/apply:os.system [ls]\n",
        """\
recipe.yaml:5:15: the tag '!!python/object/apply:os.system' is not allowed: a recipe holds plain values
    5 | project_name: !!python/object/apply:os.system [ls]
      |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^""",
    ),
    "problems of all kinds at once, in the order of the file": (
        "nq: 3\n" + HEAD + "  - text_length_filter: {min_len: x, mni_len: 4}\n  - zzz\nnp: 0\nnp: 1\n",
        """\
recipe.yaml:1:1: a recipe has no key 'nq'
    1 | nq: 3
      | ^^
recipe.yaml:5:35: text_length_filter[1]: min_len must be int >= 0 or null, not 'x'
    5 |   - text_length_filter: {min_len: x, mni_len: 4}
      |                                   ^
recipe.yaml:5:38: text_length_filter[1] has no parameter 'mni_len'
    5 |   - text_length_filter: {min_len: x, mni_len: 4}
      |                                      ^^^^^^^
   did you mean 'min_len'?  (juicecap ops text_length_filter)
recipe.yaml:6:5: there is no op 'zzz'
    6 |   - zzz
      |     ^^^
   (juicecap ops lists all)
recipe.yaml:7:5: np must be int > 0, not 0
    7 | np: 0
      |     ^
recipe.yaml:8:1: 'np' is set twice; first in line 7
    8 | np: 1
      | ^^""",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_recipe_is_told_where_what_and_what_next(name: str, complain: Complain) -> None:
    text, report = BROKEN[name]
    assert complain(text) == report


@pytest.mark.usefixtures("label_filter")
def test_a_missing_parameter_is_reported_at_the_ops_name(complain: Complain) -> None:
    assert complain(HEAD + "  - label_filter:\n") == (
        """\
recipe.yaml:4:5: label_filter[1] needs the parameter 'label_key'
    4 |   - label_filter:
      |     ^^^^^^^^^^^^
   (juicecap ops label_filter)"""
    )


def test_the_error_carries_each_problem_in_order(load: Load) -> None:
    with pytest.raises(RecipeError) as caught:
        load(HEAD + "  - zzz\nnp: 0\nnp: 1\n")
    assert [(each.line, each.column) for each in caught.value.problems] == [(4, 5), (5, 5), (6, 1)]
    assert caught.value.exit_code == 1


def test_everything_of_a_recipe_arrives(load: Load) -> None:
    recipe = load(
        HEAD
        + OP
        + "      caption_num: 3\n      video_key: clips\n      batch_size: 4\n"
        + "  - text_length_filter\n"
        + "video_key: videos_here\neoc_special_token: <eoc>\ntext_keys: [caption, other]\nseed: 7\nmax_rejected: 3\n"
        + "suffixes: .mp4\nexport_type: json\nuse_cache: false\nproject_name: mine\n"
    )
    captioning, length = recipe.steps
    assert (captioning.name, captioning.line, captioning.column, captioning.index) == (
        "video_captioning_from_vlm_mapper",
        4,
        5,
        0,
    )
    assert captioning.settings == {"caption_num": 3, "video_key": "clips", "batch_size": 4}
    assert captioning.options.batch_size == 4
    settings = captioning.op.settings()
    assert (settings["caption_num"], settings["video_key"], settings["text_key"], settings["seed"]) == (3, "clips", "caption", 7)
    assert (length.line, length.options.batch_size, length.settings) == (8, None, {})
    assert (length.op.video_key, length.op.text_key, length.op.eoc_special_token) == ("videos_here", "caption", "<eoc>")
    assert (recipe.path, recipe.dataset_path, recipe.export_path) == (
        Path("recipe.yaml"),
        "clips.jsonl",
        Path("out/captions.jsonl"),
    )
    assert recipe.work_dir == Path("out/captions.run")
    assert (recipe.text_keys, recipe.text_key, recipe.video_key) == (("caption", "other"), "caption", "videos_here")
    assert (recipe.seed, recipe.max_rejected, recipe.use_cache) == (7, 3, False)
    assert (recipe.suffixes, recipe.export_type) == ((".mp4",), "json")
    assert (recipe.project_name, recipe.notices) == ("mine", ())


def test_what_a_recipe_does_not_say_is_at_its_default(load: Load) -> None:
    recipe = load("dataset_path: clips.jsonl\nwork_dir:\nprocess: []\n")
    assert recipe.steps == ()
    assert recipe.export_path == Path("outputs/hello_world/hello_world.jsonl")
    assert recipe.work_dir == Path("outputs/hello_world/hello_world.run")
    assert (recipe.text_keys, recipe.video_key, recipe.video_special_token) == (("text",), "videos", "<__dj__video>")
    assert (recipe.seed, recipe.max_rejected, recipe.use_cache) == (0, 0.05, True)
    assert recipe.notices == ("export_path is not set: the captions go to ./outputs/hello_world/hello_world.jsonl",)


def test_an_op_without_a_seed_in_the_recipe_keeps_its_own(load: Load) -> None:
    recipe = load(HEAD + OP + "      seed: 5\n  - video_captioning_from_vlm_mapper\nseed: 7\n")
    assert [step.op.settings()["seed"] for step in recipe.steps] == [5, 7]


def test_null_for_a_column_name_means_the_recipes(load: Load) -> None:
    recipe = load(HEAD + "  - text_length_filter: {text_key: null}\ntext_keys: caption\n")
    assert recipe.steps[0].op.text_key == "caption"


def test_options_without_effect_are_said_once(load: Load) -> None:
    text = HEAD + "  - text_length_filter: {accelerator: cuda, memory: 1}\n  - text_length_filter: {accelerator: cpu}\n"
    assert load(text + "open_tracer: true\ntrace_num: 10\nnp: 8\n").notices == (
        "'np' has no effect: decoding uses every core, and the other ops run in this process",
        "'open_tracer' has no effect: the run folder keeps what each op left",
        "text_length_filter: 'accelerator' has no effect: a model runs on the GPU if there is one",
        "text_length_filter: 'memory' has no effect: juicecap does not reserve resources",
    )


@pytest.mark.parametrize(
    ("recipe", "op", "meant"),
    [
        ("", "{}", ("reject", None)),
        ("on_error: keep\n", "{}", ("keep", None)),
        ("skip_op_error: false\n", "{}", ("stop", None)),
        ("skip_op_error: true\non_error: keep\n", "{skip_op_error: false}", ("keep", "stop")),
        ("on_error: stop\n", "{on_error: keep}", ("stop", "keep")),
        ("on_error: stop\n", "{skip_op_error: true}", ("stop", "reject")),
    ],
)
def test_what_happens_to_samples_that_fail(recipe: str, op: str, meant: tuple[str, str | None], load: Load) -> None:
    loaded = load(HEAD + f"  - text_length_filter: {op}\n{recipe}")
    assert (loaded.on_error, loaded.steps[0].options.at_failure) == meant
    assert loaded.notices == ()


def test_an_error_that_is_both_stopped_at_and_skipped_is_a_problem(complain: Complain) -> None:
    told = complain(
        HEAD + "  - text_length_filter: {on_error: stop, skip_op_error: true}\non_error: reject\nskip_op_error: false\n"
    )
    assert "skip_op_error: false is Data-Juicer's word for on_error: stop, but on_error is 'reject'" in told
    assert "text_length_filter[1]: skip_op_error: true is Data-Juicer's word for on_error: reject, but on_error is 'stop'" in told
    assert "on_error must be reject | keep | stop" in complain(HEAD + "on_error: skip\n")


def test_the_size_of_shards(load: Load, complain: Complain) -> None:
    assert load(HEAD + "  - text_length_filter\n").export_shard_size == 0
    assert load(HEAD + "  - text_length_filter\nexport_shard_size: 1024\n").export_shard_size == 1024
    assert load(HEAD + "  - text_length_filter\n").export_csv_formulas == "raw"
    assert load(HEAD + "  - text_length_filter\nexport_csv_formulas: escape\n").export_csv_formulas == "escape"
    assert "export_csv_formulas must be escape | raw" in complain(HEAD + "  - text_length_filter\nexport_csv_formulas: no\n")
    assert "export_shard_size must be int >= 0" in complain(HEAD + "  - text_length_filter\nexport_shard_size: -1\n")


def test_an_op_of_a_file_of_ones_own(load: Load, tmp_path: Path) -> None:
    (tmp_path / "my_ops.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from juicecap.ops.base import Filter\n"
        "from juicecap.ops.registry import register\n\n"
        "@register\n@dataclass(frozen=True, kw_only=True)\n"
        "class LoudFilter(Filter):\n"
        '    """Keeps what is loud."""\n\n'
        "    level: int = 3\n"
        '    """How loud."""\n\n'
        "    def keep(self, sample):\n        return True\n"
    )
    recipe = load(HEAD + "  - loud_filter: {level: 11}\ncustom_operator_paths: my_ops.py\n")
    assert recipe.steps[0].op.settings()["level"] == 11
    assert recipe.custom_operator_paths == ("my_ops.py",)


def test_a_recipe_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("caption.yaml").write_text("")
    with pytest.raises(RecipeError) as caught:
        load_recipe("captoin.yaml")
    assert str(caught.value) == "captoin.yaml: there is no such file\n   did you mean 'caption.yaml'?"


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder, not a recipe"


def test_loading_and_checking_opens_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "clips.jsonl").write_text('{"videos": ["a.mp4"]}\n')
    (tmp_path / "recipe.yaml").write_text(HEAD + OP + "  - video_duration_filter\n")
    program = (
        "import sys, juicecap.recipe as r; assert not r.check(r.load_recipe('recipe.yaml')).problems; "
        "print(sorted({'datasets', 'torch', 'numpy', 'av', 'pyarrow', 'transformers'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
