"""Groups that share a text are one; groups are dealt whole."""

from __future__ import annotations

from functools import partial

from llmops.data.groups import asked, dealt, joined, lasting, shuffled

TEXT = "a text that is long enough to be no accident at all"


def row(group: str, prompt: str, completion: str) -> dict[str, str]:
    return {"group": group, "prompt": prompt, "completion": completion}


def groups_of(rows: list[dict[str, str]], answers_from: int | None = 40) -> list[str]:
    return [each["group"] for each in joined(rows, answers_from=answers_from)]


def test_a_shared_prompt_or_long_answer_joins_and_a_short_answer_does_not() -> None:
    rows = [row("a", "p", TEXT), row("b", "q", TEXT), row("c", "q", "yes"), row("d", "r", "yes")]
    assert groups_of(rows) == ["a", "a", "a", "d"]
    assert groups_of(rows, answers_from=None) == ["a", "b", "b", "d"]
    assert groups_of(rows, answers_from=0) == ["a"] * 4


def test_what_is_asked_is_the_whole_conversation() -> None:
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
    assert asked({"messages": turns}) == "system: S\nuser: Q"
    assert asked({"prompt": "Q"}) == "Q"


def test_groups_are_dealt_whole_and_a_large_one_does_not_fill_the_test_split() -> None:
    rows = [row("large", f"l {i}", "x") for i in range(19)]
    rows += [row(f"g{i}", f"p {i}", "x") for i in range(81)]
    for seed in range(10):
        parts = dealt(rows, {"test": 0.2, "validation": 0.1}, partial(shuffled, seed=seed))
        assert {part: len(of) for part, of in parts.items()} == {
            "train": 70,
            "test": 20,
            "validation": 10,
        }
        assert {each["group"] for each in parts["train"]} >= {"large"}


def test_rows_that_are_added_leave_the_others_where_they_are() -> None:
    rows = [row(f"row-{i}", f"question {i}", f"text {i}") for i in range(1_000)]
    fractions = {"test": 0.2, "validation": 0.14}
    order = partial(lasting, seed=7, named=False)
    before = dealt(rows[:600], fractions, order)
    after = dealt(rows, fractions, order)
    names = {part: {each["prompt"] for each in of} for part, of in before.items()}
    kept = {part: {each["prompt"] for each in of} for part, of in after.items()}
    assert len(names["test"]) == 120
    assert len(kept["test"]) == 200
    for part in names:
        assert len(names[part] & kept[part]) >= 0.85 * len(names[part])
    assert len(names["train"] & kept["test"]) <= 12, "trained on before, and now in the test split"


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    rows = [row(f"row-{i}", f"question {i}", f"text {i}") for i in range(200)]
    turned = [{**each, "group": f"row-{i}"} for i, each in enumerate(reversed(rows))]
    sets = [
        {each["prompt"] for each in dealt(given, {"test": 0.2}, order)["test"]}
        for given, order in (
            (rows, partial(lasting, seed=7, named=False)),
            (turned, partial(lasting, seed=7, named=False)),
            (rows, partial(lasting, seed=8, named=False)),
        )
    ]
    assert sets[0] == sets[1] != sets[2]
