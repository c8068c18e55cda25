"""What is told of an engine beside its answers: which version of juicecap asked it, and its backend, libraries and settings.

It is part of no key. A journal keeps it once for each engine, by a digest that stands beside the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

import juicecap
from juicecap.vlm.base import ModelSettings, canonical_json
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.installed import version_of


def engine_facts(settings: ModelSettings, facts: Mapping[str, str]) -> str:
    """The facts about an engine of this process as JSON; `facts` are those that its backend tells (`Backend.facts`)."""
    libraries = {name: version for name in spec_of(settings).libraries if (version := _version(name))}
    return canonical_json({"juicecap": juicecap.__version__, "backend": settings.backend, "libraries": libraries, **facts})


def _version(name: str) -> str:
    """The version of a library by the name under which it is imported; empty if it is not installed."""
    if version := version_of(name):
        return version
    offered = metadata.packages_distributions().get(name, ())
    return version_of(offered[0]) if offered else ""
