"""The manifest of a run: what was run, with which versions and settings, and its counts."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from typing import Any

import juicecap
from juicecap.hidden import Hidden
from juicecap.recipe import Recipe, Step
from juicecap.runner.citing.answered_by import facts_of
from juicecap.runner.citing.model_facts import model_facts
from juicecap.runner.exporting.result_facts import edit_facts, export_facts
from juicecap.runner.loading import LOADING
from juicecap.runner.lost_samples import limits
from juicecap.runner.result import RunResult, StepResult, answer_facts, sample_facts
from juicecap.vlm.base import digest_of

TOTALS = (
    "filtered", "rejected", "failed", "damaged", "captions", "truncated", "empty", "looping", "refused", "mixed",
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
        "times": {name: round(seconds, 3) for name, seconds in asdict(result.times).items()},
        "shards": result.shards,
        "samples": result.samples,
        "exported": result.exported,
        **{name: result.total(name) for name in TOTALS},
        "answers": answer_facts(result),
        "reasons": result.reasons,
        "max_rejected": result.max_rejected,
        "exit_code": result.exit_code,
        "exports": [export_facts(each) for each in result.exports],
        "edits": [edit_facts(each) for each in result.edits],
        "steps": [
            {
                "op": step.op,
                "number": step.number,
                "finished_before": step.finished_before,
                "tried_again": step.tried_again,
                "answers": answer_facts(step),
                "measured": step.measured,
                "measured_before": step.measured_before,
                "seconds": round(step.seconds, 3),
                "engine_seconds": engine,
                **sample_facts(step.counts),
                "reasons": dict(step.reasons),
                **_wanted(recipe_step, recipe.hidden),
                **_model(recipe_step, step, recipe.hidden),
            }
            for step, engine, recipe_step in zip(result.steps, engines, _recipe_steps(recipe, result), strict=True)
        ],
    }


def _recipe_steps(recipe: Recipe, result: RunResult) -> Iterator[Step | None]:
    """The recipe's step behind each result; None behind that of loading. A shard has results of some steps alone, in order."""
    steps = iter(recipe.steps)
    for each in result.steps:
        yield None if each.op == LOADING else next((step for step in steps if step.name == each.op), None)


def _wanted(step: Step | None, hidden: Hidden) -> dict[str, Any]:
    """The limits by which an op drops samples; nothing of one that has none."""
    found = limits(step, hidden) if step else {}
    return {"wanted": found} if found else {}


def _model(step: Step | None, result: StepResult, hidden: Hidden) -> dict[str, Any]:
    """What an op asked which model, and whose answers its table has; nothing of an op that asks none."""
    facts = model_facts(step, hidden) if step else None
    return {"model": {**facts, "answered_by": facts_of(result.answered_by)}} if facts else {}


def _versions() -> dict[str, str]:
    """Versions of the loaded libraries that can affect the output."""
    names = {"av": "av", "datasets": "datasets", "numpy": "numpy", "torch": "torch", "transformers": "transformers"}
    return {name: metadata.version(name) for module, name in names.items() if module in sys.modules}
