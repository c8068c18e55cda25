"""Write the generated parts of README.md and docs/, or tell which of them are out of date.

    python tools/make_docs.py            # write
    python tools/make_docs.py --check    # write nothing; exit 1 if a part is not what the code says

A generated part stands between two comments, `<!-- NAME -->` and `<!-- end of NAME -->`. Everything around it is written by
hand and stays. An op without a page gets one to be completed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from juicecap.ops.base import Op
from juicecap.ops.catalog import BUILTIN, find
from juicecap.ops.docstrings import written
from juicecap.ops.mapper.video_to_caption_generator import VideoToCaptionGenerator
from juicecap.ops.options.dataflow_aliases import IGNORED as SERVING_IGNORED
from juicecap.ops.options.groups import heading
from juicecap.ops.options.run_options import IGNORED as IGNORED_OPTIONS
from juicecap.ops.options.run_options import RunOptions
from juicecap.ops.schema import Parameter, default_text, family, grouped, parameters
from juicecap.recipe.compat import DATA_JUICER, EFFECTLESS
from juicecap.recipe.keys import IGNORED as IGNORED_KEYS
from juicecap.recipe.keys import RecipeKeys

ROOT = Path(__file__).parent.parent
OPS = Path("docs/ops")
SHARED = "../recipes.md#columns-and-tokens"
PRELUDE = "<!-- Written by tools/make_docs.py. -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is out of date")
    options = parser.parse_args()
    found = problems(ROOT)
    if options.check:
        print("\n".join(found) if found else "docs: all generated parts are current")
        return 1 if found else 0
    for path, text in wanted(ROOT).items():
        file = ROOT / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"{path} written")
    for line in strangers(ROOT):
        print(line, file=sys.stderr)
    return 0


def problems(root: Path) -> list[str]:
    """What is out of date, missing or too much under `root`, a sentence each."""
    found = strangers(root)
    for path, text in wanted(root).items():
        file = root / path
        if not file.exists():
            found.append(f"{path} is missing: run python tools/make_docs.py and complete it")
        elif file.read_text(encoding="utf-8") != text:
            found.append(f"{path} is out of date: run python tools/make_docs.py")
    return found


def strangers(root: Path) -> list[str]:
    """Pages of ops that do not exist."""
    pages = sorted(path.stem for path in (root / OPS).glob("*.md") if path.name != "README.md")
    return [f"{OPS / name}.md is the page of no op" for name in pages if name not in BUILTIN]


def wanted(root: Path) -> dict[Path, str]:
    """Each page with a generated part, by its path below `root`, as it should read."""
    texts = {OPS / "README.md": index()}
    for name in BUILTIN:
        page = root / OPS / f"{name}.md"
        text = page.read_text(encoding="utf-8") if page.exists() else skeleton(name)
        texts[OPS / f"{name}.md"] = replaced(text, "parameters", parameter_part(find(name)), page.name)
    for path, parts in {
        Path("README.md"): {"ops": op_table(OPS)},
        Path("docs/recipes.md"): {
            "keys": key_table(),
            "ignored parameters": reasons(IGNORED_OPTIONS, "parameter"),
        },
        Path("docs/from_data_juicer.md"): {
            "ignored keys": reasons(ignored_keys(), "key"),
            "answers": reasons({key: why for key, why in DATA_JUICER.items() if key not in EFFECTLESS}, "key"),
        },
        Path("docs/from_dataflow.md"): {"serving names": serving_table()},
    }.items():
        text = (root / path).read_text(encoding="utf-8")
        for name, part in parts.items():
            text = replaced(text, name, part, path.name)
        texts[path] = text
    return texts


def replaced(text: str, name: str, part: str, page: str) -> str:
    """`text` with `part` between the two comments of `name`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{page} must hold {begin} and {end} once each")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{part}\n\n{end}{rest.partition(end)[2]}"


def parameter_part(op: type[Op]) -> str:
    """What an op's page says of its parameters."""
    own = [each for each in parameters(op) if not each.inherited]
    tables = [f"{caption(group)}\n\n{parameter_table(rows)}" for group, rows in grouped(own)]
    told = "\n\n".join(tables) or "It has no parameters of its own."
    return (
        f"{told}\n\nBesides these it takes the [column names and special tokens]({SHARED}) that a recipe sets for all ops, and "
        f"`batch_size` (default {op.default_batch_size}), on which the output does not depend.\n\n"
        f"In Python: `from juicecap.ops import {op.__name__}`."
    )


def caption(group: str) -> str:
    """What stands above the table of a group. No headline, or what follows the last table would belong to its group."""
    return f"**{group.capitalize()}**{heading(group).removeprefix(group)}"


def parameter_table(rows: list[Parameter], what: str = "parameter") -> str:
    """A Markdown table of parameters."""
    lines = [f"| {what} | type | default | meaning |", "|---|---|---|---|"]
    for each in rows:
        names = " or ".join(f"`{name}`" for name in (each.name, *each.aliases))
        default = default_text(each.default) or "''"
        lines.append(f"| {names} | {in_table(each.type)} | `{in_table(default)}` | {in_table(each.help)} |")
    return "\n".join(lines)


def serving_table() -> str:
    """A Markdown table of other names for the settings of a model."""
    lines = ["| there | here |", "|---|---|"]
    for each in parameters(VideoToCaptionGenerator):
        lines += [f"| `{alias}` | `{each.name}` |" for alias in each.aliases]
        lines += [f"| `{part}` | `{entry}` under `{each.name}` |" for part, entry in each.parts.items()]
    lines += [f"| `{name}` | no effect: {reason} |" for name, reason in SERVING_IGNORED.items()]
    return "\n".join(lines)


def key_table() -> str:
    """A Markdown table of a recipe's keys that have an effect."""
    return parameter_table([each for each in parameters(RecipeKeys) if each.name not in IGNORED_KEYS], "key")


def ignored_keys() -> dict[str, str]:
    """Recipe keys without effect, and why."""
    return dict(sorted({**IGNORED_KEYS, **{key: DATA_JUICER[key] for key in EFFECTLESS}}.items()))


def reasons(table: dict[str, str], what: str) -> str:
    """A Markdown table of names and what is said of them."""
    lines = [f"| {what} | what juicecap says |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {in_table(reason)} |" for name, reason in table.items())])


def op_table(folder: Path | str) -> str:
    """A Markdown table of all ops with links to their pages in `folder`."""
    lines = ["| op | family | what it does |", "|---|---|---|"]
    lines += [f"| [`{name}`]({folder}/{name}.md) | {family(find(name))} | {summary(find(name))} |" for name in BUILTIN]
    return "\n".join(lines)


def index() -> str:
    """The page that lists all ops by family."""
    groups: dict[str, list[str]] = {}
    for name in BUILTIN:
        groups.setdefault(family(find(name)), []).append(f"- [`{name}`]({name}.md): {summary(find(name))}")
    body = "\n\n".join(f"## {kind.capitalize()}\n\n" + "\n".join(lines) for kind, lines in sorted(groups.items()))
    options = ", ".join(f"`{each.name}`" for each in parameters(RunOptions))
    words = (
        "Each page has the op's parameters, an example and what it promises. `juicecap ops` lists the ops, `juicecap ops NAME` "
        f"shows one. Every op also takes the [column names and special tokens]({SHARED}) and {options}."
    )
    return f"{PRELUDE}\n\n# Ops\n\n{words}\n\n{body}\n"


def skeleton(name: str) -> str:
    """A page to be completed by hand."""
    return (
        f"# {name}\n\n{summary(find(name))}\n\n```yaml\n- {name}:\n```\n\n## Parameters\n\n"
        "<!-- parameters -->\n<!-- end of parameters -->\n"
    )


def summary(op: type[Op]) -> str:
    """The first line of an op's docstring."""
    return in_table(written(op).partition("\n")[0])


def in_table(text: str) -> str:
    """A text that may stand in a table cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
