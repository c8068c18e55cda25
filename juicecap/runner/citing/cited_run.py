"""What is known of a run that is to be cited: from its manifest, which comes perhaps from an earlier version, and its status.

The recipe fills in what a manifest lacks, if it was given. Nothing is written, and no file of a run folder is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from juicecap.errors import DataError, UsageError
from juicecap.plain import read_plain
from juicecap.recipe import Recipe, load_recipe
from juicecap.recipe.load import run_folder_beside
from juicecap.recipe.work_dir import LARGEST, is_marked
from juicecap.runner.citing.model_facts import is_model_facts, model_facts
from juicecap.runner.loading import LOADING
from juicecap.runner.reporting.shard_status import WholeStatus, read_whole_status
from juicecap.runner.run_folder.folder import RunFolder

RECIPES = (".yaml", ".yml")

GIVE = "give the folder of a run, its output, or its recipe"


@dataclass(frozen=True, kw_only=True)
class CitedStep:
    """An op. The counts are None as long as the run is not finished."""

    op: str
    taken: int | None = None
    given: int | None = None
    filtered: int = 0
    rejected: int = 0
    wanted: Mapping[str, Any] = field(default_factory=dict)
    """The limits by which it dropped samples."""
    model: Mapping[str, Any] | None = None
    """As in the manifest; None: it asks no model, or that is not known."""


@dataclass(frozen=True, kw_only=True)
class CitedRun:
    """A run."""

    folder: Path
    state: str
    """`done`, or why there is no output of it yet, such as `running`."""
    juicecap: str
    """The version that ran it last; empty: not known."""
    year: str
    dataset: str
    samples: int | None
    exported: int | None
    limit: int | None
    seed: int | None
    steps: tuple[CitedStep, ...]
    edited: int
    """Rows of outputs that were corrected by hand, and deleted ones."""
    unknown: tuple[str, ...]
    """What was not noted, a phrase each."""


def cited_run(path: str) -> CitedRun:
    """What is known of a run, by its folder, its output or its recipe.

    Raises:
        UsageError: there is no run.
        DataError: its files cannot be read.
        RecipeError: the recipe that was given is wrong.
    """
    recipe = load_recipe(path) if path.lower().endswith(RECIPES) and Path(path).is_file() else None
    folder = recipe.work_dir if recipe else _folder(Path(path))
    manifest = _manifest(RunFolder(folder))
    return _finished(folder, manifest, recipe) if manifest else _unfinished(folder, recipe)


def _folder(path: Path) -> Path:
    """The run folder that a path is, or that of the output at the path."""
    if path.is_dir() and (is_marked(path) or RunFolder(path).manifest.is_file()):
        return path
    beside = run_folder_beside(path)
    if path.exists() and beside.is_dir():
        return beside
    if path.exists():
        raise UsageError(f"{path} is no run folder, and there is none beside it ({beside}); {GIVE}")
    raise UsageError(f"there is no {path}; {GIVE}")


def _manifest(folder: RunFolder) -> Mapping[str, Any]:
    """The manifest; empty if there is none yet."""
    try:
        content = json.loads(read_plain(folder.manifest, LARGEST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder.manifest} cannot be read; run the recipe again") from error
    if not isinstance(content, dict) or not isinstance(content.get("steps"), list):
        raise _not_ours(folder.root)
    return content


def _finished(folder: Path, manifest: Mapping[str, Any], recipe: Recipe | None) -> CitedRun:
    done = [each for each in manifest["steps"] if isinstance(each, dict)]
    models = _models(recipe, [str(each.get("op")) for each in done])
    if not all(is_model_facts(each["model"]) for each in done if "model" in each):
        raise _not_ours(folder)
    try:
        steps = tuple(
            CitedStep(
                op=str(each["op"]),
                taken=int(each["taken"]),
                given=int(each["given"]),
                filtered=int(each["filtered"]),
                rejected=int(each["rejected"]),
                wanted=dict(each.get("wanted") or {}),
                model=each.get("model") or model,
            )
            for each, model in zip(done, models, strict=True)
        )
        return CitedRun(
            folder=folder,
            state="done",
            juicecap=str(manifest.get("juicecap") or ""),
            year=str(manifest.get("started") or "")[:4],
            dataset=str(manifest.get("dataset_path") or ""),
            samples=int(manifest["samples"]),
            exported=int(manifest["exported"]),
            limit=None if manifest.get("limit") is None else int(manifest["limit"]),
            seed=None if manifest.get("seed") is None else int(manifest["seed"]),
            steps=steps,
            edited=sum(int(each["rows"]) + int(each["deleted"]) for each in manifest.get("edits") or ()),
            unknown=tuple(_unknown(done, steps)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(folder) from error


def _not_ours(folder: Path) -> DataError:
    return DataError(f"{RunFolder(folder).manifest} is not what a run writes; run the recipe again")


def _unfinished(folder: Path, recipe: Recipe | None) -> CitedRun:
    """What can be said before the end: of the recipe, if it was given, and how far the run has come."""
    whole = read_whole_status(folder)
    status = whole.merged or next((each.status for each in whole.shards if each.status), None)
    names = [each.name for each in recipe.steps] if recipe else [each.op for each in status.steps] if status else []
    unknown = ["counts and revisions, until the run is finished"]
    if recipe is None:
        unknown.append("models, prompts and parameters, unless the recipe is given instead of the folder")
    return CitedRun(
        folder=folder,
        state=_state(whole),
        juicecap="",
        year=(status.started if status else "")[:4],
        dataset=recipe.dataset_path if recipe else "",
        samples=None,
        exported=None,
        limit=None,
        seed=recipe.seed if recipe else None,
        steps=tuple(CitedStep(op=name, model=model) for name, model in zip(names, _models(recipe, names), strict=True)),
        edited=0,
        unknown=tuple(unknown),
    )


def _state(whole: WholeStatus) -> str:
    """Why there is no manifest."""
    if whole.merged is None:
        return "its shards are not merged"
    return "its manifest is gone" if whole.merged.state == "done" else whole.merged.state


def _models(recipe: Recipe | None, ops: Sequence[str]) -> list[Mapping[str, Any] | None]:
    """What the recipe says of the model of each of these ops, if they are its ops."""
    own = [op.partition("[")[0] for op in ops if op != LOADING]
    if recipe is None or own != [step.name for step in recipe.steps]:
        return [None for _ in ops]
    steps = iter(recipe.steps)
    return [None if op == LOADING else model_facts(next(steps), recipe.hidden) for op in ops]


def _unknown(done: Sequence[Mapping[str, Any]], steps: Sequence[CitedStep]) -> list[str]:
    """What an earlier version did not note, a phrase each."""
    unknown = []
    asking = [(each, step) for each, step in zip(done, steps, strict=True) if step.op != LOADING]
    for number, (each, step) in enumerate(asking, start=1):
        of, made_by = f"of op {number} ({step.op})", (step.model or {}).get("answered_by")
        if not each.get("captions"):
            continue
        if step.model is None:
            unknown.append(f"model, prompts, frames and sampling {of}; they are told if the recipe is given")
        if not made_by:
            unknown.append(f"revision, dtype, chat template and versions of libraries {of}")
        elif missing := sum(share["answers"] for share in made_by if not share.get("engine")):
            unknown.append(f"dtype, chat template and versions of libraries of {missing:,} earlier answers {of}")
    return unknown
