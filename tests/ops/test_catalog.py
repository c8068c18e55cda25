"""The table of built-in ops, and which class stands behind a name."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import juicecap.ops
from juicecap.ops import catalog, registry
from juicecap.ops.base import Filter, Mapper
from juicecap.ops.elsewhere import of_data_juicer
from juicecap.ops.whole_dataset import Deduplicator, Selector

ROOT = Path(__file__).parents[2]
FAMILIES = {"mapper": Mapper, "filter": Filter, "deduplicator": Deduplicator, "selector": Selector}


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def test_the_table_is_alphabetical():
    assert list(catalog.BUILTIN) == sorted(catalog.BUILTIN)


def test_every_file_of_an_op_is_in_the_table():
    files = {file.stem for family in FAMILIES for file in (ROOT / "juicecap/ops" / family).glob("[!_]*.py")}
    assert files == set(catalog.BUILTIN)


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_the_name_is_the_address(name):
    kind = catalog.find(name)
    word = name.rpartition("_")[2]
    family = "mapper" if word == "generator" else word  # DataFlow's word for its mappers
    assert kind.name == name
    assert issubclass(kind, FAMILIES[family])
    assert Path(inspect.getfile(kind)) == ROOT / "juicecap/ops" / family / f"{name}.py"
    assert (ROOT / "tests/ops" / family / f"test_{name}.py").is_file()
    assert kind.__name__.lower() == name.replace("_", "")


def test_the_package_offers_the_classes_of_the_table():
    classes = {catalog.find(name).__name__: name for name in catalog.BUILTIN}
    assert set(juicecap.ops.__all__) - {"find", "names"} == set(classes)
    assert juicecap.ops.__all__ == sorted(juicecap.ops.__all__)
    for attribute, name in classes.items():
        assert getattr(juicecap.ops, attribute) is catalog.find(name)


def test_other_attributes_of_the_package():
    with pytest.raises(AttributeError, match=r"module 'juicecap\.ops' has no attribute 'NoSuchMapper'"):
        _ = juicecap.ops.NoSuchMapper


def test_names_of_all_sources_in_order(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {"b_mapper": object})
    monkeypatch.setattr(registry, "entry_points", lambda: {"a_mapper": object})
    assert catalog.names() == sorted([*catalog.BUILTIN, "a_mapper", "b_mapper"])


def test_an_unknown_name_is_answered_with_a_near_one():
    with pytest.raises(catalog.UnknownOp) as caught:
        catalog.find("video_captioning_from_vlm_maper")
    assert caught.value.near == "video_captioning_from_vlm_mapper"
    assert str(caught.value) == (
        "there is no op 'video_captioning_from_vlm_maper'; did you mean 'video_captioning_from_vlm_mapper'?  "
        "(juicecap ops lists all)"
    )
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "video_nsfw_filter",
            "video_nsfw_filter is an op of Data-Juicer's (needs an NSFW classifier); juicecap has none; "
            "py-data-juicer can run it before or after",
        ),
        (
            "image_text_similarity_filter",
            "image_text_similarity_filter is an op of Data-Juicer's (needs CLIP); juicecap has none; "
            "py-data-juicer can run it before or after",
        ),
        (
            "image_shape_filter",
            "image_shape_filter is an op of Data-Juicer's; juicecap has none; py-data-juicer can run it before or after",
        ),
        (
            "image_captioning_mapper",
            "image_captioning_mapper is an op of Data-Juicer's (needs BLIP-2); juicecap has image_caption_generator for that; "
            "py-data-juicer can run it before or after",
        ),
        (
            "video_nfsw_filter",
            "there is no op 'video_nfsw_filter'; did you mean 'video_nsfw_filter'? That is an op of Data-Juicer's; "
            "juicecap has none  (juicecap ops lists all)",
        ),
    ],
)
def test_an_op_of_data_juicers_is_called_that(name, said):
    with pytest.raises(catalog.UnknownOp) as caught:
        catalog.find(name)
    assert str(caught.value) == said


def test_the_table_of_data_juicers_ops_holds_no_op_of_ours():
    """An op that juicecap gets leaves the table."""
    known = of_data_juicer()
    assert len(known) > 200
    assert list(known) == sorted(known)
    assert set(known).isdisjoint(catalog.BUILTIN)
    assert {each.here for each in known.values()} <= {"", *catalog.BUILTIN}
    assert all(name.isidentifier() for name in known)


def test_an_op_of_ones_own_may_have_such_a_name(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {"video_nsfw_filter": Filter})
    assert catalog.find("video_nsfw_filter") is Filter


def test_a_name_that_is_like_none():
    with pytest.raises(catalog.UnknownOp) as caught:
        catalog.find("xyz")
    assert (caught.value.near, str(caught.value)) == (None, "there is no op 'xyz'  (juicecap ops lists all)")


def test_a_registered_op_wins_over_an_installed_one(monkeypatch):
    @registry.register
    @dataclass(frozen=True, kw_only=True)
    class ItsFilter(Filter):
        """A user's own."""

        def keep(self, sample):
            """Keep all."""
            return True

    point = importlib.metadata.EntryPoint("its_filter", "no_such_module_at_all:ItsFilter", "juicecap.ops")
    monkeypatch.setattr(registry, "entry_points", lambda: {"its_filter": point})
    assert catalog.find("its_filter") is ItsFilter


def test_a_built_in_op_wins_over_an_installed_one_which_is_said(monkeypatch, said):
    point = importlib.metadata.EntryPoint("text_length_filter", "its_module:TextLengthFilter", "juicecap.ops")
    monkeypatch.setattr(registry, "entry_points", lambda: {"text_length_filter": point})
    module = importlib.import_module("juicecap.ops.filter.text_length_filter")
    assert catalog.find("text_length_filter") is module.TextLengthFilter
    assert juicecap.ops.TextLengthFilter is module.TextLengthFilter
    assert said == [
        "the op text_length_filter of an installed package (its_module:TextLengthFilter) is not used: juicecap brings one"
    ]


def test_naming_ops_opens_no_heavy_library():
    code = (
        "import sys, juicecap, juicecap.ops as ops; "
        "[getattr(ops, name) for name in ops.__all__]; "
        "from juicecap.ops import schema; "
        "print([name for name in ('av', 'numpy', 'torch', 'transformers', 'datasets', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
