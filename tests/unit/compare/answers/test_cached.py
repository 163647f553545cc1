"""Answers and likelihoods through the cache: computed once, kept as they arrive."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pytest
from echo_engine import BROKEN, ENTRY, SERVER, EchoEngine, side

from llmops.compare.answers.cached import (
    answers,
    likelihoods,
    read_answer,
    through_cache,
    with_seconds,
)
from llmops.compare.answers.engines import Engines
from llmops.compare.cache import MEMORY, ResultCache
from llmops.engine import Key, Request, Turn
from llmops.recipe.engine_names import ENGINES
from llmops.records import Answer, Sampling

V1, V2 = side("v1"), side("v2")


@pytest.fixture
def cache() -> Iterator[ResultCache]:
    with ResultCache(MEMORY) as opened_cache:
        yield opened_cache


def requests(*texts: str, seed: int | None = None) -> list[Request]:
    sampling = Sampling(max_tokens=4, seed=seed)
    return [Request(V1, [{"role": "user", "content": text}], sampling) for text in texts]


def test_an_answer_is_generated_once_and_returned_in_the_order_of_the_requests(
    opened: list[EchoEngine], cache: ResultCache
) -> None:
    engines = Engines([V1], 8, "echo")
    first = answers(engines, requests("a", "b", "a"), cache)
    assert [answer.text for answer in first] == ["v1: a", "v1: b", "v1: a"]
    again = answers(engines, requests("b", "c", "a"), cache)
    assert [answer.text for answer in again] == ["v1: b", "v1: c", "v1: a"]
    assert opened[0].batches == [["v1 a", "v1 b"], ["v1 c"]]
    assert again[0] == first[1], "the whole record, tokens and all"


def test_another_seed_side_or_kind_is_another_answer(
    opened: list[EchoEngine], cache: ResultCache
) -> None:
    engines = Engines([V1, V2], 8, "echo")
    (request,) = requests("a")
    other_side = Request(V2, request.messages, request.sampling)
    texts = [
        answers(engines, [request], cache)[0].text,
        answers(engines, requests("a", seed=3), cache)[0].text,
        answers(engines, [other_side], cache)[0].text,
        answers(engines, [request], cache, kind="answer-vllm")[0].text,
    ]
    assert texts == ["v1: a", "v1#3: a", "v2: a", "v1: a"]
    assert len(opened[0].batches) == 4


def test_a_refusal_is_kept_only_if_it_is_final(
    opened: list[EchoEngine], cache: ResultCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = Engines([V1], 8, "echo")
    monkeypatch.setitem(ENGINES, "echo", SERVER)
    for _ in range(2):
        (answer,) = answers(engines, requests(BROKEN), cache)
        assert answer.error == "too long"
    assert len(opened[0].batches) == 2, "a server may answer the next time"
    monkeypatch.setitem(ENGINES, "echo", ENTRY)
    for _ in range(2):
        answers(engines, requests(BROKEN), cache)
    assert len(opened[0].batches) == 3


def test_likelihoods_that_do_not_fit_are_computed_again(
    opened: list[EchoEngine], cache: ResultCache
) -> None:
    engines = Engines([V1], 8, "echo")
    turns = [Turn(V1, [{"role": "user", "content": t}], "four") for t in ("a", BROKEN)]
    for _ in range(2):
        assert likelihoods(engines, turns, cache) == [(-6.0, 2), None]
    assert opened[0].batches == [["v1 a", "v1 broken"], ["v1 broken"]]


def test_results_before_an_interruption_are_kept(cache: ResultCache) -> None:
    def interrupted(todo: Mapping[Key, str]) -> Generator[tuple[Key, int]]:
        yield next(iter(todo)), 7
        raise KeyboardInterrupt

    def run(compute: Any) -> list[int]:
        return through_cache(
            ["a", "b"], ["ka", "kb"], cache, title="t", read=int, compute=compute, is_kept=always
        )

    def always(_: str, __: int) -> bool:
        return True

    with pytest.raises(KeyboardInterrupt):
        run(interrupted)
    asked: list[Mapping[Key, str]] = []

    def resumed(todo: Mapping[Key, str]) -> Generator[tuple[Key, int]]:
        asked.append(dict(todo))
        yield from ((key, 8) for key in todo)

    assert run(resumed) == [7, 8]
    assert asked == [{"kb": "b"}]


@pytest.mark.parametrize("stored", [{"text": 5}, {"text": "a"}, [1], "text", {"none": 1}])
def test_a_stored_value_of_another_shape_is_computed_again(
    opened: list[EchoEngine], cache: ResultCache, stored: object
) -> None:
    engines = Engines([V1], 8, "echo")
    (answer,) = answers(engines, requests("a"), cache)
    (key,) = (row[0] for row in cache._db.execute("select key from result"))
    cache.put({key: stored})
    assert answers(engines, requests("a"), cache) == [answer]
    assert len(opened[0].batches) == 2


def test_an_answer_is_read_as_it_was_stored() -> None:
    answer = Answer("a", 1, 2, "stop", seconds=0.5)
    assert read_answer(vars(answer)) == answer
    with pytest.raises(TypeError, match="no text"):
        read_answer({**vars(answer), "text": None})


def test_answers_that_were_generated_together_share_the_time_by_tokens(
    opened: list[EchoEngine], cache: ResultCache
) -> None:
    engines = Engines([V1], 8, "echo")
    first = answers(engines, requests("a", "b"), cache)
    assert all(answer.seconds is not None for answer in first)
    assert sum(answer.seconds or 0 for answer in first) == pytest.approx(engines.seconds, abs=1e-3)
    spent = engines.seconds
    assert [a.seconds for a in answers(engines, requests("a", "b"), cache)] == [
        a.seconds for a in first
    ], "the cache keeps them"
    assert engines.seconds == spent


def test_a_share_is_by_tokens_and_never_replaces_what_was_measured() -> None:
    made: dict[Key, Answer] = {
        "a": Answer("x", 3, 9, "stop"),
        "b": Answer("x", 1, 9, "stop"),
        "timed": Answer("x", 4, 9, "stop", seconds=7.0),
        "failed": Answer("", 0, 0, "error", error="no"),
    }
    assert {k: a.seconds for k, a in with_seconds(made, 2.0).items()} == {"a": 1.5, "b": 0.5}
    assert with_seconds({"failed": made["failed"]}, 2.0) == {}
