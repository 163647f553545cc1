"""From requests to token ids, and what is refused on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sides import CONVERSATIONS, GREEDY

from llmops.engine.chat_format import ChatFormat
from llmops.engine.requests import (
    DEFAULT_ANSWER_TOKENS,
    Request,
    Turn,
    check_requests,
    pair,
    prompt,
    render_all,
)
from llmops.errors import UsageError
from llmops.records import ModelFiles, Sampling


@pytest.fixture(scope="module")
def chat_format(tuned: ModelFiles) -> ChatFormat:
    return ChatFormat.of(tuned)


def test_a_prompt_carries_its_request_s_key_and_adapter(
    tuned: ModelFiles, chat_format: ChatFormat
) -> None:
    rendered = prompt(Request(tuned, CONVERSATIONS[0], GREEDY, "k"), chat_format, 512)
    assert (rendered.key, rendered.adapter) == ("k", tuned.adapter_digest)
    assert rendered.ids == chat_format.token_ids(chat_format.render(CONVERSATIONS[0]))
    assert rendered.lengths == (len(rendered.ids), GREEDY.max_tokens)


def test_without_a_limit_an_answer_has_what_the_context_leaves_up_to_512(
    tuned: ModelFiles, chat_format: ChatFormat
) -> None:
    request = Request(tuned, CONVERSATIONS[0], Sampling(max_tokens=None))
    used = len(prompt(request, chat_format, 512).ids)
    assert prompt(request, chat_format, 512).max_tokens == 512 - used
    assert prompt(request, chat_format, used + 1).max_tokens == 1
    assert prompt(request, chat_format, 10_000).max_tokens == DEFAULT_ANSWER_TOKENS == 512
    with pytest.raises(UsageError, match=f"has {used} tokens and the answer may have 1, but"):
        prompt(request, chat_format, used)


def test_a_turn_fits_with_its_response(tuned: ModelFiles, chat_format: ChatFormat) -> None:
    turn = Turn(tuned, CONVERSATIONS[0], "Split.", "k")
    rendered = pair(turn, chat_format, 512)
    assert rendered.key == "k"
    assert chat_format.text(rendered.response, special=True).startswith("Split.<|im_end|>")
    with pytest.raises(UsageError, match="the response has"):
        pair(turn, chat_format, sum(rendered.lengths) - 1)


def test_what_cannot_be_rendered_is_told_apart(tuned: ModelFiles, chat_format: ChatFormat) -> None:
    requests = [
        Request(tuned, messages, GREEDY, key)
        for key, messages in (("a", "x"), ("b", ""), ("c", "y"))
    ]
    rendered, refused = render_all(requests, lambda one: prompt(one, chat_format, 512))
    assert [one.key for one in rendered] == ["a", "c"]
    assert refused == {"b": "the prompt is empty"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_tokens": 0}, "max_tokens is 0; allowed: 1 or more"),
        ({"temperature": float("inf")}, "temperature is inf; allowed: 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 1.1}, "top_p is 1.1; allowed: above 0, at most 1"),
        ({"stop": ("a", "")}, "stop is .* not empty"),
    ],
)
def test_samplings_that_no_engine_does(
    tuned: ModelFiles, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        check_requests([Request(tuned, "x", replace(GREEDY, **changes))])


def test_keys_are_unique(tuned: ModelFiles) -> None:
    fine = [Request(tuned, "x", GREEDY, key) for key in (0, "0", None)]
    check_requests(fine)
    with pytest.raises(UsageError, match="two requests have the key '0'"):
        check_requests([*fine, fine[1]])
