"""Whether a model's folder may be passed to a library of models, which reads files with less care than `json_files`."""

from __future__ import annotations

import re
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from juicecap.errors import ModelError
from juicecap.sample import short_repr
from juicecap.vlm.models.json_files import most_bytes, no_file, read_object, too_large, unreadable

MOST_PARTS = {"layer": 1024, "depth": 1024, "block": 1024, "stage": 1024, "expert": 8192}
"""Parts that a model may have, by the last word of the key that counts them. Real models have an eighth of that."""

_PARTS = re.compile(rf"(?:^|_)({'|'.join(MOST_PARTS)})s?$")

READ = (".jinja", ".json", ".model", ".safetensors", ".txt")
"""Suffixes of the files that libraries of models read."""


def check_folder(folder: Path) -> None:
    """Do nothing if the files that a library of models would read are readable, small enough, and stay inside the folder.

    Raises:
        ModelError: one of them is no file, too large or damaged, or names files outside of the folder or another model.
    """
    for searched in (folder, folder / "chat_templates"):
        try:
            files = sorted(searched.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(searched, error) from error
        for file in files:
            if file.suffix in READ:
                _check_file(file)
    _check_parts(folder / "config.json", read_object(folder / "config.json").values)
    if "audio_tokenizer" in read_object(folder / "processor_config.json").values:
        raise _leads_away(folder / "processor_config.json", "another model (audio_tokenizer)")
    if (folder / "audio_tokenizer_config.json").exists():
        raise _leads_away(folder / "audio_tokenizer_config.json", "another model")
    tokenizers = read_object(folder / "tokenizer_config.json").values.get("fast_tokenizer_files")
    for name in tokenizers if isinstance(tokenizers, list) else ():
        if not is_inside(name):
            raise _leads_away(
                folder / "tokenizer_config.json", f"{short_repr(name)} outside of its folder (fast_tokenizer_files)"
            )


def check_code(folder: Path, params: Mapping[str, Any]) -> None:
    """Do nothing if transformers would run no code of others for the model in this folder, unless `model_params` ask for it.

    An adapter is code of PEFT's choosing on top of a model that it names; an implementation of attention with an owner's name is
    a program from the Hub. Code in the folder itself is run with `trust_remote_code: true` only.

    Raises:
        ModelError: it would.
    """
    if (folder / "adapter_config.json").exists() and "adapter_kwargs" not in params:
        raise ModelError(
            f"{folder} holds an adapter (adapter_config.json), which names another model: merge the two and name that folder, or "
            "set model_params: {adapter_kwargs: {}} to have PEFT load it"
        )
    file = folder / "config.json"
    for name, value in _implementations(read_object(file).values):
        if "/" in value and params.get(name.strip("_").removesuffix("_internal")) != value:
            what = f"{name} is {short_repr(value)}, a program from the Hub"
            raise ModelError(f"{file}: {what}: take that out, or name it in model_params if you trust it")


def _check_parts(file: Path, config: Mapping[str, Any]) -> None:
    """Do nothing if a library would not build layers, or experts of a layer, for hours."""
    for trail, name, value in _entries(config):
        found = _PARTS.search(name)
        for number in value if isinstance(value, list) else [value]:
            if found and isinstance(number, int | float) and not number <= (most := MOST_PARTS[found[1]]):
                raise ModelError(f"{file}: {trail}{name} must be at most {most:,}, not {short_repr(number)}")


def _implementations(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a config says about how something is to be computed, wherever in it."""
    for _, name, value in _entries(config):
        if "_implementation" in name:
            for each in value.values() if isinstance(value, dict) else [value]:
                if isinstance(each, str):
                    yield name, each


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Each value of a config with its name, and the names above it (`text_config.`), however deep it stands."""
    left: deque[tuple[str, Any]] = deque([("", config)])
    while left:
        trail, each = left.popleft()
        for name, value in each.items() if isinstance(each, dict) else enumerate(each):
            yield trail, str(name), value
            if isinstance(value, dict | list):
                left.append((f"{trail}{name}.", value))


def is_inside(name: object) -> bool:
    """Whether a name that a file of a model says is that of a file in the same folder, or below it."""
    return isinstance(name, str) and bool(name) and not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


def _check_file(file: Path) -> None:
    try:
        status = file.stat()
    except FileNotFoundError:  # a link that leads nowhere; whoever needs it will say so
        return
    except OSError as error:
        raise unreadable(file, error) from error
    if stat.S_ISDIR(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise no_file(file)
    if file.suffix != ".safetensors" and status.st_size > most_bytes(file.name):
        raise too_large(file)


def weight_bytes(folder: Path) -> int:
    """Bytes of the files of weights in a folder."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors") if file.is_file())


def _leads_away(file: Path, what: str) -> ModelError:
    return ModelError(f"{file} names {what}, which is not looked for: take that out, or name another model as hf_model")
