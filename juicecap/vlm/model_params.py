"""What `model_params` may hold, as far as that is known without opening a library of models.

A name that only other backends have is a problem, and so is a value that no model takes. Other names are left to the engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from juicecap.sample import short_repr
from juicecap.text import near
from juicecap.vlm.base import TEMPLATE_KWARGS
from juicecap.vlm.catalog import BACKENDS, BackendSpec, find

USUAL = ("attn_implementation", "cache_dir", "device_map", "dtype", "quantization_config", "revision", "trust_remote_code")
"""What recipes set for models on this machine."""

TEXTS = ("cache_dir", "code_revision", "download_dir", "revision", "subfolder")
"""Parameters that are text, which a commit of digits alone is not unless it stands in quotes."""


OURS = {
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents", "messages", "padding",
    "processor_kwargs", "return_dict", "return_tensors", "tokenize", "tools", "truncation",
}  # fmt: skip
"""What templates and their callers are told by juicecap, or not at all."""


def problems(backend: str, params: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each parameter that this backend cannot take whatever the model is."""
    spec = find(backend)
    for name, value in params.items():
        if name == TEMPLATE_KWARGS:
            yield from _template(value)
            continue
        homes = [home for home, each in BACKENDS.items() if name in each.parameters]
        if homes and backend not in homes and backend in BACKENDS:
            yield f"{name} is for backend: {' or '.join(homes)}, and the backend is {backend}"
        elif name in spec.refused:
            yield f"{name} is not set here: {spec.refused[name]}"
        elif name == "use_safetensors" and value is not True:
            yield "use_safetensors can only be true: other files of weights can run code when they are loaded; convert the model"
        elif name in TEXTS and spec.dtypes and not isinstance(value, str | None):
            yield f"{name} must be text, not {value!r}: write it in quotes"
        elif name in ("dtype", "torch_dtype") and spec.dtypes and value not in spec.dtypes:
            found = near(value, spec.dtypes)
            hint = f"; did you mean {found!r}?" if found else ""
            yield f"{name} must be one of {', '.join(spec.dtypes)}, not {value!r}{hint}"


def unknown(backend: str, params: Mapping[str, Any], config: Collection[str]) -> Iterator[str]:
    """A sentence for each parameter that neither the backend has nor the model's `config`, by the names in it."""
    spec: BackendSpec = find(backend)
    for name in params if spec.takes_config else ():
        if name in spec.parameters or name in config or name == TEMPLATE_KWARGS:
            continue
        found = near(name, spec.parameters)
        hint = f"did you mean {found!r}?" if found else f"it has {', '.join(USUAL)} and others"
        yield f"the {backend} backend has no parameter {name!r} ({hint})"


def unknown_to_template(told: Collection[str], known: Collection[str]) -> Iterator[str]:
    """A sentence for each name that the chat template is told and never looks at."""
    for name in told:
        if name not in known:
            found = near(name, known)
            hint = f"did you mean {found!r}?" if found else f"it looks at {', '.join(sorted(known)) or 'none'}"
            yield f"{TEMPLATE_KWARGS}: the model's chat template has nothing called {name!r} ({hint})"


def _template(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping | None):
        yield f"{TEMPLATE_KWARGS} must be a mapping, such as {{enable_thinking: false}}, not {short_repr(value)}"
        return
    for name in value or {}:
        if not isinstance(name, str) or not name.isidentifier() or name in OURS:
            yield f"{TEMPLATE_KWARGS} cannot set {name!r}"
