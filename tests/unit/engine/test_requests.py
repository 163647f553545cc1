"""Requests and turns as token ids, and what no engine answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sides import CONVERSATIONS, side_of

from llmops.engine import Request, Turn
from llmops.engine.chat_format import ChatFormat
from llmops.engine.requests import (
    DEFAULT_ANSWER_TOKENS,
    check_keys,
    check_requests,
    check_sampling,
    failed,
    pair,
    prompt,
    render_all,
)
from llmops.errors import UsageError
from llmops.records import ModelFiles, Sampling

HELLO = CONVERSATIONS[0]


@pytest.fixture(scope="module")
def side(folder: Path, adapter: Path) -> ModelFiles:
    return side_of(folder, adapter)


@pytest.fixture(scope="module")
def chat_format(side: ModelFiles) -> ChatFormat:
    return ChatFormat.of(side)


def test_a_prompt_is_the_rendered_conversation_with_its_adapter_and_key(
    side: ModelFiles, chat_format: ChatFormat
) -> None:
    request = Request(side, HELLO, Sampling(max_tokens=7, seed=3), "q1")
    rendered = prompt(request, chat_format, 512)
    assert chat_format.text(rendered.ids, special=True) == chat_format.render(HELLO)
    assert (rendered.adapter, rendered.key) == (side.adapter_digest, "q1")
    assert rendered.sampling == request.sampling
    assert rendered.lengths == (len(rendered.ids), 7)


def test_without_a_limit_an_answer_may_fill_the_context_up_to_the_default(
    side: ModelFiles, chat_format: ChatFormat
) -> None:
    endless = Request(side, HELLO, Sampling(max_tokens=None))
    tokens = len(prompt(endless, chat_format, 4_096).ids)
    assert prompt(endless, chat_format, 4_096).max_tokens == DEFAULT_ANSWER_TOKENS
    assert prompt(endless, chat_format, tokens + 5).max_tokens == 5
    with pytest.raises(UsageError, match=rf"prompt has {tokens} tokens .* answer may have 1, but"):
        prompt(endless, chat_format, tokens)


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(
    side: ModelFiles, chat_format: ChatFormat
) -> None:
    request = Request(side, HELLO, Sampling(max_tokens=10))
    tokens = len(prompt(request, chat_format, 512).ids)
    assert prompt(request, chat_format, tokens + 10).max_tokens == 10
    with pytest.raises(UsageError, match=rf"{tokens} tokens .* 10, .* context is {tokens + 9}$"):
        prompt(request, chat_format, tokens + 9)
    with pytest.raises(UsageError, match="the prompt is empty"):
        prompt(Request(side, "", Sampling()), chat_format, 512)


def test_a_pair_ends_with_the_end_of_the_turn(side: ModelFiles, chat_format: ChatFormat) -> None:
    rendered = pair(Turn(side, HELLO, "Wrap a text.", "t1"), chat_format, 512)
    assert chat_format.text(rendered.prompt, special=True) == chat_format.render(HELLO)
    assert chat_format.text(rendered.response, special=True) == "Wrap a text.<|im_end|>\n"
    assert (rendered.adapter, rendered.key) == (side.adapter_digest, "t1")
    context = sum(rendered.lengths)
    pair(Turn(side, HELLO, "Wrap a text."), chat_format, context)
    with pytest.raises(UsageError, match=rf"the response has {rendered.lengths[1]}, but"):
        pair(Turn(side, HELLO, "Wrap a text."), chat_format, context - 1)


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenised(
    side: ModelFiles, chat_format: ChatFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tokenise(self: ChatFormat, text: str) -> list[int]:
        assert len(text) <= 16 * 256
        return [1]

    monkeypatch.setattr(ChatFormat, "token_ids", tokenise)
    endless = [{"role": "user", "content": "word " * 1_000}]
    refusal = r"5,\d+ characters; more than \d+ do not fit"
    with pytest.raises(UsageError, match=refusal):
        prompt(Request(side, endless, Sampling(max_tokens=1)), chat_format, 16)
    for turn in (Turn(side, endless, "x"), Turn(side, HELLO, "word " * 1_000)):
        with pytest.raises(UsageError, match=refusal):
            pair(turn, chat_format, 16)
    prompt(Request(side, HELLO, Sampling(max_tokens=1)), chat_format, 16)


def test_what_cannot_be_rendered_is_set_aside_with_its_reason(
    side: ModelFiles, chat_format: ChatFormat
) -> None:
    given = [Request(side, text, Sampling(max_tokens=4), text) for text in ("a", "", "b")]
    rendered, refused = render_all(given, lambda request: prompt(request, chat_format, 512))
    assert [one.key for one in rendered] == ["a", "b"]
    assert refused == {"": "the prompt is empty"}
    answer = failed(refused[""])
    assert (answer.text, answer.tokens, answer.finish_reason) == ("", 0, "error")
    assert answer.error == "the prompt is empty"


def test_two_requests_of_one_key_are_refused(side: ModelFiles) -> None:
    check_keys(["a", 1, None, ("a", 1)])
    with pytest.raises(UsageError, match=r"two requests have the key \('a', 1\)"):
        check_keys([("a", 1), "a", ("a", 1)])
    with pytest.raises(UsageError, match="two requests have the key 0"):
        check_requests([Request(side, HELLO, Sampling())] * 2)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"max_tokens": 0}, "max_tokens is 0; allowed: 1 or more"),
        ({"temperature": -1.0}, "temperature is -1.0; allowed: 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"top_p": 0.0}, "top_p is 0.0; allowed: above 0, at most 1"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"stop": ("a", "")}, "stop is .* non-empty strings"),
    ],
)
def test_a_sampling_out_of_range_is_refused(
    side: ModelFiles, values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        check_sampling(Sampling(**values))
    requests = [Request(side, HELLO, Sampling()), Request(side, HELLO, Sampling(**values), 1)]
    with pytest.raises(UsageError, match=problem):
        check_requests(requests)


def test_the_widest_sampling_is_allowed() -> None:
    check_sampling(Sampling(max_tokens=1, temperature=1e6, top_p=1.0, seed=-(2**70), stop=(" ",)))
    check_sampling(Sampling(max_tokens=None, temperature=0.0, top_p=1e-9))


def test_a_prompt_that_cannot_fit_is_refused_before_it_is_rendered_or_tokenised(
    side: ModelFiles, chat_format: ChatFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("this takes seconds")

    monkeypatch.setattr(ChatFormat, "token_ids", never)
    most = 512 * chat_format.longest_token
    with pytest.raises(UsageError, match=f"{most + 1:,} characters; more than {most:,} do not fit"):
        prompt(Request(side, "x" * (most + 1), Sampling()), chat_format, 512)
    monkeypatch.setattr(ChatFormat, "render", never)
    with pytest.raises(UsageError, match="20,000 messages; more than 512 do not fit"):
        prompt(Request(side, list(HELLO) * 20_000, Sampling()), chat_format, 512)
