"""The few lines at the end of a run."""

from __future__ import annotations

from juicecap.runner.result import RunResult


def summary(result: RunResult) -> str:
    """Counts, cost, time and where things are. Samples in = filtered + rejected + those that gave the output."""
    kept = result.steps[-1].counts.kept if result.steps else result.samples
    captions = sum(step.counts.captions for step in result.steps)
    truncated = sum(step.counts.truncated for step in result.steps)
    prompt = sum(step.counts.prompt_tokens for step in result.steps)
    completion = sum(step.counts.completion_tokens for step in result.steps)
    lines = [f"in        {_samples(result.samples)}"]
    for step in result.steps:
        if step.counts.filtered or step.counts.rejected:
            gone = [f"{step.counts.filtered:,} filtered"] if step.counts.filtered else []
            gone += [f"{step.counts.rejected:,} rejected"] if step.counts.rejected else []
            lines.append(f"          - {step.op}: {', '.join(gone)}")
    lines.append(f"kept      {_samples(kept)}, {result.filtered:,} filtered, {result.rejected:,} rejected")
    if captions:
        cut = f", {truncated:,} cut by max_tokens" if truncated else ""
        lines.append(f"captions  {captions:,}{cut}; {prompt:,} prompt tokens, {completion:,} completion tokens")
    lines.append(f"time      {result.seconds:.1f} s")
    lines.append(f"output    {result.export_path}  ({result.exported:,} rows)")
    if result.rejected:
        lines.append(f"rejected  {result.work_dir / 'rejected.jsonl'}")
    if result.too_many_rejected:
        lines.append("more samples were rejected than max_rejected allows; the output is written, the exit code is 3")
    return "\n".join(lines)


def _samples(count: int) -> str:
    return f"{count:,} sample" + ("" if count == 1 else "s")
