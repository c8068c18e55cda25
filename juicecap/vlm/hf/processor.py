"""A model's processor: loading it, and what it says about sizes. Shared by the backends that have the model's files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import AutoProcessor
from transformers.utils import logging

from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.budgets import FACTS, budget_of
from juicecap.vlm.models import model_source

FROM_HUB = ("revision", "cache_dir", "trust_remote_code", "token")
"""What of `model_params` concerns the processor as well as the model."""


def load_processor(settings: ModelSettings) -> Any:
    """Load the processor of the model that `settings` name.

    Raises:
        ModelError: there is no such model, or it is not a vision-language model that takes instructions.
        EnvironmentFailure: the hub cannot be reached.
    """
    params = settings.engine_params()
    with loading(settings):
        processor: Any = AutoProcessor.from_pretrained(
            model_source(settings.model), **{name: params[name] for name in FROM_HUB if name in params}
        )
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{settings.model} has no processor that reads pictures; name a vision-language model")
    if not processor.chat_template:
        raise ModelError(f"{settings.model} has no chat template; name a model that was trained to follow instructions")
    return processor


@contextmanager
def loading(settings: ModelSettings) -> Iterator[None]:
    """The door to a foreign loader: damaged files and wrong parameters raise whatever they meet. Its bars are not shown.

    Raises:
        ModelError: instead of whatever else.
        EnvironmentFailure: if the hub cannot be reached.
    """
    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # a run has a progress display of its own
    try:
        yield
    except JuicecapError:
        raise
    except Exception as error:
        if _is_offline(error):
            text = f"{settings.model} is not on this machine, and the Hugging Face hub cannot be reached"
            raise EnvironmentFailure(text) from error
        raise ModelError(f"{settings.model} cannot be loaded as a vision-language model: {first_line(error)}") from error
    finally:
        if before:
            logging.enable_progress_bar()


def frame_sizes(processor: Any) -> FrameSizes:
    """The budgets of a processor's parts for images and videos."""
    found = {}
    for kind in ("image", "video"):
        part: Any = getattr(processor, f"{kind}_processor", None)
        if part is not None:
            facts = {name: getattr(part, name, None) for name in FACTS}
            found[kind] = budget_of(kind, type(part).__name__, facts)
    return FrameSizes(**found)


def folder_revision(source: str) -> str:
    """A digest of a local model's files; `unknown` for what is no folder."""
    folder = Path(source)
    if not folder.is_dir():
        return "unknown"
    state = hashlib.blake2b(digest_size=6)
    for file in sorted(folder.iterdir()):
        if file.is_file():
            state.update(file.name.encode())
            state.update(file.read_bytes() if file.stat().st_size < 2**24 else str(file.stat().st_size).encode())
    return state.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something, or its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _is_offline(error: BaseException | None) -> bool:
    """Whether the hub was asked for a file that is not in the cache, and did not answer."""
    while error is not None:
        if isinstance(error, LocalEntryNotFoundError):
            return True
        error = error.__cause__ or error.__context__
    return False
