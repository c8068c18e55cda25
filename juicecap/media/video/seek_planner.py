"""Going forward through a video from instant to instant: what lies between is decoded, or sought over.

A file's index, where it has one, says whether a key frame lies ahead. Where it does not reach, a seek is tried over long
gaps, and what such tries teach about the distance of key frames decides about the next ones.
"""

from __future__ import annotations

from juicecap.media.sampling import TIME_TOLERANCE
from juicecap.media.video.reader import FrameReader, TimedFrame

REORDER_SLACK = 16
"""Frames by which a key frame in the index (sorted by decoding time) may be shown later than the index says."""

BLIND_SEEK_GAP = 4.0
"""Seconds to the next instant from which on a seek is tried where the index does not tell; doubled by each try in vain."""


class SeekPlanner:
    """`frame_at` takes instants that do not decrease."""

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader
        self._current: TimedFrame | None = None
        self._lead = REORDER_SLACK / reader.fps
        self._gap = BLIND_SEEK_GAP

    def frame_at(self, time: float) -> TimedFrame | None:
        """The frame on screen at `time` with its own time; None if nothing can be decoded."""
        reader = self._reader
        reader.wanted = time + TIME_TOLERANCE
        if reader.upcoming and self._seek_saves_work(reader.upcoming[0], time):
            self._skip_towards(reader.upcoming[0], time)
        while reader.upcoming and (self._current is None or reader.upcoming[0] <= reader.wanted):
            self._current = reader.advance()
        return self._current

    def _seek_saves_work(self, here: float, time: float) -> bool:
        """Whether a seek to `time` may save work."""
        if not self._reader.can_seek:
            return False
        wanted = time - self._lead
        key_frame = self._reader.indexed_key_frame(wanted)
        if key_frame is not None and key_frame > here:
            return True
        return wanted - here > self._gap and not self._reader.index_reaches(wanted)

    def _skip_towards(self, here: float, time: float) -> None:
        """Seek to a key frame before `time`. If all lead too far, come back to `here`."""
        reader = self._reader
        while time - self._lead > here and reader.seek(time - self._lead):
            landed = reader.upcoming[0] if reader.upcoming else None
            if landed is not None and landed <= time + TIME_TOLERANCE:
                if landed < here:
                    self._gap *= 2
                return
            overshot = landed - time if landed is not None else 0.0
            self._lead = 2 * self._lead + overshot
        if (reader.upcoming is None or reader.upcoming[0] > here) and reader.rewind():
            while reader.upcoming and reader.upcoming[0] < here:
                reader.advance()
