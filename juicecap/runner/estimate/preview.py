"""Runs a recipe on a few samples and collects prompts, frames, candidates and the result of each sample.

The real run is not affected: everything is written to the folder `preview` of its run folder. Only the answers are shared,
through the journal, so they are not requested again. Deduplicators and selectors see only these samples.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from juicecap.data.surroundings import check_working_directory
from juicecap.data.writing.lines import write_lines
from juicecap.errors import MediaError, ModelError
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import MediaLimits
from juicecap.media.sizes import FrameSizes
from juicecap.media.workers.pool import DecodePool
from juicecap.ops.apply.applied import stands_alone
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.rounds import Rounds
from juicecap.recipe import Recipe, Step
from juicecap.recipe.work_dir import claim
from juicecap.runner.estimate.dataset_sample import open_dataset, rows_called, spread
from juicecap.runner.run_folder.folder import RunFolder, make_folder
from juicecap.sample import Sample, sample_name, visible
from juicecap.vlm.base import Answer, Outcome, Part, Request
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.measurement import Ask, Measurement
from juicecap.vlm.models.facts import model_facts
from juicecap.vlm.models.prompt_tokens import PromptCounters
from juicecap.vlm.pipeline import core

FOLDER = "preview"


@dataclass(frozen=True, kw_only=True)
class RequestPreview:
    """One request and its outcome."""

    request: Request
    outcome: Outcome
    prompt: str
    """The prompt as sent, with a placeholder for each medium; the parts one by one if the chat template is not known."""
    templated: bool
    """Whether `prompt` is what the model's own chat template made."""
    seen: tuple[tuple[Part, MediaFrames | MediaError], ...]
    """The media as the model saw them."""


@dataclass(frozen=True, kw_only=True)
class StepPreview:
    """What one op did to one sample."""

    step: Step
    fate: Fate
    questions: tuple[RequestPreview, ...] = ()
    measured: tuple[tuple[Measurement, Outcome], ...] = ()

    def chosen(self, answer: Answer) -> bool:
        """Whether an answer stands in what the sample became: by the seed in its provenance, else by its text."""
        before = self.fate.sample
        changed = [value for output in self.fate.outputs for key, value in visible(output).items() if before.get(key) != value]
        origins = [entry for value in changed if isinstance(value, list) for entry in value if isinstance(entry, dict)]
        if any("seed" in entry for entry in origins):
            return any(entry.get("seed") == answer.seed for entry in origins)
        text = answer.text.strip()
        return bool(text) and any(text in str(value) for value in changed)


@dataclass
class Preview:
    """The result of a preview. `steps` has the seconds of each op; `samples` what the ops did to each input sample, in order."""

    recipe: Recipe
    folder: Path
    total: int
    """Samples in the dataset."""
    seconds: list[tuple[str, float]] = field(default_factory=list)
    samples: dict[str, list[StepPreview]] = field(default_factory=dict)
    results: dict[str, list[Sample]] = field(default_factory=dict)
    """The final result of each input sample."""


def run_preview(recipe: Recipe, number: int, *, ids: Sequence[str] = (), limit: int | None = None) -> Preview:
    """Run the recipe on `number` samples that are spread over the dataset, or on those with these ids.

    `limit` takes only the first records of the dataset.

    Raises:
        UsageError: no sample has one of the ids.
        RecipeError, DataError, EnvironmentFailure: as a run.
    """
    check_working_directory()
    make_folder(recipe.work_dir)
    claim(recipe.work_dir)
    folder = recipe.work_dir / FOLDER
    make_folder(folder)
    dataset = open_dataset(recipe, folder, limit=limit)
    rows = rows_called(ids, dataset) if ids else spread(len(dataset), number)
    samples: list[Sample] = [dataset[row] for row in rows]
    preview = Preview(recipe=recipe, folder=folder, total=len(dataset))
    preview.samples = {_name(sample, recipe): [] for sample in samples}
    with Journal(recipe.journal) as journal:
        for step in recipe.steps:
            step.op.describe_engines(journal)
        for step in recipe.steps:
            began = time.monotonic()
            seen = _stepped(step, samples, journal, RunFolder(folder).media)
            preview.seconds.append((step.label, time.monotonic() - began))
            for each in seen:
                preview.samples.setdefault(_name(each.fate.sample, recipe), []).append(each)
            samples = [output for each in seen for output in each.fate.outputs]
            if not samples:
                break
    core.close_engines()
    for sample in samples:
        preview.results.setdefault(_name(sample, recipe), []).append(visible(sample))
    write_lines(
        folder / "preview.jsonl", (sample for results in preview.results.values() for sample in results), through_links=False
    )
    return preview


def _name(sample: Sample, recipe: Recipe) -> str:
    return sample_name(sample, (recipe.video_key, recipe.image_key))


def _stepped(step: Step, samples: Sequence[Sample], journal: Journal, media_folder: Path) -> list[StepPreview]:
    """What an op does to the samples, round by round; the outcomes are in the journal from then on.

    Files that tasks write go into `media_folder`.
    """
    if stands_alone(step.op):
        return [StepPreview(step=step, fate=fate) for fate in step.op.stream(samples, step.options.batch_size, journal)]
    limits = step.op.limits(step.options.batch_size)
    rounds = [Rounds(step.op, sample) for sample in samples]
    met = [each.begin() for each in rounds]
    heard: list[list[tuple[Ask, Outcome]]] = [[] for _ in samples]
    while asked := {number: each for number, each in enumerate(met) if not isinstance(each, Fate)}:
        asks = [ask for some in asked.values() for ask in some]
        outcomes = iter(core.ask(asks, limits, journal, media_folder))
        for number, requests in asked.items():
            mine = [next(outcomes) for _ in requests]
            heard[number] += zip(requests, mine, strict=True)
            met[number] = rounds[number].go_on(mine)
    answered = [[(ask, outcome) for ask, outcome in mine if isinstance(ask, Request)] for mine in heard]
    measured = [tuple((ask, outcome) for ask, outcome in mine if isinstance(ask, Measurement)) for mine in heard]
    pictures = asyncio.run(_pictures([request for mine in answered for request, _ in mine], limits.media))
    with PromptCounters() as counters:
        questions = [tuple(_question(*each, pictures, counters) for each in mine) for mine in answered]
    fates = [each for each in met if isinstance(each, Fate)]
    return [
        StepPreview(step=step, fate=fate, questions=asked, measured=values)
        for fate, asked, values in zip(fates, questions, measured, strict=True)
    ]


def _question(
    request: Request, outcome: Outcome, pictures: dict[tuple[Part, str], MediaFrames | MediaError], counters: PromptCounters
) -> RequestPreview:
    text = None
    if not spec_of(request.model).is_remote:
        try:
            text = counters.of(request.model).text(request)
        except ModelError:  # the engine reports that, for each sample
            text = None
    seen = tuple((part, pictures[part, _frames_key(request)]) for part in request.media())
    return RequestPreview(
        request=request, outcome=outcome, prompt=text or _by_parts(request), templated=text is not None, seen=seen
    )


def _by_parts(request: Request) -> str:
    return "\n".join(
        f"{message.role}: " + "".join(part.value if part.kind == "text" else f"[{part.kind}]" for part in message.parts)
        for message in request.messages
    )


def _frames_key(request: Request) -> str:
    return f"{request.model} {request.frames}"


async def _pictures(requests: Sequence[Request], rules: MediaLimits) -> dict[tuple[Part, str], MediaFrames | MediaError]:
    """The media of the requests, decoded to the sizes that the model is shown."""
    pool = DecodePool()

    async def decoded(part: Part, request: Request) -> MediaFrames | MediaError:
        facts = model_facts(request.model) if not spec_of(request.model).is_remote else None
        sizes = facts.sizes if facts else FrameSizes()
        try:
            return await pool.picture(part.kind, part.value, request.frames_of(part), sizes, rules, part.pictures, part.span)
        except MediaError as error:
            return error

    wanted = {(part, _frames_key(request)): (part, request) for request in requests for part in request.media()}
    try:
        found = await asyncio.gather(*(decoded(*each) for each in wanted.values()))
    finally:
        await pool.close()
    return dict(zip(wanted, found, strict=True))
