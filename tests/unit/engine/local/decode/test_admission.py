"""Which rows begin together: the first that waits always comes next, and limits hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llmops.engine.local.decode.admission import Limits, next_rows, padded_size, size_class
from llmops.engine.local.decode.ticket import Ticket
from llmops.engine.local.engine import LocalEngine
from llmops.engine.requests import Prompt
from llmops.records import Sampling


class Batch:
    """Rows with a width, as `RunningRows` has them."""

    def __init__(self, tickets: list[Ticket]) -> None:
        self.rows, self.width = tickets, max(ticket.length for ticket in tickets)


@pytest.fixture
def ticket(engine: LocalEngine) -> Any:
    def make(tokens: int, group: str = "a") -> Ticket:
        prompt = Prompt([5] * tokens, Sampling(max_tokens=9), engine.chat_format())
        made = Ticket(prompt, lambda _: None)
        made.group = group
        return made

    return make


def chosen(waiting: list[Ticket], running: dict[str, Batch], limits: Limits) -> list[int]:
    rows = next_rows(waiting, running, limits)  # type: ignore[arg-type]
    return [waiting.index(row) for row in rows]


def test_rows_of_the_first_ones_group_begin_together(ticket: Any) -> None:
    waiting = [ticket(9), ticket(9, "b"), ticket(12), ticket(9)]
    assert chosen(waiting, {}, Limits(rows=9, tokens=9_999, prompt=512)) == [0, 2, 3]
    assert chosen([], {}, Limits(rows=9, tokens=9_999, prompt=512)) == []


def test_limits_hold(ticket: Any) -> None:
    waiting = [ticket(10) for _ in range(5)]
    running = {"a": Batch([ticket(20), ticket(30)]), "b": Batch([ticket(90)])}
    assert chosen(waiting, running, Limits(rows=5, tokens=9_999, prompt=512)) == [0, 1]
    assert chosen(waiting, running, Limits(rows=3, tokens=9_999, prompt=512)) == []
    assert chosen(waiting, {}, Limits(rows=9, tokens=9_999, prompt=35)) == [0, 1, 2]
    # Two running rows and a new one take 3 x (30 + 32), those of the other group 90.
    assert chosen(waiting, running, Limits(rows=9, tokens=3 * 62 + 90, prompt=512)) == [0]
    assert chosen(waiting, running, Limits(rows=9, tokens=3 * 62 + 89, prompt=512)) == []
    assert padded_size(running) == 2 * 30 + 90  # type: ignore[arg-type]


def test_a_row_that_is_too_large_begins_once_it_is_alone(ticket: Any) -> None:
    limits = Limits(rows=9, tokens=100, prompt=64)
    waiting = [ticket(400), ticket(5)]
    assert chosen(waiting, {"a": Batch([ticket(5)])}, limits) == [], "nobody overtakes it"
    assert chosen(waiting, {}, limits) == [0]


def test_lengths_within_a_factor_of_four_share_a_batch() -> None:
    assert [size_class(n) for n in (1, 1024, 1025, 4096, 4097, 16_384, 16_385)] == [
        0, 0, 1, 1, 2, 2, 3,
    ]  # fmt: skip


def test_limits_of_a_model(engine: LocalEngine) -> None:
    found = Limits.of(engine.model, torch.device("cpu"))
    assert (found.rows, found.tokens) == (32, 32_768)
    assert Limits.of(engine.model, torch.device("cpu"), 3).rows == 3
