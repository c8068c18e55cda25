"""Recipes that nobody wrote in good faith: each is answered by a problem with its position, in little time and memory."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from juicecap.errors import RecipeError
from juicecap.recipe import load_recipe

SECONDS = 20
"""Far more than any of these takes, and far less than what they are made for."""

MEGABYTES = 150

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
)
TOO_MANY = "there are more than 20,000 values"
EXPANDED = "aliases expand to more than 20,000 values"
CAPTIONER = "video_captioning_from_vlm_mapper"
NINES = "9" * 900_000

HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "an alias bomb": (BOMB, f"recipe.yaml:1:4: {EXPANDED}"),
    "a bomb of merge keys": (
        f"a: &a {{{', '.join(f'k{number}: 1' for number in range(300))}}}\nb: {{{'<<: *a, ' * 3000}}}\n",
        f"recipe.yaml:1:1083: {EXPANDED}",
    ),
    "a mapping in itself": ("process: &p\n  - *p\n", "recipe.yaml:1:10: this value contains itself through an alias"),
    "a merge of itself": ("process: &p {<<: *p}\n", "recipe.yaml:1:10: this value contains itself through an alias"),
    "a call": (
        "process: []\nproject_name: !!python/object/apply:os.system ['touch owned']\n",
        "recipe.yaml:2:15: the tag '!!python/object/apply:os.system' is not allowed: a recipe holds plain values",
    ),
    "an object": (
        "process: []\nproject_name: !!python/object/new:os._wrap_close {}\n",
        "recipe.yaml:2:15: the tag '!!python/object/new:os._wrap_close' is not allowed: a recipe holds plain values",
    ),
    "a name": (
        "process: []\nproject_name: !!python/name:os.system\n",
        "recipe.yaml:2:15: the tag '!!python/name:os.system' is not allowed: a recipe holds plain values",
    ),
    "a tag under another name": (
        "%TAG !y! tag:yaml.org,2002:python/object/apply:\n---\nprocess: []\nproject_name: !y!os.getcwd []\n",
        "recipe.yaml:4:15: the tag '!!python/object/apply:os.getcwd' is not allowed: a recipe holds plain values",
    ),
    "bytes": (
        "process: []\nproject_name: !!binary aGVsbG8=\n",
        "recipe.yaml:2:15: the tag '!!binary' is not allowed: a recipe holds plain values",
    ),
    "duplicate keys": ("process: []\nnp: 1\nnp: 2\n", "recipe.yaml:3:1: 'np' is set twice; first in line 2"),
    "a tab": ("process:\n\t- text_length_filter:\n", "recipe.yaml:2:1: a tab in the indentation"),
    "deep brackets": ("a: " + "[" * 400_000, "recipe.yaml:1:103: values are nested deeper than 100 levels"),
    "deep dashes": ("- " * 400_000, "recipe.yaml:1:201: values are nested deeper than 100 levels"),
    "deep questions": ("? " * 400_000, "recipe.yaml:1:201: values are nested deeper than 100 levels"),
    "ten megabytes": ("#" * 10_000_000, "recipe.yaml: is larger than 1,000,000 bytes; that is no recipe"),
    "many values": ("process:\n" + "- x\n" * 225_000, f"recipe.yaml:19999:3: {TOO_MANY}"),
    "many keys": ("".join(f"k{number}: 1\n" for number in range(70_000)), f"recipe.yaml:10000:8: {TOO_MANY}"),
    "many anchors": ("".join(f"- &a{number} x\n" for number in range(60_000)), f"recipe.yaml:20000:3: {TOO_MANY}"),
    "many tags": ("- !x x\n" * 120_000, f"recipe.yaml:20000:3: {TOO_MANY}"),
    "many documents": ("---\n" * 225_000, "recipe.yaml:2:1: a second YAML document begins here; a recipe is one"),
    "UTF-16": ("process: []\n".encode("utf-16"), "recipe.yaml:1:1: the byte 0xff is not UTF-8"),
    "Latin-1": (b"process: []\nproject_name: caf\xe9\n", "recipe.yaml:2:18: the byte 0xe9 is not UTF-8"),
    "a NUL": ("process: []\nproject_name: a\0b\n", "recipe.yaml:2:16: the character U+0000 may not stand in YAML"),
    "nothing": ("", "recipe.yaml:1:1: the recipe is empty"),
    "a byte order mark alone": (b"\xef\xbb\xbf", "recipe.yaml:1:1: the recipe is empty"),
    "a list": ("- process: []\n", "recipe.yaml:1:1: the recipe is a list, not a mapping of keys"),
    "a word": ("process\n", "recipe.yaml:1:1: the recipe is a str, not a mapping of keys"),
    "an int of 900,000 digits": (
        f"process: []\nseed: {NINES}\n",
        f"recipe.yaml:2:7: '{'9' * 59}… is not an int of 64 bits",
    ),
    "an int of 65 bits": (
        "process: []\nseed: 0x1_0000_0000_0000_0000\n",
        "recipe.yaml:2:7: '0x1_0000_0000_0000_0000' is not an int of 64 bits",
    ),
    "an int in base 60": (
        f"process: []\nseed: {'1:' * 400_000}1\n",
        f"recipe.yaml:2:7: '{'1:' * 29}1… is not an int of 64 bits",
    ),
    "a float in base 60": (f"process: []\nseed: {'1:' * 400_000}1.5\n", f"recipe.yaml:2:7: '{'1:' * 29}1… is not a float"),
    "a text that would be an int in base 60": (
        f'process: []\nseed: "{"1:" * 400_000}1"\n',
        f"recipe.yaml:2:7: seed must be int >= 0, not '{'1:' * 39}…",
    ),
    "a float beyond floats": ("process: []\nmax_rejected: 1.0e+400\n", "recipe.yaml:2:15: '1.0e+400' is not a float"),
    "a date": ("process: []\nseed: 9999-99-99\n", "recipe.yaml:2:7: seed must be int >= 0, not '9999-99-99'"),
    "not a number": (
        "process: []\nmax_rejected: .nan\n",
        "recipe.yaml:2:15: max_rejected must be a share from 0.0 to 1.0 or a number of samples, not nan",
    ),
}


def refused(path: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_recipe_is_one_short_problem(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, message = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    began = time.monotonic()
    error = refused("recipe.yaml")
    assert time.monotonic() - began < SECONDS
    assert message in [str(problem) for problem in error.problems]
    assert len(str(error)) < 5000
    assert os.listdir() == ["recipe.yaml"]


@pytest.mark.parametrize("name", ["an alias bomb", "a bomb of merge keys", "deep brackets", "ten megabytes", "many values"])
def test_what_grows_is_stopped_before_the_memory_is_spent(name: str, tmp_path: Path) -> None:
    content, _ = HOSTILE[name]
    (tmp_path / "recipe.yaml").write_text(str(content))
    tracemalloc.start()
    try:
        refused(str(tmp_path / "recipe.yaml"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MEGABYTES << 20


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    assert str(refused(str(tmp_path))) == f"{tmp_path}: is a folder, not a recipe"


def test_a_path_with_a_null_character_is_no_recipe() -> None:
    assert str(refused("a\0.yaml")) == "a\ufffd.yaml: cannot be read: embedded null byte"


def test_a_device_that_never_ends_is_no_recipe() -> None:
    assert str(refused("/dev/zero")) == "/dev/zero: is larger than 1,000,000 bytes; that is no recipe"


def test_anchors_merge_keys_and_a_byte_order_mark_are_no_harm(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(
        b"\xef\xbb\xbfprocess:\r\n  - text_length_filter: &short {min_len: 1, max_len: 9}\r\n"
        b"  - text_length_filter: {<<: *short, max_len: 0x10}\r\n"
    )
    assert [(step.op.min_len, step.op.max_len) for step in load_recipe(recipe).steps] == [(1, 9), (1, 16)]


@pytest.mark.parametrize(
    ("what", "last", "hint"),
    [
        ("{name}: 1\n", "a recipe has no key 'dataset_pathy_8999'", "did you mean 'dataset_path'?"),
        ("      {name}: 1\n", "text_length_filter[1] has no parameter 'dataset_pathy_8999'", "(juicecap ops text_length_filter)"),
        ("  - {name}\n", "there is no op 'dataset_pathy_8999'", "(juicecap ops lists all)"),
    ],
)
def test_near_names_are_looked_for_in_the_first_problems_alone(tmp_path: Path, what: str, last: str, hint: str) -> None:
    begin = {" ": "process:\n", "{": "process: []\n"}[what[0]] + ("  - text_length_filter:\n" if what[4] == " " else "")
    (tmp_path / "recipe.yaml").write_text(begin + "".join(what.format(name=f"dataset_pathy_{n}") for n in range(9000)))
    began = time.process_time()
    problems = [each for each in refused(str(tmp_path / "recipe.yaml")).problems if "pathy" in each.message]
    assert time.process_time() - began < SECONDS
    assert (len(problems), problems[-1].message) == (9000, last)
    assert hint in problems[0].hint
    assert "did you mean" not in problems[50].hint


def test_a_pipe_is_not_waited_for_where_a_file_is_included(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "recipe.yaml").write_text("include: pipe\nprocess: []\n")
    (problem,) = refused(str(tmp_path / "recipe.yaml")).problems
    assert str(problem) == f"{tmp_path}/recipe.yaml:1:10: include: {tmp_path}/pipe: is no regular file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("process:\n" + "  - text_length_filter\n" * 15_000, "recipe.yaml:1002:5: process holds more than 1,000 ops\n"),
        ("process: []\nsuffixes: [" + "a, " * 15_000 + "1]\n", "recipe.yaml:2:11: suffixes must be str or list, not ['a', 'a'"),
        (
            "process: []\ncustom_operator_paths: [" + "no.py, " * 9000 + "]\n",
            "recipe.yaml:2:24: custom_operator_paths: no.py does not exist\n",
        ),
        (
            f'process:\n  - {CAPTIONER}:\n      backend: openai\n      api_base: "http://{"a" * 400_000}\\n"\n',
            f"recipe.yaml:4:7: {CAPTIONER}[1]: api_base must be an address such as http://localhost:8000/v1, not 'http://aaa",
        ),
    ],
    ids=["many ops", "many suffixes", "many files of ops", "an address that is read again and again"],
)
def test_what_is_many_or_long_is_told_soon(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(text)
    began = time.process_time()
    error = refused("recipe.yaml")
    assert time.process_time() - began < SECONDS
    assert str(error).startswith(message)


def test_long_lists_of_texts_are_taken(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("process: []\nsuffixes: [" + "mp4, " * 15_000 + "'null']\n")
    began = time.process_time()
    assert load_recipe(tmp_path / "recipe.yaml").suffixes == ("mp4",) * 15_000 + ("null",)
    assert time.process_time() - began < SECONDS
