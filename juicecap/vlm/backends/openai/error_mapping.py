"""What a server means when it refuses a request: the sample is at fault, the request's form, or the whole run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError
from juicecap.vlm.backends.openai.http.server import CallFailed
from juicecap.vlm.backends.openai.options import NO_KEY, ServerOptions
from juicecap.vlm.base import Failure, Request

_TOO_LONG = re.compile(
    r"context (length|window|size)|maximum (model|sequence) len|max_model_len|too many (input )?tokens|prompt is too long",
    re.IGNORECASE,
)
_UNWANTED = re.compile(r"content[ _]?(policy|filter|management)|moderat|flagged|safety", re.IGNORECASE)
_N = re.compile(r"(?<![\w\\'])n(?!\w)|['\"`]n['\"`]")
_UNSUPPORTED = re.compile(r"unsupported|not supported|unrecognized|unknown|deprecated|instead", re.IGNORECASE)
_NOT_TAKEN = re.compile(
    r"unsupported|(not|n't) (currently )?(supported?|allowed|permitted|accept\w*|available)|unrecogni[sz]ed|unknown|deprecated"
    r"|extra[ _](fields?|inputs?|forbidden)|unexpected|cannot find field|only the default",
    re.IGNORECASE,
)
_ONE_VALUE = re.compile(r"does(n't| not) support|only the default|unsupported[ _]value", re.IGNORECASE)
_OUT_OF_RANGE = re.compile(
    r"exceed|(greater|larger|less|smaller|more|fewer) than|at (most|least)|between|out of range|too (large|small|high|low|many)",
    re.IGNORECASE,
)
_EXCLUDE = re.compile(r"both|together|only one|at the same time|mutually exclusive|in combination", re.IGNORECASE)
_TOO_MANY_PICTURES = re.compile(
    r"(at most|maximum( number)? of|more than|up to|limit of|too many)\W+(\d+\W+)?(images?|pictures?|videos?|media|multimodal)"
    r"|(images?|pictures?)\W+(\w+\W+){0,4}(limit|maximum|per (request|prompt))",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(
    r"(image|picture|payload|body|entity|file|request)\W+(\w+\W+){0,4}(too (large|big)|exceeds?|larger than|size)"
    r"|(exceeds?|larger than)\W+(\w+\W+){0,6}(pixels|dimensions?|resolution|image size)|image dimensions",
    re.IGNORECASE,
)
_QUOTED = "[\"'`\u2018\u2019]"

LIMITS = ("max_tokens", "max_completion_tokens")
"""What servers call the most tokens of an answer."""


def fatal(failed: CallFailed, options: ServerOptions, model: str) -> JuicecapError | None:
    """The error that ends the run, if no other request could fare better."""
    if failed.kind == "redirect":
        return EnvironmentFailure(
            f"{options.display_url} sends requests elsewhere, where neither frames nor a key went ({failed}): "
            "set api_base to the address of the server that is to answer"
        )
    if failed.kind != "status":
        return None
    if failed.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and not _unwanted(failed):
        where = f"the environment variable {options.key_name}"
        key = f"it wants a key: put it into {where}" if options.key == NO_KEY else f"check the key in {where}"
        return EnvironmentFailure(f"{options.display_url} refuses access ({failed}); {key}")
    if failed.status == HTTPStatus.PAYMENT_REQUIRED or failed.code == "insufficient_quota":
        return EnvironmentFailure(f"{options.display_url} wants to be paid ({failed}); running again resumes")
    if failed.status == HTTPStatus.NOT_FOUND:
        return EnvironmentFailure(
            f"{options.display_url} does not serve the model {model!r} at this address ({failed}): check hf_model and api_base, "
            "which mostly ends in /v1"
        )
    return None


def failure_of(failed: CallFailed) -> Failure:
    """The failure of one request."""
    if failed.transient:
        return Failure(code=_transient_code(failed), message=failed.message, retryable=True, attempts=failed.attempts)
    if too_long(failed):
        return Failure(
            code="TOO_LONG",
            message=f"{failed.message}: take fewer frames (fps, max_frames), fewer pixels (max_pixels) or a smaller max_tokens",
        )
    code = "REFUSED" if _unwanted(failed) else "REQUEST_REFUSED"
    return Failure(code=code, message=failed.message + ("" if code == "REFUSED" else _way_out(failed)))


def _way_out(failed: CallFailed) -> str:
    """What a user may do about a refusal."""
    if failed.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _TOO_LARGE.search(failed.message):
        return ": take smaller frames (max_pixels) or fewer (num_frames, max_frames)"
    return ": take fewer frames (num_frames, max_frames)" if _TOO_MANY_PICTURES.search(failed.message) else ""


def too_long(failed: CallFailed) -> bool:
    """Whether the prompt, or prompt and answer together, exceed what the model takes."""
    return failed.code == "context_length_exceeded" or bool(_TOO_LONG.search(failed.message))


def _transient_code(failed: CallFailed) -> str:
    if failed.kind == "body":
        code = "BAD_ANSWER"
    elif failed.kind == "timeout" or failed.status == HTTPStatus.REQUEST_TIMEOUT:
        code = "REQUEST_TIMEOUT"
    else:
        code = "RATE_LIMITED" if failed.status == HTTPStatus.TOO_MANY_REQUESTS else "SERVER_ERROR"
    return code


def _unwanted(failed: CallFailed) -> bool:
    """Whether it is what the sample shows that the server does not want; some say so by 403."""
    return failed.status != HTTPStatus.UNAUTHORIZED and bool(_UNWANTED.search(f"{failed.code} {failed.message}"))


def refuses_n(failed: CallFailed) -> bool:
    """Whether it may be the number of candidates that the server does not take."""
    return not failed.transient and not too_long(failed) and (failed.param == "n" or bool(_N.search(failed.message)))


def refused_parameter(failed: CallFailed, sent: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Which of the parameters that were sent the server does not take, and with which value (None: with any).

    `a+b` are two that it does not take together. That a value is out of its range is no such refusal.
    """
    if failed.kind != "status" or failed.transient or too_long(failed):
        return None
    told = failed.message
    named = [name for name in sent if _says(told, name)]
    if len(named) > 1 and _EXCLUDE.search(told) and not failed.param:
        return f"{named[0]}+{named[1]}", None
    name = failed.param if failed.param in sent else next(iter(named), None)
    if name is None or _OUT_OF_RANGE.search(told) or not _NOT_TAKEN.search(f"{failed.code} {told}"):
        return None
    of_value = _ONE_VALUE.search(f"{failed.code} {told}") and name != "seed"
    return name, sent[name] if of_value else None


def wrong_value(failed: CallFailed, request: Request) -> str:
    """The parameter of which a refusal says that its value is out of range, with the value; empty if it says nothing of that."""
    values = {**asdict(request.sampling), "max_completion_tokens": request.sampling.max_tokens}
    if failed.kind != "status" or failed.transient or not _OUT_OF_RANGE.search(failed.message):
        return ""
    name = failed.param if failed.param in values else next((each for each in values if _says(failed.message, each)), "")
    return f"{'max_tokens' if name in LIMITS else name} {values[name]}" if name else ""


def _says(told: str, name: str) -> bool:
    """Whether a message names a parameter: as a word, and one that is a word of English only in quotes or in a path."""
    if name in ("seed", "stop", "temperature"):
        as_a_name = rf"{_QUOTED}{name}{_QUOTED}|\b{name} (is|does|parameter)|[:.] ?{name}\b|\b(parameter|field|argument) {name}\b"
        return bool(re.search(as_a_name, told))
    return bool(re.search(rf"(?<!\w){name}(?!\w)", told))


def wants_completion_tokens(failed: CallFailed) -> bool:
    """Whether the server knows `max_tokens` by its other name only."""
    return (
        not failed.transient
        and not too_long(failed)
        and ("max_completion_tokens" in failed.message or failed.param == "max_tokens")
        and bool(_UNSUPPORTED.search(failed.message))
    )


def all_refused(place: str, count: int, failure: Failure) -> ModelError:
    """The error for a server (`place`) that has refused everything so far, in the same words."""
    return ModelError(f"{place} refused the first {count} requests, all for the same reason: {failure.message}")
