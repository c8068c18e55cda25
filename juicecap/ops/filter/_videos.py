"""What ops that read each video's header share: the rule for samples with several videos or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from juicecap.ops.options.media_options import MediaOptions
from juicecap.sample import Sample
from juicecap.vlm.base import Limits
from juicecap.vlm.pipeline import core

if TYPE_CHECKING:
    from juicecap.media.video.probe import VideoInfo

AnyOrAll = Literal["any", "all"]


def videos_pass(
    sample: Sample, video_key: str, any_or_all: AnyOrAll, passes: Callable[[VideoInfo], bool], media: MediaOptions
) -> bool:
    """Whether any, or all, of a sample's videos pass. A sample without videos passes.

    Raises:
        SampleError: a video cannot be probed; `BAD_FRAGMENT`.
    """
    limits = Limits(media=media.media_rules())
    verdicts = [passes(core.probe(path, limits, media.picture_fps)) for path in media.video_paths(sample, video_key)]
    if not verdicts:
        return True
    return any(verdicts) if any_or_all == "any" else all(verdicts)
