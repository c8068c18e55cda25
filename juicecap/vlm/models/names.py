"""Names of models: the bundled demo model has one of its own; everything else is a local folder or a hub id."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from juicecap.errors import ModelError
from juicecap.naming import HUB_NAME
from juicecap.notice import say_once

DEMO_MODEL = "juicecap-demo-vlm"
_ASSETS = Path(__file__).parents[2] / "assets"


def model_source(name: str) -> str:
    """The folder or hub id that a library can load for `name`."""
    if name != DEMO_MODEL:
        return name
    say_once(
        f"{DEMO_MODEL} is a demonstration model of 1.5 M parameters that knows moving coloured shapes and nothing else; "
        "name a real model (hf_model: Qwen/Qwen3-VL-8B-Instruct) to caption real scenes"
    )
    return str(_ASSETS / "demo_vlm")


def model_folder(name: str) -> Path | None:
    """The folder that `name` is, or the demo model's; None for a hub id."""
    folder = _ASSETS / "demo_vlm" if name == DEMO_MODEL else Path(name)
    return folder if os.path.isdir(folder) else None


def local_folder(name: str, *, revision: object = None, cache: object = None) -> Path | None:
    """Where the files of `name` are on this machine: its folder, or a snapshot in the Hub's cache. Nothing is downloaded."""
    if folder := model_folder(name):
        return folder
    if not HUB_NAME.fullmatch(name) or not isinstance(revision, str | None) or not isinstance(cache, str | None):
        return None
    from huggingface_hub import try_to_load_from_cache  # a tenth of a second that most recipes can do without

    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision, cache_dir=cache)
    except (ValueError, OSError):  # not a name that the Hub takes, or a cache that cannot be read
        return None
    return Path(found).parent if isinstance(found, str) else None


def model_state(name: str) -> str:
    """A digest of a local model's files by name, size and time, so that a replaced model is noticed; empty for a hub id.

    It holds on this machine only: steps go by it, and answers by what the files hold (`revision.folder_revision`).

    Raises:
        ModelError: they cannot be read.
    """
    folder = model_folder(name)
    if not folder:
        return ""
    state = hashlib.blake2b(digest_size=16)
    try:
        for file in sorted(folder.iterdir()):
            if not file.exists():  # a link that leads nowhere
                continue
            status = file.stat()
            state.update(os.fsencode(file.name) + f" {status.st_size} {status.st_mtime_ns};".encode())
    except OSError as error:
        raise ModelError(f"the files of {name} cannot be read ({error.strerror or error})") from error
    return state.hexdigest()
