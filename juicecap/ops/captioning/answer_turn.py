"""The answer in a conversation, which a caption may become: what trainers learn is the turn behind the question.

A caption that stands in a column of its own leaves the old answer where it is, and whoever trains on the conversation trains the
old answer. Media tokens in a caption get a space, since a token in any turn stands for a medium.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from juicecap.ops.captioning.conversation import Conversation, keys_of, with_text, without_media, without_tokens

AnswerMode = Literal["keep", "replace", "append"]

OLD_ANSWER = (
    "the old answer stays behind the new prompt, and a trainer would learn it: "
    "conversation_answer: replace puts the caption in its place"
)
"""What `juicecap check` says of `keep`."""


def with_caption(
    conversation: Conversation, prompt: str | None, caption: str, column: str, how: AnswerMode
) -> list[Mapping[str, Any]]:
    """The turns with `prompt` in the first human one (None: that stays), and with the caption as an answer.

    `replace` puts it in the place of the old answer. `append` leaves a question and its answer alone, and adds a round of prompt
    and caption at the end. Where there is no old answer, both put it behind the question.
    """
    caption = without_media(caption)
    answer = None if conversation.answer is None else conversation.turns[conversation.answer]
    if how == "append" and answer is not None and conversation.human is not None:
        asked = conversation.text if prompt is None else without_tokens(prompt)
        question = conversation.turns[conversation.human]
        return [*conversation.turns, _saying(question, question, asked), _saying(answer, answer, caption)]
    turns = list(conversation.turns) if prompt is None else conversation.with_prompt(prompt, column)
    if how == "keep":
        return turns
    behind = len(turns) if conversation.human is None else conversation.human + 1
    if answer is None:
        return [*turns[:behind], _saying(_ANSWERERS[keys_of(turns[behind - 1])[0]], turns[behind - 1], caption), *turns[behind:]]
    said = keys_of(answer)[1]
    turns[behind] = {**answer, said: with_text(answer.get(said), lambda _: caption)}
    return turns


_ANSWERERS: Mapping[str, Mapping[str, Any]] = {"from": {"from": "gpt"}, "role": {"role": "assistant"}}
"""Key of a speaker -> who answers."""


def _saying(speaker: Mapping[str, Any], like: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A new turn of a speaker, in the shape of another turn: with a text, or with parts."""
    who, said = keys_of(like)
    in_parts = isinstance(like.get(said), list | tuple)
    return {who: speaker[who], said: [{"type": "text", "text": text}] if in_parts else text}
