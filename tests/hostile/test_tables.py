"""Parquet and Arrow that mean harm: a sentence in each case, within bounds of memory and time; nothing is run or left behind."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened_apart import opened_apart

from juicecap.data import compressed
from juicecap.data.export import write_export
from juicecap.data.source import open_source
from juicecap.data.source.tables import arrow_files, foreign, row_check, schema_check
from juicecap.errors import DataError, EnvironmentFailure
from juicecap.isolated import Stopped
from juicecap.sample import BROKEN, ORIGIN

pytestmark = pytest.mark.usefixtures("one_child")

PNG = (Path(__file__).parents[2] / "recipes" / "images" / "image_00.png").read_bytes()


def parquet(folder: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, folder / "a.parquet", **options)
    return folder / "a.parquet"


def saved(folder: Path, table: pa.Table, features: Any = None, **ipc: Any) -> Path:
    """A folder as `save_to_disk` leaves it, of any table."""
    place = folder / "saved"
    place.mkdir()
    with pa.OSFile(str(place / "data.arrow"), "wb") as stream, pa.ipc.new_stream(stream, table.schema, **ipc) as writer:
        writer.write_table(table)
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    (place / "dataset_info.json").write_text(json.dumps(info))
    state = {"_data_files": [{"filename": "data.arrow"}], "_fingerprint": "ab", "_format_columns": None, "_split": None}
    (place / "state.json").write_text(
        json.dumps({**state, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False})
    )
    return place


def kept_as(kind: str, folder: Path, table: pa.Table) -> Path:
    return parquet(folder, table) if kind == "parquet" else saved(folder, table)


BOTH = pytest.mark.parametrize("kind", ["parquet", "saved"])


def complaint(path: Path, folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        open_source(str(path), cache_folder=folder / "cache", **options)
    left = [name for _, _, names in os.walk(folder / "cache") for name in names]
    assert [name for name in left if not name.endswith(".checked.json")] == []
    return str(caught.value)


def described(columns: dict[str, Any], values: dict[str, Any] | None = None) -> pa.Table:
    """A table whose schema says of itself that its columns are these features."""
    table = pa.table(values or {"a": ["x"]})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": columns}})})


@pytest.mark.slow
class TestBombs:
    def test_a_dictionary_that_is_referred_to_by_many_rows(self, tmp_path: Path) -> None:
        column = pa.DictionaryArray.from_arrays(pa.array([0] * 8500, pa.int32()), pa.array(["x" * 1_000_000]))
        path = parquet(tmp_path, pa.table({"text": column}), compression="zstd")
        assert path.stat().st_size < 2000
        opened = opened_apart(path, tmp_path / "cache")
        assert (opened.error, opened.rows) == ("DataError", 0)
        assert "more than" in opened.message
        assert opened.megabytes < 1700
        assert os.listdir(tmp_path / "cache") == []

    def test_millions_of_rows_of_nothing(self, tmp_path: Path) -> None:
        path = parquet(tmp_path, pa.table({"text": pa.nulls(50_000_000, pa.string())}))
        assert path.stat().st_size < 200_000
        opened = opened_apart(path, tmp_path / "cache")
        assert opened.message == (
            f"{path} unpacks to more than 1,073,741,824 bytes, which no records of its size do. "
            "If that is meant, write it as several files."
        )
        assert opened.megabytes < 600
        assert opened_apart(path, tmp_path / "cache", limit=3).rows == 3

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (2**31 - 1, "is damaged: it claims 2,147,483,647 rows in "),
            (
                60_000_000,
                "saved unpacks to more than 1,073,741,824 bytes, which no records of its size do. If that is meant, give",
            ),
        ],
    )
    def test_arrow_rows_of_nothing(self, rows: int, message: str, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": pa.Array.from_buffers(pa.null(), rows, [None])}))
        assert message in complaint(path, tmp_path)

    @BOTH
    def test_lists_of_billions_of_nothing(self, kind: str, tmp_path: Path) -> None:
        lists = pa.ListArray.from_arrays(pa.array([0, 2**31 - 1], pa.int32()), pa.nulls(2**31 - 1))
        path = saved(tmp_path, pa.table({"a": lists})) if kind == "saved" else None
        if path is None:
            lists = pa.ListArray.from_arrays(pa.array([0, 30_000_000], pa.int32()), pa.nulls(30_000_000, pa.int8()))
            path = parquet(tmp_path, pa.table({"a": lists}))
        assert path.is_dir() or path.stat().st_size < 100_000
        opened = opened_apart(path, tmp_path / "cache")
        assert opened.error == "DataError"
        assert "row 1 holds more than 2,097,152 values" in opened.message
        assert opened.megabytes < 1700

    def test_views_of_one_text(self, tmp_path: Path) -> None:
        view = struct.pack("<i4sii", 1_000_000, b"xxxx", 0, 0)
        buffers = [None, pa.py_buffer(view * 3000), pa.py_buffer(b"x" * 1_000_000)]
        views = pa.Array.from_buffers(pa.string_view(), 3000, buffers)
        path = saved(tmp_path, pa.table({"a": views}))
        assert (path / "data.arrow").stat().st_size < 2_000_000
        opened = opened_apart(path, tmp_path / "cache")
        assert "far larger than its file" in opened.message or "it takes more than" in opened.message
        assert opened.megabytes < 1700

    def test_compressed_arrow(self, tmp_path: Path) -> None:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        offsets = pa.py_buffer(struct.pack("<1101q", *(number << 20 for number in range(1101))))
        zeros = pa.Array.from_buffers(pa.large_string(), 1100, [None, offsets, pa.py_buffer(bytes(1100 << 20))])
        path = saved(tmp_path, pa.table({"a": zeros}), options=options)
        assert (path / "data.arrow").stat().st_size < 2_000_000
        opened = opened_apart(path, tmp_path / "cache")
        assert opened.message.startswith(f"{path} is damaged: it ")
        assert opened.megabytes < 1700
        (tmp_path / "small").mkdir()
        path = saved(tmp_path / "small", pa.table({"a": ["x" * 1_000_000] * 5}), options=options)
        assert complaint(path, tmp_path) == (
            f"{path} is damaged: it is compressed, which Dataset.save_to_disk does not do. Save the dataset again."
        )

    def test_a_row_of_more_text_than_a_record_may_have(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        check = row_check.RowCheck(pa.schema({"a": pa.string(), "b": pa.binary()}), foreign.Refusal("", ""))
        monkeypatch.setattr(row_check, "LONGEST", 1000)
        rows = [{"a": "x" * 400, "b": b"x" * 5000}] * 5
        check.check(pa.RecordBatch.from_pylist(rows, schema=check._schema))
        with pytest.raises(DataError, match=r"^row 8 holds more than 1,000 bytes of text$"):
            check.check(pa.RecordBatch.from_pylist([*rows[:2], {"a": "x" * 1001, "b": b""}, *rows], schema=check._schema))

    def test_what_is_written_is_bounded_also_where_rows_lie_about_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compressed, "SMALL", 1 << 20)
        monkeypatch.setattr(compressed, "MOST", 3)
        allowance = compressed.Allowance("x", 1 << 20)
        allowance.take(3 << 20)
        with pytest.raises(DataError, match=r"^x unpacks to more than 3,145,728 bytes"):
            allowance.take(1)


class TestHonest:
    """What is large for good reasons is read."""

    def test_long_captions_and_media(self, tmp_path: Path) -> None:
        rng = random.Random(0)
        film = rng.randbytes(80 << 20)
        table = pa.table({"video": [{"bytes": film, "path": "a.mp4"}] * 2, "text": ["long caption " * 500_000] * 2})
        path = parquet(tmp_path, table)
        opened = opened_apart(path, tmp_path / "cache")
        assert (opened.rows, opened.error) == (2, "")
        assert sorted(each.stat().st_size for each in (tmp_path / "cache").rglob("*.mp4")) == [len(film)] * 2
        assert opened.megabytes < 1700

    def test_columns_that_repeat_themselves(self, tmp_path: Path) -> None:
        table = pa.table({"n": [7] * 300_000, "t": ["the same text"] * 300_000, "none": pa.nulls(300_000)})
        dataset = open_source(str(parquet(tmp_path, table)), cache_folder=tmp_path / "cache")
        assert (len(dataset), dataset[299_999]["t"]) == (300_000, "the same text")

    @BOTH
    def test_arrays_labels_and_all_that_datasets_describes(self, kind: str, tmp_path: Path) -> None:
        features = datasets.Features(
            {
                "array": datasets.Array2D((2, 2), "int32"),
                "open": datasets.Array2D((None, 2), "float32"),
                "label": datasets.ClassLabel(names=["cat", "dog"]),
                "texts": datasets.LargeList(datasets.Value("large_string")),
                "when": datasets.Value("timestamp[us, tz=UTC]"),
                "json": datasets.Json(),
                "deep": {"x": datasets.List({"y": datasets.Value("float16")})},
                "three": datasets.List(datasets.Value("int8"), length=3),
            }
        )
        row = {
            "array": [[1, 2], [3, 4]],
            "open": [[0.5, 1.5]],
            "label": 1,
            "texts": ["a", None],
            "when": dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
            "json": {"a": [1, "x"]},
            "deep": {"x": [{"y": 0.5}]},
            "three": [1, 2, 3],
        }
        dataset = datasets.Dataset.from_list([row, dict.fromkeys(row)], features=features)
        if kind == "parquet":
            dataset.to_parquet(str(tmp_path / "a.parquet"))
        else:
            dataset.save_to_disk(str(tmp_path / "saved"))
        path = tmp_path / ("a.parquet" if kind == "parquet" else "saved")
        opened = open_source(str(path), cache_folder=tmp_path / "cache").remove_columns([ORIGIN])
        assert opened.features == features
        assert opened[0] == row

    @BOTH
    def test_what_was_exported_comes_back(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('{"a": 1, "b": {"x": [1]}}\n{"a": "x", "b": null}\n')
        dataset = open_source(str(tmp_path / "a.jsonl"), cache_folder=tmp_path / "cache")
        if kind == "parquet":
            write_export(dataset, tmp_path / "a.parquet")
        else:
            dataset.save_to_disk(str(tmp_path / "saved"))
        again = open_source(str(tmp_path / ("a.parquet" if kind == "parquet" else "saved")), cache_folder=tmp_path / "cache")
        assert [(row["a"], row["b"]) for row in again] == [(1, {"x": [1]}), ("x", None)]


class TestDamage:
    def damaged(self, folder: Path, array: pa.Array, old: bytes, new: bytes) -> Path:
        path = saved(folder, pa.table({"a": array, "b": pa.array(range(len(array)), pa.int64())}))
        data = (path / "data.arrow").read_bytes()
        assert data.count(old) == 1
        (path / "data.arrow").write_bytes(data.replace(old, new))
        return path

    @pytest.mark.parametrize("last", [2**31 - 1, -5, 10, 2**24])
    def test_offsets_that_lead_outside(self, last: int, tmp_path: Path) -> None:
        """Whoever reads such a text reads what is not his, or dies of it."""
        array = pa.array(["a" * 11, "b" * 13, "c" * 17])
        path = self.damaged(tmp_path, array, struct.pack("<4i", 0, 11, 24, 41), struct.pack("<4i", 0, 11, last, 41))
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: ")

    def test_lists_that_lead_outside(self, tmp_path: Path) -> None:
        array = pa.array([[1.5] * 11, [2.5] * 13])
        path = self.damaged(tmp_path, array, struct.pack("<3i", 0, 11, 24), struct.pack("<3i", 0, 11, 2**30))
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: ")

    def test_rows_beyond_the_limit_are_not_looked_at_and_not_used(self, tmp_path: Path) -> None:
        path = tmp_path / "saved"
        table = pa.table({"a": ["good"]})
        saved(tmp_path, table)
        with pa.OSFile(str(path / "data.arrow"), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
            writer.write_table(pa.table({"a": ["x" * 11, "y" * 13, "z" * 17]}))
        data = (path / "data.arrow").read_bytes()
        (path / "data.arrow").write_bytes(data.replace(struct.pack("<4i", 0, 11, 24, 41), struct.pack("<4i", 0, 11, 2**30, 41)))
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: ")
        assert open_source(str(path), cache_folder=tmp_path / "cache", limit=1)["a"] == ["good"]

    @BOTH
    def test_text_that_is_not_utf8(self, kind: str, tmp_path: Path) -> None:
        text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 2)), pa.py_buffer(b"\xff\xfe")])
        path = kept_as(kind, tmp_path, pa.table({"a": text}))
        assert "Invalid UTF8 sequence at string index 0" in complaint(path, tmp_path)

    @BOTH
    @pytest.mark.parametrize(
        "column",
        [
            pa.array([2**62], pa.timestamp("us")),
            pa.array([2**30], pa.date32()),
            pa.array([2**62], pa.duration("s")),
            pa.array([[2**62]], pa.list_(pa.timestamp("ms"))),
            pa.array([0], pa.timestamp("us", tz="Nowhere/Land")),
        ],
    )
    def test_times_that_python_does_not_have(self, kind: str, column: pa.Array, tmp_path: Path) -> None:
        path = kept_as(kind, tmp_path, pa.table({"when": column}))
        assert "the column 'when' holds a time that is no value of Python (" in complaint(path, tmp_path)

    def test_any_damage_is_a_sentence_or_other_rows(self, tmp_path: Path) -> None:
        table = pa.table(
            {"t": ["text"] * 9, "l": [[1, 2]] * 9, "s": [{"x": "y"}] * 9, "m": [{"bytes": PNG[:40], "path": "a"}] * 9}
        )
        rng = random.Random(2)
        wholes = [parquet(tmp_path, table, compression="none").read_bytes(), (saved(tmp_path, table) / "data.arrow").read_bytes()]
        opened = refused = 0
        for number in range(120):
            data = bytearray(wholes[number % 2])
            for _ in range(rng.choice((1, 2, 6))):
                at = rng.randrange(len(data))
                data[at : at + 1] = rng.choice((b"\xff", b"\0", b"\x7f", rng.randbytes(1), b"\xff\xff\xff\x7f", b""))
            path = tmp_path / ("saved" if number % 2 else "a.parquet")
            (path / "data.arrow" if number % 2 else path).write_bytes(bytes(data))
            try:
                rows = open_source(str(path), cache_folder=tmp_path / "cache")[:]
            except DataError as error:
                refused += str(error).startswith(str(path))
            else:
                opened += len(rows[ORIGIN]) > 0
        assert opened + refused == 120
        assert min(opened, refused) > 10


class TestColumns:
    @BOTH
    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (
                pa.table({f"c{number}": [1] for number in range(10_001)}),
                "has more than 10,000 columns, with those inside of columns",
            ),
            (pa.table({"a\0b": [1]}), "the name 'a\\x00b' holds a null character, which no column can. Rename that key."),
            (pa.table({"a": pa.array([{"x": 1}]).cast(pa.struct([("x", pa.int64())]))}), ""),
            (
                pa.table({"a": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))}),
                "which no column of a dataset can have. Convert it.",
            ),
            (pa.table({BROKEN: ["x"]}), f"the column name '{BROKEN}' is reserved by juicecap"),
            (pa.table({ORIGIN: ["x"]}), f"the column name '{ORIGIN}' is reserved by juicecap"),
        ],
    )
    def test_that_no_dataset_can_have(self, kind: str, table: pa.Table, message: str, tmp_path: Path) -> None:
        path = kept_as(kind, tmp_path, table)
        if message:
            assert message in complaint(path, tmp_path)
        else:
            assert len(open_source(str(path), cache_folder=tmp_path / "cache")) == 1

    @BOTH
    def test_that_are_nested_deeper_than_readers_go(self, kind: str, tmp_path: Path) -> None:
        type_ = pa.int8()
        for _ in range(40):
            type_ = pa.list_(type_)
        path = kept_as(kind, tmp_path, pa.table({"a": pa.array([None], type_)}))
        assert complaint(path, tmp_path).endswith("the column 'a' has more than 32 levels. Flatten it.")

    @BOTH
    @pytest.mark.parametrize(
        "value", [None, {"id": None, "folder": "x", "missing": []}, {"id": "x", "folder": None, "missing": []}]
    )
    def test_an_origin_that_says_nothing(self, kind: str, value: Any, tmp_path: Path) -> None:
        good = {"id": "x:1", "folder": "/", "missing": []}
        path = kept_as(kind, tmp_path, pa.table({ORIGIN: pa.array([good, value], row_check._origin_type()), "a": [1, 2]}))
        assert f"row 2 does not say where it comes from ({ORIGIN})" in complaint(path, tmp_path)


class TestDescriptions:
    """What a file says of its columns is text by whoever made it."""

    @BOTH
    @pytest.mark.parametrize(
        "feature",
        [
            {"_type": "Value", "dtype": "create_library_symlinks"},
            {"_type": "Value", "dtype": "show_versions"},
            {"_type": "Value", "dtype": "default_memory_pool"},
            {"_type": "Value", "dtype": ["string"]},
            {"_type": "Value"},
            {"_type": "ClassLabel", "names_file": "/etc/passwd"},
            {"_type": "ClassLabel", "num_classes": 10**12},
            {"_type": "ClassLabel", "names": ["x", "x"]},
            {"_type": "ClassLabel", "names": "abc"},
            {"_type": "ClassLabel", "names": [1]},
            {"_type": "List", "feature": {"_type": "Value", "dtype": "int8"}, "length": 10**15},
            {"_type": "List", "feature": {"_type": "Value", "dtype": "int8"}, "length": 1.5},
            {"_type": "List"},
            {"_type": "os"},
            {"_type": "Features"},
            {"_type": "generate_from_dict"},
            {"_type": ["Value"]},
            {"_type": 7},
            {"_type": "Array2D", "shape": [1, 10**12], "dtype": "int8"},
            {"_type": "Array2D", "shape": [1, -1], "dtype": "int8"},
            {"_type": "Array2D", "shape": [1, None], "dtype": "int8"},
            {"_type": "Array2D", "shape": 7, "dtype": "int8"},
            {"_type": "Array2D", "shape": [1, 1], "dtype": "show_info"},
            {"_type": "Translation", "languages": 7},
            [],
            ["x", "y"],
            "string",
            7,
            None,
            {"x": 7},
        ],
    )
    def test_odd_ones_are_named_and_nothing_is_called(
        self, kind: str, feature: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("create_library_symlinks", "show_versions", "show_info", "default_memory_pool"):
            monkeypatch.setattr(pa, name, lambda *_: pytest.fail("called"), raising=False)
        path = kept_as(kind, tmp_path, described({"a": feature}))
        message = complaint(path, tmp_path)
        assert "the column 'a' is described as " in message
        assert message.endswith(", which no column can be.")

    @BOTH
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"info": {"features": []}}', "the features are no object, but []."),
            ('{"info": {"features": "x"}}', "the features are no object, but 'x'."),
            ('{"info": {"features": {"a": ' + '{"x": ' * 3000 + "1" + "}" * 3000 + "}}}", "nested too deeply"),
            ("[]", "holds a list, not an object"),
            ("{", "not valid JSON"),
            ("\xff", "not valid JSON"),
            ('{"info": 7, "info": 8}', "the key 'info' stands twice"),
        ],
    )
    def test_that_are_no_descriptions(self, kind: str, text: str, message: str, tmp_path: Path) -> None:
        path = kept_as(kind, tmp_path, pa.table({"a": ["x"]}).replace_schema_metadata({"huggingface": text}))
        assert message in complaint(path, tmp_path)

    @BOTH
    @pytest.mark.parametrize(
        "text", ['{"info": 7}', '{"info": {}}', "{}", '{"info": {"features": null}}', '{"info": {"features": {}}}']
    )
    def test_that_say_nothing(self, kind: str, text: str, tmp_path: Path) -> None:
        path = kept_as(kind, tmp_path, pa.table({"a": ["x"]}).replace_schema_metadata({"huggingface": text}))
        assert open_source(str(path), cache_folder=tmp_path / "cache").remove_columns([ORIGIN])[:] == {"a": ["x"]}

    @BOTH
    @pytest.mark.parametrize(
        "description", [{"a": {"_type": "Value", "dtype": "int64"}}, {"b": {"_type": "Image"}}, {"a": {"_type": "Image"}}]
    )
    def test_that_fit_no_column_are_left_out(self, kind: str, description: dict[str, Any], tmp_path: Path) -> None:
        path = kept_as(kind, tmp_path, described(description))
        dataset = open_source(str(path), cache_folder=tmp_path / "cache")
        assert (dataset.features["a"], dataset["a"][:]) == (datasets.Value("string"), ["x"])

    @BOTH
    @pytest.mark.parametrize("medium", ["Image", "Audio", "Video", "Pdf", "Nifti", "Mesh"])
    def test_media_inside_of_structs_are_never_opened(
        self, kind: str, medium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`datasets` would open them when a row is read: files of this machine, addresses, and bytes for decoders."""
        monkeypatch.setattr(getattr(datasets, medium), "decode_example", lambda *_, **__: pytest.fail("opened"))
        value = {"bytes": PNG, "path": "https://127.0.0.1:1/x.png"}
        table = described({"a": {"inner": {"_type": medium}}, "b": {"_type": "List", "feature": {"x": {"_type": medium}}}})
        columns = pa.table({"a": [{"inner": value}], "b": [[{"x": value}]]})
        path = kept_as(kind, tmp_path, columns.replace_schema_metadata(table.schema.metadata))
        (row,) = open_source(str(path), cache_folder=tmp_path / "cache")
        assert (row["a"], row["b"]) == ({"inner": value}, [{"x": value}])

    @BOTH
    @pytest.mark.parametrize(
        "facts", ['[[2, 2], "create_library_symlinks"]', "[[2, 2]]", "[[2], 7]", "7", "{", '[[2, 1e400], "int8"]', "[" * 9000, ""]
    )
    def test_types_of_arrays_are_looked_at_before_they_are_built(self, kind: str, facts: str, tmp_path: Path) -> None:
        name = "datasets.features.features.Array2DExtensionType"
        field = pa.field(
            "a", pa.list_(pa.list_(pa.int8())), metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": facts}
        )
        table = pa.Table.from_arrays([pa.array([[[1, 2], [3, 4]]], field.type)], schema=pa.schema([field]))
        path = kept_as(kind, tmp_path, table)
        assert complaint(path, tmp_path).endswith("the column 'a' is an array of an odd shape or type. Write the file again.")

    @BOTH
    @pytest.mark.parametrize("value", [[[1, 2]], [[1, 2], [3]], [[1, 2], None], [], [[1, 2], [3, 4], [5, 6]]])
    def test_arrays_have_the_shape_that_they_claim(self, kind: str, value: Any, tmp_path: Path) -> None:
        name = "datasets.features.features.Array2DExtensionType"
        metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": '[[2, 2], "int8"]'}
        inner = pa.field("a", pa.list_(pa.list_(pa.int8())), metadata=metadata)
        for field, values in ((inner, [value]), (pa.field("s", pa.struct([inner])), [{"a": value}])):
            (tmp_path / field.name).mkdir()
            table = pa.Table.from_arrays([pa.array(values, field.type)], schema=pa.schema([field]))
            path = kept_as(kind, tmp_path / field.name, table)
            assert f"the column '{field.name}' holds an array that does not have the shape of all" in complaint(path, tmp_path)


class TestSavedFolders:
    def test_files_outside_of_the_folder(self, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        other = tmp_path / "other.arrow"
        (path / "data.arrow").rename(other)
        for name in ("../other.arrow", str(other), "sub/x.arrow", "", ".", "..", "a\0b", 7, None, {"x": 1}, "9" * 5000 + "/x"):
            (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
            assert complaint(path, tmp_path).startswith(f"{path} is damaged: state.json names the file ")

    @pytest.mark.parametrize("files", [None, 7, "x", {}, [7], [None], [[]], {"filename": "data.arrow"}])
    def test_odd_lists_of_files(self, files: Any, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        (path / "state.json").write_text(json.dumps({"_data_files": files}))
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: state.json ")

    def test_a_pipe_in_the_place_of_a_file(self, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        (path / "data.arrow").unlink()
        os.mkfifo(path / "data.arrow")
        assert complaint(path, tmp_path) == f"{path} is damaged: 'data.arrow' is missing. Save the dataset again."

    def test_a_name_that_is_too_long(self, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "9" * 5000}]}))
        assert complaint(path, tmp_path) == f"{path} is damaged: '{'9' * 78}… is missing. Save the dataset again."

    def test_a_name_of_a_column_that_is_no_text(self, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"column": ["x"]}))
        data = (path / "data.arrow").read_bytes()
        (path / "data.arrow").write_bytes(data.replace(b"column", b"\xffolumn"))
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: 'utf-8' codec can't decode byte 0xff")

    def test_a_dictionary(self, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": pa.array(["x" * 1000] * 9).dictionary_encode()}))
        assert "the column 'a' is a dictionary, which Dataset.save_to_disk does not write" in complaint(path, tmp_path)

    def test_files_of_different_columns(self, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        with pa.OSFile(str(path / "more.arrow"), "wb") as stream, pa.ipc.new_stream(stream, pa.schema({"a": pa.int8()})):
            pass
        (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}, {"filename": "more.arrow"}]}))
        assert "its files do not have the same columns" in complaint(path, tmp_path)

    ODD = (
        *(b"", b"{", b"[]", b"7", b"null", b"NaN", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a": "\\ud800"}', b'{"a": 1e999}'),
        *(b'{"a":' * 2000 + b"1" + b"}" * 2000, b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1, "a": 2}'),
    )

    @pytest.mark.parametrize("content", [*ODD, b"{}", b'{"_data_files": NaN}', b'{"_data_files": -1e308}'])
    def test_odd_states(self, content: bytes, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        (path / "state.json").write_bytes(content)
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: state.json")

    @pytest.mark.parametrize("content", ODD)
    def test_odd_infos(self, content: bytes, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        (path / "dataset_info.json").write_bytes(content)
        assert complaint(path, tmp_path).startswith(f"{path} is damaged: dataset_info.json: ")

    @pytest.mark.parametrize(
        ("features", "message"),
        [
            (7, "the features are no object, but 7."),
            ([7], "the features are no object, but [7]."),
            ({"a": float("nan")}, "the column 'a' is described as nan, which no column can be."),
            (
                {"a": {"_type": "Value", "dtype": "int8"}},
                "its columns are described as others than they are. Save the dataset again.",
            ),
            (
                {"z": {"_type": "Value", "dtype": "string"}},
                "its columns are described as others than they are. Save the dataset again.",
            ),
            ({}, "its columns are described as others than they are. Save the dataset again."),
        ],
    )
    def test_odd_features(self, features: Any, message: str, tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}), features)
        assert complaint(path, tmp_path).endswith(message)

    def test_fields_in_another_order(self, tmp_path: Path) -> None:
        described = {"s": {"y": {"_type": "Value", "dtype": "string"}, "x": {"_type": "Value", "dtype": "int64"}}}
        path = saved(tmp_path, pa.table({"s": [{"x": 1, "y": "z"}]}), described)
        assert open_source(str(path), cache_folder=tmp_path / "cache")["s"][:] == [{"x": 1, "y": "z"}]

    @pytest.mark.parametrize(
        "extra", [{}, {"version": 7}, {"splits": "x"}, {"download_size": "NaN"}, {"supervised_keys": [1, 2, 3]}]
    )
    def test_facts_that_nobody_needs_do_no_harm(self, extra: dict[str, Any], tmp_path: Path) -> None:
        path = saved(tmp_path, pa.table({"a": ["x"]}))
        (path / "dataset_info.json").write_text(json.dumps({"features": None, **extra}))
        (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}], "_format_type": "torch"}))
        assert open_source(str(path), cache_folder=tmp_path / "cache")["a"][:] == ["x"]

    def test_splits_without_end_are_a_short_message(self, tmp_path: Path) -> None:
        for number in range(30):
            (tmp_path / "dict" / f"s{number:02}").mkdir(parents=True)
            (tmp_path / "dict" / f"s{number:02}" / "state.json").write_text("{}")
        (tmp_path / "dict" / "dataset_dict.json").write_text("[" * 100_000)
        assert complaint(tmp_path / "dict", tmp_path).endswith("dict/s19, and 10 others.")
        assert complaint(tmp_path / "dict", tmp_path).startswith(f"{tmp_path}/dict holds splits, not one dataset.")

    def test_it_is_looked_at_once_for_each_state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = saved(tmp_path, pa.table({"a": ["x", "y"]}))
        calls: list[str] = []
        looked = foreign.in_child
        monkeypatch.setattr(arrow_files, "in_child", lambda *args, **facts: (calls.append("looked"), looked(*args, **facts))[1])
        for _ in range(2):
            assert open_source(str(path), cache_folder=tmp_path / "cache")["a"][:] == ["x", "y"]
        assert calls == ["looked"]
        (kept,) = (tmp_path / "cache").glob("*.checked.json")
        for damage in (b"", b"{", b"[" * 9000, b'{"rows": "x"}', b'{"rows": 2, "features": 7}'):
            kept.write_bytes(damage)
            assert open_source(str(path), cache_folder=tmp_path / "cache")["a"][:] == ["x", "y"]
        os.utime(path / "data.arrow", ns=(1, 1))
        open_source(str(path), cache_folder=tmp_path / "cache")
        assert len(calls) == 7


class TestTheChild:
    @pytest.fixture
    def stops(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
        def install(error: Exception) -> None:
            class Process:
                def __init__(self, memory: int) -> None:
                    self.memory = memory

                def __enter__(self) -> Self:
                    return self

                def __exit__(self, *_: object) -> None:
                    pass

                def call(self, function: str, argument: dict[str, Any], **limits: Any) -> None:
                    folder = Path(argument.get("cached", argument.get("files", [""])[0])).parent
                    (folder / f".juicecap-{argument['owner']}-1.tmp").write_bytes(b"half")
                    raise error

            monkeypatch.setattr(foreign, "IsolatedProcess", Process)

        return install

    @pytest.mark.parametrize(
        ("why", "said"),
        [
            ("crash", "its process crashed (signal SIGSEGV)"),
            ("time", "it takes too much of the processor"),
            ("memory", "it takes more than 1024 MB"),
        ],
    )
    def test_how_it_ends_is_said_and_what_it_left_is_taken_away(
        self, why: Any, said: str, stops: Callable[[Exception], None], tmp_path: Path
    ) -> None:
        (tmp_path / "cache").mkdir()
        stops(Stopped(why, said))
        path = parquet(tmp_path, pa.table({"a": [1]}))
        assert complaint(path, tmp_path) == f"{path} cannot be read as Parquet: {said}. Write the file again."

    def test_a_full_disk_stays_a_full_disk(self, stops: Callable[[Exception], None], tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        stops(EnvironmentFailure("x cannot be written: no space left. Free some space and run again."))
        with pytest.raises(EnvironmentFailure, match="no space left"):
            open_source(str(parquet(tmp_path, pa.table({"a": [1]}))), cache_folder=tmp_path / "cache")
        assert os.listdir(tmp_path / "cache") == []

    def test_limits_grow_with_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[tuple[int, float]] = []

        class Process:
            def __init__(self, memory: int) -> None:
                self.memory = memory

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def call(self, function: str, argument: Any, cpu_seconds: float) -> None:
                seen.append((self.memory, cpu_seconds))

        monkeypatch.setattr(foreign, "IsolatedProcess", Process)
        for size in (0, 10**6, 10**12):
            with foreign.in_child(foreign.Refusal("", ""), size=size, cached=tmp_path / "x") as call:
                call("m:f", {})
        assert seen == [(2**30, 120.0), (2**30 + 4 * 10**6, 130.0), (2**33, 120.0 + 10 * 10**6)]


def test_every_type_of_a_value_is_known_by_its_word() -> None:
    """What `datasets` says of its own values passes, so that no honest description is refused."""
    types = [
        *(
            pa.null(),
            pa.bool_(),
            pa.int8(),
            pa.int16(),
            pa.int32(),
            pa.int64(),
            pa.uint8(),
            pa.uint16(),
            pa.uint32(),
            pa.uint64(),
        ),
        *(pa.float16(), pa.float32(), pa.float64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(
            pa.timestamp(unit, tz=zone)
            for unit in ("s", "ms", "us", "ns")
            for zone in (None, "UTC", "America/New_York", "+01:30")
        ),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.date32(), pa.date64(), pa.decimal128(10, 2), pa.decimal128(38, -4), pa.decimal256(70, 3)),
        *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.string(), pa.large_string(), pa.string_view(), pa.binary(16)),
    ]
    for type_ in types:
        (feature,) = datasets.Features.from_arrow_schema(pa.schema({"a": type_})).to_dict().values()
        assert schema_check.checked_features({"a": feature}, "x") == {"a": {"_type": "Value", "dtype": feature["dtype"]}}


@pytest.mark.parametrize("told", [0, 1, 3, 5, 2**40])
def test_a_file_that_lies_about_its_rows(told: int, tmp_path: Path) -> None:
    """Thrift: the number of rows of the file stands in its footer as a zigzag varint behind the version and the schema."""
    path = parquet(tmp_path, pa.table({"a": [1, 2, 3, 4]}), row_group_size=2, compression="none", store_schema=False)
    metadata = pq.ParquetFile(path).metadata
    assert (metadata.num_rows, metadata.num_row_groups) == (4, 2)
    data = path.read_bytes()
    footer = data.rindex(b"\x16\x08\x19")  # field 3 (i64) of 4 rows, then a list: the row groups
    number, value = b"", told << 1
    while value > 127:
        number, value = number + bytes([value & 127 | 128]), value >> 7
    lied = data[footer : footer + 1] + number + bytes([value])
    length = struct.unpack("<I", data[-8:-4])[0] + len(lied) - 2
    path.write_bytes(data[:footer] + lied + data[footer + 2 : -8] + struct.pack("<I", length) + b"PAR1")
    assert pq.ParquetFile(path).metadata.num_rows == told
    message = complaint(path, tmp_path)
    if told == 0:
        assert message == f"{path} has no records. Give a file with at least one."
    elif told == 2**40:
        assert "unpacks to more than" in message
    else:
        assert (
            message
            == f"{path} cannot be read as Parquet: it does not have the {told} rows that it tells of. Write the file again."
        )
