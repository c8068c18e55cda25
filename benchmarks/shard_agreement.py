"""How often the demo model says the same where batches are composed otherwise: one run beside shards of other numbers.

    python benchmarks/shard_agreement.py [--clips N] [--candidates N] [--shards N] [--seed S]

All runs draw tokens (temperature 1) on the backend `hf`, in float32, with the default batches. `agreement` is the share of texts
of the run in shards that are equal, letter for letter, to those of the run without; `keys` and `order` the shares of samples that
have the seed, and the place, that they have there. `again` is the share for a second run over the same borders, whose batches are
equal.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import yaml
from common import DEMO_MODEL, conclude, film

import juicecap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--seed", type=int, default=77)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shard_agreement_") as folder:
        place = Path(folder)
        clips = film(place, options.clips, options.seed)
        lines = (json.dumps({"videos": [clip.path.name], "n": number}) + "\n" for number, clip in enumerate(clips))
        (place / "data.jsonl").write_text("".join(lines), encoding="utf-8")
        whole = _answers(place, "whole", options.candidates)
        parts = _answers(place, "parts", options.candidates, shards=options.shards)
        again = _answers(place, "again", options.candidates, shards=options.shards)
    differing = [(one, other) for one, other in zip(whole, parts, strict=True) if one["text"] != other["text"]]
    for one, other in differing[:5]:
        print(f"  {one['n']}: {one['text']!r} became {other['text']!r}")
    print(f"{len(differing)} of {len(whole):,} texts are others in {options.shards} shards")
    conclude(
        answers=len(whole),
        agreement=1 - len(differing) / len(whole),
        keys=_equal(whole, parts, "seed"),
        order=_equal(whole, parts, "n"),
        again=_equal(parts, again, "text"),
    )


def _equal(rows: list[dict], others: list[dict], name: str) -> float:
    return sum(one[name] == other[name] for one, other in zip(rows, others, strict=True)) / len(rows)


def _answers(place: Path, name: str, candidates: int, shards: int | None = None) -> list[dict]:
    """The text, the seed and the sample of each answer."""
    op = {
        "hf_model": DEMO_MODEL,
        "caption_num": candidates,
        "keep_candidate_mode": "all",
        "keep_original_sample": False,
        "sampling_params": {"temperature": 1.0, "max_tokens": 48},
        "model_params": {"dtype": "float32"},
    }
    recipe = {
        "dataset_path": str(place / "data.jsonl"),
        "export_path": str(place / f"{name}.jsonl"),
        "process": [{"video_captioning_from_vlm_mapper": op}],
    }
    (place / f"{name}.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    juicecap.run(place / f"{name}.yaml", shards=shards)
    rows = map(json.loads, (place / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    return [{"n": row["n"], "text": row["text"], "seed": row["caption_provenance"][-1]["seed"]} for row in rows]


if __name__ == "__main__":
    main()
