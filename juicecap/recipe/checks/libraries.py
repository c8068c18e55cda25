"""Which libraries a recipe needs besides those that juicecap itself needs, and whether they are installed. None is imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from juicecap.errors import EnvironmentFailure
from juicecap.recipe.checks.columns import problem_of
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe, Step
from juicecap.vlm.catalog import find
from juicecap.vlm.installed import how_to_install, is_installed, version_of

RAY = "ray"
"""The library of clusters, and the extra of its name."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library that a recipe needs."""

    name: str
    """As it is imported."""
    needed_by: str
    installed: bool
    version: str = ""
    """Empty: not installed, or its package has another name."""

    @classmethod
    def of(cls, name: str, needed_by: str) -> Library:
        """The library with this name."""
        installed = is_installed(name)
        return cls(name=name, needed_by=needed_by, installed=installed, version=version_of(name) if installed else "")

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip() if self.installed else f"{self.name} (not installed)"


def libraries_of(recipe: Recipe) -> list[Library]:
    """The libraries that the recipe needs on this machine, in the order of its ops."""
    return list(dict.fromkeys(each for _, _, libraries in _needs(recipe) for each in libraries))


def missing_libraries(recipe: Recipe) -> list[Problem]:
    """A problem for each backend, and for the cluster, whose libraries are not installed; all of them are named."""
    problems = []
    for step, extra, libraries in _needs(recipe):
        lacking = [each for each in libraries if not each.installed]
        if not lacking:
            continue
        names, verb = ", ".join(each.name for each in lacking), "is" if len(lacking) == 1 else "are"
        message = f"{names} {verb} not installed, which {lacking[0].needed_by} needs"
        hint = how_to_install(extra)
        if step is None:
            problems.append(recipe.source.problem(("executor_type",), f"executor_type: {message}", hint=hint))
        else:
            problems.append(problem_of(recipe, step, "backend", message, hint))
    return problems


def _needs(recipe: Recipe) -> Iterator[tuple[Step | None, str, list[Library]]]:
    """For each backend the first step that uses it, its extra and its libraries. On a cluster it is the nodes that have those."""
    if recipe.cluster:
        yield None, RAY, [Library.of(RAY, "executor_type: ray")]
        return
    seen: set[str] = set()
    for step in recipe.steps:
        for engine in step.op.engines():
            if engine.backend in seen:
                continue
            seen.add(engine.backend)
            try:
                spec = find(engine.backend)
            except EnvironmentFailure:  # its package is broken, which is told when it is opened
                continue
            yield step, spec.extra, [Library.of(name, f"backend {engine.backend}") for name in spec.libraries]
