"""Every number that a recipe or a command line takes, with values that nobody means: a problem that names it, or what it says.

No value hangs `check`, ends in a bug, or makes a run blame good clips.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema
import pytest
import yaml
from make_clips import write_clip

from juicecap.cli import main
from juicecap.errors import ModelError, RecipeError, SettingsError
from juicecap.ops import catalog, schema
from juicecap.ops.options.dataflow_aliases import MODEL_PARTS, SAMPLING_PARTS
from juicecap.ops.options.run_options import RunOptions
from juicecap.ops.options.types import json_type
from juicecap.recipe import examine
from juicecap.recipe.authoring.schema import recipe_schema
from juicecap.recipe.keys import RecipeKeys
from juicecap.vlm.backends.openai.options import options_of
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.sampling_params import JSON_TYPES

pytestmark = pytest.mark.slow

WRITTEN = [
    "0", "-1", "-0.0", "1", "0.5", "1.5", "1.0e+308", "1.0e-308", "1e400", "1.0e+400", ".inf", "-.inf", ".nan", "2147483648",
    "9223372036854775808", "18446744073709551616", "1" + "0" * 400, "'1" + "0" * 98 + "'", "'1e5'", "'.inf'", "true", "null",
    "[]", "{}", "''", "100000000", "1000000000000",
]  # fmt: skip
"""As a recipe has them."""

MODEL = {"hf_model": "juicecap-demo-vlm"}
"""One whose files are here, so that frames and tokens are counted."""

EXAMPLES: dict[str, dict[str, Any]] = {
    "image_caption_generator": {"system_prompt": "s", **MODEL},
    "video_captioning_from_vlm_mapper": MODEL,
    "video_to_caption_generator": MODEL,
}
"""What an op is told besides."""


def numeric(kind: type) -> list[str]:
    """The fields that take a number."""
    hints = get_type_hints(kind)
    words = {name: [each for each in (hint, *get_args(hint)) if isinstance(each, type)] for name, hint in hints.items()}
    names = {each.name for each in schema.parameters(kind)}
    return [
        name
        for name, kinds in words.items()
        if name in names and any(issubclass(each, int | float) and each is not bool for each in kinds)
    ]


def places() -> Iterator[tuple[str, str]]:
    """(op, parameter), with no op for a key of the recipe."""
    for name in catalog.BUILTIN:
        kind = catalog.find(name)
        yield from ((name, each) for each in (*numeric(kind), *numeric(RunOptions)))
        if "sampling_params" in schema.names(kind):
            numbers = [each for each in JSON_TYPES if JSON_TYPES[each]["type"] in ("number", "integer")]
            yield from ((name, f"sampling_params.{each}") for each in numbers)
            yield from ((name, each) for each in SAMPLING_PARTS)
            yield from ((name, f"model_params.{each}") for each in ("timeout", "max_attempts"))
            yield (name, next(each for each, entry in MODEL_PARTS.items() if entry == "timeout"))
    yield from (("", each) for each in numeric(RecipeKeys))


PLACES = list(places())


def recipe(folder: Path, op: str, parameter: str, value: str) -> tuple[Path, str]:
    """A recipe in which one number is what is written there; and the word by which a problem has to name it."""
    keys: dict[str, Any] = {"dataset_path": str(folder / "data.jsonl"), "export_path": str(folder / "out/a.jsonl")}
    block: dict[str, Any] = dict(EXAMPLES.get(op, {}))
    outer, _, inner = parameter.rpartition(".")
    if outer == "model_params" or parameter == "timeout":
        block |= {"backend": "openai", "api_base": "http://127.0.0.1:9/v1", "hf_model": "m"}
    if op and outer:
        block[outer] = {inner: "HERE"}
    elif op:
        block[parameter] = "HERE"
    else:
        keys[parameter] = "HERE"
    keys["process"] = [{op: block}] if op else ["text_length_filter"]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(keys).replace("HERE", value))
    return path, SAMPLING_PARTS.get(inner, inner)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("numbers")
    path = str(write_clip(made / "clip.mp4", 12))
    row = {"videos": [path], "images": [], "video": [path], "text": "some words of a text", "image": []}
    (made / "data.jsonl").write_text(json.dumps(row) + "\n")
    return made


def told(path: Path) -> list[str]:
    """The problems of a recipe: those that say nothing of its numbers are left out."""
    try:
        _, report = examine(path)
    except RecipeError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in report.problems]


@pytest.mark.parametrize(("op", "parameter"), PLACES, ids=lambda part: part or "recipe")
def test_check_says_at_once_what_cannot_be(folder: Path, op: str, parameter: str) -> None:
    began, accepted = time.monotonic(), []
    for value in WRITTEN:
        path, word = recipe(folder, op, parameter, value)
        found = [each for each in told(path) if "NO_MEDIA" not in each and "in column 'image'" not in each]
        if not found:
            accepted.append(value)
        for problem in found:
            assert re.match(rf"{re.escape(str(path))}:\d+:\d+: ", problem), problem
            assert word in problem or re.search(r"is not an? |100,000 frames have at least ", problem), problem
            assert len(problem) < 1000
    assert time.monotonic() - began < 60
    assert not {"1.0e+308", "1" + "0" * 400, "18446744073709551616"} & set(accepted) or parameter in NO_LIMIT, accepted


NO_LIMIT = {
    "decode_seconds", "end", "export_shard_size", "max_duration", "max_height", "max_len", "max_rejected", "max_width",
    "media_max_seconds", "np", "remote_seconds", "trace_num",
}  # fmt: skip
"""Parameters that take any large number, which is no limit."""


NUMBERS = ["0", "-1", "1", "0.5", "1.0e+308", "2147483648", "9223372036854775808", "100000000", "1000000000000"]


@pytest.mark.parametrize(("op", "parameter"), PLACES, ids=lambda part: part or "recipe")
def test_the_schema_for_editors_says_the_same(folder: Path, op: str, parameter: str) -> None:
    validator = jsonschema.Draft202012Validator(recipe_schema())
    for value in NUMBERS:
        path, _ = recipe(folder, op, parameter, value)
        allowed = validator.is_valid(yaml.safe_load(path.read_text()))
        problems = [problem for problem in told(path) if "in column" not in problem and "NO_MEDIA" not in problem]
        if not allowed:
            assert problems, (value, "the schema refuses it, and check does not")
        elif not parameter.startswith("model_params") and parameter not in UNKNOWN_TO_THE_SCHEMA:
            assert not problems or any(word in problems[0] for word in BEYOND_A_SCHEMA), (value, problems)


UNKNOWN_TO_THE_SCHEMA = ("max_rejected", "timeout", "trace_num")
"""`timeout` is a part of `model_params`; of the others 1e308 is an integer to the schema, and none to `check`."""

BEYOND_A_SCHEMA = ("is larger than", "is not later than", "have at least", "leaves no room", "is at most 2 for backend")
"""What takes more than one value, or the model's files, to see."""


def largest(hint: Any) -> float | int | None:
    """The largest number that a type takes; None if it takes none."""
    for each in (hint, *get_args(hint)):
        bounds = json_type(each)
        if bounds.get("type") in ("integer", "number"):
            return bounds.get("maximum", math.inf if bounds["type"] == "number" else 10**300)
    return None


def all_largest(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: most for name in numeric(kind) if (most := largest(hints[name])) is not None}


EXTREMES: dict[str, dict[str, Any]] = {
    "video_captioning_from_vlm_mapper": {"min_frames": 100_000},
    "video_duration_filter": {"min_duration": 1.2},
    "video_resolution_filter": {"min_width": 96, "min_height": 64},
}
"""Beside the largest numbers: what would rightly drop the clip, or contradicts."""


@pytest.mark.parametrize("op", EXTREMES)
def test_a_good_clip_passes_whatever_limit_is_taken_away(folder: Path, script: Any, op: str) -> None:
    """All numbers at once as large as they may be, and each number without a bound at `.inf` or beyond."""
    kind = catalog.find(op)
    settings = {**all_largest(kind), **EXTREMES[op]}
    if "hf_model" in schema.names(kind):
        settings |= {
            "hf_model": script.model,
            "keep_original_sample": False,
            "sampling_params": {"seed": 0, "max_tokens": 10_000_000},
        }
        settings["seed"] = 0
    row = json.loads((folder / "data.jsonl").read_text())
    fates = list(kind(**settings).stream([row], 10**6))
    assert [(fate.kind, fate.failure) for fate in fates] == [("kept", None)]
    assert len(fates[0].outputs) == 1


@pytest.mark.parametrize("seconds", [".inf", "1.0e+308", "9223372036854775808", "0.01"])
@pytest.mark.parametrize("name", ["decode_seconds", "media_max_seconds", "remote_seconds", "end", "max_duration"])
def test_seconds_that_are_no_limit_are_none(folder: Path, script: Any, name: str, seconds: str) -> None:
    op = "video_duration_filter" if name == "max_duration" else "video_captioning_from_vlm_mapper"
    block = {} if name == "max_duration" else {"hf_model": script.model, "keep_original_sample": False}
    keys = {"dataset_path": str(folder / "data.jsonl"), "export_path": str(folder / name / f"{seconds}.jsonl")}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**keys, "process": [{op: {**block, name: "HERE"}}]}).replace("HERE", seconds))
    code = main(["run", str(path), "--quiet"])
    rejected = (folder / name / f"{seconds}.run/rejected.jsonl").read_text()
    if seconds == "0.01" and name in ("decode_seconds", "media_max_seconds"):
        assert code in (0, 3, 4)
        assert rejected == "" or name in rejected or "CPU seconds" in rejected
    else:
        assert (code, rejected) == (0, "")
        lines = (folder / name / f"{seconds}.jsonl").read_text().splitlines()
        assert len(lines) == (0 if (seconds, name) == ("0.01", "max_duration") else 1)


HUGE = ["9223372036854775808", "1" + "0" * 400, "9" * 5000, "1e308", "inf", "nan", "-1", "0x10", "", "\ud800"]


@pytest.mark.parametrize("value", HUGE, ids=lambda value: ascii(value[:20]))
@pytest.mark.parametrize(
    ("verb", "option"),
    [
        ("run", "--limit"),
        ("preview", "-n"),
        ("preview", "--limit"),
        ("plan", "--gpu-hour"),
        ("plan", "--input-mtok"),
        ("plan", "--output-mtok"),
        ("plan", "--tokens-per-second"),
    ],
)
def test_a_number_on_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], verb: str, option: str, value: str
) -> None:
    path, _ = recipe(folder, "text_length_filter", "min_len", "1")
    with pytest.raises(SystemExit) as ended:
        main([verb, str(path), f"{option}={value}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"juicecap {verb}: error: argument {'-n/--number' if option == '-n' else option}: must be ")
    assert len(said) < 200


def test_the_largest_numbers_of_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = recipe(folder, "text_length_filter", "min_len", "1")
    assert main(["run", str(path), "--limit", str(10**12), "--overwrite"]) == 0
    assert main(["preview", str(path), "-n", "1000"]) == 0
    assert main(["plan", str(path), "--gpu-hour", "1e9", "--tokens-per-second", "0.001"]) == 0
    assert main(["plan", str(path), "--input-mtok", "1e9", "--output-mtok", "1e9", "--tokens-per-second", "1e9"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"caption_num": 10**5000}, "caption_num must be at most 1000, not a huge int"),
        ({"caption_num": 1e308}, "caption_num must be at most 1000, not 1e+308"),
        ({"num_frames": 100_000_000}, "num_frames must be at most 100000, not 100000000"),
        ({"fps": 1e308}, "fps must be at most 1000, not 1e+308"),
        ({"fps": math.nan}, "fps must be float > 0, not nan"),
        ({"decode_memory_mb": 10**308}, f"decode_memory_mb must be at most 1000000000, not {str(10**308)[:79]}…"),
        ({"decode_seconds": -math.inf}, "decode_seconds must be float >= 0.01, not -inf"),
        ({"decode_workers": 2**31}, "decode_workers must be at most 1024, not 2147483648"),
        ({"sampling_params": {"temperature": 1e-308}}, "sampling_params: temperature must be 0 or at least 0.0001, not 1e-308"),
        ({"sampling_params": {"temperature": 1e308}}, "sampling_params: temperature must be at most 100, not 1e+308"),
        ({"sampling_params": {"temperature": 10**5000}}, "sampling_params: temperature must be at most 100, not a huge int"),
        ({"sampling_params": {"max_tokens": 2**63}}, f"sampling_params: max_tokens must be at most 10000000, not {2**63}"),
        (
            {"sampling_params": {"repetition_penalty": 1e-9}},
            "sampling_params: repetition_penalty must be at least 0.01, not 1e-09",
        ),
    ],
)
def test_from_python(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        catalog.find("video_captioning_from_vlm_mapper")(**settings)
    assert [message for _, message in caught.value.problems] == [sentence]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"timeout": 1e308}, "timeout must be from 0.01 to 604800 seconds (a week), not 1e+308"),
        ({"timeout": math.inf}, "timeout must be from 0.01 to 604800 seconds (a week), not inf"),
        ({"timeout": math.nan}, "timeout must be a number of seconds above 0, not nan"),
        ({"timeout": 1e-308}, "timeout must be from 0.01 to 604800 seconds (a week), not 1e-308"),
        ({"max_attempts": 2**63}, f"max_attempts must be at most 100, not {2**63}"),
    ],
)
def test_what_is_told_a_server(params: dict[str, Any], sentence: str) -> None:
    settings = ModelSettings(backend="openai", model="m", params=json.dumps(params), api_base="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError) as caught:
        options_of(settings)
    assert str(caught.value) == f"model_params: {sentence}"


@pytest.mark.parametrize("port", [0, 65536, 99999, "9" * 30])
def test_a_port_of_a_server_that_no_server_has(port: object) -> None:
    base = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(ModelError) as caught:
        options_of(ModelSettings(backend="openai", model="m", api_base=base))
    assert str(caught.value) == f"api_base must be an address such as http://localhost:8000/v1, not {base!r}"
