"""What is in the cache is not computed again, and what is computed is kept at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from llmops.compare.answers.cached import read_answer, through_cache
from llmops.compare.cache import ResultCache
from llmops.engine import Key
from llmops.records import Answer


class Squares:
    """Computes squares of numbers, the last first."""

    def __init__(self, fails_after: int = 100) -> None:
        self.asked: list[int] = []
        self.closed, self._left = False, fails_after

    def __call__(self, todo: Mapping[Key, int]) -> Generator[tuple[Key, int]]:
        try:
            for key, number in reversed(todo.items()):
                if not self._left:
                    raise KeyboardInterrupt
                self._left -= 1
                self.asked.append(number)
                yield key, number * number
        finally:
            self.closed = True


def squares(cache: ResultCache, numbers: list[int], compute: Squares) -> list[int]:
    return through_cache(
        numbers,
        [f"key {number}" for number in numbers],
        cache,
        title="square",
        read=int,
        compute=compute,
        is_kept=lambda number, _: number != 5,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def test_equal_keys_are_computed_once_and_results_keep_their_order(path: Path) -> None:
    with ResultCache(path) as cache:
        compute = Squares()
        assert squares(cache, [3, 1, 3, 2], compute) == [9, 1, 9, 4]
        assert compute.asked == [2, 1, 3]
        again = Squares()
        assert squares(cache, [1, 2, 3, 4], again) == [1, 4, 9, 16]
        assert again.asked == [4]


def test_what_was_computed_before_an_interruption_is_kept(path: Path) -> None:
    with ResultCache(path) as cache:
        interrupted = Squares(fails_after=2)
        with pytest.raises(KeyboardInterrupt):
            squares(cache, [1, 2, 3, 4], interrupted)
        assert interrupted.closed
    with ResultCache(path) as cache:
        rest = Squares()
        assert squares(cache, [1, 2, 3, 4], rest) == [1, 4, 9, 16]
        assert sorted([*interrupted.asked, *rest.asked]) == [1, 2, 3, 4]


def test_what_is_not_to_be_kept_and_what_is_damaged_is_computed_again(path: Path) -> None:
    with ResultCache(path) as cache:
        squares(cache, [4, 5], Squares())
        cache.put({"key 4": "a word"})
        again = Squares()
        assert squares(cache, [4, 5], again) == [16, 25]
        assert sorted(again.asked) == [4, 5]


def test_an_answer_is_read_as_it_was_written() -> None:
    answer = Answer("text", 3, 5, "stop", seconds=0.5)
    assert read_answer(asdict(answer)) == answer
    for value in ({**asdict(answer), "text": 3}, {"other": 1}, [1], None):
        with pytest.raises(TypeError):
            read_answer(value)
