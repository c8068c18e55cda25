"""What an op asks which model, and how, as far as its settings tell: what the manifest has once for all of its rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from juicecap.hidden import Hidden
from juicecap.ops.captioning.provenance import frame_facts
from juicecap.ops.options.model_options import ModelOptions
from juicecap.recipe import Step
from juicecap.recipe.checks.columns import video_columns
from juicecap.vlm.base import digest_of

MOST_PROMPT = 10_000
"""Characters of a prompt that the manifest repeats; its digest is that of the whole."""


def model_facts(step: Step, hidden: Hidden) -> dict[str, Any] | None:
    """The model of an op, its prompts and parameters; None of an op that asks no model, or of a user's without such settings.

    Prompts show the names of a recipe's variables, not their values.
    """
    op = step.op
    if not isinstance(op, ModelOptions) or not (engines := op.engines()):
        return None
    usual, engine = op.usual_request(), engines[0]
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
        "frames": frame_facts(usual.frames) if video_columns(op) else _without_rate(frame_facts(usual.frames)),
    }


def _without_rate(frames: dict[str, Any]) -> dict[str, Any]:
    """Of an op that shows pictures alone: how these are scaled."""
    return {name: value for name, value in frames.items() if name in ("min_pixels", "max_pixels")}


def is_model_facts(value: Any) -> bool:
    """Whether what stands in a manifest has the shape of such facts, `answered_by` among them: it comes perhaps from anybody."""
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in ("backend", "name")):
        return False
    prompts, columns, frames, sampling = (value.get(each, {}) for each in ("prompts", "prompt_columns", "frames", "sampling"))
    if not all(isinstance(each, dict) for each in (prompts, columns, frames, sampling)):
        return False
    return (
        all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in prompts.values())
        and all(_is_number(each) or each == "none" for each in frames.values())
        and all(_is_number(each) or isinstance(each, list) for each in sampling.values())
        and _is_number(value.get("candidates", 1))
        and isinstance(value.get("answered_by", []), list)
        and all(map(_is_share, value.get("answered_by", [])))
    )


def _is_share(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("answers"), int) or not isinstance(value.get("revision"), str):
        return False
    engine = value.get("engine") or {}
    if not isinstance(engine, dict) or not isinstance(engine.get("libraries", {}), dict):
        return False
    return all(isinstance(engine.get(name, ""), str) for name in ("juicecap", "dtype", "chat_template"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
