"""One row of a batch: when it ends, what its answer is, and what its random numbers depend on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.decode.row import Row
from llmops.engine.requests import Prompt
from llmops.records import Answer, Sampling

pytest.importorskip("torch")
LONG = 40


@pytest.fixture(scope="module")
def chat_format(folder: Path) -> ChatFormat:
    return ChatFormat.of_folders(None, folder)


def row(
    chat_format: ChatFormat,
    *,
    ids: tuple[int, ...] = (5, 6, 7),
    max_tokens: int = LONG,
    stop: tuple[str, ...] = (),
    seed: int | None = None,
) -> Row:
    return Row(Prompt([*ids], Sampling(max_tokens, 1.0, 1.0, seed, stop), chat_format))


def extended(row: Row, ids: list[int]) -> Row:
    for token in ids:
        row.append(token)
    return row


def test_the_limit_ends_a_row(chat_format: ChatFormat) -> None:
    ids = chat_format.token_ids("Split a pathname.")
    ended = row(chat_format, max_tokens=3)
    lefts = []
    for token in ids:
        lefts.append(ended.left)
        ended.append(token)
    assert lefts == [3, 2, 1, *[0] * (len(ids) - 3)]
    assert len(ids) > 3
    assert ended.tokens == ids[:3], "what comes after the end is not taken"
    assert ended.answer() == Answer(chat_format.text(ids[:3]), 3, 3, "length")


def test_an_end_token_ends_a_row_and_counts_but_is_not_text(chat_format: ChatFormat) -> None:
    ids = chat_format.token_ids("Split a path.")
    (end, *_) = sorted(chat_format.end_ids)
    ended = extended(row(chat_format), [*ids, end, *ids])
    assert ended.reason == "stop"
    assert ended.answer() == Answer("Split a path.", len(ids) + 1, 3, "stop")


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("path",), "Split a "),
        (("zzz", "a path", "path"), "Split "),
        (("é",), "Split a path of caf"),
        (("fé \N{GRINNING FACE}",), "Split a path of ca"),
        (("Split",), ""),
    ],
)
def test_the_first_stop_string_ends_a_row_and_is_cut(
    chat_format: ChatFormat, stop: tuple[str, ...], text: str
) -> None:
    # The tiny tokenizer writes each byte of these characters as a token.
    ids = chat_format.token_ids("Split a path of café \N{GRINNING FACE} and more.")
    ended = extended(row(chat_format, stop=stop, max_tokens=100), ids)
    assert (ended.reason, ended.answer().text) == ("stop", text)
    assert ended.answer().finish_reason == "stop"
    assert len(ended.tokens) < len(ids)


def test_a_row_without_an_end_goes_on(chat_format: ChatFormat) -> None:
    ids = chat_format.token_ids("Split a pathna")
    running = extended(row(chat_format, stop=("pathname",)), ids)
    assert running.reason is None
    assert running.left == LONG - len(ids)


def test_random_numbers_depend_on_seed_and_prompt_alone(chat_format: ChatFormat) -> None:
    def drawn(ids: tuple[int, ...], seed: int | None, stop: tuple[str, ...] = ()) -> list[float]:
        one = row(chat_format, ids=ids, seed=seed, stop=stop)
        return [one.uniform() for _ in range(5)]

    assert drawn((5, 6), 1) == drawn((5, 6), 1) == drawn((5, 6), 1, ("x",))
    different = [drawn((5, 6), 1), drawn((5, 7), 1), drawn((5, 6), 2), drawn((5, 6), 2**80)]
    different += [drawn((5, 6), None), drawn((5, 6), None)]
    assert len({numbers[0] for numbers in different}) == len(different)
    assert len(set(different[0])) == 5


def test_random_numbers_are_uniform_and_never_zero(chat_format: ChatFormat) -> None:
    from scipy.stats import kstest

    drawing = row(chat_format, seed=1)
    numbers = [drawing.uniform() for _ in range(2_000)]
    assert 0 < min(numbers) <= max(numbers) <= 1
    assert kstest(numbers, "uniform").pvalue > 0.01


def test_long_stop_strings_cost_little_and_still_end_a_row(chat_format: ChatFormat) -> None:
    text = "Split a pathname. " * 60
    ids = chat_format.token_ids(text + "Join two.")
    stops = (text[5:], *(f"{i}{text}" for i in range(15)))
    began = time.process_time()
    ended = extended(row(chat_format, max_tokens=5_000, stop=stops), ids)
    assert time.process_time() - began < 3.0
    assert ended.reason == "stop"
    assert ended.answer().text == text[:5]
    assert len(ended.tokens) < len(ids)


def test_log_probabilities_are_noted_token_by_token(chat_format: ChatFormat) -> None:
    import torch

    noting = Row(Prompt([5], Sampling(LONG), chat_format), top=2)
    ids = chat_format.token_ids("Split")
    for token in ids:
        logits = torch.zeros(len(chat_format.tokenizer))
        logits[token] = 3.0
        noting.note(logits.log_softmax(-1))
        noting.append(token)
    assert "".join(one.token for one in noting.logprobs) == "Split"
    for one in noting.logprobs:
        assert one.top[0] == (one.token, pytest.approx(one.logprob))
        assert len(one.top) == 2


def test_a_row_that_waits_again_draws_the_numbers_that_were_lost(chat_format: ChatFormat) -> None:
    ids = chat_format.token_ids("Split a pathname.")[:4]
    whole = row(chat_format, seed=3)
    expected = [whole.uniform() for _ in range(5)]
    again = row(chat_format, seed=3)
    for token in ids:
        again.uniform()
        again.append(token)
    again.uniform()  # of a token that never came
    again.rewind()
    assert again.uniform() == expected[4]
    assert again.ids == [5, 6, 7, *ids]
    assert again.length == 3 + len(ids)
