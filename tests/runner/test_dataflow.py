"""Whole runs on datasets of DataFlow's users: the bundled recipes, records that are not changed, and what they met there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from scripted_server import KEY, KEY_NAME, ScriptedServer, obliging, refused, said

import juicecap
from juicecap import load_recipe
from juicecap.errors import RecipeError
from juicecap.recipe import check
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"
ROOT = Path(__file__).parents[2]
CLIPS = json.loads((ROOT / "tests" / "demo_clips.json").read_text())
IMAGES = json.loads((ROOT / "tests" / "demo_images.json").read_text())
PROMPT = "Please describe the video in detail."


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Job:
    """A folder with a dataset and a recipe of one op."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "out" / "captions.jsonl"

    def recipe(self, records: list[Any], op: str = "video_to_caption_generator", **settings: Any) -> Path:
        (self.folder / "data.json").write_text(json.dumps(records), encoding="utf-8")
        keys = {name: settings.pop(name) for name in ("keep_steps", "max_rejected") if name in settings}
        recipe = {
            "dataset_path": str(self.folder / "data.json"),
            "export_path": str(self.output),
            "process": [{op: {"hf_model": DEMO, **settings}}],
            **keys,
        }
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return self.folder / "recipe.yaml"

    def run(self, records: list[Any], op: str = "video_to_caption_generator", **settings: Any):
        return juicecap.run(self.recipe(records, op, **settings))

    def rows(self) -> list[dict[str, Any]]:
        return read(self.output)

    def rejections(self) -> list[dict[str, Any]]:
        return read(self.folder / "out" / "captions.run" / "rejected.jsonl")

    def problems(self, records: list[Any], **settings: Any) -> str:
        report = check(load_recipe(self.recipe(records, **settings)))
        return "\n".join(each.message for each in report.problems)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_NAME, KEY)
    scripted = ScriptedServer()
    yield scripted
    core.close()
    scripted.stop()


def over(server: ScriptedServer, **params: Any) -> dict[str, Any]:
    """An op's settings that lead to the server, in DataFlow's words."""
    return {
        "hf_model": "served-model",
        "backend": "openai",
        "api_url": f"{server.base}/chat/completions",
        "key_name_of_api_key": KEY_NAME,
        "model_params": {"transport": "images", **params},
    }


class TestRecipes:
    @pytest.fixture(autouse=True)
    def at_home(self, tmp_path, monkeypatch):
        (tmp_path / "recipes").symlink_to(ROOT / "recipes")
        monkeypatch.chdir(tmp_path)

    def test_conversation_video_caption(self):
        result = juicecap.run("recipes/conversation_video_caption.yaml")
        assert read(result.export_path) == [
            {
                "video": [f"../../recipes/clips/{name}"],
                "conversation": [{"from": "human", "value": PROMPT}],
                "caption": truth["detail"],
            }
            for name, truth in CLIPS.items()
        ]

    def test_image_caption(self):
        result = juicecap.run("recipes/image_caption.yaml")
        turns = [{"from": "human", "value": "Please describe the image in detail."}]
        assert read(result.export_path) == [
            {"image": [f"../../recipes/images/{name}"], "conversation": turns, "output": truth["caption"]}
            for name, truth in IMAGES.items()
        ]

    def test_in_the_folder_of_dataflows_cache(self, tmp_path):
        """As its users come: `cache` holds what their scripts left."""
        steps = {f"dataflow_cache_step_step{number}.jsonl": f'{{"step": {number}}}\n' for number in (1, 2)}
        (tmp_path / "cache").mkdir()
        for name, text in steps.items():
            (tmp_path / "cache" / name).write_text(text)
        options = ("work_dir=cache", "keep_steps=jsonl", "export_path=out/captions.jsonl")
        results = [juicecap.run("recipes/conversation_video_caption.yaml", overrides=options, limit=2) for _ in range(2)]
        assert [(result.asked, result.exported) for result in results] == [(2, 2), (0, 2)]
        assert {name: (tmp_path / "cache" / name).read_text() for name in steps} == steps
        assert (tmp_path / "cache" / ".juicecap").read_text() == '{"juicecap": "run folder", "version": 1}\n'


class TestRecords:
    def test_they_come_out_as_they_went_in(self, job, clips):
        """`"007"` stays a text, long ids stay whole, keys keep their order, and what is missing stays missing."""
        records = [
            {
                "id": "007",
                "long": 9007199254740993,
                "video": [clips.paths[0]],
                "conversation": [{"value": "", "from": "human", "weight": 1.0}, {"from": "gpt", "value": "1e5"}],
                "meta": {"b": None, "a": ["0", 0]},
            },
            {"id": "1e3", "video": clips.paths[1], "image": None, "conversation": [{"from": "human", "value": ""}]},
        ]
        job.run(records)
        first, second = job.rows()
        turns = [{"value": PROMPT, "from": "human", "weight": 1.0}, {"from": "gpt", "value": "1e5"}]
        assert json.dumps(first) == json.dumps({**records[0], "conversation": turns, "caption": clips.details[0]})
        assert second == {**records[1], "conversation": [{"from": "human", "value": PROMPT}], "caption": clips.details[1]}

    def test_the_order_of_keys_in_turns_stays(self, job, clips):
        job.run([{"video": path, "conversation": [{"value": "", "from": "human"}]} for path in clips.paths[:2]])
        assert [list(row["conversation"][0]) for row in job.rows()] == [["value", "from"]] * 2

    def test_a_table_keeps_the_type_of_its_conversations(self, job, clips):
        job.output = job.output.with_suffix(".parquet")
        job.run([{"video": [clips.paths[0]], "conversation": [{"from": "human", "value": ""}]}])
        table = pq.read_table(job.output)
        assert str(table.schema.field("conversation").type).startswith("list<element: struct<from: string, value: string>")
        assert table["caption"].to_pylist() == [clips.details[0]]


class TestShapes:
    def test_llava(self, job, clips):
        turns = [
            {"from": "human", "value": "<video>\nWhat color is the object?"},
            {"from": "gpt", "value": "blue"},
            {"from": "human", "value": "And the background?"},
        ]
        records = [{"id": "a", "video": clips.paths[0], "conversations": turns}]
        job.run(records, input_conversation_key="conversations", conversation_mode="fill_empty")
        assert job.rows() == [{**records[0], "caption": "red"}]
        job.output = job.folder / "out" / "other.jsonl"
        job.run(records, input_conversation_key="conversations")
        new = [{"from": "human", "value": f"<video>\n{PROMPT}"}, *turns[1:]]
        assert job.rows() == [{**records[0], "conversations": new, "caption": clips.details[0]}]

    def test_messages(self, job, clips):
        messages = [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": [{"type": "video", "video": clips.paths[0]}, {"type": "text", "text": "What is it?"}]},
        ]
        job.run([{"messages": messages}], input_conversation_key="messages")
        assert job.rows() == [
            {
                "messages": [
                    messages[0],
                    {"role": "user", "content": [messages[1]["content"][0], {"type": "text", "text": PROMPT}]},
                ],
                "caption": clips.details[0],
            }
        ]

    def test_a_clip_that_only_a_message_names_is_watched(self, job, clips, tmp_path):
        film = shutil.copy(clips.paths[0], tmp_path / "film.mp4")
        record = {"messages": [{"role": "user", "content": [{"type": "video", "video": "film.mp4"}]}]}
        for path, caption in ((clips.paths[0], clips.details[0]), (clips.paths[1], clips.details[1])):
            shutil.copy(path, film)
            job.run([record], input_conversation_key="messages")
            assert job.rows()[0]["caption"] == caption

    def test_a_table_with_conversations_in_its_cells(self, job, clips, tmp_path):
        turns = json.dumps([{"from": "human", "value": ""}]).replace('"', '""')
        lines = [f'{clips.paths[0]},"{turns}",007', f"{clips.paths[1]},,"]
        (tmp_path / "data.csv").write_text("video,conversation,id\n" + "\n".join(lines) + "\n")
        recipe = job.recipe([])
        recipe.write_text(recipe.read_text().replace("data.json", "data.csv"))
        juicecap.run(recipe)
        filled = [{"from": "human", "value": PROMPT}]
        assert [(row["conversation"], row["id"], row["caption"]) for row in job.rows()] == [
            (filled, "007", clips.details[0]),
            (filled, "", clips.details[1]),
        ]


class TestWhatTheyMet:
    def test_a_refused_request_is_no_caption(self, job, clips, server):
        """The second sample's request is answered with 429 for good."""

        def answer(body: dict[str, Any]):
            return refused(429, "slow down") if "refuse me" in json.dumps(body) else obliging(body)

        server.script = answer
        records = [{"video": path, "ask": ask} for path, ask in zip(clips.paths, ["a", "refuse me", "c"], strict=False)]
        settings = over(server, max_attempts=2)
        result = job.run(records, prompt_template="{ask}", max_rejected=1, **settings)
        assert [(row["video"], row["caption"]) for row in job.rows()] == [
            (clips.paths[0], "caption 0"),
            (clips.paths[2], "caption 0"),
        ]
        (rejection,) = job.rejections()
        assert (rejection["code"], rejection["retryable"], rejection["sample"]["video"]) == ("RATE_LIMITED", True, clips.paths[1])
        assert "Error" not in job.output.read_text()
        assert (result.exported, result.rejected) == (2, 1)

    def test_a_missing_file_costs_its_own_sample(self, job, clips):
        result = job.run([{"video": path} for path in (clips.paths[0], "gone.mp4", clips.paths[1])], max_rejected=1)
        assert [row["caption"] for row in job.rows()] == clips.details[:2]
        (rejection,) = job.rejections()
        assert (rejection["code"], rejection["id"]) == ("FILE_NOT_FOUND", "data.json:2")
        assert result.exit_code == 0

    def test_a_run_that_is_repeated_asks_nothing_again(self, job, clips, server):
        recipe = job.recipe([{"video": path} for path in clips.paths[:3]], **over(server))
        juicecap.run(recipe)
        core.close()
        asked = len(server.seen)
        job.output.unlink()
        result = juicecap.run(recipe)
        assert [step.finished_before for step in result.steps] == [True]
        assert len(server.seen) == asked
        assert [row["caption"] for row in job.rows()] == ["caption 0"] * 3

    def test_a_template_is_filled_for_each_sample(self, job, clips, server):
        def answer(body: dict[str, Any]):
            content = body["messages"][-1]["content"]
            return obliging(body) if isinstance(content, str) else said(f"on {content[-1]['text']}", prompt_tokens=999)

        server.script = answer
        records = [{"video": path, "title": title} for path, title in zip(clips.paths, "xyz", strict=False)]
        job.run(records, prompt_template="Title: {title}", **over(server))
        asked = [seen.parts()[-1] for seen in server.seen if "Title" in json.dumps(seen.body)]
        assert sorted(asked) == ["Title: x", "Title: y", "Title: z"]
        assert [(row["caption"], row["conversation"][0]["value"]) for row in job.rows()] == [
            (f"on Title: {title}", f"Title: {title}") for title in "xyz"
        ]

    def test_each_sample_keeps_its_own_text(self, job, clips):
        records = [{"video": path, "conversation": [{"from": "human", "value": ""}]} for path in clips.paths]
        job.run(records)
        assert [row["caption"] for row in job.rows()] == clips.details

    @pytest.mark.parametrize("format_", ["jsonl", "parquet"])
    def test_steps_can_be_read(self, job, clips, format_):
        job.run([{"video": clips.paths[0]}, {"video": "gone.mp4"}], keep_steps=format_, max_rejected=1)
        (table,) = (job.folder / "out" / "captions.run" / "steps").glob(f"01-video_to_caption_generator-*.{format_}")
        rows = read(table) if format_ == "jsonl" else pq.read_table(table).to_pylist()
        assert [(row["video"], row["caption"]) for row in rows] == [(clips.paths[0], clips.details[0])]
        assert not [name for name in rows[0] if name.startswith("__juicecap")]


class TestOverAnApi:
    def test_images_videos_prompt(self, job, clips, server):
        """The picture's colour tells where it stands among the frames."""
        image = str(ROOT / "recipes" / "images" / "image_00.png")
        job.run([{"video": clips.paths[0], "image": image}], **over(server))
        (seen,) = [each for each in server.seen if PROMPT in json.dumps(each.body)]
        assert seen.body["messages"][0] == {"role": "system", "content": "You are a helpful assistant."}
        urls = [part["image_url"]["url"] for part in seen.body["messages"][1]["content"][:-1]]
        assert seen.parts()[-1] == PROMPT
        assert len(urls) == 5
        assert len({url[:60] for url in urls[1:]}) <= len({url[:60] for url in urls})
        assert _background(urls[0]) == "gray"
        assert [_background(url) for url in urls[1:]] == ["black"] * 4

    def test_image_op(self, job, server):
        image = str(ROOT / "recipes" / "images" / "image_00.png")
        turns = [{"role": "user", "content": "<image>\nWhy?"}]
        settings = {"system_prompt": "S", "input_conversation_key": "messages", **over(server)}
        job.run([{"image": image, "messages": turns}], op="image_caption_generator", **settings)
        seen = server.seen[-1]
        assert (seen.body["messages"][0]["content"], seen.parts()) == ("S", ["image_url", "Why?"])
        assert job.rows() == [{"image": image, "messages": turns, "output": "caption 0"}]


def _background(url: str) -> str:
    """The colour of a picture's upper left corner."""
    import base64
    import io

    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        level = sum(picture.convert("RGB").getpixel((1, 1))) / 3
    return "black" if level < 60 else "gray"


class TestCheck:
    def test_an_output_column_that_exists(self, job, clips):
        records = [{"video": clips.paths[0], "caption": None}]
        problem = "video_to_caption_generator[1]: there is a column 'caption' already, which output_key names"
        assert job.problems(records) == problem
        with pytest.raises(RecipeError, match="there is a column 'caption' already") as caught:
            juicecap.run(job.recipe(records))
        assert "overwrite_output: true" in str(caught.value)
        assert job.problems(records, overwrite_output=True) == ""
        assert job.problems(records, output_key="new") == ""

    def test_an_output_column_that_an_op_before_writes(self, job):
        recipe = job.recipe([{"video": "a.mp4"}])
        loaded = yaml.safe_load(recipe.read_text())
        loaded["process"] *= 2
        recipe.write_text(yaml.safe_dump(loaded))
        assert "there is a column 'caption' already" in "\n".join(each.message for each in check(load_recipe(recipe)).problems)

    def test_a_column_that_a_template_names(self, job, clips):
        records = [{"video": clips.paths[0], "title": "x"}]
        assert job.problems(records, prompt_template="{title}") == ""
        assert "no column 'titel', which prompt_template needs" in job.problems(records, prompt_template="About {titel}")
        with pytest.raises(RecipeError, match="no column 'titel'"):
            juicecap.run(job.recipe(records, prompt_template="About {titel}"))

    def test_the_end_of_an_overwritten_column(self, job, clips):
        job.run([{"video": clips.paths[0], "caption": ["old"]}], overwrite_output=True)
        assert job.rows()[0]["caption"] == clips.details[0]


class TestBadInput:
    def test_each_record_has_its_outcome(self, job, clips):
        clip = clips.paths[0]
        turn = {"from": "human", "value": ""}
        records = [
            {"id": "null", "video": clip, "conversation": None},
            {"id": "text", "video": clip, "conversation": "describe it"},
            {"id": "empty", "video": clip, "conversation": []},
            {"id": "gpt alone", "video": clip, "conversation": [{"from": "gpt", "value": "Hi."}]},
            {"id": "gpt first", "video": clip, "conversation": [{"from": "gpt", "value": "Hi."}, turn]},
            {"id": "tokens", "video": clip, "conversation": [{"from": "human", "value": "<image><image>\nWhy?"}]},
            {"id": "no video", "video": None, "conversation": [turn]},
            {"id": "null in list", "video": [None, "b.mp4"], "conversation": [turn]},
            {"id": "number", "video": 7, "conversation": [turn]},
            {"id": "missing"},
        ]
        result = job.run(records, max_rejected=1.0)
        filled = {"from": "human", "value": PROMPT}
        assert job.rows() == [
            {**records[0], "conversation": [filled], "caption": clips.details[0]},
            {**records[2], "conversation": [filled], "caption": clips.details[0]},
            {**records[4], "conversation": [{"from": "gpt", "value": "Hi."}, filled], "caption": clips.details[0]},
        ]
        assert [(each["sample"]["id"], each["code"], each["message"]) for each in job.rejections()] == [
            ("text", "BAD_CONVERSATION", "column 'conversation' holds 'describe it', not a list of turns"),
            ("gpt alone", "BAD_CONVERSATION", "column 'conversation' has a turn of 'gpt' and none of a human"),
            ("tokens", "MORE_TOKENS_THAN_MEDIA", "the conversation has 2 of <image>, and column 'image' holds 0"),
            ("no video", "NO_MEDIA", "there is nothing to caption in 'image' and 'video'; the sample has 'id', 'conversation'"),
            ("null in list", "BAD_MEDIA_COLUMN", "column 'video' holds None where a path should be"),
            ("number", "BAD_MEDIA_COLUMN", "column 'video' holds 7, not a path or a list of paths"),
            ("missing", "NO_MEDIA", "there is nothing to caption in 'image' and 'video'; the sample has 'id'"),
        ]
        by_id = {each["id"]: each for each in records}
        assert all(each["sample"] == by_id[each["sample"]["id"]] for each in job.rejections())
        assert (result.samples, result.exported, result.rejected) == (10, 3, 7)

    def test_check_tells_of_them_before_a_model_is_opened(self, job, clips):
        records = [{"video": clips.paths[0]}, {"video": clips.paths[0], "conversation": "describe it"}]
        report = check(load_recipe(job.recipe(records)))
        assert "not a list of turns" in "\n".join(each.message for each in report.warnings)
