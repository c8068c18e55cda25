"""What the driver costs for each sample: CPU time of a run whose engine answers at once.

    python benchmarks/driver_cost.py [--samples N] [--rounds N]

The recipe asks a question about each sample, and then trims the answer. The engine is scripted, so that all that is measured is
the driver: reading rows, requests, batches, journal, tables, export. `asked_ms` are CPU milliseconds of this process per sample
in a run that asks everything, and `replayed_ms` in one that finds all answers in the journal and no table. `asked_ratio` and
`replayed_ratio` are the same over a bare loop that reads the rows, adds an answer and writes them, so that figures of different
machines compare. Each is the smallest of a few rounds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import DEMO_MODEL, conclude
from scripted_engine import ANSWER, use_the_scripted_engine

import juicecap
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register
from juicecap.vlm.base import Message, ModelSettings, Outcome, Part, Request


@register
@dataclass(frozen=True, kw_only=True)
class AskMapper(Mapper):
    """Asks a question of its own about each sample."""

    def columns_written(self) -> dict[str, Any]:
        return {"caption": "text"}

    def requests(self, sample: dict[str, Any]) -> list[Request]:
        question = Message("user", (Part("text", sample["text"]),))
        return [Request(model=ModelSettings(model=DEMO_MODEL), messages=(question,))]

    def process(self, sample: dict[str, Any], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
        return [{**sample, "caption": outcomes[0].answers[0].text}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    use_the_scripted_engine()
    found: dict[str, list[float]] = {"bare": [], "asked": [], "replayed": []}
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data.jsonl"
        rows = ({"n": number, "text": f"What is number {number}?"} for number in range(options.samples))
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        _run(data, Path(name) / "warm-up", limit=100)  # what is imported and started once is not measured
        for number in range(options.rounds):
            folder = Path(name) / str(number)
            found["bare"].append(_bare(data, Path(name) / "bare.jsonl"))
            found["asked"].append(_run(data, folder))
            found["replayed"].append(_run(data, folder))
    cost = {name: 1000 * min(each) / options.samples for name, each in found.items()}
    for name, milliseconds in cost.items():
        each = ", ".join(f"{1000 * seconds / options.samples:.4f}" for seconds in found[name])
        print(f"{name + ':':10}{milliseconds:.4f} ms of CPU per sample ({each})")
    conclude(
        asked_ms=cost["asked"],
        replayed_ms=cost["replayed"],
        asked_ratio=cost["asked"] / cost["bare"],
        replayed_ratio=cost["replayed"] / cost["bare"],
    )


def _run(data: Path, folder: Path, limit: int | None = None) -> float:
    """CPU seconds of a run with this folder. A run that finds one of before there replays its answers, and no table."""
    folder.mkdir(exist_ok=True)
    process = [{"ask_mapper": {}}, {"whitespace_normalization_mapper": {"text_key": "caption"}}]
    recipe = {"dataset_path": str(data), "export_path": str(folder / "out.jsonl"), "use_cache": False, "process": process}
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    replays = (folder / "out.jsonl").exists()
    began = time.process_time()
    result = juicecap.run(folder / "recipe.yaml", limit=limit)
    seconds = time.process_time() - began
    assert (result.asked == 0) is replays, result
    return seconds


def _bare(data: Path, output: Path) -> float:
    """CPU seconds of a loop that reads the rows, adds an answer, and writes them."""
    began = time.process_time()
    with data.open(encoding="utf-8") as lines, output.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps({**json.loads(line), "caption": ANSWER}, ensure_ascii=False) + "\n")
    return time.process_time() - began


if __name__ == "__main__":
    main()
