"""A question as a card: the prompt, all answers, and which of them was taken."""

from __future__ import annotations

from collections.abc import Iterator

from juicecap.errors import MediaError
from juicecap.report.page.frames import short_name
from juicecap.report.page.html import Element, element, foreign
from juicecap.report.page.values import text
from juicecap.report.preview import answer_facts, prompt_facts
from juicecap.runner.estimate.preview import RequestPreview, StepPreview
from juicecap.vlm.base import Answer, Request


def card(seen: StepPreview, question: RequestPreview, *, name_media: bool) -> Element:
    """What an op asked and heard. `name_media`: the sample has several, so the card says which it is about."""
    request, outcome = question.request, question.outcome
    media = ", ".join(short_name(part) for part, _ in question.seen)
    unread = any(isinstance(picture, MediaError) for _, picture in question.seen)
    failed = outcome.failure if not unread else None  # which stands beside the medium
    return element(
        "section",
        element("h4", foreign("span", seen.step.label)),
        foreign("p", f"{request.model.model}" + (f" about {media}" if name_media and media else ""), class_="facts"),
        *(foreign("blockquote", said, class_="prompt") for said in _asked(request)),
        _whole_prompt(question)
        if not unread
        else element("p", "Not asked, since the model cannot be shown this.", class_="facts"),
        foreign("p", f"{failed.code}: {failed.message}", class_="bad") if failed else None,
        element("ol", *_answers(seen, outcome.answers), class_="answers") if outcome.answers else None,
        class_="card",
    )


def _asked(request: Request) -> Iterator[str]:
    """The texts of the last message, which is what the op asks."""
    for message in request.messages[-1:]:
        yield from (part.value.strip() for part in message.parts if part.kind == "text" and part.value.strip())


def _whole_prompt(question: RequestPreview) -> Element:
    summary = element("summary", f"Prompt as sent: {prompt_facts(question)}")
    return element("details", summary, foreign("pre", question.prompt), class_="facts")


def _answers(seen: StepPreview, answers: tuple[Answer, ...]) -> Iterator[Element]:
    taken = [seen.chosen(answer) for answer in answers]
    for answer, chosen in zip(answers, taken, strict=True):
        tag = element("span", "chosen", class_="tag") if chosen and len(answers) > 1 else None
        cut = element("span", "cut off", class_="tag bad") if answer.finish_reason == "length" else None
        kind = "passed" if len(answers) > 1 and not chosen and any(taken) else "said"
        thought = (
            element("details", element("summary", "Reasoning"), foreign("pre", answer.reasoning)) if answer.reasoning else None
        )
        facts = element("p", tag, cut, answer_facts(answer), class_="facts")
        yield element("li", text(answer.text), thought, facts, class_=kind)
