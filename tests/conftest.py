"""Small clips that the demo model captions rightly, made-up answers, and what was logged."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from loguru import logger

from juicecap import notice
from juicecap.data.source.tables import foreign
from juicecap.isolated import IsolatedProcess
from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.vlm import catalog
from juicecap.vlm.base import Answer, Capabilities, Failure, ModelSettings, Outcome, Prepared

if TYPE_CHECKING:
    from scripted_server import ScriptedServer

for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:  # as for tests that run in the background, whose programs would inherit it
        signal.signal(_number, _handler)

DEMO = "juicecap-demo-vlm"

SIXTEEN = PixelBudget(factor=16, shortest=256, longest=256)
"""Frames of 16x16 pixels, if they are square."""

_PATHS = {
    "right": ((0.2, 0.5), (0.8, 0.5)),
    "left": ((0.8, 0.5), (0.2, 0.5)),
    "up": ((0.5, 0.8), (0.5, 0.2)),
    "down": ((0.5, 0.2), (0.5, 0.8)),
    "still": ((0.5, 0.5), (0.5, 0.5)),
}
_SCENES = [
    ("circle", "red", "black", "right"),
    ("square", "green", "white", "left"),
    ("triangle", "blue", "gray", "up"),
    ("circle", "yellow", "brown", "down"),
    ("square", "orange", "black", "still"),
    ("triangle", "purple", "white", "right"),
    ("circle", "cyan", "gray", "left"),
    ("square", "pink", "brown", "up"),
    ("circle", "blue", "white", "down"),
    ("square", "red", "gray", "right"),
    ("triangle", "green", "black", "left"),
    ("square", "yellow", "black", "down"),
]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With JUICECAP_NO_SKIPS a skipped test, or a skipped file, fails the run: CI's lanes have all that their tests need."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("JUICECAP_NO_SKIPS") and reporter.stats.get("skipped"):
        reporter.write_line("\nJUICECAP_NO_SKIPS is set, and tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@dataclass(frozen=True)
class Clips:
    """Clips of 64x64 pixels, 24 frames, 12 frames per second: their paths, and what is true of them."""

    folder: Path
    paths: list[str]
    captions: list[str]
    details: list[str]

    def text(self, *numbers: int) -> str:
        """One chunk with the captions of these clips."""
        return "".join(f"<__dj__video> {self.captions[number]} " for number in numbers) + "<|__dj__eoc|>"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A scripted server, whose key is set."""
    from scripted_server import KEY, KEY_NAME, ScriptedServer

    monkeypatch.setenv(KEY_NAME, KEY)
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of its own of so much (`64k`, `1m`), for who may mount one."""
    places: list[Path] = []

    def mounted(size: str) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("only root may mount a file system")
        places.append(place)
        return place

    yield mounted
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="session")
def film() -> Callable[..., Any]:
    """Film a scene: `film(path, shape, color, background, motion, frames=24, fps=12, size=(64, 64))`."""
    import synthetic_clips as clips

    def filmed(path: Path, *what: str, frames: int = 24, fps: int = 12, size: tuple[int, int] = (64, 64)) -> clips.Scene:
        shape, color, background, motion = what
        begin, end = _PATHS[motion]
        scene = clips.Scene(
            shape=shape,
            color=color,
            background=background,
            motion=motion,
            start=begin,
            end=end,
            radius=0.22,
            color_rgb=clips.COLORS[color],
            background_rgb=clips.BACKGROUNDS[background],
            noise=0.0,
        )
        images = clips.frames(scene, clips.ClipFormat(*size, fps, frames), np.random.default_rng(0))
        clips.encode(images, fps, path)
        return scene

    return filmed


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, film: Callable[..., Any]) -> Clips:
    """Twelve clips, all different."""
    import synthetic_clips

    folder = tmp_path_factory.mktemp("clips")
    paths = [str(folder / f"{number:02}.mp4") for number in range(len(_SCENES))]
    scenes = [film(Path(path), *what) for path, what in zip(paths, _SCENES, strict=True)]
    return Clips(
        folder,
        paths,
        [synthetic_clips.caption(scene) for scene in scenes],
        [synthetic_clips.detailed_caption(scene) for scene in scenes],
    )


@pytest.fixture(scope="module")
def one_child() -> Iterator[None]:
    """Foreign files are read by one child process for all tests of the module, which need not wait for its start each time."""

    class Kept(IsolatedProcess):
        def __exit__(self, *_: object) -> None:
            pass

    kept = Kept(memory=foreign.MEMORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreign, "IsolatedProcess", lambda memory: kept)
        yield
    kept.close()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The warnings that were logged; nothing counts as said before."""
    monkeypatch.setattr(notice, "_said", set())
    monkeypatch.setattr(notice, "_kinds", Counter())
    messages: list[str] = []
    sink = logger.add(lambda message: messages.append(message.record["message"]), level="WARNING")
    yield messages
    logger.remove(sink)


@pytest.fixture
def outcome() -> Callable[..., Outcome]:
    """A made-up outcome: `outcome("first candidate", "second", seed=7, finish="stop")`."""

    def made(*texts: str, seed: int = 7, finish: str = "stop") -> Outcome:
        answers = tuple(
            Answer(text=text, finish_reason=finish, tokens=len(text.split()), seed=seed + index)
            for index, text in enumerate(texts)
        )
        return Outcome(answers=answers, seed=seed, prompt_tokens=100, revision="r1", frame_times=((0.0, 0.5),))

    return made


def prompt_of(prepared: Prepared) -> str:
    """The last text of a request."""
    return [part.value for message in prepared.request.messages for part in message.parts if part.kind == "text"][-1]


@dataclass
class Script:
    """A backend without a model: answers with what its request shows, and notes what it is asked.

    A request whose text part is a key of `answers` gets those (an exception there is raised); one whose text is a key of
    `gates` is answered once that is set; `trouble`, if set, is raised by the next `open`.
    """

    answers: dict[str, Sequence[str] | Failure | BaseException] = field(default_factory=dict)
    trouble: BaseException | None = None
    transport_choice: str = ""
    identified: list[ModelSettings] = field(default_factory=list)
    opened: list[ModelSettings] = field(default_factory=list)
    closed: list[ModelSettings] = field(default_factory=list)
    batches: list[list[Prepared]] = field(default_factory=list)
    model: str = ""
    together: int = 16
    calls: int = 1
    takes_files: bool = False
    gates: dict[str, threading.Event] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0

    def answer(self, prepared: Prepared) -> Outcome:
        """What the backend says to one request."""
        asked = prompt_of(prepared)
        texts = self.answers.get(asked, [f"{asked} {number}" for number in range(prepared.request.candidates)])
        if isinstance(texts, BaseException):
            raise texts
        if isinstance(texts, Failure):
            return Outcome(failure=texts, seed=prepared.seed)
        answers = tuple(
            Answer(text=text, finish_reason="stop", tokens=1, seed=prepared.seed + index) for index, text in enumerate(texts)
        )
        return Outcome(answers=answers[prepared.first :], seed=prepared.seed, prompt_tokens=5, revision="scripted")


_numbers = itertools.count()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Stands in for the transformers backend, for models that no test before has named (`script.model`)."""
    known = Script(model=f"scripted-{next(_numbers)}")

    class Backend:
        def __init__(self, settings: ModelSettings) -> None:
            self.settings = settings

        async def identify(self, transport_choice: str = "") -> str:
            known.identified.append(self.settings)
            return known.transport_choice

        async def open(self) -> None:
            trouble, known.trouble = known.trouble, None
            if trouble:
                raise trouble
            known.opened.append(self.settings)

        def identity(self) -> str:
            return self.settings.model.partition("-")[0]

        def capabilities(self) -> Capabilities:
            sizes = FrameSizes(video=SIXTEEN, image=SIXTEEN)
            return Capabilities(
                sizes=sizes, batch_size=known.together, max_concurrent_calls=known.calls, takes_files=known.takes_files
            )

        async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
            known.batches.append(list(batch))
            known.under_way += 1
            known.most_under_way = max(known.most_under_way, known.under_way)
            try:
                for gate in [known.gates[text] for text in map(prompt_of, batch) if text in known.gates]:
                    assert await asyncio.to_thread(gate.wait, 30)
                return [known.answer(each) for each in batch]
            finally:
                known.under_way -= 1

        async def close(self) -> None:
            known.closed.append(self.settings)

    module = ModuleType("scripted_backend")
    module.Backend = Backend
    monkeypatch.setitem(sys.modules, "scripted_backend", module)
    monkeypatch.setitem(catalog.BACKENDS, "hf", replace(catalog.BACKENDS["hf"], backend="scripted_backend:Backend", libraries=()))
    return known
