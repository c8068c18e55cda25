"""What `hostile_data.py` throws at juicecap: datasets, answers of servers and model folders with something wrong in them.

Each case is made from its number alone, so that a finding can be repeated. Most are mutations: a valid file in which bytes are
flipped, cut, doubled or replaced by numbers that parsers stumble over. The rest is crafted: bombs, paths that lead elsewhere,
headers that lie.
"""

from __future__ import annotations

import base64
import csv
import functools
import gzip
import io
import json
import random
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import ROOT

CLIP = (ROOT / "recipes/clips/clip_00.mp4").read_bytes()
PICTURE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
DEMO = ROOT / "juicecap/assets/demo_vlm"

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 1e308, -1e308, 1e-308, float("nan"), float("inf"), 2**31, 2**63, 10**40, "", "x", "9" * 500,
    "../../x", "/etc/passwd", "{{ 1/0 }}", "\0", "\ud800", [], [[]], [None], {}, {"": {}}, [1] * 1000,
)  # fmt: skip
TEMPLATES = (
    "{{ 1 / 0 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10 ** 11 }}",
    "{{ 'a'.ljust(10 ** 11) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ messages.no.such.thing }}",
    "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "{% include 'chat_template.jinja' %}",
    "{{ raise_exception('no') }}",
    "{{ messages | map(attribute='content') | sum }}",
    "{{ '%1000000000d' % 1 }}",
    "{% for m in messages %}{% for part in m.content %}<|video_pad|>{% endfor %}{% endfor %}" * 2000,
    "{{ strftime_now('%' * 100000) }}",
    "{{ 2 ** 2 ** 40 }}",
    "{{ {}.update(x=1) }}{{ [] | batch(0) | list }}",
)


@dataclass(frozen=True)
class Case:
    """Files to be made in a folder, and the recipe that is run there."""

    name: str
    recipe: dict[str, Any]
    make: Callable[[Path], None]
    verbs: tuple[str, ...] = ("run",)
    answer: bytes = b""
    """What the server says, head included; for cases of a server."""
    variables: dict[str, str] = field(default_factory=dict)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to eight things wrong."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        if not found:
            break
        at = rng.randrange(len(found))
        what = rng.randrange(7)
        if what == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            number = rng.choice(NUMBERS)
            width = rng.choice([each for each in (1, 2, 4, 8) if number < 256**each])
            found[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif what == 2:
            del found[at:]
        elif what == 3:
            del found[at : at + rng.randrange(1, 64)]
        elif what == 4:
            end = at + rng.randrange(1, 512)
            found[at:at] = found[at:end] * rng.choice((1, 2, 50))
        elif what == 5:
            found[at : at + 1] = rng.randbytes(rng.randrange(1, 16))
        else:
            digits = rng.choice((b"9" * 40, b"-1", b"1e999", b"\0", b"\xff\xfe", b'"', b"[" * 5000, b"\n", b"../../x"))
            found[at : at + rng.randrange(len(digits) + 1)] = digits
    return bytes(found)


def rows(count: int = 6) -> list[dict[str, Any]]:
    """Rows with values of many types; the clip is there."""
    return [
        {"videos": ["clip.mp4"], "text": f"a text {number} 字", "n": number, "x": number / 3, "meta": {"a": [number], "b": None}}
        for number in range(count)
    ]


def _dataset(name: str, content: bytes | Callable[[Path], None], file: str, **keys: Any) -> Case:
    def make(folder: Path) -> None:
        (folder / "clip.mp4").write_bytes(CLIP)
        if callable(content):
            content(folder)
        else:
            (folder / file).write_bytes(content)

    ops = [{"whitespace_normalization_mapper": {}}, {"text_length_filter": {"max_len": 10000}}, {"video_duration_filter": {}}]
    recipe = {"dataset_path": file, "export_path": "out.jsonl", "max_rejected": 1.0, "process": ops, **keys}
    return Case(name, recipe, make)


def parquet_bytes(*, media: str = "", compression: str = "snappy") -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {name: [row[name] for row in rows()] for name in rows()[0]}
    if media:
        columns[media] = [{"bytes": CLIP if number % 2 else PICTURE, "path": f"../{number}.png"} for number in range(6)]
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns), stream, compression=compression, row_group_size=4)
    return stream.getvalue()


def arrow_bytes() -> bytes:
    import pyarrow as pa

    table = pa.table({name: [row[name] for row in rows(40)] for name in rows()[0]})
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=16)
    return stream.getvalue()


def saved(folder: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """A folder as `Dataset.save_to_disk` leaves it, with its files changed."""
    features = {name: {"dtype": kind, "_type": "Value"} for name, kind in (("text", "string"), ("n", "int64"), ("x", "float64"))}
    features["videos"] = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    features["meta"] = {
        "a": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"},
        "b": {"dtype": "null", "_type": "Value"},
    }
    state = {"_data_files": [{"filename": "data.arrow"}], "_fingerprint": "ab", "_format_columns": None, "_format_kwargs": {}}
    state |= {"_format_type": None, "_output_all_columns": False, "_split": None}
    files = {
        "data.arrow": arrow_bytes(),
        "state.json": json.dumps(state).encode(),
        "dataset_info.json": json.dumps(
            {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
        ).encode(),
    }
    change(files)
    (folder / "saved").mkdir()
    for name, content in files.items():
        (folder / "saved" / name).write_bytes(content)


def tar_bytes(members: dict[str, bytes] | None = None, *, pax: dict[str, str] | None = None, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for name, content in (members or _samples()).items():
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(content), pax or {}
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _samples() -> dict[str, bytes]:
    return {
        name: content
        for number in range(3)
        for name, content in (
            (f"{number:03}.mp4", CLIP),
            (f"{number:03}.txt", b"a text"),
            (f"{number:03}.json", b'{"a": [1, 2.5, null]}'),
        )
    }


def _raw_tar(kind: bytes, name: bytes, size: bytes, content: bytes = b"") -> bytes:
    """A header written by hand, with its checksum."""
    header = bytearray(512)
    header[0 : len(name[:100])] = name[:100]
    header[100:108], header[124 : 124 + len(size)] = b"0000644\0", size
    header[136:148], header[156:157], header[257:265] = b"00000000000\0", kind, b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512)


def _csv() -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["videos", "text", "n"])
    writer.writerows(["clip.mp4", f'a "text", {number}\nof two lines', number] for number in range(6))
    return stream.getvalue().encode()


def _zeros(size: int, pack: Callable[[], Any]) -> bytes:
    packer = pack()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


@functools.cache
def _gzip_bomb(size: int = 4 << 30) -> bytes:
    return _zeros(size, lambda: zlib.compressobj(9, zlib.DEFLATED, 31))


def dataset(number: int) -> Case:
    """A dataset; which kind follows from the number."""
    rng = random.Random(f"dataset {number}")
    make = rng.choices([make for make, _ in DATASETS], [share for _, share in DATASETS])[0]
    return make(rng)


def _parquet(rng: random.Random) -> Case:
    compression = rng.choice(("none", "snappy", "gzip", "zstd"))
    return _dataset("parquet", mutated(parquet_bytes(compression=compression), rng), "a.parquet")


def _media_parquet(rng: random.Random) -> Case:
    data = mutated(parquet_bytes(media="film", compression="none"), rng)
    return _dataset("media parquet", data, "a.parquet", video_key="film")


def _saved(rng: random.Random) -> Case:
    chosen = rng.choice(("data.arrow", "data.arrow", "state.json", "dataset_info.json"))
    whole = rng.random() < 0.7 or chosen == "data.arrow"

    def change(files: dict[str, bytes]) -> None:
        files[chosen] = mutated(files[chosen], rng) if whole else _odd_json(files[chosen], rng)

    return _dataset(f"saved {chosen}", lambda folder: saved(folder, change), "saved")


def _tar(rng: random.Random) -> Case:
    return _dataset("tar", mutated(tar_bytes(), rng), "a.tar")


def _packed_tar(rng: random.Random) -> Case:
    return _dataset("packed tar", mutated(gzip.compress(tar_bytes()), rng), "a.tar.gz")


def _text(rng: random.Random) -> Case:
    file, content = rng.choice(sorted(_texts().items()))
    return _dataset(f"text {file}", mutated(content, rng), file)


def _packed(rng: random.Random) -> Case:
    file, content = rng.choice(sorted(_texts().items()))
    return _dataset(f"packed {file}", mutated(gzip.compress(content), rng), f"{file}.gz")


def _metadata(rng: random.Random) -> Case:
    content = mutated(b"file_name,text\nclip.mp4,a text\nb.mp4,another\n", rng)
    files = {"films/clip.mp4": CLIP, "films/metadata.csv": content}
    return _dataset("metadata", lambda folder: _put(folder, files), "films")


def _conversation(rng: random.Random) -> Case:
    turns = [{"from": "human", "value": "<video>\nWhat is this?"}, {"from": "gpt", "value": "a film"}]
    data = json.dumps({"video": ["clip.mp4"], "conversation": _odd_value(turns, rng)}).encode() + b"\n"
    op = {"backend": "openai", "api_base": "{server}", "hf_model": "m"}
    op["model_params"] = {"transport": "images", "timeout": 8, "max_attempts": 1}
    return _dataset("conversation", data, "a.jsonl", process=[{"video_to_caption_generator": op}], media_root=".")


def _texts() -> dict[str, bytes]:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()).encode()
    listed, table = json.dumps(rows(), indent=1).encode(), _csv()
    return {"a.jsonl": lines, "a.json": listed, "a.csv": table, "a.tsv": table.replace(b",", b"\t"), "a.txt": b"clip.mp4\n" * 4}


def _put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _crafted_names(rng: random.Random) -> Case:
    """Names that lead elsewhere: of columns, of media in a table, of members of a shard."""
    away = rng.choice(("{folder}/canary/x", "../../x", "..", "/x", "a/../../../x", "C:\\x", "x\0y", "x" * 5000))
    where = rng.choice(("column", "medium", "member"))

    def make(folder: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        name = away.replace("{folder}", str(folder))
        if where == "member":
            _put(folder, {"a.tar": tar_bytes({f"{name}.mp4": CLIP, "b.mp4": CLIP})})
        else:
            medium = {"bytes": CLIP, "path": f"{name}.mp4" if where == "medium" else "x.mp4"}
            columns = {name if where == "column" else "film": [medium] * 2, "text": ["a", "b"]}
            parquet.write_table(pa.table(columns), folder / "a.parquet")

    return _dataset(f"crafted name of a {where}", make, "a.tar" if where == "member" else "a.parquet")


def _crafted(rng: random.Random) -> Case:
    """Bombs, and headers that lie."""
    (file, what), craft = rng.choice(sorted(CRAFTED.items()))
    return _dataset(f"crafted {what}", craft(), file)


def _deep(opening: bytes, closing: bytes, depth: int = 100_000) -> bytes:
    return opening * depth + closing * depth


def _dictionary_bomb() -> bytes:
    """One long value, referred to by many rows."""
    import pyarrow as pa
    from pyarrow import parquet

    long = pa.array(["x" * 1_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 8000, pa.int32()), long)
    stream = io.BytesIO()
    parquet.write_table(pa.table({"text": column}), stream, compression="zstd", use_dictionary=True)
    return stream.getvalue()


def _many_rows() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(pa.table({"text": pa.nulls(50_000_000, pa.string())}), stream)
    return stream.getvalue()


CRAFTED: dict[tuple[str, str], Callable[[], bytes]] = {
    ("a.tar", "base 256 size"): lambda: _raw_tar(b"0", b"a.mp4", b"\x80" + bytes(3) + b"\xff" * 8, CLIP),
    ("a.tar", "huge member"): lambda: _raw_tar(b"0", b"a.mp4", b"77777777777\0", CLIP),
    ("a.tar", "links"): lambda: _raw_tar(b"2", b"a.mp4", b"0\0") + _raw_tar(b"1", b"b.mp4", b"0\0") + tar_bytes(),
    ("a.tar", "long name"): lambda: _raw_tar(b"L", b"././@LongLink", b"77777777777\0") + tar_bytes(),
    ("a.tar", "pax digits"): lambda: tar_bytes(pax={"size": "9" * 1_000_000}),
    ("a.tar", "pax mtime"): lambda: tar_bytes(pax={"mtime": "1" * 500_000 + ".5"}),
    ("a.tar", "sparse"): lambda: tar_bytes(
        pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 13}
    ),
    ("a.tar.gz", "bomb"): _gzip_bomb,
    ("a.jsonl.gz", "bomb"): _gzip_bomb,
    ("a.jsonl", "deep"): lambda: b'{"videos": ["clip.mp4"], "text": ' + _deep(b"[", b"]") + b"}\n",
    ("a.json", "deep"): lambda: _deep(b"[", b""),
    ("a.json", "deep objects"): lambda: b"[" + _deep(b'{"a":', b"}") + b"]",
    ("a.jsonl", "many keys"): lambda: json.dumps({f"k{each}": each for each in range(100_000)}).encode(),
    ("a.csv", "many columns"): lambda: b",".join(b"c%d" % each for each in range(100_000)) + b"\n1,2\n",
    ("a.jsonl", "a long line"): lambda: b'{"text": "' + b"a" * (100 << 20) + b'"}\n',
    ("a.jsonl", "many lists"): lambda: b'{"text": [' + b"[]," * 5_000_000 + b"[]]}\n",
    ("a.parquet", "dictionary bomb"): _dictionary_bomb,
    ("a.parquet", "many rows"): _many_rows,
}
"""By the file's name and what is wrong."""

DATASETS: tuple[tuple[Callable[[random.Random], Case], int], ...] = (
    (_parquet, 20),
    (_media_parquet, 10),
    (_saved, 14),
    (_tar, 12),
    (_packed_tar, 4),
    (_text, 16),
    (_packed, 5),
    (_metadata, 4),
    (_conversation, 5),
    (_crafted_names, 5),
    (_crafted, 5),
)
"""Kinds of datasets with their shares."""


def _odd_json(data: bytes, rng: random.Random) -> bytes:
    return json.dumps(_odd_value(json.loads(data), rng)).encode()


def _odd_value(value: Any, rng: random.Random) -> Any:
    """The JSON value with one part of it, somewhere, replaced by something odd."""
    places: list[tuple[Any, Any]] = []
    holder = {"whole": json.loads(json.dumps(value))}

    def walk(part: Any) -> None:
        for key in part if isinstance(part, dict) else range(len(part)):
            places.append((part, key))
            if isinstance(part[key], dict | list):
                walk(part[key])

    walk(holder)
    part, key = rng.choice(places)
    if isinstance(part, dict) and part is not holder and rng.random() < 0.1:
        part[rng.choice(("", "../x", "a" * 10_000, "__class__"))] = part.pop(key)
    else:
        part[key] = rng.choice(ODD)
    return holder["whole"]


def answer(number: int) -> Case:
    """A server that says something odd to each question."""
    rng = random.Random(f"answer {number}")
    choice = {"index": 0, "message": {"role": "assistant", "content": "a caption", "refusal": None}, "finish_reason": "stop"}
    good = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice] * 2}
    good |= {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, "system_fingerprint": "f"}
    body, headers, status = json.dumps(good).encode(), {"Content-Type": "application/json"}, b"200 OK"
    what = rng.choices(["mutated", "odd", "error", "headers", "crafted"], [35, 30, 15, 10, 10])[0]
    if what == "mutated":
        body = mutated(body, rng)
    elif what == "odd":
        body = json.dumps(_odd_value(good, rng)).encode("utf-8", "replace")
    elif what == "error":
        told = {"error": {"message": "no", "type": "t", "code": rng.choice(ODD), "param": rng.choice(ODD)}}
        body, status = (
            json.dumps(_odd_value(told, rng)).encode("utf-8", "replace"),
            rng.choice((b"400 Bad", b"429 Many", b"500 No", b"307 There")),
        )
        headers |= {
            "Retry-After": str(rng.choice(ODD)).replace("\0", "").replace("\n", "")[:50].encode("ascii", "replace").decode()
        }
        headers |= {"Location": "http://127.0.0.1:9/v1"}
    elif what == "headers":
        name, value = rng.choice((("Content-Length", "99999999999"), ("Content-Length", "-1"), ("Content-Encoding", "gzip")))
        headers[name] = value
        headers["X-Long"] = "x" * rng.choice((1, 1000, 1_000_000))
    else:
        kind = rng.randrange(5)
        if kind < 2:
            body, headers["Content-Encoding"] = _gzip_bomb(), "gzip"
        elif kind == 2:
            body = json.dumps({**good, "choices": [choice] * 300_000}).encode()
        elif kind == 3:
            body = b"[" * 5_000_000
        else:
            body = json.dumps({**good, "choices": [{**choice, "message": {"content": "x" * (80 << 20)}}]}).encode()
    headers.setdefault("Content-Length", str(len(body)))
    head = b"HTTP/1.1 " + status + b"\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
    op = {"backend": "openai", "api_base": "{server}", "hf_model": "m", "caption_num": 2, "keep_candidate_mode": "all"}
    op["model_params"] = {"transport": "images", "timeout": 8, "max_attempts": 1}
    recipe = {"dataset_path": "a.jsonl", "export_path": "out.jsonl", "max_rejected": 1.0}
    recipe["process"] = [{"video_captioning_from_vlm_mapper": op}]
    row = json.dumps({"videos": ["clip.mp4"], "text": ""}).encode() + b"\n"
    files = {"clip.mp4": CLIP, "a.jsonl": row * 2}
    return Case(f"answer {what}", recipe, lambda folder: _put(folder, files), answer=head + b"\r\n" + body)


def model(number: int) -> Case:
    """The demo model's folder with something odd in one of its small files; looked at, and now and then asked."""
    rng = random.Random(f"model {number}")
    small = sorted(file.name for file in DEMO.iterdir() if file.suffix != ".safetensors")
    chosen = rng.choice(small)
    content = (DEMO / chosen).read_bytes()
    if chosen.endswith(".jinja"):
        content = rng.choice(TEMPLATES).encode() if rng.random() < 0.8 else mutated(content, rng)
    elif rng.random() < 0.6:
        content = _odd_json(content, rng)
    else:
        content = mutated(content, rng)

    def make(folder: Path) -> None:
        _put(folder, {"clip.mp4": CLIP, "a.jsonl": json.dumps({"videos": ["clip.mp4"], "text": ""}).encode() + b"\n"})
        (folder / "model").mkdir()
        for file in DEMO.iterdir():
            if file.name != chosen:
                shutil.copyfile(file, folder / "model" / file.name)
        (folder / "model" / chosen).write_bytes(content)

    op = {"hf_model": "model", "sampling_params": {"max_tokens": 8}}
    recipe = {"dataset_path": "a.jsonl", "export_path": "out.jsonl", "max_rejected": 1.0}
    recipe["process"] = [{"video_captioning_from_vlm_mapper": op}]
    verbs = ("check", "plan", "run") if number % 5 == 0 else ("check", "plan")
    return Case(f"model {chosen}", recipe, make, verbs=verbs)


KINDS: dict[str, tuple[Callable[[int], Case], int]] = {"dataset": (dataset, 60), "answer": (answer, 20), "model": (model, 20)}
"""Each kind of cases with its share in percent."""
