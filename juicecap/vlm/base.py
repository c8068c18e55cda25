"""Requests to a vision-language model, and their outcomes.

An op builds `Request`s, which name media by path and hold no pixels, and reads `Outcome`s. Everything between the two
(media, engines, seeds) belongs to `vlm/pipeline/core.py` and one `Backend`, and no op knows which.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, Protocol

from juicecap.errors import SampleError
from juicecap.fragment import WHOLE, Span, located, without_fragment
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.sample import display_path
from juicecap.vlm.context import ContextLength
from juicecap.vlm.lessons import Lessons
from juicecap.vlm.seeds import candidate_seeds, first_seed

TEMPLATE_KWARGS = "chat_template_kwargs"
"""The entry of `model_params` that is for the chat template, whatever the backend."""

Role = Literal["system", "user", "assistant"]

JOURNAL_VERSION = 1
"""Part of each entry key. Increase it when the same request gets another answer (other frames, another parsing), so that journals
do not return the old one."""


@dataclass(frozen=True)
class Part:
    """One part of a message: a text, or the path of a video or an image."""

    kind: Literal["text", "video", "image"]
    value: str
    pictures: tuple[str, ...] = ()
    """The pictures that a video consists of, in order; then its path is that of the first. Empty: it is what lies at its path."""
    frames: FrameSampling | None = None
    """How this medium's frames are sampled; None: as those of the request."""
    span: Span = WHOLE
    """What of a video it is, as if it were a file of its own."""

    @property
    def label(self) -> str:
        """What it is called in a message to people."""
        others = len(self.pictures) - 1
        name = f"{self.value} and {others} more {'picture' if others == 1 else 'pictures'}" if others > 0 else self.value
        return name if self.span == WHOLE else f"{name}#{self.span}"

    def located(self) -> Part:
        """The same medium with the fragment of its path, if it has one (`film.mp4#t=12.5,20`), as its `span`.

        Raises:
            SampleError: `BAD_FRAGMENT`; `PART_OF_PICTURE`: the fragment is that of a picture.
        """
        if self.kind == "image" or self.pictures:
            for each in self.pictures or (self.value,):
                if without_fragment(each) != each:
                    raise SampleError("PART_OF_PICTURE", f"{display_path(each)} is a picture, which has no part in time")
            return self
        if self.kind == "text" or self.span != WHOLE:
            return self
        path, span = located(self.value)
        return self if path == self.value else replace(self, value=path, span=span)

    def files(self) -> list[Part]:
        """The files of a medium, each as a part of its own: of a film of pictures all of them."""
        return [Part("image", each) for each in self.pictures] or [Part(self.kind, self.value)]

    def at(self, paths: Mapping[str, str]) -> Part:
        """The same medium at other places."""
        if self.kind == "text":
            return self
        pictures = tuple(paths.get(each, each) for each in self.pictures)
        return replace(self, value=paths.get(self.value, self.value), pictures=pictures)

    def content(self, digests: Mapping[str, str]) -> str | list[Any]:
        """What a medium holds, by the digests of its files (that of the file, or of each picture of a film), and its span."""
        whole: str | list[Any] = [digests[each] for each in self.pictures] or digests[self.value]
        return whole if self.span == WHOLE else [whole, {"span": str(self.span)}]


@dataclass(frozen=True)
class Message:
    """Parts spoken by one role, in order."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn; the same parameters for all backends. Temperature 0 is greedy; `top_k` 0 is off."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 512
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The model of a request, and where it runs. Two requests with equal settings share an engine."""

    backend: str = "hf"
    model: str
    params: str = "{}"
    """Canonical JSON of what goes to the engine as it is (`model_params`)."""
    api_base: str | tuple[str, ...] = ""
    """Address of the server, for the backend that has one; several servers of the same model are a tuple."""
    api_key_env: str = ""
    """Name of the environment variable that holds the server's key; never the key itself."""

    def engine_params(self) -> dict[str, Any]:
        """`params` as a fresh dict."""
        loaded: dict[str, Any] = json.loads(self.params)
        return loaded

    def template_kwargs(self) -> dict[str, Any]:
        """What the model's chat template is told beside the conversation (`chat_template_kwargs`)."""
        told: dict[str, Any] = self.engine_params().get(TEMPLATE_KWARGS) or {}
        return told


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to a model. `seed` is the recipe's; the seed that is used follows from it and the key."""

    model: ModelSettings
    messages: tuple[Message, ...]
    frames: FrameSampling = field(default_factory=FrameSampling)
    sampling: Sampling = field(default_factory=Sampling)
    candidates: int = 1
    seed: int = 0
    named: tuple[str, ...] = field(default=(), compare=False)
    """Those of the sampling parameters and `seed` that the recipe sets by name: no service may leave them out. Part of no key."""

    def media(self) -> list[Part]:
        """The videos and images, in the order in which the model meets them."""
        return [part for message in self.messages for part in message.parts if part.kind != "text"]

    def files(self) -> list[Part]:
        """The files of its media (`Part.files`)."""
        return [file for part in self.media() for file in part.files()]

    def frames_of(self, part: Part) -> FrameSampling:
        """How the frames of one of its media are sampled."""
        return part.frames or self.frames

    def with_media(self, paths: Mapping[str, str]) -> Request:
        """The same question about media at other places."""
        messages = tuple(Message(message.role, tuple(part.at(paths) for part in message.parts)) for message in self.messages)
        return replace(self, messages=messages)

    def key(self, media_digests: Mapping[str, str], identity: str) -> str:
        """Hash of all that can change the answer: 32 hexadecimal digits.

        `media_digests` maps each path to a digest of its content, so that the same clip under another name has the same
        key; `identity` describes the engine (`Backend.identity`). The number of candidates and the seed are not part of the key.
        """
        facts = {
            "identity": identity,
            "messages": [
                [message.role, [self._hashed(part, media_digests) for part in message.parts]] for message in self.messages
            ],
            "frames": hashed(self.frames),
            "sampling": hashed(self.sampling),
        }
        return digest_of(facts)

    def _hashed(self, part: Part, digests: Mapping[str, str]) -> list[Any]:
        """A part as it stands in the key, with its frames where they are sampled in a way of their own."""
        if part.kind == "text":
            return [part.kind, part.value]
        frames = self.frames_of(part)
        return [part.kind, part.content(digests), *([hashed(frames)] if frames != self.frames else [])]

    def entry_key(self, key: str, revision: str, unsent: Sequence[str] = (), *, reading: int = 0) -> str:
        """The journal's key of the answers: the key, the seed if tokens are drawn, the revision of a local model.

        `unsent` are the parameters that the service was not sent, if there are any. `reading` is the version by which media are
        read, if it makes a difference for these (`media.read_otherwise`).
        """
        facts: list[Any] = [JOURNAL_VERSION, key, revision, self.seed if self.sampling.temperature > 0 else None]
        facts += [["unsent", *unsent]] if unsent else []
        return digest_of([*facts, ["reading", reading]] if reading else facts)

    def derived_seed(self, key: str) -> int:
        """The seed of candidate 0, below 2**31; candidate i adds i. A hash of the recipe's seed and the key."""
        return first_seed(digest_of([self.seed, key]))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One candidate. `finish_reason` is `stop`, `length` (cut by `max_tokens`) or `content_filter` (refused: no text).

    An engine gives it as it came, and ops get it as it is meant (`outcomes.heard`): then `text` has no reasoning in it.
    """

    text: str
    finish_reason: str
    tokens: int
    seed: int
    reasoning: str = ""
    """What the model thought before it spoke. From an engine: what came in a field of its own."""
    engine: str = field(default="", compare=False)
    """What is known of the engine that gave it, as JSON (`vlm.engine_facts`); empty: nothing was noted then."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why there is no answer, and the number of attempts."""

    code: str
    message: str
    retryable: bool = False
    attempts: int = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of what was asked: answers, one per candidate and in order, or a value that was measured; or a failure.

    `frame_times` are the seconds of the frames seen, one list per video of the request; `unreadable` counts damaged
    packets that were passed over, and `damage` says in words what is wrong with the media, if anything is; `tone_mapped`: some
    of them are HDR that was made SDR.
    """

    answers: tuple[Answer, ...] = ()
    failure: Failure | None = None
    seed: int = 0
    prompt_tokens: int = 0
    revision: str = ""
    frame_times: tuple[tuple[float, ...], ...] = ()
    unreadable: int = 0
    damage: str = ""
    tone_mapped: bool = False
    frame_sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of the frames of each medium, as the model was shown them; empty: not known."""
    unsent: tuple[str, ...] = ()
    """Sampling parameters of the request that the service was not sent, since it does not take them."""
    opened: bool | None = None
    """Whether the prompt ended in the middle of a thought, where that is known."""
    request: Request | None = None
    """The request, in outcomes that are passed to an op."""
    value: Any = None
    """What was measured, if this is the outcome of a `Measurement`: any JSON value."""

    def raise_failure(self) -> None:
        """Do nothing if there are answers.

        Raises:
            SampleError: there are none; it has the failure's code and message.
        """
        if self.failure:
            failure = self.failure
            raise SampleError(failure.code, failure.message, retryable=failure.retryable, attempts=failure.attempts)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A request whose media have been decoded, in the order of `Request.media`, with its derived seed.

    Candidates before `first` are in the journal: a backend answers those from `first` on, with the seeds that they have among
    all.
    """

    request: Request
    pictures: tuple[MediaFrames, ...]
    seed: int
    first: int = 0
    rules: MediaLimits = DEFAULT_RULES
    """The limits of media, for a backend that opens a file itself."""
    in_flight: int | None = None
    """`Limits.in_flight`, for a backend that has several servers."""

    @property
    def seeds(self) -> range:
        """The seeds of the candidates to be answered."""
        return candidate_seeds(self.seed, self.request.candidates, known=self.first)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may be in progress at once. None is a default that fits engine and machine. No limit changes an answer."""

    batch_size: int | None = None
    """Requests in one call of an engine that takes batches."""
    in_flight: int | None = None
    """Requests at the engine at once; at each server, where several answer."""
    frame_bytes: int | None = None
    """Bytes of decoded frames in memory."""
    workers: int | None = None
    """Processes that decode."""
    decode_seconds: float = 300.0
    """CPU seconds that reading one medium may take."""
    decode_bytes: int = 2**32
    """Bytes of memory that reading one medium may take."""
    media: MediaLimits = DEFAULT_RULES
    """Limits of media."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an engine needs and can do, as far as it is known before the engine is open."""

    sizes: FrameSizes
    """The size to which pictures are scaled while they are decoded."""
    batch_size: int = 1
    """Requests in one `generate` call, unless the recipe sets it. Batches are cut in the order of the requests."""
    takes_files: bool = False
    """Whether videos go to the engine as files: they are probed and not decoded."""
    context: ContextLength | None = None
    """How many tokens fit, where that is known."""
    servers: int = 1
    """Servers that answer together, each of which takes as many requests as `Limits.in_flight` says."""


class Engine(Protocol):
    """An open engine, which answers requests."""

    @property
    def max_concurrent_calls(self) -> int:
        """Number of concurrent `generate` calls that keep the engine busy."""

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order, from its candidate `first` on.

        A request that fails has an outcome too; only a dead engine raises.

        Raises:
            EnvironmentFailure: the engine is gone.
            ModelError: it turns out that it can never answer.
        """


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend with a model, described and not yet open: enough to look answers up."""

    identity: str
    """What the engine is, as far as it can change answers: backend, model and revision, dtype, template, parameters. It has to be
    the same on every machine: no path, no time, no address."""
    capabilities: Capabilities
    open: Callable[[], AbstractAsyncContextManager[Engine]]
    """Load the engine, which is closed on leaving. Called once, and only if there is something to ask.

    Raises `EnvironmentFailure` if the engine cannot start, and `ModelError` if the settings can never work.
    """
    transport_choice: str = ""
    """How videos are sent to the server. The journal keeps it, since it changes answers."""
    lessons: Lessons = field(default_factory=Lessons)
    """What is learnt while it answers."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is to be told of it, such as `dtype` and a digest of its `chat_template`. Part of no key."""
    legacy_identity: Callable[[], str] | None = None
    """Finds out what versions before called it, for journals that have answers of them; None: the same."""


class Describe(Protocol):
    """How a backend describes itself (`BackendSpec.describe`); it and the engine run on the core's event loop."""

    def __call__(self, settings: ModelSettings, transport_choice: str = "") -> AbstractAsyncContextManager[Backend]:
        """Find out what the engine is, without starting it; what was held for that is released on leaving.

        `transport_choice` is given by a caller that has answers of before: the choice that they were given with. Then nothing is
        asked of a server, which may not be needed.

        Raises:
            ModelError: the settings can never work (no such model, not a vision-language model).
            EnvironmentFailure: that cannot be found out.
        """


LATER: Mapping[str, bool] = {"later": True}
"""Metadata of a field that was added later to hashed settings: at its default it is left out of the hash, so that older
journals and steps stay valid."""


def hashed(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass that are part of its hash, as plain data."""
    unset = unset_later(settings)
    return {name: _plain(getattr(settings, name)) for name in _names(settings.__class__) if name not in unset}


def unset_later(settings: Any) -> set[str]:
    """The names of the fields of a dataclass that were added `LATER` and are at their defaults."""
    return {name for name, default in _later(settings.__class__) if getattr(settings, name) == default}


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@functools.cache
def _later(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((each.name, each.default) for each in fields(kind) if each.metadata.get("later"))


def _plain(value: Any) -> Any:
    """A value without dataclasses in it."""
    return asdict(_Held(value))["value"] if is_dataclass(value) or isinstance(value, list | tuple | dict) else value


@dataclass(frozen=True)
class _Held:
    value: Any


def digest_of(facts: object) -> str:
    """32 hexadecimal digits of BLAKE2b over canonical JSON (sorted keys, no spaces)."""
    return hashlib.blake2b(canonical_json(facts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def canonical_json(facts: object) -> str:
    """JSON with sorted keys and no spaces: equal facts give equal text."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
