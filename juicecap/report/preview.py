"""A preview as text, for a terminal, and as a page with the frames, for a browser; everything that it shows is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from typing import Any

from juicecap.errors import MediaError
from juicecap.media.encode import jpeg, thumbnail
from juicecap.media.picture import MediaFrames
from juicecap.printable import printable
from juicecap.recipe.work_dir import PAGE
from juicecap.runner.estimate.preview import Preview, RequestPreview, StepPreview
from juicecap.sample import visible
from juicecap.vlm.base import Answer, Part

TILE = 160
"""Pixels of the longer side of a frame on the page."""

LONGEST_VALUE = 400
"""Characters of a value that are shown in a terminal; the page has all."""

MOST_TIMES = 12
"""Times of frames that a line lists."""

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
section { border: 1px solid #ccc; border-radius: 6px; padding: 0 1rem 1rem; margin: 1.5rem 0 }
figure { display: inline-block; margin: 0 6px 6px 0 } figcaption { font-size: 12px; color: #555 }
pre { background: #f4f4f4; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere }
li.chosen { font-weight: 600 } .note { color: #555; font-size: 13px } .rejected { color: #a00 }
"""


def preview_text(preview: Preview) -> str:
    """The preview as text, for a terminal."""
    return printable("\n".join(_text(preview)))


def preview_page(preview: Preview) -> str:
    """The preview as an HTML page without other files."""
    return "\n".join(_page(preview))


def _text(preview: Preview) -> Iterator[str]:
    for name, steps in preview.samples.items():
        yield f"== {name}"
        for seen in steps:
            yield f"[{seen.step.index + 1}] {seen.step.name}: {_fate(seen)}"
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
    yield f"    asked   {_prompt_facts(question)}"
    yield from (f"            {line}" for line in question.prompt.splitlines())
    if question.outcome.failure:
        yield f"    failed  {question.outcome.failure.code}: {question.outcome.failure.message}"
    for number, answer in enumerate(question.outcome.answers, start=1):
        mark = "->" if seen.chosen(answer) else "  "
        text = answer.text.strip().replace("\n", "\n               ")
        yield f"    said {mark} {number}. {text}  ({_answer_facts(answer)})"


def _short(value: Any) -> str:
    text = str(value).replace("\n", "\n        ")
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _page(preview: Preview) -> Iterator[str]:
    recipe = escape(str(preview.recipe.path))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    yield f"{PAGE.decode()}{recipe}</title>"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>Preview of {recipe}</h1>'
    yield f'<p class="note">{escape(_timings(preview))}</p>'
    for name, steps in preview.samples.items():
        yield f"<section><h2>{escape(name)}</h2>"
        for seen in steps:
            kind = ' class="rejected"' if seen.fate.failure else ""
            yield f"<h3{kind}>{seen.step.index + 1}. {escape(seen.step.name)}: {escape(_fate(seen))}</h3>"
            for question in seen.questions:
                yield from _question_page(seen, question)
        for result in preview.results.get(name, []):
            yield "<h3>Result</h3><pre>" + "\n".join(f"{escape(str(key))}: {escape(str(value))}" for key, value in result.items())
            yield "</pre>"
        yield "</section>"
    yield "</body></html>"


def _question_page(seen: StepPreview, question: RequestPreview) -> Iterator[str]:
    for part, picture in question.seen:
        yield f'<p class="note">{escape(part.label)}: {escape(_facts(picture))}</p><div>'
        if isinstance(picture, MediaFrames):
            yield from _tiles(part, picture)
        yield "</div>"
    yield f'<p class="note">{escape(_prompt_facts(question))}</p><pre>{escape(question.prompt)}</pre>'
    if question.outcome.failure:
        yield f'<p class="rejected">{escape(question.outcome.failure.code)}: {escape(question.outcome.failure.message)}</p>'
    yield "<ol>"
    for answer in question.outcome.answers:
        chosen = ' class="chosen"' if seen.chosen(answer) else ""
        yield f'<li{chosen}>{escape(answer.text)} <span class="note">({escape(_answer_facts(answer))})</span></li>'
    yield "</ol>"


def _tiles(part: Part, picture: MediaFrames) -> Iterator[str]:
    for number, pixels in enumerate(picture.pixels):
        caption = f"{picture.times[number]:.2f} s" if picture.times else part.kind
        data = base64.b64encode(jpeg(thumbnail(pixels, TILE))).decode()
        yield f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{data}"><figcaption>{caption}</figcaption></figure>'


def _fate(seen: StepPreview) -> str:
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


def _prompt_facts(question: RequestPreview) -> str:
    tokens = f"{question.outcome.prompt_tokens:,} tokens" if question.outcome.prompt_tokens else "tokens unknown"
    return tokens if question.templated else f"{tokens}; the chat template is not known here, so these are the parts"


def _answer_facts(answer: Answer) -> str:
    return f"{answer.finish_reason}, {answer.tokens:,} tokens, seed {answer.seed}"


def _timings(preview: Preview) -> str:
    steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in preview.seconds)
    return f"{len(preview.samples)} of {preview.total:,} samples; {steps} (the opening of models included)"
