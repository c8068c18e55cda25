"""Checks whether a recipe fits its model, as far as the model's files are on this machine.

Frames are counted as `vlm.prompt_tokens` does. How large the videos are is not known here (`juicecap plan` looks at them): a
problem is what cannot fit at any size, a warning what does not fit in full HD.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.ops.options.model_options import ModelOptions
from juicecap.recipe.checks.columns import problem_of, video_columns
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe, Step
from juicecap.recipe.yaml.values import KeyPath
from juicecap.vlm.backends.opening import check_settings
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.context import ContextLength
from juicecap.vlm.model_params import unknown as unknown_parameters
from juicecap.vlm.model_params import unknown_to_template
from juicecap.vlm.models.facts import ModelFacts, model_facts
from juicecap.vlm.models.prompt_tokens import PromptTokens, Shown
from juicecap.vlm.models.sandbox import ModelSandbox, can_render

LOCAL = ("/", "./", "../")
"""How the name of a folder begins that cannot be one of the Hub's."""

SMALL, FULL_HD = (16, 16), (1920, 1080)
TENSOR_PARALLEL = ("tensor_parallel_size", "vllm_tensor_parallel_size")


def check_models(recipe: Recipe) -> tuple[list[Problem], list[Problem]]:
    """Problems, and warnings."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for step in recipe.steps:
        if not isinstance(step.op, ModelOptions):
            continue
        for engine in step.op.engines():
            problem, warning = _server(recipe, step, engine) if spec_of(engine).is_remote else (_folder(recipe, step), None)
            problems += [problem] if problem else []
            warnings += [warning] if warning else []
            facts, damaged = _facts(recipe, step, engine)
            problems += [damaged] if damaged else []
            if not damaged:
                unknown = list(_unknown(recipe, step, engine, facts.config_names if facts else frozenset()))
                (problems if facts and facts.folder else warnings).extend(unknown)
            if facts is None:
                continue
            (warnings if spec_of(engine).is_remote else problems).extend(_template(recipe, step, engine, facts))
            problems += _parallel(recipe, step, facts, engine.engine_params().get("tensor_parallel_size"))
            if facts.context:
                problem, warning = _context(recipe, step, step.op, facts, facts.context)
                problems += [problem] if problem else []
                warnings += [warning] if warning else []
    return problems, warnings


def _server(recipe: Recipe, step: Step, engine: ModelSettings) -> tuple[Problem | None, Problem | None]:
    """The backend's errors about its settings when it opens; a key that is missing here may exist where the recipe runs."""
    try:
        check_settings(engine)
    except ModelError as error:  # of an address with a password the line is not shown
        return problem_of(recipe, step, "model_params", str(error)), None
    except EnvironmentFailure as error:
        return None, problem_of(recipe, step, "api_key_env", str(error))
    return None, None


def _facts(recipe: Recipe, step: Step, engine: ModelSettings) -> tuple[ModelFacts | None, Problem | None]:
    """What the model's files say, or what is wrong with them. A server has files of its own."""
    try:
        return model_facts(engine), None
    except ModelError as error:
        return None, None if spec_of(engine).is_remote else problem_of(recipe, step, "hf_model", str(error))


def _folder(recipe: Recipe, step: Step) -> Problem | None:
    """The folder of a model whose name can only be that of a folder."""
    name = _name(step)
    if os.path.isdir(name):
        lacks = not os.path.exists(os.path.join(name, "config.json"))
        return problem_of(recipe, step, "hf_model", f"the folder {name} holds no model: it has no config.json") if lacks else None
    if name.startswith(LOCAL):
        return problem_of(recipe, step, "hf_model", f"hf_model: there is no folder {name}")
    return None


def _unknown(recipe: Recipe, step: Step, engine: ModelSettings, config: Collection[str]) -> Iterator[Problem]:
    """Parameters that the backend does not have. Only doubts where the model's own config is not here, which may have them."""
    for sentence in unknown_parameters(engine.backend, engine.engine_params(), config):
        yield problem_of(recipe, step, "model_params", f"model_params: {sentence}")


def _template(recipe: Recipe, step: Step, engine: ModelSettings, facts: ModelFacts) -> Iterator[Problem]:
    """What the chat template is told and does not look at. A server may have another template than the one that is here."""
    told = engine.template_kwargs()
    if not told or not isinstance(facts.template, str) or not can_render():
        return
    with closing(ModelSandbox(engine.model)) as sandbox:
        known = sandbox.template_names(facts.template)
    for sentence in unknown_to_template(told, known) if known is not None else ():
        yield problem_of(recipe, step, "model_params", f"model_params: {sentence}")


def _parallel(recipe: Recipe, step: Step, facts: ModelFacts, size: object) -> Iterator[Problem]:
    if not facts.heads or not isinstance(size, int) or isinstance(size, bool) or size < 1 or facts.heads % size == 0:
        return
    own: KeyPath = ("process", step.index, step.name)
    trails = [(*own, "model_params", TENSOR_PARALLEL[0]), *((*own, name) for name in TENSOR_PARALLEL)]
    trail = next((each for each in trails if each in recipe.source.keys or each in recipe.source.overridden), own)
    divisors = [str(number) for number in range(1, facts.heads + 1) if facts.heads % number == 0]
    message = f"{step.label}: tensor_parallel_size {size} does not divide the {facts.heads} attention heads of {_name(step)}"
    yield recipe.source.problem(trail, message, hint=f"take one of {', '.join(divisors)}")


def _context(
    recipe: Recipe, step: Step, options: ModelOptions, facts: ModelFacts, context: ContextLength
) -> tuple[Problem | None, Problem | None]:
    sampling, answer = options.frame_sampling(), options.token_sampling(1).max_tokens
    if answer >= context.tokens:
        return recipe.source.problem(_max_tokens(recipe, step), f"{step.label}: {context.no_room(answer)}"), None
    if not video_columns(step.op) or not facts.is_qwen:
        return None, None
    parameter = "num_frames" if sampling.num_frames else "max_frames"
    most = sampling.num_frames or sampling.max_frames
    for frames, size in ((sampling.num_frames or sampling.min_frames, SMALL), (most, FULL_HD)):
        tokens = _tokens(options, facts, frames, size)
        if tokens + answer <= context.tokens:
            continue
        excess = f"and with max_tokens {answer:,} that is more than {context.told}"
        fitting = _fitting(options, facts, frames, size, context.tokens - answer)
        if size == SMALL:
            message = f"{frames:,} frames have at least {tokens:,} tokens, {excess}"
            hint = f"take fewer frames: {fitting:,} fit at most" if fitting else "lower max_tokens or min_pixels"
            return problem_of(recipe, step, parameter, message, hint), None
        fit = f"{fitting:,} such frames fit" if fitting > 1 else "not even two such frames fit"
        message = (
            f"{frames:,} frames of {size[0]}x{size[1]} have {tokens:,} tokens, {excess}; "
            f"samples that are too long are rejected. {fit.capitalize()}: set {parameter} or max_pixels"
        )
        return None, problem_of(recipe, step, parameter, message)
    return None, None


def _tokens(options: ModelOptions, facts: ModelFacts, frames: int, size: tuple[int, int]) -> int:
    """Tokens of the vision part of a prompt with this many frames, one each half second."""
    width, height = facts.sizes.size("video", frames, *size, options.frame_sampling())
    shown = Shown(kind="video", width=width, height=height, times=tuple(number / 2 for number in range(frames)))
    return PromptTokens(replace(facts, folder=None)).vision(shown)  # the tokenizer takes longer than all else


def _fitting(options: ModelOptions, facts: ModelFacts, frames: int, size: tuple[int, int], room: int) -> int:
    """The largest number of frames below `frames` that fits into `room` tokens."""
    low, high = 0, frames
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _tokens(options, facts, middle, size) <= room else (low, middle)
    return low


def _max_tokens(recipe: Recipe, step: Step) -> KeyPath:
    own: KeyPath = ("process", step.index, step.name)
    names = [("sampling_params", "max_tokens"), ("sampling_params", "max_new_tokens"), ("vllm_max_tokens",)]
    trails = [(*own, *name) for name in names]
    return next((each for each in trails if each in recipe.source.keys or each in recipe.source.overridden), own)


def _name(step: Step) -> str:
    return str(getattr(step.op, "hf_model", "the model"))
