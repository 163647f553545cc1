"""Rows that come, go and leave at random answer as if each were alone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from arrivals import Caller
from sides import CONVERSATIONS, answer_all

from llmops.engine import Request
from llmops.engine.local.continuous import ContinuousBatch
from llmops.records import LoadOptions, ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine

pytest.importorskip("torch")
FP32 = LoadOptions(dtype="float32")
STOPS = ((), (), ("e", "g"), ("x" * 500,), ("a", "the"))


@pytest.fixture(scope="module")
def batch(base: ModelFiles, tuned: ModelFiles, other: ModelFiles) -> Iterator[ContinuousBatch]:
    from llmops.engine.local.engine import LocalEngine

    engine = LocalEngine([base, tuned, other], options=FP32)
    with closing(ContinuousBatch(engine, rows=6)) as batch:
        yield batch


def some_request(rng: random.Random, sides: list[ModelFiles]) -> Request:
    words = " ".join(rng.choice(CONVERSATIONS)[0]["content"] for _ in range(rng.choice([1, 1, 4])))
    messages = words if rng.random() < 0.2 else [{"role": "user", "content": words}]
    sampling = Sampling(
        max_tokens=rng.choice([1, 2, 5, 17, 40]),
        temperature=rng.choice([0.0, 0.0, 1.0]),
        top_p=rng.choice([1.0, 0.9]),
        seed=rng.randrange(1000),
        stop=rng.choice(STOPS),
    )
    return Request(rng.choice(sides), messages, sampling)


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_is_that_of_the_request_alone(
    batch: ContinuousBatch,
    engine: LocalEngine,
    base: ModelFiles,
    tuned: ModelFiles,
    other: ModelFiles,
    seed: int,
) -> None:
    rng = random.Random(seed)
    requests = [some_request(rng, [base, tuned, other]) for _ in range(24)]
    expected = answer_all(engine, requests, batch_size=1)
    callers = []
    for request in requests:
        callers.append(Caller(request).asks(batch, pieces=rng.random() < 0.8))
        if rng.random() < 0.2:
            callers[-1].ticket.cancel()
        time.sleep(rng.choice([0, 0, 0.01, 0.05]))
    for caller, answer in zip(callers, expected, strict=True):
        if caller.ticket.cancelled:
            continue
        assert caller.answer == answer
        assert "".join(caller.pieces) in ("", answer.text)
