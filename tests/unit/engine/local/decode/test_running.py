"""Rows that join and leave a running batch leave each other's logits as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sides import CONVERSATIONS, GREEDY, generate

from llmops.engine import Request
from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.running import WORTH_COLUMNS, RunningRows
from llmops.records import ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine

pytest.importorskip("torch")
LONG = "Return the last access time of a file. " * 6


def rows(engine: LocalEngine, *asked: tuple[ModelFiles, str, int]) -> list[Row]:
    requests = [Request(side, text, Sampling(max_tokens=count)) for side, text, count in asked]
    found = [Row(engine.prompt(request)) for request in requests]
    return sorted(found, key=lambda row: row.prompt.adapter or "")


def steps(count: int):  # type: ignore[no-untyped-def]
    left = [count]

    def ends(_: int) -> bool:
        left[0] -= 1
        return left[0] == 0

    return ends


def test_rows_join_in_their_middle_and_the_padding_of_those_that_left_goes(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    engine.scheduler.activate(None)
    mixture, device = engine.scheduler.mixture, engine.device
    first = rows(engine, (tuned, "Split a pathname.", 30), (base, "x", 30))
    running = RunningRows(engine.model, first, device)
    running.extend(mixture, steps(5))
    new = rows(engine, (other, LONG, 9), (base, "assistant", 30), (tuned, "a file", 30))
    joining = RunningRows(engine.model, new, device)
    joining.extend(mixture, steps(1))
    width = joining.width
    running.join(joining)
    assert running.width == width
    names = [row.prompt.adapter or "" for row in running.rows]
    assert names == sorted(names), "rows of one adapter are adjacent"
    running.extend(mixture, steps(10))
    assert len(running.rows) < 5, "the long one has ended"
    assert running.width < width - WORTH_COLUMNS
    while running.rows:
        running.extend(mixture, steps(100))
    for row in (*first, *new):
        side = {one.adapter_digest: one for one in (base, tuned, other)}[row.prompt.adapter]
        text = next(text for text in TEXTS if engine.token_ids(text) == row.prompt.ids)
        (expected,) = generate(engine, side, [text], Sampling(max_tokens=row.prompt.max_tokens))
        assert row.answer() == expected


TEXTS = ["Split a pathname.", "x", LONG, "assistant", "a file"]


def test_a_prompt_may_be_computed_by_parts(engine: LocalEngine, base: ModelFiles) -> None:
    engine.scheduler.activate(None)
    (row,) = rows(engine, (base, LONG, 16))
    batch = RunningRows(engine.model, [row], engine.device)
    assert batch.uncomputed == batch.width == row.length
    parts = 0
    while batch.uncomputed > 10:
        batch.fill(engine.scheduler.mixture, 10)
        parts += 1
    assert parts > 3
    while batch.rows:
        batch.extend(engine.scheduler.mixture, steps(100))
    (expected,) = generate(engine, base, [LONG], GREEDY)
    assert row.answer() == expected


def test_the_last_token_of_a_prompt_is_left_for_the_first_of_the_answer(
    engine: LocalEngine, base: ModelFiles
) -> None:
    engine.scheduler.activate(None)
    row = Row(engine.prompt(Request(base, CONVERSATIONS[0], GREEDY)))
    batch = RunningRows(engine.model, [row], engine.device)
    batch.fill(engine.scheduler.mixture, 10_000)
    assert batch.uncomputed == 1
    batch.extend(engine.scheduler.mixture, steps(1))
    assert len(row.tokens) == 1
    assert batch.resumes
