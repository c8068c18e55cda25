"""A sample: its frames, what was asked and answered, what each op did with it, and what it became."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from juicecap.nested import value_of
from juicecap.report.page.answers import card
from juicecap.report.page.changes import changed, changes
from juicecap.report.page.frames import media_seen, strip
from juicecap.report.page.html import Element, element, foreign
from juicecap.report.page.values import record, value
from juicecap.report.preview import fate
from juicecap.report.words import as_json, plural
from juicecap.runner.estimate.preview import StepPreview
from juicecap.sample import Sample, visible


def article(anchor: str, name: str, steps: list[StepPreview], results: list[Sample], side: int) -> Element:
    """Everything about a sample. `side` is that of `frames.side_of`."""
    questions = [(seen, question) for seen in steps for question in seen.questions]
    media = media_seen(question for _, question in questions)
    cards = [card(seen, question, name_media=len(media) > 1) for seen, question in questions]
    return element(
        "article",
        element("header", element("h2", element("bdi", name)), badge(steps, results), *_loss(steps, results)),
        *(strip(part, picture, side) for part, picture in media),
        element("h3", "Asked and answered") if cards else None,
        element("div", *cards, class_="cards") if cards else None,
        element("h3", "What each op did"),
        element("ol", *map(_step, steps), class_="steps"),
        *_results(steps, results),
        id=anchor,
    )


def badge(steps: list[StepPreview], results: list[Sample]) -> Element:
    """What became of a sample, in a word or two."""
    if results:
        return element("span", "kept" if len(results) == 1 else f"{len(results):,} results", class_="badge kept")
    failed = any(seen.fate.failure for seen in steps)
    return element("span", "rejected" if failed else "filtered out", class_=f"badge {'rejected' if failed else 'filtered'}")


def _loss(steps: list[StepPreview], results: list[Sample]) -> Iterator[Element]:
    """Which ops took the sample away, and why, if nothing is left of it."""
    for seen in steps if not results else ():
        if not seen.fate.outputs:
            why = f": {seen.fate.failure}" if seen.fate.failure else ""
            yield foreign("p", f"by {seen.step.label}{why}", class_=_tone(seen))


def _tone(seen: StepPreview) -> str:
    """The class of words about what became of a sample."""
    return "facts" if seen.fate.outputs else "bad" if seen.fate.failure else "warn"


def _step(seen: StepPreview) -> Element:
    said = f"rejected, {seen.fate.failure.code}" if seen.fate.failure else fate(seen)
    words = foreign("span", said, class_=_tone(seen))
    name = element("p", foreign("span", seen.step.label, class_="name"), " ", words)
    return element("li", name, *_grounds(seen), *_changes(seen))


def _grounds(seen: StepPreview) -> Iterator[Element]:
    """What a filter went by: what was measured, or the columns that it reads; and its settings, if it dropped the sample."""
    for _, outcome in seen.measured:
        if outcome.failure is None:
            yield foreign("p", _brief(_told(outcome.value, seen.step.settings)), class_="facts")
    if seen.fate.kind != "filtered":
        return
    if not seen.measured:
        for _, column in seen.step.op.columns_required():
            found = value_of(seen.fate.sample, column)
            length = f" ({plural(len(found), 'character')})" if isinstance(found, str) else ""
            yield element("div", element("p", element("bdi", column), length, class_="facts"), value(found), class_="grounds")
    if seen.step.settings:
        yield element("p", "The recipe says ", foreign("code", _brief(seen.step.settings)), class_="facts")


def _told(measured: Any, settings: Mapping[str, Any]) -> Any:
    """Of several measured values those that the settings name (`min_width`: `width`), else all that say something."""
    if not isinstance(measured, Mapping):
        return measured
    words = {word for name in settings for word in name.split("_")}
    return {key: each for key, each in measured.items() if key in words} or {key: each for key, each in measured.items() if each}


def _brief(facts: Any) -> str:
    """Measured values, or settings, on a line."""
    if not isinstance(facts, Mapping):
        return _short(facts)
    return " · ".join(f"{key}: {_short(each)}" for key, each in facts.items() if each is not None)


def _short(fact: Any) -> str:
    if isinstance(fact, float):
        return f"{fact:.4g}"
    return fact if isinstance(fact, str) else as_json(fact)


def _changes(seen: StepPreview) -> Iterator[Element]:
    """Before and after; of an op that asked a model, whose answers stand above, behind a line."""
    before = visible(seen.fate.sample)
    pairs = [(before, after) for after in map(visible, seen.fate.outputs) if changed(before, after)]
    for number, (old, new) in enumerate(pairs, start=1):
        which = f"output {number} of {len(pairs)}, " if len(pairs) > 1 else ""
        shown = changes(old, new)
        if seen.questions:
            yield element("details", element("summary", f"{which}before and after", class_="facts"), shown)
        else:
            yield shown


def _results(steps: list[StepPreview], results: list[Sample]) -> Iterator[Element]:
    first = visible(steps[0].fate.sample) if steps else {}
    for number, result in enumerate(results, start=1):
        yield element("h3", "Result" if len(results) == 1 else f"Result {number} of {len(results)}")
        yield record(result, {key: "changed" if key in first else "new" for key in changed(first, result)})
    if first:
        yield element("details", element("summary", "The sample as it was read"), record(first), class_="facts")
