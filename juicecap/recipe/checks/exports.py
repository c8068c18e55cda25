"""Whether the exports of a recipe fit its data: their columns, names of texts, and captions of which a trainer would keep one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from juicecap.data.export.columns import column_of
from juicecap.data.export.presets import PRESETS
from juicecap.data.export.settings import ConversationsExport, Export, SidecarExport, TableExport
from juicecap.data.export.writers.captioned import CAPTION, Medium
from juicecap.data.export.writers.sidecar import same_text, text_beside
from juicecap.data.source import folder as folders
from juicecap.data.source import mixture
from juicecap.data.source.options import SourceOptions
from juicecap.naming import quoted
from juicecap.nested import is_among, names_in
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe
from juicecap.text import near

SHOWN_COLUMNS = 8


def export_columns(recipe: Recipe, columns: Iterable[str]) -> list[Problem]:
    """A problem for each column that an export names and that neither the data (`columns`) has nor an op writes."""
    present = dict.fromkeys(columns)
    for step in recipe.steps:
        present.update(dict.fromkeys(names_in(step.op.columns_written(), lambda spec: spec == "json")))
    found = []
    for index, export in enumerate(recipe.exports):
        for option, column in _named(export, recipe, present):
            if is_among(column, present):
                continue
            shown = ", ".join(list(present)[:SHOWN_COLUMNS]) + (", …" if len(present) > SHOWN_COLUMNS else "")
            close = near(column, present)
            message = f"exports: there is no column {quoted(column)}, which {'.'.join(option)} names; the result has {shown}"
            hint = f"did you mean {quoted(close)}?" if close else ""
            found.append(recipe.source.problem(("exports", index, *option), message, hint=hint))
    return found


def text_clashes(recipe: Recipe, format_: str) -> Iterator[Problem]:
    """Media of a folder that would have one text; other datasets are looked through when their texts are written.

    Raises:
        DataError: a folder cannot be read.
    """
    beside = [
        (index, each) for index, each in enumerate(recipe.exports) if isinstance(each, SidecarExport) and not each.places_media
    ]
    if format_ != "folder" or not beside:
        return
    options = SourceOptions(suffixes=recipe.suffixes)
    for index, export in beside:
        met: dict[Path, str] = {}
        for path in mixture.paths_of(recipe.dataset_path):
            for record in folders.records(Path(path), options):
                whole = str(Path(path) / record.id) if Path(path).is_dir() else path
                text = text_beside(Medium("video", whole, record.id, path), export.suffix)
                if met.setdefault(text, whole) != whole:
                    yield recipe.source.problem(("exports", index), f"exports: {same_text(met[text], whole, text)}")
                    return


def texts_read_and_written(recipe: Recipe) -> Iterator[Problem]:
    """Texts beside media that a run reads and writes, so that the next one would read captions for what was there before."""
    suffixes = {each.lstrip(".").lower() for each in recipe.sidecar_suffixes}
    for index, export in enumerate(recipe.exports):
        if isinstance(export, SidecarExport) and not export.places_media and export.suffix.lstrip(".").lower() in suffixes:
            message = f"exports: texts with the suffix {export.suffix} beside the media are what sidecar_suffix reads"
            hint = "give the export another suffix, or media: link and a folder of its own (to)"
            yield recipe.source.problem(("exports", index), message, hint=hint)


def lost_captions(recipe: Recipe) -> Iterator[Problem]:
    """That of several captions of a clip all but one are lost."""
    several = next((step for step in recipe.steps if getattr(step.op, "keep_candidate_mode", "") == "all"), None)
    if several is None or getattr(several.op, "caption_num", 1) == 1:
        return
    for index, export in enumerate(recipe.exports):
        preset = PRESETS.get(export.preset)
        if getattr(export, "captions", None) == "first" or (preset and preset.one_caption):
            who = f"{export.preset} keeps one caption of a clip" if preset else "captions: first keeps one caption of a clip"
            message = f"exports: {who}, and keep_candidate_mode: all gives {getattr(several.op, 'caption_num', 'several')}"
            yield recipe.source.problem(("exports", index), message, hint="the others are not written there")


def _named(export: Export, recipe: Recipe, present: Iterable[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(option, column) pairs of an export."""
    if export.caption:
        yield ("caption",), export.caption
    elif _needs_caption(export) and CAPTION not in present:
        yield ("caption",), recipe.text_key
    for option in ("prompt_key", "conversation") if isinstance(export, ConversationsExport) else ():
        if column := getattr(export, option):
            yield (option,), column
    for name, written in (export.columns or {}).items() if isinstance(export, TableExport) else ():
        column = column_of(written)
        if column.kind == "column":
            yield ("columns", name), column.value


def _needs_caption(export: Export) -> bool:
    if isinstance(export, TableExport):
        return any(column_of(written).kind == "caption" for written in (export.columns or {}).values())
    return True
