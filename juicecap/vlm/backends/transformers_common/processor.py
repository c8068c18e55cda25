"""A model's processor: loading it, and what it says about sizes. Shared by the backends that have the model's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.image_utils import SizeDict
from transformers.utils import cached_file, logging

from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError, causes, short_of_memory
from juicecap.media.sizes import FrameSizes
from juicecap.sample import short_repr
from juicecap.text import first_line
from juicecap.vlm.backends.transformers_common.prompt import isolate
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.models.facts import CONTEXT_NAMES, first_limit
from juicecap.vlm.models.folder import check_code, check_folder, is_inside
from juicecap.vlm.models.json_files import ANEW, Section, damaged, read_bytes, read_object
from juicecap.vlm.models.names import local_folder, model_source
from juicecap.vlm.models.pixel_budgets import FACTS, budget_of
from juicecap.vlm.models.revision import MOST_HEADER_BYTES
from juicecap.vlm.models.sandbox import ModelSandbox

FROM_HUB = ("revision", "cache_dir", "trust_remote_code", "token")

MAY_LEAD_AWAY = ("processor_config.json", "tokenizer_config.json", "audio_tokenizer_config.json")
"""Files that can name another model, or files outside of their folder."""

EXAMPLE = "Qwen/Qwen3-VL-8B-Instruct"


def load_processor(settings: ModelSettings) -> Any:
    """Load the processor of the model that `settings` name.

    Raises:
        ModelError: there is no such model, or it is not a vision-language model that takes instructions.
        EnvironmentFailure: the hub cannot be reached.
    """
    options = from_hub(settings)
    fetch_small_files(settings)
    check_files(settings)
    tokenizer = folder / "tokenizer.json" if (folder := folder_of(settings)) else None
    if tokenizer and tokenizer.is_file():
        with closing(ModelSandbox(settings.model)) as sandbox:
            sandbox.try_tokenizer(tokenizer)
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
    if isinstance(processor.chat_template, dict) and "default" not in processor.chat_template:
        raise ModelError(f"{settings.model} has several chat templates, and none of them is named default")
    isolate(processor, settings.model, settings.template_kwargs())
    return processor


def check_files(settings: ModelSettings) -> None:
    """Do nothing if the model's files are fit to be read, as far as they are on this machine.

    Raises:
        ModelError: one of them is not.
    """
    source = model_source(settings.model)
    if os.path.exists(source) and not os.path.isdir(source):
        raise ModelError(f"{settings.model} is a file; name the folder that holds the model as hf_model")
    if folder := folder_of(settings):
        check_folder(folder)
        if spec_of(settings).runs_code:
            check_code(folder, settings.engine_params())


def fetch_small_files(settings: ModelSettings) -> None:
    """Have the files here with which a model of the Hub may lead somewhere else; they are going to be fetched in any case."""
    source, options = model_source(settings.model), from_hub(settings)
    where = {name: options.get(name) for name in ("revision", "cache_dir")}
    names = [*MAY_LEAD_AWAY, *(["adapter_config.json"] if find_spec("peft") else [])]
    for name in names if not os.path.isdir(source) else ():
        with suppress(Exception):  # what is to be said of a hub that does not answer, the loader will say
            if try_to_load_from_cache(source, name, **where) is None:
                cached_file(source, name, **where, token=options.get("token"))


def folder_of(settings: ModelSettings) -> Path | None:
    """Where the model's files are on this machine, if they are."""
    params = settings.engine_params()
    cache = params.get("cache_dir") or params.get("download_dir")
    return local_folder(settings.model, revision=params.get("revision"), cache=cache)


def from_hub(settings: ModelSettings) -> dict[str, Any]:
    """What of `model_params` concerns processor and config as well as the model. Without a word in there no code is run."""
    given = {name: value for name, value in settings.engine_params().items() if name in FROM_HUB}
    return {"trust_remote_code": False, **given}


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
        ModelError: one is damaged or missing, or lies somewhere else.
    """
    index = folder / "model.safetensors.index.json"
    named: set[str] = set()
    if index.exists():
        table = read_object(index).values.get("weight_map")
        if not isinstance(table, dict):
            raise damaged(index, "it has no weight_map")
        for name in table.values():
            if not is_inside(name):
                raise damaged(index, f"it names {short_repr(name)}, which is no file of this folder")
        named = set(table.values())
    for file in sorted({folder / name for name in named} | set(folder.glob("model*.safetensors"))):
        begin = read_bytes(file, 8)
        if begin is None:
            raise ModelError(f"{file} is missing, and {index.name} names it: {ANEW}")
        if int.from_bytes(begin, "little") > MOST_HEADER_BYTES:
            raise damaged(file, f"its header has more than {MOST_HEADER_BYTES >> 20} MB")
        try:
            with panics_as_errors(), safe_open(file, framework="numpy"):
                pass
        except (OSError, RuntimeError, SafetensorError, ValueError) as error:
            raise damaged(file, first_line(error)) from error


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """The door to a library in Rust: where that gives up, it raises what no `except Exception` sees.

    Raises:
        RuntimeError: instead.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(first_line(error)) from error


@contextmanager
def loading(settings: ModelSettings) -> Iterator[None]:
    """The door to a foreign loader: damaged files and wrong parameters raise whatever they meet. Its bars are not shown.

    Raises:
        ModelError: instead of whatever else.
        EnvironmentFailure: if the hub cannot be reached, or memory is short.
    """
    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # a run has a progress display of its own
    try:
        with panics_as_errors():
            yield
    except JuicecapError:
        raise
    except Exception as error:
        if any(map(short_of_memory, causes(error))):
            raise EnvironmentFailure(f"there is too little memory to load {settings.model}; running again resumes") from error
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
            facts |= {name: dict(value) for name, value in facts.items() if isinstance(value, SizeDict)}
            found[kind] = budget_of(kind, type(part).__name__, Section(type(part).__name__, facts))
    return FrameSizes(**found)


def context_length(config: Any, processor: Any) -> int | None:
    """How many tokens the model holds. Its word counts; some say it nowhere but in the tokenizer."""
    config = config.get_text_config()
    return first_limit([*(getattr(config, name, None) for name in CONTEXT_NAMES), processor.tokenizer.model_max_length])


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(each, kind) for each in causes(error))
