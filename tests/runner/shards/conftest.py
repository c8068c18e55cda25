"""Jobs in shards: texts, about which a scripted model is asked, and an op that compares all of them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import Script, prompt_of

import juicecap
from juicecap.runner import RunResult
from juicecap.vlm.pipeline import core

MORE_OPERATORS = '''

from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.whole_dataset import Deduplicator
from juicecap.vlm.base import Message, Part


@register
@dataclass(frozen=True, kw_only=True)
class AskMapper(ModelOptions, Mapper):
    """Asks a model about the text, and writes the answer into `answer`."""

    prompt: str = ""

    def columns_written(self):
        return {"answer": "text"}

    def requests(self, sample):
        return [self.question([Message("user", (Part("text", self.prompt + sample["text"]),))], self.candidates())]

    def process(self, sample, outcomes):
        return [{**sample, "answer": outcomes[0].answers[0].text}]


@register
@dataclass(frozen=True, kw_only=True)
class TextDeduplicator(Deduplicator):
    """Keeps the first of all samples whose texts begin alike; has none where `odd.txt` says; notes whom it is given."""

    letters: int = 6

    def signature(self, sample):
        with (HERE / "signed.txt").open("a") as stream:
            stream.write(sample["text"] + "\\n")
        if (HERE / "odd.txt").exists() and sample["text"] in (HERE / "odd.txt").read_text().splitlines():
            raise SampleError("ODD", f"no letters in {sample['text']}", retryable=True)
        return sample["text"][: self.letters]
'''


class ShardedJob:
    """A `TextJob` whose model is scripted, run in shards or in one piece."""

    def __init__(self, texts: Any, script: Script) -> None:
        self.texts, self.script = texts, script
        operators = texts.folder / "operators.py"
        operators.write_text(operators.read_text() + MORE_OPERATORS)
        self.ask = {"ask_mapper": {"hf_model": script.model}}
        texts.process = [{"trouble_mapper": {}}, self.ask]
        texts.write([f"text {number:03}" for number in range(20)])

    def shard(self, *numbers: int, of: int = 4, keys: dict[str, Any] | None = None, **how: Any) -> RunResult:
        """Run shards in this order; the result of the last."""
        recipe = self.texts.recipe(**{"max_rejected": 1.0, **(keys or {})})
        for number in numbers:
            core.close()
            result = juicecap.run(recipe, shard=f"{number}/{of}", **how)
        return result

    def all_shards(self, of: int = 4, seed: int = 0, **how: Any) -> None:
        """Run all shards in a random order."""
        numbers = list(range(1, of + 1))
        random.Random(seed).shuffle(numbers)
        self.shard(*numbers, of=of, **how)

    def merge(self, **keys: Any) -> RunResult:
        core.close()
        return juicecap.merge(self.texts.recipe(**{"max_rejected": 1.0, **keys}))

    def whole(self, **keys: Any) -> tuple[bytes, list[dict], dict]:
        """What a run without shards leaves, elsewhere."""
        output, self.texts.output = self.texts.output, self.texts.folder / "whole" / "texts.jsonl"
        core.close()
        self.texts.run(**{"max_rejected": 1.0, **keys})
        left = self.left()
        self.texts.output = output
        self.asked()
        return left

    def left(self) -> tuple[bytes, list[dict], dict]:
        """Output, rejections and manifest, without times, places, and whether an earlier merge had done a step."""
        rejected = [{**each, "when": None} for each in self.texts.rejections()]
        manifest = self.texts.manifest()
        for facts in (manifest, *manifest["steps"]):
            for name in (
                "export_path",
                "recipe_digest",
                "started",
                "seconds",
                "times",
                "shards",
                "engine_seconds",
                "finished_before",
            ):
                facts.pop(name, None)
        return self.texts.output.read_bytes(), rejected, manifest

    def asked(self) -> list[str]:
        """What the model was asked since this was called last."""
        asked = [prompt_of(each) for batch in self.script.batches for each in batch]
        self.script.batches.clear()
        return sorted(asked)

    def signed(self) -> list[str]:
        """The texts that the deduplicator saw since this was called last."""
        notes = self.texts.folder / "signed.txt"
        signed = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return signed

    def folder(self, number: int, of: int = 4) -> Path:
        return self.texts.work_dir / "shards" / f"{number:02}-of-{of:02}"

    def record(self, number: int, phase: int = 1) -> Path:
        return self.folder(number) / f"phase-{phase}.json"

    def noted(self, number: int) -> dict:
        return json.loads(self.record(number).read_text())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The program, in a process of its own."""
        command = [sys.executable, "-m", "juicecap", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def job(texts, script: Script) -> Iterator[ShardedJob]:
    yield ShardedJob(texts, script)
    core.close()
