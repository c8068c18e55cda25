"""Each preset, read as the trainer's own loader reads: by rules found in the loader (docs/exports.md names it), in own code.

Of every medium the content is compared, and of every caption the text: on ten clips, and on a set that is hard to export. What is
loaded by a library that is installed here (`datasets`, pandas) is loaded by it; .ci/trainers runs the loaders of others.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from exporting import NASTY, Exporting, digest, lines
from PIL import Image

from juicecap.cli import main
from juicecap.data.export.presets import PRESETS

Pairs = list[tuple[str, Any]]
"""Digests of media, and their captions."""

VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".webm")
"""Suffixes as most loaders have them: in lower case only."""

TEN = {f"clip_{number:02}.mp4": f"Caption {number}." for number in range(10)}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, film: Callable[..., Any]) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    film(path, "circle", "red", "black", "right", frames=24, fps=12, size=(96, 64))
    return path


def sidecars(folder: Path, suffix: str = ".txt") -> Pairs:
    """One flat folder: for each text the only file of its stem that is a medium, found by its suffix in lower case."""
    pairs = []
    for text in sorted(folder.glob(f"*{suffix}")):
        stem = text.name.removesuffix(suffix)
        media = [folder / f"{stem}{each}" for each in (*VIDEOS, ".png") if (folder / f"{stem}{each}").exists()]
        assert len(media) == 1, (text, media)
        pairs.append((digest(media[0]), text.read_text(encoding="utf-8")))
    stems = [path.stem.lower() for path in folder.iterdir() if path.suffix in VIDEOS]
    assert len(set(stems)) == len(stems), "latents are cached by stem"
    return pairs


def first_lines(folder: Path) -> Pairs:
    """Each line is a caption of its own."""
    return [(medium, text.splitlines()[0] if text else "") for medium, text in sidecars(folder)]


def musubi(folder: Path) -> Pairs:
    rows = lines(folder / "metadata.jsonl")
    assert all(os.path.isabs(row["video_path"]) for row in rows), "there is no base folder"
    return [(digest(Path(row["video_path"])), row["caption"]) for row in rows]


def ltx(folder: Path) -> Pairs:
    rows = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    for row in rows:
        path = folder / Path(row["media_path"].strip())
        assert path.is_file()
        assert ".." not in path.relative_to(folder).parts, "latents are written under the relative path"
        assert row["video"] == row["media_path"]
    return [(digest(folder / row["media_path"]), row["caption"]) for row in rows]


def diffsynth(folder: Path) -> Pairs:
    rows = lines(folder / "metadata.jsonl")
    return [(digest(Path(os.path.join("/any/base", row["video"]))), row["prompt"]) for row in rows]


def videox_fun(folder: Path) -> Pairs:
    rows = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert all(row["type"] == "video" for row in rows), "without it a picture is expected"
    return [(digest(Path(row["file_path"])), row["text"]) for row in rows]


def videotuna(folder: Path) -> Pairs:
    table = pd.read_csv(folder / "metadata.csv")
    return [(digest(Path(os.path.join("/any/root", row.path))), row.caption) for row in table.itertuples()]


def opensora(folder: Path) -> Pairs:
    table = pd.read_parquet(folder / "meta.parquet")
    for row in table.itertuples():
        assert (row.num_frames, row.height, row.width, row.resolution, row.fps) == (24, 64, 96, 6144, 12.0)
        assert row.aspect_ratio == row.height / row.width
    return [(digest(Path(row.path)), row.text) for row in table.itertuples()]


def fastvideo(folder: Path) -> Pairs:
    """By `load_dataset`, as the trainer does it; a caption is the first of its list."""
    table = datasets.load_dataset(
        "json", data_files=str(folder / "videos2caption.json"), split="train", cache_dir=str(folder.parent / "cache")
    )
    for row in table:
        assert (row["fps"], row["num_frames"], row["resolution"]) == (12.0, 24, {"height": 64, "width": 96})
    return [(digest(folder / "videos" / row["path"]), row["cap"][0]) for row in table]


def cogvideo(folder: Path) -> Pairs:
    prompts, videos = ((folder / name).read_text(encoding="utf-8").splitlines() for name in ("prompts.txt", "videos.txt"))
    assert len(prompts) == len(videos)
    return [(digest(folder / video.strip()), prompt.strip()) for prompt, video in zip(prompts, videos, strict=True)]


def videofolder(folder: Path) -> Pairs:
    """By `datasets` itself."""
    table = datasets.load_dataset("videofolder", data_dir=str(folder), split="train", cache_dir=str(folder.parent / "cache"))
    table = table.cast_column("video", datasets.Video(decode=False))
    return [(digest(Path(row["video"]["path"])), row["caption"]) for row in table]


def turns(kind: str, token: str, file: str) -> Callable[[Path], Pairs]:
    """A file of conversations or messages: as many tokens as media, and the last turn is the answer."""

    def read(folder: Path) -> Pairs:
        path = folder / file
        rows = lines(path) if path.suffix == ".jsonl" else json.loads(path.read_text(encoding="utf-8"))
        return [pair(row) for row in rows]

    def pair(row: dict[str, Any]) -> tuple[str, str]:
        if kind == "messages":
            asked, answer, media = row["messages"][0]["content"], row["messages"][1]["content"], row["videos"]
        else:
            (human, gpt) = row["conversations"]
            assert (human["from"], gpt["from"]) == ("human", "gpt")
            asked, answer = human["value"], gpt["value"]
            assert isinstance(row["video"], list) == (kind == "list")
            media = row["video"] if kind == "list" else [row["video"]]
        assert len(re.findall(re.escape(token), asked)) == len(media) == 1
        assert not re.search(r"<(image|video)>", answer), "it would be replaced, or counted as a medium"
        return digest(Path(media[0])), answer

    return read


def axolotl(folder: Path) -> Pairs:
    pairs = []
    for row in lines(folder / "train.jsonl"):
        (video, text), (answer,) = (turn["content"] for turn in row["messages"])
        assert (video["type"], text["type"], answer["type"]) == ("video", "text", "text")
        assert video["path"] == video["video"]
        pairs.append((digest(Path(video["path"])), answer["text"]))
    return pairs


READERS: dict[str, Callable[[Path], Pairs]] = {
    "ai_toolkit": sidecars,
    "axolotl": axolotl,
    "cogvideo": cogvideo,
    "diffsynth": diffsynth,
    "diffusion_pipe": sidecars,
    "fastvideo": fastvideo,
    "finetrainers": sidecars,
    "llama_factory": turns("messages", "<video>", "train.json"),
    "llava_next": turns("text", "<image>", "train.json"),
    "ltx": ltx,
    "ms_swift": turns("messages", "<video>", "train.jsonl"),
    "musubi": musubi,
    "onetrainer": first_lines,
    "opensora": opensora,
    "qwen_vl": turns("text", "<video>", "train.json"),
    "simpletuner": first_lines,
    "videofolder": videofolder,
    "videollama3": turns("list", "<video>", "train.jsonl"),
    "videotuna": videotuna,
    "videox_fun": videox_fun,
}

ONE_LINE = ("ai_toolkit", "cogvideo", "diffusion_pipe", "finetrainers", "onetrainer", "simpletuner")
"""Trainers that read texts in which a line break ends a caption, or is a part of none."""


def as_read(caption: str, trainer: str) -> Any:
    """What a trainer should get of a caption."""
    if PRESETS[trainer].kind == "conversations":
        return caption.replace("<video>", "< video>")
    if trainer in ONE_LINE:
        return " ".join(line.strip() for line in caption.splitlines() if line.strip())
    return caption


@pytest.mark.parametrize("trainer", READERS)
@pytest.mark.parametrize("captions", [TEN, NASTY], ids=["ten", "nasty"])
def test_a_trainer_gets_every_clip_with_its_caption(trainer: str, captions: dict[str, Any], tmp_path: Path, clip: Path) -> None:
    exporting = Exporting(tmp_path, clip, captions)
    (told,) = exporting.run({"to": "out/set", "for": trainer}).exports
    wanted = {
        digest(exporting.clip(name)): as_read(caption, trainer)
        for name, caption in exporting.first_captions().items()
        if caption is not None
    }
    read = READERS[trainer](tmp_path / "out" / "set")
    if trainer == "videotuna":  # pandas takes both for missing, which the run has told
        wanted = {medium: None if caption in ("NA", "") else caption for medium, caption in wanted.items()}
        read = [(medium, caption if isinstance(caption, str) else None) for medium, caption in read]
    assert len(read) == len(wanted) == told.rows
    assert dict(read) == wanted
    assert dict(told.left_out) in ({}, {"without a caption": 0}) if captions is TEN else told.left_out == {"without a caption": 1}


@pytest.mark.parametrize("trainer", ["imagefolder", "kohya"])
def test_pictures(trainer: str, tmp_path: Path, clip: Path) -> None:
    exporting = Exporting(tmp_path, clip, {"a.mp4": "x"})
    for number, name in enumerate(("one.PNG", "deep/one.png", "two.png")):
        path = exporting.clip(name)
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    captions = {"one.PNG": "First\nof all.", "deep/one.png": 'A "quoted" one, <image>.', "two.png": "NA"}
    exporting.write([{"images": [name], "caption": caption} for name, caption in captions.items()])
    exporting.run({"to": "out/set", "for": trainer})
    folder = tmp_path / "out" / "set"
    if trainer == "kohya":
        read = sidecars(folder, ".caption")
        captions["one.PNG"] = "First of all."
    else:
        table = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache"))
        table = table.cast_column("image", datasets.Image(decode=False))
        read = [(digest(Path(row["image"]["path"])), row["caption"]) for row in table]
    assert dict(read) == {digest(exporting.clip(name)): caption for name, caption in captions.items()}


def test_every_preset_is_read_here() -> None:
    assert sorted([*READERS, "imagefolder", "kohya"]) == list(PRESETS)


@pytest.mark.parametrize(
    ("trainer", "read"),
    [
        ("cogvideo", ["one", "two", "three"]),
        ("diffsynth", ["one", "two", "three"]),
        ("opensora", ["one", "two", "three"]),
        ("qwen_vl", ["one", "two", "three"]),
        ("fastvideo", [["one", "two", "three"]]),
        ("simpletuner", ["one\ntwo\nthree"]),
        ("musubi", ["one"]),
        ("ltx", ["one"]),
    ],
)
def test_several_captions_as_the_trainer_can_hold_them(trainer: str, read: list[Any], tmp_path: Path, clip: Path) -> None:
    """As `keep_candidate_mode: all` gives them: a row each."""
    exporting = Exporting(tmp_path, clip, {"a.mp4": "x"})
    exporting.write([{"videos": ["a.mp4"], "caption": caption} for caption in ("one", "two", "three")])
    exporting.run({"to": "out/set", "for": trainer})
    folder = tmp_path / "out" / "set"
    if trainer == "fastvideo":
        found: list[Any] = [row["cap"] for row in json.loads((folder / "videos2caption.json").read_text())]
    elif trainer == "simpletuner":
        found = [text for _, text in sidecars(folder)]
    elif trainer == "opensora":
        found = pd.read_parquet(folder / "meta.parquet")["text"].tolist()
    else:
        found = [caption for _, caption in READERS[trainer](folder)]
    assert found == read


def test_an_export_is_a_dataset_again(tmp_path: Path, clip: Path) -> None:
    """What was exported as a table or as pairs is read by juicecap, and exported with the same texts."""
    exporting = Exporting(tmp_path, clip)
    exporting.run({"to": "out/set", "for": "musubi"})
    again = tmp_path / "again.jsonl"
    columns = "columns={path: {media: true}, caption: caption}"
    source = str(tmp_path / "out" / "set" / "metadata.jsonl")
    assert main(["export", source, "--as", "table", "--to", str(again), "--set", columns, "--set", "paths=absolute"]) == 0
    assert [(row["path"], row["caption"]) for row in lines(again)] == [
        (row["video_path"], row["caption"]) for row in lines(tmp_path / "out" / "set" / "metadata.jsonl")
    ]
