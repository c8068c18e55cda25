"""Small clips that the demo model captions rightly, made-up answers, and what was logged."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from loguru import logger
from scripted import Clips, Script, describe_of

from juicecap import notice, secrecy
from juicecap.data.source.tables import foreign
from juicecap.isolated import IsolatedProcess
from juicecap.ops import registry
from juicecap.vlm import catalog
from juicecap.vlm.base import Answer, Outcome

if TYPE_CHECKING:
    from scripted_server import ScriptedServer

for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:  # as for tests that run in the background, whose programs would inherit it
        signal.signal(_number, _handler)

DEMO = "juicecap-demo-vlm"

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


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """What juicecap remembers as long as a process lives is after each test as it was before: warnings, user ops and keys."""
    before = [(memory, memory.copy()) for memory in (notice._said, notice._kinds, registry._registered, secrecy._known)]
    notice._said.clear()
    notice._kinds.clear()
    yield
    for memory, content in before:
        memory.clear()
        memory.update(content)


@pytest.fixture
def closed() -> Iterator[None]:
    """Engines of a test end with it."""
    from juicecap.vlm.pipeline import core

    yield
    core.close()


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
def said() -> Iterator[list[str]]:
    """The warnings that were logged."""
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


_numbers = itertools.count()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Stands in for the transformers backend, for models that no test before has named (`script.model`)."""
    known = Script(model=f"scripted-{next(_numbers)}")

    module = ModuleType("scripted_backend")
    module.describe = describe_of(known)
    monkeypatch.setitem(sys.modules, "scripted_backend", module)
    monkeypatch.setitem(
        catalog.BACKENDS, "hf", replace(catalog.BACKENDS["hf"], describe="scripted_backend:describe", libraries=())
    )
    return known
