"""A working directory with a recipe in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from juicecap.errors import RecipeError
from juicecap.ops import registry
from juicecap.ops.base import Filter
from juicecap.recipe import Recipe, load_recipe
from juicecap.sample import Sample

Load = Callable[..., Recipe]
Complain = Callable[..., str]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a recipe's text as `recipe.yaml` in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str | bytes, *overrides: str) -> Recipe:
        Path("recipe.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_recipe("recipe.yaml", overrides)

    return load_text


@pytest.fixture
def complain(load: Load) -> Complain:
    """The report about a recipe that is wrong."""

    def report(text: str | bytes, *overrides: str) -> str:
        with pytest.raises(RecipeError) as caught:
            load(text, *overrides)
        assert caught.value.problems
        return str(caught.value)

    return report


@dataclass(frozen=True, kw_only=True)
class LabelFilter(Filter):
    """Needs a column that a parameter names, and has a parameter without default."""

    label_key: str
    """Column that holds the label."""

    def columns_required(self) -> tuple[tuple[str, str], ...]:
        """See `Op.columns_required`."""
        return (("label_key", self.label_key),)

    def keep(self, sample: Sample) -> bool:
        """Keep all."""
        del sample
        return True


@pytest.fixture
def label_filter() -> Iterator[None]:
    """The op `label_filter`, for one test."""
    registry.register(LabelFilter)
    yield
    del registry._registered[LabelFilter.name]
