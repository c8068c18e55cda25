"""Reading a model's `tokenizer.json`; `vlm.models.sandbox` runs this in a process of its own.

The library that reads the file may crash over a damaged one, its regular expressions may never end, and its tables can take far
more memory than the file.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any


def counts(question: dict[str, Any]) -> list[int] | str:
    """How many tokens each of the `texts` has by the tokenizer of `file`; `special`: with those that it adds by itself.

    A sentence where the library does not take the file.
    """
    try:
        tokenizer = _loaded(question["file"])
        return [len(tokenizer.encode(text, add_special_tokens=question["special"]).ids) for text in question["texts"]]
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (a foreign loader's door; it raises bare Exceptions)
        return str(error)


def tried(question: dict[str, Any]) -> str:
    """Do with the tokenizer of `file` what loading a model does: read it, count the `texts`, write it down (for a copy).

    A sentence where the library does not take the file, else nothing.
    """
    found = counts({**question, "special": True})
    if isinstance(found, str):
        return found
    _loaded(question["file"]).to_str()
    return ""


def added(file: str) -> list[str]:
    """The tokens of `file` that are no part of its vocabulary: special ones and those that were added; none if it is damaged."""
    try:
        tokens = json.loads(Path(file).read_text(encoding="utf-8"))["added_tokens"]
        return [token["content"] for token in tokens if isinstance(token["content"], str)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


@lru_cache(maxsize=2)
def _loaded(file: str) -> Any:
    from tokenizers import Tokenizer  # a library of models, of which a base install has none

    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
