"""Ops that samples flow through side by side: their tables, outputs and rejections are those of one op after the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from juicecap.data.table import open_arrow
from juicecap.errors import DataError
from juicecap.recipe import load_recipe
from juicecap.runner.segment import segment_end
from juicecap.sample import FATE

MORE_OPERATORS = '''

@register
@dataclass(frozen=True, kw_only=True)
class ShapesMapper(Mapper):
    """Gives values that a table gives back otherwise."""

    def columns_written(self):
        return {"weight": "float", "pair": ["int"], "facts": {"a": "int", "b": ["text"]}, "any": "json"}

    def process(self, sample, outcomes):
        n = sample["n"]
        facts = {"b": ["x"]} if n % 2 else {"a": n, "b": None}
        odd = {"n": n, "t": "007"} if n % 3 else None
        return [{**sample, "weight": n, "pair": (n, n + 1), "facts": facts, "any": odd}] * (1 + n % 2)


@register
@dataclass(frozen=True, kw_only=True)
class LookingMapper(Mapper):
    """Notes what it is given, and spoils it afterwards."""

    def columns_written(self):
        return {"seen": "text"}

    def process(self, sample, outcomes):
        seen = json.dumps({name: repr(sample[name]) for name in ("weight", "pair", "facts", "any")})
        for value in (sample["pair"], sample["facts"]["b"]):
            if value is not None:
                value.append(value[0])
        return [{**sample, "seen": seen}]


@register
@dataclass(frozen=True, kw_only=True)
class WordsMapper(Mapper):
    """Writes columns that another op has written, as values of other types."""

    def columns_written(self):
        return {"weight": "text", "pair": ["text"]}

    def process(self, sample, outcomes):
        n = sample["n"]
        return [{**sample, "weight": f"{sample['weight']} kg" if n % 5 else sample["weight"], "pair": ["a", "b"]}]
'''


def tables(folder: Path) -> dict[str, list[dict]]:
    """The rows of each step's table, without the times of failures."""
    rows = {}
    for file in sorted((folder / "steps").glob("??-*.arrow")):
        rows[file.name] = open_arrow(file, "x").to_list()
        for row in rows[file.name]:
            row[FATE]["when"] = None
    return rows


@pytest.fixture
def chain(texts):
    """A job of five ops that fail, filter, multiply and give odd values."""
    operators = texts.folder / "operators.py"
    operators.write_text(operators.read_text() + MORE_OPERATORS)
    texts.process = [
        {"trouble_mapper": {}},
        {"shapes_mapper": {}},
        {"text_length_filter": {"min_len": 9}},
        {"looking_mapper": {}},
        {"whitespace_normalization_mapper": {}},
    ]
    texts.write([f"text {number:03}" + "+" * (number % 3) for number in range(300)])
    texts.fails({texts.texts[number]: ("ODD", number % 2 == 0) for number in range(5, 300, 50)})
    return texts


@pytest.mark.parametrize("on_error", ["reject", "keep"])
def test_tables_outputs_and_rejections_are_those_of_one_op_after_the_other(chain, on_error: str) -> None:
    found = []
    for pipeline in ("off", "on", "auto"):
        chain.output = chain.folder / pipeline / "texts.jsonl"
        result = chain.run(pipeline=pipeline, max_rejected=1.0, on_error=on_error, media_root=None)
        rejected = [{**each, "when": None} for each in chain.rejections()]
        counts = [(step.op, step.counts, dict(step.reasons)) for step in result.steps]
        found.append((chain.output.read_bytes(), tables(chain.work_dir), rejected, counts))
    assert found[0] == found[1] == found[2]
    assert len(found[0][1]) == 5
    assert len(found[0][2]) == (6 if on_error == "reject" else 0)
    assert json.loads(chain.rows()[1]["seen"]) == {
        "weight": "1.0", "pair": "[1, 2]", "facts": "{'a': None, 'b': ['x']}", "any": "{'n': 1, 't': '007'}",
    }  # fmt: skip


def test_two_ops_write_the_same_column(chain) -> None:
    chain.process[2:2] = [{"words_mapper": {}}, {"words_mapper": {}}]
    found = []
    for pipeline in ("off", "on"):
        chain.output = chain.folder / pipeline / "texts.jsonl"
        chain.run(pipeline=pipeline, max_rejected=1.0)
        found.append((chain.output.read_bytes(), tables(chain.work_dir)))
    assert found[0] == found[1]
    seen = [json.loads(row["seen"]) for row in chain.rows()]
    assert (seen[0]["weight"], seen[1]["weight"], seen[0]["pair"]) == ("0.0", "'1.0 kg kg'", "['a', 'b']")


def test_a_run_that_ends_early_has_the_rejections_of_all_its_ops_so_far(chain) -> None:
    chain.process[2] = {"text_length_filter": {"min_len": 9, "max_len": 10, "on_error": "stop"}}
    chain.process.append({"trouble_mapper": {"on_error": "stop"}})
    chain.fails({chain.texts[5]: ("ODD", False), chain.texts[6] + "!": ("STRANGE", False)})
    with pytest.raises(DataError, match=r"^trouble_mapper\[6\]: STRANGE: data\.jsonl:7"):
        chain.run(max_rejected=1.0)
    assert [(each["op"], each["id"], each["code"]) for each in chain.rejections()] == [
        ("trouble_mapper[1]", "data.jsonl:6", "ODD"),
        ("trouble_mapper[6]", "data.jsonl:7", "STRANGE"),
    ]
    assert not chain.output.exists()
    assert chain.left() == []


def test_an_op_that_is_edited_repeats_only_what_comes_after_it(chain, listener) -> None:
    chain.run(max_rejected=1.0)
    chain.asked()
    chain.process[3] = {"whitespace_normalization_mapper": {}}
    chain.fails({})
    chain.run(listener, max_rejected=1.0)
    assert [finished for _, _, finished in listener.steps] == [True, True, True, False, False]
    assert chain.asked() == []


def segments(chain, **keys: object) -> list[int]:
    """Where the segments of the recipe end."""
    recipe = load_recipe(chain.recipe(**keys))
    ends = [0]
    while ends[-1] < len(recipe.steps):
        ends.append(segment_end(recipe, ends[-1]))
    return ends[1:]


def captioner(model: str, **settings: object) -> dict:
    return {"video_captioning_from_vlm_mapper": {"hf_model": model, **settings}}


def test_where_segments_end(chain) -> None:
    first, last = chain.process[:2], chain.process[3:]
    served = captioner("a", backend="openai", api_base="http://a.test/v1")
    chain.process = [*first, captioner("x"), served, captioner("x", caption_num=2), captioner("y"), *last]
    assert segments(chain) == [5, 8]
    assert segments(chain, pipeline="on") == segments(chain, pipeline=True) == [8]
    assert segments(chain, pipeline="off") == segments(chain, pipeline=False) == [1, 2, 3, 4, 5, 6, 7, 8]
