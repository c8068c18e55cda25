"""Fuzz the recipe loader: whatever the bytes of a recipe, it is loaded or refused with a `RecipeError` that can be shown.

What is shown holds nothing that a terminal might obey, and not the value of a variable.

    python fuzz/recipe_loader.py -max_total_time=600

Options are libFuzzer's; the last line of a finding names the file that reproduces it, which can be given in place of options.
Operators that a recipe names are not run here: a fuzzer writes recipes that nobody has read.
"""

from __future__ import annotations

import os
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["yaml", "juicecap.recipe", "juicecap.ops"]):
    import yaml
    from fuzzing import ROOT, fuzz

    from juicecap.errors import RecipeError
    from juicecap.ops import catalog, registry
    from juicecap.printable import printable
    from juicecap.recipe import load_recipe
    from juicecap.recipe.keys import RecipeKeys

HOSTILE = (
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    b"process:\n  - text_length_filter: &f {min_len: 1}\n  - text_length_filter: {<<: *f, max_len: 0x10}\n",
    b"seed: 1_0:59\nmax_rejected: .5\nproject_name: !!binary aGVsbG8=\nsuffixes: !!set {a, b}\n",
    b'project_name: "\\ud83d\\0\\x41"\nnp: !!int "7"\nwork_dir: ~\n',
    b"%YAML 1.1\n---\nprocess: []\n...\n",
    b"project_name: |2-\n   x\ntext_keys: >+\n  y\n\n? process\n: []\n",
    b"seed: ${PLANTED}\nprocess:\n  - ${PLANTED}: {a: x${PLANTED}}\n  - text_length_filter: {min_len: '${PLANTED}'}\n",
    b'include: [/etc/passwd, ./${PLANTED}.yaml, "a\\0b"]\nwork_dir: \'\'\n"\\e[31m": "\xe2\x80\xae"\nprocess: []\n',
)
"""Corners of YAML that the shipped recipes do not visit."""

PLANTED = "planted-4711-value"

recipe = Path("recipe.yaml")


def load(data: bytes) -> None:
    """One recipe."""
    recipe.write_bytes(data)
    try:
        loaded = load_recipe(recipe)
    except RecipeError as error:
        assert error.problems
        assert str(error).encode()
        assert printable(str(error)) == str(error)
        assert PLANTED not in str(error) or PLANTED.encode() in data
    else:
        yaml.safe_dump(dict(loaded.resolved))


def main() -> None:
    """Fuzz, from the recipes that are shipped on."""
    registry.load_files = lambda *_, **__: None
    os.environ["PLANTED"] = PLANTED
    shipped = [path.read_bytes() for path in sorted((ROOT / "recipes").glob("*.yaml"))]
    words = [*catalog.names(), *vars(RecipeKeys()), "<<: *", "&a ", "*a", "!!int ", "0x", "- ", ": ", "? ", "|\n", "${PLANTED}"]
    fuzz(load, [*shipped, *HOSTILE], words, "-timeout=10", "-rss_limit_mb=1024", "-max_len=4096")


if __name__ == "__main__":
    main()
