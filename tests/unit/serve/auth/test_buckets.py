from __future__ import annotations

import pytest

from llmops.serve.auth.buckets import Bucket


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_minute_s_worth_at_once_and_then_at_a_constant_rate(clock: Clock) -> None:
    bucket = Bucket(30, clock)
    for _ in range(30):
        assert bucket.wait(1) == 0
        bucket.take(1)
    assert bucket.wait(1) == 2
    clock.now += 1.9
    assert bucket.wait(1) == 1
    clock.now += 0.1
    assert bucket.wait(1) == 0
    bucket.take(1)
    assert bucket.wait(1) == 2


def test_what_is_not_used_does_not_add_up(clock: Clock) -> None:
    bucket = Bucket(2, clock)
    clock.now += 3600
    bucket.take(2)
    assert bucket.wait(1) == 30


def test_a_long_answer_is_owed(clock: Clock) -> None:
    bucket = Bucket(60, clock)
    bucket.take(180)
    assert bucket.wait(1) == 121
    clock.now += 121
    assert bucket.wait(1) == 0
