"""Media columns of `datasets`, as bytes or as paths: they become files, and `datasets` decodes none of them."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from juicecap.data.source import open_source
from juicecap.ops import ImageCaptionGenerator, VideoToCaptionGenerator
from juicecap.sample import ORIGIN

pytestmark = pytest.mark.process

IMAGES = Path(__file__).parents[3] / "recipes" / "images"
TRUTH = json.loads((Path(__file__).parents[2] / "demo_images.json").read_text())
DEMO = "juicecap-demo-vlm"


@pytest.fixture(autouse=True)
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding by `datasets` fails the test."""

    def decode(*_: object, **__: object) -> None:
        raise AssertionError("datasets decodes a medium")

    for feature in (datasets.Image, datasets.Video, datasets.Audio):
        monkeypatch.setattr(feature, "decode_example", decode)


@pytest.fixture(params=["parquet", "saved", "saved, some rows"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, clips):
    """A dataset with an image, a video and a list of images, as bytes and as paths, in a file or a folder."""
    pictures = [IMAGES / name for name in sorted(TRUTH)]
    bytes_, path = [{"bytes": pictures[0].read_bytes(), "path": None}, {"bytes": None, "path": str(pictures[1])}]
    films = [{"bytes": Path(clips.paths[0]).read_bytes(), "path": "film.MP4"}, {"bytes": None, "path": clips.paths[1]}]
    rows = {
        "n": [1, 2, 3],
        "image": [bytes_, path, None],
        "video": [*films, None],
        "images": [[bytes_, bytes_], [], None],
        "note": ["007", None, "x"],
    }
    features = datasets.Features(
        {
            "n": datasets.Value("int64"),
            "image": datasets.Image(),
            "video": datasets.Video(),
            "images": datasets.List(datasets.Image()),
            "note": datasets.Value("string"),
        }
    )
    table = pa.table(rows, schema=features.arrow_schema)
    if request.param == "parquet":
        pq.write_table(table, tmp_path / "data.parquet")
        return tmp_path / "data.parquet"
    dataset = datasets.Dataset(table, info=datasets.DatasetInfo(features=features))
    if "some" in request.param:
        dataset = dataset.select([2, 0, 1]).select([1, 2, 0])
    dataset.save_to_disk(str(tmp_path / "data"))
    return tmp_path / "data"


def test_media_become_files(stored, tmp_path, clips):
    dataset = open_source(str(stored), cache_folder=tmp_path / "cache")
    assert dataset.column_names == ["n", "image", "video", "images", "note", ORIGIN]
    first, second, third = dataset
    assert Path(first["image"]).read_bytes() == (IMAGES / "image_00.png").read_bytes()
    assert (Path(first["image"]).name, Path(first["video"]).name) == ("1.png", "1.mp4")
    assert Path(first["video"]).read_bytes() == Path(clips.paths[0]).read_bytes()
    assert [Path(each).name for each in first["images"]] == ["1-0.png", "1-1.png"]
    assert Path(second["image"]).read_bytes() == (IMAGES / "image_01.png").read_bytes()
    assert (second["video"], second["images"]) in [(clips.paths[1], []), (str(Path(first["video"]).parent / "2.mp4"), [])]
    assert (third["image"], third["video"], third["images"], third["n"]) == (None, None, None, 3)
    assert dataset["note"][:] == ["007", None, "x"]


def test_they_are_captioned(stored, tmp_path, clips):
    dataset = open_source(str(stored), cache_folder=tmp_path / "cache", limit=2)
    films = VideoToCaptionGenerator(hf_model=DEMO, input_image_key="none").run(dataset)
    assert films["caption"][:] == clips.details[:2]
    pictures = ImageCaptionGenerator(hf_model=DEMO, system_prompt="You are a helpful assistant.").run(dataset)
    assert pictures["output"][:] == [TRUTH[name]["caption"] for name in ("image_00.png", "image_01.png")]


def test_an_op_takes_a_dataset_with_media_as_it_is(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features({"video": datasets.Video(), "n": datasets.Value("int64")})
    rows = {
        "video": [{"bytes": Path(clips.paths[0]).read_bytes(), "path": None}, {"path": clips.paths[1], "bytes": None}],
        "n": [1, 2],
    }
    dataset = datasets.Dataset.from_dict(rows, features=features)
    out = VideoToCaptionGenerator(hf_model=DEMO).run(dataset)
    assert out["caption"][:] == clips.details[:2]
    assert out["n"][:] == [1, 2]
    assert Path(out["video"][0]).read_bytes() == Path(clips.paths[0]).read_bytes()


def test_a_bare_map_takes_media_that_are_not_decoded(clips):
    features = datasets.Features({"video": datasets.Video(decode=False)})
    dataset = datasets.Dataset.from_dict({"video": [{"path": clips.paths[0], "bytes": None}]}, features=features)
    op = VideoToCaptionGenerator(hf_model=DEMO, conversation_mode="ignore")
    made = dataset.map(op.process_batched, batched=True, remove_columns=["video"], load_from_cache_file=False)
    assert made["caption"][:] == clips.details[:1]


def test_files_are_written_once(stored, tmp_path):
    open_source(str(stored), cache_folder=tmp_path / "cache")
    files = {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.png")}
    open_source(str(stored), cache_folder=tmp_path / "cache")
    assert {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.png")} == files
    assert len(files) >= 3


def test_a_struct_of_bytes_and_path_is_a_medium(tmp_path):
    table = pa.table({"image": [{"bytes": (IMAGES / "image_00.png").read_bytes(), "path": "cat.PNG"}], "b": [{"bytes": b"x"}]})
    pq.write_table(table, tmp_path / "x.parquet")
    (row,) = open_source(str(tmp_path / "x.parquet"), cache_folder=tmp_path / "cache")
    assert row["image"].endswith(".media/0/1.png")
    assert row["b"] == {"bytes": b"x"}


def test_what_bytes_are_is_told_by_their_brand(tmp_path):
    """All four begin as MP4 files do."""
    brands = {"heic": b"heicmif1", "avif": b"mif1avif", "mp4": b"isommp41", "mov": b"qt  qt  "}
    heads = {kind: b"\0\0\0\x14ftyp" + both[:4] + bytes(4) + both[4:] + bytes(20) for kind, both in brands.items()}
    struct = pa.array(
        [{"bytes": head, "path": None} for head in heads.values()], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pq.write_table(pa.table({"image": struct}), tmp_path / "data.parquet")
    rows = open_source(str(tmp_path / "data.parquet"), cache_folder=tmp_path / "cache")
    assert [(Path(row["image"]).suffix, Path(row["image"]).read_bytes()) for row in rows] == [
        (f".{suffix}", head) for suffix, head in heads.items()
    ]
