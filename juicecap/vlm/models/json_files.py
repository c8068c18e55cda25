"""Reading a model's files, which somebody else made: no more of them than fits, and their values by kind.

A file that is a pipe or a device is not opened, one that is too large is not read, and a value of the wrong kind is said with its
place.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.errors import ModelError
from juicecap.sample import short_repr

MOST_CONFIG_BYTES = 2**24
"""Bytes of a file of settings or a chat template. The largest of real models have one or two megabytes."""

MOST_TABLE_BYTES = 2**26
"""Bytes of a tokenizer's files, and of the index of weights. The largest of real models have 35 megabytes."""

TABLES = {
    "merges.txt", "model.safetensors.index.json", "tekken.json", "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt",
}  # fmt: skip

ANEW = "copy or download the model anew"


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
            raise no_file(file)
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
        raise too_large(file)
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
    return json.dumps(value) if value is None or isinstance(value, bool) else short_repr(value)


def damaged(file: Path, cause: object) -> ModelError:
    """That a file of a model is not what it should be."""
    return ModelError(f"{file} is damaged ({cause}): {ANEW}")


def too_large(file: Path) -> ModelError:
    """That a file of a model has more than it may."""
    return ModelError(f"{file} has more than {most_bytes(file.name) >> 20} MB, which no such file of a model has: {ANEW}")


def unreadable(file: Path, error: OSError) -> ModelError:
    """That a file or folder of a model is kept from us."""
    return ModelError(f"{file} cannot be read ({error.strerror or error})")


def no_file(file: Path) -> ModelError:
    """That something else stands where a file should be."""
    return ModelError(f"{file} is no regular file: {ANEW}")
