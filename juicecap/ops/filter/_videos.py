"""What ops that read each video's header share: the rule for samples with several videos or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from juicecap.ops.options.media_options import MediaOptions
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome
from juicecap.vlm.measurement import Measurement

AnyOrAll = Literal["any", "all"]


def headers_of(sample: Sample, video_key: str, media: MediaOptions) -> list[Measurement]:
    """The measurements of the headers of a sample's videos.

    Raises:
        SampleError: as `MediaOptions.video_paths`.
    """
    return [Measurement.of_header(path, media.picture_fps) for path in media.video_paths(sample, video_key)]


def measured_of(outcomes: Sequence[Outcome], *names: str) -> dict[str, Any]:
    """These facts of the headers: a value each, or of several videos a list."""
    headers = [outcome.value for outcome in outcomes]
    return {name: headers[0][name] if len(headers) == 1 else [header[name] for header in headers] for name in names}


def rule_wanted(any_or_all: AnyOrAll) -> dict[str, Any]:
    """The rule for several videos as a limit, if it is not the usual one; for `Op.wanted`."""
    return {} if any_or_all == "any" else {"any_or_all": any_or_all}


def videos_pass(outcomes: Sequence[Outcome], any_or_all: AnyOrAll, passes: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether any, or all, of a sample's videos pass by their headers. A sample without videos passes."""
    verdicts = [passes(outcome.value) for outcome in outcomes]
    if not verdicts:
        return True
    return any(verdicts) if any_or_all == "any" else all(verdicts)
