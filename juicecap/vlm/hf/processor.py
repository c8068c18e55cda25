"""A model's processor: loading it, and what it says about sizes. Shared by the backends that have the model's files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError, causes
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.budgets import FACTS, budget_of
from juicecap.vlm.hf.prompt import isolate
from juicecap.vlm.model_files import CONTEXT_NAMES, first_limit
from juicecap.vlm.model_folder import ANEW, Section
from juicecap.vlm.models import model_source

FROM_HUB = ("revision", "cache_dir", "trust_remote_code", "token")

EXAMPLE = "Qwen/Qwen3-VL-8B-Instruct"


def load_processor(settings: ModelSettings) -> Any:
    """Load the processor of the model that `settings` name.

    Raises:
        ModelError: there is no such model, or it is not a vision-language model that takes instructions.
        EnvironmentFailure: the hub cannot be reached.
    """
    options = from_hub(settings)
    with loading(settings):
        try:
            processor: Any = AutoProcessor.from_pretrained(model_source(settings.model), **options)
        except Exception:  # of a text model that names a processor it is the pictures' part that is missing
            check_kind(settings, AutoConfig.from_pretrained(model_source(settings.model), **options))
            raise
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{settings.model} has no processor that reads pictures; name a vision-language model")
    if not processor.chat_template:
        raise ModelError(f"{settings.model} has no chat template; name a model that was trained to follow instructions")
    isolate(processor, settings.model)
    return processor


def from_hub(settings: ModelSettings) -> dict[str, Any]:
    """What of `model_params` concerns the processor and the config as well as the model."""
    return {name: value for name, value in settings.engine_params().items() if name in FROM_HUB}


def check_kind(settings: ModelSettings, config: Any) -> None:
    """Do nothing if transformers has a vision-language model of this config's kind, or the model brings one.

    Raises:
        ModelError: there is none.
    """
    if type(config) in AutoModelForImageTextToText._model_mapping:  # noqa: SLF001  (as transformers itself asks)
        return
    if "AutoModelForImageTextToText" not in (getattr(config, "auto_map", None) or {}):
        raise ModelError(
            f"{settings.model} is no vision-language model (its config.json says model_type {config.model_type!r}): "
            f"name one as hf_model, such as {EXAMPLE}"
        )


def check_weights(folder: Path) -> None:
    """Do nothing if the files of weights are whole, by their headers and sizes; files of other formats are not looked at.

    Raises:
        ModelError: one is damaged or missing.
    """
    index = folder / "model.safetensors.index.json"
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.exists() else set()
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index} is damaged ({first_line(error)}): {ANEW}") from error
    for file in sorted({folder / str(name) for name in named} | set(folder.glob("model*.safetensors"))):
        try:
            with safe_open(file, framework="numpy"):
                pass
        except FileNotFoundError as error:
            raise ModelError(f"{file} is missing, and {index.name} names it: {ANEW}") from error
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{file} is damaged ({first_line(error)}): {ANEW}") from error


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
        if _caused_by(error, LocalEntryNotFoundError):  # asked for a file that is not in the cache, the hub did not answer
            text = (
                f"{settings.model} is not on this machine, and the Hugging Face hub cannot be reached: check the name, "
                "download the model where there is a network, or set hf_model to a folder that holds it"
            )
            raise EnvironmentFailure(text) from error
        if _caused_by(error, RepositoryNotFoundError):
            text = (
                f"{settings.model} is no folder here and no model on the Hugging Face hub that can be read: check the spelling "
                "of hf_model; a private or gated model needs its reader's token in the environment variable HF_TOKEN"
            )
            raise ModelError(text) from error
        text = f"{settings.model} cannot be loaded as a vision-language model: {first_line(error).rstrip('.')}"
        raise ModelError(f"{text}; name another one as hf_model, or look into model_params and the model's files") from error
    finally:
        if before:
            logging.enable_progress_bar()


def frame_sizes(processor: Any) -> FrameSizes:
    """The budgets of a processor's parts for images and videos.

    Raises:
        ModelError: one of their settings is no number, or one that makes no sense.
    """
    found = {}
    for kind in ("image", "video"):
        part: Any = getattr(processor, f"{kind}_processor", None)
        if part is not None:
            facts = {name: getattr(part, name, None) for name in FACTS}
            facts |= {name: dict(value) for name, value in facts.items() if hasattr(value, "keys")}  # sizes are objects of a kind
            found[kind] = budget_of(kind, type(part).__name__, Section(type(part).__name__, facts))
    return FrameSizes(**found)


def context_length(config: Any, processor: Any) -> int | None:
    """How many tokens the model holds. Its word counts; some say it nowhere but in the tokenizer."""
    config = config.get_text_config()
    return first_limit([*(getattr(config, name, None) for name in CONTEXT_NAMES), processor.tokenizer.model_max_length])


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


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(each, kind) for each in causes(error))
