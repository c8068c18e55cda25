"""Ops on batches and on whole datasets; each sample meets exactly one fate."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from datasets import Dataset
from jsonargparse.typing import PositiveInt

from juicecap import load_dataset
from juicecap.errors import BugError, DataError, EnvironmentFailure, MediaError, SampleError, SettingsError
from juicecap.ops import TextLengthFilter, VideoCaptioningFromVLMMapper, VideoDurationFilter
from juicecap.ops.apply.table import step_table
from juicecap.ops.base import Filter, Mapper
from juicecap.ops.whole_dataset import Deduplicator, Selector
from juicecap.sample import FATE, ORIGIN

ROOT = Path(__file__).parents[2]
DEMO = "juicecap-demo-vlm"


@dataclass(frozen=True, kw_only=True)
class TwiceMapper(Mapper):
    """Gives `copies` copies of a sample; odd numbers fail."""

    copies: PositiveInt = 2
    """How many."""

    def columns_written(self):
        return {"copy": "int"}

    def process(self, sample, outcomes):
        if sample["n"] % 2:
            raise MediaError("ODD", f"{sample['n']} is odd", retryable=sample["n"] > 2)
        number = sample.pop("n")
        return [{**sample, "n": number, "copy": copy} for copy in range(self.copies)]


@dataclass(frozen=True, kw_only=True)
class NoneMapper(Mapper):
    """Gives nothing."""

    def process(self, sample, outcomes):
        return []


@dataclass(frozen=True, kw_only=True)
class TextDeduplicator(Deduplicator):
    """Keeps one sample of each text; a text "?" has no signature."""

    def signature(self, sample):
        if sample["text"] == "?":
            raise SampleError("NO_SIGNATURE", "a question mark")
        return sample["text"]


@dataclass(frozen=True, kw_only=True)
class LargestSelector(Selector):
    """Keeps the samples with the largest numbers."""

    best: int = 2
    """How many."""

    def select(self, samples):
        order = sorted(range(len(list(samples))), key=lambda place: -[sample["n"] for sample in samples][place])
        return [place in order[: self.best] for place in range(len(order))]


@dataclass(frozen=True, kw_only=True)
class ShortSelector(Selector):
    """Forgets a sample."""

    def select(self, samples):
        return [True for _ in samples][:-1]


def captioner(**settings):
    return VideoCaptioningFromVLMMapper(**{"hf_model": DEMO, "keep_original_sample": False, **settings})


@pytest.fixture
def listed(clips) -> Path:
    """A jsonl file with four clips."""
    file = clips.folder / "clips.jsonl"
    lines = [{"id": number, "videos": [os.path.basename(path)]} for number, path in enumerate(clips.paths[:4])]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


class TestFromPython:
    """The ways of use that the documentation shows."""

    def test_run(self, listed, clips):
        op = captioner(caption_num=3, keep_candidate_mode="all", sampling_params={"temperature": 0.01})
        out = op.run(load_dataset(str(listed)))
        assert out["text"][:] == [clips.text(number) for number in range(4) for _ in range(3)]
        assert out["id"][:] == [number for number in range(4) for _ in range(3)]
        assert [entries[0]["candidate"] for entries in out["caption_provenance"]] == [0, 1, 2] * 4
        assert [entries[0]["source"] for entries in out["caption_provenance"]][::3] == [f"clips.jsonl:{n}" for n in range(1, 5)]

    def test_call(self, clips):
        assert captioner()({"videos": [[clips.paths[0]], [clips.paths[1]]]})["text"] == [clips.text(0), clips.text(1)]

    @pytest.mark.parametrize("originals", [False, True])
    def test_map(self, listed, clips, originals):
        ds = load_dataset(str(listed))
        op = captioner(keep_original_sample=originals)
        out = ds.map(op.process_batched, batched=True, batch_size=3, remove_columns=ds.column_names)
        new = out.filter(lambda row: row["text"] is not None)
        assert len(out) == (8 if originals else 4)
        assert new["text"][:] == [clips.text(number) for number in range(4)]
        assert set(out.column_names) == {"id", "videos", ORIGIN, "text", "caption_provenance"}

    def test_map_of_a_plain_dataset(self, clips):
        ds = Dataset.from_dict({"videos": [[path] for path in clips.paths[:3]], "text": ["<__dj__video>"] * 3})
        out = ds.map(captioner().process_batched, batched=True, batch_size=2, remove_columns=ds.column_names)
        assert out["text"][:] == [clips.text(number) for number in range(3)]

    @pytest.mark.slow
    def test_a_bare_script_without_a_main_guard(self, listed, clips, tmp_path):
        script = tmp_path / "script.py"
        script.write_text(
            "from juicecap import load_dataset\n"
            "from juicecap.ops import VideoCaptioningFromVLMMapper\n"
            f"ds = load_dataset({str(listed)!r})\n"
            f"op = VideoCaptioningFromVLMMapper(hf_model={DEMO!r}, keep_original_sample=False)\n"
            "print(op.run(ds)['text'][:])\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == f"{[clips.text(number) for number in range(4)]}\n", done.stderr
        assert done.returncode == 0
        assert "Traceback" not in done.stderr

    def test_inside_of_a_running_loop(self, clips):
        async def cell():
            return captioner()({"videos": [[clips.paths[0]]]})["text"]

        assert asyncio.run(cell()) == [clips.text(0)]


class TestFailures:
    def test_outside_of_a_recipe_a_failing_sample_raises_an_error_that_names_it(self, clips, listed):
        with pytest.raises(SampleError) as caught:
            captioner()({"videos": [[clips.paths[0]], ["none.mp4"]]})
        assert str(caught.value) == "FILE_NOT_FOUND: none.mp4: none.mp4 does not exist"
        listed.write_text(listed.read_text() + '{"videos": ["gone.mp4"]}\n')
        with pytest.raises(
            SampleError, match=r"^FILE_NOT_FOUND: clips\.jsonl:5: .*gone\.mp4 does not exist \(1 of 5 samples failed; .*$"
        ):
            VideoDurationFilter().run(load_dataset(str(listed)))

    def test_the_error_keeps_its_kind_and_facts(self):
        with pytest.raises(MediaError) as caught:
            TwiceMapper().run(Dataset.from_dict({"n": [0, 3]}))
        assert (caught.value.code, caught.value.retryable) == ("ODD", True)

    def test_rejections_in_a_list(self, listed):
        listed.write_text(listed.read_text() + '{"id": 9, "videos": ["gone.mp4"]}\n')
        rejected = []
        out = VideoDurationFilter().run(load_dataset(str(listed)), rejected=rejected)
        assert out["id"][:] == [0, 1, 2, 3]
        (record,) = rejected
        assert list(record) == ["id", "source", "op", "code", "message", "attempts", "retryable", "when", "sample"]
        assert record | {"when": "", "message": ""} == {
            "id": "clips.jsonl:5",
            "source": f"{listed}:5",
            "attempts": 1,
            "op": "video_duration_filter",
            "code": "FILE_NOT_FOUND",
            "message": "",
            "retryable": False,
            "when": "",
            "sample": {"id": 9, "videos": ["gone.mp4"]},
        }
        assert record["message"].endswith("gone.mp4 does not exist")
        assert record["when"].endswith("+00:00")

    def test_rejections_in_a_file(self, tmp_path):
        file = tmp_path / "rejected.jsonl"
        ds = Dataset.from_dict({"n": [0, 1, 2, 3]})
        out = TwiceMapper().run(ds, rejected=file, batch_size=1)
        assert out.to_dict() == {"n": [0, 0, 2, 2], "copy": [0, 1, 0, 1]}
        records = [json.loads(line) for line in file.read_text().splitlines()]
        assert [(each["code"], each["message"], each["retryable"]) for each in records] == [
            ("ODD", "1 is odd", False),
            ("ODD", "3 is odd", True),
        ]
        TwiceMapper().run(ds, rejected=str(file))
        assert [json.loads(line)["message"] for line in file.read_text().splitlines()] == ["1 is odd", "3 is odd"]

    def test_samples_of_a_failing_one_are_not_touched(self):
        sample = {"n": 2}
        TwiceMapper().finish(sample, [])
        assert sample == {"n": 2}

    def test_whatever_a_users_op_raises_rejects_the_sample_alone(self):
        first, second = TwiceMapper().fates({"n": [0, None]})
        assert first.kind == "kept"
        assert (second.kind, second.failure.code) == ("rejected", "OP_FAILED")
        assert second.failure.message.startswith("test_base fails with TypeError: ")

    @pytest.mark.parametrize("method", ["requests", "process"])
    def test_that_the_environment_fails_is_no_samples_fault_whoever_says_so(self, method):
        class Gone(TwiceMapper):
            pass

        def gone(self, *_):
            raise EnvironmentFailure("no process can be started")

        setattr(Gone, method, gone)
        with pytest.raises(EnvironmentFailure, match="no process can be started"):
            list(Gone().stream([{"n": 0}]))

    def test_words_of_a_failure_that_cannot_be_written_down_are_written_all_the_same(self):
        class Odd(TwiceMapper):
            def process(self, sample, outcomes):
                raise ValueError("half \ud83d of it")

        table = step_table(Odd(), Dataset.from_dict({"n": [0]}))
        assert table[0][FATE]["message"] == "test_base fails with ValueError: half \ufffd of it"

    def test_an_op_that_gives_no_samples_is_told(self):
        class Odd(TwiceMapper):
            def process(self, sample, outcomes):
                return {"n": 1}

        (fate,) = Odd().fates({"n": [0]})
        assert (fate.failure.code, fate.failure.message) == ("OP_FAILED", "test_base gave {'n': 1}, not a list of samples")

    def test_a_bug_of_a_built_in_op_is_no_rejection(self, monkeypatch):
        monkeypatch.setattr(TextLengthFilter, "keep", lambda self, sample: sample["m"])
        with pytest.raises(KeyError, match="m"):
            TextLengthFilter().fates({"text": ["a"]})

    def test_a_column_that_nobody_declared_is_not_lost_in_silence(self):
        class Undeclared(TwiceMapper):
            def process(self, sample, outcomes):
                return [{**sample, "score": 1}]

        with pytest.raises(DataError, match="'score', which its columns_written"):
            Undeclared().run(Dataset.from_dict({"n": [0]}))


class TestFates:
    def test_one_for_each_sample_in_order(self):
        fates = TwiceMapper().fates({"n": [0, 1, 2]})
        assert [fate.kind for fate in fates] == ["kept", "rejected", "kept"]
        assert [[output["copy"] for output in fate.outputs] for fate in fates] == [[0, 1], [], [0, 1]]
        assert [fate.sample for fate in fates] == [{"n": 0}, {"n": 1}, {"n": 2}]

    def test_a_filter_drops(self):
        fates = TextLengthFilter(min_len=2).fates({"text": ["a", "ab"]})
        assert [(fate.kind, fate.outputs) for fate in fates] == [("filtered", ()), ("kept", ({"text": "ab"},))]

    def test_a_mapper_that_gives_nothing_drops(self):
        assert [fate.kind for fate in NoneMapper().fates({"n": [1]})] == ["filtered"]
        assert NoneMapper().run(Dataset.from_dict({"n": [1, 2]})).to_dict() == {"n": []}

    def test_a_batch_that_gives_nothing_keeps_its_columns(self):
        assert TextLengthFilter(min_len=9)({"text": ["a"], "n": [1]}) == {"text": [], "n": []}
        assert captioner().process_batched({"videos": []}) == {"videos": [], "text": [], "caption_provenance": []}


class TestWholeDatasets:
    TEXTS = ("a", "b", "a", "?", "c", "b", "?", "d")

    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_duplicates_in_different_batches(self, size):
        rejected = []
        ds = Dataset.from_dict({"text": list(self.TEXTS), "n": list(range(8))})
        out = TextDeduplicator().run(ds, rejected=rejected, batch_size=size)
        assert out.to_dict() == {"text": ["a", "b", "c", "d"], "n": [0, 1, 4, 7]}
        assert [(each["code"], each["sample"]["n"]) for each in rejected] == [("NO_SIGNATURE", 3), ("NO_SIGNATURE", 6)]

    @pytest.mark.parametrize("size", [1, 2, 1000])
    def test_a_selector_compares_all(self, size):
        out = LargestSelector(best=3).run(Dataset.from_dict({"n": [5, 1, 9, 7, 3]}), batch_size=size)
        assert out["n"][:] == [5, 9, 7]

    def test_a_batch_by_hand_is_the_whole_dataset(self):
        assert LargestSelector()({"n": [1, 3, 2]}) == {"n": [3, 2]}
        assert TextDeduplicator()({"text": ["a", "a"]}) == {"text": ["a"]}

    def test_a_choice_about_too_few_samples_is_a_bug(self):
        with pytest.raises(BugError) as caught:
            ShortSelector().fates({"n": [1, 2]})
        assert str(caught.value) == "test_base chose among fewer samples than the dataset has"


class TestSettings:
    def test_ops_pickle_and_hash(self):
        op = captioner(model_params={"dtype": "float32"}, sampling_params={"stop": ["x"]})
        again = pickle.loads(pickle.dumps(op))
        assert again == op
        assert hash(again) == hash(op)
        assert again.fingerprint() == op.fingerprint()

    def test_a_fingerprint_is_the_settings(self):
        base = captioner()
        assert base.fingerprint() == captioner().fingerprint()
        changes = [
            {"caption_num": 2},
            {"prompt": "P"},
            {"seed": 1},
            {"sampling_params": {"max_tokens": 5}},
            {"model_params": {"dtype": "float32"}},
            {"video_key": "clips"},
            {"eoc_special_token": "<e>"},
            {"fps": 1.0},
            {"provenance_field": None},
            {"keep_original_sample": True},
        ]
        assert len({base.fingerprint(), *(captioner(**change).fingerprint() for change in changes)}) == 1 + len(changes)

    def test_another_version_is_another_fingerprint(self, monkeypatch):
        before = TextLengthFilter().fingerprint()
        monkeypatch.setattr(TextLengthFilter, "version", 2)
        assert TextLengthFilter().fingerprint() != before

    def test_ops_of_different_names_differ(self):
        assert LargestSelector().fingerprint() != TextLengthFilter().fingerprint()

    def test_ops_are_frozen(self):
        with pytest.raises(AttributeError):
            TextLengthFilter().min_len = 3

    def test_every_setting_of_a_wrong_type_is_told_at_once(self):
        with pytest.raises(SettingsError) as caught:
            TwiceMapper(copies=0, text_key=3)
        assert caught.value.problems == [
            ("text_key", "text_key must be str, not 3"),
            ("copies", "copies must be int > 0, not 0"),
        ]

    def test_media_of_a_sample(self, clips):
        op = captioner()
        assert op.media_of({"videos": ["a", "b"], ORIGIN: {"folder": "/d"}}) == ["/d/a", "/d/b"]
        assert op.media_of({"videos": 7}) == []
        assert TextLengthFilter().media_of({"videos": ["a"]}) == []

    def test_without_a_word_of_ones_own(self):
        op = TextLengthFilter()
        assert (op.external_fingerprint(), op.columns_required(), op.columns_written(), op.media_columns()) == (
            "",
            (("text_key", "text"),),
            {},
            (),
        )
        assert op.requests({"text": "a"}) == ()
        assert Filter.default_batch_size == 1000
        assert VideoCaptioningFromVLMMapper.default_batch_size == 16
