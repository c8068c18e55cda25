"""What a recipe says about a cluster (`ray: {…}`), checked without Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from juicecap.sample import short_repr
from juicecap.text import near

AUTO, LOCAL = "auto", "local"

MOST_ENGINES, MOST_RESOURCES = 10_000, 10_000


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Where the engines of a run are. Nothing of this changes an answer."""

    address: str = AUTO
    """`auto`: the cluster that this machine is part of; `local`: this machine alone; or the address of a cluster."""
    engines: tuple[int, int] | None = None
    """The fewest engines with which a run begins, and the most; null: one, and as many as fit."""
    cpus_per_engine: float | None = None
    """CPUs that Ray reserves for each engine, its decoding included; null: an equal share of the node."""
    gpus_per_engine: float | None = None
    """GPUs of each engine, all on one node; null: as many as `tensor_parallel_size` says, if the cluster has any."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Ray's runtime environment of the engines."""


def options_of(block: Mapping[str, Any], address: str = AUTO) -> tuple[ClusterOptions, list[tuple[str, str]]]:
    """The options of a recipe's block, and (name, sentence) pairs for what is wrong. `address` is that of `ray_address`."""
    found: dict[str, Any] = {"address": address}
    problems: list[tuple[str, str]] = []
    known = [each.name for each in fields(ClusterOptions)]
    for name, value in block.items():
        if name not in known:
            meant = near(str(name), known)
            hint = f"did you mean {meant!r}?" if meant else f"it has {', '.join(known)}"
            problems.append((str(name), f"ray has no setting {short_repr(name)}; {hint}"))
        elif value is None:
            continue
        elif (made := _CHECKS[name](value)) is None:
            problems.append((name, f"ray.{name} must be {_EXPECTED[name]}, not {short_repr(value)}"))
        else:
            found[name] = made
    if block.get("address") and address != AUTO and address != block["address"]:
        problems.append(("address", f"ray.address and ray_address differ ({address!r}): set one of them"))
    return ClusterOptions(**found), problems


def _address(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _engines(value: Any) -> tuple[int, int] | None:
    both = value if isinstance(value, list | tuple) else [value, value]
    if len(both) != 2 or not all(isinstance(each, int) and not isinstance(each, bool) for each in both):  # noqa: PLR2004
        return None
    least, most = both
    return (least, most) if 1 <= least <= most <= MOST_ENGINES else None


def _resources(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_RESOURCES
    return float(value) if fits else None


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None


_CHECKS = {
    "address": _address,
    "engines": _engines,
    "cpus_per_engine": _resources,
    "gpus_per_engine": _resources,
    "runtime_env": _mapping,
}

_EXPECTED = {
    "address": "auto, local, ray://HOST:PORT or HOST:PORT",
    "engines": f"a number from 1 to {MOST_ENGINES:,}, or [FEWEST, MOST]",
    "cpus_per_engine": "a number of 0 or more",
    "gpus_per_engine": "a number of 0 or more",
    "runtime_env": "a mapping, as Ray takes it",
}
