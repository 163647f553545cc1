"""Stop strings in a text that arrives piece by piece: where the naive search finds them, and fast."""

from __future__ import annotations

import random
import time

import pytest

from llmops.engine.local.decode.stops import HeldBack, StopStrings


def naive(text: str, stops: list[str]) -> int | None:
    """The earliest of the stop strings that are complete first."""
    for end in range(1, len(text) + 1):
        begins = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if begins:
            return min(begins)
    return None


@pytest.mark.parametrize("seed", range(20))
def test_it_finds_what_a_search_of_the_whole_text_finds(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        stops = ["".join(rng.choices("ab", k=rng.randint(1, 6))) for _ in range(rng.randint(1, 3))]
        text = "".join(rng.choices("ab", k=rng.randint(0, 30)))
        search, held, sent = StopStrings(stops), HeldBack(stops), ""
        for end, character in enumerate(text, 1):
            assert search.would_find(character) == (naive(text[:end], stops) is not None)
            search.add(character)
            sent += held.add(character)
        found = naive(text, stops)
        assert search.found == found
        kept = text if found is None else text[:found]
        assert kept.startswith(sent)
        if found is None:
            longest = max(
                (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])),
                default=0,
            )
            assert search.held == longest
            assert sent == text[: len(text) - longest]
        assert sent + held.rest(kept) == kept


def test_a_piece_may_hold_several() -> None:
    search = StopStrings(["late", "at", "e"])
    search.add("plates")
    assert search.found == 1, "the earliest of those that the piece completes"
    held = HeldBack(["late"])
    assert [held.add("a l"), held.add("ate b"), held.add("c")] == ["a ", "", ""]


@pytest.mark.parametrize("repeats", [False, True])
def test_long_stop_strings_cost_no_more_than_the_text(repeats: bool) -> None:
    """16 x 60,000 characters took 1 to 2 s for each token; also if the text repeats them."""
    stops = [f"{i:02}" + "x" * 59_998 for i in range(16)]
    held = HeldBack(stops)
    pieces = ["00" if repeats else "yy", *["xxxx"] * 4_000]
    began = time.process_time()
    sent = "".join(map(held.add, pieces))
    assert time.process_time() - began < 1.0
    assert len(sent) == (0 if repeats else 16_002)
