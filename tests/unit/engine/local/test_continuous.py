"""Rows that come, go and leave at random answer as if each were alone."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from arrivals import Caller
from sides import CONVERSATIONS, GREEDY, answer_all, side_of, write_adapter

from llmops.engine import Request
from llmops.engine.local.continuous import ContinuousBatch
from llmops.errors import LlmopsError, ServeError, UsageError
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


def test_text_arrives_while_it_is_generated_and_others_join(
    batch: ContinuousBatch, base: ModelFiles, tuned: ModelFiles
) -> None:
    long = Caller(
        Request(base, CONVERSATIONS[0], Sampling(max_tokens=300, temperature=2.0, seed=1))
    )
    long.asks(batch)
    assert long.first.wait(60)
    short = Caller(Request(tuned, CONVERSATIONS[1], Sampling(max_tokens=2))).asks(batch)
    assert short.answer.tokens <= 2
    assert not long.done.is_set(), "the short one did not wait for the long one"
    assert len(long.pieces) > 1
    long.ticket.cancel()


def test_callers_that_leave_free_the_queue_at_once(
    batch: ContinuousBatch, tuned: ModelFiles
) -> None:
    endless = Sampling(max_tokens=400, temperature=2.0, seed=1)
    callers = [Caller(Request(tuned, CONVERSATIONS[0], endless)).asks(batch) for _ in range(17)]
    assert callers[0].first.wait(60)
    for caller in callers:
        caller.ticket.cancel()
    began = time.monotonic()
    assert Caller(Request(tuned, CONVERSATIONS[1], GREEDY)).asks(batch).answer.text
    assert time.monotonic() - began < 5
    assert not any(caller.done.is_set() for caller in callers)


def test_what_cannot_be_answered_is_refused_before_it_waits(
    batch: ContinuousBatch, tuned: ModelFiles, folder: Path
) -> None:
    for messages, sampling, says in (
        ("word " * 600, GREEDY, "context is 512"),
        ("x" * 10_000_000, GREEDY, "characters"),
        ([{"role": "user", "content": "x"}] * 20_000, GREEDY, "20,000 messages"),
        (CONVERSATIONS[0], Sampling(max_tokens=0), "max_tokens is 0"),
    ):
        began = time.process_time()
        with pytest.raises(UsageError, match=says):
            Caller(Request(tuned, messages, sampling)).asks(batch)
        assert time.process_time() - began < 0.5
    unknown = replace(tuned, adapter_digest="0" * 64)
    with pytest.raises(UsageError, match="not loaded"):
        Caller(Request(unknown, CONVERSATIONS[0], GREEDY)).asks(batch)


def test_a_side_is_loaded_and_unloaded_while_others_answer(
    batch: ContinuousBatch, base: ModelFiles, tuned: ModelFiles, folder: Path, tmp_path: Path
) -> None:
    from llmops.engine.local.engine import LocalEngine

    late = side_of(folder, write_adapter(folder, tmp_path / "late", seed=9, rank=4))
    (expected,) = answer_all(LocalEngine([late], options=FP32), [Request(late, "x", GREEDY)])
    endless = Sampling(max_tokens=400, temperature=2.0, seed=1)
    beside = Caller(Request(base, CONVERSATIONS[0], endless)).asks(batch)
    for _ in range(2):
        batch.load(late)
        assert Caller(Request(late, "x", GREEDY)).asks(batch).answer == expected
        running = Caller(Request(late, "x", Sampling(max_tokens=60))).asks(batch)
        batch.unload(late)
        assert running.answer.tokens > 0, "answers in progress are finished"
    until = time.monotonic() + 30
    while batch.has(late) and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(UsageError, match="not loaded"):
        Caller(Request(late, "x", GREEDY)).asks(batch)
    beside.ticket.cancel()


def test_a_side_that_cannot_be_loaded_changes_nothing(
    batch: ContinuousBatch, engine: LocalEngine, tuned: ModelFiles, folder: Path, tmp_path: Path
) -> None:
    broken = write_adapter(folder, tmp_path / "broken", seed=3, rank=8)
    settings = json.loads((broken / "adapter_config.json").read_text())
    (broken / "adapter_config.json").write_text(json.dumps(settings | {"r": 4}))
    side = side_of(folder, broken)
    for _ in range(2):
        with pytest.raises(LlmopsError, match="shape"):
            batch.load(side)
    requests = [Request(tuned, messages, GREEDY) for messages in CONVERSATIONS]
    callers = [Caller(request).asks(batch) for request in requests]
    assert [caller.answer for caller in callers] == answer_all(engine, requests)


def test_after_the_end_nobody_waits(base: ModelFiles) -> None:
    from llmops.engine.local.engine import LocalEngine

    batch = ContinuousBatch(LocalEngine([base], options=FP32), rows=1)
    sampling = Sampling(max_tokens=400, temperature=2.0, seed=1)
    callers = [Caller(Request(base, CONVERSATIONS[0], sampling)).asks(batch) for _ in range(3)]
    assert callers[0].first.wait(60)
    batch.close()
    batch.close()
    assert not batch.alive
    for caller in callers:
        with pytest.raises(ServeError, match="shutting down"):
            _ = caller.answer
    with pytest.raises(LlmopsError):
        callers[0].asks(batch)
    with pytest.raises(ServeError):
        batch.load(base)
