"""What a server means when it refuses a request: the sample is at fault, the request's form, or the whole run."""

from __future__ import annotations

import re
from http import HTTPStatus

from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError
from juicecap.vlm.backends.openai.http.server import CallFailed
from juicecap.vlm.backends.openai.options import NO_KEY, ServerOptions
from juicecap.vlm.base import Failure

_TOO_LONG = re.compile(
    r"context (length|window|size)|maximum (model|sequence) len|max_model_len|too many (input )?tokens|prompt is too long",
    re.IGNORECASE,
)
_UNWANTED = re.compile(r"content[ _]?(policy|filter|management)|moderat|flagged|safety", re.IGNORECASE)
_N = re.compile(r"(?<![\w\\'])n(?!\w)|['\"`]n['\"`]")
_UNSUPPORTED = re.compile(r"unsupported|not supported|unrecognized|unknown|deprecated|instead", re.IGNORECASE)


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
    return Failure(code=code, message=failed.message)


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


def wants_completion_tokens(failed: CallFailed) -> bool:
    """Whether the server knows `max_tokens` by its other name only."""
    return (
        not failed.transient
        and not too_long(failed)
        and ("max_completion_tokens" in failed.message or failed.param == "max_tokens")
        and bool(_UNSUPPORTED.search(failed.message))
    )


def all_refused(options: ServerOptions, count: int, failure: Failure) -> ModelError:
    """The error for a server that has refused everything so far, in the same words."""
    return ModelError(f"{options.display_url} refused the first {count} requests, all for the same reason: {failure.message}")
