"""BibTeX entries for juicecap and for the models that made captions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from juicecap.naming import HUB_NAME
from juicecap.report.citation import engines_of
from juicecap.runner.citing.cited_run import CitedRun
from juicecap.vlm.models.names import DEMO_MODEL

TITLE = "juicecap: recipes that caption videos and images with vision-language models"
AUTHOR = "The juicecap team"
LICENSE = "Apache-2.0"

HUB = "https://huggingface.co/"

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def bibtex(run: CitedRun) -> str:
    """An entry for each version of juicecap that asked, and for each model."""
    models: dict[str, list[Mapping[str, Any]]] = {}
    for step in run.steps:
        if step.model:
            models.setdefault(str(step.model["name"]), []).extend(engines_of(step))
    engines = [share.get("engine") or {} for shares in models.values() for share in shares]
    versions = dict.fromkeys(filter(None, [run.juicecap, *(str(each.get("juicecap") or "") for each in engines)]))
    entries = [_software(versions, run.year), *(_model(name, shares, run.year) for name, shares in models.items())]
    return "\n\n".join(entries)


def escaped(text: str) -> str:
    """A text as LaTeX prints it."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _software(versions: Mapping[str, Any], year: str) -> str:
    fields = {
        "title": f"{{{escaped(TITLE)}}}",
        "author": f"{{{escaped(AUTHOR)}}}",
        "version": escaped(", ".join(versions)),
        "year": year,
        "note": f"Licence: {LICENSE}",
    }
    return _entry("software", "juicecap", fields)


def _model(name: str, shares: Sequence[Mapping[str, Any]], year: str) -> str:
    revisions = dict.fromkeys(str(each.get("revision") or "") for each in shares)
    told = [f"Revision {escaped(each)}" for each in revisions if each]
    if name == DEMO_MODEL:
        told.append("The demonstration model of juicecap")
    on_hub = HUB_NAME.fullmatch(name) is not None and "/" in name and not Path(name).is_dir()
    owner, _, title = name.rpartition("/") if on_hub else ("", "", Path(name).name)
    fields = {
        "title": f"{{{escaped(title)}}}",
        "author": f"{{{escaped(owner)}}}" if owner else "",
        "year": year,
        "howpublished": rf"\url{{{HUB}{name}}}" if on_hub else "",
        "note": "; ".join(told),
    }
    return _entry("misc", re.sub(r"\W+", "_", title.lower()).strip("_") or "model", fields)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
