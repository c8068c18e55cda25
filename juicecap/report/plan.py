"""A plan as text: what a run will take, on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from juicecap.report.words import duration
from juicecap.runner.estimate.model import Interval, Plan, StepPlan
from juicecap.vlm.catalog import spec_of

"""Requests that these engines work on at once, unless the recipe says otherwise."""

_SHOWN = 3
_GIB, _MIB, _KIB = 2**30, 2**20, 2**10


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What things cost, where it is known. Prices of tokens are for a million."""

    gpu_hour: float | None = None
    input_mtok: float | None = None
    output_mtok: float | None = None
    tokens_per_second: float | None = None
    """Tokens of prompts and answers together, on all GPUs together."""


def hours(plan: Plan, prices: Prices) -> Interval | None:
    """How long the engines will work."""
    if not prices.tokens_per_second:
        return None
    return plan.prompt_tokens().plus(plan.answer_tokens()).times(1 / prices.tokens_per_second / 3600)


def cost(plan: Plan, prices: Prices) -> Interval | None:
    """What it will cost, by tokens or by hours."""
    if prices.input_mtok is not None or prices.output_mtok is not None:
        read = plan.prompt_tokens().times((prices.input_mtok or 0) / 1e6)
        return read.plus(plan.answer_tokens().times((prices.output_mtok or 0) / 1e6))
    time = hours(plan, prices)
    return time.times(prices.gpu_hour) if time and prices.gpu_hour is not None else None


def plan_text(plan: Plan, prices: Prices) -> str:
    """The plan, a line for each thing."""
    return "\n".join(_lines(plan, prices))


def _lines(plan: Plan, prices: Prices) -> Iterator[str]:
    seen = "all looked at" if plan.looked_at == plan.samples else f"{plan.looked_at:,} of them looked at (--all looks at all)"
    yield _line("samples", f"{plan.samples:,}; {seen}")
    if lengths := plan.steps[0].video_seconds if plan.steps else []:
        share = "" if plan.looked_at == plan.samples else "about "
        total, mean = duration(sum(lengths) * plan.factor), sum(lengths) / len(lengths)
        yield _line("video", f"{share}{total} in {_about(len(lengths) * plan.factor)} videos, {mean:.1f} s on average")
    if plan.unreadable:
        yield _line("unusable", f"{len(plan.unreadable):,} media; the first: {plan.unreadable[0]}")
    if plan.not_applied:
        yield _line("not known", f"what {', '.join(plan.not_applied)} will drop: taken to be nothing")
    for step in plan.steps:
        yield ""
        yield f"[{step.step.index + 1}] {step.step.name}, {step.model.model} ({step.model.backend})"
        yield from _step(step)
    yield ""
    read, written = plan.prompt_tokens(), plan.answer_tokens()
    yield _line("in all", f"{_band(read)} tokens to read, {_band(written)} to write")
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
    requests, answers = len(asked) * step.factor, sum(each.candidates for each in asked) * step.factor
    yield _line("requests", f"{_about(requests)} about {_about(step.samples * step.factor)} samples, {_about(answers)} answers")
    if step.further:
        more = _about(step.further * step.factor)
        yield _line("then", f"the op asks again once it has seen answers: {more} requests more, if made-up answers are any guide")
    yield _line("journal", _journal(step))
    frames = [each.frames for each in asked]
    yield _line("frames", f"{_about(sum(frames) * step.factor)}; {min(frames):,} to {max(frames):,} in a request")
    prompts = [each.prompt for each in asked]
    vision = sum(each.vision for each in asked)
    share = round(100 * vision / max(1, sum(prompts)))
    yield _line("prompts", f"{min(prompts):,} to {max(prompts):,} tokens, {share} % of them frames; {_exactness(asked)}")
    yield _line("answers", f"at most {asked[0].max_tokens:,} tokens each")
    yield from _largest(step)
    yield from _memory(step)


def _journal(step: StepPlan) -> str:
    if step.unknown_because:
        return f"cannot be looked into: {step.unknown_because}"
    if step.known is None:
        return "there is none yet: all is asked"
    known, left = sum(step.known), sum(lacking for _, lacking in step.left())
    told = f"{_about(known * step.factor)} answers are in it already, {_about(left * step.factor)} are asked"
    return f"{told}; {_failed(step)}" if step.failed else told


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
    spent = cost(plan, prices)
    if spent:
        digits = 2 if spent.high >= 1 else 4
        yield _line("cost", f"{spent.low:,.{digits}f} to {spent.high:,.{digits}f}")
    elif prices.gpu_hour is not None:
        yield _line("cost", "not known: --gpu-hour needs --tokens-per-second")


def _line(name: str, text: str) -> str:
    return f"{name:<10}{text}"


def _about(number: float) -> str:
    return f"{round(number):,}"


def _band(band: Interval) -> str:
    low, high = round(band.low), round(band.high)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _bytes(size: float) -> str:
    for unit, name in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,.0f} bytes"
