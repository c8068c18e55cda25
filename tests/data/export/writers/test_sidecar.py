"""Texts beside media: each medium once, under a name of its own, and no text of somebody else's is ever lost."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from exporting import Exporting, digest, files, texts

from juicecap.data.export.settings import SidecarExport
from juicecap.data.export.writers import sidecar
from juicecap.data.export.writers.captioned import Medium
from juicecap.data.export.writers.memory import Memory
from juicecap.data.export.writers.names import Names
from juicecap.data.writing import atomic
from juicecap.errors import DataError, EnvironmentFailure, RecipeError, UsageError
from juicecap.recipe import check, load_recipe
from juicecap.runner.run_folder.folder import RunFolder

SIDECAR = {"to": "out/train", "as": "sidecar"}


def names_by_source(exporting: Exporting) -> dict[str, str]:
    """The stems in the export's memory, by the names of the clips."""
    folder = exporting.folder
    memory = Memory(RunFolder(folder / "out" / "train.run").memory(SidecarExport(to=str(folder / "out" / "train"))))
    root = folder / "data"
    return {str(Path(source).relative_to(root)): entry.stem for source, entry in memory.entries.items()}


class TestWritten:
    def test_each_medium_has_its_text_and_both_have_one_flat_name(self, exporting: Exporting) -> None:
        result = exporting.run(SIDECAR)
        train = exporting.folder / "out" / "train"
        stems = names_by_source(exporting)
        assert re.fullmatch(r"clip-[0-9a-f]{8}", stems["nested/clip.mp4"])
        assert texts(train) == {
            stems["clip.mp4"]: "A red circle moves right.",
            stems["nested/clip.mp4"]: "Two lines, and a tab\there.",
            "UPPER": "NA",
            'it\'s "quoted", 🎬': 'She said "no, <video>", twice.',
            "v1.2.final": "",
        }
        for name, stem in stems.items():
            placed = train / f"{stem}.mp4"
            assert placed.is_symlink()
            assert placed.resolve() == exporting.clip(name)
            assert digest(placed) == digest(exporting.clip(name))
        (told,) = result.exports
        assert (told.rows, told.written, told.stayed, told.removed, dict(told.left_out)) == (
            5,
            5,
            (),
            0,
            {"without a caption": 1},
        )
        assert sorted(path.name for path in train.iterdir()) == sorted(
            f"{each}{end}" for each in stems.values() for end in (".mp4", ".txt")
        )

    @pytest.mark.parametrize("media", ["hardlink", "copy"])
    def test_media_can_be_files(self, exporting: Exporting, media: str) -> None:
        exporting.run({**SIDECAR, "media": media})
        train = exporting.folder / "out" / "train"
        for name, stem in names_by_source(exporting).items():
            placed = train / f"{stem}.mp4"
            assert not placed.is_symlink()
            assert digest(placed) == digest(exporting.clip(name))
            assert placed.samefile(exporting.clip(name)) == (media == "hardlink")
        before = {name: path.stat().st_mtime_ns for name, path in files(train).items()}
        inodes = {name: path.stat().st_ino for name, path in files(train).items()}
        (told,) = exporting.run({**SIDECAR, "media": media}).exports
        assert told.written == 0
        assert {name: path.stat().st_ino for name, path in files(train).items()} == inodes
        assert {name: path.stat().st_mtime_ns for name, path in files(train).items()} == before

    def test_a_source_that_changed_is_copied_again(self, exporting: Exporting) -> None:
        exporting.run({**SIDECAR, "media": "copy"})
        source = exporting.clip("clip.mp4")
        source.write_bytes(source.read_bytes() + b"more")
        exporting.run({**SIDECAR, "media": "copy"})
        assert digest(exporting.folder / "out" / "train" / "clip.mp4") == digest(source)

    def test_lines_and_suffixes(self, exporting: Exporting) -> None:
        exporting.write(
            [{"videos": ["clip.mp4"], "caption": ["one\n two", "", "three"]}, {"videos": ["clip.mp4"], "caption": "four"}]
        )
        exporting.run({**SIDECAR, "captions": "lines", "suffix": ".caption"})
        assert texts(exporting.folder / "out" / "train", ".caption") == {"clip": "one two\nthree\nfour"}
        exporting.run({**SIDECAR, "to": "out/kept", "newlines": "keep"})
        assert texts(exporting.folder / "out" / "kept") == {"clip": "one\n two"}

    def test_the_text_of_data_juicer_has_no_tokens(self, exporting: Exporting) -> None:
        exporting.write(
            [{"videos": ["clip.mp4", "UPPER.MP4"], "text": "<__dj__video> One. <|__dj__eoc|> <__dj__video> Two. <|__dj__eoc|>"}]
        )
        exporting.run(SIDECAR)
        assert texts(exporting.folder / "out" / "train") == {"UPPER": "Two.", "clip": "One."}

    def test_a_part_of_a_film_is_cut(self, exporting: Exporting) -> None:
        exporting.write(
            [{"videos": ["clip.mp4#t=0.5,1.5"], "caption": "The middle."}, {"videos": ["clip.mp4"], "caption": "All."}]
        )
        exporting.run(SIDECAR)
        train = exporting.folder / "out" / "train"
        assert texts(train) == {"clip": "All.", "clip-t0_5-1_5": "The middle."}
        part = train / "clip-t0_5-1_5.mp4"
        assert not part.is_symlink()
        exporting.run(
            {"to": "out/facts.jsonl", "as": "table", "columns": {"n": {"measure": "frames"}}}, dataset_path=str(part.parent)
        )
        assert [json.loads(line)["n"] for line in (exporting.folder / "out" / "facts.jsonl").read_text().splitlines()] == [12, 24]

    def test_beside_the_media(self, exporting: Exporting) -> None:
        exporting.run({"as": "sidecar", "media": "none"})
        data = exporting.folder / "data"
        assert texts(data) == {
            "UPPER": "NA",
            "clip": "A red circle moves right.",
            'it\'s "quoted", 🎬': 'She said "no, <video>", twice.',
            "v1.2.final": "",
        }
        assert texts(data / "nested") == {"clip": "Two lines, and a tab\there."}
        assert (exporting.folder / "data.run" / "manifest.json").exists()
        assert not list(data.rglob(".juicecap*"))


class TestEdits:
    def test_a_text_that_was_edited_stays_and_is_told(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        train = exporting.folder / "out" / "train"
        (train / "clip.txt").write_text("By hand.")
        exporting.captions["clip.mp4"] = exporting.captions["UPPER.MP4"] = "Another caption."
        exporting.write()
        (told,) = exporting.run(SIDECAR, overwrite=True).exports
        assert (told.stayed, told.written) == ((str(train / "clip.txt"),), 1)
        assert texts(train)["clip"] == "By hand."
        assert texts(train)["UPPER"] == "Another caption."
        exporting.run(SIDECAR)
        assert texts(train)["clip"] == "By hand."

    def test_an_edit_that_was_undone_makes_the_text_ours_again(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        text = exporting.folder / "out" / "train" / "clip.txt"
        before = text.read_text()
        text.write_text("By hand.")
        exporting.run(SIDECAR)
        text.write_text(before)
        exporting.captions["clip.mp4"] = "New."
        exporting.write()
        exporting.run(SIDECAR)
        assert text.read_text() == "New."

    def test_texts_that_were_there_before_stay(self, exporting: Exporting) -> None:
        """Also one that says the same: it is not ours, and does not change with the caption."""
        data = exporting.folder / "data"
        (data / "clip.txt").write_text("Written long ago.")
        (data / "UPPER.txt").write_text("NA")
        (told,) = exporting.run({"as": "sidecar", "media": "none"}).exports
        assert told.stayed == (str(data / "clip.txt"),)
        exporting.captions["UPPER.MP4"] = "New."
        exporting.write()
        (told,) = exporting.run({"as": "sidecar", "media": "none"}).exports
        assert set(told.stayed) == {str(data / "clip.txt"), str(data / "UPPER.txt")}
        assert texts(data)["UPPER"] == "NA"

    def test_on_demand_they_are_replaced_and_copies_kept(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        text = exporting.folder / "out" / "train" / "clip.txt"
        text.write_text("By hand.")
        (told,) = exporting.run(SIDECAR, overwrite_texts=True).exports
        assert (told.stayed, told.written) == ((), 1)
        assert text.read_text() == "A red circle moves right."
        (copy,) = (exporting.folder / "out" / "train.run" / "replaced").rglob("clip.txt")
        assert copy.read_text() == "By hand."

    def test_pairs_whose_sample_is_gone_go_and_edited_ones_stay(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        train = exporting.folder / "out" / "train"
        (train / "UPPER.txt").write_text("By hand.")
        del exporting.captions["clip.mp4"], exporting.captions["UPPER.MP4"]
        exporting.write()
        (told,) = exporting.run(SIDECAR).exports
        assert (told.removed, told.edited_orphans) == (1, (str(train / "UPPER.txt"),))
        assert not (train / "clip.mp4").is_symlink()
        assert not (train / "clip.txt").exists()
        assert texts(train)["UPPER"] == "By hand."
        assert (train / "UPPER.mp4").is_symlink()
        exporting.captions["other/upper.mp4"] = "Not the edited one."
        shutil.copy(exporting.clip("v1.2.final.mp4"), exporting.clip("v1.2.final.mp4").parent / "nested" / "upper.mp4")
        exporting.captions["nested/upper.mp4"] = exporting.captions.pop("other/upper.mp4")
        exporting.write()
        exporting.run(SIDECAR)
        assert names_by_source(exporting)["nested/upper.mp4"].startswith("upper-")
        assert texts(train)["UPPER"] == "By hand."

    def test_names_stay_when_samples_come_and_go(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        before = names_by_source(exporting)
        exporting.write([{"videos": [name], "caption": "c"} for name in reversed(exporting.captions)])
        exporting.run(SIDECAR)
        assert {name: names_by_source(exporting)[name] for name in before} == before

    def test_a_medium_of_somebody_else_is_not_replaced(self, exporting: Exporting) -> None:
        train = exporting.folder / "out" / "train"
        train.mkdir(parents=True)
        (train / "clip.mp4").write_text("precious")
        with pytest.raises(UsageError, match=r"clip\.mp4 exists and was not written by this export; give another folder"):
            exporting.run(SIDECAR)
        assert files(train).keys() == {"clip.mp4"}
        exporting.run(SIDECAR, overwrite=True)
        assert digest(train / "clip.mp4") == digest(exporting.clip("clip.mp4"))

    def test_exports_into_one_folder_leave_each_others_files(self, exporting: Exporting) -> None:
        columns = {"file_name": {"media": True}, "caption": "caption"}
        both = (SIDECAR, {"to": "out/train/metadata.jsonl", "as": "table", "columns": columns, "media": "link"})
        exporting.run(*both)
        train = exporting.folder / "out" / "train"
        before = {path.name for path in train.iterdir()}
        exporting.run(*both)
        assert {path.name for path in train.iterdir()} == before
        assert len(texts(train)) == 5

    def test_what_trainers_leave_in_the_folder_stays(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        train = exporting.folder / "out" / "train"
        (train / "cache").mkdir()
        (train / "cache" / "clip.safetensors").write_text("latents")
        (train / ".aitk_size.json").write_text("{}")
        exporting.run(SIDECAR)
        assert (train / "cache" / "clip.safetensors").read_text() == "latents"
        assert (train / ".aitk_size.json").read_text() == "{}"

    def test_a_damaged_memory_makes_texts_somebody_elses(self, exporting: Exporting) -> None:
        exporting.run(SIDECAR)
        memory = RunFolder(exporting.folder / "out" / "train.run").memory(
            SidecarExport(to=str(exporting.folder / "out" / "train"))
        )
        head, *rest = memory.read_text().splitlines()
        memory.write_text("\n".join([head, *("{" + line for line in rest)]))
        exporting.captions["clip.mp4"] = "New."
        exporting.write()
        (told,) = exporting.run(SIDECAR).exports
        assert texts(exporting.folder / "out" / "train")["clip"] == "A red circle moves right."
        assert len(told.stayed) == 1
        memory.write_text("precious\n")
        with pytest.raises(DataError, match="is not what an export writes, so it is left as it is"):
            exporting.run(SIDECAR)


KILLER = """
import os, signal, sys
import juicecap
from juicecap.data.export.writers import sidecar
real, left = sidecar.swap_in, [2]

def killed(path, content, owner=""):
    real(path, content, owner)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

sidecar.swap_in = killed
juicecap.run(sys.argv[1])
"""


class TestFaults:
    @pytest.mark.process
    def test_an_export_that_was_killed_is_finished_when_it_is_run_again(self, exporting: Exporting) -> None:
        exporting.run({**SIDECAR, "media": "copy"})
        train = exporting.folder / "out" / "train"
        (train / "UPPER.txt").write_text("By hand.")
        exporting.captions = dict.fromkeys(exporting.captions, "New.")
        exporting.write()
        recipe = exporting.recipe({**SIDECAR, "media": "copy"})
        done = subprocess.run([sys.executable, "-c", KILLER, str(recipe)], check=False, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert sorted(texts(train).values()).count("New.") == 2
        (told,) = exporting.run({**SIDECAR, "media": "copy"}).exports
        assert texts(train) == {name: "By hand." if name == "UPPER" else "New." for name in texts(train)}
        assert len(texts(train)) == 6
        assert told.stayed == (str(train / "UPPER.txt"),)
        assert not list(train.glob(".juicecap*"))

    def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, count = sidecar.swap_in, [0]

        def full(path: Path, content: bytes, owner: str = "") -> None:
            count[0] += 1
            if count[0] > 2:
                raise atomic.write_error(path, OSError(errno.ENOSPC, "No space left on device"))
            real(path, content, owner)

        monkeypatch.setattr(sidecar, "swap_in", full)
        with pytest.raises(EnvironmentFailure, match="no space left"):
            exporting.run(SIDECAR)
        train = exporting.folder / "out" / "train"
        assert len(texts(train)) == 2
        assert not list(train.glob(".juicecap*"))
        monkeypatch.setattr(sidecar, "swap_in", real)
        assert exporting.run(SIDECAR).exports[0].written == 3

    @pytest.mark.parametrize(("media", "method"), [("link", "symlink_to"), ("hardlink", "hardlink_to")])
    def test_a_link_that_cannot_be_made_is_a_sentence(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch, media: str, method: str
    ) -> None:
        def refused(self: Path, target: Path) -> None:
            raise OSError(errno.EXDEV if media == "hardlink" else errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(Path, method, refused)
        with pytest.raises(
            DataError,
            match=rf"cannot be a (hard )?link to .*\. Set media to {'link' if media == 'hardlink' else 'hardlink'} or copy\.",
        ):
            exporting.run({**SIDECAR, "media": media})
        assert texts(exporting.folder / "out" / "train") == {}

    def test_a_medium_that_is_missing_leaves_all_as_it_was(self, exporting: Exporting) -> None:
        exporting.clip("UPPER.MP4").unlink()
        with pytest.raises(DataError, match=r"data\.jsonl:3: .*UPPER\.MP4 does not exist\. Nothing was exported there\."):
            exporting.run(SIDECAR)
        assert not (exporting.folder / "out" / "train").exists()

    @pytest.mark.parametrize(
        ("row", "sentence"),
        [
            ({"videos": ["https://a.example/b.mp4"], "caption": "c"}, "is an address, and a text beside a medium needs files"),
            ({"videos": ["nested"], "caption": "c"}, "is a folder of pictures, and a text beside a medium needs a file"),
            (
                {"videos": ["clip.mp4", "UPPER.MP4"], "caption": "c"},
                "it has 2 media and 1 captions, and here each medium needs its own",
            ),
            ({"videos": [], "caption": "c"}, "it has no video and no image"),
            ({"videos": ["clip.mp4"], "caption": {"a": 1}}, "holds {'a': 1}, not a text or a list of texts"),
        ],
    )
    def test_what_has_no_text_of_its_own_is_a_sentence(self, exporting: Exporting, row: dict, sentence: str) -> None:
        exporting.write([row])
        with pytest.raises(DataError, match=re.escape(sentence)) as raised:
            exporting.run(SIDECAR)
        assert str(raised.value).startswith("data.jsonl:1")
        assert not (exporting.folder / "out" / "train").exists()

    def test_a_part_has_no_text_beside_it(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4#t=0,1"], "caption": "c"}])
        with pytest.raises(DataError, match="is a part of a film, beside which no text of its own can stand; set media to link"):
            exporting.run({"as": "sidecar", "media": "none"})

    def test_two_media_with_one_text_are_a_problem_before_the_run(self, exporting: Exporting) -> None:
        folder = exporting.folder / "own"
        folder.mkdir()
        for name in ("a.mp4", "a.mov", "b.mp4"):
            shutil.copy(exporting.clip("clip.mp4"), folder / name)
        recipe = exporting.recipe({"as": "sidecar", "media": "none", "caption": "text"}, dataset_path=str(folder))
        problems = [each.message for each in check(load_recipe(recipe)).problems if "would both" in each.message]
        assert len(problems) == 1
        assert f"own/a.mov and {folder}/a.mp4 would both have the text {folder}/a.txt; give the export a folder" in problems[0]
        exporting.write([{"videos": [f"../own/{name}"], "caption": "c"} for name in ("a.mp4", "a.mov")])
        with pytest.raises(DataError, match=r"would both have the text .*/own/a\.txt"):
            exporting.run({"as": "sidecar", "media": "none"})
        assert texts(folder) == {}

    def test_media_in_the_folder_of_the_dataset_would_be_read_as_samples(self, exporting: Exporting) -> None:
        with pytest.raises(
            RecipeError, match="lies in the folder of the dataset, so the next run would read its media as samples"
        ):
            exporting.run({**SIDECAR, "to": "data/train"}, dataset_path=str(exporting.folder / "data" / "nested" / ".."))


class TestNames:
    @pytest.mark.parametrize(
        ("paths", "stems"),
        [
            (["/d/a.mp4", "/d/A.MOV"], ["a", "A-"]),
            (["/d/caf\u00e9.mp4", "/e/cafe\u0301.mp4"], ["caf\u00e9", "cafe\u0301-"]),
            (["/d/.hidden.mp4", "/d/a\nb.mp4", "/d/ .mp4"], ["hidden", "a_b", "medium"]),
        ],
    )
    def test_stems_are_unique_whatever_their_case(self, paths: list[str], stems: list[str]) -> None:
        names = Names({})
        made = [names.stem(Medium("video", path, path, "")) for path in paths]
        assert all(got == want or (want.endswith("-") and got.startswith(want)) for got, want in zip(made, stems, strict=True)), (
            made
        )

    def test_a_long_name_is_cut(self) -> None:
        stem = Names({}).stem(Medium("video", f"/d/{'é' * 300}.mp4", "", ""))
        assert len(stem.encode()) <= 180
        assert set(stem) == {"é"}
