"""The column with the provenance of captions: its type, and the entries that captioning ops write into it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from juicecap.errors import SampleError
from juicecap.fragment import WHOLE, without_fragment
from juicecap.media.sampling import FrameSampling
from juicecap.nested import value_of
from juicecap.sample import ORIGIN, Sample, list_in_cell, sample_name, short_repr
from juicecap.vlm.base import Answer, Outcome, Request

PROVENANCE = [
    {
        "op": "text",
        "model": "text",
        "revision": "text",
        "prompt": "text",
        "system_prompt": "text",
        "sampling": "text",
        "seed": "int",
        "candidate": "int",
        "finish_reason": "text",
        "prompt_tokens": "int",
        "completion_tokens": "int",
        "frame_times": ["float"],
        "unreadable": "int",
        "damage": "text",
        "tone_mapped": "bool",
        "source": "text",
        "backend": "text",
        "engine": "text",
        "frames": "text",
        "frame_sizes": ["text"],
    }
]
"""One entry per caption. `sampling` is JSON, `frame_times` are seconds, `unreadable` counts packets that could not be read,
`damage` says what is wrong with the media (null: nothing), `tone_mapped` whether HDR was made SDR, `source` names the input
sample, with the parts of videos that were shown (`clips.jsonl:3#t=12.5,20`). `engine` is JSON: what was known of the engine when
it was asked (`vlm.engine_facts`), null if nothing was noted then. `frames` is JSON: how frames were sampled (`frame_facts`);
`frame_sizes` are those of the frames that the model was shown, one for each medium (`448x252`)."""

_RATE = ("fps", "min_frames", "max_frames")
"""Settings of `FrameSampling` that do nothing beside `num_frames`."""


def frame_facts(sampling: FrameSampling) -> dict[str, Any]:
    """How frames are sampled: the settings that do something."""
    without = _RATE if sampling.num_frames else ("num_frames",)
    return {
        name: value for name, value in asdict(sampling).items() if name not in (*without, "picture_fps") and value is not None
    }


def with_provenance(sample: Sample, column: str, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The column's value with new entries after the existing ones.

    Raises:
        SampleError: as `entries_of`.
    """
    return [*entries_of(sample, column), *entries]


def entries_of(sample: Sample, column: str) -> list[Any]:
    """The column's entries: a list, or one as JSON in a cell of a CSV file; null and an empty text mean none.

    Raises:
        SampleError: `BAD_PROVENANCE` if it holds something else, which would be lost.
    """
    value = list_in_cell(value_of(sample, column))
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        raise SampleError(
            "BAD_PROVENANCE", f"column {column!r} holds {short_repr(value)}, not a list: name another provenance_field"
        )
    return list(value)


def provenance(
    op: str, sample: Sample, media_keys: Sequence[str], outcome: Outcome, answer: Answer, candidate: int = 0
) -> dict[str, Any]:
    """The entry of one answer, of an outcome that carries its request."""
    request = outcome.request
    assert request is not None, "an op is handed outcomes with their requests"
    texts = {message.role: part.value for message in request.messages for part in message.parts if part.kind == "text"}
    return {
        "op": op,
        "model": request.model.model,
        "revision": outcome.revision,
        "prompt": texts.get("user"),
        "system_prompt": texts.get("system"),
        "sampling": json.dumps({name: value for name, value in asdict(request.sampling).items() if name not in outcome.unsent}),
        "seed": None if "seed" in outcome.unsent else answer.seed,
        "candidate": candidate,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": answer.tokens,
        "frame_times": [round(time, 3) for times in outcome.frame_times for time in times],
        "unreadable": outcome.unreadable,
        "damage": outcome.damage or None,
        "tone_mapped": outcome.tone_mapped,
        "source": _source(sample, media_keys, request),
        "backend": request.model.backend,
        "engine": answer.engine or None,
        "frames": _frames(request),
        "frame_sizes": [f"{width}x{height}" for width, height in outcome.frame_sizes],
    }


def _frames(request: Request) -> str | None:
    """How the frames of the media were sampled, as JSON: a list if that differs among them; None without media."""
    facts = [frame_facts(request.frames_of(part)) for part in request.media()]
    if not facts:
        return None
    return json.dumps(facts[0] if all(each == facts[0] for each in facts) else facts)


def _source(sample: Sample, media_keys: Sequence[str], request: Request) -> str:
    """The name of the sample, with the parts of videos that were shown."""
    name = sample_name(sample, media_keys)
    if not sample.get(ORIGIN):  # its first medium
        name = without_fragment(name)
    return name + "".join(f"#{part.span}" for part in request.media() if part.span != WHOLE)
