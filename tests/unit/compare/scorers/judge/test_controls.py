"""What controls say of judges whose faults are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from judge_servers import BROKEN, Says, answer, example, good, parts, serving
from scipy import stats

from llmops.compare.cache import ResultCache
from llmops.compare.scorers.judge.controls import CONSTANT, Controls, Places, controls, places
from llmops.compare.scorers.judge.pairs import Judged, Kind, Outcome, compare_pairs
from llmops.compare.scorers.judge.prompt import Pick
from llmops.records import Answer

N = 10
EXAMPLES = [example(i, str(2 * i)) for i in range(N)]
RIGHT = [answer(str(2 * i)) for i in range(N)]
WRONG = [answer(f"{i} or so") for i in range(N)]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ResultCache]:
    with ResultCache(tmp_path / "results.sqlite") as cache:
        yield cache


def controlled(says: Says, cache: ResultCache, **options: int) -> tuple[Controls, Judged]:
    with serving(says) as server:
        judge = server.judge()
        judged = compare_pairs(judge, EXAMPLES, WRONG, RIGHT, cache)
        return controls(judge, EXAMPLES, RIGHT, cache, judged=judged, **options), judged


def always(verdict: str) -> Callable[[str], str]:
    return lambda _: f"Clearly.\nVerdict: {verdict}"


def test_a_good_judge_is_warned_of_in_nothing(cache: ResultCache) -> None:
    found, judged = controlled(good, cache)
    assert found.warnings == ()
    assert judged.preferences == (1,) * N
    assert (found.same_picks, found.same_decided, found.decided_share) == (2 * N, 0, 0.0)
    assert math.isnan(found.first_share)
    assert found.places == Places(N, 0, 0)
    assert (found.places.rate, found.places.p_value) == (0.0, 1.0)
    assert (found.constant, found.constant_won, found.constant_lost) == (N, 0, N)
    assert (found.replies, found.failed, found.failure) == (6 * N, 0, "")


def test_a_judge_that_always_prefers_the_first(cache: ResultCache) -> None:
    found, judged = controlled(always("A"), cache)
    assert judged.preferences == (0,) * N
    assert found.places == found.same_places == Places(N, N, 0)
    assert found.places.p_value == pytest.approx(stats.binomtest(N, N).pvalue)
    assert (found.decided_share, found.first_share) == (1.0, 1.0)
    assert found.warnings == (
        "umpire prefers the first answer in all 10 pairs, whichever it is:"
        " all are ties that say nothing about the answers",
        "umpire prefers the first answer in all 10 pairs of one answer with itself, whichever it is:"
        " all are ties that say nothing about the answers",
        "umpire prefers only 0 of 10 real answers to a useless constant one:"
        " it does not recognize quality here",
    )


def test_a_judge_that_always_prefers_the_second(cache: ResultCache) -> None:
    found, _ = controlled(always("B"), cache)
    assert found.first_share == 0.0
    assert found.warnings[0].startswith("umpire prefers the second answer in all ")


def test_a_judge_that_never_decides_passes_all_but_one_control(cache: ResultCache) -> None:
    found, _ = controlled(always("tie"), cache)
    assert found.warnings == (
        "umpire prefers only 0 of 10 real answers to a useless constant one:"
        " it does not recognize quality here",
    )


def test_a_judge_that_likes_a_constant_answer(cache: ResultCache) -> None:
    def humble(prompt: str) -> str:
        shown = parts(prompt)
        letter = next((c for c in "AB" if shown[f"answer {c}"].strip() == CONSTANT), None)
        return f"Modest.\nVerdict: {letter}" if letter else good(prompt)

    found, _ = controlled(humble, cache)
    assert (found.constant_won, found.constant_lost) == (N, 0)
    assert found.warnings[0] == ("umpire prefers a useless constant answer to 10 of 10 real ones")


def test_a_judge_that_cannot_be_read(cache: ResultCache) -> None:
    found, _ = controlled(lambda _: "I like both.", cache)
    assert found.warnings == (
        "umpire: 60 of 60 replies have no verdict, and their pairs count as ties;"
        " the first: no verdict in the last line: 'I like both.'",
    )
    assert math.isnan(found.decided_share)
    assert math.isnan(found.places.rate)


def test_a_judge_that_fails_now_and_then_is_told_above_one_in_twenty(
    cache: ResultCache,
) -> None:
    def fails(*what: str) -> Says:
        return lambda prompt: None if all(w in prompt for w in what) else good(prompt)

    found, _ = controlled(fails("What is 7 plus", CONSTANT), cache)
    assert (found.failed, found.replies) == (2, 60)
    assert found.warnings == ()
    # Another server: nothing is in the cache.
    found, judged = controlled(fails("What is 7 plus"), cache)
    assert judged.count(Kind.FAILURE) == 1
    (warning,) = found.warnings
    assert warning.startswith(
        "umpire: 6 of 60 replies have no verdict, and their pairs count as ties;"
        " the first: no reply: Error code: 400"
    )


def test_a_judge_that_leans_where_answers_are_alike(cache: ResultCache) -> None:
    def indifferent(prompt: str) -> str:
        said = good(prompt)
        return said.replace("tie", "A")

    found, judged = controlled(indifferent, cache)
    assert judged.preferences == (1,) * N
    assert found.places.swapped == 0
    assert found.warnings == (
        "umpire prefers the first answer in all 10 pairs of one answer with itself, whichever it is:"
        " all are ties that say nothing about the answers",
    )


def test_shares_of_pairs_that_flip() -> None:
    both = (Pick.FIRST, Pick.FIRST)
    outcomes = [
        *[Outcome("", 0, Kind.DISAGREE, both, ("", ""))] * 11,
        Outcome("", 0, Kind.DISAGREE, (Pick.FIRST, Pick.TIE), ("", "")),
        *[Outcome("", 0, Kind.DISAGREE, (Pick.TIE, Pick.SECOND), ("", ""))] * 2,
        *[Outcome("", 1, Kind.AGREE, (Pick.SECOND, Pick.FIRST), ("", ""))] * 6,
        Outcome("", 0, Kind.FAILURE, (None, Pick.FIRST), ("", "")),
        Outcome("", 0, Kind.IDENTICAL),
        Outcome("", 1, Kind.MISSING),
    ]
    found = places(Judged("j", "", tuple(outcomes)))
    assert found == Places(pairs=20, first=12, second=2)
    assert (found.swapped, found.rate) == (14, 0.7)
    assert found.p_value == pytest.approx(stats.binomtest(12, 14).pvalue)


@pytest.mark.parametrize(
    ("found", "warned"),
    [
        (Places(100, 15, 15), False),
        (Places(100, 16, 15), True),
        (Places(100, 10, 1), False),
        (Places(100, 11, 1), True),
        (Places(0, 0, 0), False),
        (Places(1, 1, 0), True),
    ],
)
def test_when_places_are_warned_of(found: Places, warned: bool) -> None:
    made = Controls("j", 0, 0, 0, Places(0, 0, 0), found, 0, 0, 0, 0, 0, "")
    assert bool(made.warnings) is warned


def test_what_is_asked_is_a_spread_sample_of_real_answers(cache: ResultCache) -> None:
    said: list[Answer] = [BROKEN, *RIGHT[1:]]
    with serving(good) as server:
        judge = server.judge()
        nothing = Judged("umpire", judge.digest, ())
        found = controls(judge, EXAMPLES, said, cache, judged=nothing, sample=3)
        asked = {parts(prompt)["user"] for prompt in server.prompts}
    assert asked == {f"What is {i} plus {i}?" for i in (1, 5, 9)}
    assert found.constant == 3
    assert found.warnings == ()


def test_a_real_answer_that_is_the_constant_one_counts_for_neither(cache: ResultCache) -> None:
    with serving(good) as server:
        judge = server.judge()
        nothing = Judged("umpire", judge.digest, ())
        one = [answer(CONSTANT)]
        found = controls(judge, EXAMPLES[:1], one, cache, judged=nothing)
    assert (found.constant, found.constant_won, found.constant_lost) == (0, 0, 0)


def test_nothing_to_ask(cache: ResultCache) -> None:
    with serving(good) as server:
        judge = server.judge()
        found = controls(judge, [], [], cache, judged=Judged("umpire", "", ()))
        assert server.prompts == []
    assert found.warnings == ()
    assert math.isnan(found.places.rate)
