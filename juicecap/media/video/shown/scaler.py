"""A decoded frame as upright RGB of the size that is wanted.

libswscale scales in the frame's own coding, before anything is turned or converted: the smaller picture is the cheaper one.
Frames that can be transparent are laid on white first, as pictures are, so that what lies under them does not bleed out.
"""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, Interpolation, VideoReformatter

from juicecap.media.video.shown.orientation import Orientation
from juicecap.media.video.shown.tone_mapping import Conversion

_UNSPECIFIED = 2
_OPAQUE = 255


class Scaler:
    """Scales the frames of one film. `tone_mapped` tells whether one of them was HDR, and was made SDR."""

    def __init__(self, orientation: Orientation, size: tuple[int, int]) -> None:
        self._orientation = orientation
        self._width, self._height = orientation.stored(*size)
        self._to_size, self._to_rgba = VideoReformatter(), VideoReformatter()
        self.tone_mapped = False

    def scaled(self, frame: VideoFrame) -> np.ndarray:
        """(height, width, 3) uint8, BT.709 in SDR on white, upright."""
        conversion = _conversion_of(frame)
        if conversion is None:
            pixels = self._resized(_on_white(frame, self._to_rgba) if _may_be_transparent(frame) else frame, "rgb24")
        else:
            pixels = conversion.applied(self._resized(frame, "rgb48le", _matrix_of(frame)))
            self.tone_mapped |= conversion.pq
        return self._orientation.upright(pixels)

    def _resized(self, frame: VideoFrame, pixel_format: str, matrix: Colorspace | None = None) -> np.ndarray:
        return self._to_size.reformat(
            frame,
            width=self._width,
            height=self._height,
            format=pixel_format,
            src_colorspace=matrix,
            interpolation=Interpolation.BICUBIC,
            threads=1,
        ).to_ndarray()


def _conversion_of(frame: VideoFrame) -> Conversion | None:
    """What is to be done to make BT.709 in SDR of a frame; None if it is that, as far as it says."""
    pq = frame.color_trc == ColorTrc.SMPTE2084
    wide = frame.color_primaries == ColorPrimaries.BT2020 or (pq and frame.color_primaries == _UNSPECIFIED)
    return Conversion(pq, wide) if pq or wide else None


def _matrix_of(frame: VideoFrame) -> Colorspace | None:
    """BT.2020's for a frame that does not name the matrix that made it YUV; None: the one that it names."""
    return Colorspace.BT2020 if frame.colorspace == _UNSPECIFIED else None


def _may_be_transparent(frame: VideoFrame) -> bool:
    kind = frame.format
    return kind.has_palette or any(component.is_alpha for component in kind.components)


def _on_white(frame: VideoFrame, to_rgba: VideoReformatter) -> VideoFrame:
    """The frame on white; the frame itself if nothing in it is transparent."""
    pixels = to_rgba.reformat(frame, format="rgba", threads=1).to_ndarray()
    alpha = pixels[..., 3:]
    if alpha.min(initial=_OPAQUE) == _OPAQUE:
        return frame
    laid = pixels[..., :3] * alpha.astype(np.uint32) + _OPAQUE * (_OPAQUE - alpha.astype(np.uint32))
    return VideoFrame.from_ndarray(((laid + _OPAQUE // 2) // _OPAQUE).astype(np.uint8), format="rgb24")
