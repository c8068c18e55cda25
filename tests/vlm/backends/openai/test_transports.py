"""What is sent, to the letter."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scripted_server import obliging, picture, prepared

from juicecap.errors import MediaError
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.backends.openai import transports
from juicecap.vlm.backends.openai.transports import compose
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling

METADATA = {
    "num_frames": -1,
    "do_sample_frames": False,
    "fps": 1000,
    "frames_indices": [0, 500, 1000],
    "total_num_frames": 1500,
    "duration": 1.5,
}
WHOLE = MediaFrames(pixels=np.zeros((0, 0, 0, 3), np.uint8), duration=3.0)


def url(part) -> str:
    return part[part["type"]]["url"]


def pixels_of(data: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == "JPEG"
        return np.asarray(image.convert("RGB"))


def noisy(frames: int = 3, **more) -> MediaFrames:
    """Frames with coloured detail of two pixels, which would be lost if colours were stored at half resolution."""
    coarse = np.random.default_rng(3).integers(0, 255, (frames, 24, 32, 3), np.uint8)
    pixels = coarse.repeat(2, axis=1).repeat(2, axis=2)
    return MediaFrames(pixels=pixels, times=tuple(0.5 * number for number in range(frames)), duration=1.5, **more)


def close(sent: np.ndarray, frame: np.ndarray) -> bool:
    return sent.shape == frame.shape and float(np.abs(sent.astype(int) - frame).mean()) < 4


class TestFrames:
    def test_a_list_of_frames_with_their_times(self):
        shown = noisy()
        body = compose(prepared("What?", [shown]), "frames")
        video, text = body["messages"][0]["content"]
        assert text == {"type": "text", "text": "What?"}
        assert (video["type"], set(video)) == ("video_url", {"type", "video_url"})
        head, _, data = url(video).partition(",")
        assert head == "data:video/jpeg;base64"
        sent = [pixels_of(each) for each in data.split(",")]
        assert [close(*pair) for pair in zip(sent, shown.pixels, strict=True)] == [True] * 3
        assert body["media_io_kwargs"] == {"video": METADATA}

    def test_a_single_frame_is_shown_twice(self):
        body = compose(prepared(pictures=[picture(1)]), "frames")
        first, second = url(body["messages"][0]["content"][0]).partition(",")[2].split(",")
        assert first == second
        assert body["media_io_kwargs"]["video"]["frames_indices"] == [0, 0]

    def test_videos_whose_times_are_the_same(self):
        parts = [Part("video", "a"), Part("video", "b"), Part("text", "Compare.")]
        body = compose(prepared(pictures=[picture(), noisy()], parts=parts), "frames")
        assert [part["type"] for part in body["messages"][0]["content"]] == ["video_url", "video_url", "text"]
        assert body["media_io_kwargs"] == {"video": METADATA}

    def test_videos_whose_times_differ_go_as_images(self, said):
        parts = [Part("video", "a"), Part("text", "then"), Part("video", "b")]
        body = compose(prepared(pictures=[picture(2), picture(3)], parts=parts), "frames")
        assert [part["type"] for part in body["messages"][0]["content"]] == [*["image_url"] * 2, "text", *["image_url"] * 3]
        assert "media_io_kwargs" not in body
        assert said == ["requests with several videos go to the server as images, since it is told the times of one video only"]

    def test_an_image_needs_no_times(self):
        still = MediaFrames(pixels=picture(1).pixels)
        body = compose(prepared(pictures=[still], parts=[Part("image", "a.png"), Part("text", "What?")]), "frames")
        assert [part["type"] for part in body["messages"][0]["content"]] == ["image_url", "text"]
        assert set(body) == {"messages"}


class TestImages:
    def test_one_part_for_each_frame(self):
        shown = noisy()
        body = compose(prepared("What?", [shown]), "images")
        *frames, text = body["messages"][0]["content"]
        assert text == {"type": "text", "text": "What?"}
        assert {part["type"] for part in frames} == {"image_url"}
        sent = [url(part).removeprefix("data:image/jpeg;base64,") for part in frames]
        assert [close(pixels_of(data), frame) for data, frame in zip(sent, shown.pixels, strict=True)] == [True] * 3
        assert set(body) == {"messages"}


class TestFile:
    @pytest.mark.parametrize(("name", "kind"), [("a.mp4", "video/mp4"), ("a.webm", "video/webm"), ("a.clip", "video/mp4")])
    def test_the_bytes_of_the_file(self, tmp_path, name, kind):
        path = tmp_path / name
        path.write_bytes(b"\x00\x01film")
        body = compose(prepared(pictures=[WHOLE], parts=[Part("video", str(path)), Part("text", "What?")]), "file")
        video, _ = body["messages"][0]["content"]
        assert video == {
            "type": "video_url",
            "video_url": {"url": f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"},
        }

    def test_what_takes_the_files_place_before_it_is_sent_is_not_sent(self, tmp_path):
        (tmp_path / "root").mkdir()
        secret, link = tmp_path / "secret", tmp_path / "root" / "a.mp4"
        secret.write_bytes(b"secret")
        asked = prepared(pictures=[WHOLE], parts=[Part("video", str(link)), Part("text", "What?")])
        asked = replace(asked, rules=MediaLimits(root=str(tmp_path / "root")))
        link.symlink_to(secret)
        with pytest.raises(MediaError, match=r"^OUTSIDE_MEDIA_ROOT: "):
            compose(asked, "file")
        link.unlink()
        os.mkfifo(link)
        with pytest.raises(MediaError, match=r"^NOT_A_FILE: .* is a named pipe, not a file$"):
            compose(asked, "file")

    def test_what_one_file_does_not_say_is_not_sent(self, server, tmp_path):
        path = tmp_path / "a.mp4"
        path.write_bytes(b"film")
        parts = [
            Part("video", str(path), frames=FrameSampling(fps=1.0)),
            Part("video", "1.png", pictures=("1.png", "2.png")),
            Part("video", str(tmp_path)),
            Part("video", f"{path}#t=1,2").located(),
        ]
        requests = [prepared(pictures=[WHOLE], parts=[part, Part("text", "What?")]) for part in parts]
        outcomes = server.answers(obliging, *requests, transport="file")
        way = "take transport frames or images"
        kept = "with transport file the server chooses the frames, so what the conversation says of them cannot be kept"
        assert [(each.failure.code, each.failure.message) for each in outcomes if each.failure] == [
            ("NOT_SENT_AS_FILE", f"{path}: {kept}: leave it out, or {way}"),
            ("NOT_SENT_AS_FILE", f"1.png and 1 more picture: a film of pictures is not one file: {way}"),
            ("NOT_SENT_AS_FILE", f"{tmp_path}: a film of pictures is not one file: {way}"),
            (
                "NOT_SENT_AS_FILE",
                f"{path}#t=1,2: with transport file the server is sent the whole file, and this is a part of it: {way}",
            ),
        ]

    def test_a_file_that_is_too_large_or_gone_fails_alone(self, server, tmp_path, monkeypatch):
        monkeypatch.setattr(transports, "LARGEST_FILE", 2**20)
        large, good = tmp_path / "large.mp4", tmp_path / "good.mp4"
        large.write_bytes(bytes(2**20 + 1))
        good.write_bytes(b"film")
        paths = [str(large), str(tmp_path / "gone.mp4"), str(good)]
        requests = [prepared(pictures=[WHOLE], parts=[Part("video", path), Part("text", "What?")]) for path in paths]
        outcomes = server.answers(obliging, *requests, transport="file")
        assert [each.failure and each.failure.code for each in outcomes] == ["TOO_LARGE", "FILE_NOT_FOUND", None]
        assert outcomes[0].failure.message == (
            f"{large} has more than 1 MB, too many to send the file: take transport frames or images"
        )
        assert outcomes[2].frame_times == ()


class TestMessages:
    def test_roles_and_parts_keep_their_order(self):
        turns = (
            Message("system", (Part("text", "Be brief."),)),
            Message("user", (Part("text", "First"), Part("image", "a.png"), Part("text", "then"), Part("video", "b.mp4"))),
            Message("assistant", (Part("text", "A clip."),)),
            Message("user", (Part("text", "More?"),)),
        )
        settings = ModelSettings(backend="openai", model="m")
        still = MediaFrames(pixels=picture(1).pixels)
        request = Prepared(request=Request(model=settings, messages=turns), pictures=(still, picture()), seed=0)
        system, user, assistant, last = compose(request, "frames")["messages"]
        assert system == {"role": "system", "content": "Be brief."}
        assert (user["role"], [part.get("text", part["type"]) for part in user["content"]]) == (
            "user",
            ["First", "image_url", "then", "video_url"],
        )
        assert [assistant, last] == [{"role": "assistant", "content": "A clip."}, {"role": "user", "content": "More?"}]

    def test_the_whole_body(self, server):
        sampling = Sampling(temperature=0.5, top_p=0.8, max_tokens=33, presence_penalty=0.3, stop=("END",))
        extra = {"mm_processor_kwargs": {"a": 1}, "media_io_kwargs": {"image": {"b": 2}, "video": {"fps": 3}}}
        server.answers(obliging, prepared(sampling=sampling, candidates=2), transport="frames", extra_body=extra)
        (seen,) = server.seen
        assert seen.path == "/v1/chat/completions"
        body = dict(seen.body)
        assert seen.parts() == ["video_url", "Describe it."]
        del body["messages"]
        assert body == {
            "model": "served-model",
            "temperature": 0.5,
            "top_p": 0.8,
            "presence_penalty": 0.3,
            "stop": ["END"],
            "max_tokens": 33,
            "n": 2,
            "seed": 7,
            "mm_processor_kwargs": {"a": 1},
            "media_io_kwargs": {"image": {"b": 2}, "video": METADATA},
        }

    def test_what_the_template_is_told(self, server):
        server.answers(obliging, prepared(), chat_template_kwargs={"enable_thinking": False})
        assert server.seen[0].body["chat_template_kwargs"] == {"enable_thinking": False}

    def test_what_is_neutral_is_not_said(self, server):
        server.answers(obliging, prepared())
        body = dict(server.seen[0].body)
        del body["messages"]
        assert body == {"model": "served-model", "temperature": 0.0, "max_tokens": 512}

    def test_parameters_beyond_openai_are_sent_if_they_are_set(self, server):
        server.answers(obliging, prepared(sampling=Sampling(temperature=1, top_k=5, min_p=0.1, repetition_penalty=1.2)))
        assert {name: server.seen[0].body[name] for name in ("top_k", "min_p", "repetition_penalty")} == {
            "top_k": 5,
            "min_p": 0.1,
            "repetition_penalty": 1.2,
        }


class TestSizesOfPictures:
    def whole(self, size: int, **frames) -> Prepared:
        noise = np.random.default_rng(0).integers(0, 255, (1, size, size, 3), np.uint8)
        parts = [Part("image", "a.png"), Part("text", "What?")]
        return prepared(pictures=[MediaFrames(pixels=noise)], parts=parts, frames=FrameSampling(**frames))

    def test_pictures_in_their_own_size_go_up_to_a_limit(self, monkeypatch):
        (sent, _) = compose(self.whole(64, max_pixels="none"), "images")["messages"][0]["content"]
        data = url(sent).partition(",")[2]
        assert pixels_of(data).shape == (64, 64, 3)
        monkeypatch.setattr(transports, "MOST_PICTURES", len(data))
        compose(self.whole(64, max_pixels="none"), "images")
        monkeypatch.setattr(transports, "MOST_PICTURES", len(data) - 1)
        with pytest.raises(
            MediaError, match=r"^TOO_LARGE: the pictures of this request take more than 0 MB in their own size"
        ) as caught:
            compose(self.whole(64, max_pixels="none"), "images")
        assert caught.value.message.endswith("(max_pixels: none): set max_pixels to a number, or show fewer of them")
        for frames in ({}, {"max_pixels": 4096}):
            compose(self.whole(64, **frames), "images")

    @pytest.mark.parametrize("shape", [(1, 2, 65_501, 3), (1, 65_501, 2, 3)])
    def test_what_is_longer_than_a_jpeg_can_be(self, shape):
        long = prepared(pictures=[MediaFrames(pixels=np.zeros(shape, np.uint8))], parts=[Part("image", "a.png")])
        told = "cannot be sent: no side of a JPEG has more than 65,500 pixels; set max_pixels to a smaller number"
        with pytest.raises(MediaError, match=rf"^TOO_LARGE: a picture of {shape[2]}x{shape[1]} {told}$"):
            compose(long, "images")
