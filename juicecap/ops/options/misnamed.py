"""What is said in Python about a setting that an op does not have; a recipe says it at the setting's line (`recipe/steps.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from juicecap.ops.options.run_options import RunOptions
from juicecap.sample import short_repr
from juicecap.text import near


def misnamed(kind: type, positional: Sequence[object], settings: Mapping[str, object]) -> str:
    """Why an op cannot be made with these arguments, a sentence; empty if it has parameters of these names."""
    known = {each.name: each for each in fields(kind)}
    if positional:
        return f"{kind.__name__} takes its parameters by name (PARAMETER=VALUE), not {short_repr(positional[0])} alone"
    unknown = [name for name in settings if name not in known]
    if not unknown:
        return ""
    meant = _meant(unknown[0], known)
    return f"{kind.__name__} has no parameter {unknown[0]!r}{f'; {meant}' if meant else ''}  (help({kind.__name__}) lists all)"


def _meant(name: str, known: Mapping[str, Any]) -> str:
    """What to write instead, as far as that is known."""
    others = {alias: each.name for each in known.values() for alias in each.metadata.get("aliases", ())}
    entries = {entry: (each.name, entry) for each in known.values() for entry in each.metadata.get("entries", ())}
    parts = {part: (each.name, entry) for each in known.values() for part, entry in each.metadata.get("parts", {}).items()}
    if name in others:
        return f"only recipes have this other name of {others[name]!r}"
    if whole := entries.get(name) or parts.get(name):
        return f"write {whole[0]}={{{whole[1]!r}: …}}"
    if name == "batch_size":
        return "give it to run(dataset, batch_size=…)"
    if name in {each.name for each in fields(RunOptions)}:
        return "only a recipe has this, since it says how a run goes on"
    found = near(name, [*known, *entries])
    return f"did you mean {found!r}?" if found else ""
