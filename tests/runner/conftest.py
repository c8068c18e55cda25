"""Runs of small text jobs with an op that fails on demand."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import juicecap
from juicecap.ops import registry
from juicecap.runner import RunResult, SilentProgress

OPERATORS = '''
import json, pathlib, time
from dataclasses import dataclass
from juicecap.errors import SampleError
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register

HERE = pathlib.Path(__file__).parent


@register
@dataclass(frozen=True, kw_only=True)
class TroubleMapper(Mapper):
    """Appends "!" to the text; fails where the file `trouble.json` says: {text: [code, retryable]}; notes whom it is given."""

    def process(self, sample, outcomes):
        with (HERE / "asked.txt").open("a") as stream:
            stream.write(sample["text"] + "\\n")
        trouble = json.loads((HERE / "trouble.json").read_text())
        if sample["text"] in trouble:
            code, retryable = trouble[sample["text"]]
            raise SampleError(code, f"no luck with {sample['text']}", retryable=retryable)
        if (HERE / "twice").exists():
            return [sample, {**sample, "text": sample["text"] + "!"}]
        return [{**sample, "text": sample["text"] + "!"}]


@register
@dataclass(frozen=True, kw_only=True)
class SlowMapper(Mapper):
    """Says that it has begun, and takes its time."""

    def process(self, sample, outcomes):
        (HERE / "begun").touch()
        time.sleep(60)
        return [sample]
'''


class Listener(SilentProgress):
    """Notes the steps: (op, samples, whether it was done before)."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, bool]] = []

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        self.steps.append((op, samples, finished))


class TextJob:
    """A folder with a dataset of texts, ops that fail on demand, and a recipe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "out" / "texts.jsonl"
        (folder / "operators.py").write_text(OPERATORS, encoding="utf-8")
        self.process: list = [{"trouble_mapper": {}}, {"text_length_filter": {"min_len": 1}}]
        self.fails({})
        self.write([f"text {number:03}" for number in range(10)])

    def write(self, texts: list[str]) -> None:
        self.texts = texts
        lines = (json.dumps({"n": number, "text": text}) + "\n" for number, text in enumerate(texts))
        (self.folder / "data.jsonl").write_text("".join(lines), encoding="utf-8")

    def fails(self, trouble: dict[str, tuple[str, bool]]) -> None:
        (self.folder / "trouble.json").write_text(json.dumps(trouble), encoding="utf-8")

    def asked(self) -> list[str]:
        """Whom the op was given since this was called last."""
        path = self.folder / "asked.txt"
        texts = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return texts

    def recipe(self, **keys: object) -> Path:
        path = self.folder / "recipe.yaml"
        settings = {
            "dataset_path": str(self.folder / "data.jsonl"),
            "export_path": str(self.output),
            "custom_operator_paths": str(self.folder / "operators.py"),
            "process": self.process,
        }
        path.write_text(yaml.safe_dump({**settings, **keys}), encoding="utf-8")
        return path

    def run(self, listener: Listener | None = None, *, overwrite: bool = False, retry: bool = False, **keys: object) -> RunResult:
        return juicecap.run(self.recipe(**keys), progress=listener, overwrite=overwrite, retry_rejected=retry)

    def command(self, **keys: object) -> list[str]:
        """The same as a command line, for a process of its own."""
        return [sys.executable, "-m", "juicecap", "run", str(self.recipe(**keys))]

    @property
    def work_dir(self) -> Path:
        return self.output.with_suffix(".run")

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in self.output.read_text(encoding="utf-8").splitlines()]

    def out(self) -> list[str]:
        return [row["text"] for row in self.rows()]

    def rejections(self) -> list[dict]:
        return [json.loads(line) for line in (self.work_dir / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]

    def manifest(self) -> dict:
        return json.loads((self.work_dir / "manifest.json").read_text(encoding="utf-8"))

    def left(self) -> list[str]:
        """Files that should not outlive a run, anywhere below the folder."""
        found = (os.path.join(place, name) for place, folders, files in os.walk(self.folder) for name in (*folders, *files))
        marks = (".tmp", "unfinished", "juicecap-aside", "/tmp")
        return sorted(path for path in (each.removeprefix(str(self.folder)) for each in found) if any(m in path for m in marks))


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextJob]:
    monkeypatch.setattr(registry, "_registered", dict(registry.registered()))
    return TextJob(tmp_path)


@pytest.fixture
def listener() -> Listener:
    return Listener()
