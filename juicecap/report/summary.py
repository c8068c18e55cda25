"""The few lines at the end of a run."""

from __future__ import annotations

from juicecap.ops.fate import FAILURES
from juicecap.runner.result import RunResult


def summary(result: RunResult) -> str:
    """Counts, cost, time and where things are. In + added by mappers = out + filtered + rejected."""
    lines = [f"in        {_samples(result.samples)}"]
    for step in result.steps:
        changes = {
            "added": step.counts.given - step.counts.kept,
            "filtered": step.counts.filtered,
            "rejected": step.counts.rejected,
            "failed and stayed": step.counts.failed,
            "tried again": step.tried_again,
        }
        told = ", ".join(f"{count:,} {what}" for what, count in changes.items() if count)
        if told:
            reasons = ", ".join(f"{code} {count:,}" for code, count in step.reasons.items())
            lines.append(f"          {step.op}: {told}" + (f" ({reasons})" if reasons else ""))
    lines.append(f"out       {_samples(result.exported)}; {result.filtered:,} filtered, {result.rejected:,} rejected on the way")
    if captions := result.total("captions"):
        truncated, prompt = result.total("truncated"), result.total("prompt_tokens")
        completion = result.total("completion_tokens")
        cut = f", {truncated:,} cut by max_tokens" if truncated else ""
        lines.append(f"captions  {captions:,}{cut}; {prompt:,} prompt tokens, {completion:,} completion tokens")
    if result.replayed:
        lines.append(f"journal   {result.replayed:,} answers were replayed, {result.asked:,} were asked")
    lines.append(f"time      {result.seconds:.1f} s")
    lines.append(f"output    {result.export_path}")
    if result.rejected:
        lines.append(f"rejected  {result.work_dir / 'rejected.jsonl'}")
    if result.failed:
        lines.append(f"failed    those that stayed have the reason in column {FAILURES!r}")
    if result.too_many_rejected:
        lines.append(
            f"more samples were rejected than max_rejected ({result.max_rejected}) allows; "
            "the output is written, the exit code is 3"
        )
    return "\n".join(lines)


def _samples(count: int) -> str:
    return f"{count:,} sample" + ("" if count == 1 else "s")
