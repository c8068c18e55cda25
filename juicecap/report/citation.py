"""A paragraph about how captions were made, for the methods section of a paper, in plain English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from juicecap.report.words import plural
from juicecap.runner.citing.cited_run import CitedRun, CitedStep
from juicecap.runner.loading import LOADING

BACKENDS = {"hf": "Hugging Face transformers", "openai": "an OpenAI-compatible server", "vllm": "vLLM"}

_KEPT = {
    "random_any": "one of which was chosen at random",
    "similar_one_simhash": "of which the one nearest to the text of the sample was kept",
    "all": "all of which were kept",
}

_NEUTRAL = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0}
"""Values of sampling parameters at which they do nothing."""

_CHOOSE = ("_deduplicator", "_filter", "_selector")
"""How the names of ops end that choose among samples."""

_LIBRARIES = {"hf": "transformers", "vllm": "vllm"}
"""The library whose version stands behind the name of the backend."""


def methods(run: CitedRun) -> str:
    """The paragraph."""
    return " ".join([_beginning(run), *_steps(run), *_ending(run)])


def caveats(run: CitedRun) -> list[str]:
    """What is to be known before the paragraph is used, a sentence each."""
    said = [] if run.state == "done" else [f"this run is not finished ({run.state}); run its recipe again, which resumes"]
    said += [f"not noted: {each}" for each in run.unknown]
    if _captioning(run):
        said.append("look at the licence of each model: some restrict what its output may be used for")
    return said


def engines_of(step: CitedStep) -> list[Mapping[str, Any]]:
    """Who gave the answers of a step, the one with the most first."""
    return list((step.model or {}).get("answered_by") or ())


def _beginning(run: CitedRun) -> str:
    version = f" {run.juicecap}" if run.juicecap else ""
    of = f" of the dataset {Path(run.dataset).name}" if run.dataset else ""
    which = (
        f"the first {plural(run.limit, 'sample')}" if run.limit else plural(run.samples, "sample") if run.samples else "samples"
    )
    return f"Captions were made with juicecap{version} from {which}{of}."


def _ending(run: CitedRun) -> Iterator[str]:
    if run.samples is None or run.exported is None:
        return
    rejected = sum(step.rejected for step in run.steps)
    lost = f"; {plural(rejected, 'sample')} could not be processed and {'was' if rejected == 1 else 'were'} left out" * bool(
        rejected
    )
    yield f"In all, {plural(run.samples, 'sample')} went in and {plural(run.exported, 'sample')} came out{lost}."
    if run.edited:
        yield f"Then {plural(run.edited, 'row')} {'was' if run.edited == 1 else 'were'} corrected or removed by hand."


def _captioning(run: CitedRun) -> list[CitedStep]:
    return [step for step in run.steps if step.model]


def _steps(run: CitedRun) -> Iterator[str]:
    """What each op did, in order."""
    for step in run.steps:
        if step.op == LOADING:
            yield f"{plural(step.rejected, 'record')} could not be read."
        elif step.model:
            yield from _captioned(step, step.model, run.seed)
        elif step.taken is None or step.given is None:
            yield f"{step.op} was applied."
        elif step.filtered or step.op.partition("[")[0].endswith(_CHOOSE):
            limits = ", ".join(f"{name} {value}" for name, value in step.wanted.items())
            which = f" ({limits})" if limits else ""
            yield f"{step.op}{which} kept {step.given:,} of {plural(step.taken, 'sample')}{_failed(step)}."
        else:
            yield f"{step.op} was applied to {plural(step.taken, 'sample')}{_failed(step)}."


def _failed(step: CitedStep) -> str:
    return f"; {step.rejected:,} could not be processed" if step.rejected else ""


def _captioned(step: CitedStep, model: Mapping[str, Any], seed: int | None) -> Iterator[str]:
    taken = plural(step.taken, "sample") if step.taken is not None else "samples"
    yield f"{step.op} captioned {taken} with {_model(step, model)}."
    yield from _frames(model.get("frames") or {})
    yield from _sizes(model.get("frames") or {})
    yield from _prompts(model)
    yield _sampling(model, model.get("seed", seed))
    if step.given is not None:
        yield f"This gave {plural(step.given, 'sample')}."


def _model(step: CitedStep, model: Mapping[str, Any]) -> str:
    """The model with its revision, and what ran it; several engines are told one after the other."""
    backend, name, engines = str(model["backend"]), str(model["name"]), engines_of(step)
    if len(engines) <= 1:
        return f"{name}{_revision(engines)} through {_engine(backend, engines[0].get('engine') if engines else None)}"
    each = [
        f"{plural(share['answers'], 'answer')}{_revision([share])} through {_engine(backend, share.get('engine'))}"
        for share in engines
    ]
    return f"{name} ({'; '.join(each)})"


def _revision(engines: Sequence[Mapping[str, Any]]) -> str:
    revision = str(engines[0].get("revision") or "") if engines else ""
    return f" (revision {revision})" if revision else ""


def _engine(backend: str, facts: Mapping[str, Any] | None) -> str:
    facts = facts or {}
    libraries = facts.get("libraries") or {}
    version = libraries.get(_LIBRARIES.get(backend, backend), "") if backend != "openai" else ""
    details = [f"in {facts['dtype']}"] if facts.get("dtype") else []
    details += [f"asked by juicecap {facts['juicecap']}"] if facts.get("juicecap") else []
    details += [f"chat template {facts['chat_template'][:12]}"] if facts.get("chat_template") else []
    return f"{BACKENDS.get(backend, f'the backend {backend}')} {version}".rstrip() + (
        f" ({', '.join(details)})" if details else ""
    )


def _frames(frames: Mapping[str, Any]) -> Iterator[str]:
    span = [f"from second {frames['start']:g}"] if frames.get("start") is not None else []
    span += [f"up to second {frames['end']:g}"] if frames.get("end") is not None else []
    of = f" ({' '.join(span)})" if span else ""
    if number := frames.get("num_frames"):
        yield f"From each video{of} {plural(number, 'frame')} {'was' if number == 1 else 'were'} taken, evenly spaced in time."
    elif fps := frames.get("fps"):
        bounds = f"at least {frames.get('min_frames', 0):,} and at most {frames.get('max_frames', 0):,}"
        yield f"From each video{of} {fps:g} frames per second were taken, {bounds}."


def _sizes(frames: Mapping[str, Any]) -> Iterator[str]:
    most, least = frames.get("max_pixels"), frames.get("min_pixels")
    if isinstance(most, int):
        yield f"Frames of more than {most:,} pixels were scaled down to that."
    elif most == "none":
        yield "Frames were not scaled down."
    else:
        yield "Frames were scaled as the model's processor does."
    if least:
        yield f"Frames of fewer than {least:,} pixels were scaled up to that."


def _prompts(model: Mapping[str, Any]) -> Iterator[str]:
    names = {"system_prompt": "system prompt", "prompt": "prompt", "prompt_template": "prompt template"}
    for name, prompt in (model.get("prompts") or {}).items():
        text = " ".join(str(prompt["text"]).split())
        yield f'The {names.get(name, name)} was "{text}".'
    for column in (model.get("prompt_columns") or {}).values():
        yield f"Where the column {column} holds a prompt, that was used."


def _sampling(model: Mapping[str, Any], seed: int | None) -> str:
    sampling, candidates = model.get("sampling") or {}, int(model.get("candidates") or 1)
    temperature = sampling.get("temperature", 0.0)
    tokens = f"with at most {plural(sampling.get('max_tokens', 0), 'token')}"
    if not temperature:
        return f"Captions were decoded greedily, {tokens}."
    more = [f"{name.replace('_', ' ')} {sampling[name]:g}" for name, off in _NEUTRAL.items() if sampling.get(name, off) != off]
    drawn = ", ".join([f"temperature {temperature:g}", *more])
    kept = f", {_KEPT[keep]}" if candidates > 1 and (keep := model.get("keep_candidate_mode")) in _KEPT else ""
    each = f"{candidates} candidates were drawn for each video{kept}; tokens" if candidates > 1 else "Tokens"
    seeded = f" and seeds derived from {seed}" if seed is not None else ""
    return f"{each} were sampled with {drawn}{seeded}, {tokens}."
