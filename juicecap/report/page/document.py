"""The page as a whole, in one file that needs no other: its policy lets nothing in but what it brings along."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

import juicecap
from juicecap.media.picture import MediaFrames
from juicecap.recipe.work_dir import PAGE
from juicecap.report.page.frames import media_seen, side_of
from juicecap.report.page.html import Element, element, foreign
from juicecap.report.page.samples import article, badge
from juicecap.report.words import plural
from juicecap.runner.estimate.preview import Preview

ASSETS = Path(juicecap.__file__).parent / "assets" / "preview"

FEW = 3
"""Samples up to which the page has no list of them."""


def preview_page(preview: Preview) -> str:
    """The preview as an HTML page without other files. Values of the recipe's variables are not in it."""
    shown = preview.recipe.hidden.text
    style, script = _asset("page.css"), _asset("page.js")
    sources = f"img-src data:; style-src {_source(style)}; script-src {_source(script)}"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    head = (
        f"{PAGE.decode()}{escape(shown(preview.recipe.project_name))}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{style}</style></head>'
    )
    body = element("body", _header(preview), element("main", *_samples(preview)), _footer(preview), *_enlarged())
    return f"{head}{body.html(shown).removesuffix('</body>')}<script>{script}</script></body></html>\n"


def _header(preview: Preview) -> Element:
    count, recipe = len(preview.samples), preview.recipe
    seen = f"{plural(count, 'sample')} of {preview.total:,}, through {plural(len(recipe.steps), 'op')}"
    return element(
        "header",
        element("p", "juicecap preview", class_="facts"),
        element("h1", element("bdi", recipe.project_name)),
        element("p", f"{seen}. ", foreign("code", str(recipe.path)), class_="facts"),
        element("nav", element("ol", *_entries(preview)), aria_label="Samples") if count > FEW else None,
        class_="page",
    )


def _entries(preview: Preview) -> Iterator[Element]:
    for number, (name, steps) in enumerate(preview.samples.items(), start=1):
        link = element("a", element("bdi", name), href=f"#sample-{number}")
        yield element("li", link, " ", badge(steps, preview.results.get(name, [])))


def _samples(preview: Preview) -> Iterator[Element]:
    questions = [question for steps in preview.samples.values() for seen in steps for question in seen.questions]
    pictures = [picture for _, picture in media_seen(questions)]
    side = side_of(sum(len(picture.pixels) for picture in pictures if isinstance(picture, MediaFrames)))
    for number, (name, steps) in enumerate(preview.samples.items(), start=1):
        yield article(f"sample-{number}", name, steps, preview.results.get(name, []), side)


def _footer(preview: Preview) -> Element:
    times = [f"{step.label} {seconds:.2f}" for step, (_, seconds) in zip(preview.recipe.steps, preview.seconds, strict=False)]
    return element("footer", foreign("p", f"Seconds, with the opening of models: {', '.join(times)}"), class_="facts")


def _enlarged() -> Iterator[Element]:
    """The dialog in which a frame is large; the page's script puts the frame into it."""
    buttons = (
        element("button", sign, type="button", aria_label=name, class_=kind)
        for kind, sign, name in (("back", "←", "Previous frame"), ("on", "→", "Next frame"), ("close", "✕", "Close"))
    )
    yield element("dialog", element("img", alt=""), element("p", class_="facts"), *buttons, aria_label="Frame")


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """What the policy of a page calls a style or script that it lets in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
