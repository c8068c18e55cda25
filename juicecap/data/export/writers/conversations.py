"""Conversations about media whose answer is the caption, in the shapes that trainers of vision-language models read.

Each has as many tokens as media. A sample without a caption, or whose conversation does not fit its media, is left out and
counted. An old answer is replaced: it would be trained in the caption's place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import features_of
from juicecap.data.edits.written_rows import Layout
from juicecap.data.export import format_of
from juicecap.data.export.settings import DATASET_INFO, ConversationsExport
from juicecap.data.export.writers.captioned import Captioned, Medium, caption_column, captioned_rows
from juicecap.data.export.writers.job import NO_CAPTION, ExportResult, Job
from juicecap.data.export.writers.made_table import made_table, write_made
from juicecap.data.export.writers.named_media import NamedMedia
from juicecap.data.export.writers.texts import escaped, has_token
from juicecap.data.export.writers.turns import TOKEN, Turn, answered, asking, turns_of, with_tokens
from juicecap.data.table import CHUNK, chunks
from juicecap.data.writing.atomic import replacing
from juicecap.errors import DataError
from juicecap.nested import value_of
from juicecap.sample import ORIGIN, Sample

if TYPE_CHECKING:
    from datasets import Dataset

CONVERSATION_COLUMNS = ("conversations", "messages")
"""Columns that are taken for conversations unless an export names one."""

NO_CONVERSATION = "with a conversation that cannot be read"
OTHER_TOKENS, HAS_TOKEN = "with other tokens than media", "with a token in the caption"

_MEDIA = ("image", "images", "video", "videos")
"""Columns with paths of media."""

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def prepare(export: ConversationsExport, job: Job) -> PreparedConversations:
    """Make the conversations in a temporary place.

    Raises:
        DataError: a column does not exist, a medium is missing, or the style cannot hold a sample's media.
        UsageError: something of somebody else is where a medium goes.
    """
    for name in (export.conversation, export.prompt_key):
        if name and name not in job.dataset.column_names and "." not in name:
            raise DataError(f"{export.target}: the dataset has no column {name!r}")
    media = NamedMedia(export, job)
    maker = _Maker(export, job, media)
    table = made_table(maker.rows(), _features(export), job)
    layout = Layout.of(table, format_of(export.target), _MEDIA)
    return PreparedConversations(export, job, job.with_edits(export.target, table, layout), media, maker)


class PreparedConversations:
    """Conversations that are ready to be written."""

    def __init__(self, export: ConversationsExport, job: Job, table: Dataset, media: NamedMedia, maker: _Maker) -> None:
        self._export, self._job, self._table, self._media, self._maker = export, job, table, media, maker

    def write(self) -> ExportResult:
        """Place the media, then write the conversations, then the file that tells of them."""
        export = self._export
        self._media.write()
        write_made(self._table, export.target, self._job)
        if export.dataset_info:
            path = export.folder / DATASET_INFO
            with replacing(path, self._job.owner, self._job.ready(path)) as stream:
                stream.write(json.dumps(dataset_info(export, self._maker.kinds), indent=2).encode() + b"\n")
        return ExportResult(
            to=export.target,
            kind=export.kind,
            preset=export.preset,
            rows=len(self._table),
            left_out=dict(self._maker.left_out),
            escaped=self._maker.escaped,
        )


def dataset_info(export: ConversationsExport, kinds: set[str]) -> dict[str, Any]:
    """What LLaMA-Factory must know of the file: its columns, and the names of speakers."""
    turns = "messages" if export.style == "messages" else "conversations"
    columns = {turns: turns, **{f"{kind}s": f"{kind}s" for kind in sorted(kinds)}}
    columns["messages"] = columns.pop(turns)
    entry: dict[str, Any] = {"file_name": export.target.name, "formatting": "sharegpt", "columns": columns}
    if export.style == "messages":
        entry["tags"] = {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        }
    return {export.dataset_info or "": entry}


class _Maker:
    """Makes the conversations, and counts what is left out."""

    def __init__(self, export: ConversationsExport, job: Job, media: NamedMedia) -> None:
        self._export, self._job, self._media = export, job, media
        self._caption = caption_column(job.dataset, export.caption, job.roles)
        there = job.dataset.column_names
        self._conversation = export.conversation or next((name for name in CONVERSATION_COLUMNS if name in there), None)
        self.left_out: Counter[str] = Counter()
        self.escaped = 0
        self.kinds: set[str] = set()
        """The kinds of media that there are."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """All conversations, in order."""
        for some in chunks(self._captioned(), CHUNK):
            named = [(about.name, medium) for _, about, _ in some for medium in about.media]
            paths = iter(self._media.paths(named))
            for sample, about, caption in some:
                own = [next(paths) for _ in about.media]
                if turns := self._turns(sample, about, caption):
                    self.kinds |= {medium.kind for medium in about.media}
                    yield self._row(about, own, *turns)

    def _captioned(self) -> Iterator[tuple[Sample, Captioned, str]]:
        seen: set[tuple[str, ...]] = set()
        for sample, several in captioned_rows(self._job.dataset, self._job.roles, self._caption):
            for about in several:
                captions = [caption for caption in about.captions if caption is not None]
                self.left_out[NO_CAPTION] += not captions
                if self._export.captions == "first":
                    paths = tuple(medium.path for medium in about.media)
                    captions = [] if paths in seen else captions[:1]
                    seen |= {paths} if captions else set()
                yield from ((sample, about, caption) for caption in captions)

    def _turns(self, sample: Sample, about: Captioned, caption: str) -> tuple[list[Turn], str | None] | None:
        """The turns of a sample, and its old answer; None if it is left out."""
        found = turns_of(value_of(sample, self._conversation)) if self._conversation else []
        if found is None:
            self.left_out[NO_CONVERSATION] += 1
            return None
        if has_token(caption):
            if self._export.tokens == "reject":
                self.left_out[HAS_TOKEN] += 1
                return None
            self.escaped += 1
            caption = escaped(caption)
        own = value_of(sample, self._export.prompt_key) if self._export.prompt_key else None
        prompt = own if isinstance(own, str) and own.strip() else self._export.prompt
        kind = "video" if any(medium.kind == "video" for medium in about.media) else "image"
        asked = asking(found, prompt, f"Describe this {kind}.")
        token = None if self._export.style == "parts" else self._export.token
        if (told := with_tokens(asked, about.media, token)) is None:
            self.left_out[OTHER_TOKENS] += 1
            return None
        return answered(told, caption)

    def _row(self, about: Captioned, paths: Sequence[str], turns: Sequence[Turn], old: str | None) -> dict[str, Any]:
        kept = {self._export.old_answer: old} if self._export.old_answer else {}
        return {
            ORIGIN: about.name,
            "id": about.name,
            **_MADE[self._export.style](self._export, about.media, paths, turns),
            **kept,
        }


def _features(export: ConversationsExport) -> Any:
    """The types of a style's columns. Media are JSON where a text and a list may be in one column."""
    turns = {"from": "text", "value": "text"}
    styles: Mapping[str, Mapping[str, Any]] = {
        "llava": {"image": "json", "video": "json", "conversations": [turns]},
        "sharegpt": {"conversations": [turns], "images": "texts", "videos": "texts"},
        "messages": {"messages": [{"role": "text", "content": "text"}], "images": "texts", "videos": "texts"},
        "parts": {"messages": "json"},
    }
    old = {export.old_answer: "text"} if export.old_answer else {}
    return features_of({"id": "text", **styles[export.style], **old})


def _llava(export: ConversationsExport, media: Sequence[Medium], paths: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    lists = _lists(media, paths)
    if export.media_as == "text" and any(len(each) > 1 for each in lists.values()):
        raise DataError(
            f"{export.target}: {paths[0]} is one of several media of a sample, and media_as: text holds one; set media_as to list"
        )
    made = {kind: each if len(each) > 1 or export.media_as == "list" else each[0] for kind, each in lists.items()}
    return {**made, "conversations": _by_value(turns)}


def _sharegpt(_: ConversationsExport, media: Sequence[Medium], paths: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    return {"conversations": _by_value(turns), **{f"{kind}s": each for kind, each in _lists(media, paths).items()}}


def _messages(_: ConversationsExport, media: Sequence[Medium], paths: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    messages = [{"role": turn.speaker, "content": turn.text} for turn in turns]
    return {"messages": messages, **{f"{kind}s": each for kind, each in _lists(media, paths).items()}}


def _parts(_: ConversationsExport, media: Sequence[Medium], paths: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    """Messages with parts. A medium has its path under `path` and under its kind: trainers look for one or the other."""
    left = iter(zip(media, paths, strict=True))

    def split(turn: Turn) -> Iterator[dict[str, str]]:
        texts = TOKEN.split(turn.text) if turn.speaker == "user" else [turn.text]
        for number, text in enumerate(texts):
            if number:
                medium, path = next(left)
                yield {"type": medium.kind, medium.kind: path, "path": path}
            if text.strip() or len(texts) == 1:
                yield {"type": "text", "text": text.strip() if len(texts) > 1 else text}

    return {"messages": [{"role": turn.speaker, "content": list(split(turn))} for turn in turns]}


def _by_value(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"from": _SPEAKERS[turn.speaker], "value": turn.text} for turn in turns]


def _lists(media: Sequence[Medium], paths: Sequence[str]) -> dict[str, list[str]]:
    """The paths by the kinds of their media."""
    lists: dict[str, list[str]] = {}
    for medium, path in zip(media, paths, strict=True):
        lists.setdefault(medium.kind, []).append(path)
    return lists


_MADE = {"llava": _llava, "messages": _messages, "parts": _parts, "sharegpt": _sharegpt}
