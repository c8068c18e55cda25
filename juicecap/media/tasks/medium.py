"""What a task gets: a medium, which it opens as everything else does, within the limits of media."""

from __future__ import annotations

from dataclasses import dataclass

from juicecap.fragment import WHOLE, Span
from juicecap.media.load import load_frames, video_info
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import PICTURE_FPS, FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.video.probe import VideoInfo


@dataclass(frozen=True, kw_only=True)
class Medium:
    """A video or an image; of a video the part `span`, as if it were a film of its own."""

    kind: str
    path: str
    pictures: tuple[str, ...] = ()
    span: Span = WHOLE
    rules: MediaLimits = DEFAULT_RULES

    def info(self, picture_fps: float = PICTURE_FPS) -> VideoInfo:
        """The facts in the header of a video.

        Raises:
            MediaError: as `video_info`.
        """
        return video_info(self.path, self.rules, pictures=self.pictures, picture_fps=picture_fps, span=self.span)

    def frames(self, sampling: FrameSampling, sizes: FrameSizes | None = None) -> MediaFrames:
        """Frames of a video, or the image, in their own size unless `sizes` gives another.

        Raises:
            MediaError: as `load_frames`.
        """
        film = {"pictures": self.pictures, "span": self.span}
        return load_frames(self.kind, self.path, sampling, sizes or FrameSizes(), **film, rules=self.rules)  # type: ignore[arg-type]
