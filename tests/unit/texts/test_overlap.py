"""How much of a prompt stands in one training text, counted against a plain reading."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from llmops.texts import overlap
from llmops.texts.ngrams import Texts
from llmops.texts.overlap import TRAINING_FEWEST, Prompts, alike, contained

VOCABULARY = [f"w{i}" for i in range(400)]
OTHER_WORDS = [f"x{i}" for i in range(400)]
"""No prompt has these."""


def runs_of(words: Sequence[str], n: int) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def sides(
    prompts: Sequence[Sequence[str]],
    training: Sequence[Sequence[str]],
    clusters: Sequence[int] | None = None,
) -> tuple[Prompts, Texts]:
    numbers = {word: i for i, word in enumerate(sorted({w for p in prompts for w in p}), 1)}
    ours, theirs = Texts(numbers), Texts(numbers)
    for prompt in prompts:
        ours.add(prompt)
    for text in training:
        theirs.add(text)
    return Prompts(
        ours, np.array(range(len(prompts)) if clusters is None else clusters, np.int64)
    ), theirs


def sample() -> tuple[list[list[str]], list[list[str]]]:
    """Twenty prompts of random words, and thirty texts of others: every other one holds a piece of a prompt."""
    rng = random.Random(5)
    prompts = [rng.choices(VOCABULARY, k=30) for _ in range(20)]
    training = []
    for i in range(30):
        text, at = rng.sample(OTHER_WORDS, k=25), rng.randrange(15)
        training.append(text + prompts[i % 20][at : at + 15] * (i % 2))
    return prompts, training


@pytest.mark.parametrize("n", [2, 5])
def test_contained_is_the_largest_share_of_a_prompts_runs(n: int) -> None:
    prompts, training = sample()
    expected = [
        max(len(runs_of(p, n) & runs_of(t, n)) for t in training) / len(runs_of(p, n))
        for p in prompts
    ]
    assert max(expected) > 0.3
    assert contained(*sides(prompts, training), n) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [1_000, 3])
def test_alike_is_the_largest_jaccard_index(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "ROWS", rows)
    prompts, training = sample()
    expected = [
        max(
            len(runs_of(p, 2) & runs_of(t, 2)) / len(runs_of(p, 2) | runs_of(t, 2))
            for t in training
        )
        for p in prompts
    ]
    assert alike(*sides(prompts, training), 2, fewest=1) == pytest.approx(expected)
    assert not alike(*sides(prompts, training), 2, fewest=30).any()


def test_a_run_that_many_training_texts_have_is_boilerplate() -> None:
    prompt = VOCABULARY[:10]
    often = [[*prompt, f"own{i}"] for i in range(TRAINING_FEWEST + 1)]
    assert contained(*sides([prompt], often[:-1]), 3).tolist() == [1.0]
    assert contained(*sides([prompt], often), 3).tolist() == [0.0]


def test_a_run_of_many_clusters_is_boilerplate_and_of_one_cluster_is_not() -> None:
    shared = VOCABULARY[:8]
    prompts = [[*shared, *VOCABULARY[10 * i : 10 * i + 10]] for i in range(1, 7)]
    training = [shared]
    assert contained(*sides(prompts, training), 4).max() == 0
    one_passage = contained(*sides(prompts, training, clusters=[0] * 6), 4)
    assert one_passage == pytest.approx([5 / 15] * 6)


def test_a_prompt_without_a_run_is_contained_nowhere() -> None:
    assert contained(*sides([["w1"], []], [["w1", "w2"]]), 3).tolist() == [0.0, 0.0]
    assert contained(*sides([], []), 3).size == 0
