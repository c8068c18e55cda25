"""`juicecap plan`: figures that a run then proves right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from scripted import Script

import juicecap
from juicecap.cli import main
from juicecap.cli.numbers import price
from juicecap.media.video.probe import probe
from juicecap.recipe import load_recipe
from juicecap.report.plan import plan_text
from juicecap.report.prices import Prices, cost, cost_lines
from juicecap.runner.estimate.compute import make_plan
from juicecap.runner.estimate.dataset_sample import spread
from juicecap.runner.estimate.model import Interval
from juicecap.vlm.base import Outcome, Prepared

ROOT = Path(__file__).parent.parent.parent
CAPTION = """\
  - video_captioning_from_vlm_mapper:
      hf_model: juicecap-demo-vlm
      keep_original_sample: false
      frame_memory_mb: 64
      sampling_params: {max_tokens: 64}
"""


def write(ops: str = CAPTION, data: str = "clips/clips.jsonl", more: str = "") -> None:
    Path("recipe.yaml").write_text(f"dataset_path: {data}\nexport_path: out/captions.jsonl\n{more}process:\n{ops}")


def rows(*media: str, text: str | None = None) -> None:
    Path("clips/own.jsonl").write_text("".join(json.dumps({"videos": [each], "text": text}) + "\n" for each in media))


def test_the_plan_of_the_demo_clips(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    arguments = ["--input-mtok", "100USD", "--output-mtok", "1000", "--tokens-per-second", "10"]
    assert main(["plan", "recipe.yaml", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed == (
        """\
samples   10; all looked at
media     10 different ones by path; equal ones under other names are asked about once, too
video     0:00:32 in 10 videos, 3.2 s on average

[1] video_captioning_from_vlm_mapper, juicecap-demo-vlm (hf)
requests  10 about 10 samples; 10 different questions
answers   10: 10 asked
journal   there is none yet
frames    63; 4 to 10 in a request
prompts   86 to 202 tokens, 84 % of them frames; exact
          answers of at most 64 tokens
largest   clips.jsonl:2: 202 tokens, 266 with an answer; fits into 32,768
memory    frames of 126.8 KiB a request, 210.0 KiB at most; up to 64.0 MiB in flight
KV cache  768 bytes a token: 150.8 KiB a request, 199.5 KiB the largest, 4.7 MiB for 32 at once, beside 3.0 MiB of weights

in all    1,370 tokens to read, 320 to 640 to write
time      0:02:49 to 0:03:21 at 10 tokens per second
cost      0.4570 USD to 0.7770 USD
          1,370 prompt tokens at 100 USD a million
          320 to 640 completion tokens at 1,000 USD a million
          shared and replayed answers cost nothing; attempts that fail and later rounds are not in it
"""
    )
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_run_reads_as_many_tokens_as_the_plan_says(here: Path) -> None:
    write()
    plan = make_plan(load_recipe("recipe.yaml"))
    assert plan.prompt_tokens() == Interval(1370, 1370)
    assert main(["run", "recipe.yaml"]) == 0
    manifest = json.loads(Path("out/captions.run/manifest.json").read_text())
    assert manifest["answers"]["prompt_tokens"] == 1370
    assert 320 / 3 < manifest["answers"]["completion_tokens"] <= 640
    frames = [
        len(json.loads(line)["caption_provenance"][0]["frame_times"])
        for line in Path("out/captions.jsonl").read_text().splitlines()
    ]
    assert frames == [each.frames for each in plan.steps[0].asked]


def test_a_spread_stands_for_all(here: Path) -> None:
    rows(*[f"clip_0{number % 10}.mp4" for number in range(1000)])
    lines = [json.loads(line) for line in Path("clips/own.jsonl").read_text().splitlines()]
    asking = (json.dumps({**line, "ask": f"Is it {number:04}?"}) + "\n" for number, line in enumerate(lines))
    Path("clips/own.jsonl").write_text("".join(asking))
    write(CAPTION + "      prompt_key: ask\n", data="clips/own.jsonl")
    plan = make_plan(load_recipe("recipe.yaml"))
    (step,) = plan.steps
    assert (plan.samples, plan.looked_at, plan.factor, step.samples) == (1000, 200, 5.0, 200)
    everything = make_plan(load_recipe("recipe.yaml"), look_at_all=True)
    whole = everything.prompt_tokens()
    assert (everything.looked_at, whole.low) == (1000, whole.high)
    assert plan.prompt_tokens().low < whole.low < plan.prompt_tokens().high
    assert plan.prompt_tokens().high < 1.2 * plan.prompt_tokens().low
    text = plan_text(plan, Prices())
    assert "samples   1,000; 200 of them looked at (--all looks at all)" in text
    assert "media     10 different ones by path" in text
    assert "requests  1,000 about 1,000 samples; 1,000 different questions\nanswers   1,000: 1,000 asked\n" in text
    assert " in 10 videos, " in text


def test_equal_questions_cost_once(here: Path) -> None:
    rows(*[f"clip_0{number % 10}.mp4" for number in range(1000)])
    write(data="clips/own.jsonl")
    plan = make_plan(load_recipe("recipe.yaml"))
    assert plan.prompt_tokens().low < 1370 < plan.prompt_tokens().high < 1600
    text = plan_text(plan, Prices())
    assert "requests  1,000 about 1,000 samples; 10 different questions\n" in text
    assert "answers   1,000: 10 asked + 990 shared within the run\n" in text
    assert " in 10 videos, " in text
    everything = make_plan(load_recipe("recipe.yaml"), look_at_all=True)
    assert everything.prompt_tokens() == Interval(pytest.approx(1370), pytest.approx(1370))


def test_few_questions_about_one_clip_are_found_among_many_rows(here: Path) -> None:
    asking = (json.dumps({"videos": ["clip_00.mp4"], "ask": f"Is it {number * 7 % 5}?"}) + "\n" for number in range(3000))
    Path("clips/own.jsonl").write_text("".join(asking))
    write(CAPTION + "      prompt_key: ask\n", data="clips/own.jsonl")
    (step,) = make_plan(load_recipe("recipe.yaml")).steps
    assert step.questions() == pytest.approx(5, rel=0.1)


def test_a_run_asks_and_shares_what_the_plan_says(here: Path, script: Script) -> None:
    """Of equal rows one is asked, in a second op as well, whether it asks about the clip or about the answer."""
    videos = [f"clip_0{number % 3}.mp4" for number in range(12)]
    lines = (json.dumps({"videos": [video], "ask": f"Is it {number % 2}?"}) + "\n" for number, video in enumerate(videos))
    Path("clips/own.jsonl").write_text("".join(lines))
    real = script.answer

    def answer(prepared: Prepared) -> Outcome:
        """What it shows is in the answer."""
        outcome = real(prepared)
        names = " ".join(Path(part.value).stem for part in prepared.request.media())
        return replace(outcome, answers=tuple(replace(each, text=f"{each.text} {names}") for each in outcome.answers))

    script.answer = answer  # type: ignore[method-assign]
    caption = CAPTION.replace("juicecap-demo-vlm", script.model)
    title = f"  - title_mapper:\n      model: {script.model}\n"
    Path("own_ops.py").write_text(OWN_OP)
    ops = caption + "      prompt_key: ask\n" + title + caption.replace("64}", "32}") + "      caption_num: 2\n"
    write(ops, data="clips/own.jsonl", more="custom_operator_paths: own_ops.py\n")
    recipe = load_recipe("recipe.yaml")
    plan = make_plan(recipe)
    juicecap.run(recipe)
    steps = json.loads(Path("out/captions.run/manifest.json").read_text())["steps"]
    ran = [(step["answers"]["received"], step["answers"]["asked"]) for step in steps]
    assert ran == [(12, 6), (12, 6), (24, 6)]
    assert [(round(step.answers()), round(step.answers_asked())) for step in plan.steps] == ran
    again = make_plan(recipe).steps[0]
    assert (round(again.answers_asked()), round(again.answers_replayed())) == (0, 6)
    assert "answers   12: 6 shared within the run + 6 replayed\n" in plan_text(make_plan(recipe), Prices())


def test_a_spread_reaches_from_one_end_to_the_other() -> None:
    assert spread(3, 10) == [0, 1, 2]
    chosen = spread(1_000_003, 100)
    assert chosen == spread(1_000_003, 100)
    assert [number * 100 // 1_000_003 for number in chosen] == list(range(100))
    assert len({number % 10 for number in chosen}) == 10, "datasets may be periodic"


def test_ops_that_read_headers_or_text_are_applied(here: Path) -> None:
    rows(*[f"clip_0{number}.mp4" for number in range(10)])
    lengths = [probe(f"clips/clip_0{number}.mp4").duration for number in range(10)]
    long = [f"own.jsonl:{number + 1}" for number, length in enumerate(lengths) if length >= 3.5]
    assert 0 < len(long) < 10
    filters = "  - video_duration_filter:\n      min_duration: 3.5\n"
    write(filters + CAPTION, data="clips/own.jsonl")
    plan = make_plan(load_recipe("recipe.yaml"))
    assert [each.sample for each in plan.steps[0].asked] == long
    assert plan.not_applied == []


def test_what_ops_drop_before_a_model_is_asked_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(*[f"clip_0{number}.mp4" for number in range(10)], "gone.mp4")
    short = sum(probe(f"clips/clip_0{number}.mp4").duration < 3.5 for number in range(10))
    filters = "  - video_duration_filter:\n      min_duration: 3.5\n  - text_length_filter:\n      min_len: 0\n"
    write(filters + CAPTION, data="clips/own.jsonl")
    assert main(["plan", "recipe.yaml"]) == 0
    dropped = [line for line in capsys.readouterr().out.splitlines() if "dropped" in line]
    assert dropped == [f"dropped   {short} filtered, 1 rejected by video_duration_filter[1]"]


def test_a_folder_of_pictures_is_a_film_for_filters_and_plans(here: Path) -> None:
    Path("clips/film").mkdir()
    for number in range(8):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(f"clips/film/{number}.png")
    rows("film", "clip_00.mp4")
    filters = "  - video_duration_filter:\n      max_duration: 2.0\n  - video_resolution_filter:\n      max_height: 48\n"
    write(filters + CAPTION, data="clips/own.jsonl", more="picture_fps: 4.0\n")
    (step,) = make_plan(load_recipe("recipe.yaml")).steps
    assert [(each.sample, each.frames) for each in step.asked] == [("own.jsonl:1", 4)]
    assert step.video_seconds == [2.0]
    write(filters + CAPTION, data="clips/own.jsonl")
    assert make_plan(load_recipe("recipe.yaml")).steps[0].asked == []


def test_parts_of_films_are_planned_and_filtered_as_files(here: Path) -> None:
    rows("clip_00.mp4#t=0.5,1", "clip_01.mp4#t=1,2", "clip_02.mp4", "clip_03.mp4#t=7")
    filters = "  - video_duration_filter:\n      max_duration: 1.0\n"
    write(filters + CAPTION.replace("frame_memory", "num_frames: 3\n      frame_memory"), data="clips/own.jsonl")
    (step,) = make_plan(load_recipe("recipe.yaml")).steps
    assert [(each.sample, each.frames) for each in step.asked] == [("own.jsonl:1", 3), ("own.jsonl:2", 3)]
    assert step.video_seconds == [0.5, 1.0]


def test_a_part_of_a_message_is_planned_with_its_own_frames(here: Path) -> None:
    content = [{"type": "video", "video": "clip_00.mp4", "nframes": 2}, {"type": "video", "video": "clip_01.mp4", "nframes": 3}]
    Path("clips/own.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": content}]}) + "\n")
    ops = "  - video_to_caption_generator:\n      hf_model: juicecap-demo-vlm\n      input_conversation_key: messages\n"
    write(ops, data="clips/own.jsonl")
    (step,) = make_plan(load_recipe("recipe.yaml")).steps
    assert (step.asked[0].frames, step.refused) == (5, [])


def test_what_comes_after_an_answer_is_counted_with_made_up_ones(here: Path) -> None:
    several = "      caption_num: 3\n      keep_candidate_mode: all\n"
    second = CAPTION.replace("max_tokens: 64", "max_tokens: 32")
    write(CAPTION + several + "  - text_length_filter:\n      min_len: 20\n" + second)
    plan = make_plan(load_recipe("recipe.yaml"))
    assert [(step.samples, len(step.asked), step.asked[0].candidates) for step in plan.steps] == [(10, 10, 3), (30, 30, 1)]
    assert [step.questions() for step in plan.steps] == [10, pytest.approx(10)]  # all three captions lead to the same question
    assert plan.answer_tokens() == Interval(pytest.approx(32 * 30 + 32 * 10), pytest.approx(64 * 30 + 32 * 10))


def test_media_that_cannot_be_used_are_told(here: Path) -> None:
    Path("clips/broken.mp4").write_bytes(b"no video at all")
    rows("clip_00.mp4", "broken.mp4", "clip_01.mp4")
    write(data="clips/own.jsonl")
    plan = make_plan(load_recipe("recipe.yaml"))
    (step,) = plan.steps
    assert len(step.asked) == 2
    (refused,) = step.refused
    assert refused.startswith("own.jsonl:2: UNREADABLE: ")
    assert "rejected  1: own.jsonl:2: UNREADABLE: " in plan_text(plan, Prices())
    assert "unusable  1 media; the first: UNREADABLE: " in plan_text(plan, Prices())


def test_failures_in_the_journal_are_failures(here: Path) -> None:
    """Of a film whose header is sound and whose pictures are not, a run finds that out; then it is known."""
    film = Path("clips/clip_03.mp4").read_bytes()
    start = film.index(b"mdat") + 4
    length = int.from_bytes(film[start - 8 : start - 4], "big") - 8
    Path("clips/torn.mp4").write_bytes(film[:start] + bytes(length) + film[start + length :])
    rows("clip_00.mp4", "torn.mp4")
    write(CAPTION + "  - text_length_filter:\n" + CAPTION, data="clips/own.jsonl", more="max_rejected: 1\n")
    before = make_plan(load_recipe("recipe.yaml")).steps[0]
    assert (len(before.asked), before.refused, before.failed) == (2, [], 0)
    assert main(["run", "recipe.yaml", "--quiet"]) == 0
    plan = make_plan(load_recipe("recipe.yaml"))
    first, second = plan.steps
    assert (len(first.asked), first.known, first.failed, second.samples) == (1, [1], 1, 1)
    (refused,) = first.refused
    assert refused.startswith("own.jsonl:2: UNDECODABLE: ")
    text = plan_text(plan, Prices())
    assert "rejected  1: own.jsonl:2: UNDECODABLE: " in text
    assert "answers   1: 1 replayed\n" in text
    assert "journal   1 of the rejected failed in an earlier run, which --retry-rejected tries again\n" in text
    rows("torn.mp4")
    text = plan_text(make_plan(load_recipe("recipe.yaml")), Prices())
    assert ("requests  none\njournal   1 of the rejected failed in an earlier run, which --retry-rejected tries again\n") in text


NOISY_OP = """\
import logging, warnings
from dataclasses import dataclass
from juicecap.notice import say_once
from juicecap.ops.base import Filter
from juicecap.ops.registry import register

@register
@dataclass(frozen=True, kw_only=True)
class NoisyFilter(Filter):
    def keep(self, sample):
        warnings.warn("a library's own")
        logging.getLogger("some.library").warning("a library's own")
        say_once("what juicecap says")
        return True
"""


def test_no_warnings_of_libraries_are_shown(here: Path) -> None:
    Path("noisy.py").write_text(NOISY_OP)
    write("  - noisy_filter:\n", more="custom_operator_paths: noisy.py\n")
    command = [sys.executable, "-W", "always", "-m", "juicecap", "plan", "recipe.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stderr == "note: what juicecap says\n"
    assert done.stdout.startswith("samples   10; all looked at\n")


OWN_OP = """\
from dataclasses import dataclass
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register
from juicecap.vlm.base import Message, ModelSettings, Part, Request

@register
@dataclass(frozen=True, kw_only=True)
class TitleMapper(Mapper):
    model: str = "juicecap-demo-vlm"

    def requests(self, sample):
        words = sample["text"].split()
        question = Message("user", (Part("text", f"A title with {words[0]}? {sample['text']}"),))
        return [Request(model=ModelSettings(model=self.model), messages=(question,))]

    def process(self, sample, outcomes):
        return [sample]
"""


def test_an_op_of_ones_own_is_counted_and_what_it_raises_is_told(here: Path) -> None:
    Path("own_ops.py").write_text(OWN_OP)
    rows("clip_00.mp4", text="a b")
    with Path("clips/own.jsonl").open("a") as file:
        file.write('{"text": ""}\n')
    write("  - title_mapper:\n", data="clips/own.jsonl", more="custom_operator_paths: own_ops.py\n")
    text = plan_text(make_plan(load_recipe("recipe.yaml")), Prices())
    assert "[1] title_mapper, juicecap-demo-vlm (hf)" in text
    assert "rejected  1: own.jsonl:2: OP_FAILED: title_mapper fails with IndexError: list index out of range" in text
    assert "requests  1 about 2 samples; 1 different questions" in text


def test_what_does_not_fit_is_told(here: Path) -> None:
    shutil.copytree(ROOT / "juicecap" / "assets" / "demo_vlm", "model")
    config = json.loads(Path("model/config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 200
    Path("model/config.json").write_text(json.dumps(config))
    write(CAPTION.replace("juicecap-demo-vlm", "./model"))
    text = plan_text(make_plan(load_recipe("recipe.yaml")), Prices())
    assert "largest   clips.jsonl:2: 202 tokens, 266 with an answer; does not fit into 200" in text
    too_long = next(line for line in text.splitlines() if line.startswith("too long"))
    assert too_long.endswith(" requests, which will be rejected: take fewer frames (fps, max_frames) or max_pixels")


def test_a_server_is_estimated_and_a_stranger_too(here: Path) -> None:
    for model, backend, told in (
        ("Qwen/Qwen3-VL-8B-Instruct", "hf", "exact for frames and times, text estimated"),
        ("Qwen/Qwen3-VL-8B-Instruct", "openai", "estimated"),
        ("somebody/else", "hf", "estimated"),
    ):
        ops = f"  - video_captioning_from_vlm_mapper:\n      hf_model: {model}\n      backend: {backend}\n"
        if backend == "hf":
            ops += "      model_params: {cache_dir: nowhere}\n"
        write(ops)
        text = plan_text(make_plan(load_recipe("recipe.yaml")), Prices())
        (prompts,) = [line for line in text.splitlines() if line.startswith("prompts")]
        assert prompts.endswith(f"frames; {told}")
        assert ("KV cache" in text) == (backend == "hf")


def test_prices() -> None:
    class Fixed:
        def prompt_tokens(self) -> Interval:
            return Interval(1e6, 2e6)

        def answer_tokens(self) -> Interval:
            return Interval(1e5, 4e5)

    plan = Fixed()
    assert cost(plan, Prices(input_mtok=0.5, output_mtok=10)) == Interval(1.5, 5.0)  # type: ignore[arg-type]
    assert cost(plan, Prices(gpu_hour=3.6, tokens_per_second=1000)) == Interval(pytest.approx(1.1), pytest.approx(2.4))  # type: ignore[arg-type]
    assert cost(plan, Prices(gpu_hour=3.6)) is None  # type: ignore[arg-type]
    assert list(cost_lines(plan, Prices(input_mtok=0.5, currency="$"))) == [  # type: ignore[arg-type]
        "$0.50 to $1.00",
        "1,000,000 to 2,000,000 prompt tokens at $0.5 a million",
        "100,000 to 400,000 completion tokens are not in it: give --output-mtok",
        "shared and replayed answers cost nothing; attempts that fail and later rounds are not in it",
    ]
    assert list(cost_lines(plan, Prices(gpu_hour=3.6, tokens_per_second=1000, currency="元"))) == [  # type: ignore[arg-type]
        "1.10 元 to 2.40 元",
        "0:18:20 to 0:40:00 at 3.6 元 an hour of all GPUs",
        "shared and replayed answers cost nothing; loading models, waiting for frames and later rounds are not in it",
    ]
    assert next(cost_lines(plan, Prices(gpu_hour=3.6))) == "not known: --gpu-hour needs --tokens-per-second"  # type: ignore[arg-type]
    told = next(cost_lines(plan, Prices(input_mtok=0.5)))  # type: ignore[arg-type]
    assert told == "0.50 to 1.00, in the currency of the prices"


@pytest.mark.parametrize(
    ("text", "read"),
    [("2.5", (2.5, "")), ("2.50USD", (2.5, "USD")), ("0.2 EUR", (0.2, "EUR")), ("$2e2", (200, "$")), ("￥3", (3, "￥")),
     ("2e5RMB", (2e5, "RMB")), ("CNY 4", (4, "CNY")), ("5元", (5, "元"))],
)  # fmt: skip
def test_a_price_may_have_its_currency(text: str, read: tuple[float, str]) -> None:
    assert price(text) == read


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpu-hour", "2", "--input-mtok", "1"], "a run is paid by --gpu-hour or by --input-mtok and --output-mtok"),
        (["--tokens-per-second", "0"], "--tokens-per-second must be more than 0"),
        (["--input-mtok", "1USD", "--output-mtok", "€2"], "prices are given in USD and €: give all of them in one currency"),
    ],
)
def test_wrong_usage_is_a_sentence(arguments: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    assert main(["plan", "recipe.yaml", *arguments]) == 2
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize("value", ["-1", "nan", "much", "2%", "$2$", "USD", "1.2.3USD", "-1USD", "1e99$"])
def test_a_price_is_a_number(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["plan", "recipe.yaml", "--gpu-hour", value])
    assert stopped.value.code == 2
    assert "--gpu-hour" in capsys.readouterr().err


def test_a_dataset_that_breaks_later_is_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("clips/own.parquet").write_bytes(b"PAR1 and nothing else")
    write(data="clips/own.parquet")
    assert main(["plan", "recipe.yaml"]) == 1
    error = capsys.readouterr().err
    assert "own.parquet" in error
    assert "Traceback" not in error


def test_a_journal_that_is_none_is_told_and_left_alone(here: Path) -> None:
    write()
    Path("out/captions.run").mkdir(parents=True)
    Path("out/captions.run/journal.sqlite").write_text("not a database")
    text = plan_text(make_plan(load_recipe("recipe.yaml")), Prices())
    assert "journal   cannot be looked into: it is damaged, or no journal\n" in text
    assert [path.name for path in Path("out/captions.run").iterdir()] == ["journal.sqlite"]


def test_a_plan_of_the_first_samples(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("recipe.yaml").write_text(
        "dataset_path: clips/clips.jsonl\nexport_path: out.jsonl\nprocess:\n"
        "  - video_captioning_from_vlm_mapper:\n      hf_model: juicecap-demo-vlm\n"
    )
    assert main(["plan", "recipe.yaml", "--limit", "3"]) == 0
    out = capsys.readouterr().out
    assert "samples   3; all looked at\n" in out
    assert "requests  3 about 3 samples; 3 different questions\n" in out
