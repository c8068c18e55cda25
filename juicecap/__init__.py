"""juicecap: YAML recipes that caption videos and images with vision-language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from juicecap import errors, ops
    from juicecap.data.source import open_source as load_dataset
    from juicecap.notebook import merge, run
    from juicecap.recipe import load_recipe

__version__ = "0.1.0"
__all__ = ["__version__", "errors", "load_dataset", "load_recipe", "merge", "ops", "run"]

_HOMES = {
    "load_dataset": ("juicecap.data.source", "open_source"),
    "load_recipe": ("juicecap.recipe", "load_recipe"),
    "merge": ("juicecap.notebook", "merge"),
    "run": ("juicecap.notebook", "run"),
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        module, attribute = _HOMES[name]
        return getattr(importlib.import_module(module), attribute)
    if name in ("errors", "ops"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
