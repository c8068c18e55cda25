"""juicecap: YAML recipes that caption videos and images with vision-language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from juicecap.data.source import open_source as load_dataset
    from juicecap.recipe import load_recipe
    from juicecap.runner import merge, run

__version__ = "0.1.0"
__all__ = ["__version__", "load_dataset", "load_recipe", "merge", "run"]

_HOMES = {
    "load_dataset": ("juicecap.data.source", "open_source"),
    "load_recipe": ("juicecap.recipe", "load_recipe"),
    "merge": ("juicecap.runner", "merge"),
    "run": ("juicecap.runner", "run"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        module, attribute = _HOMES[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
