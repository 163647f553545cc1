from __future__ import annotations

import random

from llmops.engine.local.decode.packing import ENOUGH, pack, padded


def test_batches_are_full_and_short_rows_come_first() -> None:
    prompts = [5, 90, 7, 60, 6]
    assert pack(prompts, [10] * 5, rows=2, width=512) == [[0, 4], [2, 3], [1]]
    assert pack([], [], rows=2, width=512) == []


def test_the_length_of_the_answer_counts() -> None:
    assert pack([50, 10, 10], [1, 500, 1], rows=2, width=1_000) == [[2, 0], [1]]


def test_padding_counts_and_a_long_row_has_a_batch_of_its_own() -> None:
    # 10 + 90 and 90 + 10 side by side are padded to 90 + 90.
    assert pack([10, 90], [90, 10], rows=8, width=512, tokens=359) == [[0], [1]]
    assert pack([10, 90], [90, 10], rows=8, width=512, tokens=360) == [[0, 1]]
    assert pack([10, 90], [90, 10], rows=8, width=179) == [[0], [1]]  # the context is too short
    assert pack([10, 900], [10, 10], rows=8, width=2_000, tokens=100) == [[0], [1]]


def test_the_sides_of_a_prompt_stay_together_where_a_batch_can_hold_them() -> None:
    prompts = [7, 7, 7, 5, 5, 5, 6, 6, 6]
    assert pack(prompts, [1] * 9, rows=8, width=512) == [[3, 4, 5, 6, 7, 8], [0, 1, 2]]
    assert pack(prompts, [1] * 9, rows=2, width=512) == [[3, 4], [5], [6, 7], [8], [0, 1], [2]]
    assert pack([5] * 9, [1] * 9, rows=8, width=512) == [list(range(8)), [8]]


def test_a_batch_that_is_large_enough_is_not_filled_with_padding() -> None:
    short, long = [10] * ENOUGH, [40] * 4
    assert pack([*short, *long], [2] * 20, rows=64, width=512) == [
        [*range(ENOUGH)],
        [*range(ENOUGH, ENOUGH + 4)],
    ]
    assert len(pack([*short[1:], *long], [2] * 19, rows=64, width=512)) == 1
    alike = [10] * ENOUGH + [11] * 4
    assert pack(alike, [2] * 20, rows=64, width=512) == [[*range(20)]]


def test_no_batch_exceeds_its_limits_and_no_row_is_lost() -> None:
    source = random.Random(0)
    for _ in range(50):
        prompts = [source.randint(1, 400) for _ in range(100)]
        answers = [source.choice([1, 16, 64]) for _ in prompts]
        batches = pack(prompts, answers, rows=16, width=512, tokens=2_000)
        assert sorted(i for batch in batches for i in batch) == list(range(100))
        for batch in batches:
            width = max(prompts[i] for i in batch) + max(answers[i] for i in batch)
            assert len(batch) <= 16
            assert width <= 512
            assert len(batch) == 1 or len(batch) * width <= 2_000


def test_padding_is_on_the_side_that_is_asked_for_and_masked() -> None:
    left = padded([[1, 2, 3], [4]], 9, left=True, device="cpu")
    right = padded([[1, 2, 3], [4]], 9, left=False, device="cpu")
    assert left["input_ids"].tolist() == [[1, 2, 3], [9, 9, 4]]
    assert left["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert right["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert right["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
