"""The resolved recipe is a recipe again, whatever its values are and wherever they come from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from juicecap.recipe.resolved import resolved_text
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import parse

CHARACTERS = st.one_of(st.characters(categories=("L", "N", "P", "S", "Zs")), st.sampled_from("\n\t\x85\u2028 #:${}"))
TEXTS = st.text(CHARACTERS, max_size=12)
LEAVES = st.one_of(
    TEXTS.filter(lambda text: "${" not in text),
    TEXTS.filter(lambda text: "${" not in text and not text.endswith("$")).map(lambda text: f"{text}${{UNSET:-b}}"),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
KEYS = st.text("abc_", min_size=1, max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_remarks_change_no_value(values: dict[str | int, Any]) -> None:
    source = Source(file="recipe.yaml", text="", values=values)
    for key in list(values)[:2]:
        source.set((key,), values[key], f"{key}=…")
    assert source.fill_variables() == []
    recipe: Any = SimpleNamespace(resolved=source.written, source=source, path=Path("recipe\n# name.yaml"))
    told = resolved_text(recipe)
    assert parse(told, "").values == source.written
    assert told.count("# --set") >= len(list(values)[:2])
