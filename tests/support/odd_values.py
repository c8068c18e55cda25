"""A model's files with one value replaced by an odd one: what the sweeps of `tests/hostile` go through.

Values are JSON texts, since some of them (numbers of 5,000 digits, 100,000 levels) are no Python objects.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.vlm.models.names import model_source

DEEP = 100_000
"""Levels of nesting that no reader takes."""

ODD: dict[str, str] = {
    "null": "null",
    "true": "true",
    "false": "false",
    "-1": "-1",
    "0": "0",
    "1": "1",
    "2.5": "2.5",
    "-0.0": "-0.0",
    "1e308": "1e308",
    "2**31": str(2**31),
    "2**63": str(2**63),
    "400 digits": "1" + "0" * 400,
    "5000 digits": "9" * 5000,
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "empty text": '""',
    "text": '"x"',
    "digits as text": json.dumps("9" * 5000),
    "NUL": '"a\\u0000b"',
    "surrogate": '"\\ud800"',
    "path": '"../../../../etc/passwd"',
    "[]": "[]",
    "[[]]": "[[]]",
    "mixed list": '[null, true, "x", 1e308, {}, [1]]',
    "{}": "{}",
    "mixed dict": '{"": null, "x": [], "longest_edge": "x", "shortest_edge": true, "height": -1, "width": -1, "content": 5}',
    "as deep as can be read": '{"a": [' * 400 + "1" + "]}" * 400,
    "deep": "[" * DEEP + "]" * DEEP,
}
"""Odd values by name, as JSON."""

OLD_PROCESSOR: dict[str, Any] = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "video_processor_type": "Qwen3VLVideoProcessor",
    "processor_class": "Qwen3VLProcessor",
    "min_pixels": 4096,
    "max_pixels": 8192,
    "patch_size": 8,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "size": {"shortest_edge": 4096, "longest_edge": 8192},
    "max_video_tokens": 32,
    "cap_pixels_per_frame": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
"""As the files of older releases have it."""

MORE: dict[str, dict[str, Any]] = {
    "preprocessor_config.json": OLD_PROCESSOR,
    "video_preprocessor_config.json": OLD_PROCESSOR,
    "chat_template.json": {"chat_template": "{{ messages[0].content[0].type }}"},
    "special_tokens_map.json": {"eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>", "lstrip": False}},
    "added_tokens.json": {"<|im_end|>": 2},
    "model.safetensors.index.json": {"metadata": {"total_size": 10}, "weight_map": {"a": "model.safetensors"}},
}
"""Files that the demonstration model does without."""

OVERSHADOWED = ("preprocessor_config.json", "video_preprocessor_config.json")
"""Files that are read where there is no `processor_config.json`."""


@dataclass(frozen=True)
class Oddity:
    """One odd value, at a place in a file of a model's folder."""

    file: str
    trail: tuple[str | int, ...]
    value: str
    """The name of the value."""
    text: str
    """The file with it."""

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(map(str, self.trail)) or 'all'} = {self.value}"

    def put_into(self, folder: Path) -> None:
        """Write the file."""
        if self.file in OVERSHADOWED:
            (folder / "processor_config.json").unlink(missing_ok=True)
        (folder / self.file).write_text(self.text, encoding="utf-8")

    def take_out_of(self, folder: Path) -> None:
        """Make the folder as it was."""
        for name in (self.file, "processor_config.json"):
            original = Path(model_source("juicecap-demo-vlm")) / name
            if original.exists():
                shutil.copy(original, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


def oddities(files: tuple[str, ...] = (), values: tuple[str, ...] = ()) -> Iterator[Oddity]:
    """Each key of these files, nested ones too, with each of these values; all of them unless some are named."""
    demo = Path(model_source("juicecap-demo-vlm"))
    contents = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(demo.glob("*.json"))} | MORE
    for file, content in contents.items():
        if files and file not in files:
            continue
        for trail in _trails(content):
            for name in values or ODD:
                yield Oddity(file, trail, name, _with(content, trail, ODD[name]))


def _trails(content: Any, trail: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of each value, the whole included; of long lists and tables the first three."""
    yield trail
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for number, (key, value) in enumerate(pairs):
        if number < 3 or len(content) < 50:
            yield from _trails(value, (*trail, key))


def _with(content: Any, trail: tuple[str | int, ...], text: str) -> str:
    mark = "juicecap-odd-value"
    return json.dumps(_replaced(content, trail, mark)).replace(json.dumps(mark), text)


def _replaced(content: Any, trail: tuple[str | int, ...], value: Any) -> Any:
    if not trail:
        return value
    changed = dict(content) if isinstance(content, dict) else list(content)
    changed[trail[0]] = _replaced(content[trail[0]], trail[1:], value)
    return changed
