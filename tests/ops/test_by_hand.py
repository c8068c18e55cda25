"""Ops in a notebook: what can be seen of them, what is said about wrong arguments, and answers that are kept."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from datasets import Dataset, DatasetDict
from scripted import Clips, Script, prompt_of

import juicecap
from juicecap import ops
from juicecap.errors import DataError, MediaError, SampleError
from juicecap.ops import TextLengthFilter, VideoCaptioningFromVLMMapper, VideoDurationFilter, docstrings
from juicecap.ops.apply.first_failures import IDENTICAL_FAILURES
from juicecap.ops.base import Mapper
from juicecap.ops.schema import grouped, parameters
from juicecap.vlm.base import Failure


@dataclass(frozen=True, kw_only=True)
class OddMapper(Mapper):
    """Fails for odd numbers."""

    def process(self, sample, outcomes):
        if sample["n"] % 2:
            raise MediaError("ODD", f"{sample['n']} is odd")
        return [sample]


class TestSeen:
    def test_what_there_is_can_be_seen_and_nothing_heavy_is_imported_for_it(self) -> None:
        assert dir(juicecap) == ["__version__", "errors", "load_dataset", "load_recipe", "merge", "ops", "run"]
        assert [name for name in dir(ops) if name[0].isupper()] == sorted(ops._CLASSES)
        look = "import juicecap, sys; dir(juicecap), dir(juicecap.ops); assert not {'datasets', 'torch', 'av'} & {*sys.modules}"
        subprocess.run([sys.executable, "-c", look], check=True, timeout=60)

    def test_a_docstring_has_all_parameters_in_their_groups(self) -> None:
        doc = inspect.getdoc(VideoCaptioningFromVLMMapper) or ""
        first, *_ = doc.splitlines()
        assert first == "Captions the videos of a sample with a vision-language model and writes the captions into new samples."
        titles = [line.partition(":")[0].lower() for line in doc.splitlines() if line[:1].isupper()][2:]
        assert titles == [group for group, _ in grouped(parameters(VideoCaptioningFromVLMMapper))]
        assert "    num_frames: int > 0 and <= 100000 or None = None\n        Frames taken from each video, evenly" in doc
        for parameter in parameters(VideoCaptioningFromVLMMapper):
            assert f"\n    {parameter.name}: " in doc
        assert docstrings.written(VideoCaptioningFromVLMMapper) == first

    def test_an_editor_sees_the_signature(self) -> None:
        signature = inspect.signature(VideoDurationFilter)
        assert {*signature.parameters} == {each.name for each in parameters(VideoDurationFilter)}
        made = VideoDurationFilter(max_duration=3.0)
        assert pickle.loads(pickle.dumps(made)) == made == replace(made)


class TestMisnamed:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("caption_nmu", "did you mean 'caption_num'?"),
            ("hf_model_name_or_path", "only recipes have this other name of 'hf_model'"),
            ("temperature", "write sampling_params={'temperature': …}"),
            ("vllm_top_p", "write sampling_params={'top_p': …}"),
            ("temperatur", "did you mean 'temperature'?"),
            ("batch_size", "give it to run(dataset, batch_size=…)"),
            ("on_error", "only a recipe has this, since it says how a run goes on"),
        ],
    )
    def test_a_name_that_does_not_exist(self, name: str, meant: str) -> None:
        with pytest.raises(TypeError) as caught:
            VideoCaptioningFromVLMMapper(**{name: 3})
        assert str(caught.value) == (
            f"VideoCaptioningFromVLMMapper has no parameter {name!r}; {meant}  (help(VideoCaptioningFromVLMMapper) lists all)"
        )

    def test_nothing_like_it_and_no_name(self) -> None:
        with pytest.raises(TypeError, match=r"^TextLengthFilter has no parameter 'qqq'  \(help\(TextLengthFilter\) lists all\)$"):
            TextLengthFilter(qqq=1)
        with pytest.raises(TypeError, match=r"^TextLengthFilter takes its parameters by name \(PARAMETER=VALUE\), not 3 alone$"):
            TextLengthFilter(3)


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("a.jsonl", "not a path: read it first, dataset = juicecap.load_dataset('a.jsonl')"),
            (Path("a.jsonl"), "not a path: read it first, dataset = juicecap.load_dataset('a.jsonl')"),
            ([{"text": "a"}], "not a list of rows: make a dataset of it, Dataset.from_list(rows)"),
            (
                {"text": ["a"]},
                "not a dict: a batch of columns goes to op(batch), or make a dataset of it, Dataset.from_dict(columns)",
            ),
            (pd.DataFrame({"text": ["a"]}), "not a DataFrame of pandas: make a dataset of it, Dataset.from_pandas(frame)"),
            (
                DatasetDict({"val": Dataset.from_dict({"text": ["a"]})}),
                "not a DatasetDict: choose a split, such as dataset['val'] (it has val)",
            ),
            (
                Dataset.from_dict({"text": ["a"]}).to_iterable_dataset(),
                "not a stream: take some of its rows, Dataset.from_list(list(stream.take(100)))",
            ),
            (None, "not None"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_is_no_dataset(self, given: Any, said: str) -> None:
        with pytest.raises(TypeError) as caught:
            TextLengthFilter().run(given)
        assert str(caught.value) == f"text_length_filter: run() takes a datasets.Dataset, {said}"

    def test_a_column_that_is_missing(self) -> None:
        with pytest.raises(DataError) as caught:
            VideoDurationFilter().run(Dataset.from_dict({"video": ["a.mp4"]}))
        assert str(caught.value) == (
            "video_duration_filter: the data has no column 'videos', which video_key names; it has video. "
            "Did you mean 'video'? Write video_key='video'"
        )

    @pytest.mark.parametrize(
        ("argument", "said"),
        [
            ({"batch_size": 0}, "batch_size= takes a whole number from 1, not 0"),
            ({"rejected": True}, "rejected= takes a list or the path of a jsonl file, not True"),
            ({"journal": True}, "journal= takes the path of a file or of a folder, not True"),
        ],
    )
    def test_others(self, argument: dict[str, Any], said: str) -> None:
        with pytest.raises(TypeError) as caught:
            TextLengthFilter().run(Dataset.from_dict({"text": ["a"]}), **argument)
        assert str(caught.value) == f"text_length_filter: {said}"

    @pytest.mark.parametrize(
        ("batch", "said"),
        [
            ([{"text": "a"}], "an op takes a batch, a dict of lists, not [{'text': 'a'}]; a Dataset goes to run(dataset)"),
            ({"text": "a"}, "column 'text' of the batch holds 'a', not a list with a value per sample"),
            ({"text": ["a"], "n": [1, 2]}, "the columns of a batch have one value per sample, but 'text' has 1, 'n' has 2"),
        ],
    )
    def test_what_is_no_batch(self, batch: Any, said: str) -> None:
        with pytest.raises(TypeError) as caught:
            TextLengthFilter()(batch)
        assert str(caught.value) == said


class TestFailures:
    def test_a_failed_sample_costs_no_other_one(self) -> None:
        with pytest.raises(MediaError) as caught:
            OddMapper().run(Dataset.from_dict({"n": [0, 1, 2, 3, 4]}))
        assert str(caught.value) == (
            "ODD: a sample without media: 1 is odd (2 of 5 samples failed; what the others became is in this error's .kept; "
            "with rejected=[] or a path run() collects failures and returns the rest)"
        )
        assert caught.value.kept["n"][:] == [0, 2, 4]

    def test_where_all_fail_alike_not_all_are_tried(self) -> None:
        many = IDENTICAL_FAILURES + 50
        with pytest.raises(MediaError, match=f"the first 100 of {many} samples failed alike, and the others were not tried"):
            OddMapper().run(Dataset.from_dict({"n": [1] * many}))
        failed: list[Any] = []
        assert len(OddMapper().run(Dataset.from_dict({"n": [1] * many}), rejected=failed)) == 0
        assert len(failed) == many


class TestJournal:
    def captioner(self, script: Script) -> VideoCaptioningFromVLMMapper:
        return VideoCaptioningFromVLMMapper(hf_model=script.model, caption_field="caption", caption_as="text", prompt_key="ask")

    def data(self, clips: Clips, *asked: str) -> Dataset:
        return Dataset.from_dict({"videos": [[clips.paths[0]]] * len(asked), "ask": list(asked)})

    def asked(self, script: Script) -> list[str]:
        asked = [prompt_of(each) for batch in script.batches for each in batch]
        script.batches.clear()
        return asked

    @pytest.mark.parametrize("place", ["answers.sqlite", "answers"])
    def test_what_was_answered_is_not_asked_again(self, place: str, clips: Clips, script: Script, tmp_path, closed) -> None:
        op, journal = self.captioner(script), tmp_path / place
        first = op.run(self.data(clips, "one", "two"), journal=journal)
        assert self.asked(script) == ["one", "two"]
        again = op.run(self.data(clips, "two", "three", "one"), journal=str(journal))
        assert self.asked(script) == ["three"]
        assert [*first["caption"]] == ["one 0", "two 0"]
        assert [*again["caption"]] == ["two 0", "three 0", "one 0"]
        assert (journal if place.endswith(".sqlite") else journal / "journal.sqlite").is_file()

    @pytest.mark.parametrize("name", ["paper.tex", "table.sqlite"])
    def test_a_file_of_something_else_stays(self, name: str, clips: Clips, script: Script, tmp_path, closed) -> None:
        (tmp_path / name).write_text("something else")
        with pytest.raises(
            DataError, match=rf"^journal='.*/{name}' is a file of something else, and stays as it is; give another"
        ):
            self.captioner(script).run(self.data(clips, "one"), journal=tmp_path / name)
        assert {file.name: file.read_text() for file in tmp_path.iterdir() if file.is_file()} == {name: "something else"}
        assert self.asked(script) == []

    def test_a_failure_is_not_kept_and_all_other_answers_are(self, clips: Clips, script: Script, tmp_path, closed) -> None:
        op, data = self.captioner(script), self.data(clips, "good", "bad")
        script.answers["bad"] = Failure(code="REFUSED", message="no")
        with pytest.raises(SampleError, match="REFUSED"):
            op.run(data, journal=tmp_path)
        del script.answers["bad"]
        self.asked(script)
        assert [*op.run(data, journal=tmp_path)["caption"]] == ["good 0", "bad 0"]
        assert self.asked(script) == ["bad"]

    def test_it_is_that_of_a_run_folder(self, clips: Clips, script: Script, tmp_path: Path, closed) -> None:
        op = self.captioner(script)
        (tmp_path / "data.jsonl").write_text(
            "".join(json.dumps({"videos": clips.paths[:1], "ask": ask}) + "\n" for ask in ("here", "there"))
        )
        recipe = {
            "dataset_path": str(tmp_path / "data.jsonl"),
            "export_path": str(tmp_path / "out.jsonl"),
            "process": [
                {op.name: {"hf_model": script.model, "caption_field": "caption", "caption_as": "text", "prompt_key": "ask"}}
            ],
        }
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        op.run(self.data(clips, "here"), journal=tmp_path / "out.run")
        result = juicecap.run(tmp_path / "recipe.yaml")
        assert self.asked(script) == ["here", "there"]
        assert (result.replayed, result.asked) == (1, 1)
        assert [*op.run(self.data(clips, "there"), journal=result.work_dir)["caption"]] == ["there 0"]
        assert self.asked(script) == []

    def test_an_op_that_asks_nothing_makes_none(self, tmp_path: Path) -> None:
        TextLengthFilter(min_len=1).run(Dataset.from_dict({"text": ["a"]}), journal=tmp_path / "j.sqlite")
        assert list(tmp_path.iterdir()) == []
