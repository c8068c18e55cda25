"""Six samples of which some are poisoned, by what is asked about them, and what becomes of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from juicecap.ops.base import Op

PLAIN = "\nDescribe the input video in 1-2 sentences.\n"
POISONED = "cyanide"

SUBSETS = [tuple(sorted({(place + more) % 6 for more in range(count)})) for count in (1, 2, 5) for place in range(6)] + [
    tuple(range(6))
]
"""One, two, five poisoned samples beginning at every place, and all."""


def samples(paths: Sequence[str], poison: Collection[int] = ()) -> list[dict[str, Any]]:
    """A sample for each clip; `prompt_key: ask`."""
    return [
        {"videos": [path], "text": "", "ask": f"{PLAIN}{POISONED}" if place in poison else PLAIN}
        for place, path in enumerate(paths)
    ]


def fates(op: Op, rows: Sequence[dict[str, Any]], batch_size: int | None = None) -> list[str]:
    """For each sample its caption, or the code of its failure."""
    told = []
    for fate in op.stream(rows, batch_size):
        if fate.failure:
            told.append(fate.failure.code)
        else:
            ((caption,),) = (output["captions"] for output in fate.outputs)
            told.append(caption)
    return told
