"""Rows that nobody would write by hand: each has one outcome, and takes none of its neighbours down."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

import juicecap
from juicecap.data import compressed, record, table
from juicecap.data.exact_json import exact_json
from juicecap.data.source import open_source
from juicecap.data.source.text import csv_table, json_list
from juicecap.errors import DataError
from juicecap.sample import BROKEN

Pack = Callable[[bytes], bytes]

GOOD = b'{"videos": [], "text": "good"}\n'


def plain(data: bytes) -> bytes:
    return data


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


PACKERS: dict[str, Pack] = {"": plain, ".gz": gzip.compress, ".zst": zstd}


class Job:
    """A dataset, and a recipe that looks at texts and videos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, content: bytes, name: str = "data.jsonl") -> Path:
        self.data = self.folder / name
        self.data.write_bytes(content)
        return self.data

    def run(self, *ops: str | dict[str, Any], limit: int | None = None, **keys: Any) -> juicecap.runner.RunResult:
        settings = {
            "dataset_path": str(self.data),
            "export_path": str(self.folder / "out.jsonl"),
            "max_rejected": 1.0,
            "process": [*ops] or [{"text_length_filter": {"min_len": 1, "max_len": 100_000_000}}],
        }
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump({**settings, **keys}))
        return juicecap.run(self.folder / "recipe.yaml", limit=limit, overwrite=True)

    @property
    def output(self) -> list[str]:
        return (self.folder / "out.jsonl").read_text("utf-8").splitlines()

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "out.run" / "rejected.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


BROKEN_LINES: dict[str, tuple[bytes, str]] = {
    "cut": (b'{"text": "x', "not valid JSON: Unterminated string starting at column 10. Mend the record or remove it."),
    "zeros": (
        b"\0" * 4096,
        "not valid JSON: Expecting value at column 1 (an invisible character U+0000). Mend the record or remove it.",
    ),
    "not UTF-8": (b'{"text": "\xe9"}', "not valid UTF-8 (byte 0xe9: invalid continuation byte). Save the file as UTF-8."),
    "a list": (b'[{"text": "x"}]', 'holds a list, not an object. A record looks like {"videos": ["a.mp4"]}.'),
    "null": (b"null", 'holds null, not an object. A record looks like {"videos": ["a.mp4"]}.'),
    "duplicate keys": (b'{"text": "x", "text": "y"}', "the key 'text' stands twice in one object. Mend the record."),
    "half a character": (
        b'{"text": "\\ud800"}',
        "a \\u escape is half of a surrogate pair and stands for no character. Mend the text.",
    ),
    "a number beyond floats": (b'{"n": -1e999}', "the number -1e999 is too large for a float. Mend the record."),
    "a number beyond 64 bits": (
        b'{"n": 18446744073709551616}',
        "the integer 18446744073709551616 does not fit into 64 bits and should be a string. Mend the record.",
    ),
    "a number without end": (
        b'{"n": ' + b"9" * 1_000_000 + b"}",
        f"the integer {'9' * 40} does not fit into 64 bits and should be a string. Mend the record.",
    ),
    "depth": (b'{"n": ' + b"[" * 1_000_000, "lists or objects are nested too deeply. Flatten the record."),
    "a hidden name": (
        b'{"__juicecap_fate__": 1}',
        "the name '__juicecap_fate__' is reserved by juicecap. Rename that key.",
    ),
    "a null character in a name": (
        b'{"a\\u0000b": 1}',
        "the name 'a\\x00b' holds a null character, which no column can. Rename that key.",
    ),
}


@pytest.mark.parametrize("name", BROKEN_LINES)
def test_a_broken_line_is_rejected_by_its_number_and_the_others_live(name: str, job: Job) -> None:
    line, reason = BROKEN_LINES[name]
    path = job.write(GOOD + b"\n" + line + b"\n" + b'{"text": "last"}')
    result = job.run()
    assert job.output == ['{"videos": [], "text": "good"}', '{"text": "last"}']
    (rejected,) = job.rejected
    assert rejected.pop("when")
    assert rejected == {
        "id": "data.jsonl:3",
        "source": str(path.parent / "data.jsonl:3"),
        "op": "load_dataset",
        "code": "BROKEN_RECORD",
        "message": f"{path}:3: {reason}",
        "attempts": 1,
        "retryable": False,
        "sample": {},
    }
    assert [(step.op, step.counts.taken, step.counts.kept, step.counts.rejected) for step in result.steps] == [
        ("load_dataset", 3, 2, 1),
        ("text_length_filter", 2, 2, 0),
    ]
    assert (result.samples, result.exported, result.rejected, result.reasons) == (3, 2, 1, {"BROKEN_RECORD": 1})


def test_a_second_run_tells_the_same_rejections(job: Job) -> None:
    job.write(GOOD + b"{\n" + GOOD)
    job.run()
    first = job.rejected
    again = job.run()
    assert job.rejected == first
    assert (again.samples, again.exported, again.rejected) == (3, 2, 1)


def test_too_many_broken_lines_are_too_many_rejections(job: Job) -> None:
    job.write(GOOD + b"{\n")
    assert job.run(max_rejected=0).exit_code == 3
    assert job.run(max_rejected=1).exit_code == 0


def test_a_broken_line_stops_a_run_that_is_to_stop(job: Job) -> None:
    path = job.write(GOOD + b"{\n")
    with pytest.raises(DataError) as caught:
        job.run(on_error="stop")
    assert str(caught.value).startswith(
        f"{path}:2: not valid JSON: Expecting property name enclosed in double quotes at column 2."
    )


def test_broken_lines_alone_are_no_dataset(job: Job) -> None:
    path = job.write(b"{\n" * 3)
    with pytest.raises(DataError) as caught:
        job.run()
    reason = "not valid JSON: Expecting property name enclosed in double quotes at column 2. Mend the record or remove it."
    assert str(caught.value) == f"{path}:1: {reason} All 3 records cannot be read."


def test_from_python_a_broken_line_is_an_error_also_from_the_cache(job: Job) -> None:
    path = job.write(GOOD + b"{\n")
    job.run()
    for _ in range(2):
        with pytest.raises(DataError, match=r"data\.jsonl:2: not valid JSON"):
            juicecap.load_dataset(str(path), cache_folder=job.folder / "out.run" / "steps")


def test_a_limit_counts_broken_lines(job: Job) -> None:
    job.write(GOOD + b"{\n" + GOOD)
    result = job.run(limit=2)
    assert (result.samples, result.exported, result.rejected) == (2, 1, 1)


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("7", "BAD_TEXT", "column 'text' holds 7, not a text"),
        ('["a"]', "BAD_TEXT", "column 'text' holds ['a'], not a text"),
        ('{"a": NaN}', "BAD_TEXT", "column 'text' holds {'a': nan}, not a text"),
        ("true", "BAD_TEXT", "column 'text' holds True, not a text"),
    ],
)
def test_what_is_no_text_is_rejected_alone(value: str, code: str, message: str, job: Job) -> None:
    job.write(b'{"text": "a"}\n' + f'{{"text": {value}}}\n'.encode() + b'{"text": "b"}\n')
    job.run("whitespace_normalization_mapper")
    assert job.output == ['{"text": "a"}', '{"text": "b"}']
    assert [(each["id"], each["code"], each["message"]) for each in job.rejected] == [("data.jsonl:2", code, message)]
    assert [each["sample"] for each in job.rejected] == [json.loads(f'{{"text": {value}}}', parse_constant=lambda _: None)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("7", "column 'videos' holds 7, not a path or a list of paths"),
        ("[7]", "column 'videos' holds 7 where a path should be"),
        ('[["a.mp4"]]', "column 'videos' holds ['a.mp4'] where a path should be"),
        ("[null]", "column 'videos' holds None where a path should be"),
        ('[""]', "column 'videos' holds '' where a path should be"),
        ('{"path": "a.mp4"}', "column 'videos' holds {'path': 'a.mp4'}, not a path or a list of paths"),
        ("NaN", "column 'videos' holds nan, not a path or a list of paths"),
    ],
)
def test_what_is_no_path_is_rejected_alone(value: str, message: str, job: Job) -> None:
    job.write(GOOD + f'{{"videos": {value}, "text": "x"}}\n'.encode() + GOOD)
    job.run("video_duration_filter")
    assert [json.loads(line)["text"] for line in job.output] == ["good", "good"]
    assert [(each["id"], each["op"], each["code"], each["message"]) for each in job.rejected] == [
        ("data.jsonl:2", "video_duration_filter[1]", "BAD_MEDIA_COLUMN", message)
    ]


@pytest.mark.parametrize("row", [b'{"text": "x"}', b'{"videos": null, "text": "x"}'])
def test_a_missing_column_and_null_are_no_videos_and_stay_different(row: bytes, job: Job) -> None:
    job.write(GOOD + row + b"\n")
    job.run("video_duration_filter")
    assert job.output == [GOOD.decode().strip(), row.decode()]
    assert job.rejected == []


def test_a_text_of_ten_megabytes_comes_out_as_it_went_in(job: Job) -> None:
    text = 'é\U0001f3ac\\"' * (10_000_000 // 8)
    job.write(json.dumps({"text": text, "n": 1}).encode() + b"\n" + GOOD)
    job.run()
    assert json.loads(job.output[0]) == {"text": text, "n": 1}
    assert len(job.output) == 2


def test_not_a_number_comes_out_as_null(job: Job) -> None:
    job.write(b'{"text": "x", "score": NaN, "s": [Infinity, -Infinity, -0.0, 1.0]}\n')
    job.run()
    assert job.output == ['{"text": "x", "score": null, "s": [null, null, -0.0, 1.0]}']


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.jsonl", b'\xef\xbb\xbf{"text": "a"}\r\n\r\n{"text": "b\xc3\xa9"}\r\n'),
        ("d.json", b'\xef\xbb\xbf[{"text": "a"},\r\n {"text": "b\xc3\xa9"}]\r\n'),
        ("d.csv", b"\xef\xbb\xbftext\r\na\r\nb\xc3\xa9\r\n"),
        ("d.tsv", b"\xef\xbb\xbftext\r\na\r\nb\xc3\xa9"),
    ],
)
def test_marks_line_ends_and_compression_change_nothing(name: str, content: bytes, packer: str, job: Job) -> None:
    job.write(PACKERS[packer](content), f"{name}{packer}")
    job.run()
    assert job.output == ['{"text": "a"}', '{"text": "bé"}']


@pytest.mark.parametrize("packer", [".gz", ".zst"])
def test_packed_files_may_have_several_parts(packer: str, job: Job) -> None:
    pack = PACKERS[packer]
    job.write(pack(b'{"text": "a"}\n{"te') + pack(b'xt": "b"}\n'), f"d.JSONL{packer}")
    job.run()
    assert job.output == ['{"text": "a"}', '{"text": "b"}']


@pytest.mark.parametrize("packer", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "changed", "never packed"])
def test_a_damaged_packed_file_is_named(packer: str, damage: str, job: Job) -> None:
    data = PACKERS[packer](b"".join(b'{"text": "%d"}\n' % number for number in range(5000)))
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "changed":
        data = data[: len(data) // 2] + bytes(byte ^ 255 for byte in data[len(data) // 2 :])
    else:
        data = GOOD
    path = job.write(data, f"d.jsonl{packer}")
    with pytest.raises(DataError) as caught:
        job.run()
    assert str(caught.value).startswith(f"{path} is damaged and cannot be unpacked: ")
    assert str(caught.value).endswith(". Pack or fetch it again.")


@pytest.mark.parametrize("packer", [".gz", ".zst"])
def test_a_packed_file_that_unpacks_without_end_is_refused(packer: str, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    path = job.write(PACKERS[packer]((b'{"a": "' + b"x" * 10_000 + b'"}\n') * 4_000), f"d.jsonl{packer}")
    most = max(1 << 20, 200 * path.stat().st_size)
    with pytest.raises(DataError) as caught:
        job.run()
    assert str(caught.value) == (
        f"{path} unpacks to more than {most:,} bytes, which no records of its size do. "
        "If that is meant, unpack it and give the unpacked file."
    )


@pytest.mark.parametrize("packer", PACKERS)
def test_a_line_without_end_is_not_held_in_memory(packer: str, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (record, compressed):
        monkeypatch.setattr(module, "LONGEST", 1000)
    path = job.write(PACKERS[packer](GOOD + b'{"text": "' + b"x" * 3_000_000 + b'"}\n' + GOOD), f"d.jsonl{packer}")
    job.run()
    assert [each["message"] for each in job.rejected] == [f"{path}:2: longer than 1,000 bytes. Mend the record or remove it."]
    assert job.output == [GOOD.decode().strip()] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b"text,n\na,1\nb,2,3\nc,4\n", ":3: has 3 cells where the header has 2. Quote cells that hold the separator."),
        (
            "d.csv",
            b"text,n\na,1\n\xff,2\nc,4\n",
            ":3: not valid UTF-8 (byte 0xff: invalid start byte). Save the file as UTF-8.",
        ),
        (
            "d.json",
            b'[{"text": "a", "n": "1"},\n{"a": 1, "a": [{"}": "]"}]},\n{"text": "c", "n": "4"}]',
            ":2 (record 2): the key 'a' stands twice in one object. Mend the record.",
        ),
        (
            "d.json",
            b'[{"text": "a", "n": "1"},\n12,\n{"text": "c", "n": "4"}]',
            ':2 (record 2): holds a number, not an object. A record looks like {"videos": ["a.mp4"]}.',
        ),
    ],
)
def test_a_broken_record_of_a_table_or_a_list_is_rejected_alone(name: str, content: bytes, message: str, job: Job) -> None:
    path = job.write(content, name)
    job.run()
    assert job.output == ['{"text": "a", "n": "1"}', '{"text": "c", "n": "4"}']
    assert [(each["code"], each["message"]) for each in job.rejected] == [("BROKEN_RECORD", f"{path}{message}")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b'text\na\n"b\nc\n', ":3: not a valid row: unexpected end of data. Check its quotes."),
        ("d.csv", b'text\na\n"b"c\nd\n', ":3: not a valid row: ',' expected after '\"'. Check its quotes."),
        ("d.csv", b"te\xffxt\na\n", ":1: not valid UTF-8 (byte 0xff: invalid start byte). Save the file as UTF-8."),
        (
            "d.json",
            b'[{"text": "a"},\n{"text" "b"},\n{"text": "c"}]',
            ":2 (record 2): not valid JSON: Expecting ':' delimiter. Mend the record or remove it.",
        ),
        (
            "d.json",
            b'[{"text": "a"},\n{"text": "\xff"}]',
            ":2: not valid UTF-8 (byte 0xff: invalid start byte). Save the file as UTF-8.",
        ),
    ],
)
def test_where_the_next_record_cannot_be_found_the_file_is_refused(name: str, content: bytes, message: str, job: Job) -> None:
    path = job.write(content, name)
    with pytest.raises(DataError) as caught:
        job.run()
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"n": ' + b"[" * 39 + b"]" * 39 + b"}", ""),
        (b'{"n": ' + b"[" * 40 + b"]" * 40 + b"}", "lists or objects are nested too deeply. Flatten the record."),
        (b'{"n": ' * 40 + b"1" + b"}" * 40, ""),
        (b'{"n": ' * 41 + b"1" + b"}" * 41, "lists or objects are nested too deeply. Flatten the record."),
        (b'{"n": ' * 600 + b"1" + b"}" * 600, "lists or objects are nested too deeply. Flatten the record."),
        (b'{"text": "' + b"[{" * 9000 + b'"}', ""),
        (
            json.dumps({f"k{number}": 1 for number in range(10_001)}).encode(),
            "has 10,001 keys, and there can be 10,000 columns. Put them into an object of their own.",
        ),
        (b'{"n": [' + b"1," * (1 << 21) + b"1]}", "more than 2,097,152 values. Split the record."),
        (b'{"n": [' + b"{}," * (1 << 20) + b"1]}", "more than 2,097,152 values. Split the record."),
    ],
    ids=["39 lists", "40 lists", "40 objects", "41 objects", "600 objects", "brackets in a text", "keys", "numbers", "objects"],
)
def test_what_a_record_may_be_is_bounded(line: bytes, reason: str, job: Job) -> None:
    path = job.write(GOOD + line + b"\n" + GOOD)
    job.run({"text_length_filter": {"min_len": 0}})
    assert [each["message"] for each in job.rejected] == ([f"{path}:2: {reason}"] if reason else [])
    assert len(job.output) == (2 if reason else 3)
    if not reason:
        assert json.loads(job.output[1]) == json.loads(line)


def test_columns_that_never_end_are_refused(job: Job) -> None:
    path = job.write(b"".join(b'{"c%d": 1}\n' % number for number in range(10_002)))
    with pytest.raises(DataError) as caught:
        job.run()
    assert str(caught.value) == (
        f"{path}:10001: more than 10,000 columns. Put values with changing keys into an object of their own."
    )


def test_names_of_columns_that_never_end_are_refused(job: Job) -> None:
    path = job.write(b"".join(b'{"%s%d": 1}\n' % (b"c" * 300_000, number) for number in range(4)))
    with pytest.raises(DataError) as caught:
        job.run()
    message = f"{path}:4: more than 1,048,576 characters in names of columns. "
    assert str(caught.value) == f"{message}Put values with changing keys into an object of their own."


def test_a_wide_object_is_one_column_of_json(job: Job) -> None:
    wide = {f"k{number}": number for number in range(20_000)}
    path = job.write(json.dumps({"text": "x", "wide": wide}).encode() + b"\n" + GOOD)
    job.run()
    assert json.loads(job.output[0]) == {"text": "x", "wide": wide}
    assert juicecap.load_dataset(str(path), cache_folder=job.folder / "cache").features["wide"] == exact_json()


def test_a_small_file_does_not_become_a_huge_table(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row keeps the names of the columns that it lacks."""
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    path = job.write(b"".join(b'{"c%d": 1}\n' % (number % 5000) for number in range(10_000)))
    with pytest.raises(DataError) as caught:
        job.run()
    most = 200 * path.stat().st_size
    message = f"{path} unpacks to more than {most:,} bytes, which no records of its size do. "
    assert str(caught.value) == f"{message}If that is meant, give it in several files."
    assert not list((job.folder / "out.run" / "steps").iterdir())


def test_batches_of_heavy_rows_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "HEAVY", 10_000)
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"text": "x" * length}) + "\n" for length in [10] * 50 + [6000] * 5 + [10])
    )
    dataset = juicecap.load_dataset(str(tmp_path / "a.jsonl"), cache_folder=tmp_path / "cache")
    assert [len(value) for value in dataset["text"]] == [10] * 50 + [6000] * 5 + [10]
    assert [len(batch) for batch in dataset.data.table.to_batches()] == [52, 2, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b",".join(b"c%d" % number for number in range(10_001)),
            ":1: the header has 10,001 cells, and there can be 10,000 columns.",
        ),
        (b"a\n" + b"x," * (1 << 21) + b"x,x\n", ":2: a row of more than 2,097,152 cells. Check the quotes before it."),
        (b'a\n"x\n' + (b'"' + b"," * 1000 + b'"\n') * 2100, ":2100: a row of more than 2,097,152 cells."),
    ],
    ids=["header", "one line", "many lines"],
)
def test_the_cells_of_a_table_are_bounded(content: bytes, message: str, job: Job) -> None:
    path = job.write(content, "d.csv")
    with pytest.raises(DataError) as caught:
        job.run()
    assert str(caught.value).startswith(f"{path}{message}")


def test_a_row_of_many_lines_is_bounded(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "LONGEST", 1000)
    path = job.write(b'text\nfine\n"' + b"x" * 90 + b"\n" + (b"y" * 90 + b"\n") * 20, "d.csv")
    with pytest.raises(DataError) as caught:
        job.run()
    assert str(caught.value) == f"{path}:13: a row of more than 1,000 bytes. Check the quotes before it."
    job.write(b"text\n" + b"fine\n" * 3000, "d.csv")
    job.run({"text_length_filter": {"min_len": 1}})
    assert len(job.output) == 3000


class TestListsOfPaths:
    def read(self, job: Job, content: bytes, name: str) -> tuple[list[str], list[str]]:
        """The paths, and why others cannot be read."""
        path = job.write(content, name)
        dataset = open_source(str(path), cache_folder=job.folder / "cache", keep_broken=True)
        broken = [row["reason"] for row in (dataset[BROKEN] if BROKEN in dataset.column_names else []) if row]
        return [path for paths in dataset["videos"] for path in paths or ()], broken

    @pytest.mark.parametrize(
        ("entry", "reason"),
        [
            (b"[" * 5000 + b"]" * 5000, "lists or objects are nested too deeply"),
            (b"9" * 100_000, f"the integer {'9' * 40} does not fit into 64 bits"),
            (b'"\\ud800.mp4"', "a \\u escape is half of a surrogate pair"),
            (b'{"a": 1}', 'holds {"a": 1}, not a path.'),
            (b"NaN", "holds NaN, not a path."),
            (b'""', 'holds "", not a path.'),
        ],
    )
    @pytest.mark.parametrize("name", ["d.json", "d.jsonl"])
    def test_an_odd_entry_is_rejected_alone(self, name: str, entry: bytes, reason: str, job: Job) -> None:
        good = [b'"a.mp4"', entry, b'"b.mp4"']
        content = b"[" + b", ".join(good) + b"]" if name == "d.json" else b"\n".join(good)
        if name == "d.json" and "nested" in reason:
            with pytest.raises(DataError, match=reason):
                self.read(job, content, name)
            return
        paths, (why,) = self.read(job, content, name)
        assert paths == ["a.mp4", "b.mp4"]
        assert why.startswith(reason)

    def test_a_list_is_read_piece_by_piece(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_list, "LONGEST", 1000)
        monkeypatch.setattr(json_list, "PIECE", 64)
        names = [f"{number}.mp4" for number in range(5000)]
        assert self.read(job, json.dumps(names).encode(), "d.json") == (names, [])


@pytest.mark.parametrize("name", [b"d\xff.jsonl", b"d\xff.csv", b"d\xff.parquet"])
def test_a_file_whose_name_is_no_text_is_named(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    try:
        path.write_bytes(GOOD)
    except OSError:
        pytest.skip("the file system refuses such names")
    with pytest.raises(DataError, match=r"\\udcff.* has a path that is not valid UTF-8\. Rename it\."):
        juicecap.load_dataset(str(path), cache_folder=tmp_path / "cache")


class TestJsonColumns:
    """Text in a JSON column of a table that others wrote is parsed when a row is read."""

    @pytest.mark.parametrize(
        "text", ["[" * 100_000, "[" * 70 + "]" * 70, "[" + "1," * (1 << 21) + "1]", '{"a":' * 900 + "1" + "}" * 900]
    )
    def test_what_no_record_may_be_stays_text(self, text: str) -> None:
        assert exact_json().decode_example(text) == text

    def test_what_a_record_may_be_is_a_value(self) -> None:
        assert exact_json().decode_example("[" * 64 + "]" * 64) != "["
        assert exact_json().decode_example('{"a": [1, "x"]}') == {"a": [1, "x"]}
