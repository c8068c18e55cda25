"""Fuzz the readers of datasets: whatever the bytes of a file, its rows can be read, or it is refused with a `DataError`.

    python fuzz/dataset_readers.py -max_total_time=600

Options are libFuzzer's; the last line of a finding names the file that reproduces it, which can be given in place of options. The
first byte says what the others are: JSON Lines, JSON, CSV, a list of paths, a shard, the same packed, Parquet, or the table
of a saved folder. The last two are read by a child process, whose code the fuzzer does not see.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["juicecap.data"]):
    import pyarrow as pa
    from fuzzing import fuzz
    from pyarrow import parquet

    from juicecap.data.source import open_source
    from juicecap.data.source.tables import foreign
    from juicecap.errors import DataError
    from juicecap.isolated import IsolatedProcess
    from juicecap.sample import ORIGIN

NAMES = (
    "a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.tar", "a.jsonl.gz", "a.tar.gz", "a.csv.zst", "a.parquet", "saved",
    "map.json",
)  # fmt: skip
"""What a file is, by its first byte."""

ROWS: list[dict[str, Any]] = [
    {"videos": ["a.mp4"], "text": "é \U0001f3ac", "n": 1, "x": 0.5, "deep": {"a": [1, None], "b": None}},
    {"videos": [], "text": "", "n": 2, "x": -1.5, "deep": {"a": [], "b": "x"}},
]


class OneProcess(IsolatedProcess):
    """A child that is kept from one file to the next."""

    def __exit__(self, *_: object) -> None:
        pass


def look(data: bytes) -> None:
    """One file."""
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    place = Path(name)
    if name == "saved":
        place.mkdir(exist_ok=True)
        (place / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
        (place / "dataset_info.json").write_text("{}")
        (place / "data.arrow").write_bytes(data[1:])
    else:
        place.write_bytes(data[1:])
    try:
        dataset = open_source(name, cache_folder=Path("cache"), keep_broken=True)
    except DataError as error:
        assert str(error).encode()
    else:
        for row in dataset:
            assert row[ORIGIN]["id"]
    finally:
        shutil.rmtree("cache", ignore_errors=True)


def seeds() -> Iterator[bytes]:
    """A small file of each kind."""
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in (("a.mp4", b"film"), ("a.json", b'{"n": 1}'), ("b/é.txt", b"text")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    table = pa.Table.from_pylist(ROWS)
    columns, stream = io.BytesIO(), io.BytesIO()
    parquet.write_table(table, columns, compression="none")
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    rows = b'videos,text\na.mp4,"a ""text"",\nof two lines"\n'
    files = {
        "a.jsonl": lines,
        "a.json": json.dumps(ROWS).encode(),
        "a.csv": rows,
        "a.tsv": rows.replace(b",", b"\t"),
        "a.txt": b"a.mp4\nb.png\n",
        "a.tar": shard.getvalue(),
        "a.jsonl.gz": gzip.compress(lines, mtime=0),
        "a.tar.gz": gzip.compress(shard.getvalue(), mtime=0),
        "a.csv.zst": pa.compress(rows, codec="zstd", asbytes=True),
        "a.parquet": columns.getvalue(),
        "saved": stream.getvalue(),
        "map.json": b'{"a.mp4": "A", "b.mp4": ["B", "b"], "c.png": {"caption": "C"}, "d.mp4": null}',
    }
    for name, content in files.items():
        yield bytes([NAMES.index(name)]) + content


def main() -> None:
    """Fuzz, from small files of many kinds on."""
    kept = OneProcess(memory=foreign.MEMORY)
    foreign.IsolatedProcess = lambda **_: kept
    words = [
        '{"',
        '": ',
        "[[",
        "null",
        "1e999",
        "\\ud800",
        "9" * 30,
        '"a.mp4"',
        "path=",
        "size=",
        "ustar\0",
        "GNU.sparse.",
        "PAR1",
        "\x1f\x8b",
    ]
    fuzz(look, seeds(), words, "-timeout=60", "-rss_limit_mb=2048", "-max_len=16384")


if __name__ == "__main__":
    main()
