"""From answers to outcomes: candidates in order, and nothing that is no caption."""

from __future__ import annotations

import pytest
from scripted_server import choice, obliging, picture, prepared, refused, said, three

from juicecap.vlm.backends.openai.answers import _shares
from juicecap.vlm.base import Answer, Sampling


class TestOutcome:
    def test_what_an_outcome_tells(self, server):
        reply = said(" A red circle.\n", prompt_tokens=321, tokens=6, system_fingerprint="fp_1")
        (outcome,) = server.answers([reply], prepared(pictures=[picture(2)]))
        assert outcome.answers == (Answer(text="A red circle.", finish_reason="stop", tokens=6, seed=7),)
        assert (outcome.seed, outcome.prompt_tokens, outcome.revision) == (7, 321, "served-model/fp_1")
        assert outcome.frame_times == ((0.0, 0.5),)
        assert outcome.failure is None

    @pytest.mark.parametrize(("finish", "ours"), [("stop", "stop"), ("length", "length"), ("end_turn", "stop"), (None, "stop")])
    def test_finish_reasons(self, server, finish, ours):
        (outcome,) = server.answers([said(choice("A red", finish))], prepared())
        assert (outcome.answers[0].text, outcome.answers[0].finish_reason) == ("A red", ours)

    def test_a_server_that_tells_little(self, server):
        (outcome,) = server.answers([said("Yes.", usage=None, model=None)], prepared())
        assert (outcome.answers[0].tokens, outcome.prompt_tokens, outcome.revision) == (0, 0, "")

    def test_an_answer_in_parts(self, server):
        parts = [{"type": "text", "text": "A red "}, {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "circle."}]
        (outcome,) = server.answers([said(choice(parts))], prepared())
        assert outcome.answers[0].text == "A red circle."

    def test_tokens_of_several_candidates_add_up(self, server):
        (outcome,) = server.answers([said("a" * 10, "b" * 30, "", tokens=21)], three())
        assert [answer.tokens for answer in outcome.answers] == [5, 16, 0]
        assert [sum(_shares(total, [3, 5, 7, 1])) for total in range(30)] == list(range(30))
        assert _shares(4, [0, 0]) == [2, 2]

    def test_choices_out_of_order(self, server):
        choices = [{"index": index, **choice(f"text {index}")} for index in (2, 0, 1)]
        (outcome,) = server.answers([said(choices=choices)], three())
        assert [answer.text for answer in outcome.answers] == ["text 0", "text 1", "text 2"]

    def test_a_choice_that_is_left_out_is_empty_and_the_others_keep_their_numbers(self, server):
        choices = [{"index": index, **choice(f"text {index}")} for index in (2, 0)]
        (outcome,) = server.answers([said(choices=choices)], three())
        assert [answer.text for answer in outcome.answers] == ["text 0", "", "text 2"]
        assert [answer.seed for answer in outcome.answers] == [7, 8, 9]

    def test_choices_that_are_counted_from_1_are_no_gap(self, server):
        choices = [{"index": index, **choice(f"text {index}")} for index in (3, 1, 2)]
        (outcome,) = server.answers([said(choices=choices)], three())
        assert [answer.text for answer in outcome.answers] == ["text 1", "text 2", "text 3"]


class TestNoCaption:
    @pytest.mark.parametrize(
        ("reply", "code", "message"),
        [
            (said(choice(None, refusal="I cannot help.")), "REFUSED", "the model refuses to answer: I cannot help."),
            (said(choice("I can", refusal="I cannot.")), "REFUSED", "the model refuses to answer: I cannot."),
            (said(choice("A ra", "content_filter")), "REFUSED", "the model refuses to answer: the server's content filter"),
            (said(""), "EMPTY_ANSWER", "the model's answer is empty"),
            (said(" \n "), "EMPTY_ANSWER", "the model's answer is empty"),
            (said(choice(None, "tool_calls", tool_calls=[{}])), "EMPTY_ANSWER", "the model's answer is empty"),
            (
                said(choice(None, "length")),
                "EMPTY_ANSWER",
                "the model's answer is empty: max_tokens was reached before it said anything; raise it",
            ),
            (said({"index": 0, "finish_reason": "stop"}), "EMPTY_ANSWER", "the model's answer is empty"),
            (refused(400, "blocked", code="content_filter"), "REFUSED", "HTTP 400: blocked"),
            (refused(403, "Your input was flagged by moderation"), "REFUSED", "HTTP 403: Your input was flagged by moderation"),
        ],
    )
    def test_is_a_failure_for_good(self, server, reply, code, message):
        (outcome,) = server.answers([reply], prepared())
        assert (outcome.failure.code, outcome.failure.message, outcome.failure.retryable) == (code, message, False)
        assert outcome.answers == ()
        assert len(server.seen) == 1

    def test_one_of_several_keeps_its_place(self, server):
        (outcome,) = server.answers([said(choice("no", "content_filter"), "A red circle.", "")], three())
        assert [answer.text for answer in outcome.answers] == ["", "A red circle.", ""]
        assert [answer.seed for answer in outcome.answers] == [7, 8, 9]

    def test_all_of_several(self, server):
        (outcome,) = server.answers([said(choice("no", "content_filter"), "", "")], three())
        assert outcome.failure.code == "REFUSED"

    @pytest.mark.parametrize(
        "message",
        [
            "max_tokens=40000 cannot be greater than max_model_len=2048. Please request fewer output tokens.",
            "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 input tokens",
            "'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum context length is 2048 tokens",
        ],
    )
    def test_too_long(self, server, message):
        (outcome,) = server.answers([refused(400, message)], three())
        assert (outcome.failure.code, outcome.failure.retryable) == ("TOO_LONG", False)
        assert outcome.failure.message == (
            f"HTTP 400: {message}: take fewer frames (fps, max_frames), fewer pixels (max_pixels) or a smaller max_tokens"
        )
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        ("reply", "way"),
        [
            (refused(400, "At most 5 image(s) may be provided in one prompt."), "take fewer frames (num_frames, max_frames)"),
            (refused(400, "Too many images in request: 60 > 50"), "take fewer frames (num_frames, max_frames)"),
            (refused(400, "image exceeds 5 MB maximum"), "take smaller frames (max_pixels) or fewer (num_frames, max_frames)"),
            (refused(413, "Payload"), "take smaller frames (max_pixels) or fewer (num_frames, max_frames)"),
            (refused(400, "The image is too large."), "take smaller frames (max_pixels) or fewer (num_frames, max_frames)"),
        ],
    )
    def test_too_many_or_too_large_pictures_name_the_parameter(self, server, reply, way):
        (outcome,) = server.answers([reply], prepared())
        said = reply.body["error"]["message"]
        assert (outcome.failure.code, outcome.failure.message) == ("REQUEST_REFUSED", f"HTTP {reply.status}: {said}: {way}")


class TestCandidates:
    def test_n_with_one_seed(self, server):
        (outcome,) = server.answers(obliging, three())
        assert [(answer.text, answer.seed) for answer in outcome.answers] == [
            ("caption 0", 7),
            ("caption 1", 8),
            ("caption 2", 9),
        ]
        assert [(seen.body["n"], seen.body["seed"]) for seen in server.seen] == [(3, 7)]

    @pytest.mark.parametrize("seed", [0, 7])
    def test_greedy_requests_have_no_seed(self, server, seed):
        server.answers(obliging, prepared(seed=seed))
        assert "seed" not in server.seen[0].body

    @pytest.mark.parametrize(
        "refusal",
        [
            refused(400, "Only one completion choice is allowed (n=1)"),
            refused(422, "unknown field", param="n"),
            refused(400, "'n' is not supported"),
        ],
    )
    def test_a_server_that_refuses_n_is_asked_singly_ever_after(self, server, refusal):
        def script(body):
            return refusal if "n" in body else said(f"seed {body['seed']}")

        outcomes = server.answers(script, three(), three(seed=100), at_once=False)
        assert [[answer.text for answer in outcome.answers] for outcome in outcomes] == [
            ["seed 7", "seed 8", "seed 9"],
            ["seed 100", "seed 101", "seed 102"],
        ]
        assert [seen.body.get("n") for seen in server.seen] == [3, None, None, None, None, None, None]

    def test_a_server_that_ignores_n_likewise(self, server):
        outcomes = server.answers(lambda body: said(f"seed {body['seed']}"), three(), three(seed=100), at_once=False)
        assert [[answer.text for answer in outcome.answers] for outcome in outcomes] == [
            ["seed 7", "seed 8", "seed 9"],
            ["seed 100", "seed 101", "seed 102"],
        ]
        assert [seen.body.get("n") for seen in server.seen] == [3, None, None, None, None, None]

    def test_missing_choices_are_asked_for(self, server):
        (outcome,) = server.answers(lambda body: said("one", "two") if "n" in body else said(f"seed {body['seed']}"), three())
        assert [(answer.text, answer.seed) for answer in outcome.answers] == [("one", 7), ("two", 8), ("seed 9", 9)]

    def test_more_choices_than_asked_for(self, server):
        (outcome,) = server.answers([said("one", "two", "three", "four")], three())
        assert [answer.text for answer in outcome.answers] == ["one", "two", "three"]

    def test_another_refusal_is_not_blamed_on_n(self, server):
        (outcome,) = server.answers([refused(400, "the image can't be read")], three())
        assert outcome.failure.code == "REQUEST_REFUSED"
        assert len(server.seen) == 1

    def test_a_refusal_that_stays_without_n_leaves_n_in_use(self, server):
        replies = [refused(400, "image n is broken"), refused(400, "image n is broken"), said("1", "2", "3")]
        bad, good = server.answers(replies, three(), three(), at_once=False)
        assert bad.failure.message == "HTTP 400: image n is broken"
        assert len(good.answers) == 3
        assert [seen.body.get("n") for seen in server.seen] == [3, None, 3]

    def test_max_completion_tokens_in_the_middle_of_a_run(self, server):
        def script(body):
            return refused(400, "max_tokens is deprecated, use max_completion_tokens") if "max_tokens" in body else obliging(body)

        outcomes = server.answers(script, prepared(sampling=Sampling(max_tokens=9)), prepared(), at_once=False)
        assert [outcome.failure for outcome in outcomes] == [None, None]
        assert [seen.body.get("max_completion_tokens") for seen in server.seen] == [None, 9, 512]
