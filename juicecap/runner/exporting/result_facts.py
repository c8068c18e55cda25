"""What the manifest says of a run's result and its exports: enough to export the result again without the recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from juicecap.data.edits.carrying import KeptEdits
from juicecap.data.export.writers.captioned import Roles
from juicecap.data.export.writers.job import ExportResult
from juicecap.ops.options.media_options import MediaOptions
from juicecap.recipe import Recipe
from juicecap.runner.exporting.write import media_options_of, roles_of
from juicecap.runner.steps import StepOutput

MOST_NAMED = 100
"""Texts that the manifest names of those that stayed."""

_ROLES = ("video_key", "image_key", "text_key", "end_of_chunk")


def result_facts(recipe: Recipe, finished: Sequence[StepOutput]) -> dict[str, Any]:
    """The table of the last step, and what its columns are for."""
    roles, (paths, conversations) = roles_of(recipe), recipe.path_columns()
    files = finished[-1].table.cache_files if finished else []
    return {
        "table": Path(files[0]["filename"]).name if files else None,
        "roles": {**{name: getattr(roles, name) for name in _ROLES}, "tokens": list(roles.tokens)},
        "media": {each.name: getattr(media_options_of(recipe), each.name) for each in fields(MediaOptions)},
        "paths": sorted(paths),
        "conversations": sorted(conversations),
    }


def roles_in(facts: Mapping[str, Any], options: MediaOptions) -> Roles:
    """The roles that a manifest has."""
    named = {name: str(facts[name]) for name in _ROLES}
    return Roles(**named, tokens=tuple(map(str, facts["tokens"])), video_paths=options.video_paths)


def media_options_in(facts: Mapping[str, Any]) -> MediaOptions:
    """The limits of media that a manifest has."""
    known = {each.name for each in fields(MediaOptions)}
    return MediaOptions(**{name: value for name, value in facts.items() if name in known})


def edit_facts(kept: KeptEdits) -> dict[str, Any]:
    """How many edits an output was written with; `kept_edits.jsonl` has the cells."""
    counts = {"cells": len(kept.cells), "rows": kept.rows, "deleted": kept.deleted}
    return {"output": os.path.abspath(kept.output), **counts, "newly_answered": len(kept.newly_answered)}


def export_facts(result: ExportResult) -> dict[str, Any]:
    """An export's counts; of the texts that stayed the first ones by name, and how many there are."""
    facts = {**asdict(result), "to": os.path.abspath(result.to), "left_out": dict(result.left_out)}
    for name in ("stayed", "edited_orphans"):
        facts[name] = {"count": len(facts[name]), "first": list(facts[name][:MOST_NAMED])}
    return facts
