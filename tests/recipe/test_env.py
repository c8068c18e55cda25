"""`${NAME}` in values: what it becomes, what is said where it cannot become anything, and that no secret lands on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap import run
from juicecap.recipe import Recipe, examine
from juicecap.recipe.resolved import resolved_text
from juicecap.recipe.yaml.environment import BadVariable, Filled, fill

Load = Callable[..., Recipe]
Complain = Callable[..., str]

SECRET = "sk-planted-4711-secret"

CAPTION = """\
dataset_path: clips.jsonl
export_path: out/captions.jsonl
process:
  - video_captioning_from_vlm_mapper:
"""


@pytest.fixture
def caption(load: Load) -> Callable[..., dict[str, object]]:
    """The op's settings with these lines in its block."""

    def settings(*lines: str) -> dict[str, object]:
        return load(CAPTION + "".join(f"      {line}\n" for line in lines)).steps[0].op.settings()

    return settings


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("${A}", "one"),
        ("x${A}y${B}", "xoney2"),
        ("${UNSET:-three}", "three"),
        ("${EMPTY:-three}", "three"),
        ("${EMPTY}", ""),
        ("${UNSET:-}", ""),
        ("${A:-three}", "one"),
        ("${UNSET:-a:-b c}", "a:-b c"),
        ("$${A}", "${A}"),
        ("$${A} ${A}", "${A} one"),
        ("$A $5 {A}", "$A $5 {A}"),
        ("${A}${B}", "one2"),
    ],
)
def test_variables_are_filled_in(written: str, text: str) -> None:
    assert fill(written, {"A": "one", "B": "2", "EMPTY": ""}).text == text


def test_what_a_variable_gives_is_not_looked_through_for_more() -> None:
    assert fill("${A}", {"A": "${B}", "B": "no"}).text == "${B}"


def test_where_values_come_from_is_told_without_them() -> None:
    environment = {"A": "one", "EMPTY": ""}
    assert fill("${A} ${UNSET:-2} ${EMPTY:-3}", environment).origins == (
        "A from the environment",
        "default, UNSET is not set",
        "default, EMPTY is not set",
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("", None),
        ("null", None),
        ("2026-11-21", "2026-11-21"),
        ("[1]", "[1]"),
        ("=", "="),
    ],
)
def test_one_variable_alone_is_read_as_a_word_of_yaml(text: str, value: object) -> None:
    assert Filled(written="${A}", text=text, alone=True, origins=()).value == value
    assert Filled(written="a${A}", text=text, alone=False, origins=()).value == text


@pytest.mark.parametrize("written", ["${", "${}", "${A", "${A B}", "${A-b}", "${1A}", "${A:-${B}}", "${Ä}"])
def test_what_is_no_variable_is_said(written: str) -> None:
    with pytest.raises(BadVariable, match=r"is no variable$") as caught:
        fill(written, {"A": "one"})
    assert "${NAME:-default}" in caught.value.hint


def test_bytes_that_are_no_text_are_said() -> None:
    with pytest.raises(BadVariable, match=r"^the environment variable 'A' is not UTF-8$"):
        fill("${A}", {"A": "caf\udce9"})


def test_numbers_texts_and_nested_values(caption: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"N": "3", "MODEL": "123", "T": "0.5", "KEEP": "false", "MAX": "null"}.items():
        monkeypatch.setenv(name, value)
    settings = caption(
        "caption_num: ${N}",
        "hf_model: ${MODEL}",
        "keep_original_sample: ${KEEP}",
        "num_frames: ${MAX}",
        'sampling_params: {temperature: "${T}", top_k: "${K:-7}"}',
        "prompt: Say it in ${N} words, $${N}.",
    )
    assert settings["caption_num"] == 3
    assert settings["hf_model"] == "123"
    assert settings["keep_original_sample"] is False
    assert settings["num_frames"] is None
    assert settings["sampling_params"] == {"temperature": 0.5, "top_k": 7}
    assert settings["prompt"] == "Say it in 3 words, ${N}."


def test_keys_paths_and_options_take_variables_too(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.setenv("SHARE", "0.25")
    recipe = load(
        "dataset_path: ${DATA}/clips.jsonl\nmax_rejected: ${SHARE}\nprocess: ['${OP:-text_length_filter}']\n", "seed=${SEED:-8}"
    )
    assert (recipe.dataset_path, recipe.max_rejected, recipe.seed) == ("/data/clips.jsonl", 0.25, 8)
    assert [step.name for step in recipe.steps] == ["text_length_filter"]


def test_keys_are_left_alone(complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "seed")
    assert complain("process: []\n${KEY}: 3\n").startswith("recipe.yaml:2:1: a recipe has no key '${KEY}'")


def test_a_variable_that_is_not_set_is_a_problem_of_its_place(complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUICECAP_TEST_MODEL", "m")
    text = CAPTION + "      caption_num: ${QQQ_XXX_ZZZ_QQQ_XXX_ZZZ}\n      hf_model: ${JUICECAP_TEST_MODLE}\n"
    assert complain(text) == (
        "recipe.yaml:5:20: the environment variable 'QQQ_XXX_ZZZ_QQQ_XXX_ZZZ' is not set\n"
        "    5 |       caption_num: ${QQQ_XXX_ZZZ_QQQ_XXX_ZZZ}\n"
        "      |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "   set it, or give a default: ${QQQ_XXX_ZZZ_QQQ_XXX_ZZZ:-…}\n"
        "recipe.yaml:6:17: the environment variable 'JUICECAP_TEST_MODLE' is not set\n"
        "    6 |       hf_model: ${JUICECAP_TEST_MODLE}\n"
        "      |                 ^^^^^^^^^^^^^^^^^^^^^^\n"
        "   did you mean 'JUICECAP_TEST_MODEL'?  (or give a default: ${JUICECAP_TEST_MODLE:-…})"
    )


def test_a_part_that_cannot_be_filled_in_makes_no_second_problem(complain: Complain) -> None:
    text = CAPTION + "      sampling_params:\n        max_tokens: ${JUICECAP_TEST_TOKENS}\n"
    report = complain(text)
    assert report.startswith("recipe.yaml:6:21: the environment variable 'JUICECAP_TEST_TOKENS' is not set\n")
    assert report.count("recipe.yaml:") == 1


def test_a_problem_of_an_option_names_it(complain: Complain) -> None:
    assert complain(CAPTION, "seed=${JUICECAP_TEST_SEED}") == (
        "--set seed=${JUICECAP_TEST_SEED}: the environment variable 'JUICECAP_TEST_SEED' is not set\n"
        "   set it, or give a default: ${JUICECAP_TEST_SEED:-…}"
    )


@pytest.mark.parametrize("line", ["caption_num: ${TOKEN}", "model_params: ${TOKEN}", "sampling_params: {top_k: '${TOKEN}'}"])
def test_a_message_names_the_variable_and_not_its_value(line: str, complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    report = complain(f"{CAPTION}      {line}\n")
    assert "'${TOKEN}'" in report
    assert SECRET not in report


def test_no_secret_lands_in_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "clips.jsonl").write_text('{"videos": [], "text": "a text that is long enough"}\n', encoding="utf-8")
    (tmp_path / "shared.yaml").write_text("model_params:\n  token: ${TOKEN}\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(
        f"{CAPTION}      include: shared.yaml\n      hf_model: {script.model}\n      sampling_params: {{seed: 3}}\n",
        encoding="utf-8",
    )
    done = run("recipe.yaml", overrides=["video_captioning_from_vlm_mapper.model_params.revision=${TOKEN}"])
    assert json.loads((tmp_path / "out" / "captions.jsonl").read_text())["text"] == "a text that is long enough"
    files = [path for path in done.work_dir.rglob("*") if path.is_file()]
    assert {"recipe.yaml", "manifest.json"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    told = (done.work_dir / "recipe.yaml").read_text(encoding="utf-8")
    assert "      token: ${TOKEN}  # TOKEN from the environment\n" in told
    assert "      revision: ${TOKEN}  # --set; TOKEN from the environment\n" in told


def test_the_resolved_recipe_tells_where_things_come_from_and_loads(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "me")
    Path("shared.yaml").write_text("seed: 3\nvideo_key: clips\n", encoding="utf-8")
    recipe = load(
        "include: shared.yaml\nx-model: &model {hf_model: m}\ndataset_path: ${DATA:-clips.jsonl}\n"
        "process:\n  - text_length_filter\n  - video_captioning_from_vlm_mapper:\n      <<: *model\n"
        '      prompt: "${WHO}:\\nwhat # is it?"\n      system_prompt: "a\\u2028b"\n',
        "process.1.video_captioning_from_vlm_mapper.sampling_params={top_k: 3}",
        "max_rejected=3",
    )
    told = resolved_text(recipe)
    assert told.split("\n", 1)[1] == (
        "seed: 3  # shared.yaml:1\n"
        "video_key: clips  # shared.yaml:2\n"
        "dataset_path: ${DATA:-clips.jsonl}  # default, DATA is not set\n"
        "process:\n"
        "- text_length_filter\n"
        "- video_captioning_from_vlm_mapper:\n"
        "    hf_model: m\n"
        "    # WHO from the environment\n"
        "    prompt: |-\n"
        "      ${WHO}:\n"
        "      what # is it?\n"
        '    system_prompt: "a\\Lb"\n'
        "    sampling_params:  # --set\n"
        "      top_k: 3\n"
        "max_rejected: 3  # --set\n"
    )
    again = load(told)
    assert again.steps[1].op == recipe.steps[1].op
    assert again.resolved == recipe.resolved


@pytest.mark.parametrize(
    ("value", "line", "message"),
    [
        ("0", "caption_num: ${V}", "caption_num must be int > 0, not '${V}'"),
        ("-4711", "caption_num: ${V}", "caption_num must be int > 0, not '${V}'"),
        ("a", "caption_num: ${V}", "caption_num must be int > 0, not '${V}'"),
        ("1.5", "caption_num: ${V}", "caption_num must be int > 0, not '${V}'"),
        ("yes", "caption_num: ${V}", "caption_num must be int > 0, not '${V}'"),
        ("x" * 500, "caption_num: ${V}", "caption_num must be int > 0, not '${V}'"),
        ("it's", "fps: ${V}", "fps must be float > 0, not '${V}'"),
        ("a", "fps: x${V}y", "fps must be float > 0, not 'x${V}y'"),
        ("ab", "model_params: ['${V}', 3]", "model_params must be dict or null, not ['${V}', 3]"),
        ("ab" * 100, "model_params: ['${V}', 3]", "model_params must be dict or null, not ['${V}', 3]"),
        ("4711", "model_params: {a: 1}\n      fps: [{b: '${V}'}]", "fps must be float > 0, not [{'b': '${V}'}]"),
        ("best", "keep_candidate_mode: ${V}", "keep_candidate_mode must be random_any | similar_one_simhash | all, not '${V}'"),
        ("64", "min_frames: ${V}\n      max_frames: 16", "min_frames (${V}) is larger than max_frames (16)"),
        ("16", "max_frames: ${V}\n      min_frames: 64", "min_frames (64) is larger than max_frames (${V})"),
        ("9", "start: ${V}\n      end: 3", "end (3.0) is not later than start (9.0)"),
        (
            "local",
            "backend: openai\n      api_base: ${V}",
            "api_base must be an address such as http://localhost:8000/v1, not '${V}'",
        ),
        ("videos", "caption_field: ${V}", "caption_field and video_key both name the column '${V}': name another"),
        ("teh", "sampling_params: {stop: ['${V}'], temprature: 1}", "sampling_params has no parameter 'temprature'"),
        ("2", "sampling_params: {top_p: '${V}'}", "sampling_params: top_p must be a number > 0 and <= 1, not '${V}'"),
        ("ab{", "prompt: '${V}'\n      video_key: ''", "video_key must not be empty"),
    ],
)
def test_a_problem_names_the_variable_however_short_its_value_is(
    value: str, line: str, message: str, complain: Complain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V", value)
    report = complain(f"{CAPTION}      {line}\n")
    assert f": {message}" in report.splitlines()[0]


@pytest.mark.parametrize("value", ["abc", "x/y.jsonl", "some.thing", "is", "a"])
def test_a_path_that_is_not_there_is_told_by_its_variable(value: str, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V", value)
    load("process: [text_length_filter]\n")
    Path("recipe.yaml").write_text(CAPTION.replace("clips.jsonl", "${V}"), encoding="utf-8")
    _, report = examine("recipe.yaml")
    problem = report.problems[0]
    told = "${V}" if len(value) > 2 else value  # what is shorter is a word of every sentence
    assert problem.message == (
        f"dataset_path: {told} does not exist. Give a dataset file, a folder, or a Hub name such as org/name."
    )


@pytest.mark.parametrize(
    ("value", "line", "message"),
    [
        ("NOKEY", "backend: openai\n      key_name_of_api_key: ${V}", "the environment variable ${V}, which api_key_env names"),
        ("4711", "backend: openai\n      timeout: ['${V}']", "timeout must be a number of seconds above 0, not ['${V}']"),
        (
            "4711",
            "backend: openai\n      timeout: {b: '${V}', a: '${V}'}",
            "timeout must be a number of seconds above 0, not {'a': ${V}, 'b': ${V}}",
        ),
        ("47113", "hf_model: juicecap-demo-vlm\n      num_frames: ${V}", "${V} frames have at least "),
        ("47113", "hf_model: juicecap-demo-vlm\n      vllm_max_tokens: ${V}", "max_tokens ${V} leaves no room"),
        ("./x//y", "hf_model: ${V}", "there is no folder ${V}"),
    ],
)
def test_what_check_says_names_the_variable_as_well(
    value: str, line: str, message: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V", value)
    load("process: [text_length_filter]\n")
    Path("recipe.yaml").write_text(f"{CAPTION}      {line}\n", encoding="utf-8")
    _, report = examine("recipe.yaml")
    (told,) = [each for each in (*report.problems, *report.warnings) if message in each.message]
    key = line.splitlines()[-1].split(":")[0].strip()
    assert Path("recipe.yaml").read_text(encoding="utf-8").splitlines()[(told.line or 0) - 1].strip().startswith(f"{key}:")


def test_the_name_of_an_op_may_come_from_a_variable_and_is_told(
    load: Load, complain: Complain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OP", "text_lenth_filter")
    assert complain("process: ['${OP}']\n").startswith("recipe.yaml:1:11: there is no op '${OP}'\n")
    monkeypatch.setenv("OP", "text_length_filter")
    recipe = load("process: ['${OP}']\n")
    assert recipe.hidden.text("text_length_filter begins") == "text_length_filter begins"


def test_defaults_are_no_secrets(complain: Complain) -> None:
    assert "caption_num must be int > 0, not 'many-of-them'" in complain(
        f"{CAPTION}      caption_num: ${{UNSET:-many-of-them}}\n"
    )


def test_hints_and_later_messages_have_names(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", SECRET)
    recipe = load(CAPTION + "      hf_model: ${WHERE}/model\n      prompt: Say ${WHERE}.\n")
    assert recipe.hidden.text(f"there is no model {SECRET}/model") == "there is no model ${WHERE}/model"
    problem = recipe.source.problem(("dataset_path",), f"no {SECRET}", hint=f"did you mean '{SECRET}/x'?")
    assert (problem.message, problem.hint) == ("no ${WHERE}", "did you mean '${WHERE}/x'?")


def test_values_are_bounded_once_variables_are_filled_in(complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONG", "x" * 100_000)
    message = "once variables are filled in, the values have more than 1,000,000 characters"
    assert complain(f"process: []\nproject_name: {'${LONG}' * 20}\n").startswith(f"recipe.yaml:2:15: {message}\n")
    report = complain(f"process: []\nx: [{', '.join(['${LONG}'] * 20)}]\n".replace("${", "'${").replace("}", "}'"))
    assert message in report


def test_a_long_value_beside_a_variable_costs_little(complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V", "openai")
    began = time.process_time()
    report = complain(f"{CAPTION}      backend: ${{V}}\n      api_base: {'a' * 400_000}\n")
    assert time.process_time() - began < 30
    assert "api_base must be an address" in report


def test_many_variables_and_many_problems_cost_little(complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        monkeypatch.setenv(f"V{number}", f"value-{number}-of-many")
    began = time.process_time()
    report = complain("process: []\n" + "".join(f"key{number}: ${{V{number % 100}}} {number}\n" for number in range(9000)))
    assert time.process_time() - began < 30
    assert report.count("a recipe has no key") == 9000
