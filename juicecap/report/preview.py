"""A preview as text, for a terminal, and the sentences that its page has as well (`report.page`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from juicecap.errors import MediaError
from juicecap.media.picture import MediaFrames
from juicecap.printable import printable
from juicecap.report.words import as_json
from juicecap.runner.estimate.preview import Preview, RequestPreview, StepPreview
from juicecap.sample import visible
from juicecap.vlm.base import Answer

LONGEST_VALUE = 400
"""Characters of a value that are shown in a terminal; the page has all."""

MOST_TIMES = 12
"""Times of frames that a line lists."""


def preview_text(preview: Preview) -> str:
    """The preview as text, for a terminal."""
    return printable("\n".join(_text(preview)))


def _text(preview: Preview) -> Iterator[str]:
    for name, steps in preview.samples.items():
        yield f"== {name}"
        for seen in steps:
            yield f"[{seen.step.index + 1}] {seen.step.name}: {fate(seen)}"
            for question in seen.questions:
                yield from _question_text(seen, question)
        for number, result in enumerate(preview.results.get(name, []), start=1):
            yield f"out {number}"
            for key, value in result.items():
                yield f"    {key}: {_short(value)}"
        yield ""
    yield _timings(preview)


def _question_text(seen: StepPreview, question: RequestPreview) -> Iterator[str]:
    for part, picture in question.seen:
        yield f"    saw     {part.label}: {_facts(picture)}"
    yield f"    asked   {prompt_facts(question)}"
    yield from (f"            {line}" for line in question.prompt.splitlines())
    if question.outcome.failure:
        yield f"    failed  {question.outcome.failure.code}: {question.outcome.failure.message}"
    for number, answer in enumerate(question.outcome.answers, start=1):
        mark = "->" if seen.chosen(answer) else "  "
        text = answer.text.strip().replace("\n", "\n               ")
        yield f"    said {mark} {number}. {text}  ({answer_facts(answer)})"


def _short(value: Any) -> str:
    text = (value if isinstance(value, str) else as_json(value)).replace("\n", "\n        ")
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def fate(seen: StepPreview) -> str:
    """What an op did with a sample, in words."""
    if seen.fate.failure:
        return f"rejected, {seen.fate.failure}"
    if not seen.fate.outputs:
        return "dropped"
    changed = _changed(seen)
    what = f", wrote {', '.join(changed)}" if changed else ""
    return ("kept" if len(seen.fate.outputs) == 1 else f"gave {len(seen.fate.outputs)} samples") + what


def _changed(seen: StepPreview) -> list[str]:
    before: dict[str, Any] = seen.fate.sample
    return list(
        dict.fromkeys(key for output in seen.fate.outputs for key, value in visible(output).items() if before.get(key) != value)
    )


def _facts(picture: MediaFrames | MediaError) -> str:
    if isinstance(picture, MediaError):
        return str(picture)
    height, width = picture.pixels.shape[1:3]
    if not picture.times:
        return f"{width}x{height}"
    times = " ".join(f"{time:.2f}" for time in picture.times[:MOST_TIMES]) + (" …" if len(picture.times) > MOST_TIMES else "")
    return f"{len(picture.times)} frames of {width}x{height} at {times} s"


def prompt_facts(question: RequestPreview) -> str:
    """How long a prompt is, and whether it is shown as it was sent."""
    tokens = f"{question.outcome.prompt_tokens:,} tokens" if question.outcome.prompt_tokens else "tokens unknown"
    return tokens if question.templated else f"{tokens}; the chat template is not known here, so these are the parts"


def answer_facts(answer: Answer) -> str:
    """How an answer ended, its length and its seed."""
    return f"{answer.finish_reason}, {answer.tokens:,} tokens, seed {answer.seed}"


def _timings(preview: Preview) -> str:
    steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in preview.seconds)
    return f"{len(preview.samples)} of {preview.total:,} samples; {steps} (the opening of models included)"
