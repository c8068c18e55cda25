"""Working out what a run will take, before it is run.

A spread of samples (or all) goes through the recipe with made-up answers: ops that read text or headers are applied, for ops that
use a model the requests are counted by the headers of their media, and nothing is decoded. The other samples are assumed to be
like these. How many of them ask the same is found by the media of all rows (`sharing.py`). Not covered: ops that read pixels,
deduplicators and selectors, which are assumed to keep everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from juicecap.data.table import CHUNK
from juicecap.errors import JuicecapError, MediaError, SampleError
from juicecap.media.sampling import FrameSampling, most_frames, shown_times, target_times
from juicecap.media.sizes import FrameSizes
from juicecap.media.video.probe import VideoInfo
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.rounds import Rounds
from juicecap.ops.apply.table import Rows
from juicecap.ops.base import Op
from juicecap.ops.whole_dataset import WholeDatasetOp
from juicecap.recipe import Recipe, Step
from juicecap.runner.estimate.dataset_sample import Header, Headers, Medium, media_of, open_dataset, spread
from juicecap.runner.estimate.model import SHORTEST_ANSWER, DroppedBefore, Plan, RequestEstimate, StepPlan
from juicecap.runner.estimate.sharing import MADE_UP, Groups, Shares, Traced
from juicecap.sample import Sample, sample_name
from juicecap.vlm.base import Answer, Outcome, Request
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.file_signature import is_journal
from juicecap.vlm.models.facts import ModelFacts
from juicecap.vlm.models.prompt_tokens import PromptCounters, Shown
from juicecap.vlm.pipeline import core

if TYPE_CHECKING:
    from datasets import Dataset

LOOKED_AT = 200
"""Samples that are examined, unless all are."""


def make_plan(recipe: Recipe, *, look_at_all: bool = False, limit: int | None = None) -> Plan:
    """Read samples of the data, or of its first `limit` ones, and work out the plan.

    No model is opened and nothing is written into the run folder.

    Raises:
        RecipeError: an op needs a column that the data lacks.
        DataError: the dataset cannot be read.
        ModelError: the files of a model that is here are damaged, or its chat template or tokenizer is of no use.
        EnvironmentFailure: the process that runs them cannot be started.
    """
    dataset = open_dataset(recipe, limit=limit)
    rows = spread(len(dataset), len(dataset) if look_at_all else LOOKED_AT)
    groups = Groups(recipe, dataset)
    more = groups.more_rows(rows)
    plan = Plan(recipe=recipe, samples=len(dataset), looked_at=len(rows), media=groups.media)
    headers = Headers()
    samples, others = _traced(dataset, rows), _traced(dataset, more)
    with PromptCounters() as counters:
        for step in recipe.steps:
            if step.op.uses_model():
                shares = Shares(groups, [*rows, *more])
                others = _sharing(step, others, shares)
                samples = _asking(step, samples, shares, headers, counters, plan)
            elif _is_applied(step.op):
                samples, others = _applied(step, samples, plan), _applied(step, others)
            else:
                plan.not_applied.append(step.label)
    plan.unreadable = [str(header) for header in headers.known.values() if isinstance(header, MediaError)]
    return plan


def _is_applied(op: Op) -> bool:
    return not isinstance(op, WholeDatasetOp) and (not op.media_columns() or op.headers_only)


def _traced(dataset: Dataset, rows: Sequence[int]) -> list[Traced]:
    return [Traced(sample, row) for sample, row in zip(Rows(dataset.select(rows), CHUNK), rows, strict=True)]


def _applied(step: Step, samples: Sequence[Traced], plan: Plan | None = None) -> list[Traced]:
    """What samples become; how many of them are dropped is noted in the plan."""
    fates = list(step.op.stream(each.sample for each in samples))
    kinds = Counter(fate.kind for fate in fates)
    if plan and (kinds["filtered"] or kinds["rejected"]):
        plan.dropped.append(DroppedBefore(step.label, kinds["filtered"], kinds["rejected"]))
    return [each._replace(sample=output) for each, fate in zip(samples, fates, strict=True) for output in fate.outputs]


def _sharing(step: Step, samples: Sequence[Traced], shares: Shares) -> list[Traced]:
    """Note what further samples ask; returns what these become."""
    outputs: list[Traced] = []
    for each in samples:
        requests = step.op.plan_requests(each.sample)
        if isinstance(requests, SampleError):
            continue
        _note(each, requests, shares)
        outputs += each.answered(requests, _made_up(step.op, each.sample)[0])
    return outputs


def _note(each: Traced, requests: Sequence[Request], shares: Shares) -> None:
    for request in requests:
        shares.add(each.key(request))
    for medium in dict.fromkeys(media_of(requests)):
        shares.add(repr(medium))


def _asking(
    step: Step, samples: Sequence[Traced], shares: Shares, headers: Headers, counters: PromptCounters, plan: Plan
) -> list[Traced]:
    """Count an op's requests; returns what its samples become with made-up answers."""
    planned = StepPlan(step=step, factor=plan.factor, samples=len(samples))
    plan.steps.append(planned)
    wanted: list[tuple[Traced, Sequence[Request]]] = []
    for each in samples:
        requests = step.op.plan_requests(each.sample)
        if isinstance(requests, SampleError):
            planned.refused.append(f"{sample_name(each.sample, step.op.media_keys())}: {requests}")
        else:
            _note(each, requests, shares)
            wanted.append((each, requests))
    models = dict.fromkeys([*(request.model for _, requests in wanted for request in requests), *step.op.engines()])
    if models:
        planned.model = next(iter(models))
        planned.facts = counters.of(planned.model).facts
    known = headers.read(media_of(request for _, requests in wanted for request in requests), step.op.limits().media)
    counted: list[tuple[Traced, Sequence[Request], list[RequestEstimate]]] = []
    for each, requests in wanted:
        name = sample_name(each.sample, step.op.media_keys())
        try:
            asked = [_asked(name, request, counters, known, shares.of(each.key(request), each.row)) for request in requests]
            counted.append((each, requests, asked))
        except MediaError as error:
            planned.refused.append(f"{name}: {error}")
    outcomes = iter(_look_up(plan.recipe, planned, [request for _, requests, _ in counted for request in requests]))
    outputs: list[Traced] = []
    for each, requests, asked in counted:
        mine = [next(outcomes) for _ in requests]
        if failure := next((outcome.failure for outcome in mine if outcome.failure), None):
            planned.refused.append(f"{sample_name(each.sample, step.op.media_keys())}: {failure.code}: {failure.message}")
            planned.failed += 1
            continue
        planned.asked += asked
        if planned.known is not None:
            planned.known += [len(outcome.answers) for outcome in mine]
        videos = {medium: header for medium in media_of(requests) if isinstance(header := known[medium], VideoInfo)}
        planned.video_seconds += [header.duration for header in videos.values()]
        planned.video_shares += [shares.of(repr(medium), each.row) for medium in videos]
        made_up, further = _made_up(step.op, each.sample)
        outputs += each.answered(requests, made_up)
        planned.further += further
    return outputs


def _asked(
    name: str, request: Request, counters: PromptCounters, known: Mapping[Medium, Header], share: float
) -> RequestEstimate:
    facts = counters.of(request.model).facts
    media = [_shown(known[medium], request.frames_of(medium[0]), facts) for medium in media_of([request])]
    counted = counters.count(request, media)
    is_local = not spec_of(request.model).is_remote  # how a server scales pictures and what it adds to a prompt is not known here
    return RequestEstimate(
        sample=name,
        frames=sum(max(1, len(each.times)) for each in media),
        prompt=counted.tokens,
        vision=counted.vision,
        candidates=request.candidates,
        max_tokens=request.sampling.max_tokens,
        frame_bytes=sum(each.width * each.height * 3 * max(1, len(each.times)) for each in media),
        exact_vision=counted.exact_vision and is_local,
        exact_text=counted.exact_text and is_local,
        share=share,
    )


def _shown(header: Header, sampling: FrameSampling, facts: ModelFacts | None) -> Shown:
    """A medium as it will be decoded.

    Raises:
        MediaError: it cannot be used.
    """
    sizes = facts.sizes if facts else FrameSizes()
    if isinstance(header, MediaError):
        raise header
    if isinstance(header, tuple):
        width, height = sizes.size("image", 1, *header, sampling)
        return Shown(kind="image", width=width, height=height)
    times = shown_times(sampling, duration=header.duration, fps=header.fps, frames=header.frames)
    instants = len(target_times(sampling, duration=header.duration))
    most = most_frames(instants, duration=header.duration, fps=header.fps, frames=header.frames)
    width, height = sizes.size("video", most, header.width, header.height, sampling)
    return Shown(kind="video", width=width, height=height, times=tuple(times))


def _made_up(op: Op, sample: Sample) -> tuple[Sequence[Sample], int]:
    """What a sample becomes with made-up answers, and how many requests of later rounds these lead to."""
    rounds, further = Rounds(op, sample), 0
    try:
        met = rounds.begin()
        while not isinstance(met, Fate):
            further += sum(isinstance(ask, Request) for ask in met) if rounds.number > 1 else 0
            met = rounds.go_on([_answered(ask) if isinstance(ask, Request) else core.ask([ask], op.limits())[0] for ask in met])
    except Exception:  # noqa: BLE001  (an op may want answers of a form that made-up ones do not have)
        return [sample], further
    return (met.outputs if met.failure is None else [sample]), further


def _answered(request: Request) -> Outcome:
    answers = (
        Answer(text=MADE_UP, finish_reason="stop", tokens=SHORTEST_ANSWER, seed=number) for number in range(request.candidates)
    )
    return Outcome(answers=tuple(answers))


def _look_up(recipe: Recipe, planned: StepPlan, requests: Sequence[Request]) -> list[Outcome]:
    """What the journal knows of the requests; `planned` has a list for its answers if it can be looked into, else why not."""
    nothing = [Outcome()] * len(requests)
    if not recipe.journal.exists() or not requests:
        return nothing
    try:
        ours = is_journal(recipe.journal)
    except OSError as error:
        planned.unknown_because = error.strerror or str(error)
        return nothing
    if not ours:  # a run would set it aside; a plan changes nothing
        planned.unknown_because = "it is damaged, or no journal"
        return nothing
    try:
        with Journal(recipe.journal, may_quarantine=False) as journal:
            found = core.known_outcomes(requests, journal, planned.step.op.limits(planned.step.options.batch_size))
    except JuicecapError as error:
        planned.unknown_because = str(error)
        return nothing
    planned.known = []
    return found
