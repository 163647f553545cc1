"""Answers of all sides to blocks of prompts, their scores, and what may not pass unnoticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from echo_engine import BROKEN, SERVER, EchoEngine, side

from llmops.compare.answers.blocks import EARLY, SuiteAnswers, repeated
from llmops.compare.cache import MEMORY, ResultCache
from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scorer import Scorer, Unscored
from llmops.errors import LlmopsError, UsageError
from llmops.recipe.engine_names import ENGINES
from llmops.recipe.schema import Compare
from llmops.records import Example, Row

SIDES = [side("v1"), side("v2"), side("v10")]


def examples(*texts: str, expected: str | None = "v2: a") -> list[Example]:
    return [
        Example(f"q{i}", ({"role": "user", "content": text},), expected, f"c{i}")
        for i, text in enumerate(texts)
    ]


@contextmanager
def asking(
    prompts: Sequence[Example],
    scorers: Sequence[str | Scorer] = ("exact",),
    *,
    repeats: int = 1,
    temperature: float = 0.0,
) -> Iterator[SuiteAnswers]:
    loaded = [load_scorers([s])[0] if isinstance(s, str) else s for s in scorers]
    config = Compare(batch_size=8, temperature=temperature, repeats=repeats).model_copy(
        update={"engine": "echo"}
    )
    with (
        ResultCache(MEMORY) as cache,
        closing(SuiteAnswers(SIDES, repeated(prompts, repeats), loaded, config, cache)) as answers,
    ):
        yield answers


def texts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row.baseline.text, row.candidate.text) for row in rows]


def test_repeats_have_their_own_id_and_stay_in_their_cluster() -> None:
    prompts = repeated(examples("a", "b"), 2)
    assert [(p.example.id, p.example.cluster, p.repeat) for p in prompts] == [
        ("q0", "c0", 0),
        ("q1", "c1", 0),
        ("q0~2", "c0", 1),
        ("q1~2", "c1", 1),
    ]


def test_a_block_is_one_call_whose_rows_pair_the_baseline_with_each_candidate(
    opened: list[EchoEngine],
) -> None:
    with asking(examples("a", "b", "c")) as answers:
        second, third = answers.ask([2, 0])
        assert texts(second) == [("v1: c", "v2: c"), ("v1: a", "v2: a")]
        assert texts(third) == [("v1: c", "v10: c"), ("v1: a", "v10: a")]
        assert [row.example.id for row in second] == ["q2", "q0"]
        assert [row.candidate_scores for row in second] == [{"exact": 0.0}, {"exact": 1.0}]
        assert [row.baseline_scores for row in second] == [{"exact": 0.0}, {"exact": 0.0}]
        answers.ask([1])
        assert [answer.text for answer in answers.answers[2]] == ["v10: c", "v10: a", "v10: b"]
    (engine,) = opened
    assert engine.batches[0] == ["v1 c", "v2 c", "v10 c", "v1 a", "v2 a", "v10 a"]
    assert engine.closed


@pytest.mark.usefixtures("opened")
def test_repeats_of_a_sampled_answer_differ_by_their_seed() -> None:
    with asking(examples("a")) as answers:
        assert texts(answers.ask([0])[0]) == [("v1: a", "v2: a")]
    with asking(examples("a"), repeats=2, temperature=0.5) as answers:
        assert texts(answers.ask([0, 1])[0]) == [("v1#0: a", "v2#0: a"), ("v1#1: a", "v2#1: a")]


def test_likelihoods_are_computed_only_for_a_scorer_that_needs_them(
    opened: list[EchoEngine],
) -> None:
    with asking(examples("a", "b"), ["exact"]) as answers:
        answers.ask([0, 1])
        assert answers.likelihoods == [[], [], []]
    assert len(opened[0].batches) == 1
    with asking(examples("a", BROKEN), ["likelihood"]) as answers:
        (rows, _) = answers.ask([0, 1])
        known = [[(-7.0, 2), None], [(-7.0, 2), None], [(-8.0, 2), None]]
        assert answers.likelihoods == known
        assert rows[0].candidate_scores["likelihood"] > 0


@pytest.mark.usefixtures("opened")
def test_sides_differ_if_they_give_an_answer_another_likelihood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with asking(examples("a")) as answers:
        rows, _ = answers.ask([0])
        assert not answers.differs(1, rows)
        assert answers.differs(2, rows)
        monkeypatch.setitem(ENGINES, "echo", SERVER)
        assert answers.differs(1, rows), "servers compute no likelihood that could be equal"


@pytest.mark.usefixtures("opened")
def test_prompts_without_an_answer_are_noted_and_too_many_refused() -> None:
    with asking(examples(*"abcdefghi", BROKEN)) as answers:
        answers.ask(range(10))
        assert answers.failed((0, 1)) == (
            "v1 did not answer 1 of 10 prompts, which count as the worst score: too long",
            "v2 did not answer 1 of 10 prompts, which count as the worst score: too long",
            "1 of 10 prompts were answered by neither side and are left out",
        )
    with asking(examples(*"abcdefgh", BROKEN, BROKEN)) as answers:
        answers.ask(range(10))
        with pytest.raises(
            LlmopsError, match="neither side answered 2 of 10 prompts, more than 10%: too long"
        ):
            answers.failed((0, 1))


@pytest.mark.usefixtures("opened")
def test_a_side_that_never_answers_is_refused_after_the_first_prompts() -> None:
    with asking(examples(*[BROKEN] * EARLY, "a")) as answers:
        answers.ask(range(EARLY - 1))  # may still be chance
        with pytest.raises(
            LlmopsError, match=f"models:/bot/1: gave no answer to any of {EARLY} prompts: too long"
        ):
            answers.ask([EARLY - 1])
    with asking(examples(BROKEN, BROKEN)) as answers, pytest.raises(LlmopsError, match="any of 2"):
        answers.ask([0, 1])


@pytest.mark.usefixtures("opened")
def test_answers_that_a_scorer_cannot_judge_are_noted_and_a_scorer_that_judges_none_is_refused() -> (
    None
):
    def judge(_: Example, text: str) -> float:
        if text.endswith(": a") or text.startswith("v10"):
            raise Unscored("no number")
        return 1.0

    scorer = replace(load_scorers(["picky=exact"])[0], judge=judge)
    with asking(examples("a", "b"), [scorer]) as answers:
        second, _ = answers.ask([0, 1])
        assert [row.candidate_scores for row in second] == [{"picky": 0.0}, {"picky": 1.0}]
        assert answers.unjudged((0, 1)) == (
            "picky: 1 of 2 answers of v1 could not be judged and count as 0, such as 'q0': no number",
            "picky: 1 of 2 answers of v2 could not be judged and count as 0, such as 'q0': no number",
        )
        assert len(answers.unjudged((0, 2))) == 2, "one side was judged in part"
    with asking(examples("a"), [scorer]) as answers:
        answers.ask([0])
        with pytest.raises(
            UsageError, match="'picky': could not judge any answer of either side: no number"
        ):
            answers.unjudged((0, 1))
