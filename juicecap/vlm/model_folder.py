"""A model's folder as what it is: files that somebody else made. What is read of them, and what they may hold.

A file that is a pipe or a device is not opened, one that is too large is not read, and a value of the wrong kind is said with its
place. Libraries of models read the same files with less care, so a folder is looked at before it is handed to them.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.errors import ModelError
from juicecap.sample import shown

MOST_CONFIG_BYTES = 2**24
"""Of a file of settings or a chat template. The largest of real models have one or two megabytes."""

MOST_TABLE_BYTES = 2**26
"""Of a tokenizer's files, and of the index of weights. The largest of real models have 35 megabytes."""

TABLES = {
    "merges.txt", "model.safetensors.index.json", "tekken.json", "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt",
}  # fmt: skip

MOST_PARTS = {"layer": 1024, "depth": 1024, "block": 1024, "stage": 1024, "expert": 8192}
"""Parts that a model may have, by the word at the end of what counts them. Real models have an eighth."""

_PARTS = re.compile(rf"(?:^|_)({'|'.join(MOST_PARTS)})s?$")

READ = (".jinja", ".json", ".model", ".safetensors", ".txt")
"""How the names of the files end that libraries of models read."""

ANEW = "copy or download the model anew"


def check_folder(folder: Path) -> None:
    """Do nothing if the files that a library of models would read can be read, are not too large, and lead nowhere else.

    Raises:
        ModelError: one of them is no file, too large or damaged, or names files outside of the folder or another model.
    """
    for place in (folder, folder / "chat_templates"):
        try:
            files = sorted(place.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(place, error) from error
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
            raise _leads_away(folder / "tokenizer_config.json", f"{shown(name)} outside of its folder (fast_tokenizer_files)")


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
            told = f"{name} is {shown(value)}, a program from the Hub"
            raise ModelError(f"{file}: {told}: take that out, or name it in model_params if you trust it")


def _check_parts(file: Path, config: object, trail: str = "") -> None:
    """Do nothing if a library would not build layers, or experts of a layer, for hours."""
    pairs = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for name, value in pairs:
        found = _PARTS.search(str(name))
        for number in value if isinstance(value, list) else [value]:
            if found and isinstance(number, int | float) and not number <= (most := MOST_PARTS[found[1]]):
                raise ModelError(f"{file}: {trail}{name} must be at most {most:,}, not {shown(number)}")
        _check_parts(file, value, f"{trail}{name}.")


def _implementations(config: object) -> Iterator[tuple[str, str]]:
    """What a config says about how something is to be computed, wherever in it."""
    if isinstance(config, list):
        for each in config:
            yield from _implementations(each)
    elif isinstance(config, dict):
        for name, value in config.items():
            if "_implementation" in name:
                yield from (
                    (name, each) for each in (value.values() if isinstance(value, dict) else [value]) if isinstance(each, str)
                )
            else:
                yield from _implementations(value)


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
        raise ModelError(f"{file} is no regular file: {ANEW}")
    if file.suffix != ".safetensors" and status.st_size > most_bytes(file.name):
        raise _too_large(file)


def most_bytes(name: str) -> int:
    """How large a file of a model with this name may be."""
    return MOST_TABLE_BYTES if name in TABLES else MOST_CONFIG_BYTES


def read_bytes(file: Path, most: int) -> bytes | None:
    """The first `most` bytes of a file of a model; None if there is no such file.

    Raises:
        ModelError: it is no regular file, or cannot be read.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe does not keep anybody waiting
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(file, error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ModelError(f"{file} is no regular file: {ANEW}")
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read(most)
    except OSError as error:
        raise unreadable(file, error) from error
    finally:
        os.close(descriptor)


def read_text(file: Path) -> str | None:
    """The text of a file of a model; None if there is no such file.

    Raises:
        ModelError: it is no regular file, too large, or no text.
    """
    content = read_bytes(file, most_bytes(file.name) + 1)
    if content is None:
        return None
    if len(content) > most_bytes(file.name):
        raise _too_large(file)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(file, error) from error


def read_object(file: Path) -> Section:
    """What a JSON file of a model holds; nothing if there is no such file.

    Raises:
        ModelError: it cannot be read, or is no JSON object.
    """
    text = read_text(file)
    if text is None:
        return Section(file, {})
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    if not isinstance(loaded, dict):
        raise damaged(file, f"it holds {_kind(loaded)} and no object")
    return Section(file, loaded)


@dataclass(frozen=True)
class Section:
    """An object in a file of a model: its values, by kind. What is null is not said."""

    file: Path | str
    """For messages."""
    values: Mapping[str, Any]
    trail: str = ""
    """Where in the file it stands: `text_config.`."""

    def whole(self, name: str, most: int) -> int | None:
        """A whole number from 1 to `most`. A list or an object says that the family has rules of its own: nothing here.

        Raises:
            ModelError: it is something else.
        """
        value = self.values.get(name)
        if value is None or isinstance(value, list | tuple | dict):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self.wrong(name, f"a whole number from 1 to {most:,}")
        return value

    def count(self, name: str, most: int) -> int | None:
        """As `whole`, where 0 says nothing either."""
        value = self.values.get(name)
        return None if value == 0 and not isinstance(value, bool) else self.whole(name, most)

    def section(self, name: str) -> Section:
        """An object; an empty one where there is none.

        Raises:
            ModelError: it is something else.
        """
        value = self.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise self.wrong(name, "an object")
        return Section(self.file, value or {}, f"{self.trail}{name}.")

    def text(self, name: str) -> str:
        """A text; an empty one where there is none.

        Raises:
            ModelError: it is something else.
        """
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value or ""

    def over(self, defaults: Mapping[str, Any]) -> Section:
        """With `defaults` where it says nothing."""
        said = {name: value for name, value in self.values.items() if value is not None}
        return Section(self.file, {**defaults, **said}, self.trail)

    def wrong(self, name: str, wanted: str) -> ModelError:
        """That a value is not what it should be."""
        return ModelError(f"{self.file}: {self.trail}{name} must be {wanted}, not {_kind(self.values[name])}")


def _kind(value: object) -> str:
    """A value in a message, in JSON's words."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return json.dumps(value) if value is None or isinstance(value, bool) else shown(value)


def damaged(file: Path, cause: object) -> ModelError:
    """That a file of a model is not what it should be."""
    return ModelError(f"{file} is damaged ({cause}): {ANEW}")


def _leads_away(file: Path, what: str) -> ModelError:
    return ModelError(f"{file} names {what}, which is not looked for: take that out, or name another model as hf_model")


def _too_large(file: Path) -> ModelError:
    return ModelError(f"{file} has more than {most_bytes(file.name) >> 20} MB, which no such file of a model has: {ANEW}")


def unreadable(file: Path, error: OSError) -> ModelError:
    """That a file or folder of a model is kept from us."""
    return ModelError(f"{file} cannot be read ({error.strerror or error})")
