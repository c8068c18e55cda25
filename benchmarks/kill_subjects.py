"""What `kill_fuzz.py` runs and kills: a recipe of five ops in one segment, on a scripted server and on the real demo model.

As a program this is `juicecap` with its arguments, in a process that notes what reaches the model.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from common import DEMO_MODEL, ROOT, film

sys.path.insert(0, str(ROOT / "tests" / "support"))

from scripted_server import Reply, ScriptedServer, obliging, refused, said

DISTINCT = 8
SECONDS_PER_ANSWER = 0.08

Ask = str
"""An answer that a model is asked for, by whatever names it."""


class Subject(ABC):
    """What runs: a recipe and its data, the command, and what can be known from outside about its questions and answers."""

    name: str
    samples: int

    @abstractmethod
    def process(self) -> list[dict[str, Any]]:
        """The recipe's ops."""

    @abstractmethod
    def command(self) -> list[str]:
        """How `recipe.yaml` in the working directory is run."""

    @abstractmethod
    def asked(self, folder: Path) -> list[Ask]:
        """What was asked for since the folder was made, in order."""

    @abstractmethod
    def answered(self, entries: list[tuple[str, int, dict[str, Any]]]) -> set[Ask]:
        """What these entries of a journal answer."""

    def prepare(self, folder: Path, data: Path) -> None:
        """Make `folder` a place to run in."""
        folder.mkdir()
        recipe = {
            "dataset_path": str(data),
            "export_path": "out/captions.jsonl",
            "max_rejected": 0.5,
            "custom_operator_paths": str(ROOT / "benchmarks" / "kill_ops.py"),
            "process": self.process(),
        }
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")


class Served(Subject):
    """A scripted server answers with a hash of the question and the seed, and refuses some; it is not killed."""

    name, samples = "openai", 60

    def __init__(self, stack: ExitStack) -> None:
        self._server = ScriptedServer()
        stack.callback(self._server.stop)
        self._server.script = self._answer
        self._asked: list[Ask] = []
        self._lock = threading.Lock()

    def process(self) -> list[dict[str, Any]]:
        common = {
            "hf_model": "served-model",
            "backend": "openai",
            "api_base": self._server.base,
            "model_params": {"transport": "images", "timeout": 60.0},
            "num_frames": 2,
            "max_in_flight": 4,
            "decode_workers": 1,
            "keep_original_sample": False,
            "sampling_params": {"temperature": 0.9, "top_p": 0.9, "max_tokens": 60},
        }
        captions = {**common, "caption_num": 3, "prompt": "Describe it."}
        details = {**common, "caption_num": 2, "keep_candidate_mode": "all", "prompt": "Describe it in detail."}
        return _five_ops(captions, 60, details, {**_asking(common), "max_in_flight": 4})

    def command(self) -> list[str]:
        return [sys.executable, "-m", "juicecap", "run", "recipe.yaml"]

    def asked(self, folder: Path) -> list[Ask]:  # noqa: ARG002  (the server hears of all runs)
        with self._lock:
            return list(self._asked)

    def answered(self, entries: list[tuple[str, int, dict[str, Any]]]) -> set[Ask]:
        return {name for _, _, entry in entries for name in re.findall(r"#([0-9a-f]{16})", json.dumps(entry))}

    def _answer(self, body: dict[str, Any]) -> Reply:
        if "What is this?" in json.dumps(body["messages"]):  # the trial when it is opened
            return obliging(body)
        plain = {name: value for name, value in body.items() if name not in ("n", "seed")}
        digests = [_digest([plain, body["seed"] + number]) for number in range(body.get("n", 1))]
        with self._lock:
            self._asked += digests
        if int(_digest(plain), 16) % 23 == 0:
            return refused(400, f"the content policy forbids #{digests[0]}")
        texts = [f"A scene #{digest}" + " that goes on" * (int(digest, 16) % 10) for digest in digests]
        return Reply(said(*texts, prompt_tokens=300).body, hang=SECONDS_PER_ANSWER)


class Observed(Subject):
    """The demo model on the backend `hf`, in a process that notes what reaches the model."""

    name, samples = "hf", 16

    def process(self) -> list[dict[str, Any]]:
        common = {
            "hf_model": DEMO_MODEL,
            "decode_workers": 1,
            "batch_size": 4,
            "keep_original_sample": False,
            "sampling_params": {"temperature": 1.2, "max_tokens": 24},
            "model_params": {"dtype": "float32"},
        }
        captions = {**common, "caption_num": 2, "prompt": "Describe the video in one sentence."}
        details = {**common, "caption_num": 2, "keep_candidate_mode": "all", "prompt": "Where is the object over time?"}
        return _five_ops(captions, 20, details, _asking(common))

    def command(self) -> list[str]:
        return [sys.executable, __file__, "run", "recipe.yaml"]

    def asked(self, folder: Path) -> list[Ask]:
        keys = {seed: key for kind, seed, key in self._noted(folder) if kind == "key"}
        return [f"{keys[seed]}:{number}" for kind, seed, numbers in self._noted(folder) if kind == "ask" for number in numbers]

    def answered(self, entries: list[tuple[str, int, dict[str, Any]]]) -> set[Ask]:
        return {f"{key}:{candidate}" for key, candidate, entry in entries if "text" in entry}

    @staticmethod
    def _noted(folder: Path) -> list[Any]:
        path = folder / "observed.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("]")]  # the last may be half a line

    @staticmethod
    def run(arguments: list[str]) -> None:
        """`juicecap` with `arguments`; what reaches the model is appended to `observed.jsonl`, in one write per line."""
        from juicecap.cli import entry
        from juicecap.vlm.backends.hf.backend import HFEngine
        from juicecap.vlm.pipeline.lookup.keys import RequestKeys

        notes = os.open("observed.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def note(*what: Any) -> None:
            os.write(notes, json.dumps(what).encode() + b"\n")

        key, generate = RequestKeys.key, HFEngine.generate

        def noted_key(self, *rest):
            keyed = key(self, *rest)
            note("key", keyed.seed, keyed.entry)
            return keyed

        async def noted_generate(self, batch):
            for each in batch:
                note("ask", each.seed, list(range(each.first, each.request.candidates)))
            return await generate(self, batch)

        RequestKeys.key, HFEngine.generate = noted_key, noted_generate
        sys.argv = ["juicecap", *arguments]
        entry()


def _five_ops(captions: dict[str, Any], shortest: int, details: dict[str, Any], doubts: dict[str, Any]) -> list[dict[str, Any]]:
    """One segment: a measurement, a model, a filter, the model again, and the model in rounds."""
    return [
        {"video_duration_filter": {"min_duration": 0.1}},
        {"video_captioning_from_vlm_mapper": captions},
        {"text_length_filter": {"min_len": shortest}},
        {"video_captioning_from_vlm_mapper": details},
        {"doubt_mapper": doubts},
    ]


def _asking(common: dict[str, Any]) -> dict[str, Any]:
    """Those of the parameters that are about the model, and not about captions."""
    return {name: value for name, value in common.items() if name not in ("num_frames", "decode_workers", "keep_original_sample")}


def dataset(folder: Path, samples: int) -> Path:
    """Clips that are all different files, one of them cut off and one there twice, and a table of them."""
    folder.mkdir()
    filmed = [clip.path for clip in film(folder, DISTINCT, seed=41)]
    rows = []
    for number in range(samples):
        path = folder / f"clip{number:03}.mp4"
        content = filmed[number % DISTINCT].read_bytes()
        whole = content + (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        path.write_bytes(content[: len(content) // 2] if number == samples // 3 else whole)
        rows.append({"videos": [path.name if number != 9 else "clip008.mp4"], "text": "", "n": number})
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "data.jsonl"


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


if __name__ == "__main__":
    Observed.run(sys.argv[1:])
