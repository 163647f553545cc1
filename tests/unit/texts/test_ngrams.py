"""Runs of words as numbers: the same run is the same number, and unknown words make none."""

from __future__ import annotations

import random

import numpy as np
import pytest

from llmops.texts import ngrams
from llmops.texts.ngrams import Index, Texts

WORDS = {word: number for number, word in enumerate("abcdefgh", 1)}


def texts(*lines: str) -> Texts:
    made = Texts(WORDS)
    for line in lines:
        made.add(line.split())
    return made


@pytest.mark.parametrize("n", [1, 2, 3, 5, 13])
def test_equal_runs_and_no_others_have_equal_numbers(n: int) -> None:
    rng = random.Random(n)
    lines = [" ".join(rng.choices("abc", k=rng.randint(0, 40))) for _ in range(20)]
    hashes, owners, unknown = texts(*lines).runs(n, 0, 20)
    runs = [
        (i, tuple(words[at : at + n]))
        for i, words in enumerate(line.split() for line in lines)
        for at in range(len(words) - n + 1)
    ]
    assert owners.tolist() == [i for i, _ in runs]
    assert not unknown.any()
    number: dict[tuple[str, ...], int] = {}
    assert all(number.setdefault(run, h) == h for (_, run), h in zip(runs, hashes, strict=True))
    assert len(set(number.values())) == len(number)


def test_the_order_of_words_counts() -> None:
    hashes, *_ = texts("a b", "b a").runs(2, 0, 2)
    assert hashes[0] != hashes[1]


def test_a_run_with_an_unknown_word_is_only_counted() -> None:
    hashes, owners, unknown = texts("a b x c d", "x", "a b").runs(2, 0, 3)
    assert owners.tolist() == [0, 0, 2]  # a b, c d; a b
    assert hashes[0] == hashes[2] != hashes[1]
    assert unknown.tolist() == [2, 0, 0]  # b x, x c


def test_a_part_of_the_texts_has_the_same_runs() -> None:
    whole = texts("a b c", "d e", "f g h")
    hashes, owners, _ = whole.runs(2, 0, 3)
    later, owned, unknown = whole.runs(2, 1, 3)
    assert later.tolist() == hashes[owners >= 1].tolist()
    assert owned.tolist() == [1, 2, 2]
    assert unknown.size == 2


def test_parts_cover_every_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "PART", 5)
    made = texts("a b c", "a b", "c", "", "a b c d e f g h", "a")
    assert list(made.parts()) == [(0, 2), (2, 4), (4, 5), (5, 6)]
    assert list(texts().parts()) == []


def test_an_index_finds_distinct_pairs_of_owner_and_run() -> None:
    suite, *_ = texts("a b c a b", "c d").runs(2, 0, 2)
    index = Index(suite)
    assert len(index) == 4  # a b, b c, c a, c d
    hashes, owners, _ = texts("a b a b", "e f", "c d").runs(2, 0, 3)
    found = index.pairs(hashes, owners)
    assert found[0].tolist() == [0, 2]  # b a and e f are none of the suite's
    assert index.owners(found).tolist().count(1) == 2
    assert len(set(found[1].tolist())) == 2


def test_an_empty_index_finds_nothing() -> None:
    index = Index(np.zeros(0, np.uint64))
    hashes, owners, _ = texts("a b").runs(2, 0, 1)
    assert len(index) == 0
    assert index.pairs(hashes, owners)[0].size == 0
