"""The page of a preview in a real browser: it fits a phone and a desk, by day and by night, and its frames enlarge.

Needs Debian's `chromium`, and what `.ci/browser` names: Playwright, which drives it, and axe-core, which checks accessibility.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from preview_job import CAPTION

from juicecap.report.page import preview_page
from juicecap.runner.estimate.preview import Preview

pytestmark = pytest.mark.process

HERE = Path(__file__).parent.parent.parent / ".ci" / "browser"
PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def page(preview: Preview, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page, opened from a disk. Nothing is said on its console, and nothing asked of a network, whatever is done with it."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (.ci/browser/requirements.txt)")
    path = tmp_path_factory.mktemp("page") / "preview.html"
    path.write_text(preview_page(preview), encoding="utf-8")
    said: list[str] = []
    asked: set[str] = set()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        opened = browser.new_page()
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("request", lambda request: asked.add(request.url.partition(":")[0]))
        opened.goto(path.as_uri())
        yield opened
        browser.close()
    assert said == []
    assert asked == {"file"}


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    folders = [Path(each) for each in (*os.environ.get("NODE_PATH", "").split(os.pathsep), HERE / "node_modules") if each]
    found = [each / "axe-core" / "axe.min.js" for each in folders if (each / "axe-core" / "axe.min.js").exists()]
    if not found:
        pytest.skip("axe-core is not installed (npm ci in .ci/browser)")
    return found[0].read_text(encoding="utf-8")


def see(page: Any, width: int, scheme: str = "light", media: str = "screen") -> None:
    """Look at the page in a window of this width."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, media=media)


def violations(page: Any, axe: str, where: str) -> list[str]:
    """What is not accessible in an element, by the rules of axe-core."""
    page.evaluate(axe)
    found = page.evaluate("where => axe.run(where, {resultTypes: ['violations']})", where)["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_fits(page: Any, width: int, scheme: str) -> None:
    see(page, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(251, 250, 247)", "dark": "rgb(21, 22, 26)"}[scheme]
    captions, facts = (each.bounding_box() for each in page.query_selector_all("article:first-of-type .card"))
    assert (captions["y"] == facts["y"]) == (width == DESK), "two prompts stand side by side where there is room"
    size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
    assert page.evaluate(size.format(".said .text")) > page.evaluate(size.format(".said .facts")) * 1.3
    assert page.inner_text("article:first-of-type .said .text") == CAPTION
    assert page.title() == "Preview of two_prompts", "no script of a caption ran"


@pytest.mark.parametrize(("width", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_it_is_accessible(page: Any, axe: str, width: int, scheme: str) -> None:
    see(page, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert violations(page, axe, "html") == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_frame_enlarges_by_pointer_and_by_keyboard(page: Any, axe: str, width: int) -> None:
    see(page, width)
    frames = page.query_selector_all(".frames button")
    frames[1].click()
    large = page.query_selector("dialog img")
    assert page.evaluate("document.querySelector('dialog').open")
    assert large.get_attribute("alt") == "Frame 2 of 6, at 0.47 s, 0.mp4"
    assert large.bounding_box()["width"] > 2 * frames[1].bounding_box()["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(page, axe, "dialog") == []
    page.keyboard.press("ArrowRight")
    assert large.get_attribute("alt") == "Frame 3 of 6, at 0.93 s, 0.mp4"
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('dialog').open")
    assert page.evaluate("document.activeElement === document.querySelectorAll('.frames button')[2]")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('dialog').open")
    page.get_by_label("Previous frame").click()
    assert large.get_attribute("alt") == "Frame 2 of 6, at 0.47 s, 0.mp4"
    page.mouse.click(3, 3)
    assert not page.evaluate("document.querySelector('dialog').open"), "a click beside the frame closes it"


def test_it_prints_in_black_on_white_without_what_only_a_screen_can_do(page: Any) -> None:
    see(page, DESK, "dark", "print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible("nav")
    assert page.is_visible("article .said .text")
