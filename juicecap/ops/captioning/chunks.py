"""Data-Juicer's texts with special tokens: which videos a text refers to, and how captions are written into it.

A text is split into chunks at the end-of-chunk token. Each video token of a chunk stands for the next video of the sample.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from juicecap.ops.options.common_options import ColumnsAndTokens
from juicecap.text import any_of


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a recipe."""

    video: str
    image: str
    audio: str
    end_of_chunk: str

    @classmethod
    def of(cls, settings: ColumnsAndTokens) -> SpecialTokens:
        """Those of an op."""
        return cls(
            settings.video_special_token,
            settings.image_special_token,
            settings.audio_special_token,
            settings.eoc_special_token,
        )

    def pattern(self) -> re.Pattern[str]:
        """Matches any of the tokens."""
        return any_of({self.video, self.image, self.audio, self.end_of_chunk})

    def split(self, text: str) -> list[str]:
        """The pieces of a text: what stands between the tokens, at even places, and the tokens, at odd ones."""
        return re.split(f"({self.pattern().pattern})", text)

    def stripped(self, text: str) -> str:
        """The text without special tokens (nor any that its pieces would make when they close up) and the spaces around it."""
        pattern = self.pattern()
        text = pattern.sub("", text)
        return (self._closed_up(text) if pattern.search(text) else text).strip()

    def _closed_up(self, text: str) -> str:
        """The text without tokens, also those nested in others: one pass that removes each token as soon as it is complete."""
        every = sorted({self.video, self.image, self.audio, self.end_of_chunk}, key=len, reverse=True)
        kept: list[str] = []
        for letter in text:
            kept.append(letter)
            whole = next((token for token in every if token[-1] == letter and "".join(kept[-len(token) :]) == token), "")
            if whole:
                del kept[-len(whole) :]
        return "".join(kept)


@dataclass(frozen=True)
class Chunk:
    """A piece of text and the videos that its tokens stand for."""

    tokens: tuple[str, ...]
    """The special tokens that it holds, in order, without the one that ends it."""
    text: str
    """Its text without special tokens."""
    videos: tuple[str, ...]

    def rewritten(self, captions: Sequence[str], tokens: SpecialTokens) -> str:
        """Its special tokens alone, each video token followed by its caption, and the token that ends a chunk."""
        left = iter(captions)
        body = "".join(f"{token} {next(left)} " if token == tokens.video else token for token in self.tokens)
        return body + tokens.end_of_chunk


def split_chunks(text: str, videos: Sequence[str], tokens: SpecialTokens) -> list[Chunk]:
    """The chunks of a text that has a video token for at most each of `videos`; chunks without one are dropped."""
    chunks, left = [], iter(videos)
    for part in text.split(tokens.end_of_chunk):
        count = part.count(tokens.video)
        if count:
            found = tuple(tokens.pattern().findall(part))
            chunks.append(Chunk(found, tokens.stripped(part), tuple(next(left) for _ in range(count))))
    return chunks


def one_chunk(text: str, videos: Sequence[str], tokens: SpecialTokens) -> Chunk:
    """All videos as one chunk, however many video tokens the text has; its image and audio tokens stay, in front."""
    others = [token for token in tokens.pattern().findall(text) if token in (tokens.image, tokens.audio)]
    return Chunk((*others, *(tokens.video,) * len(videos)), tokens.stripped(text), tuple(videos))
