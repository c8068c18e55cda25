"""What people give in place of a `Dataset`, and what they do with it instead."""

from __future__ import annotations

import os
from typing import Any

from juicecap.sample import display_path, short_repr


def no_dataset(given: Any) -> str:
    """Why this is no `Dataset`, and how it becomes one: the rest of a sentence; empty if it is one."""
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    if isinstance(given, Dataset):
        return ""
    kind = type(given).__name__
    what = f"not {short_repr(given)}"
    if isinstance(given, str | os.PathLike):
        what = f"not a path: read it first, dataset = juicecap.load_dataset({display_path(os.fspath(given))!r})"
    elif isinstance(given, DatasetDict | IterableDatasetDict):
        splits = [str(name) for name in given] or ["train"]
        what = f"not a {kind}: choose a split, such as dataset[{splits[0]!r}] (it has {', '.join(splits)})"
    elif isinstance(given, IterableDataset):
        what = "not a stream: take some of its rows, Dataset.from_list(list(stream.take(100)))"
    elif isinstance(given, list | tuple) and all(isinstance(row, dict) for row in given):
        what = "not a list of rows: make a dataset of it, Dataset.from_list(rows)"
    elif isinstance(given, dict):
        what = "not a dict: a batch of columns goes to op(batch), or make a dataset of it, Dataset.from_dict(columns)"
    elif type(given).__module__.partition(".")[0] == "pandas":
        what = f"not a {kind} of pandas: make a dataset of it, Dataset.from_pandas(frame)"
    return what
