"""The documentation says what the code does."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import make_docs
import make_readme_picture
import make_readme_terminal
import numpy as np
import pytest
import yaml
from documented import FENCE, OP_PAGES, PAGES, ROOT, TRANSLATION, blocks, named
from PIL import Image

import juicecap
from juicecap import cli, load_recipe
from juicecap.cli import VERBS
from juicecap.ops import catalog, registry, schema
from juicecap.ops.apply.table import Counts
from juicecap.recipe import work_dir
from juicecap.recipe.compat import EFFECTLESS
from juicecap.recipe.keys import RecipeKeys
from juicecap.report.summary import summary
from juicecap.runner import RunResult, StepResult

CONTRIBUTING = ROOT / "CONTRIBUTING.md"  # its examples are run in tests of their own
NOTEBOOK = ROOT / "docs" / "python.md"  # its blocks are run one after the other, as cells, in tests/notebook/test_page.py
NEEDS_A_MODEL = ("VideoCaptioningFromVLMMapper", 'run("recipes/video_caption.yaml"')


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def all_blocks(language: str, pages: list[Path] = PAGES) -> list[object]:
    return [
        pytest.param(page, body, id=f"{named(page)}-{number}")
        for page in pages
        for number, body in enumerate(blocks(page, language))
    ]


def module_of(source: str, name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The source, written to a file and imported under a name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the recipes in it; registered ops are forgotten afterwards."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", dict(registry.registered()))
    return tmp_path


def test_each_op_has_its_page_and_each_page_its_op() -> None:
    assert [page.stem for page in OP_PAGES] == sorted(catalog.BUILTIN)
    for page in OP_PAGES:
        assert page.read_text(encoding="utf-8").startswith(f"# {page.stem}\n")


def test_generated_parts_are_current() -> None:
    assert make_docs.problems(ROOT) == []


def test_an_ops_page_has_a_table_for_each_group() -> None:
    page = (ROOT / "docs" / "ops" / "video_captioning_from_vlm_mapper.md").read_text(encoding="utf-8")
    assert re.findall(r"^\*\*(.+)\*\*.*\n\n\| parameter .*\n.*\n\| `(\w+)`", page, re.MULTILINE) == [
        ("Model", "hf_model"),
        ("Question", "prompt"),
        ("Candidates", "caption_num"),
        ("Frames", "fps"),
        ("Output", "keep_original_sample"),
        ("Limits", "allow_remote"),
        ("How it runs", "max_in_flight"),
    ]


def test_the_generator_tells_a_stale_part_and_the_page_of_no_op(tmp_path: Path) -> None:
    for path, text in make_docs.wanted(ROOT).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert make_docs.problems(tmp_path) == []
    page = tmp_path / "docs" / "ops" / "text_length_filter.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| `10` |", "| `11` |"), encoding="utf-8")
    (tmp_path / "docs" / "ops" / "video_duration_filter.md").unlink()
    (tmp_path / "docs" / "ops" / "gone_filter.md").write_text("# gone_filter\n", encoding="utf-8")
    assert make_docs.problems(tmp_path) == [
        "docs/ops/gone_filter.md is the page of no op",
        "docs/ops/text_length_filter.md is out of date: run python tools/make_docs.py",
        "docs/ops/video_duration_filter.md is missing: run python tools/make_docs.py and complete it",
    ]


@pytest.mark.parametrize("page", OP_PAGES, ids=named)
def test_an_ops_page_has_an_example_that_loads(page: Path, workplace: Path) -> None:
    examples = [yaml.safe_load(body) for body in blocks(page, "yaml")]
    assert any(page.stem in item for example in examples for item in example)
    for example in examples:
        text = yaml.safe_dump({"export_path": "out.jsonl", "process": example})
        (workplace / "recipe.yaml").write_text(text, encoding="utf-8")
        assert [step.name for step in load_recipe("recipe.yaml").steps] == [name for item in example for name in item]


@pytest.mark.parametrize(("page", "body"), all_blocks("yaml", [page for page in PAGES if page not in (*OP_PAGES, CONTRIBUTING)]))
def test_a_recipe_in_the_docs_loads(page: Path, body: str, workplace: Path) -> None:
    written = yaml.safe_load(body)
    assert "process" in written
    for number, source in enumerate(each for each in blocks(page, "python") if "@register" in each):
        (workplace / "my_ops").mkdir(exist_ok=True)
        (workplace / "my_ops" / f"op_{number}.py").write_text(source, encoding="utf-8")
    (workplace / "recipe.yaml").write_text(body, encoding="utf-8")
    recipe = load_recipe("recipe.yaml")
    assert [{step.name: dict(step.settings)} for step in recipe.steps] == [
        {name: block or {} for name, block in item.items()} for item in written["process"]
    ]


@pytest.mark.parametrize(("page", "body"), all_blocks("python"))
def test_python_in_the_docs_works(page: Path, body: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile(body, named(page), "exec")
    if page in (CONTRIBUTING, NOTEBOOK) or any(words in body for words in NEEDS_A_MODEL):
        return  # its op is tried below; tests of the op and of the runner use the model
    module_of(body, "snippet_of_the_docs", workplace / "snippet.py", monkeypatch)


def test_the_op_of_the_contributing_guide_passes_its_test(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, line, test = blocks(CONTRIBUTING, "python")[:3]
    module_of(source, "juicecap.ops.mapper.single_line_mapper", workplace / "single_line_mapper.py", monkeypatch)
    added: dict[str, dict[str, str]] = {}
    exec(line, added)
    for name, reference in added["BUILTIN"].items():
        monkeypatch.setitem(catalog.BUILTIN, name, reference)
    op = catalog.find("single_line_mapper")
    assert op.name == "single_line_mapper"
    assert [(each.name, each.help) for each in schema.parameters(op) if not each.inherited] == [
        ("separator", "What stands where a line ended.")
    ]
    assert (
        "**What it does**\n\n| parameter | type | default | meaning |\n|---|---|---|---|\n"
        "| `separator` | str | ` ` | What stands where a line ended. |"
    ) in make_docs.wanted(ROOT)[Path("docs/ops/single_line_mapper.md")]
    tests = vars(module_of(test, "test_single_line_mapper", workplace / "test_single_line_mapper.py", monkeypatch))
    tried = [function for name, function in tests.items() if name.startswith("test_")]
    for function in tried:
        function()
    assert len(tried) == 2


@pytest.mark.slow
def test_the_backend_and_the_model_op_of_the_contributing_guide_run(tmp_path: Path) -> None:
    op, second_op, *_, backend = blocks(CONTRIBUTING, "python")[3:]
    (entry_point,) = blocks(CONTRIBUTING, "toml")
    (tmp_path / "shot_type.py").write_text(f"{op}\n\n{second_op}", encoding="utf-8")
    packages = tmp_path / "packages"
    info = packages / "echo_backend-1.0.dist-info"
    info.mkdir(parents=True)
    (packages / "echo_backend.py").write_text(backend, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-backend\nVersion: 1.0\n")
    ((group, points),) = tomllib.loads(entry_point)["project"]["entry-points"].items()
    (info / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in points.items()))
    shutil.copy(ROOT / "recipes" / "clips" / "clip_03.mp4", tmp_path)
    (tmp_path / "data.jsonl").write_text('{"videos": ["clip_03.mp4"]}\n{"videos": []}\n')
    recipe = {
        "dataset_path": "data.jsonl",
        "export_path": "out.jsonl",
        "custom_operator_paths": "shot_type.py",
        "max_rejected": 1.0,
        "process": [
            {"shot_type_mapper": {"backend": "echo", "hf_model": "any", "num_frames": 6}},
            {"sure_shot_type_mapper": {"backend": "echo", "hf_model": "any", "output_key": "sure"}},
        ],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    places = os.pathsep.join([str(packages), str(ROOT)])
    for verb in ("check", "plan", "run"):
        command = [sys.executable, "-m", "juicecap", verb, "recipe.yaml"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert row["shot_type"] == "6 frames: Is this a close-up, a medium shot or a long shot?"
    assert row["sure"].startswith("0 frames: Which of close-up, medium shot, long shot is meant by this? 6 frames: Is this")
    (rejected,) = map(json.loads, (tmp_path / "out.run" / "rejected.jsonl").read_text().splitlines())
    assert (rejected["code"], rejected["message"]) == ("NO_VIDEO", "column 'videos' holds no video")
    wrong = yaml.safe_dump({**recipe, "process": [{"shot_type_mapper": {"backend": "ecko"}}]})
    (tmp_path / "recipe.yaml").write_text(wrong)
    command = [sys.executable, "-m", "juicecap", "check", "recipe.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=False
    )
    assert "backend must be hf | vllm | openai | echo, not 'ecko'" in done.stderr


@pytest.mark.process
def test_the_filter_with_a_task_of_the_contributing_guide_runs(tmp_path: Path) -> None:
    task, op, test = blocks(CONTRIBUTING, "python")[5:8]
    (recipe,) = (body for body in blocks(CONTRIBUTING, "yaml") if "mean_brightness_filter" in body)
    (tmp_path / "brightness.py").write_text(task, encoding="utf-8")
    (tmp_path / "mean_brightness_filter.py").write_text(op, encoding="utf-8")
    (tmp_path / "test_mean_brightness_filter.py").write_text(test, encoding="utf-8")
    (tmp_path / "bright.yaml").write_text(recipe, encoding="utf-8")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in (
        ["pytest", "-q", "-p", "no:cacheprovider", "test_mean_brightness_filter.py"],
        ["juicecap", "check", "bright.yaml"],
        ["juicecap", "run", "bright.yaml"],
        ["juicecap", "run", "bright.yaml"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    kept = (tmp_path / "out" / "bright" / "clips.jsonl").read_text().splitlines()
    assert 0 < len(kept) < len((ROOT / "recipes" / "clips" / "clips.jsonl").read_text().splitlines())
    manifest = json.loads((tmp_path / "out" / "bright" / "clips.run" / "manifest.json").read_text())
    assert manifest["steps"][0]["finished_before"]
    task = task.replace("return float(", "return 255 - float(")
    (tmp_path / "brightness.py").write_text(task, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "juicecap", "run", "bright.yaml"],
        cwd=tmp_path, env=path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "bright" / "clips.jsonl").read_text().splitlines() != kept


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", prose(file), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings], target


def test_the_readme_opens_with_its_two_commands() -> None:
    assert blocks(ROOT / "README.md", "")[:2] == [
        'pip install -e ".[hf]" && juicecap run recipes/video_caption.yaml\n',
        'pip install -e ".[dev]" && pytest -n 2 -m "not slow"\n',
    ]


def test_the_summary_in_the_readme_is_one_that_a_run_prints() -> None:
    [shown] = [body for body in blocks(ROOT / "README.md", "text") if body.startswith("in ")]
    counts = Counts(10, 10, 0, 0, 10, captions=10, truncated=0, prompt_tokens=1000, completion_tokens=110)
    printed = summary(
        RunResult(
            samples=10,
            steps=(StepResult(op="an_op", counts=counts, seconds=1.0, finished_before=False),),
            exported=10,
            export_path=load_recipe(ROOT / "recipes" / "video_caption.yaml").export_path,
            work_dir=Path("out"),
            seconds=1.0,
            max_rejected=0.05,
        )
    )
    assert [line for line in shown.splitlines() if line != "…"] == [
        line for line in printed.splitlines() if not line.startswith(("captions", "answers", "time", "   "))
    ]


def test_the_readmes_picture_shows_the_clip_and_its_caption() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    truth = json.loads((ROOT / "tests" / "demo_clips.json").read_text(encoding="utf-8"))
    caption = truth[make_readme_picture.CLIP]["caption"]
    assert f"![{caption}](docs/images/{make_readme_picture.PICTURE.name})" in readme
    videos = f'"videos": ["../../recipes/clips/{make_readme_picture.CLIP}"]'
    assert f'{videos}, "text": "<__dj__video> {caption} <|__dj__eoc|>"' in readme
    assert make_readme_picture.PICTURE.stat().st_size < 60_000
    drawn = np.asarray(make_readme_picture.draw().convert("RGB"), int)
    with Image.open(make_readme_picture.PICTURE) as kept:
        assert kept.size == (drawn.shape[1], drawn.shape[0])
        assert np.abs(np.asarray(kept.convert("RGB"), int) - drawn).mean() < 3


def test_the_readmes_terminal_shows_a_run_that_goes_on_after_a_kill() -> None:
    picture = make_readme_terminal.PICTURE
    for page in (ROOT / "README.md", TRANSLATION):
        assert f"](docs/images/{picture.name})" in page.read_text(encoding="utf-8")
    drawn = ET.fromstring(picture.read_text(encoding="utf-8"))
    lines: dict[str, str] = defaultdict(str)
    for text in drawn.iter("{http://www.w3.org/2000/svg}text"):
        lines[text.attrib.get("y", "")] += (text.text or "").replace("\xa0", " ")
    screen = [line.rstrip() for line in lines.values()]
    command = f"$ {make_readme_terminal.COMMAND}"
    assert [line for line in screen if line.startswith(("$", "Killed"))] == [
        command,
        "Killed",
        f"$ {make_readme_terminal.KILL}",
        command,
    ]
    replayed = [int(found[1]) for line in screen if (found := re.search(r"(\d+) replayed", line))]
    assert replayed
    assert make_readme_terminal.CLIPS / 4 < replayed[0] < make_readme_terminal.CLIPS - 1  # one is no video
    assert "href" not in picture.read_text(encoding="utf-8")
    assert "url(http" not in picture.read_text(encoding="utf-8")


def test_each_page_stands_in_the_index_of_the_docs() -> None:
    index = ROOT / "docs" / "README.md"
    targets = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)\s#]+)\)", prose(index))}
    missing = [page for page in PAGES if ROOT / "docs" in page.parents and page not in (index, *OP_PAGES, *targets)]
    assert [named(page) for page in missing] == []


def test_each_recipe_stands_in_the_readme() -> None:
    found = re.findall(r"\(recipes/([\w-]+)\.yaml\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(found) == sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_verbs_in_the_docs_exist(page: Path) -> None:
    code = [*blocks(page, ""), *blocks(page, "text"), *re.findall(r"`([^`\n]+)`", prose(page))]
    assert set(re.findall(r"(?<![\w/.-])juicecap ([a-z]+)", "\n".join(code))) <= set(VERBS)


def test_all_verbs_are_documented() -> None:
    text = "".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("recipes", "outputs"))
    assert [verb for verb in VERBS if f"juicecap {verb}" not in text] == []


def test_recipe_keys_in_the_docs_are_those_that_are_known() -> None:
    pages = "".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("recipes", "from_data_juicer"))
    tables = re.findall(r"<!-- (keys|ignored keys) -->(.*?)<!-- end of", pages, re.DOTALL)
    rows = [key for _, table in tables for key in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)]
    assert sorted(rows) == sorted([*(each.name for each in fields(RecipeKeys)), *EFFECTLESS])


def test_codes_in_the_docs_are_those_that_the_code_gives() -> None:
    listed = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8").partition("### Codes")[2].partition("\n## ")[0]
    source = "".join(path.read_text(encoding="utf-8") for path in Path(juicecap.__file__).parent.rglob("*.py"))
    raised = re.findall(r"(?:(?:Sample|Media)Error\(\s*|code = |CODE = |code=| else )\"([A-Z_]{6,})\"", source)
    raised = [code for code in raised if code != "DEFAULT"]  # a word of FFmpeg's
    assert sorted(set(re.findall(r"^\| `([A-Z_]+)` \|", listed, re.MULTILINE))) == sorted(set(raised))


@pytest.mark.parametrize("page", [*OP_PAGES, ROOT / "docs" / "python.md"], ids=named)
def test_codes_on_other_pages_are_listed(page: Path) -> None:
    listed = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8").partition("### Codes")[2]
    for code in re.findall(r"[`\"]([A-Z]{2,}(?:_[A-Z]+)+|UNREADABLE|UNDECODABLE)[`\"]", page.read_text(encoding="utf-8")):
        assert f"| `{code}` |" in listed


class TestArchitecture:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = Path(juicecap.__file__).parent

    def test_each_module_that_is_named_exists(self) -> None:
        modules = [path.relative_to(self.package).as_posix() for path in self.package.rglob("*.py")]
        named = set(re.findall(r"`([\w/]+\.py)`", self.text))
        assert len(named) > 40
        assert sorted(name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in modules)) == []

    def test_each_class_and_function_that_is_named_exists(self) -> None:
        source = "".join(path.read_text(encoding="utf-8") for path in self.package.rglob("*.py"))
        named = set(re.findall(r"`(?:[A-Z]\w*\.)?((?:[A-Z]\w+|[a-z_]+))`", self.text))
        foreign = {"Dataset", "Popen", "nice"}
        folders = {path.name for path in self.package.rglob("*") if path.is_dir()}
        known = set(re.findall(r"\w+", source))
        assert sorted(name for name in named - foreign - folders if name not in known) == []
        defined = set(re.findall(r"^\s*(?:class|(?:async )?def) (\w+)", source, re.MULTILINE))
        assert sorted(name for name in named - foreign - defined if name[0].isupper() and not name.isupper()) == []

    def test_each_folder_and_each_module_of_the_package_has_its_place(self) -> None:
        part = self.text.partition("## Layers")[2].partition("Where to find")[0]
        for path in self.package.rglob("*"):
            if path.name.startswith("__") or "__pycache__" in path.parts or "assets" in path.relative_to(self.package).parts[:-1]:
                continue
            if (path / "__init__.py").exists() or path.parent == self.package or path.name == "assets":
                inside = path.relative_to(self.package).parts
                if path.suffix in ("", ".py") and len(inside) <= 2:
                    assert re.search(rf"`(\w+/)?{path.stem}`", part), path


def test_exit_codes_in_the_docs_are_those_of_the_command_line() -> None:
    documented = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    promised = " ".join((inspect.getdoc(cli) or "").partition("Exit codes")[2].split())
    assert re.findall(r"^\| (\d+) \|", documented, re.MULTILINE) == re.findall(r"[:;] (\d+) ", promised)


def test_the_files_of_a_run_folder_in_the_docs_are_those_that_a_run_writes() -> None:
    part = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8").partition("## The run folder")[2].partition("\n## ")[0]
    names = {name for row in re.findall(r"^\| (`.*?) \|", part, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
    files = {name for name in names if "/" not in name and not name.startswith("-")}
    files |= {f"journal.sqlite{name}" for name in names if name.startswith("-")}
    assert files - {".parquet"} == set(work_dir.FILES)
    assert {name.partition("/")[0] for name in names if "/" in name} == set(work_dir.FOLDERS)


class TestGuarantees:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    promised = page.partition("## What is not promised")[0]

    def test_each_promise_names_a_test(self) -> None:
        promises = re.findall(r"^- (.*?)(?=^- |^## |\Z)", self.promised, re.MULTILINE | re.DOTALL)
        assert len(promises) > 30
        assert [promise for promise in promises if "`tests/" not in promise] == []

    def test_each_named_test_is_there(self) -> None:
        named, tests = re.findall(r"`(tests/[^`]+)`", self.page), self._tests()
        assert [name for name in named if name not in tests] == []

    @staticmethod
    def _tests() -> set[str]:
        found = set()
        for file in ROOT.glob("tests/**/test_*.py"):
            place = file.relative_to(ROOT).as_posix()
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                inner = node.body if isinstance(node, ast.ClassDef) else []
                path = [place, node.name] if inner else [place]
                found |= {"::".join([*path, each.name]) for each in inner or [node] if isinstance(each, ast.FunctionDef)}
        return found
