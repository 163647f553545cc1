"""Labels are spread over the splits, and every one of them can be learnt."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from llmops.data.labels import labels, stratified

FRACTIONS = {"test": 0.2, "validation": 0.14}


def rows_of(counts: list[int]) -> list[dict[str, str]]:
    made = [
        {"prompt": f"{i} {j}", "completion": f"label {i}"}
        for i, count in enumerate(counts)
        for j in range(count)
    ]
    random.Random(1).shuffle(made)
    return [{**row, "group": str(i)} for i, row in enumerate(made)]


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        (["a", "b"] * 5, True),
        (["a"] * 10, True),
        ([f"text {i}" for i in range(10)], False),
        (["yes"] * 4 + [f"text {i}" for i in range(6)], False),
    ],
)
def test_answers_that_rows_share_are_labels(answers: list[str], known: bool) -> None:
    found = labels([{"completion": answer} for answer in answers])
    assert found == (frozenset(answers) if known else None)


@pytest.mark.parametrize("counts", [[1] * 30, [2] * 40, [3, 1, 50], [500, 20, 7, 2], [12] * 77])
def test_every_part_has_its_share_of_each_label(counts: list[int]) -> None:
    rows = rows_of(counts)
    for seed in range(20):
        parts = stratified(rows, FRACTIONS, seed)
        assert sum(len(part) for part in parts.values()) == len(rows)
        of = {name: Counter(row["completion"] for row in part) for name, part in parts.items()}
        assert len(of["train"]) == len(counts), "every label can be learnt"
        for i, count in enumerate(counts):
            for part, share in FRACTIONS.items():
                assert abs(of[part][f"label {i}"] - share * count) < 1 + share


def test_the_seed_decides_and_the_order_of_rows_stays() -> None:
    rows = [{**row, "id": str(i)} for i, row in enumerate(rows_of([40, 30]))]
    parts = stratified(rows, FRACTIONS, 7)
    assert parts == stratified(rows, FRACTIONS, 7)
    assert parts != stratified(rows, FRACTIONS, 8)
    for part in parts.values():
        assert [int(row["id"]) for row in part] == sorted(int(row["id"]) for row in part)


def test_rows_that_are_added_leave_the_others_where_they_are() -> None:
    rows = rows_of([400, 300, 200, 100])
    before, after = (stratified(rows[:n], FRACTIONS, 7) for n in (700, 1_000))
    for part, of in before.items():
        kept = {row["prompt"] for row in of} & {row["prompt"] for row in after[part]}
        assert len(kept) >= 0.85 * len(of), part


def test_a_group_stays_whole_and_its_rarest_label_counts() -> None:
    rows = [{"completion": "ab"[i % 2], "group": str(i // 2)} for i in range(100)]
    rows += [{"completion": label, "group": f"rare {i}"} for i in range(2) for label in ("a", "r")]
    rows = [{**row, "prompt": row["group"]} for row in rows]
    for seed in range(20):
        parts = stratified(rows, FRACTIONS, seed)
        groups = [{row["group"] for row in part} for part in parts.values()]
        assert sum(map(len, groups)) == 52
        assert {row["completion"] for row in parts["train"]} == {"a", "b", "r"}
        assert all(parts.values())
