"""What a notebook shows of a run: a table, pictures with captions, and the rows themselves."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import juicecap
from juicecap.errors import UsageError
from juicecap.notebook import Result
from juicecap.runner import RunResult

VOID = {"img", "br"}


class Wellformed(HTMLParser):
    """Fails for tags that are not closed in order, and notes texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def texts_of(html: str) -> list[str]:
    parser = Wellformed()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.texts


@pytest.fixture
def result(recipe: dict[str, Any]) -> Result:
    return juicecap.run(recipe)


def test_the_table_has_the_counts_of_each_op(result: Result, recipe: dict[str, Any]) -> None:
    texts = texts_of(result._repr_html_())
    assert texts[:8] == ["op", "in", "out", "filtered", "rejected", "captions", "replayed", "time"]
    assert texts[8:15] == ["video_captioning_from_vlm_mapper", "3", "2", "0", "1", "2", "0"]
    assert str(recipe["export_path"]) in texts
    assert str(result.work_dir / "rejected.jsonl") in texts
    assert "done before" in texts_of(juicecap.run(recipe)._repr_html_())


def test_the_pictures_are_those_of_the_clips_with_their_captions(result: Result) -> None:
    html = result._repr_html_()
    assert texts_of(html)[-2:] == ["a <b>red</b> ball 0", "a blue box 0"]
    assert "<b>" not in html
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)]
    assert len(pictures) == 8
    red, blue = (np.asarray(Image.open(io.BytesIO(pictures[number])).convert("RGB"), int) for number in (0, 4))
    assert (red.shape, blue.shape) == ((64, 64, 3), (64, 64, 3))
    assert (red[..., 0] - red[..., 1]).max() > 150  # a red circle on black
    assert blue[..., 1].min() > 80  # a green square on white
    assert re.findall(r'alt="([^"]+)"', html)[:2] == ["data.jsonl:1, 0.00 s", "data.jsonl:1, 0.67 s"]
    assert len(html) < 200_000


def test_no_colour_is_set_that_one_of_light_and_dark_would_hide(result: Result) -> None:
    styles = re.findall(r'style="([^"]*)"', result._repr_html_())
    assert [style for style in styles if re.search(r"(^|;)(color|background)", style)] == []


def test_a_clip_that_is_gone_leaves_its_caption(recipe: dict[str, Any], tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    rows = [json.loads(line) for line in recipe["dataset_path"].read_text().splitlines()]
    clip.write_bytes(Path(rows[0]["videos"][0]).read_bytes())
    recipe["dataset_path"].write_text(json.dumps({**rows[0], "videos": [str(clip)]}) + "\n")
    result = juicecap.run(recipe)
    clip.unlink()
    html = result._repr_html_()
    assert texts_of(html)[-1] == "a <b>red</b> ball 0"
    assert "<img" not in html


def test_the_rows_are_a_clean_dataset(result: Result) -> None:
    dataset = result.dataset()
    exported = [json.loads(line) for line in result.export_path.read_text().splitlines()]
    assert dataset.column_names == list(exported[0])
    assert dataset["caption"][:] == ["a <b>red</b> ball 0", "a blue box 0"]
    assert all(Path(path).is_absolute() for (path,) in dataset["videos"])
    assert [*dataset.to_pandas()["caption"]] == dataset["caption"][:]


def test_rows_of_a_recipe_without_ops(recipe: dict[str, Any], tmp_path: Path) -> None:
    result = juicecap.run({**recipe, "process": []})
    assert [row["ask"] for row in result.dataset()] == ["a <b>red</b> ball", "a blue box", "gone"]
    assert "<img" not in result._repr_html_()


def test_a_shard_has_no_rows_yet(recipe: dict[str, Any]) -> None:
    result = juicecap.run({**recipe, "max_rejected": 1.0}, shard="1/2")
    with pytest.raises(UsageError, match=r"^there is no output yet: shard 1/2 "):
        result.dataset()
    assert result.next in "".join(texts_of(result._repr_html_()))


def test_it_is_the_runners_result_and_prints_as_the_summary(result: Result) -> None:
    assert isinstance(result, RunResult)
    assert (result.exported, result.rejected, result.exit_code) == (2, 1, 0)
    assert str(result).splitlines()[0] == "in        3 samples"
    assert str(result) == repr(result)


def test_the_rows_have_what_somebody_edited(result: Result, recipe: dict[str, Any]) -> None:
    output = Path(recipe["export_path"])
    output.write_text(output.read_text().replace('"a <b>red</b> ball', '"by hand'))
    edited = juicecap.run(recipe, keep_edits=True)
    assert len(edited.edits) == 1
    rows = edited.dataset()
    assert rows["caption"][0].startswith("by hand")
    assert rows["caption"][1:] == result.dataset()["caption"][1:]
    assert rows["videos"] == result.dataset()["videos"]
