"""How much of what was asked for a file does not give, and what is left of it.

The share is counted over the instants of the first sampling, by what the file's own index and packets promise: an instant is lost
if the picture that they have for it lies behind the end of the file, is encrypted, or was refused by the decoder. What only a
header says promises nothing. A picture whose errors the decoder conceals is no loss.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from juicecap.errors import MediaError
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import TIME_TOLERANCE, FrameSampling, target_times
from juicecap.media.video.probe import VideoInfo
from juicecap.sample import display_path


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What came of one pass: at each of the instants (`times`) the time of the frame that was on screen, None if there was none.

    `lost` are the times of the pictures that could not be decoded, in order; `encrypted` counts those of them that are
    encrypted; `unreadable` counts damaged packets, and `ended` says that the pass went to the end of the file.
    """

    times: Sequence[float]
    on_screen: Sequence[float | None]
    lost: Sequence[float]
    encrypted: int
    unreadable: int
    ended: bool


@dataclass(frozen=True, kw_only=True)
class Damage:
    """The share of the frames asked for that could not be had, and what is wrong with the file in words; empty of a whole one."""

    share: float = 0.0
    words: str = ""


def damage_of(sampled: Sampled, info: VideoInfo, sampling: FrameSampling, *, in_secret: bool) -> Damage:
    """The damage that a first sampling met."""
    promised = target_times(sampling, duration=info.duration + info.missing)
    behind = sum(time >= info.duration - TIME_TOLERANCE for time in promised) / len(promised) if info.missing else 0.0
    before_end = sampled.lost[: bisect_left(sampled.lost, info.duration - 0.5 / info.fps)] if info.missing else sampled.lost
    lost = sum(_is_lost(*each, before_end) for each in zip(sampled.times, sampled.on_screen, strict=True))
    share = behind + (1 - behind) * lost / len(sampled.times)
    said = []
    if info.cut_off:
        said.append("the file is cut off")
    if sampled.encrypted or in_secret:
        said.append("a part of it is encrypted")
    if sampled.unreadable:
        said.append(f"{sampled.unreadable} {'packet' if sampled.unreadable == 1 else 'packets'} cannot be read")
    if share:
        said.append(f"{share:.0%} of the frames asked for are lost")
    return Damage(share=share, words="; ".join(said))


def refusal(path: str, damage: Damage, rules: MediaLimits, *, in_secret: bool) -> MediaError | None:
    """The error of a file that is damaged by more than the rules allow."""
    if damage.share <= rules.max_damage:
        return None
    name, lost = display_path(path), f"{damage.words}, more than {rules.max_damage:.0%} (media_max_damage)"
    if in_secret:
        return MediaError("ENCRYPTED", f"{name} is encrypted: {lost}")
    return MediaError("DAMAGED", f"{name} is damaged: {lost}")


def frames_end(sampled: Sampled, info: VideoInfo) -> float | None:
    """Where the frames end, if more than one instant lies behind the last frame that came; None if all is well."""
    last, step = sampled.on_screen[-1], 1 / info.fps
    if last is None or not sampled.ended:
        return None
    if sum(time > last + step + TIME_TOLERANCE for time in sampled.times) <= 1:
        return None
    behind = bisect_right(sampled.lost, last)
    return sampled.lost[behind] if behind < len(sampled.lost) else last + step


def _is_lost(time: float, shown: float | None, lost: Sequence[float]) -> bool:
    """Whether another picture than the one shown was to be on screen at a time."""
    until = bisect_right(lost, time + TIME_TOLERANCE)
    since = 0 if shown is None or shown > time + TIME_TOLERANCE else bisect_left(lost, shown)
    return until > since
