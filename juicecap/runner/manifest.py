"""The manifest of a run: what was run, with which versions and settings, and its counts."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from typing import Any

import juicecap
from juicecap.recipe import Recipe
from juicecap.runner.exporting.result_facts import edit_facts, export_facts
from juicecap.runner.result import RunResult
from juicecap.vlm.base import digest_of

TOTALS = (
    "filtered", "rejected", "failed", "damaged", "captions", "truncated", "empty", "looping", "refused", "mixed",
    "prompt_tokens", "completion_tokens",
)  # fmt: skip
"""Counts that the manifest also has for the whole run."""


def manifest(
    recipe: Recipe, result: RunResult, started: datetime, limit: int | None, engine_seconds: list[float]
) -> dict[str, Any]:
    """The facts of `manifest.json`."""
    engines = [0.0] * (len(result.steps) - len(engine_seconds)) + engine_seconds  # loading uses no engine
    return {
        "juicecap": juicecap.__version__,
        "python": platform.python_version(),
        "libraries": _versions(),
        "recipe": str(recipe.path),
        "recipe_digest": digest_of(recipe.resolved),
        "dataset_path": os.path.abspath(recipe.dataset_path) if os.path.exists(recipe.dataset_path) else recipe.dataset_path,
        "export_path": os.path.abspath(result.export_path),
        "seed": recipe.seed,
        "limit": limit,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 3),
        "samples": result.samples,
        "exported": result.exported,
        **{name: result.total(name) for name in TOTALS},
        "replayed": result.replayed,
        "asked": result.asked,
        "reasons": result.reasons,
        "max_rejected": result.max_rejected,
        "exit_code": result.exit_code,
        "exports": [export_facts(each) for each in result.exports],
        "edits": [edit_facts(each) for each in result.edits],
        "steps": [
            {
                "op": step.op,
                "finished_before": step.finished_before,
                "tried_again": step.tried_again,
                "replayed": step.replayed,
                "asked": step.asked,
                "measured": step.measured,
                "measured_before": step.measured_before,
                "seconds": round(step.seconds, 3),
                "engine_seconds": engine,
                **asdict(step.counts),
                "reasons": dict(step.reasons),
            }
            for step, engine in zip(result.steps, engines, strict=True)
        ],
    }


def _versions() -> dict[str, str]:
    """Versions of the loaded libraries that can affect the output."""
    names = {"av": "av", "datasets": "datasets", "numpy": "numpy", "torch": "torch", "transformers": "transformers"}
    return {name: metadata.version(name) for module, name in names.items() if module in sys.modules}
