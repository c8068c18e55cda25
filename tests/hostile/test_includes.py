"""`include` that leads to what is no recipe: one problem of its place, which shows nothing of what is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.errors import RecipeError
from juicecap.recipe import examine, load_recipe

SECRET = "hunter2-planted-4711"
PROCESS = "process:\n  - text_length_filter\n"
SECONDS = 30
"""Far more than any of these takes."""

Include = Callable[[str], RecipeError]


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Include:
    """The error about a recipe with this value of `include`."""
    monkeypatch.chdir(tmp_path)

    def refused(value: str) -> RecipeError:
        Path("recipe.yaml").write_text(f"include: {value}\n{PROCESS}")
        began = time.monotonic()
        with pytest.raises(RecipeError) as caught:
            load_recipe("recipe.yaml")
        assert time.monotonic() - began < SECONDS
        assert SECRET not in str(caught.value)
        assert not any(SECRET in f"{each.message}{each.hint}{each.excerpt}{each.file}" for each in caught.value.problems)
        return caught.value

    return refused


NO_KEYS = "recipe.yaml:1:10: include: other.yaml holds no keys: it must be a mapping, as a recipe or an op's block is"
NO_YAML = "is no YAML file: only files that end in .yaml or .yml are included"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/etc/passwd", NO_YAML),
        ("secret.txt", NO_YAML),
        ("secret", NO_YAML),
        (".yaml", NO_YAML),
        ("secret.yaml.bak", NO_YAML),
        ("link.yaml", "leads to {folder}/secret.txt, which is no YAML file: only files that end in .yaml or .yml are included"),
        ("far/passwd.yml", "leads to /etc/passwd, which is no YAML file: only files that end in .yaml or .yml are included"),
        ("/proc/self/environ", "leads to /proc/{pid}/environ, which lies below /proc: nothing is included from there"),
        ("/proc/version", "lies below /proc: nothing is included from there"),
        ("/sys/kernel/uevent_seqnum", "lies below /sys: nothing is included from there"),
        ("environ.yaml", "leads to /proc/{pid}/environ, which lies below /proc: nothing is included from there"),
        ("/dev/zero", "is no regular file"),
        ("zero.yaml", "is no regular file"),
        ("/dev/stdin", "is no regular file"),
        ("pipe.yaml", "is no regular file"),
        ("/", "is a folder, not a recipe"),
        ("folder.yaml", "is a folder, not a recipe"),
        ("round.yaml", "cannot be read: Too many levels of symbolic links"),
        ("gone.yaml", "there is no such file"),
        ("secret.txt/a.yaml", "cannot be read: Not a directory"),
        (f"{'a' * 300}.yaml", "cannot be read: File name too long"),
        ("sparse.yaml", "is larger than 1,000,000 bytes; that is no recipe"),
    ],
)
def test_what_is_no_recipe_is_refused(path: str, what: str, include: Include, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(f"password: {SECRET}\n")
    (tmp_path / "secret").write_text(f"password: {SECRET}\n")
    (tmp_path / ".yaml").write_text(f"password: {SECRET}\n")
    (tmp_path / "secret.yaml.bak").write_text(f"password: {SECRET}\n")
    (tmp_path / "far").mkdir()
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    links = {"link.yaml": "secret.txt", "far/passwd.yml": "/etc/passwd", "environ.yaml": "/proc/self/environ"}
    for name, target in {**links, "zero.yaml": "/dev/zero", "round.yaml": "round.yaml", "gone.yaml": "nothing.yaml"}.items():
        (tmp_path / name).symlink_to(target)
    with (tmp_path / "sparse.yaml").open("wb") as stream:
        stream.truncate(10 << 30)
    (problem,) = include(path).problems
    told = what.format(folder=tmp_path, pid=os.getpid())
    name = path.strip('"')
    if path.startswith(("/dev/", "/sys/")) and not os.path.exists(path):  # as in some containers, or without a stdin
        told = "there is no such file"
    assert str(problem) == f"recipe.yaml:1:10: include: {name}: {told}"


def test_a_null_character_in_a_path(include: Include) -> None:
    (problem,) = include('"a\\0b.yaml"').problems
    assert str(problem) == "recipe.yaml:1:10: include: a\0b.yaml cannot be a path: it holds a null character."


@pytest.mark.parametrize("path", ["../b/shared.yaml", "{folder}/b/shared.YML", "link.yaml", "{folder}/b/odd.yaml"])
def test_other_folders_absolute_paths_and_links_to_recipes_are_taken(path: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for name in ("shared.yaml", "shared.YML", "odd.yaml"):
        (tmp_path / "b" / name).write_text("seed: 7\n")
    (tmp_path / "a" / "link.yaml").symlink_to("../b/shared.yaml")
    (tmp_path / "a" / "recipe.yaml").write_text(f"include: {path.format(folder=tmp_path)}\n{PROCESS}")
    assert load_recipe(tmp_path / "a" / "recipe.yaml").seed == 7


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            f"token {SECRET}\n",
            NO_KEYS,
        ),
        (
            f"- {SECRET}\n",
            NO_KEYS,
        ),
        (f"root:x:0\n{SECRET}: : b\n", "other.yaml:2:21: not valid YAML: a second ':' in one entry"),
        (f"a: *{SECRET}\n", "other.yaml:1:4: not valid YAML: found undefined alias …"),
        (
            f"a: &{SECRET} 1\n&{SECRET} b: 2\n",
            "other.yaml:2:1: not valid YAML: second occurrence found duplicate anchor …; first occurrence, "
            "which begins in line 1",
        ),
        (f"%TAG ! {SECRET}\n%TAG ! {SECRET}\n", "other.yaml:2:1: not valid YAML: duplicate tag handle '!'"),
        (
            f"a: !{SECRET}!x 1\n",
            "other.yaml:1:4: not valid YAML: found undefined tag handle … while parsing a node, which begins in line 1",
        ),
        (f"a: [{SECRET}\n", "other.yaml:1:4: not valid YAML: the recipe ends while parsing a flow sequence that begins here"),
        (f"a: '{SECRET}\n", "other.yaml:1:4: not valid YAML: the recipe ends while scanning a quoted scalar that begins here"),
        (f"{SECRET}\0\n", "other.yaml:1:21: the character U+0000 may not stand in YAML"),
        (f"a: {SECRET}\n\t- {SECRET}\n", "other.yaml:2:1: a tab in the indentation"),
        (f"a: @{SECRET}\n", "other.yaml:1:4: not valid YAML: a value cannot begin with '@'"),
        (f"a: 1\n---\n{SECRET}\n", "other.yaml:2:1: a second YAML document begins here; a recipe is one"),
        (f"a: &a [*a, {SECRET}]\n", "other.yaml:1:4: this value contains itself through an alias"),
        (f"seed: 1\n- {SECRET}\n", "other.yaml:2:1: not valid YAML: the indentation of this line fits none above it"),
    ],
)
def test_no_line_is_shown_of_what_does_not_parse_as_a_mapping(text: str, what: str, include: Include) -> None:
    Path("other.yaml").write_text(text)
    error = include("other.yaml")
    (problem,) = error.problems
    assert str(problem) == what
    assert len(str(error).splitlines()) <= (4 if problem.file == "recipe.yaml" else 2)  # the recipe's own line, or a hint


def test_a_mapping_is_shown_where_it_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.yaml").write_text("seed: many  # of them\n")
    Path("recipe.yaml").write_text(f"include: other.yaml\n{PROCESS}")
    with pytest.raises(RecipeError) as caught:
        load_recipe("recipe.yaml")
    assert str(caught.value) == (
        "other.yaml:1:7: seed must be int >= 0, not 'many'\n    1 | seed: many  # of them\n      |       ^^^^"
    )


@pytest.mark.parametrize("name", ["shadow", "notes.txt", "link.yaml", "recipe.yaml.bak"])
def test_of_what_is_no_recipe_itself_no_line_is_shown_either(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shadow" if name == "link.yaml" else name).write_text(f"root: {SECRET}: 0\n")
    if name == "link.yaml":
        Path(name).symlink_to("shadow")
    with pytest.raises(RecipeError) as caught:
        examine(name)
    assert SECRET not in str(caught.value)
    assert str(caught.value).splitlines()[0] == f"{name}:1:27: not valid YAML: a second ':' in one entry"


@pytest.mark.parametrize("text", [f"{SECRET}\n", f"- {SECRET}\n", f"root:x:0:{SECRET}:/bin/sh\n"])
def test_a_recipe_that_is_no_mapping_is_not_shown(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        examine("recipe.yaml")
    assert SECRET not in str(caught.value)


def test_a_hundred_files_are_included_and_more_are_told_once(include: Include) -> None:
    Path("a.yaml").write_text("seed: 1\n")
    error = include(f"[{', '.join(['a.yaml'] * 10_000)}]")
    (problem,) = error.problems
    assert str(problem) == "recipe.yaml:1:811: include: more than 100 files are included"


def test_what_is_included_is_bounded_in_all(include: Include) -> None:
    Path("long.yaml").write_text(f"x-a: {'a ' * 300_000}\n")
    (problem,) = include("[long.yaml, long.yaml, long.yaml, long.yaml]").problems
    assert str(problem) == "recipe.yaml:1:22: include: the files that are included have more than 1,000,000 bytes in all"
    aliases = ", ".join(["*a"] * 1000)
    Path("many.yaml").write_text(f"x-a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\nx-b: [{aliases}]\n")
    (problem,) = include(f"[{', '.join(['many.yaml'] * 50)}]").problems
    assert str(problem) == "recipe.yaml:1:22: include: the files that are included hold more than 20,000 values in all"


def test_files_that_lead_in_a_circle_by_other_names_end_somewhere(include: Include, tmp_path: Path) -> None:
    Path("a.yaml").write_text("include: b.yaml\n")
    os.link("a.yaml", "b.yaml")
    assert [str(each) for each in include("a.yaml").problems] == ["b.yaml:1:10: include: b.yaml includes itself"]
    Path("deep").mkdir()
    Path("deep/deep").symlink_to(tmp_path / "deep")
    Path("deep/c.yaml").write_text("include: deep/c.yaml\n")
    assert [str(each) for each in include("deep/c.yaml").problems] == [
        "deep/c.yaml:1:10: include: deep/deep/c.yaml includes itself"
    ]


def test_a_variable_in_a_path_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHERE", SECRET)
    (tmp_path / SECRET).mkdir()
    (tmp_path / SECRET / "a.yaml").write_text("include: ../b.yaml\nseed: many\n")
    (tmp_path / SECRET / "c.yaml").write_text("include: ../recipe.yaml\n")
    (tmp_path / SECRET / "link.yaml").symlink_to(tmp_path / SECRET / "notes")
    (tmp_path / SECRET / "notes").touch()
    (tmp_path / "b.yaml").write_text("np: few\n")
    for path, told in {
        "${WHERE}/a.yaml": "${WHERE}/../b.yaml:1:5: np must be int > 0, not 'few'\n    1 | np: few\n      |     ^^^\n"
        "${WHERE}/a.yaml:2:7: seed must be int >= 0, not 'many'\n    2 | seed: many\n      |       ^^^^",
        "${WHERE}/none.yaml": "recipe.yaml:1:10: include: ${WHERE}/none.yaml: there is no such file\n"
        "    1 | include: ${WHERE}/none.yaml\n      |          ^^^^^^^^^^^^^^^^^^\n",
        "${WHERE}": "recipe.yaml:1:10: include: ${WHERE}: is a folder, not a recipe\n",
        "${WHERE}/c.yaml": "${WHERE}/c.yaml:1:10: include: ${WHERE}/../recipe.yaml includes itself through ${WHERE}/c.yaml\n",
        "${WHERE}/link.yaml": f"recipe.yaml:1:10: include: ${{WHERE}}/link.yaml: leads to {tmp_path}/${{WHERE}}/notes, which ",
    }.items():
        Path("recipe.yaml").write_text(f"include: {path}\n{PROCESS}")
        with pytest.raises(RecipeError) as caught:
            load_recipe("recipe.yaml")
        assert SECRET not in str(caught.value)
        assert str(caught.value).startswith(told)
