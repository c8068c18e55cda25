"""What an op asks which model, and how, as far as its settings tell: what the manifest has once for all of its rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from juicecap.hidden import Hidden
from juicecap.ops.captioning.provenance import frame_facts
from juicecap.ops.options.model_options import ModelOptions
from juicecap.recipe import Step
from juicecap.vlm.base import digest_of

MOST_PROMPT = 10_000
"""Characters of a prompt that the manifest repeats; its digest is that of the whole."""


def model_facts(step: Step, hidden: Hidden) -> dict[str, Any] | None:
    """The model of an op, its prompts and parameters; None of an op that asks no model, or of a user's without such settings.

    Prompts show the names of a recipe's variables, not their values.
    """
    op = step.op
    if not isinstance(op, ModelOptions):
        return None
    usual, (engine, *_) = op.usual_request(), op.engines()
    return {
        "backend": engine.backend,
        "name": engine.model,
        "prompts": {
            name: {"text": hidden.text(text)[:MOST_PROMPT], "digest": digest_of(text)} for name, text in op.prompts().items()
        },
        "prompt_columns": op.prompt_columns(),
        "sampling": asdict(usual.sampling),
        "seed": usual.seed,
        "candidates": usual.candidates,
        "keep_candidate_mode": getattr(op, "keep_candidate_mode", None),
        "frames": frame_facts(usual.frames),
    }
