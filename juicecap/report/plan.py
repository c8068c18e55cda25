"""A plan as text: what a run will take, on one screen."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence

from juicecap.report.prices import Prices, cost_lines, hours, interval_text
from juicecap.report.words import duration
from juicecap.runner.estimate.model import Plan, StepPlan
from juicecap.vlm.catalog import spec_of

_SHOWN = 3
_GIB, _MIB, _KIB = 2**30, 2**20, 2**10


def plan_text(plan: Plan, prices: Prices) -> str:
    """The plan, a line for each thing."""
    return "\n".join(_lines(plan, prices))


def _lines(plan: Plan, prices: Prices) -> Iterator[str]:
    seen = "all looked at" if plan.looked_at == plan.samples else f"{plan.looked_at:,} of them looked at (--all looks at all)"
    yield _line("samples", f"{plan.samples:,}; {seen}")
    if plan.media is not None:
        yield _line("media", f"{plan.media:,} different ones by path; equal ones under other names are asked about once, too")
    if lengths := plan.steps[0].video_seconds if plan.steps else []:
        share = "" if plan.looked_at == plan.samples else "about "
        shares = plan.steps[0].video_shares
        different, seconds = sum(shares), sum(map(operator.mul, lengths, shares))
        total, videos = duration(seconds * plan.factor), _about(different * plan.factor)
        yield _line("video", f"{share}{total} in {videos} videos, {seconds / different:.1f} s on average")
    if plan.unreadable:
        yield _line("unusable", f"{len(plan.unreadable):,} media; the first: {plan.unreadable[0]}")
    for each in plan.dropped:
        counts = {"filtered": each.filtered, "rejected": each.rejected}
        told = ", ".join(f"{_about(count * plan.factor)} {what}" for what, count in counts.items() if count)
        yield _line("dropped", f"{told} by {each.op}")
    if plan.not_applied:
        yield _line("not known", f"what {', '.join(plan.not_applied)} will drop: taken to be nothing")
    for step in plan.steps:
        yield ""
        yield f"[{step.step.index + 1}] {step.step.name}, {step.model.model} ({step.model.backend})"
        yield from _step(step)
    yield ""
    read, written = plan.prompt_tokens(), plan.answer_tokens()
    yield _line("in all", f"{interval_text(read)} tokens to read, {interval_text(written)} to write")
    yield from _time_and_cost(plan, prices)


def _step(step: StepPlan) -> Iterator[str]:
    asked = step.asked
    if step.refused:
        listed = "; ".join(step.refused[:_SHOWN])
        more = f"; and {len(step.refused) - _SHOWN:,} more" if len(step.refused) > _SHOWN else ""
        yield _line("rejected", f"{_about(len(step.refused) * step.factor)}: {listed}{more}")
    if not asked:
        yield _line("requests", "none")
        if step.failed:
            yield _line("journal", _failed(step))
        return
    requests, samples = len(asked) * step.factor, step.samples * step.factor
    yield _line("requests", f"{_about(requests)} about {_about(samples)} samples; {_about(step.questions())} different questions")
    if step.further:
        more = _about(step.further * step.factor)
        yield _line("then", f"the op asks again once it has seen answers: {more} requests more, if made-up answers are any guide")
    yield _line("answers", _answers(step))
    if told := _journal(step):
        yield _line("journal", told)
    frames, shown = [each.frames for each in asked], sum(each.frames * each.share for each in asked)
    yield _line("frames", f"{_about(shown * step.factor)}; {min(frames):,} to {max(frames):,} in a request")
    prompts = [each.prompt for each in asked]
    vision = sum(each.vision for each in asked)
    share = round(100 * vision / max(1, sum(prompts)))
    yield _line("prompts", f"{min(prompts):,} to {max(prompts):,} tokens, {share} % of them frames; {_exactness(asked)}")
    yield _line("", f"answers of at most {asked[0].max_tokens:,} tokens")
    yield from _largest(step)
    yield from _memory(step)


def _answers(step: StepPlan) -> str:
    """Where they will come from, in the words of a run's summary."""
    all_, asked, replayed = step.answers(), step.answers_asked(), step.answers_replayed()
    parts = {"asked": asked, "shared within the run": all_ - asked - replayed, "replayed": replayed}
    return f"{_about(all_)}: " + " + ".join(f"{_about(count)} {what}" for what, count in parts.items() if round(count))


def _journal(step: StepPlan) -> str:
    if step.unknown_because:
        return f"cannot be looked into: {step.unknown_because}"
    if step.known is None:
        return "there is none yet"
    return _failed(step) if step.failed else ""


def _failed(step: StepPlan) -> str:
    return f"{_about(step.failed * step.factor)} of the rejected failed in an earlier run, which --retry-rejected tries again"


def _exactness(asked: Sequence[object]) -> str:
    vision, text = (all(getattr(each, name) for each in asked) for name in ("exact_vision", "exact_text"))
    if vision and text:
        return "exact"
    return "exact for frames and times, text estimated" if vision else "estimated"


def _largest(step: StepPlan) -> Iterator[str]:
    largest = step.largest
    if largest is None:
        return
    size = f"{largest.sample}: {largest.prompt:,} tokens, {largest.needed:,} with an answer"
    if step.context is None:
        yield _line("largest", f"{size}; what the model holds is not known here")
    elif not step.too_long:
        yield _line("largest", f"{size}; fits into {step.context:,}")
    else:
        yield _line("largest", f"{size}; does not fit into {step.context:,}")
        many = _about(step.too_long * step.factor)
        yield _line("too long", f"{many} requests, which will be rejected: take fewer frames (fps, max_frames) or max_pixels")


def _memory(step: StepPlan) -> Iterator[str]:
    sizes = [each.frame_bytes for each in step.asked]
    mean = sum(sizes) / len(sizes)
    limit = _bytes(step.frame_limit())
    yield _line("memory", f"frames of {_bytes(mean)} a request, {_bytes(max(sizes))} at most; up to {limit} in flight")
    if spec_of(step.model).is_remote or step.largest is None:
        return
    tokens = sum(each.prompt + each.candidates * each.max_tokens for each in step.asked) / len(step.asked)
    largest = max(each.prompt + each.candidates * each.max_tokens for each in step.asked)
    each, one, top = step.cache_bytes(1), step.cache_bytes(round(tokens)), step.cache_bytes(largest)
    if each is None or one is None or top is None:
        yield _line("KV cache", "not known: the model's config.json is not on this machine")
        return
    max_num_seqs = step.model.engine_params().get("max_num_seqs")
    many = max_num_seqs if isinstance(max_num_seqs, int) and max_num_seqs > 0 else spec_of(step.model).requests_at_once
    weights = f", beside {_bytes(step.facts.weight_bytes)} of weights" if step.facts and step.facts.weight_bytes else ""
    sizes_told = f"{_bytes(each)} a token: {_bytes(one)} a request, {_bytes(top)} the largest"
    yield _line("KV cache", f"{sizes_told}, {_bytes(one * many)} for {many} at once{weights}")


def _time_and_cost(plan: Plan, prices: Prices) -> Iterator[str]:
    time = hours(plan, prices)
    if time:
        band = f"{duration(time.low * 3600)} to {duration(time.high * 3600)}"
        yield _line("time", f"{band} at {prices.tokens_per_second:,.0f} tokens per second")
    else:
        yield _line("time", "not known: give --tokens-per-second (prompts and answers together, of all GPUs)")
    for number, line in enumerate(cost_lines(plan, prices)):
        yield _line("" if number else "cost", line)


def _line(name: str, text: str) -> str:
    return f"{name:<10}{text}"


def _about(number: float) -> str:
    return f"{round(number):,}"


def _bytes(size: float) -> str:
    for unit, name in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,.0f} bytes"
