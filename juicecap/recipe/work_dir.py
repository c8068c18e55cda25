"""Whether a folder is a run folder, or may become one, and what prevents that.

A run folder has a marker (`MARKER`, one line of JSON), which `claim` writes before anything else. A folder without it may belong
to anybody: it is used only if it has no file with a name that a run writes, or if the content of such files shows that a run
wrote them (versions before the marker). Everything with one of these names must be a regular file, or a folder, and no link, so
that a run neither waits for a pipe nor writes through a link.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import replacing, write_error
from juicecap.data.writing.checksum import is_sealed
from juicecap.errors import DataError
from juicecap.plain import kind_at, kind_of, read_beginning, read_plain
from juicecap.vlm.journal.file_signature import NAME, is_journal

MARKER = ".juicecap"
MARK = {"juicecap": "run folder", "version": 1}
"""The content of the marker; a later version may add to it."""

EDITS, EXPORTS, JOURNAL, LOG, RECIPE = "kept_edits.jsonl", "exports.json", NAME, "log.jsonl", "recipe.yaml"
FILTERED, REJECTED, STEPS_FILE = "filtered.jsonl", "rejected.jsonl", "steps.json"
MEDIA, REPLACED, SHARDS, WRITTEN = "media", "replaced", "shards", "written"

ADVICE = "move it away, or set work_dir to another folder"

LARGEST = 2**22
"""Bytes of `exports.json`, `manifest.json`, `status.json` or `steps.json` that are read."""

_BEGINNING = 2**16
"""Bytes of a file of lines that are checked."""

_PREVIEWED = ("preview.html", "preview.jsonl")

PAGE = b'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Preview of '
"""The first bytes of a preview's page."""

_TABLE = re.compile(
    r"[0-9a-f]{32}\.(arrow|media)|\d\d+-\w+-[0-9a-f]{16}\.(arrow|jsonl|merged|parquet)|"
    r"\.juicecap--[0-9a-f]{16}\.tmp|tmp[a-z0-9_]{8}"
)
"""Names that a run, or `datasets` in it, gives to tables and to unfinished files."""


def obstacle(root: Path) -> str:
    """What prevents a run in this folder, as a sentence that follows `FOLDER/`; empty if nothing does."""
    states = {name: state for name in (*FILES, *FOLDERS) if (state := _state(root / name))}
    for name, state in states.items():
        if wrong := _wrong_kind(root / name, state):
            return f"{name} is {wrong}"
    if is_marked(root) or _was_run_folder(root):
        kept = (name for name in (RECIPE, LOG) if name in states)  # which people may have made, or is written on
        foreign = [name for name in kept if not _is_ours(root / name) and (name == RECIPE or states[name].st_size)]
    else:
        begun = any(_is_ours(root / name) for name in (".lock", EXPORTS))
        foreign = [name for name in states if not _is_left(root / name, begun=begun)]
    if not foreign:
        return ""
    if not os.access(root / foreign[0], os.R_OK):
        return f"{foreign[0]} may not be read by this user, so nobody can say whose it is"
    return f"{foreign[0]} is not juicecap's, and a run would write over it"


def claim(root: Path) -> None:
    """Mark an existing folder as a run folder, unless it is marked.

    Raises:
        DataError: something is in the way, or the marker cannot be written.
        EnvironmentFailure: the disk is full or fails.
    """
    try:
        what = obstacle(root)
    except OSError as error:
        raise write_error(root, error) from error
    if what:
        raise DataError(f"{root}/{what}: {ADVICE}")
    if not is_marked(root):
        with replacing(root / MARKER, through_links=False) as stream:
            stream.write(json.dumps(MARK).encode() + b"\n")


def is_marked(root: Path) -> bool:
    """Whether the folder has the marker."""
    return _is_ours(root / MARKER)


def is_resolved_recipe(path: Path) -> bool:
    """Whether a file is a recipe as a run writes it into its folder."""
    return path.name == RECIPE and _is_ours(path)


def noted(exports: Any) -> dict[str, list[str]]:
    """The outputs in an `exports.json`: path -> the states in which a run left it; nothing if the content is invalid."""
    if not isinstance(exports, dict):
        return {}
    known = {path: states for path, states in exports.items() if isinstance(states, list) and _is_path(path)}
    return {path: [each for each in states if isinstance(each, str)] for path, states in known.items()}


def _wrong_kind(path: Path, state: os.stat_result) -> str:
    """Why nothing can be written there; empty if something can. The journal may be a link."""
    if path.name == JOURNAL and stat.S_ISLNK(state.st_mode):
        kind = kind_at(path, follow=True)
        if kind is None:
            return "a symbolic link that leads nowhere"
        return "" if not kind and (path.stat().st_size == 0 or is_journal(path)) else f"a symbolic link to {kind or 'no journal'}"
    if path.name in FOLDERS:
        return "" if stat.S_ISDIR(state.st_mode) else f"{kind_of(state) or 'a file'}, not a folder"
    return f"{kind}, not a file" if (kind := kind_of(state)) else ""


def _was_run_folder(root: Path) -> bool:
    """Whether runs of a version that wrote no marker worked here."""
    if not _is_ours(root / EXPORTS):
        return False
    return _is_ours(root / JOURNAL) or any(map(_is_table, _inside(root / "steps")))


def _is_left(path: Path, *, begun: bool) -> bool:
    """Whether a run that was killed early left this file or folder; `begun`: another file shows that there was such a run."""
    if path.name == MEDIA:  # where names are digests, and nothing is written over
        return True
    if path.name in FOLDERS:
        inside = _inside(path)
        named = all(_TABLE.fullmatch(each.name) or each.name in _PREVIEWED for each in inside)
        shown = begun or not inside or any(_is_table(each) or _is_page(each) for each in inside)
        return named and shown and (begun or path.name != "unfinished")
    if path.name.startswith(f"{JOURNAL}-"):
        return _is_ours(path.with_name(JOURNAL))
    return (begun or path.name != RECIPE) and (_is_ours(path) or (begun and path.stat().st_size == 0))


def _is_ours(file: Path) -> bool:
    """Whether a file's content is what runs write under its name."""
    try:
        return FILES[file.name](file)
    except (OSError, ValueError, RecursionError):
        return False


def _is_table(file: Path) -> bool:
    try:
        return is_sealed(file)
    except OSError:
        return False


def _is_page(file: Path) -> bool:
    try:
        return file.name == "preview.html" and read_beginning(file, len(PAGE)) == PAGE
    except OSError:
        return False


def _is_path(text: str) -> bool:
    """Whether a text may be a path from the root."""
    try:
        return text.startswith("/") and b"\0" not in os.fsencode(text)
    except ValueError:
        return False


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _state(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _json(file: Path) -> Any:
    return json.loads(read_plain(file, LARGEST))


def _begins(pattern: re.Pattern[bytes]) -> Callable[[Path], bool]:
    return lambda file: pattern.match(read_beginning(file, _BEGINNING)) is not None


def _has(*keys: str) -> Callable[[Path], bool]:
    def has(file: Path) -> bool:
        content = _json(file)
        return isinstance(content, dict) and content.keys() >= set(keys)

    return has


def _is_marker(file: Path) -> bool:
    content = _json(file)
    return isinstance(content, dict) and content.get("juicecap") == MARK["juicecap"]


def _is_log(file: Path) -> bool:
    line = json.loads(read_beginning(file, _BEGINNING).split(b"\n")[0])
    return isinstance(line, dict) and line.keys() >= {"time", "level", "message", "where"}


FILES: Mapping[str, Callable[[Path], bool]] = {
    MARKER: _is_marker,
    ".lock": _begins(re.compile(rb'\{"pid": \d+, "host": ')),
    EXPORTS: lambda file: bool(noted(_json(file))),
    JOURNAL: is_journal,
    **dict.fromkeys((f"{JOURNAL}-journal", f"{JOURNAL}-shm", f"{JOURNAL}-wal"), is_journal),
    EDITS: _begins(re.compile(rb'\{"output": [^\n]*?"id": [^\n]*?"edited": ')),
    LOG: _is_log,
    "manifest.json": _has("juicecap", "recipe_digest", "steps"),
    RECIPE: _begins(re.compile(rb"# [^\n]* as juicecap \S+ ran it\. Remarks tell ")),
    **dict.fromkeys((FILTERED, REJECTED), _begins(re.compile(rb'\{"id": [^\n]*?"source": [^\n]*?"op": '))),
    STEPS_FILE: lambda file: isinstance(_json(file), list),
    "status.json": _has("state", "pid", "work_dir", "step_count"),
}
"""The files that a run writes into its folder, and for each a function that recognises it by its content."""

FOLDERS = (MEDIA, "preview", REPLACED, SHARDS, "steps", "unfinished", WRITTEN)
"""The folders that it writes; the content of `unfinished` is removed at its end."""
