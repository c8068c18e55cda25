"""Synthetic scenes: a coloured shape over a plain background that moves in one direction or stands still.

One `Scene` fixes everything that can be seen; `render` draws any instant of it at any size, `answers` says what is true of
it, and `encode` writes it as a real h264 file. Training, the demo clips and the accuracy benchmark all draw from here, each
from its own range of generator seeds, so that no scene is ever both learned and tested.

Not covered: more than one object, curved paths, changes of speed, audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

SHAPES = ("circle", "square", "triangle")
COLORS = {
    "red": (215, 40, 40),
    "green": (45, 165, 60),
    "blue": (45, 75, 225),
    "yellow": (240, 220, 45),
    "orange": (245, 140, 25),
    "purple": (140, 50, 190),
    "pink": (250, 135, 195),
    "cyan": (60, 210, 220),
}
BACKGROUNDS = {"black": (14, 14, 14), "white": (238, 238, 238), "gray": (122, 122, 122), "brown": (105, 66, 38)}
MOTIONS = ("left", "right", "up", "down", "still")
REVERSED = {"left": "right", "right": "left", "up": "down", "down": "up", "still": "still"}

# Centres lie well inside a third of the frame, so that the name of a place is never a matter of taste.
_BANDS = ((0.17, 0.28), (0.42, 0.58), (0.72, 0.83))
_MIN_TRAVEL = 0.24
_ROWS, _COLUMNS = ("top", "", "bottom"), ("left", "", "right")

SHORT_PROMPT = "Describe the input video in 1-2 sentences."
DETAIL_PROMPT = "Please describe the video in detail."
IMAGE_PROMPT = "Please describe the image in detail."
COLOR_PROMPT = "What color is the object?"
SHAPE_PROMPT = "What shape is the object?"
MOTION_PROMPT = "How does the object move?"
BACKGROUND_PROMPT = "What color is the background?"
START_PROMPT = "Where is the object at the start?"
END_PROMPT = "Where is the object at the end?"
PATH_PROMPT = "Where is the object over time?"


@dataclass(frozen=True)
class Scene:
    """What is seen. Positions are fractions of width and height, the radius is a fraction of the shorter side."""

    shape: str
    color: str
    background: str
    motion: str
    start: tuple[float, float]
    end: tuple[float, float]
    radius: float
    color_rgb: tuple[int, int, int]
    background_rgb: tuple[int, int, int]
    noise: float
    """Standard deviation of the sensor noise at full size, in grey levels."""

    def backwards(self) -> Scene:
        """The same scene with time reversed."""
        return replace(self, motion=REVERSED[self.motion], start=self.end, end=self.start)

    def at(self, fraction: float) -> tuple[float, float]:
        """Where the centre is when `fraction` (0 to 1) of the time has gone."""
        (x0, y0), (x1, y1) = self.start, self.end
        return x0 + (x1 - x0) * fraction, y0 + (y1 - y0) * fraction


def random_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene; every choice comes from `rng`."""
    color, background = str(rng.choice(list(COLORS))), str(rng.choice(list(BACKGROUNDS)))
    motion = str(rng.choice(MOTIONS))
    start, end = _path(rng, motion)
    brightness = rng.uniform(0.82, 1.08)
    return Scene(
        shape=str(rng.choice(SHAPES)),
        color=color,
        background=background,
        motion=motion,
        start=start,
        end=end,
        radius=float(rng.uniform(0.17, 0.27)),
        color_rgb=_vary(rng, COLORS[color], brightness),
        background_rgb=_vary(rng, BACKGROUNDS[background], brightness),
        noise=float(rng.uniform(0.0, 9.0)),
    )


def _path(rng: np.random.Generator, motion: str) -> tuple[tuple[float, float], tuple[float, float]]:
    across, along = rng.uniform(*_BANDS[rng.integers(3)]), rng.uniform(*_BANDS[rng.integers(3)])
    if motion == "still":
        return (along, across), (along, across)
    while True:
        first, last = sorted(rng.choice(3, 2, replace=False))
        near, far = rng.uniform(*_BANDS[first]), rng.uniform(*_BANDS[last])
        if far - near >= _MIN_TRAVEL:
            break
    begin, finish = (near, far) if motion in ("right", "down") else (far, near)
    if motion in ("left", "right"):
        return (begin, across), (finish, across)
    return (across, begin), (across, finish)


def _vary(rng: np.random.Generator, rgb: tuple[int, int, int], brightness: float) -> tuple[int, int, int]:
    varied = np.clip(np.asarray(rgb) * brightness + rng.uniform(-9, 9, 3), 0, 255)
    return int(varied[0]), int(varied[1]), int(varied[2])


def place(position: tuple[float, float]) -> str:
    """The name of the ninth of the frame in which a centre lies: `top left`, `left`, `center`, …"""
    column, row = _COLUMNS[min(2, int(position[0] * 3))], _ROWS[min(2, int(position[1] * 3))]
    return f"{row} {column}".strip() or "center"


def _subject(scene: Scene) -> str:
    article = "an" if scene.color == "orange" else "a"
    return f"{article} {scene.color} {scene.shape}"


def caption(scene: Scene) -> str:
    """The short caption."""
    motion = "stands still" if scene.motion == "still" else f"moves {scene.motion}"
    subject = _subject(scene)
    return f"{subject[0].upper()}{subject[1:]} {motion} over a {scene.background} background."


def detailed_caption(scene: Scene) -> str:
    """The long caption, which also says where the shape starts and ends."""
    subject = f"The video shows {_subject(scene)} over a {scene.background} background."
    if scene.motion == "still":
        return f"{subject} It stands still at the {place(scene.start)}."
    return f"{subject} It starts at the {place(scene.start)}, moves {scene.motion} and ends at the {place(scene.end)}."


def image_caption(scene: Scene) -> str:
    """The caption of the first frame as a picture."""
    return f"The image shows {_subject(scene)} over a {scene.background} background. It is at the {place(scene.start)}."


def video_answers(scene: Scene) -> dict[str, str]:
    """What the model is to answer to each prompt about a video of this scene."""
    spots = [place(scene.at(fraction)) for fraction in (0.0, 0.5, 1.0)]
    return {
        SHORT_PROMPT: caption(scene),
        DETAIL_PROMPT: detailed_caption(scene),
        COLOR_PROMPT: scene.color,
        SHAPE_PROMPT: scene.shape,
        MOTION_PROMPT: "It stands still." if scene.motion == "still" else f"It moves {scene.motion}.",
        BACKGROUND_PROMPT: scene.background,
        START_PROMPT: spots[0],
        END_PROMPT: spots[2],
        PATH_PROMPT: f"{spots[0]}, {spots[2]}",
    }


def image_answers(scene: Scene) -> dict[str, str]:
    """What the model is to answer to each prompt about a picture of this scene's first instant."""
    return {
        IMAGE_PROMPT: image_caption(scene),
        COLOR_PROMPT: scene.color,
        SHAPE_PROMPT: scene.shape,
        BACKGROUND_PROMPT: scene.background,
    }


def render(scene: Scene, fraction: float, width: int, height: int, noise: Noise | None = None) -> np.ndarray:
    """Draw the instant when `fraction` of the time has gone; returns (height, width, 3) uint8."""
    x, y = scene.at(fraction)
    radius = scene.radius * min(width, height)
    frame = np.empty((height, width, 3), np.int16)
    frame[:] = scene.background_rgb
    left, right = max(0, int(x * width - 1.3 * radius) - 1), min(width, int(x * width + 1.3 * radius) + 3)
    top, bottom = max(0, int(y * height - 1.3 * radius) - 1), min(height, int(y * height + 1.3 * radius) + 3)
    dx = np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - x * width
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - y * height
    cover = np.clip(0.5 - _distance(scene.shape, dx, dy, radius), 0, 1)[..., None]
    box = frame[top:bottom, left:right]
    box += np.rint(cover * (np.asarray(scene.color_rgb, np.float32) - box)).astype(np.int16)
    if noise is not None:
        frame += noise.field()
    return np.clip(frame, 0, 255).astype(np.uint8)


class Noise:
    """Sensor noise: windows at random places of one field that is drawn once for a clip."""

    _SPARE = 48

    def __init__(self, deviation: float, width: int, height: int, rng: np.random.Generator) -> None:
        self._size, self._rng = (height, width), rng
        shape = (height + self._SPARE, width + self._SPARE, 3)
        self._field = np.rint(deviation * rng.standard_normal(shape, np.float32)).astype(np.int16)

    def field(self) -> np.ndarray:
        """(height, width, 3) int16 of grey levels to add."""
        top, left = self._rng.integers(0, self._SPARE, 2)
        return self._field[top : top + self._size[0], left : left + self._size[1]]


def _distance(shape: str, dx: np.ndarray, dy: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance to the outline in pixels, negative inside. The three shapes cover about the same area."""
    if shape == "circle":
        return np.sqrt(dx * dx + dy * dy) - radius
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - 0.89 * radius
    inner = 0.62 * radius  # inradius of an upright equilateral triangle
    return np.maximum(dy, 0.8660254 * np.abs(dx) - 0.5 * dy) - inner


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """An even width and height from 64x64 to 640x360 with a usual aspect ratio (9:16 to 16:9)."""
    while True:
        width, height = 2 * int(rng.integers(32, 321)), 2 * int(rng.integers(32, 181))
        if 9 / 16 <= width / height <= 16 / 9 + 0.01:
            return width, height


@dataclass(frozen=True)
class ClipFormat:
    """How a scene is filmed: size in pixels, frames per second, number of frames."""

    width: int
    height: int
    fps: int
    frames: int


def random_format(rng: np.random.Generator) -> ClipFormat:
    """64x64 to 640x360, 8 to 30 frames per second, 1 to 8 seconds."""
    width, height = random_size(rng)
    fps = int(rng.integers(8, 31))
    return ClipFormat(width, height, fps, round(fps * rng.uniform(1.0, 8.0)))


def frames(scene: Scene, form: ClipFormat, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All frames of the clip, in order."""
    noise = Noise(scene.noise, form.width, form.height, rng)
    for index in range(form.frames):
        yield render(scene, index / max(1, form.frames - 1), form.width, form.height, noise)


def encode(images: Iterable[np.ndarray], fps: int, path: Path, *, crf: int = 23, preset: str = "veryfast") -> None:
    """Write frames (height, width, 3) uint8 as an h264 file in yuv420p: the same bytes each time."""
    steady = {"x264-params": "mbtree=0"}  # the macroblock tree differs now and then
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": preset, **steady})
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for index, image in enumerate(images):
            if index == 0:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
