"""Loads that benchmarks of serving share: several servers in turns, and a version that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from load import Load, Outcome, Target, closed_loop, together
from serving_stack import MODEL, Stack, move_alias

TURNS = 3
SECONDS_AFTER = 4.0
"""Seconds for which requests go on after the alias has moved."""


def in_turns(
    ask: Callable[[Target], Load], *, warm: float = 3.0, **targets: Target
) -> dict[str, Load]:
    """Return loads on several servers, each asked to warm up and then in turns.

    Args:
        ask: The load.
        warm: Seconds to warm up each server.
        targets: The servers by name.
    """
    for target in targets.values():
        closed_loop(target, 8, seconds=warm)
    loads: dict[str, list[Load]] = {name: [] for name in targets}
    for turn in range(TURNS):
        for name in sorted(targets, reverse=bool(turn % 2)):
            loads[name].append(ask(targets[name]))
    found = {name: together(several) for name, several in loads.items()}
    for name, load in found.items():
        print(f"\n  {name}: {load}", end="")
    return found


def check_streams(stack: Stack, callers: int, ask: Callable[[Target], Load]) -> None:
    """Check that streams through the gateway are as those of its engine, asked directly.

    Args:
        stack: The deployment.
        callers: Number of callers, for the report.
        ask: The load, of streams.
    """
    found = in_turns(ask, gateway=stack.target(), direct=stack.engine())
    gateway, direct = found["gateway"], found["direct"]
    added = 1000 * (gateway.first(50) - direct.first(50))
    ratio = gateway.tokens_per_second / direct.tokens_per_second
    print(
        f"\n{callers} streams: the first token comes {added:.1f} ms later (p50, bar 10),"
        f" {ratio:.3f} x the tokens/s (bar 0.95)"
    )
    assert not gateway.errors
    assert added <= 10
    assert ratio >= 0.95


@contextmanager
def in_background(work: Callable[[], Load]) -> Iterator[Future[Load]]:
    """Have a load run in a thread; it is over at the end of the block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


@dataclass(frozen=True)
class Moved:
    """Load while the alias moved from version 1 to 2.

    Attributes:
        whole: Requests.
        streams: Streams that were open.
        at: When the alias moved, on the clock of ``time.perf_counter``.
    """

    whole: Load
    streams: Load
    at: float

    @property
    def seconds(self) -> float:
        """Seconds from the move to the first answer of the new version."""
        ends = [o.end + self.whole.began for o in self.whole.good if o.version == f"{MODEL}@v2"]
        return min(ends, default=float("inf")) - self.at

    @property
    def late(self) -> list[Outcome]:
        """Answers of the old version to requests of two seconds after the move or later."""
        due = self.at - self.whole.began + 2
        return [o for o in self.whole.good if o.due > due and o.version != f"{MODEL}@v2"]

    def check(self, requests: int, streams: int) -> None:
        """Check that nothing failed or mixed, and that both versions answered."""
        errors, versions = self.whole.errors + self.streams.errors, self.whole.versions
        print(
            f"\n{len(self.whole.outcomes)} requests and {len(self.streams.outcomes)} streams while"
            f" the alias moves: failed or mixed {dict(errors)} (bar 0), versions {dict(versions)};"
            f" the new one answers after {self.seconds:.2f} s (bar 2)"
        )
        assert not errors
        assert len(self.whole.good) >= requests
        assert len(self.streams.good) == streams
        assert set(versions) == {f"{MODEL}@v1", f"{MODEL}@v2"}
        assert not self.late


def move_under_load(
    stack: Stack, *, requests: int, callers: int, streams: int, tokens: int = 128
) -> Moved:
    """Move the alias while callers ask and streams are open.

    Args:
        stack: The deployment, which serves version 1.
        requests: Requests at least; they go on for some seconds after the move.
        callers: Callers that ask them.
        streams: Streams, all opened at the start.
        tokens: Tokens of each stream.
    """
    count, at = 0, float("inf")

    def counted(_: Outcome) -> float:
        nonlocal count
        count += 1
        return 0.0

    def over() -> bool:
        return count >= requests and time.perf_counter() > at + SECONDS_AFTER

    short, long = stack.target(), stack.target(max_tokens=tokens)
    with (
        in_background(lambda: closed_loop(short, callers, until=over, pause=counted)) as whole,
        in_background(lambda: closed_loop(long, streams, requests=streams, stream=True)) as opened,
    ):
        time.sleep(1.0)
        move_alias(2)
        at = time.perf_counter()
        return Moved(whole.result(), opened.result(), at)
