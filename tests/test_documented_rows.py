"""Each recipe that is shipped or stands in the documentation gives one row for each medium, with the caption in it.

They are run as they are, with media at the places that they name; the model alone is scripted, and answers with the prompt.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented import OP_PAGES, PAGES, ROOT, TRANSLATION, blocks, furnish, named
from scripted import Script, prompt_of, stands_in_for_all

import juicecap
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.recipe import load_recipe
from juicecap.recipe.types import Recipe

CONTRIBUTING = ROOT / "CONTRIBUTING.md"  # its recipe measures, and is run in test_docs
CAPTIONING = ("image_caption_generator", "video_captioning_from_vlm_mapper", "video_to_caption_generator")


def examples() -> list[Any]:
    """The recipes of the documentation in which a model is asked."""
    found = []
    for page in (each for each in PAGES if each not in (CONTRIBUTING, TRANSLATION)):
        for language in ("yaml", "yml"):
            for number, body in enumerate(blocks(page, language)):
                if any(f"- {name}:" in body for name in CAPTIONING):
                    found.append(pytest.param(page, body, id=f"{named(page)}-{language}-{number}"))
    return found


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, closed: None) -> Path:
    """A working directory with everything that the examples name, and a scripted model in the place of each."""
    stands_in_for_all(monkeypatch)
    monkeypatch.setenv("MY_SERVERS_KEY", "k")
    monkeypatch.setenv("DF_API_KEY", "k")
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "body"), examples())
def test_an_example_gives_a_row_for_each_medium(page: Path, body: str, script: Script) -> None:
    check_rows(written(page, body), script)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_gives_a_row_for_each_medium(path: Path, script: Script) -> None:
    check_rows(load_recipe(path), script)


def written(page: Path, body: str) -> Recipe:
    """The recipe of a block; the block of an op's page is what stands under `process`."""
    content = yaml.safe_load(body)
    if page in OP_PAGES:
        body = yaml.safe_dump({"dataset_path": "sample_data.json", "export_path": "out/captions.jsonl", "process": content})
    else:
        for key in {"executor_type", "ray"} & content.keys():  # the rows are the same wherever it runs
            del content[key]
            body = yaml.safe_dump(content)
        if not {"dataset_path", "dataset"} & content.keys():
            body = f"dataset_path: sample_data.json\n{body}"
        if not {"export_path", "include"} & content.keys():  # the files of exports are looked at in their own tests
            body = f"export_path: out/captions.jsonl\n{body}"
    for number, source in enumerate(each for each in blocks(page, "python") if "@register" in each):
        Path("my_ops").mkdir(exist_ok=True)
        Path(f"my_ops/op_{number}.py").write_text(source.replace('(value_of(sample, self.text_key) or "").split()', '"moves"'))
    Path("recipe.yaml").write_text(body, encoding="utf-8")
    return load_recipe("recipe.yaml")


def check_rows(recipe: Recipe, script: Script) -> None:
    """The rows are those of the data in their order, once each or once for each candidate, and have what the model said."""
    result = juicecap.run(recipe, limit=2)
    assert (result.rejected, result.exit_code) == (0, 0)
    (op,) = (step.op for step in recipe.steps if step.op.uses_model())
    rows = [json.loads(line) for line in Path(result.export_path).read_text(encoding="utf-8").splitlines()]
    asked = {name_of(prepared.request.media()[-1].value): prompt_of(prepared) for batch in script.batches for prepared in batch}
    names = [name_of(next(row[key] for key in op.media_keys() if key in row)) for row in rows]
    each = op.candidates() if getattr(op, "keep_candidate_mode", "") == "all" else 1
    assert names == [name for name in sorted(asked) for _ in range(each)]
    assert len(asked) == 2
    for name, row in zip(names, rows, strict=True):
        caption = row[caption_column(op)]
        assert isinstance(caption, list) is (getattr(op, "caption_as", "") == "list" and bool(op.caption_field))
        for text in caption if isinstance(caption, list) else [caption]:
            assert asked[name].strip() in text


def name_of(media: str | list[str]) -> str:
    """The name of the one file."""
    return Path(media if isinstance(media, str) else media[0]).name


def caption_column(op: Any) -> str:
    return (op.caption_field or op.text_key) if isinstance(op, VideoCaptioningFromVLMMapper) else op.output_key
