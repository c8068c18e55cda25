"""`sampling_params` in the words of either library."""

from __future__ import annotations

import pytest

from juicecap.vlm.base import Sampling
from juicecap.vlm.sampling_params import parse_sampling

KNOWN = "temperature, top_p, top_k, min_p, max_tokens, repetition_penalty, presence_penalty, stop"


@pytest.mark.parametrize(
    ("params", "candidates", "sampling"),
    [
        (None, 1, Sampling()),
        ({}, 1, Sampling(temperature=0.0, top_p=1.0, top_k=0, max_tokens=512)),
        (None, 3, Sampling(temperature=0.7, top_p=0.9)),
        ({"top_p": 0.5}, 3, Sampling(temperature=0.7, top_p=0.5)),
        ({"temperature": 1.2}, 3, Sampling(temperature=1.2, top_p=1.0)),
        ({"max_new_tokens": 9}, 1, Sampling(max_tokens=9)),
        ({"max_tokens": 9}, 1, Sampling(max_tokens=9)),
        ({"do_sample": False}, 1, Sampling()),
        ({"do_sample": False, "temperature": 0}, 1, Sampling()),
        ({"do_sample": True}, 1, Sampling(temperature=1.0)),
        ({"do_sample": True, "temperature": 0.4}, 2, Sampling(temperature=0.4)),
        ({"top_k": -1}, 1, Sampling(top_k=0)),
        ({"top_k": 40, "min_p": 0.1}, 1, Sampling(top_k=40, min_p=0.1)),
        ({"stop": "END"}, 1, Sampling(stop=("END",))),
        (dict.fromkeys(("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "do_sample", "n")), 1, Sampling()),
        ({"temperature": None}, 3, Sampling(temperature=0.7, top_p=0.9)),
        ({"stop_token_ids": [], "stop": [], "n": 1, "skip_special_tokens": True, "ignore_eos": False}, 1, Sampling()),
        ({"stop_strings": ["a", "b"]}, 1, Sampling(stop=("a", "b"))),
        ({"repetition_penalty": 1.3, "presence_penalty": -0.5}, 1, Sampling(repetition_penalty=1.3, presence_penalty=-0.5)),
    ],
)
def test_what_is_asked_for(params, candidates, sampling):
    assert parse_sampling(params, candidates) == (sampling, [])


@pytest.mark.parametrize(
    ("params", "candidates", "sentence"),
    [
        ({"stop_token_ids": [7]}, 1, f"sampling_params has no parameter 'stop_token_ids' (known: {KNOWN})"),
        ({"n": 2}, 1, "sampling_params: n is not set here; caption_num is the number of candidates"),
        ({"n": True}, 1, "sampling_params: n is not set here; caption_num is the number of candidates"),
        ({"temperature": -1}, 1, "sampling_params: temperature must be a number >= 0, not -1"),
        ({"temperature": "hot"}, 1, "sampling_params: temperature must be a number >= 0, not 'hot'"),
        ({"temperature": float("nan")}, 1, "sampling_params: temperature must be a number >= 0, not nan"),
        ({"temperature": float("inf")}, 1, "sampling_params: temperature must be a number >= 0, not inf"),
        ({"temperature": True}, 1, "sampling_params: temperature must be a number >= 0, not True"),
        ({"top_p": 0}, 1, "sampling_params: top_p must be a number > 0 and <= 1, not 0"),
        ({"top_k": 1.5}, 1, "sampling_params: top_k must be an integer >= 0 (0 is off), not 1.5"),
        ({"min_p": 2}, 1, "sampling_params: min_p must be a number >= 0 and <= 1, not 2"),
        ({"max_new_tokens": 0}, 1, "sampling_params: max_new_tokens must be an integer > 0, not 0"),
        ({"repetition_penalty": 0}, 1, "sampling_params: repetition_penalty must be a number > 0, not 0"),
        ({"presence_penalty": 3}, 1, "sampling_params: presence_penalty must be a number from -2 to 2, not 3"),
        ({"stop": [1]}, 1, "sampling_params: stop must be a text or a list of texts, not [1]"),
        ({"stop": ""}, 1, "sampling_params: stop must be a text or a list of texts, not ''"),
        (
            {"max_tokens": 5, "max_new_tokens": 5},
            1,
            "sampling_params: max_new_tokens is another name of max_tokens, which is set as well",
        ),
        ({"do_sample": "yes"}, 1, "sampling_params: do_sample must be true or false, not 'yes'"),
        (
            {"do_sample": False, "temperature": 1},
            1,
            "sampling_params: do_sample is false, which is temperature 0, and temperature is set as well",
        ),
        (
            {"temperature": 0},
            2,
            "2 candidates at temperature 0 are all alike: set a temperature above 0, or caption_num 1",
        ),
        (
            {"do_sample": False},
            3,
            "3 candidates at temperature 0 are all alike: set a temperature above 0, or caption_num 1",
        ),
        ({"n": 3}, 1, "sampling_params: n is not set here; caption_num is the number of candidates"),
        ({"seed": -3}, 1, "sampling_params: seed must be an integer >= 0, not -3"),
        ({"max_token": 3}, 1, "sampling_params has no parameter 'max_token'; did you mean 'max_tokens'?"),
        (
            {"xyz": 3},
            1,
            "sampling_params has no parameter 'xyz' (known: temperature, top_p, top_k, min_p, max_tokens, repetition_penalty, "
            "presence_penalty, stop)",
        ),
    ],
)
def test_what_is_wrong(params, candidates, sentence):
    assert parse_sampling(params, candidates)[1] == [sentence]


def test_every_problem_is_found():
    assert len(parse_sampling({"temperature": -1, "top_p": 5, "xyz": 1}, 1)[1]) == 3
