"""The tests' own clips: their bytes are the same in every run, since seeds follow from them."""

from __future__ import annotations

import hashlib


def test_a_scene_that_is_filmed_again_has_the_same_bytes(tmp_path, film):
    digests = set()
    for _ in range(150):
        film(tmp_path / "clip.mp4", "circle", "red", "black", "right")
        digests.add(hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).hexdigest())
    assert len(digests) == 1
